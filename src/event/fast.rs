//! The fast reader: one pass over exactly the shape that Windows writes.
//!
//! That shape is `System`, then `EventData` or a flat `UserData`, then `RenderingInfo`,
//! with their elements and attributes in the order of Microsoft's schema. Any of them may
//! be missing; there is no white space between tags, no CDATA, comments, or processing
//! instructions, and no references but to characters and the five entities of XML.
//! Whatever is otherwise, wrong or merely rare, gives `None`, and the general reader takes
//! over. Where this one accepts, both give equal events; the tests hold it to that. It
//! exists for speed: a tenth of the time of the general one.

use std::borrow::Cow;

use memchr::memchr;

use super::{Event, Rendering, trimmed, unnamed};
use crate::base::cursor::{Cursor, InQuotes, InText};
use crate::base::lanes::find;
use crate::base::wire::{is_forbidden, trim};

/// Values of an event that this reader takes, and keywords: with their names just within
/// the limit of the general one.
const MOST: usize = 8_000;

/// Most events have fewer values; saves growing step by step.
const USUAL_DATA: usize = 32;

const ROOT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>";

/// Namespaces of XML itself, some of which may not be declared, begin so.
const RESERVED: &str = "http://www.w3.org/";

/// Reads an event of the usual shape.
pub(super) fn read(xml: &str) -> Option<Event<'_>> {
    let mut cursor = Cursor::new(trim(xml));
    cursor.expect(ROOT)?;
    let mut event = Event::default();
    cursor.expect("<System>")?;
    read_system(&mut cursor, &mut event)?;
    if cursor.eat("<EventData") {
        read_event_data(&mut cursor, &mut event)?;
    } else if cursor.eat("<UserData><") {
        read_user_data(&mut cursor, &mut event)?;
    }
    if cursor.eat("<RenderingInfo") {
        event.rendering = Some(read_rendering(&mut cursor)?);
    }
    cursor.expect("</Event>")?;
    cursor.rest().is_empty().then_some(event)
}

fn read_system<'a>(cursor: &mut Cursor<'a>, event: &mut Event<'a>) -> Option<()> {
    if cursor.eat("<Provider") {
        event.provider = cursor.word(" Name='")?;
        event.provider_guid = cursor.word(" Guid='")?;
        event.event_source_name = cursor.word(" EventSourceName='")?;
        cursor.expect("/>")?;
    }
    if cursor.eat("<EventID") {
        event.qualifiers = cursor.word(" Qualifiers='")?;
        event.event_id = trimmed(cursor.content("</EventID>")?);
    }
    event.version = cursor.element("<Version", "</Version>")?;
    event.level = cursor.element("<Level", "</Level>")?;
    event.task = cursor.element("<Task", "</Task>")?;
    event.opcode = cursor.element("<Opcode", "</Opcode>")?;
    event.keywords = cursor.element("<Keywords", "</Keywords>")?;
    if cursor.eat("<TimeCreated") {
        event.time_created = cursor.word(" SystemTime='")?;
        cursor.expect("/>")?;
    }
    event.record_id = cursor.element("<EventRecordID", "</EventRecordID>")?;
    if cursor.eat("<Correlation") {
        event.activity_id = cursor.word(" ActivityID='")?;
        event.related_activity_id = cursor.word(" RelatedActivityID='")?;
        cursor.expect("/>")?;
    }
    if cursor.eat("<Execution") {
        event.process_id = cursor.word(" ProcessID='")?;
        event.thread_id = cursor.word(" ThreadID='")?;
        cursor.expect("/>")?;
    }
    event.channel = cursor.element("<Channel", "</Channel>")?;
    event.computer = cursor.element("<Computer", "</Computer>")?;
    if cursor.eat("<Security") {
        event.user_id = cursor.word(" UserID='")?;
        cursor.expect("/>")?;
    }
    cursor.expect("</System>")
}

fn read_event_data<'a>(cursor: &mut Cursor<'a>, event: &mut Event<'a>) -> Option<()> {
    event.data_name = Cow::Borrowed(cursor.attribute(" Name='")?);
    if cursor.eat("/>") {
        return Some(());
    }
    cursor.expect(">")?;
    event.data.reserve(USUAL_DATA);
    let mut position = 0;
    while event.data.len() <= MOST {
        let pair = if cursor.eat("<Data") {
            let name = match cursor.attribute(" Name='")? {
                "" => unnamed(position),
                name => Cow::Borrowed(name),
            };
            position += 1;
            (name, cursor.content("</Data>")?)
        } else if cursor.eat("<Binary") {
            (Cow::Borrowed("Binary"), cursor.content("</Binary>")?)
        } else {
            return cursor.expect("</EventData>");
        };
        event.data.push(pair);
    }
    None
}

