//! The fast event parser: one pass over exactly the layout that Windows writes.
//!
//! That layout is `System`, then `EventData` or a flat `UserData`, then `RenderingInfo`,
//! with elements and attributes in the order of Microsoft's event schema. Each of them may
//! be missing. There is no white space between tags, no CDATA section, comment, or
//! processing instruction, and no reference other than character references and the five
//! predefined entities of XML. Any other text, whether malformed or merely unusual, yields
//! `None`, and the caller uses the general parser instead. For every text that this parser
//! accepts, both produce equal events, which the tests verify. It exists for speed: it
//! needs about a tenth of the time of the general parser.

use std::borrow::Cow;

use memchr::memchr;

use super::{Event, LIMITS, Pair, Rendering, Room, trimmed, unnamed};
use crate::base::cursor::{Cursor, InQuotes, InText};
use crate::base::lanes::find;
use crate::base::wire::{is_forbidden, trim};

/// Initial capacity for values. Most events have fewer, so the vector is not reallocated.
const USUAL_DATA: usize = 32;

const ROOT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>";

/// Common prefix of XML's own namespaces, some of which must not be declared (Namespaces in
/// XML 1.0, section 3).
const RESERVED: &str = "http://www.w3.org/";

/// Parses an event in the usual layout; `None` if the general parser must read it.
pub(super) fn read<'a>(xml: &'a str, room: &mut Room) -> Option<Event<'a>> {
    let mut cursor = Cursor::new(trim(xml));
    let most = most(xml);
    cursor.expect(ROOT)?;
    let mut event = Event {
        data: room.take(),
        ..Event::default()
    };
    cursor.expect("<System>")?;
    read_system(&mut cursor, &mut event)?;
    if cursor.eat("<EventData") {
        read_event_data(&mut cursor, most, &mut event)?;
    } else if cursor.eat("<UserData><") {
        read_user_data(&mut cursor, most, &mut event)?;
    }
    if cursor.eat("<RenderingInfo") {
        let most = most.saturating_sub(event.data.len());
        event.rendering = Some(read_rendering(&mut cursor, most)?);
    }
    cursor.expect("</Event>")?;
    cursor.rest().is_empty().then_some(event)
}

/// Maximum number of values and keywords together that this parser accepts. The general parser
/// must accept everything that this one accepts: a value has two nodes of [`LIMITS`], and the
/// rest of an event about 50.
fn most(xml: &str) -> usize {
    LIMITS.most_nodes(xml.len()).saturating_sub(64) / 2
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
        event.event_id = cursor.trimmed_content("</EventID>")?;
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

fn read_event_data<'a>(cursor: &mut Cursor<'a>, most: usize, event: &mut Event<'a>) -> Option<()> {
    event.data_name = Cow::Borrowed(cursor.attribute(" Name='")?);
    if cursor.eat("/>") {
        return Some(());
    }
    cursor.expect(">")?;
    event.data.reserve(USUAL_DATA);
    let mut position = 0;
    while event.data.len() <= most {
        let pair = if let Some(pair) = cursor.named_data() {
            position += 1;
            pair
        } else if cursor.eat("<Data") {
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

/// Parses a single element with its own namespace declaration, whose children contain only
/// text.
fn read_user_data<'a>(cursor: &mut Cursor<'a>, most: usize, event: &mut Event<'a>) -> Option<()> {
    let kind = cursor.name()?;
    event.user_data_name = Cow::Borrowed(kind);
    // The event log declares this prefix and never uses it.
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
    while event.data.len() <= most && !cursor.eat("</") {
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
    // An element without children is itself the value.
    if event.data.is_empty() {
        return None;
    }
    cursor.expect(kind)?;
    cursor.expect("></UserData>")
}

fn read_rendering<'a>(cursor: &mut Cursor<'a>, most: usize) -> Option<Rendering<'a>> {
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
        read_keywords(cursor, most, &mut rendering.keywords)?;
    }
    cursor.expect("</RenderingInfo>")?;
    Some(rendering)
}

