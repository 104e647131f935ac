//! `BookmarkList`: the positions that a source sends, and the canonical form in which this
//! relay writes them.

use std::fmt::Write;

use super::position::{Entry, Position, WEAK};
use super::{Error, MAX_BOOKMARK_BYTES, MAX_CHANNEL_CHARS, MAX_CHANNELS, fast};
use crate::base::xml::{self, Limits, Node};

/// The positions of a `BookmarkList`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Bookmark {
    backward: bool,
    /// In the source's order; each channel occurs once, ignoring case.
    positions: Vec<Position>,
    /// Index of the channel of the last event that was read.
    current: Option<usize>,
}

impl Bookmark {
    /// Reads a bookmark. Only its positions are kept: everything around and between them is
    /// dropped, and so is a `Bookmark` without a usable channel or record ID. If a channel
    /// occurs twice, the higher record ID counts.
    ///
    /// ```
    /// use wecrelay::bookmark::Bookmark;
    /// let xml = r#"<BookmarkList> <Bookmark RecordId='149161' Channel='X'/><!-- --></BookmarkList>"#;
    /// let bookmark = Bookmark::parse(xml).unwrap();
    /// assert_eq!(bookmark.position("x"), Some(149_161));
    /// assert_eq!(
    ///     bookmark.to_xml(),
    ///     r#"<BookmarkList><Bookmark Channel="X" RecordId="149161" IsCurrent="false"/></BookmarkList>"#
    /// );
    /// ```
    ///
    /// # Errors
    /// Too long, too many channels, not well formed, with a DTD, or not a `BookmarkList`.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.len() > MAX_BOOKMARK_BYTES {
            return Err(Error::TooLong { length: text.len() });
        }
        let mut bookmark = Self::default();
        bookmark.backward = read(text, |entry| {
            bookmark.add(entry.position, entry.is_current);
        })?;
        bookmark.check()?;
        Ok(bookmark)
    }

    fn add(&mut self, position: Position, is_current: bool) {
        let at = match index(&self.positions, &position.channel) {
            Some(at) => {
                if let Some(known) = self.positions.get_mut(at) {
                    known.record = known.record.max(position.record);
                }
                at
            }
            None => {
                self.positions.push(position);
                self.positions.len() - 1
            }
        };
        if is_current && self.current.is_none() {
            self.current = Some(at);
        }
    }

    fn check(&self) -> Result<(), Error> {
        let count = self.positions.len();
        if count > MAX_CHANNELS {
            return Err(Error::TooManyChannels { count });
        }
        let lengths = self.positions.iter().map(|p| p.channel.chars().count());
        match lengths.max().filter(|longest| *longest > MAX_CHANNEL_CHARS) {
            Some(length) => Err(Error::ChannelTooLong { length }),
            None => Ok(()),
        }
    }

    /// The list in canonical form, which [`Bookmark::parse`] parses to an equal value.
    #[must_use]
    pub fn to_xml(&self) -> String {
        let mut xml = String::new();
        xml.push_str(if self.backward {
            "<BookmarkList Direction=\"backward\">"
        } else {
            "<BookmarkList>"
        });
        for (at, position) in self.positions.iter().enumerate() {
            push(&mut xml, position, self.current == Some(at), "");
        }
        xml.push_str("</BookmarkList>");
        xml
    }

    /// Whether it has `Direction="backward"`: then it is the end of the log, not what was
    /// read.
    #[must_use]
    pub fn is_backward(&self) -> bool {
        self.backward
    }

    /// Its channels with their record ids, in the source's order.
    #[must_use]
    pub fn positions(&self) -> &[Position] {
        &self.positions
    }

    /// The record id of `channel`, compared ignoring case.
    #[must_use]
    pub fn position(&self, channel: &str) -> Option<u64> {
        let at = index(&self.positions, channel)?;
        self.positions.get(at).map(|position| position.record)
    }

    /// The channel of the last event that was read (`IsCurrent="true"`).
    #[must_use]
    pub fn current_channel(&self) -> Option<&str> {
        let current = self.positions.get(self.current?)?;
        Some(&current.channel)
    }
}

fn index(positions: &[Position], channel: &str) -> Option<usize> {
    let is_same = |position: &Position| position.channel.eq_ignore_ascii_case(channel);
    positions.iter().position(is_same)
}

/// Passes each usable position to `take`; returns whether the list is marked as backward.
pub(super) fn read(text: &str, mut take: impl FnMut(Entry)) -> Result<bool, Error> {
    match fast::read(text) {
        Some((entries, backward)) => {
            entries.into_iter().for_each(take);
            Ok(backward)
        }
        None => read_generally(text, &mut take),
    }
}

/// Parses any list.
pub(super) fn read_generally(text: &str, take: &mut dyn FnMut(Entry)) -> Result<bool, Error> {
    let document = xml::parse(text, &Limits::FILE).map_err(Error::Xml)?;
    let list = document.root_element();
    let name = list.tag_name().name();
    if name != "BookmarkList" {
        let name = name.to_owned();
        return Err(Error::NotABookmarkList { name });
    }
    for node in list.children().filter(Node::is_element) {
        if let Some(position) = position(node) {
            take(Entry {
                position,
                is_current: is(node, "IsCurrent", "true"),
                is_weak: is(node, WEAK, "true"),
            });
        }
    }
    Ok(is(list, "Direction", "backward"))
}

fn position(node: Node<'_, '_>) -> Option<Position> {
    let channel = node.attribute("Channel")?;
    if node.tag_name().name() != "Bookmark" || channel.trim().is_empty() {
        return None;
    }
    let record = node.attribute("RecordId")?.trim().parse().ok()?;
    let channel = channel.to_owned();
    Some(Position { channel, record })
}

fn is(node: Node<'_, '_>, attribute: &str, value: &str) -> bool {
    node.attribute(attribute)
        .is_some_and(|found| found.eq_ignore_ascii_case(value))
}

/// Appends one position; `more` follows its attributes. Written piece by piece, because there is
/// one for each batch, and formatting is slower.
pub(super) fn push(xml: &mut String, position: &Position, is_current: bool, more: &str) {
    let Position { channel, record } = position;
    xml.push_str("<Bookmark Channel=\"");
    push_attribute(xml, channel);
    xml.push_str("\" RecordId=\"");
    // Writing to a String cannot fail.
    let _ = write!(xml, "{record}");
    xml.push_str("\" IsCurrent=\"");
    xml.push_str(if is_current { "true\"" } else { "false\"" });
    xml.push_str(more);
    xml.push_str("/>");
}

/// Appends text in a quoted attribute. White space other than blanks would be normalized to a
/// blank by XML parsers.
fn push_attribute(xml: &mut String, text: &str) {
    let is_special = |byte: u8| matches!(byte, b'&' | b'<' | b'>' | b'"' | b'\t' | b'\n' | b'\r');
    if !text.bytes().any(is_special) {
        return xml.push_str(text);
    }
    for c in text.chars() {
        match c {
            '&' => xml.push_str("&amp;"),
            '<' => xml.push_str("&lt;"),
            '>' => xml.push_str("&gt;"),
            '"' => xml.push_str("&quot;"),
            '\t' => xml.push_str("&#9;"),
            '\n' => xml.push_str("&#10;"),
            '\r' => xml.push_str("&#13;"),
            c => xml.push(c),
        }
    }
}
