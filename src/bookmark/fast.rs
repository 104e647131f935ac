//! The fast parser for exactly the lists that Windows sends and this relay writes.
//!
//! Anything different, wrong, or merely rare gives `None`, and the general parser takes
//! over. Whatever this parser accepts, both parse to equal positions, as the tests ensure.

use super::MAX_CHANNELS;
use super::position::{Entry, Position, WEAK};
use crate::base::cursor::{Cursor, InQuotes};

/// The entries of a list, and whether it is marked as backward.
pub(super) fn read(text: &str) -> Option<(Vec<Entry>, bool)> {
    let mut cursor = Cursor::new(text);
    let backward = cursor.eat("<BookmarkList Direction=\"backward\">");
    if !backward {
        cursor.expect("<BookmarkList>")?;
    }
    let mut entries = Vec::new();
    while cursor.eat("<Bookmark Channel=\"") {
        entries.push(read_entry(&mut cursor)?);
        if entries.len() > MAX_CHANNELS {
            return None;
        }
    }
    cursor.expect("</BookmarkList>")?;
    cursor.rest().is_empty().then_some((entries, backward))
}

/// Parses the rest of an entry, from its channel on.
fn read_entry(cursor: &mut Cursor<'_>) -> Option<Entry> {
    let channel = read_value(cursor)?;
    if channel.trim().is_empty() {
        return None;
    }
    cursor.expect(" RecordId=\"")?;
    let record = read_value(cursor)?.parse().ok()?;
    let is_current = cursor.eat(" IsCurrent=\"true\"");
    if !is_current {
        cursor.eat(" IsCurrent=\"false\"");
    }
    let is_weak = cursor.eat(" ") && {
        cursor.expect(WEAK)?;
        cursor.expect("=\"true\"")?;
        true
    };
    cursor.expect("/>")?;
    let channel = channel.to_owned();
    Some(Entry {
        position: Position { channel, record },
        is_current,
        is_weak,
    })
}

/// The plain attribute value before its closing quote.
fn read_value<'a>(cursor: &mut Cursor<'a>) -> Option<&'a str> {
    let value = cursor.take_before(InQuotes(b'"'))?;
    cursor.expect("\"")?;
    Some(value)
}
