//! The source's side: formats what Windows sends to a collector, and parses the responses.
//! For `wecrelay send` and tests.

use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;

use super::soap::{Envelope, Header, child, emit_duration, ns, parse_duration, urn};
use super::subscribe::ContentFormat;
use super::text::Escaped;
use super::xml::Skeleton;
use super::{ANONYMOUS, Error, action, events};
use crate::base::xml::{Document, Node, text, trimmed_text};

const MANAGER: &str = "http://schemas.microsoft.com/wbem/wsman/1/SubscriptionManager/Subscription";
const FULL_DUPLEX: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman/FullDuplex";

/// The header fields of every message from a source.
#[derive(Clone, Copy, Debug)]
pub struct Sender<'a> {
    /// The collector's address as the source knows it.
    pub to: &'a str,
    /// The source's name, for `MachineID`.
    pub machine: &'a str,
    /// Language, such as `en-US`.
    pub locale: &'a str,
    /// Session id; one for each connection.
    pub session: Uuid,
    /// Message id; one for each message.
    pub message: Uuid,
    /// Operation id; one for each operation.
    pub operation: Uuid,
    /// How long the source waits for the response.
    pub timeout: Duration,
    /// Maximum size of the response in bytes.
    pub max_envelope_size: u32,
}

impl Sender<'_> {
    fn header(&self, resource: &str, action: &str) -> String {
        let (to, machine, locale) = (
            Escaped(self.to),
            Escaped(self.machine),
            Escaped(self.locale),
        );
        let (m, size, message) = (ns::MACHINE_ID, self.max_envelope_size, urn(self.message));
        let (session, operation) = (urn(self.session), urn(self.operation));
        let timeout = emit_duration(self.timeout);
        format!(
            "<a:To>{to}</a:To>{resource}<m:MachineID xmlns:m=\"{m}\" \
             s:mustUnderstand=\"false\">{machine}</m:MachineID><a:ReplyTo>\
             <a:Address s:mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
             <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{size}</w:MaxEnvelopeSize>\
             <a:MessageID>{message}</a:MessageID>\
             <w:Locale xml:lang=\"{locale}\" s:mustUnderstand=\"false\" />\
             <p:DataLocale xml:lang=\"{locale}\" s:mustUnderstand=\"false\" />\
             <p:SessionId s:mustUnderstand=\"false\">{session}</p:SessionId>\
             <p:OperationID s:mustUnderstand=\"false\">{operation}</p:OperationID>\
             <p:SequenceId s:mustUnderstand=\"false\">1</p:SequenceId>\
             <w:OperationTimeout>{timeout}</w:OperationTimeout>"
        )
    }
}

/// Asks for the subscriptions.
#[must_use]
pub fn enumerate(sender: &Sender<'_>) -> String {
    let body = "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements>\
                </n:Enumerate>";
    to_manager(sender, action::ENUMERATE, body)
}

/// Asks for the subscriptions after those of a response with this [`Page::context`].
#[must_use]
pub fn pull(sender: &Sender<'_>, context: &str) -> String {
    let context = Escaped(context);
    let body = format!(
        "<n:Pull><n:EnumerationContext>{context}</n:EnumerationContext>\
         <n:MaxElements>32000</n:MaxElements></n:Pull>"
    );
    to_manager(sender, action::PULL, &body)
}

/// Ends an enumeration early.
#[must_use]
pub fn release(sender: &Sender<'_>, context: &str) -> String {
    let context = Escaped(context);
    let body =
        format!("<n:Release><n:EnumerationContext>{context}</n:EnumerationContext></n:Release>");
    to_manager(sender, action::RELEASE, &body)
}

fn to_manager(sender: &Sender<'_>, action: &str, body: &str) -> String {
    let resource = format!("<w:ResourceURI s:mustUnderstand=\"true\">{MANAGER}</w:ResourceURI>");
    envelope("sanwpb", &sender.header(&resource, action), body)
}