fn read_keywords<'a>(
    cursor: &mut Cursor<'a>,
    most: usize,
    keywords: &mut Vec<Cow<'a, str>>,
) -> Option<()> {
    if cursor.eat("/>") {
        return Some(());
    }
    cursor.expect(">")?;
    for _ in 0..most {
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

/// The building blocks of an event. All return `None` for text that the general parser must
/// read.
impl<'a> Cursor<'a> {
    /// A name of ASCII letters, digits, and underscores that begins with a letter.
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

    /// The value of a namespace declaration; `None` for a value that XML may forbid.
    fn namespace(&mut self) -> Option<&'a str> {
        let is_free = |uri: &&str| !uri.is_empty() && !uri.starts_with(RESERVED);
        self.attribute_value().filter(is_free)
    }

    /// The value of an optional attribute; empty if the attribute is missing. `start` is
    /// everything before the value: the space, the name, the equals sign, and the quote.
    #[inline(always)]
    fn attribute(&mut self, start: &str) -> Option<&'a str> {
        if self.eat(start) {
            self.attribute_value()
        } else {
            Some("")
        }
    }

    /// Like [`Self::attribute`], without surrounding white space.
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

    /// Length of an attribute value in bytes. `end` is the offset of its first byte that is
    /// not plain.
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

    /// The usual value: one that has a name, and nothing that must be decoded.
    #[inline(always)]
    fn named_data(&mut self) -> Option<Pair<'a>> {
        let mut next = *self;
        next.expect("<Data Name='")?;
        let name = next.take_before(InQuotes(b'\''))?;
        next.expect("'>")?;
        let value = next.plain()?;
        next.expect("</Data>")?;
        if name.is_empty() {
            return None;
        }
        *self = next;
        Some((Cow::Borrowed(name), Cow::Borrowed(value)))
    }

    /// The text of an optional element without surrounding white space; empty if the
    /// element is missing.
    #[inline(always)]
    fn element(&mut self, open: &str, close: &str) -> Option<Cow<'a, str>> {
        if !self.eat(open) {
            return Some(Cow::Borrowed(""));
        }
        self.trimmed_content(close)
    }

    /// Like [`Self::content`], without surrounding white space.
    #[inline(always)]
    fn trimmed_content(&mut self, close: &str) -> Option<Cow<'a, str>> {
        let start = *self;
        if self.eat(">")
            && let Some(text) = self.plain()
            && self.eat(close)
        {
            return Some(Cow::Borrowed(trim(text)));
        }
        *self = start;
        self.content(close).map(trimmed)
    }

    /// Reads from the end of a start tag through the end tag, and returns the text between.
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

    /// The text up to the next tag, with references resolved.
    #[inline]
    fn text(&mut self) -> Option<Cow<'a, str>> {
        match self.plain() {
            Some(text) => Some(Cow::Borrowed(text)),
            None => self.text_beyond(),
        }
    }

    /// The text up to the next tag, if all of it is plain.
    #[inline]
    fn plain(&mut self) -> Option<&'a str> {
        let bytes = self.rest().as_bytes();
        let end = find(bytes, InText)?;
        match bytes.get(end) {
            Some(b'<') => self.take(end),
            _ => None,
        }
    }

    /// Like [`Self::text`], for text that is not all plain.
    #[cold]
    fn text_beyond(&mut self) -> Option<Cow<'a, str>> {
        let end = self.plain_text(0)?;
        let text = self.take(end)?;
        if self.rest().starts_with('<') {
            Some(Cow::Borrowed(text))
        } else {
            self.decoded_text(text).map(Cow::Owned)
        }
    }

    /// Length in bytes of the text up to a tag, a reference, or a carriage return. The
    /// first `end` bytes are known to be plain.
    fn plain_text(&self, mut end: usize) -> Option<usize> {
        let bytes = self.rest().as_bytes();
        loop {
            end += find(bytes.get(end..)?, InText)?;
            match bytes.get(end..)? {
                [b'<' | b'&' | b'\r', ..] => return Some(end),
                // XML forbids this sequence in text (XML 1.0, section 2.4).
                [b']', b']', b'>', ..] => return None,
                [0xef, next @ ..] if ends_noncharacter(next) => return None,
                [b'\t' | b'\n' | b']' | 0xef, ..] => end += 1,
                _ => return None,
            }
        }
    }

    /// The text up to the next tag, with references resolved and line ends normalized (XML
    /// 1.0, sections 2.11 and 4.1). `plain` is its beginning, which has already been
    /// consumed.
    fn decoded_text(&mut self, plain: &str) -> Option<String> {
        let rest = memchr(b'<', self.rest().as_bytes())?;
        let mut text = String::with_capacity(plain.len().checked_add(rest)?);
        text.push_str(plain);
        while !self.rest().starts_with('<') {
            // The general parser treats a carriage return beside a reference differently.
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
            // References often come one after another.
            if !self.rest().starts_with('&') {
                let plain = self.plain_text(0)?;
                text.push_str(self.take(plain)?);
            }
        }
        Some(text)
    }

    /// Consumes a reference and returns the character that it stands for.
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

/// Whether these are the last two bytes of U+FFFE or U+FFFF, which XML forbids and which
/// begin with 0xEF in UTF-8.
fn ends_noncharacter(bytes: &[u8]) -> bool {
    matches!(bytes, [0xbf, 0xbe | 0xbf, ..])
}

/// The character that the reference at the front stands for, and the length of the
/// reference in bytes. `None` for undefined entities and forbidden characters.
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
    // `from_str_radix` accepts a plus sign, XML does not.
    let code = if digits.starts_with('+') {
        return None;
    } else {
        u32::from_str_radix(digits, radix).ok()?
    };
    char::from_u32(code).filter(|&c| !is_forbidden(c))
}
