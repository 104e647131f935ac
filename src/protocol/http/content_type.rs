//! `Content-Type` and other headers with parameters (RFC 9110 8.3).

use super::{is, trim};
use crate::base::wire::Charset;

/// A media type with its parameters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContentType {
    media: String,
    parameters: Vec<(String, String)>,
}

impl ContentType {
    /// Parses a header value. `None` unless it begins with `type/subtype`.
    ///
    /// ```
    /// use wecrelay::protocol::http::ContentType;
    /// let plain = ContentType::parse("application/soap+xml; charset=\"utf-8\"").unwrap();
    /// assert!(plain.is("application/soap+xml"));
    /// assert_eq!(plain.charset(), Some(wecrelay::base::wire::Charset::Utf8));
    /// ```
    #[must_use]
    pub fn parse(value: &str) -> Option<Self> {
        let (media, rest) = value.split_once(';').unwrap_or((value, ""));
        let media = trim(media);
        let (kind, subtype) = media.split_once('/')?;
        if !is_token(kind) || !is_token(subtype) {
            return None;
        }
        Some(Self {
            media: media.to_ascii_lowercase(),
            parameters: parse_parameters(rest),
        })
    }

    /// `type/subtype` in lower case.
    #[must_use]
    pub fn media(&self) -> &str {
        &self.media
    }

    /// Whether the media type is this one, ignoring case.
    #[must_use]
    pub fn is(&self, media: &str) -> bool {
        is(&self.media, media)
    }

    /// The first parameter of this name, ignoring case; without quotes.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        find(&self.parameters, name)
    }

    /// The `charset` parameter; `None` if it is missing or unknown.
    #[must_use]
    pub fn charset(&self) -> Option<Charset> {
        self.parameter("charset").and_then(Charset::from_name)
    }

    /// The boundary of a multipart type. The one that Windows sends contains a space.
    #[must_use]
    pub fn boundary(&self) -> Option<&str> {
        self.parameter("boundary")
    }

    /// The protocol of a `multipart/encrypted` type (RFC 1847 2.2).
    #[must_use]
    pub fn protocol(&self) -> Option<&str> {
        self.parameter("protocol")
    }
}

/// The value of the first parameter of this name.
pub(super) fn find<'a>(parameters: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let found = parameters.iter().find(|(key, _)| is(key, name));
    found.map(|(_, value)| value.as_str())
}

/// Parses `name=value; name="value"`, skipping anything without a name.
///
/// An unquoted value extends to the next semicolon, spaces included: some clients send the
/// boundary `Encrypted Boundary` without quotes.
pub(super) fn parse_parameters(text: &str) -> Vec<(String, String)> {
    let mut parameters = Vec::new();
    let mut rest = text;
    while !rest.is_empty() {
        let (name, after) = take_name(rest);
        let Some(after) = after.strip_prefix('=') else {
            rest = after.strip_prefix(';').unwrap_or_default();
            continue;
        };
        let (value, after) = take_value(after);
        if !name.is_empty() {
            parameters.push((name.to_owned(), value));
        }
        rest = after;
    }
    parameters
}

/// Splits off a name, which ends at an equals sign or semicolon.
fn take_name(text: &str) -> (&str, &str) {
    let end = text.find(['=', ';']).unwrap_or(text.len());
    let (name, rest) = text.split_at(end);
    (trim(name), rest)
}

/// Splits off a value; the rest begins after its semicolon.
fn take_value(text: &str) -> (String, &str) {
    let text = text.trim_start_matches([' ', '\t']);
    if let Some(quoted) = text.strip_prefix('"') {
        return take_quoted(quoted);
    }
    let (value, rest) = text.split_once(';').unwrap_or((text, ""));
    (trim(value).to_owned(), rest)
}

/// The remainder of a quoted string (RFC 9110 5.6.4). A missing closing quote is tolerated.
fn take_quoted(text: &str) -> (String, &str) {
    let mut value = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        match char {
            '"' => break,
            '\\' => value.extend(chars.next()),
            _ => value.push(char),
        }
    }
    let rest = chars.as_str();
    (value, rest.split_once(';').map_or("", |(_, rest)| rest))
}

fn is_token(text: &str) -> bool {
    let allowed = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(value: &str) -> ContentType {
        ContentType::parse(value).unwrap()
    }

    #[test]
    fn the_types_that_windows_sends_are_read() {
        let plain = parse("application/soap+xml;charset=UTF-16");
        assert!(plain.is("Application/SOAP+xml"));
        assert_eq!(plain.charset(), Some(Charset::Utf16));
        let sealed = parse(
            "multipart/encrypted;protocol=\"application/HTTP-SPNEGO-session-encrypted\";boundary=\"Encrypted Boundary\"",
        );
        assert_eq!(sealed.media(), "multipart/encrypted");
        assert_eq!(sealed.boundary(), Some("Encrypted Boundary"));
        let protocol = "application/HTTP-SPNEGO-session-encrypted";
        assert_eq!(sealed.protocol(), Some(protocol));
    }

    #[test]
    fn parameters_may_be_spaced_unquoted_escaped_or_empty() {
        let value = "a/b ; Boundary=Encrypted Boundary ;;flag; x = \"q\\\"; y=\\\\\" junk;=v; z=";
        let kind = parse(value);
        assert_eq!(kind.boundary(), Some("Encrypted Boundary"));
        assert_eq!(kind.parameter("X"), Some("q\"; y=\\"));
        assert_eq!(kind.parameter("z"), Some(""));
        assert_eq!(kind.parameter("flag"), None);
        assert_eq!(kind.parameters.len(), 3);
    }

    #[test]
    fn the_first_of_equal_parameters_counts() {
        assert_eq!(parse("a/b;boundary=1;boundary=2").boundary(), Some("1"));
    }

    #[test]
    fn a_quoted_value_may_lack_its_end() {
        assert_eq!(parse("a/b;boundary=\"x;y").boundary(), Some("x;y"));
        assert_eq!(parse("a/b;boundary=\"x\\").boundary(), Some("x"));
    }

    #[test]
    fn an_unknown_charset_is_none() {
        assert_eq!(parse("a/b;charset=koi8-r").charset(), None);
        assert_eq!(parse("a/b").charset(), None);
    }

    #[test]
    fn what_has_no_subtype_is_no_type() {
        for value in ["", "text", "/b", "a/", "a b/c", ";charset=utf-8"] {
            assert_eq!(ContentType::parse(value), None, "{value}");
        }
    }
}
