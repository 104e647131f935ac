//! Headers that an administrator adds to requests, such as an API key: a file with one
//! header a line.

use std::fmt;

use zeroize::Zeroizing;

/// Headers that the relay sets itself.
const OURS: [&str; 9] = [
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "expect",
    "host",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Why a line is not a header. The error does not quote the line, because it may contain a
/// secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineError {
    /// Number of the line, from 1.
    pub line: usize,
    /// What is wrong.
    pub reason: Reason,
}

/// What is wrong with a line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// There is no colon, or what precedes it is not a header name.
    Name,
    /// Characters that a value must not have.
    Value,
    /// A header that the relay sets itself.
    Ours(&'static str),
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        match self.reason {
            Reason::Name => f.write_str("a line is NAME: VALUE, as in Authorization: Bearer TOKEN"),
            Reason::Value => f.write_str("the value has characters outside ASCII"),
            Reason::Ours(name) => write!(f, "the relay sets {name} itself"),
        }
    }
}

impl std::error::Error for LineError {}

/// Parses a file with one `NAME: VALUE` a line; empty lines and lines that begin with `#`
/// are ignored. Returns the lines as they go into a request.
///
/// ```
/// let lines = wecrelay::protocol::otlp::headers::parse("# key\nX-Api-Key:  secret \n")?;
/// assert_eq!(*lines, "X-Api-Key: secret\r\n");
/// # Ok::<(), wecrelay::protocol::otlp::headers::LineError>(())
/// ```
///
/// # Errors
/// The first line that is not a valid header.
pub fn parse(text: &str) -> Result<Zeroizing<String>, LineError> {
    let mut lines = Zeroizing::new(String::with_capacity(2 * text.len()));
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let wrong = |reason| LineError {
            line: number,
            reason,
        };
        let (name, value) = line.split_once(':').ok_or(wrong(Reason::Name))?;
        let value = value.trim();
        if name.is_empty() || !name.bytes().all(is_token) {
            return Err(wrong(Reason::Name));
        }
        if !value
            .bytes()
            .all(|byte| byte == b'\t' || (b' '..=b'~').contains(&byte))
        {
            return Err(wrong(Reason::Value));
        }
        if let Some(ours) = OURS.iter().find(|ours| ours.eq_ignore_ascii_case(name)) {
            return Err(wrong(Reason::Ours(ours)));
        }
        lines.push_str(name);
        lines.push_str(": ");
        lines.push_str(value);
        lines.push_str("\r\n");
    }
    Ok(lines)
}

/// Whether the byte may be part of a header name (RFC 9110 5.6.2).
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_headers_are_taken() {
        let both = parse("\u{feff}A: 1\r\n\n  B:2\t3\n#c\n").unwrap();
        assert_eq!(*both, "A: 1\r\nB: 2\t3\r\n");
        for (text, reason) in [
            ("secret", Reason::Name),
            ("a b: c", Reason::Name),
            (": c", Reason::Name),
            ("a: \u{7}", Reason::Value),
            ("a: é", Reason::Value),
            ("host: x", Reason::Ours("host")),
            ("Content-LENGTH: 1", Reason::Ours("content-length")),
        ] {
            let error = parse(&format!("ok: 1\n{text}")).unwrap_err();
            assert_eq!(error, LineError { line: 2, reason });
            assert!(!error.to_string().contains("secret"));
        }
    }
}
