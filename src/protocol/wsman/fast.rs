//! The fast parser: one pass over exactly the envelopes in which Windows delivers events
//! and heartbeats (DSP0226 10.2.9, MS-WSMV 2.2.4).
//!
//! Anything different, wrong, or merely rare gives `None`, and the general parser takes
//! over. Whatever this parser accepts, both parse to equal messages, as the tests
//! ensure. For small batches it needs a tenth of the general parser's time.

use super::soap::{Header, MAX_BOOKMARK, MAX_HEADER_TEXT, ns, parse_duration};
use super::{Body, Message, RawEvent, action};
use crate::base::cursor::{Cursor, InQuotes, InText};
use crate::base::wire::{has_forbidden, trim};

/// Maximum number of events in a batch for this parser: few enough to satisfy all limits of
/// the general one, and more than Windows sends.
const MOST: usize = 2000;

const ROOT: &str = "<s:Envelope";
/// The prefixes of Windows, and the start of each declaration; its URI follows. The first
/// [`USED`] must be declared.
const PREFIXES: [(&str, &str); 7] = [
    (" xmlns:s=\"", ns::SOAP),
    (" xmlns:a=\"", ns::ADDRESSING),
    (" xmlns:w=\"", ns::WSMAN),
    (" xmlns:p=\"", ns::WSMAN_MS),
    (" xmlns:e=\"", ns::EVENTING),
    (" xmlns:n=\"", ns::ENUMERATION),
    (" xmlns:b=\"", ns::CIM_BINDING),
];
/// How many of them occur in the headers and bodies below.
const USED: usize = 4;
const MACHINE_ID: &str = "<m:MachineID \
    xmlns:m=\"http://schemas.microsoft.com/wbem/wsman/1/machineid\" s:mustUnderstand=\"false\">";
const IDENTIFIER: &str =
    "<e:Identifier xmlns:e=\"http://schemas.xmlsoap.org/ws/2004/08/eventing\">";
const EVENT: &str =
    "<w:Event Action=\"http://schemas.dmtf.org/wbem/wsman/1/wsman/Event\"><![CDATA[";
const EVENT_END: &str = "]]></w:Event>";
const END: &str = "</w:Events></s:Body></s:Envelope>";

/// Parses a delivery of the usual form; `is_plain` as in [`super::parse_known`].
pub(super) fn read(text: &str, is_plain: bool) -> Option<Message<'_>> {
    let mut reader = Reader {
        text: Cursor::new(text),
        is_plain,
        has_eventing: false,
    };
    reader.root()?;
    reader.text.expect("<s:Header>")?;
    let header = reader.header()?;
    reader.text.expect("<s:Body><w:Events>")?;
    let events = reader.events()?;
    let body = match header.action.as_str() {
        action::HEARTBEAT if events.is_empty() => Body::Heartbeat,
        action::HEARTBEAT | action::EVENTS => Body::Events(events),
        _ => return None,
    };
    Some(Message { header, body })
}

struct Reader<'a> {
    text: Cursor<'a>,
    is_plain: bool,
    /// Whether the envelope declares the prefix `e`.
    has_eventing: bool,
}

impl<'a> Reader<'a> {
    /// Parses the start tag of the envelope, which declares each prefix at most once, in any
    /// order, and may have a language.
    fn root(&mut self) -> Option<()> {
        self.text.expect(ROOT)?;
        let mut declared = [false; PREFIXES.len()];
        let mut has_language = false;
        while !self.text.eat(">") {
            let is_repeated = if self.text.eat(" xml:lang=\"") {
                self.value("\"")?;
                std::mem::replace(&mut has_language, true)
            } else {
                let is_next = |(start, _): &(&str, &str)| self.text.rest().starts_with(start);
                let place = PREFIXES.iter().position(is_next)?;
                let (start, uri) = PREFIXES.get(place)?;
                self.text.expect(start)?;
                self.text.expect(uri)?;
                self.text.expect("\"")?;
                std::mem::replace(declared.get_mut(place)?, true)
            };
            if is_repeated {
                return None;
            }
        }
        let (used, rest) = declared.split_at_checked(USED)?;
        self.has_eventing = *rest.first()?;
        used.iter().all(|is_declared| *is_declared).then_some(())
    }

    /// Parses the headers, each at most once, in any order.
    fn header(&mut self) -> Option<Header> {
        let mut header = Header::default();
        while !self.text.eat("</s:Header>") {
            self.one_header(&mut header)?;
        }
        let is_whole = !header.action.is_empty() && !header.message_id.is_empty();
        is_whole.then_some(header)
    }

    fn one_header(&mut self, header: &mut Header) -> Option<()> {
        if self.text.eat("<a:To>") {
            self.fill(&mut header.to, "</a:To>")
        } else if self.text.eat(MACHINE_ID) {
            self.fill(&mut header.machine_id, "</m:MachineID>")
        } else if self
            .text
            .eat("<a:ReplyTo><a:Address s:mustUnderstand=\"true\">")
        {
            self.fill(&mut header.reply_to, "</a:Address></a:ReplyTo>")
        } else if self.text.eat("<a:Action s:mustUnderstand=\"true\">") {
            let action = trim(self.text("</a:Action>")?);
            put(&mut header.action, action)
        } else if self.text.eat("<a:MessageID>") {
            let id = self.text("</a:MessageID>")?;
            put(&mut header.message_id, id)
        } else if self.text.eat(IDENTIFIER) || self.has_eventing && self.text.eat("<e:Identifier>")
        {
            self.fill(&mut header.identifier, "</e:Identifier>")
        } else if self.text.eat("<w:") {
            self.wsman_header(header)
        } else if self.text.eat("<p:") {
            self.microsoft_header(header)
        } else {
            None
        }
    }

