//! Reading text from its front: what the fast readers of known forms share.

use super::lanes::{ByteClass, Lanes, find};

/// What has not been read yet.
#[derive(Clone, Copy, Debug)]
pub struct Cursor<'a> {
    rest: &'a str,
}

impl<'a> Cursor<'a> {
    /// At the front of `text`.
    #[must_use]
    pub const fn new(text: &'a str) -> Self {
        Self { rest: text }
    }

    /// What follows.
    #[inline(always)]
    #[must_use]
    pub const fn rest(&self) -> &'a str {
        self.rest
    }

    /// Passes `prefix` if it follows, and tells whether it did.
    #[inline(always)]
    pub fn eat(&mut self, prefix: &str) -> bool {
        let rest = self.rest.strip_prefix(prefix);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    /// Passes `prefix`, which has to follow.
    #[inline(always)]
    pub fn expect(&mut self, prefix: &str) -> Option<()> {
        self.eat(prefix).then_some(())
    }

    /// Takes that many bytes, which have to be there and to end with a character.
    #[inline]
    pub fn take(&mut self, length: usize) -> Option<&'a str> {
        let (taken, rest) = self.rest.split_at_checked(length)?;
        self.rest = rest;
        Some(taken)
    }

    /// Takes all before the first byte of `class`, which has to follow.
    #[inline]
    pub fn take_before(&mut self, class: impl ByteClass) -> Option<&'a str> {
        let end = find(self.rest.as_bytes(), class)?;
        self.take(end)
    }
}

/// What may end or spoil a value between these quotes (XML 1.0, 2.3).
#[derive(Clone, Copy, Debug)]
pub struct InQuotes(pub u8);

impl ByteClass for InQuotes {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let markup = bytes.is(self.0) | bytes.is(b'&') | bytes.is(b'<');
        bytes.at_most(b' ' - 1) | markup | bytes.is(0xef)
    }
}

/// What may end or spoil text between tags (XML 1.0, 2.4).
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
