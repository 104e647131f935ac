//! Parses a subscription file into a [`Subscription`].

mod access;
mod delivery;
mod event_query;

use super::{Error, Foreign};
use crate::base::xml::{Node, trimmed_text as text_of};
use crate::protocol::wsman::subscribe::EVENT_LOG;
use crate::protocol::wsman::text::trim;
use crate::protocol::wsman::xml::Skeleton;
use crate::protocol::wsman::{ContentFormat, Subscription};
use crate::windows::query;

const EVENT_QUERY: &str = "http://schemas.microsoft.com/win/2004/08/events/eventquery";
const NAMESPACE: &str = "http://schemas.microsoft.com/2006/03/windows/events/subscription";

/// What is allowed in an element that has text.
const TEXT_ONLY: &str = "only text is allowed there";

/// Maximum length of a name in characters; it is displayed, compared, and stored.
pub(super) const MAX_NAME: usize = 256;

/// A subscription, with notices about its file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parsed {
    /// The subscription in the file, even if it is disabled or expired.
    pub subscription: Subscription,
    /// What is ignored or not enforced, one line each.
    pub notices: Vec<String>,
}

/// Reads the text of a subscription file; `file` is its name for messages.
///
/// ```
/// let text = r#"<Subscription
///     xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
///   <SubscriptionId>Logons</SubscriptionId>
///   <SubscriptionType>SourceInitiated</SubscriptionType>
///   <Query><![CDATA[<QueryList><Query Id="0">
///     <Select Path="Security">*[System[EventID=4624]]</Select>
///   </Query></QueryList>]]></Query>
/// </Subscription>"#;
/// let parsed = wecrelay::files::subscriptions::parse(text, "logons.xml")?;
/// assert_eq!(parsed.subscription.name, "Logons");
/// # Ok::<(), wecrelay::files::subscriptions::Error>(())
/// ```
///
/// # Errors
/// XML that is not well-formed, elements that are missing, and values that
/// cannot be used or done, with line, element and what is allowed.
pub fn parse(text: &str, file: &str) -> Result<Parsed, Error> {
    let malformed = |reason| Error::Xml {
        file: file.to_owned(),
        reason,
    };
    let foreign = |what| Error::Foreign {
        file: file.to_owned(),
        what,
    };
    if let Some(what) = Foreign::of_text(text) {
        return Err(foreign(what));
    }
    let skeleton = Skeleton::whole(text).map_err(malformed)?;
    let document = skeleton.document().map_err(malformed)?;
    let root = document.root_element();
    let reader = File { name: file };
    if let Some(what) = Foreign::of_root(root.tag_name().name()) {
        return Err(foreign(what));
    }
    if !root.has_tag_name((NAMESPACE, "Subscription")) {
        let name = root.tag_name();
        let value = format!("{{{}}}{}", name.namespace().unwrap_or(""), name.name());
        let allowed = "must be Subscription with xmlns=\
                       \"http://schemas.microsoft.com/2006/03/windows/events/subscription\"";
        return Err(reader.value(root, "the root element", &value, allowed));
    }
    let mut parsed = Parsed {
        subscription: reader.base(root, &skeleton)?,
        notices: Vec::new(),
    };
    let findings = query::lint(&parsed.subscription.query);
    let findings = findings.into_iter().map(|found| format!("{file}: {found}"));
    parsed.notices.extend(findings);
    reader.check_texts(root)?;
    reader.take_delivery(root, &mut parsed)?;
    reader.take_options(root, &mut parsed.subscription)?;
    reader.take_access(root, &mut parsed)?;
    reader.note_ignored(root, &mut parsed.notices);
    Ok(parsed)
}

struct File<'a> {
    name: &'a str,
}

