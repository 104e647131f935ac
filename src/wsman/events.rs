//! What a delivery holds: batches of events, and the reason of an end
//! (DSP0226 10.2.9, MS-WSMV 2.2.4).

use std::borrow::Cow;
use std::fmt;

use crate::xml::{Node, piece, text as text_of};

use super::soap::{child, ns};
use super::text;
use super::xml::{self, Skeleton};

/// One event as the source sent it: XML text, not looked into.
///
/// It may hold CR LF and references to characters that XML forbids, which only
/// its own parser can judge ([`text::clean`]); forbidden characters themselves
/// are replaced already.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// The text, usually `<Event xmlns='...'>...</Event>`; may be cut off.
    pub xml: Cow<'a, str>,
}

impl<'a> RawEvent<'a> {
    fn new(xml: Cow<'a, str>) -> Self {
        let forbidden = text::has_forbidden(&xml);
        let xml = if forbidden {
            Cow::Owned(text::clean(&xml).into_owned())
        } else {
            xml
        };
        Self { xml }
    }

    /// The event with a text of its own.
    #[must_use]
    pub fn into_owned(self) -> RawEvent<'static> {
        let xml = Cow::Owned(self.xml.into_owned());
        RawEvent { xml }
    }
}

/// The events of `w:Events`: CDATA, or elements where CDATA was not asked for.
pub(super) fn parse<'a>(body: Node<'_, '_>, skeleton: &Skeleton<'a>) -> Vec<RawEvent<'a>> {
    let items = child(body, ns::WSMAN, "Events");
    let items = items.iter().flat_map(Node::children);
    let mut events = Vec::new();
    for item in items.filter(|item| item.has_tag_name((ns::WSMAN, "Event"))) {
        push_events(&mut events, item, skeleton);
    }
    events
}

fn push_events<'a>(events: &mut Vec<RawEvent<'a>>, item: Node<'_, '_>, skeleton: &Skeleton<'a>) {
    let mut inline = item.children().filter(Node::is_element).peekable();
    if inline.peek().is_some() {
        events.extend(inline.map(|event| RawEvent::new(skeleton.standalone(event))));
        return;
    }
    let text = text::join(xml::content(skeleton.source_of(item)));
    if !text.is_empty() {
        events.push(RawEvent::new(text));
    }
}

/// Why a source gave a subscription up: a trouble report, not a delivery.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionEnd {
    /// A URI such as `.../eventing/SourceCancelling`.
    pub status: String,
    /// The Windows error, if one is named: 5004 and 1818 point at missing
    /// rights to read a channel, 1717 comes with a shutdown.
    pub code: Option<u32>,
    /// The source's own words; may be empty.
    pub message: String,
}

impl SubscriptionEnd {
    /// Longest message kept, in bytes: it goes into one log line.
    pub const MAX_MESSAGE: usize = 1024;

    pub(super) fn parse(end: Node<'_, '_>) -> Self {
        let status = child(end, ns::EVENTING, "Status").map(text_of);
        let fault = child(end, ns::WSMAN_FAULT, "WSManFault");
        let code = fault.and_then(|fault| fault.attribute("Code"));
        Self {
            status: shorten(text::trim(&status.unwrap_or_default())),
            code: code.and_then(|code| code.parse().ok()),
            message: fault.map(all_text).unwrap_or_default(),
        }
    }
}

impl fmt::Display for SubscriptionEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let status = self.status.rsplit('/').next().unwrap_or_default();
        write!(f, "{status}")?;
        if let Some(code) = self.code {
            write!(f, ", error {code}")?;
        }
        if !self.message.is_empty() {
            write!(f, ", {:?}", self.message)?;
        }
        Ok(())
    }
}

/// All texts below `node`, one space between them.
pub(super) fn all_text(node: Node<'_, '_>) -> String {
    let words = node.descendants().filter_map(piece).map(text::trim);
    let words: Vec<_> = words.filter(|word| !word.is_empty()).collect();
    shorten(&words.join(" "))
}

fn shorten(text: &str) -> String {
    let fits = |at: &usize| text.is_char_boundary(*at);
    let end = (0..=SubscriptionEnd::MAX_MESSAGE.min(text.len())).rfind(fits);
    text.get(..end.unwrap_or(0)).unwrap_or_default().to_owned()
}
