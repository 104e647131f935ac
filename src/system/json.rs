//! JSON that people may see too: in a log, or on a terminal.

use std::io::{self, Write};

use serde::Serialize;

use crate::base::visible::is_invisible;

/// A document in one line, where what a reader would not see is escaped: programs read the
/// same text, and no name of a host steers a terminal.
///
/// ```
/// let line = wecrelay::system::json::json(&["web1\u{202e}moc"]);
/// assert_eq!(line, r#"["web1\u202emoc"]"#);
/// ```
#[must_use]
pub fn json(document: &impl Serialize) -> String {
    let mut out = Vec::new();
    push_json(&mut out, document);
    String::from_utf8(out).unwrap_or_default()
}

/// Appends the same to `out`.
pub fn push_json(out: &mut Vec<u8>, document: &impl Serialize) {
    // JSON can represent every string, and writing to a vector cannot fail.
    let _: io::Result<()> = write_json(out, document);
}

/// Writes the same to `out` as it is made, so that a long document is never in memory as a
/// whole.
///
/// # Errors
///
/// Those of `out`.
pub fn write_json(out: impl Write, document: &impl Serialize) -> io::Result<()> {
    let mut writer = serde_json::Serializer::with_formatter(out, Seen);
    document.serialize(&mut writer).map_err(io::Error::from)
}

/// Escapes what a reader would not see, or what steers a terminal, beside what JSON escapes
/// (RFC 8259 7).
struct Seen;

impl serde_json::ser::Formatter for Seen {
    fn write_string_fragment<W>(&mut self, out: &mut W, fragment: &str) -> io::Result<()>
    where
        W: ?Sized + Write,
    {
        let mut rest = fragment;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| is_invisible(*c)) {
            let (plain, from) = rest.split_at(at);
            out.write_all(plain.as_bytes())?;
            for unit in c.encode_utf16(&mut [0; 2]) {
                write!(out, "\\u{unit:04x}")?;
            }
            rest = from.get(c.len_utf8()..).unwrap_or_default();
        }
        out.write_all(rest.as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_kept_as_escapes() {
        let text = "a\"\\\n\u{7}\u{7f}\u{202e}\u{e0041}ß";
        let escaped = json(&text);
        assert_eq!(escaped, r#""a\"\\\n\u0007\u007f\u202e\udb40\udc41ß""#);
        let read: String = serde_json::from_str(&escaped).unwrap();
        assert_eq!(read, text);
    }
}