impl File<'_> {
    /// Name and query; rejects collector-initiated subscriptions.
    fn base(&self, root: Node<'_, '_>, skeleton: &Skeleton<'_>) -> Result<Subscription, Error> {
        const NAME: &str = "must name the subscription, with at most 256 characters";
        const TYPE: &str =
            "must be SourceInitiated: hosts connect to this collector, it does not connect to them";
        let id = self.need(root, "SubscriptionId", NAME)?;
        let name = text_of(id);
        if name.is_empty() || name.chars().count() > MAX_NAME {
            return Err(self.value(id, "SubscriptionId", &name, NAME));
        }
        let kind = self.need(root, "SubscriptionType", TYPE)?;
        if !text_of(kind).eq_ignore_ascii_case("SourceInitiated") {
            return Err(self.value(kind, "SubscriptionType", &text_of(kind), TYPE));
        }
        let query = self.query(root, skeleton)?;
        let format = match child(root, "ContentFormat") {
            Some(node) => self.content_format(node)?,
            None => ContentFormat::RenderedText,
        };
        Ok(Subscription::new(&name, &query, format))
    }

    fn content_format(&self, node: Node<'_, '_>) -> Result<ContentFormat, Error> {
        match text_of(node).to_ascii_lowercase().as_str() {
            "events" => Ok(ContentFormat::Events),
            "renderedtext" | "" => Ok(ContentFormat::RenderedText),
            _ => {
                let allowed = "must be Events or RenderedText";
                Err(self.value(node, "ContentFormat", &text_of(node), allowed))
            }
        }
    }

    fn take_options(
        &self,
        root: Node<'_, '_>,
        subscription: &mut Subscription,
    ) -> Result<(), Error> {
        let given = |name| child(root, name).filter(|node| !text_of(*node).is_empty());
        subscription.description = given("Description").map(|node| text_of(node).into_owned());
        if let Some(node) = given("Enabled") {
            subscription.enabled = self.boolean(node, "Enabled")?;
        }
        if let Some(node) = given("ReadExistingEvents") {
            subscription.read_existing = self.boolean(node, "ReadExistingEvents")?;
        }
        let locale = child(root, "Locale").and_then(|node| node.attribute("Language"));
        let locale = locale.map(trim).filter(|language| !language.is_empty());
        subscription.locale = locale.map(str::to_owned);
        if let Some(node) = given("Expires") {
            let allowed = "must be a time such as 2030-12-31T23:59:59Z";
            let expires = humantime::parse_rfc3339_weak(&text_of(node));
            let expires =
                expires.map_err(|_| self.value(node, "Expires", &text_of(node), allowed))?;
            subscription.expires = Some(expires);
        }
        Ok(())
    }

    fn boolean(&self, node: Node<'_, '_>, element: &'static str) -> Result<bool, Error> {
        match text_of(node).to_ascii_lowercase().as_str() {
            "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(self.value(node, element, other, "must be true or false")),
        }
    }

    /// Rejects elements inside text-only elements, whose text would be lost.
    fn check_texts(&self, root: Node<'_, '_>) -> Result<(), Error> {
        const WITH_ELEMENTS: [&str; 4] = [
            "Query",
            "Delivery",
            "EventSources",
            "AllowedSourceNonDomainComputers",
        ];
        let texts = KNOWN.iter().filter(|name| !WITH_ELEMENTS.contains(name));
        for name in texts {
            let node = child(root, name);
            let inside = node.and_then(|node| node.first_element_child());
            if let Some(inside) = inside {
                let value = inside.tag_name().name();
                return Err(self.value(inside, name, value, TEXT_ONLY));
            }
        }
        Ok(())
    }

    /// Reports elements without effect here in one line, and each unknown or repeated one
    /// in a line of its own.
    fn note_ignored(&self, root: Node<'_, '_>, notices: &mut Vec<String>) {
        let file = self.name;
        let mut ignored = Vec::new();
        let mut seen = Vec::new();
        for node in root.children().filter(Node::is_element) {
            let (name, line) = (node.tag_name().name(), line_of(node));
            if node.tag_name().namespace() != Some(NAMESPACE) {
                notices.push(format!(
                    "{file}:{line}: {name} is of another namespace: ignored"
                ));
                continue;
            }
            if seen.contains(&name) {
                notices.push(format!(
                    "{file}:{line}: {name} is repeated: only the first one is used"
                ));
            } else if let Some(why) = without_effect(name, &text_of(node)) {
                ignored.push(format!("{name} ({why})"));
            } else if !KNOWN.contains(&name) {
                notices.push(format!("{file}:{line}: {name} is unknown: ignored"));
            }
            seen.push(name);
        }
        if !ignored.is_empty() {
            notices.push(format!(
                "{file}: no effect in wecrelay: {}",
                ignored.join(", ")
            ));
        }
    }

    pub(super) fn need<'a, 'input>(
        &self,
        parent: Node<'a, 'input>,
        element: &'static str,
        allowed: &'static str,
    ) -> Result<Node<'a, 'input>, Error> {
        child(parent, element).ok_or_else(|| Error::Missing {
            file: self.name.to_owned(),
            line: line_of(parent),
            element,
            allowed,
        })
    }

    pub(super) fn value(
        &self,
        node: Node<'_, '_>,
        element: &'static str,
        value: &str,
        allowed: &'static str,
    ) -> Error {
        self.value_at(line_of(node), element, value, allowed)
    }

    pub(super) fn value_at(
        &self,
        line: u32,
        element: &'static str,
        value: &str,
        allowed: &'static str,
    ) -> Error {
        /// Number of characters to quote; a query may be very long.
        const SHOWN: usize = 80;
        Error::Value {
            file: self.name.to_owned(),
            line,
            element,
            value: value.chars().take(SHOWN).collect(),
            allowed,
        }
    }
}

