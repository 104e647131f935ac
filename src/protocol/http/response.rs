//! HTTP responses and their encoding.

use std::io::Write;
use std::time::SystemTime;

use crate::base::wire::push_number;

/// The interim response to `Expect: 100-continue` (RFC 9110 10.1.1).
pub const CONTINUE: &[u8] = b"HTTP/1.1 100 Continue\r\n\r\n";

/// A response. [`Self::encode`] adds `Date`, `Content-Length`, `Server`, and `Connection`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    /// The status code, 200 to 599.
    pub status: u16,
    /// Additional headers in order, such as content type and challenges.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Response {
    /// A response without a body.
    #[must_use]
    pub fn empty(status: u16) -> Self {
        Self::with_body(status, Vec::new())
    }

    /// A response with a body; the caller adds its type with [`Self::header`].
    #[must_use]
    pub fn with_body(status: u16, body: Vec<u8>) -> Self {
        let headers = Vec::new();
        Self {
            status,
            headers,
            body,
        }
    }

    /// Adds one header.
    #[must_use]
    pub fn header(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// Appends the response to `out`.
    ///
    /// `head_only` is for HEAD requests: the length is sent, the body is not. Without
    /// `keep_alive` the response announces that the connection closes.
    pub fn encode(&self, date: SystemTime, head_only: bool, keep_alive: bool, out: &mut Vec<u8>) {
        out.reserve(self.body.len() + 256);
        self.encode_head(date, self.body.len(), keep_alive, out);
        if self.has_length() && !head_only {
            out.extend_from_slice(&self.body);
        }
    }

    /// Appends the head alone, for a body of `length` bytes that the caller sends
    /// separately.
    pub fn encode_head(
        &self,
        date: SystemTime,
        length: usize,
        keep_alive: bool,
        out: &mut Vec<u8>,
    ) {
        // Appended piece by piece, because this runs for each message and formatting is
        // slower.
        out.extend_from_slice(b"HTTP/1.1 ");
        push_number(out, u64::from(self.status));
        out.push(b' ');
        out.extend_from_slice(reason(self.status).as_bytes());
        out.extend_from_slice(b"\r\nServer: wecrelay\r\nDate: ");
        // Writing to a Vec cannot fail.
        let _ = write!(out, "{}", httpdate::HttpDate::from(date));
        out.extend_from_slice(b"\r\n");
        self.headers.iter().for_each(|h| push_header(out, h));
        if self.has_length() {
            out.extend_from_slice(b"Content-Length: ");
            push_number(out, u64::try_from(length).unwrap_or(u64::MAX));
            out.extend_from_slice(b"\r\n");
        }
        if !keep_alive {
            out.extend_from_slice(b"Connection: close\r\n");
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Whether to send a `Content-Length`: not with 204, which never has a body (RFC 9110
    /// 8.6).
    fn has_length(&self) -> bool {
        self.status != 204
    }
}

/// Appends a header line. A value may come from the configuration. Control characters
/// become spaces, because they could end the header.
fn push_header(out: &mut Vec<u8>, (name, value): &(&'static str, String)) {
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    if value.bytes().any(|byte| byte.is_ascii_control()) {
        let safe = |byte: u8| if byte.is_ascii_control() { b' ' } else { byte };
        out.extend(value.bytes().map(safe));
    } else {
        out.extend_from_slice(value.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The reason phrase (RFC 9110 15). Unknown codes have an empty one, as Windows sends for
/// all codes.
fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        204 => "No Content",
        400 => "Bad Request",
        401 => "Unauthorized",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        413 => "Content Too Large",
        414 => "URI Too Long",
        415 => "Unsupported Media Type",
        421 => "Misdirected Request",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        503 => "Service Unavailable",
        505 => "HTTP Version Not Supported",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::*;

    fn encoded(response: &Response, head_only: bool, keep_alive: bool) -> String {
        let date = UNIX_EPOCH + Duration::from_secs(1_663_833_918);
        let mut out = Vec::new();
        response.encode(date, head_only, keep_alive, &mut out);
        String::from_utf8(out).unwrap()
    }

    const DATE: &str = "Server: wecrelay\r\nDate: Thu, 22 Sep 2022 08:05:18 GMT\r\n";

    #[test]
    fn an_empty_response_still_tells_its_length() {
        let challenge = Response::empty(401).header("WWW-Authenticate", "Negotiate AAAA");
        let expected = format!(
            "HTTP/1.1 401 Unauthorized\r\n{DATE}WWW-Authenticate: Negotiate AAAA\r\nContent-Length: 0\r\n\r\n"
        );
        assert_eq!(encoded(&challenge, false, true), expected);
    }

    #[test]
    fn a_closing_response_says_so() {
        let refusal = Response::with_body(413, b"too long\n".to_vec());
        let expected = format!(
            "HTTP/1.1 413 Content Too Large\r\n{DATE}Content-Length: 9\r\nConnection: close\r\n\r\ntoo long\n"
        );
        assert_eq!(encoded(&refusal, false, false), expected);
    }

    #[test]
    fn no_content_has_neither_length_nor_body() {
        let response = Response::with_body(204, b"ignored".to_vec());
        let expected = format!("HTTP/1.1 204 No Content\r\n{DATE}\r\n");
        assert_eq!(encoded(&response, false, true), expected);
    }

    #[test]
    fn the_answer_to_head_has_the_length_only() {
        let text = encoded(&Response::with_body(200, b"metrics".to_vec()), true, true);
        assert!(text.ends_with("Content-Length: 7\r\n\r\n"));
    }

    #[test]
    fn a_header_value_cannot_split_the_response() {
        let text = encoded(&Response::empty(200).header("X", "a\r\nY: b"), false, true);
        assert!(text.contains("\r\nX: a  Y: b\r\n"));
    }

    #[test]
    fn an_unknown_status_keeps_the_space() {
        assert!(encoded(&Response::empty(299), false, true).starts_with("HTTP/1.1 299 \r\n"));
    }
}