/// One element with a namespace of its own, and in it elements that hold text only.
fn read_user_data<'a>(cursor: &mut Cursor<'a>, event: &mut Event<'a>) -> Option<()> {
    let kind = cursor.name()?;
    event.user_data_name = Cow::Borrowed(kind);
    // Declared by the system, and never used.
    if cursor.eat(" xmlns:auto-ns") {
        cursor.digit()?;
        cursor.expect("='")?;
        cursor.namespace()?;
    }
    if cursor.eat(" xmlns='") {
        cursor.namespace()?;
    }
    cursor.expect(">")?;
    event.data.reserve(USUAL_DATA);
    while event.data.len() <= MOST && !cursor.eat("</") {
        cursor.expect("<")?;
        let name = cursor.name()?;
        let text = if cursor.eat("/>") {
            Cow::Borrowed("")
        } else {
            cursor.expect(">")?;
            let text = cursor.text()?;
            cursor.expect("</")?;
            cursor.expect(name)?;
            cursor.expect(">")?;
            text
        };
        event.data.push((Cow::Borrowed(name), text));
    }
    // Without any, it is a value itself.
    if event.data.is_empty() {
        return None;
    }
    cursor.expect(kind)?;
    cursor.expect("></UserData>")
}

fn read_rendering<'a>(cursor: &mut Cursor<'a>) -> Option<Rendering<'a>> {
    let mut rendering = Rendering {
        culture: cursor.word(" Culture='")?,
        ..Rendering::default()
    };
    cursor.expect(">")?;
    if cursor.eat("<Message") {
        rendering.message = cursor.content("</Message>")?;
    }
    rendering.level = cursor.element("<Level", "</Level>")?;
    rendering.task = cursor.element("<Task", "</Task>")?;
    rendering.opcode = cursor.element("<Opcode", "</Opcode>")?;
    rendering.channel = cursor.element("<Channel", "</Channel>")?;
    rendering.provider = cursor.element("<Provider", "</Provider>")?;
    if cursor.eat("<Keywords") {
        read_keywords(cursor, &mut rendering.keywords)?;
    }
    cursor.expect("</RenderingInfo>")?;
    Some(rendering)
}

fn read_keywords<'a>(cursor: &mut Cursor<'a>, keywords: &mut Vec<Cow<'a, str>>) -> Option<()> {
    if cursor.eat("/>") {
        return Some(());
    }
    cursor.expect(">")?;
    for _ in 0..MOST {
        if !cursor.eat("<Keyword") {
            return cursor.expect("</Keywords>");
        }
        let keyword = trimmed(cursor.content("</Keyword>")?);
        if !keyword.is_empty() {
            keywords.push(keyword);
        }
    }
    None
}

