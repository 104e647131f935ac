//! The fast reader: one pass over exactly the shape that Windows writes.
//!
//! That shape is `System`, at most one `EventData`, at most one
//! `RenderingInfo`, in this order, no white space between tags, plain
//! attributes, no CDATA, comments, or processing instructions, and no
//! references but to characters and the five entities of XML. Whatever is
//! otherwise, wrong or merely rare, gives `None`, and the general reader takes
//! over. Where this one accepts, both give equal events; the tests hold it to
//! that. It exists for speed: a tenth of the time of the general one.

use std::borrow::Cow;

use memchr::{memchr, memchr2, memchr3};

use crate::wire::{contains, is_forbidden, trim};

use super::general::{rendering_field, text_field};
use super::{Event, Rendering, trimmed, unnamed};

/// Elements of an event that this reader takes, well under what the general one does.
const MAX_ELEMENTS: usize = 16_384;

/// Most events have fewer values; saves growing step by step.
const USUAL_DATA: usize = 32;

const ROOT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>";

/// Reads an event of the usual shape.
pub(super) fn read(xml: &str) -> Option<Event<'_>> {
    let mut cursor = Cursor {
        rest: trim(xml),
        elements: 0,
    };
    cursor.expect(ROOT)?;
    if has_unusual(xml) {
        return None;
    }
    let mut event = Event::default();
    cursor.expect("<System>")?;
    read_system(&mut cursor, &mut event)?;
    if cursor.at("<EventData") {
        read_event_data(&mut cursor, &mut event)?;
    }
    if cursor.at("<RenderingInfo") {
        event.rendering = Some(read_rendering(&mut cursor)?);
    }
    cursor.expect("</Event>")?;
    cursor.rest.is_empty().then_some(event)
}

/// Whether there may be characters that XML forbids, or `]]>`, which it forbids
/// in text. Errs on the side of yes.
fn has_unusual(xml: &str) -> bool {
    // No early exit, so that the compiler can take many bytes at a time.
    let (mut control, mut maybe_noncharacter) = (false, false);
    for &byte in xml.as_bytes() {
        control |= (byte < b' ') & (byte != b'\t') & (byte != b'\n') & (byte != b'\r');
        maybe_noncharacter |= byte == 0xef;
    }
    let noncharacter = || xml.contains(['\u{fffe}', '\u{ffff}']);
    control || (maybe_noncharacter && noncharacter()) || contains(xml, "]]>")
}

fn read_system<'a>(cursor: &mut Cursor<'a>, event: &mut Event<'a>) -> Option<()> {
    while !cursor.eat("</System>") {
        let element = cursor.open()?;
        match element {
            "Provider" => cursor.only_attributes(element, |name, value| match name {
                "Name" => set(&mut event.provider, value),
                "Guid" => set(&mut event.provider_guid, value),
                "EventSourceName" => set(&mut event.event_source_name, value),
                _ => None,
            })?,
            "EventID" => {
                let qualifiers = cursor.attribute("Qualifiers")?;
                set(&mut event.qualifiers, qualifiers)?;
                set(&mut event.event_id, cursor.text(element)?)?;
            }
            "TimeCreated" => cursor.only_attributes(element, |name, value| match name {
                "SystemTime" => set(&mut event.time_created, value),
                _ => None,
            })?,
            "Correlation" => cursor.only_attributes(element, |name, value| match name {
                "ActivityID" => set(&mut event.activity_id, value),
                "RelatedActivityID" => set(&mut event.related_activity_id, value),
                _ => None,
            })?,
            "Execution" => cursor.only_attributes(element, |name, value| match name {
                "ProcessID" => set(&mut event.process_id, value),
                "ThreadID" => set(&mut event.thread_id, value),
                _ => None,
            })?,
            "Security" => cursor.only_attributes(element, |name, value| match name {
                "UserID" => set(&mut event.user_id, value),
                _ => None,
            })?,
            _ => {
                let field = text_field(event, element)?;
                set(field, cursor.text(element)?)?;
            }
        }
    }
    Some(())
}

fn read_event_data<'a>(cursor: &mut Cursor<'a>, event: &mut Event<'a>) -> Option<()> {
    cursor.expect("<EventData")?;
    event.data_name = cursor.attribute("Name")?;
    if cursor.eat("/>") {
        return Some(());
    }
    cursor.expect(">")?;
    event.data.reserve(USUAL_DATA);
    let mut position = 0;
    while !cursor.eat("</EventData>") {
        let element = cursor.open()?;
        let name = match element {
            "Data" => cursor.attribute("Name")?,
            "Binary" => Cow::Borrowed("Binary"),
            _ => return None,
        };
        let name = if name.is_empty() {
            unnamed(position)
        } else {
            name
        };
        position += usize::from(element == "Data");
        event.data.push((name, cursor.text(element)?));
    }
    Some(())
}

fn read_rendering<'a>(cursor: &mut Cursor<'a>) -> Option<Rendering<'a>> {
    let mut rendering = Rendering::default();
    cursor.expect("<RenderingInfo")?;
    set(&mut rendering.culture, cursor.attribute("Culture")?)?;
    cursor.expect(">")?;
    while !cursor.eat("</RenderingInfo>") {
        let element = cursor.open()?;
        if element == "Message" && rendering.message.is_empty() {
            rendering.message = cursor.text(element)?;
        } else if element == "Keywords" {
            read_keywords(cursor, &mut rendering.keywords)?;
        } else {
            let field = rendering_field(&mut rendering, element)?;
            set(field, cursor.text(element)?)?;
        }
    }
    Some(rendering)
}