const KNOWN: [&str; 24] = [
    "SubscriptionId",
    "SubscriptionType",
    "Description",
    "Enabled",
    "Uri",
    "ConfigurationMode",
    "Delivery",
    "Expires",
    "Query",
    "Dialect",
    "ReadExistingEvents",
    "TransportName",
    "TransportPort",
    "ContentFormat",
    "Locale",
    "LogFile",
    "PublisherName",
    "HostName",
    "EventSources",
    "CredentialsType",
    "CommonUserName",
    "CommonPassword",
    "AllowedSourceDomainComputers",
    "AllowedSourceNonDomainComputers",
];

/// Why an element of the Windows format has no effect, if it asks for something other than
/// the default of Windows.
fn without_effect(name: &str, text: &str) -> Option<&'static str> {
    let (default, why) = match name {
        "Uri" => (EVENT_LOG, "events are read from the event log"),
        "Dialect" => (EVENT_QUERY, "queries are QueryList elements"),
        "TransportName" => ("http", "hosts use the address in the subscription"),
        "TransportPort" => ("", "hosts use the port in the subscription"),
        "HostName" => (
            "",
            "the address is that of --hostname, or the one that the host used",
        ),
        "LogFile" => ("ForwardedEvents", "events go to the outputs"),
        "PublisherName" => (
            "Microsoft-Windows-EventCollector",
            "events go to the outputs",
        ),
        "CredentialsType" => ("Default", "hosts authenticate themselves"),
        "CommonUserName" | "CommonPassword" => ("", "hosts authenticate themselves"),
        "EventSources" => ("", "hosts connect by themselves"),
        _ => return None,
    };
    let asks = !text.is_empty() && !text.eq_ignore_ascii_case(default);
    asks.then_some(why)
}

fn child<'a, 'input>(parent: Node<'a, 'input>, name: &str) -> Option<Node<'a, 'input>> {
    parent
        .children()
        .find(|node| node.has_tag_name((NAMESPACE, name)))
}

fn line_of(node: Node<'_, '_>) -> u32 {
    node.document().text_pos_at(node.range().start).row
}
