//! The content of deliveries: batches of events, and the reason for a SubscriptionEnd
//! (DSP0226 10.2.9, MS-WSMV 2.2.4).

use std::borrow::Cow;
use std::fmt;

use super::Error;
use super::soap::{child, ns};
use super::text;
use super::xml::{self, Room, Skeleton};
use crate::base::xml::{Node, piece, replace_forbidden, text as text_of};

/// One event as the source sent it: unparsed XML text.
///
/// It may contain CR LF and references to characters that XML forbids, which only its own
/// parser can judge. Forbidden characters themselves have already been replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawEvent<'a> {
    /// The text, usually `<Event xmlns='...'>...</Event>`; may be truncated.
    pub xml: Cow<'a, str>,
    /// Whether it contains U+FFFD in place of something that XML forbids.
    pub repaired: bool,
}

impl<'a> RawEvent<'a> {
    pub(super) fn new(xml: Cow<'a, str>) -> Self {
        let repaired = text::has_forbidden(&xml);
        let xml = if repaired {
            let replacement = char::REPLACEMENT_CHARACTER
                .encode_utf8(&mut [0; 4])
                .to_owned();
            Cow::Owned(xml.replace(text::is_forbidden, &replacement))
        } else {
            xml
        };
        Self { xml, repaired }
    }

    /// An event without forbidden characters, which need not be searched.
    pub(super) fn plain(xml: &'a str) -> Self {
        let xml = Cow::Borrowed(xml);
        let repaired = false;
        Self { xml, repaired }
    }

    /// An event of an envelope whose forbidden characters were replaced before parsing. An
    /// event with a U+FFFD of its own counts, too, because the two can no longer be
    /// distinguished.
    pub(super) fn of_cleaned(mut self) -> Self {
        self.repaired |= self.xml.contains(char::REPLACEMENT_CHARACTER);
        self
    }

    /// Copies the text, so that the event outlives the request.
    #[must_use]
    pub fn into_owned(self) -> RawEvent<'static> {
        let xml = Cow::Owned(self.xml.into_owned());
        let repaired = self.repaired;
        RawEvent { xml, repaired }
    }
}

/// Namespace of an event that is in the batch without a frame of its own.
const EVENT: &str = "http://schemas.microsoft.com/win/2004/08/events/event";

/// All items of a batch: events in CDATA, or as elements if CDATA was not requested.
///
/// An Ack confirms that they have been delivered, so nothing may be skipped: neither events
/// in a frame of another namespace or without one, nor elements of another name.
///
/// # Errors
/// The body is not a batch.
pub(super) fn parse<'a>(
    body: Node<'_, '_>,
    skeleton: &Skeleton<'a>,
) -> Result<Vec<RawEvent<'a>>, Error> {
    let mut batch = Batch {
        events: Vec::new(),
        skeleton,
        room: skeleton.room(),
    };
    let mut is_batch = false;
    for part in body.children() {
        match part.tag_name().name() {
            "Events" => {
                part.children().try_for_each(|item| batch.push(item))?;
                is_batch = true;
            }
            "Event" => {
                batch.push(part)?;
                is_batch = true;
            }
            _ if is_blank(part) => {}
            name => return Err(Error::NoBatch(shorten(name))),
        }
    }
    is_batch
        .then_some(batch.events)
        .ok_or(Error::Missing("w:Events"))
}

/// A batch being parsed.
struct Batch<'s, 'a> {
    events: Vec<RawEvent<'a>>,
    skeleton: &'s Skeleton<'a>,
    room: Room,
}

impl<'a> Batch<'_, 'a> {
    fn push(&mut self, item: Node<'_, '_>) -> Result<(), Error> {
        if item.has_tag_name((ns::WSMAN, "Event")) {
            return self.push_framed(item);
        } else if let Some(text) = piece(item) {
            if !is_blank(item) {
                let text = text::trim(text).to_owned();
                self.events.push(RawEvent::new(Cow::Owned(text)));
            }
        } else if item.tag_name().name() == "Event" && !is_event(item) {
            return self.push_framed(item);
        } else if item.has_children() || item.attributes().len() > 0 {
            return self.push_element(item);
        }
        Ok(())
    }

    /// Adds the content of a frame.
    fn push_framed(&mut self, item: Node<'_, '_>) -> Result<(), Error> {
        // Nearly all events arrive like this.
        if let Some(sections) = self.skeleton.sections(item) {
            let texts = sections.map(text::trim).filter(|text| !text.is_empty());
            let events = texts.map(|text| RawEvent::new(Cow::Borrowed(text)));
            self.events.extend(events);
            return Ok(());
        }
        let mut inline = item.children().filter(Node::is_element).peekable();
        if inline.peek().is_none() {
            self.push_text(xml::content(self.skeleton.source_of(item)));
            return Ok(());
        }
        inline.try_for_each(|event| self.push_element(event))?;
        let texts = self.skeleton.beside_elements(item);
        texts.into_iter().for_each(|text| self.push_text(text));
        Ok(())
    }

    /// Adds an element that is an event, and those that it represents in the tree.
    fn push_element(&mut self, event: Node<'_, '_>) -> Result<(), Error> {
        let alone = self.skeleton.each_standalone(event, &mut self.room)?;
        self.events.extend(alone.into_iter().map(RawEvent::new));
        Ok(())
    }

    fn push_text(&mut self, content: &'a str) {
        let text = text::join(content);
        if text.is_empty() {
            return;
        }
        // Joining resolves references, and replaces forbidden ones by U+FFFD.
        let replaced = || matches!(replace_forbidden(content), Cow::Owned(_));
        let joined = matches!(text, Cow::Owned(_)) && replaced();
        let event = RawEvent::new(text);
        self.events
            .push(if joined { event.of_cleaned() } else { event });
    }
}

/// Whether a node is a comment, an instruction, or white space.
fn is_blank(node: Node<'_, '_>) -> bool {
    match piece(node) {
        Some(text) => text::trim(text).is_empty(),
        None => !node.is_element(),
    }
}

/// Whether an element named Event is an event itself rather than a frame.
fn is_event(node: Node<'_, '_>) -> bool {
    let is_system = |child: Node<'_, '_>| child.tag_name().name() == "System";
    node.tag_name().namespace() == Some(EVENT) || node.children().any(is_system)
}

/// Why a source ended a subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SubscriptionEnd {
    /// A URI such as `.../eventing/SourceCancelling`.
    pub status: String,
    /// The Windows error code, if there is one. 5004 and 1818 indicate missing rights to
    /// read a channel, 1717 a shutdown.
    pub code: Option<u32>,
    /// The source's own text; may be empty.
    pub message: String,
}

impl SubscriptionEnd {
    /// Maximum size of the message to keep, in bytes: it goes into one log line.
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

/// All texts below `node`, separated by single spaces.
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

#[cfg(test)]
mod tests;
