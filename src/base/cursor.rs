//! Reads text from the front: what the fast readers of well-known forms share.
//!
//! Every method returns `None` or false where the text is not as expected. The fast readers
//! then give up and leave the text to the general parser, so nothing here has to report
//! errors.

use super::lanes::{ByteClass, Lanes, find};

/// The part of a text that has not been read yet.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// Starts at the front of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// The unread part.
    #[inline(always)]
    #[must_use]
    pub const fn rest(&self) -> &'a str {
        self.rest
    }

    /// Skips `prefix` if it comes next, and returns whether it did.
    #[inline(always)]
    pub fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Skips `prefix`, which must come next.
    #[inline(always)]
    pub fn expect(&mut self, prefix: &str) -> Option<()> {
        self.eat(prefix).then_some(())
    }

    /// Returns the next `length` bytes; `None` if there are fewer, or if they would split a
    /// character.
    #[inline]
    pub fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Returns everything before the first byte of `class`, which must occur.
    #[inline]
    pub fn take_before(&mut self, class: impl ByteClass) -> Option<&'a str> {
        let end = find(self.rest.as_bytes(), class)?;
        self.take(end)
    }
}

/// Bytes that may end or invalidate an attribute value in these quotes (XML 1.0, 2.3): the
/// quote, markup, control characters, and the first byte of U+F000 to U+FFFF, among which
/// are the forbidden U+FFFE and U+FFFF.
#[derive(Clone, Copy, Debug)]
pub struct InQuotes(pub u8);

impl ByteClass for InQuotes {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let markup = bytes.is(self.0) | bytes.is(b'&') | bytes.is(b'<');
        bytes.at_most(b' ' - 1) | markup | bytes.is(0xef)
    }
}

/// Bytes that may end or invalidate text between tags (XML 1.0, 2.4); `]` because `]]>` is
/// forbidden there.
#[derive(Clone, Copy, Debug)]
pub struct InText;

impl ByteClass for InText {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let markup = bytes.is(b'<') | bytes.is(b'&') | bytes.is(b']');
        bytes.at_most(b' ' - 1) | markup | bytes.is(0xef)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_follow_leaves_the_cursor_where_it_is() {
        let mut cursor = Cursor::new("<a b=\"c\">");
        assert!(!cursor.eat("<b"));
        assert_eq!(cursor.take(20), None);
        assert_eq!(cursor.take_before(InQuotes(b'\'')), Some(""));
        assert_eq!(cursor.rest(), "<a b=\"c\">");
        assert_eq!(cursor.expect("<a b=\""), Some(()));
        assert_eq!(cursor.take_before(InQuotes(b'"')), Some("c"));
        assert_eq!(cursor.rest(), "\">");
        assert_eq!(cursor.take_before(InText), None);
    }
}