    /// Parses a WS-Management header.
    fn wsman_header(&mut self, header: &mut Header) -> Option<()> {
        if self.text.eat("MaxEnvelopeSize s:mustUnderstand=\"true\">") {
            let size = trim(self.text("</w:MaxEnvelopeSize>")?).parse().ok()?;
            put_first(&mut header.max_envelope_size, size)
        } else if self.text.eat("Locale xml:lang=\"") {
            let locale = self.value("\" s:mustUnderstand=\"false\" />")?;
            put_first(&mut header.locale, locale.to_owned())
        } else if self.text.eat("OperationTimeout>") {
            let timeout = parse_duration(trim(self.text("</w:OperationTimeout>")?))?;
            put_first(&mut header.operation_timeout, timeout)
        } else if self.text.eat("Bookmark>") {
            let bookmark = self.bookmark()?;
            put_first(&mut header.bookmark, bookmark.to_owned())
        } else {
            header.ack_requested = true;
            self.text.expect("AckRequested/>")
        }
    }

    /// Parses a Microsoft header; only OperationID matters to a collector.
    fn microsoft_header(&mut self, header: &mut Header) -> Option<()> {
        if self.text.eat("OperationID s:mustUnderstand=\"false\">") {
            let id = self.text("</p:OperationID>")?;
            put_first(&mut header.operation_id, id.to_owned())
        } else if self.text.eat("SessionId s:mustUnderstand=\"false\">") {
            self.text("</p:SessionId>").map(drop)
        } else if self.text.eat("SequenceId s:mustUnderstand=\"false\">") {
            self.text("</p:SequenceId>").map(drop)
        } else {
            self.text.expect("DataLocale xml:lang=\"")?;
            self.value("\" s:mustUnderstand=\"false\" />").map(drop)
        }
    }

    fn fill(&mut self, slot: &mut Option<String>, close: &str) -> Option<()> {
        let text = trim(self.text(close)?);
        if text.is_empty() {
            return None;
        }
        put_first(slot, text.to_owned())
    }

    /// The plain text before this end tag.
    fn text(&mut self, close: &str) -> Option<&'a str> {
        let text = self.text.take_before(InText)?;
        self.text.expect(close)?;
        (text.len() <= MAX_HEADER_TEXT).then_some(text)
    }

    /// The plain attribute value before its closing quote and the text that must follow.
    fn value(&mut self, close: &str) -> Option<&'a str> {
        let value = self.text.take_before(InQuotes(b'"'))?;
        self.text.expect(close)?;
        Some(value)
    }

    /// A list of bookmarks, up to the end of the element around it.
    fn bookmark(&mut self) -> Option<&'a str> {
        let start = self.text.rest();
        self.text.expect("<BookmarkList>")?;
        while self.text.eat("<Bookmark Channel=\"") {
            self.value("\" RecordId=\"")?;
            self.value("\"")?;
            self.text.eat(" IsCurrent=\"true\"");
            self.text.expect("/>")?;
        }
        self.text.expect("</BookmarkList>")?;
        let length = start.len().checked_sub(self.text.rest().len())?;
        self.text.expect("</w:Bookmark>")?;
        start.get(..length).filter(|xml| xml.len() <= MAX_BOOKMARK)
    }

    /// The events, and everything after them.
    fn events(&mut self) -> Option<Vec<RawEvent<'a>>> {
        let mut events = Vec::new();
        while self.text.eat(EVENT) {
            let end = section_end(self.text.rest().as_bytes())?;
            let text = self.text.take(end)?;
            self.text.expect(EVENT_END)?;
            let text = trim(text);
            // A forbidden character may affect the other events as well.
            let is_plain = self.is_plain || !has_forbidden(text);
            if !is_plain || text.is_empty() || events.len() >= MOST {
                return None;
            }
            if events.is_empty() {
                events.reserve(self.text.rest().len() / (text.len() + EVENT.len()) + 2);
            }
            events.push(RawEvent::plain(text));
        }
        self.text.expect(END)?;
        self.text.rest().is_empty().then_some(events)
    }
}

/// Where the CDATA section ends whose text is at the front of `bytes`. Brackets are rare in
/// events, so looking for them is fast.
fn section_end(bytes: &[u8]) -> Option<usize> {
    let end = EVENT_END.as_bytes().get(..3)?;
    let mut brackets = memchr::memchr_iter(b']', bytes);
    brackets.find(|at| bytes.get(*at..).is_some_and(|rest| rest.starts_with(end)))
}

/// Sets a value that has not been set; `None` if it has, or if the value is empty, which
/// could not be distinguished.
fn put(slot: &mut String, value: &str) -> Option<()> {
    let is_first = slot.is_empty() && !value.is_empty();
    value.clone_into(slot);
    is_first.then_some(())
}

fn put_first<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    slot.replace(value).is_none().then_some(())
}

#[cfg(test)]
mod tests;