/// A heartbeat; `reference` is that of [`Offered::reference`].
#[must_use]
pub fn heartbeat(sender: &Sender<'_>, reference: &str) -> String {
    let header = sender.header("", action::HEARTBEAT);
    let header = format!("{header}{reference}<w:AckRequested/>");
    envelope("saewp", &header, "<w:Events></w:Events>")
}

/// A batch of events, each in CDATA. `bookmark` is the position after the last one.
#[must_use]
pub fn events<'a>(
    sender: &Sender<'_>,
    reference: &str,
    bookmark: Option<&str>,
    events: impl IntoIterator<Item = &'a str>,
) -> String {
    let bookmark = bookmark.map_or(String::new(), |b| format!("<w:Bookmark>{b}</w:Bookmark>"));
    let header = sender.header("", action::EVENTS);
    let header = format!("{header}{reference}{bookmark}<w:AckRequested/>");
    let mut body = String::from("<w:Events>");
    for event in events {
        push_event(&mut body, event);
    }
    body.push_str("</w:Events>");
    envelope("saewp", &header, &body)
}

fn push_event(out: &mut String, event: &str) {
    out.extend(["<w:Event Action=\"", action::EVENT, "\"><![CDATA["]);
    let mut pieces = event.split("]]>");
    out.push_str(pieces.next().unwrap_or_default());
    for piece in pieces {
        out.extend(["]]]]><![CDATA[>", piece]);
    }
    out.push_str("]]></w:Event>");
}

/// Ends a subscription because of Windows error `code`.
#[must_use]
pub fn subscription_end(sender: &Sender<'_>, reference: &str, code: u32, message: &str) -> String {
    let header = sender.header("", action::SUBSCRIPTION_END);
    let header = format!("{header}{reference}<w:AckRequested/>");
    let (to, machine, message) = (
        Escaped(sender.to),
        Escaped(sender.machine),
        Escaped(message),
    );
    let (e, f) = (ns::EVENTING, ns::WSMAN_FAULT);
    let t = super::subscribe::EVENT_LOG;
    let body = format!(
        "<e:SubscriptionEnd><e:SubscriptionManager><a:Address>{to}</a:Address>\
         <a:ReferenceProperties>{reference}</a:ReferenceProperties></e:SubscriptionManager>\
         <e:Status>{e}/SourceCancelling</e:Status><f:WSManFault xmlns:f=\"{f}\" Code=\"{code}\" \
         Machine=\"{machine}\"><f:Message><f:ProviderFault provider=\"Unknown provider\" \
         path=\"Unknown path\"><t:ProviderError xmlns:t=\"{t}\">{message}</t:ProviderError>\
         </f:ProviderFault></f:Message></f:WSManFault></e:SubscriptionEnd>"
    );
    envelope("saewp", &header, &body)
}

/// Completes `operation`.
#[must_use]
pub fn end(message: Uuid, operation: Uuid) -> String {
    let (message, operation, action) = (urn(message), urn(operation), action::END);
    let header = format!(
        "<a:To>{ANONYMOUS}</a:To>\
         <w:ResourceURI s:mustUnderstand=\"true\">{FULL_DUPLEX}</w:ResourceURI>\
         <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
         <a:MessageID>{message}</a:MessageID><p:OperationID>{operation}</p:OperationID>"
    );
    envelope("sawp", &header, "")
}

fn envelope(prefixes: &str, header: &str, body: &str) -> String {
    let mut out = String::with_capacity(header.len() + body.len() + 1024);
    out.push_str("<s:Envelope");
    for prefix in prefixes.chars() {
        let uri = match prefix {
            's' => ns::SOAP,
            'a' => ns::ADDRESSING,
            'e' => ns::EVENTING,
            'n' => ns::ENUMERATION,
            'w' => ns::WSMAN,
            'p' => ns::WSMAN_MS,
            _ => ns::CIM_BINDING,
        };
        out.push_str(&format!(" xmlns:{prefix}=\"{uri}\""));
    }
    out.extend(["><s:Header>", header, "</s:Header><s:Body>", body]);
    out.push_str("</s:Body></s:Envelope>");
    out
}

