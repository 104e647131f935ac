//! The fast reader of exactly the lists that Windows sends and we write.
//!
//! Whatever is otherwise, wrong or merely rare, gives `None`, and the general reader takes
//! over. Where this one accepts, both give equal positions; the tests hold it to that.

use super::MAX_CHANNELS;
use super::position::{Entry, Position, WEAK};
use crate::base::lanes::{ByteClass, Lanes, find};

/// The entries of a list, and whether it points backward.
pub(super) fn read(text: &str) -> Option<(Vec<Entry>, bool)> {
    let mut reader = Reader { rest: text };
    let backward = reader.eat("<BookmarkList Direction=\"backward\">");
    if !backward {
        reader.expect("<BookmarkList>")?;
    }
    let mut entries = Vec::new();
    while reader.eat("<Bookmark Channel=\"") {
        entries.push(reader.entry()?);
        if entries.len() > MAX_CHANNELS {
            return None;
        }
    }
    reader.expect("</BookmarkList>")?;
    reader.rest.is_empty().then_some((entries, backward))
}

/// What has not been read yet.
struct Reader<'a> {
    rest: &'a str,
}

impl<'a> Reader<'a> {
    fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn expect(&mut self, prefix: &str) -> Option<()> {
        self.eat(prefix).then_some(())
    }

    /// The plain value before its closing quote.
    fn value(&mut self) -> Option<&'a str> {
        let end = find(self.rest.as_bytes(), NoValue)?;
        let (value, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        self.expect("\"")?;
        Some(value)
    }

    /// The rest of an entry, from its channel on.
    fn entry(&mut self) -> Option<Entry> {
        let channel = self.value().filter(|name| !name.trim().is_empty())?;
        self.expect(" RecordId=\"")?;
        let record = self.value()?.parse().ok()?;
        let is_current = self.eat(" IsCurrent=\"true\"");
        if !is_current {
            self.eat(" IsCurrent=\"false\"");
        }
        let is_weak = self.eat(" ") && {
            self.expect(WEAK)?;
            self.expect("=\"true\"")?;
            true
        };
        self.expect("/>")?;
        let channel = channel.to_owned();
        Some(Entry {
            position: Position { channel, record },
            is_current,
            is_weak,
        })
    }
}

/// What ends a value in double quotes, or makes it other than plain.
#[derive(Clone, Copy)]
struct NoValue;

impl ByteClass for NoValue {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let markup = bytes.is(b'"') | bytes.is(b'<') | bytes.is(b'&');
        bytes.at_most(b' ' - 1) | markup | bytes.is(0xef)
    }
}