fn read_keywords<'a>(cursor: &mut Cursor<'a>, keywords: &mut Vec<Cow<'a, str>>) -> Option<()> {
    if cursor.eat("/>") {
        return Some(());
    }
    cursor.expect(">")?;
    while !cursor.eat("</Keywords>") {
        cursor.expect("<Keyword")?;
        let keyword = trimmed(cursor.text("Keyword")?);
        if !keyword.is_empty() {
            keywords.push(keyword);
        }
        cursor.count()?;
    }
    Some(())
}

/// Sets a field that has nothing yet; a second value is not the usual shape.
fn set<'a>(field: &mut Cow<'a, str>, value: Cow<'a, str>) -> Option<()> {
    if !field.is_empty() {
        return None;
    }
    *field = trimmed(value);
    Some(())
}

/// What has not been read yet.
struct Cursor<'a> {
    rest: &'a str,
    elements: usize,
}

impl<'a> Cursor<'a> {
    fn at(&self, prefix: &str) -> bool {
        self.rest.starts_with(prefix)
    }

    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, prefix: &str) -> Option<()> {
        self.eat(prefix).then_some(())
    }

    /// Takes up to `length` bytes.
    fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    fn count(&mut self) -> Option<()> {
        self.elements += 1;
        (self.elements <= MAX_ELEMENTS).then_some(())
    }

    /// The name in a start tag; attributes or its end come next.
    fn open(&mut self) -> Option<&'a str> {
        self.expect("<")?;
        self.count()?;
        let end = self
            .rest
            .bytes()
            .position(|byte| !byte.is_ascii_alphabetic())?;
        self.take(end)
    }

    /// One attribute, if there is any: name and value.
    fn next_attribute(&mut self) -> Option<Option<(&'a str, Cow<'a, str>)>> {
        if !self.eat(" ") {
            return Some(None);
        }
        let end = self
            .rest
            .bytes()
            .position(|byte| !byte.is_ascii_alphabetic())?;
        let name = self.take(end)?;
        self.expect("='")?;
        let value = self.take(memchr(b'\'', self.rest.as_bytes())?)?;
        self.expect("'")?;
        // An empty value could come twice without being seen.
        let odd =
            |byte: u8| (byte == b'&') | (byte == b'<') | matches!(byte, b'\t' | b'\n' | b'\r');
        // No early exit, so that many bytes are taken at a time.
        let usual = !value.is_empty() && !value.bytes().fold(false, |any, byte| any | odd(byte));
        usual.then_some(Some((name, Cow::Borrowed(value))))
    }

    /// The value of the only attribute that may come here; empty if it does not.
    fn attribute(&mut self, expected: &str) -> Option<Cow<'a, str>> {
        match self.next_attribute()? {
            None => Some(Cow::Borrowed("")),
            Some((name, value)) => (name == expected).then_some(value),
        }
    }

    /// An element without content: each attribute goes to `set`.
    fn only_attributes(
        &mut self,
        element: &str,
        mut set: impl FnMut(&'a str, Cow<'a, str>) -> Option<()>,
    ) -> Option<()> {
        while let Some((name, value)) = self.next_attribute()? {
            set(name, value)?;
        }
        self.text(element)?.is_empty().then_some(())
    }

    /// The text from the end of the start tag through the end tag.
    fn text(&mut self, element: &str) -> Option<Cow<'a, str>> {
        if self.eat("/>") {
            return Some(Cow::Borrowed(""));
        }
        self.expect(">")?;
        let first = memchr3(b'<', b'&', b'\r', self.rest.as_bytes())?;
        let more = memchr(b'<', self.rest.as_bytes().get(first..)?)?;
        let text = self.take(first.checked_add(more)?)?;
        self.expect("</")?;
        self.expect(element)?;
        self.expect(">")?;
        match more {
            0 => Some(Cow::Borrowed(text)),
            _ => decode(text),
        }
    }
}

/// References and line ends resolved (XML 1.0, 2.11 and 4.1).
fn decode(text: &str) -> Option<Cow<'_, str>> {
    let Some(mut at) = memchr2(b'&', b'\r', text.as_bytes()) else {
        return Some(Cow::Borrowed(text));
    };
    let mut result = String::with_capacity(text.len());
    let mut rest = text;
    loop {
        let (plain, special) = rest.split_at_checked(at)?;
        result.push_str(plain);
        if let Some(after) = special.strip_prefix('\r') {
            result.push('\n');
            rest = after.strip_prefix('\n').unwrap_or(after);
            // The general reader has its own opinion on a return beside a reference.
            if rest.starts_with('&') && !special.starts_with("\r\n") {
                return None;
            }
        } else {
            let (c, after) = reference(special)?;
            result.push(c);
            rest = after;
            if rest.starts_with('\r') {
                return None;
            }
        }
        match memchr2(b'&', b'\r', rest.as_bytes()) {
            Some(next) => at = next,
            None => break,
        }
    }
    result.push_str(rest);
    Some(Cow::Owned(result))
}

/// The character that the reference at the front stands for, and what follows.
fn reference(text: &str) -> Option<(char, &str)> {
    let (name, _) = text.as_bytes().split_at_checked(text.len().min(12))?;
    let end = memchr(b';', name)?;
    let name = text.get(1..end)?;
    let after = text.get(end.checked_add(1)?..)?;
    let c = match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "apos" => '\'',
        "quot" => '"',
        _ => numbered(name.strip_prefix('#')?)?,
    };
    Some((c, after))
}

fn numbered(number: &str) -> Option<char> {
    let (digits, radix) = match number.strip_prefix('x') {
        Some(hex) => (hex, 16),
        None => (number, 10),
    };
    // `from_str_radix` would take a sign.
    let code = match digits.starts_with('+') {
        true => return None,
        false => u32::from_str_radix(digits, radix).ok()?,
    };
    char::from_u32(code).filter(|&c| !is_forbidden(c))
}