/// What the parts of an event are made of.
impl<'a> Cursor<'a> {
    /// A name of plain letters and digits.
    fn name(&mut self) -> Option<&'a str> {
        let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || *byte == b'_';
        let bytes = self.rest().as_bytes();
        let starts = bytes.first().is_some_and(u8::is_ascii_alphabetic);
        let end = bytes.iter().position(|byte| !is_plain(byte))?;
        self.take(end).filter(|_| starts)
    }

    fn digit(&mut self) -> Option<&'a str> {
        let is_digit = |text: &&str| text.bytes().all(|byte| byte.is_ascii_digit());
        self.take(1).filter(is_digit)
    }

    /// The value of a declaration; none where it may be one that XML forbids.
    fn namespace(&mut self) -> Option<&'a str> {
        let is_free = |uri: &&str| !uri.is_empty() && !uri.starts_with(RESERVED);
        self.attribute_value().filter(is_free)
    }

    /// The value of the attribute that may come here; empty if it does not. `start` is all
    /// that stands before the value.
    #[inline(always)]
    fn attribute(&mut self, start: &str) -> Option<&'a str> {
        if self.eat(start) {
            self.attribute_value()
        } else {
            Some("")
        }
    }

    /// The same without white space around it.
    #[inline(always)]
    fn word(&mut self, start: &str) -> Option<Cow<'a, str>> {
        self.attribute(start)
            .map(|value| Cow::Borrowed(trim(value)))
    }

    #[inline]
    fn attribute_value(&mut self) -> Option<&'a str> {
        let bytes = self.rest().as_bytes();
        let end = find(bytes, InQuotes(b'\''))?;
        let end = match bytes.get(end) {
            Some(b'\'') => end,
            _ => self.attribute_beyond(end)?,
        };
        let value = self.take(end)?;
        self.expect("'")?;
        Some(value)
    }

    /// Length of a value with something special at `end`.
    #[cold]
    fn attribute_beyond(&self, mut end: usize) -> Option<usize> {
        let bytes = self.rest().as_bytes();
        loop {
            match bytes.get(end..)? {
                [b'\'', ..] => return Some(end),
                [0xef, next @ ..] if !ends_noncharacter(next) => end += 1,
                _ => return None,
            }
            end += find(bytes.get(end..)?, InQuotes(b'\''))?;
        }
    }

    /// The text of the element that may come here, without white space around it; empty if
    /// it does not.
    #[inline(always)]
    fn element(&mut self, open: &str, close: &str) -> Option<Cow<'a, str>> {
        if self.eat(open) {
            self.content(close).map(trimmed)
        } else {
            Some(Cow::Borrowed(""))
        }
    }

    /// The text from the end of the start tag through the end tag.
    #[inline(always)]
    fn content(&mut self, close: &str) -> Option<Cow<'a, str>> {
        if self.eat(">") {
            let text = self.text()?;
            self.expect(close)?;
            return Some(text);
        }
        self.expect("/>")?;
        Some(Cow::Borrowed(""))
    }

    /// The text up to the next tag.
    #[inline]
    fn text(&mut self) -> Option<Cow<'a, str>> {
        let bytes = self.rest().as_bytes();
        let end = find(bytes, InText)?;
        match bytes.get(end) {
            Some(b'<') => self.take(end).map(Cow::Borrowed),
            _ => self.text_beyond(end),
        }
    }

    /// The same with something special at `end`.
    #[cold]
    fn text_beyond(&mut self, end: usize) -> Option<Cow<'a, str>> {
        let end = self.plain_text(end)?;
        let text = self.take(end)?;
        if self.rest().starts_with('<') {
            Some(Cow::Borrowed(text))
        } else {
            self.decoded_text(text).map(Cow::Owned)
        }
    }

    /// Length of the text up to a tag, a reference or a return; `end` bytes of it are known
    /// to be plain.
    fn plain_text(&self, mut end: usize) -> Option<usize> {
        let bytes = self.rest().as_bytes();
        loop {
            end += find(bytes.get(end..)?, InText)?;
            match bytes.get(end..)? {
                [b'<' | b'&' | b'\r', ..] => return Some(end),
                // XML forbids it in text.
                [b']', b']', b'>', ..] => return None,
                [0xef, next @ ..] if ends_noncharacter(next) => return None,
                [b'\t' | b'\n' | b']' | 0xef, ..] => end += 1,
                _ => return None,
            }
        }
    }

    /// The text up to the next tag, which begins with `plain`; references and line ends
    /// resolved (XML 1.0, 2.11 and 4.1).
    fn decoded_text(&mut self, plain: &str) -> Option<String> {
        let rest = memchr(b'<', self.rest().as_bytes())?;
        let mut text = String::with_capacity(plain.len().checked_add(rest)?);
        text.push_str(plain);
        while !self.rest().starts_with('<') {
            // The general reader has its own opinion on a return beside a reference.
            if self.eat("\r\n") {
                text.push('\n');
            } else if self.eat("\r") {
                text.push('\n');
                if self.rest().starts_with('&') {
                    return None;
                }
            } else {
                text.push(self.reference()?);
                if self.rest().starts_with('\r') {
                    return None;
                }
            }
            let plain = self.plain_text(0)?;
            text.push_str(self.take(plain)?);
        }
        Some(text)
    }

    /// The character that a reference stands for.
    fn reference(&mut self) -> Option<char> {
        let (c, length) = match self.rest().as_bytes() {
            [b'&', b'#', b'1', b'0', b';', ..] => ('\n', 5),
            [b'&', b'#', b'1', b'3', b';', ..] => ('\r', 5),
            [b'&', b'#', b'9', b';', ..] => ('\t', 4),
            [b'&', b'l', b't', b';', ..] => ('<', 4),
            [b'&', b'g', b't', b';', ..] => ('>', 4),
            [b'&', b'a', b'm', b'p', b';', ..] => ('&', 5),
            _ => rare_reference(self.rest())?,
        };
        self.take(length)?;
        Some(c)
    }
}

/// Whether the second and third byte of a character that begins with 0xEF make it U+FFFE or
/// U+FFFF, which XML forbids.
fn ends_noncharacter(bytes: &[u8]) -> bool {
    matches!(bytes, [0xbf, 0xbe | 0xbf, ..])
}

/// The character that the reference at the front stands for, and its length.
fn rare_reference(text: &str) -> Option<(char, usize)> {
    let (name, _) = text.as_bytes().split_at_checked(text.len().min(12))?;
    let end = memchr(b';', name)?;
    let c = match text.get(1..end)? {
        "apos" => '\'',
        "quot" => '"',
        name => numbered(name.strip_prefix('#')?)?,
    };
    Some((c, end.checked_add(1)?))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    let code = if digits.starts_with('+') {
        return None;
    } else {
        u32::from_str_radix(digits, radix).ok()?
    };
    char::from_u32(code).filter(|&c| !is_forbidden(c))
}