/// A subscription as offered by a collector.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Offered {
    /// Changes with the subscription's content.
    pub version: String,
    /// Its name, for logs.
    pub name: String,
    /// The delivery URL.
    pub notify_to: String,
    /// The header elements to repeat in each delivery, as XML.
    pub reference: String,
    /// Whether events include rendered text.
    pub content_format: ContentFormat,
    /// Whether bodies may be compressed with SLDC.
    pub compression: bool,
    /// Maximum number of events in a batch.
    pub max_elements: Option<u32>,
    /// Maximum size of a delivery in bytes.
    pub max_envelope_size: Option<u32>,
    /// Maximum time by which an event may be delayed.
    pub max_time: Option<Duration>,
    /// Maximum time without a delivery or heartbeat.
    pub heartbeat: Option<Duration>,
    /// The `QueryList` element.
    pub query: String,
    /// Where to start: a bookmark in XML, or a URI such as
    /// [`EARLIEST`](super::subscribe::EARLIEST).
    pub bookmark: Option<String>,
}

/// Some of the subscriptions that a collector offers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// The subscriptions in this response.
    pub offered: Vec<Offered>,
    /// The context for [`pull`]; `None` if there are no more.
    pub context: Option<String>,
}

/// Parses the response to [`enumerate`].
///
/// # Errors
/// A response to another message, a fault, an incomplete subscription, or anything that
/// [`super::parse`] rejects.
pub fn parse_enumerate_response(text: &str, message: Uuid) -> Result<Page, Error> {
    let expected = (action::ENUMERATE_RESPONSE, "EnumerateResponse", ns::WSMAN);
    parse_page(text, message, expected)
}

/// Parses the response to [`pull`].
///
/// # Errors
/// As for [`parse_enumerate_response`].
pub fn parse_pull_response(text: &str, message: Uuid) -> Result<Page, Error> {
    let expected = (action::PULL_RESPONSE, "PullResponse", ns::ENUMERATION);
    parse_page(text, message, expected)
}

/// The two responses have their items and their end in different namespaces.
fn parse_page(
    text: &str,
    message: Uuid,
    (action, name, namespace): (&str, &'static str, &str),
) -> Result<Page, Error> {
    let skeleton = Skeleton::scan(text)?;
    let document = skeleton.document()?;
    let body = answer_body(&document, &skeleton, action, message)?;
    let response = need(body, ns::ENUMERATION, name)?;
    let is_last = child(response, namespace, "EndOfSequence").is_some();
    let context = child(response, ns::ENUMERATION, "EnumerationContext");
    let context = context.map(|context| trimmed_text(context).into_owned());
    let context = context.filter(|context| !is_last && !context.is_empty());
    let items = match (
        child(response, namespace, "Items"),
        is_last || context.is_some(),
    ) {
        (None, false) => return Err(Error::Missing("Items")),
        (items, _) => items,
    };
    let items = items.into_iter().flat_map(|items| items.children());
    let offered = items
        .filter(|item| item.has_tag_name((ns::SUBSCRIPTION, "Subscription")))
        .map(|item| offered(item, &skeleton))
        .collect::<Result<_, _>>()?;
    Ok(Page { offered, context })
}

/// Checks that `text` is the response to our [`release`].
///
/// # Errors
/// It is anything else; if it is a fault, its reason.
pub fn check_release_response(text: &str, message: Uuid) -> Result<(), Error> {
    let skeleton = Skeleton::scan(text)?;
    let document = skeleton.document()?;
    answer_body(&document, &skeleton, action::RELEASE_RESPONSE, message).map(|_| ())
}

/// Checks that `text` is the Ack for our `message`.
///
/// # Errors
/// It is anything else; if it is a fault, its reason.
pub fn check_ack(text: &str, message: Uuid) -> Result<(), Error> {
    let skeleton = Skeleton::scan(text)?;
    let document = skeleton.document()?;
    answer_body(&document, &skeleton, action::ACK, message).map(|_| ())
}

fn answer_body<'a, 'input>(
    document: &'a Document<'input>,
    skeleton: &Skeleton<'_>,
    expected: &str,
    message: Uuid,
) -> Result<Node<'a, 'input>, Error> {
    let envelope = Envelope::of(document)?;
    if let Some(fault) = child(envelope.body, ns::SOAP, "Fault") {
        let reason = child(fault, ns::SOAP, "Reason").unwrap_or(fault);
        return Err(Error::Faulted(events::all_text(reason)));
    }
    let header = Header::parse(envelope.header, skeleton)?;
    if header.action != expected {
        return Err(Error::UnexpectedAction(header.action));
    }
    let relates_to = child(envelope.header, ns::ADDRESSING, "RelatesTo");
    let relates_to = relates_to.map(text).unwrap_or_default();
    if relates_to == urn(message) {
        return Ok(envelope.body);
    }
    let relates_to = relates_to.into_owned();
    Err(Error::Unrelated { relates_to })
}

fn offered(item: Node<'_, '_>, skeleton: &Skeleton<'_>) -> Result<Offered, Error> {
    let version = need(item, ns::SUBSCRIPTION, "Version")?;
    let envelope = need(item, ns::SOAP, "Envelope")?;
    let options = need(envelope, ns::SOAP, "Header")
        .and_then(|header| need(header, ns::WSMAN, "OptionSet"))?;
    let body = need(envelope, ns::SOAP, "Body")?;
    let subscribe = need(body, ns::EVENTING, "Subscribe")?;
    let delivery = need(subscribe, ns::EVENTING, "Delivery")?;
    let notify_to = need(delivery, ns::EVENTING, "NotifyTo")?;
    let query = need(subscribe, ns::WSMAN, "Filter")?.first_element_child();
    let content_format = match option(options, "ContentFormat").as_deref() {
        Some("Raw" | "Events") => ContentFormat::Events,
        _ => ContentFormat::RenderedText,
    };
    let setting = |name| child(delivery, ns::WSMAN, name).map(trimmed_text);
    Ok(Offered {
        version: trimmed_text(version).into_owned(),
        name: option(options, "SubscriptionName")
            .unwrap_or_default()
            .into_owned(),
        notify_to: trimmed_text(need(notify_to, ns::ADDRESSING, "Address")?).into_owned(),
        reference: reference(notify_to, skeleton),
        content_format,
        compression: option(options, "Compression").as_deref() == Some("SLDC"),
        max_elements: setting("MaxElements").and_then(|text| text.parse().ok()),
        max_envelope_size: setting("MaxEnvelopeSize").and_then(|text| text.parse().ok()),
        max_time: setting("MaxTime").and_then(|text| parse_duration(&text)),
        heartbeat: setting("Heartbeats").and_then(|text| parse_duration(&text)),
        query: query.map_or(String::new(), |q| skeleton.standalone(q).into_owned()),
        bookmark: child(subscribe, ns::WSMAN, "Bookmark").map(|b| bookmark(b, skeleton)),
    })
}

fn bookmark(node: Node<'_, '_>, skeleton: &Skeleton<'_>) -> String {
    let element = node.first_element_child();
    element.map_or_else(
        || trimmed_text(node).into_owned(),
        |element| skeleton.standalone(element).into_owned(),
    )
}

/// The reference properties, each of which can be a header of its own.
fn reference(endpoint: Node<'_, '_>, skeleton: &Skeleton<'_>) -> String {
    let holders = endpoint.children().filter(|holder| {
        holder.has_tag_name((ns::ADDRESSING, "ReferenceProperties"))
            || holder.has_tag_name((ns::ADDRESSING, "ReferenceParameters"))
    });
    let properties = holders.flat_map(|holder| holder.children());
    let properties = properties.filter(Node::is_element);
    properties.map(|node| skeleton.standalone(node)).collect()
}

fn option<'a>(options: Node<'a, '_>, name: &str) -> Option<Cow<'a, str>> {
    let mut options = options.children();
    let option = options.find(|option| option.attribute("Name") == Some(name))?;
    Some(text(option))
}

fn need<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &str,
    name: &'static str,
) -> Result<Node<'a, 'input>, Error> {
    child(node, namespace, name).ok_or(Error::Missing(name))
}
