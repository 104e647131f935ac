//! The client's side of HTTP/1.1 (RFC 9112): decodes answers to the relay's own requests
//! from bytes as they arrive. Used for OTLP receivers and for probes.

use std::time::{Duration, SystemTime};

use super::chunked::Chunked;
use super::{Error, Limits, is, trim};

/// Memory limits for an answer. Receivers answer with a few hundred bytes; the limits leave
/// room for a proxy's error page.
pub const LIMITS: Limits = Limits {
    head: 32 * 1024,
    body: 256 * 1024,
    headers: 100,
};
/// Upper bound of [`Answer::retry_after`]. A longer time in the header is reduced to it, so
/// that a wrong header cannot stop an output for days.
pub const LONGEST_RETRY: Duration = Duration::from_secs(3600);
/// Maximum number of 1xx answers before the final one.
const MOST_ANNOUNCEMENTS: usize = 16;
/// While a head is shorter than this, it is parsed after every read, so that something that
/// is not HTTP is reported immediately. Longer ones are parsed only at line ends.
const SHORT_HEAD: usize = 1024;

/// A complete answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The final status code; 1xx answers are skipped.
    pub status: u16,
    /// Names and values in order; values without surrounding white space.
    pub headers: Vec<(String, String)>,
    /// The body, with chunked coding already removed.
    pub body: Vec<u8>,
    /// Whether the connection can be used for another request.
    pub keep_alive: bool,
}

impl Answer {
    /// The first value of a header; the name is compared ignoring case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut named = self.headers.iter().filter(|(key, _)| is(key, name));
        named.next().map(|(_, value)| value.as_str())
    }

    /// How long to wait before a retry (`Retry-After`, RFC 9110 10.2.3), at most
    /// [`LONGEST_RETRY`]. `None` if the header is missing or cannot be parsed. `wall` is
    /// the current time, for values that are dates.
    #[must_use]
    pub fn retry_after(&self, wall: SystemTime) -> Option<Duration> {
        let value = self.header("retry-after")?;
        let time = match value.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) if value.bytes().all(|byte| byte.is_ascii_digit()) => LONGEST_RETRY,
            Err(_) => {
                let until = httpdate::parse_http_date(value).ok()?;
                until.duration_since(wall).unwrap_or_default()
            }
        };
        Some(time.min(LONGEST_RETRY))
    }
}

/// How the end of a body is recognized (RFC 9112 6.3).
#[derive(Debug)]
enum Body {
    /// The number of bytes still missing.
    Counted(usize),
    Chunked(Chunked),
    /// Everything until the connection closes.
    UntilEnd,
}

#[derive(Debug)]
struct Incoming {
    answer: Answer,
    body: Body,
}

/// Decodes the answers on one connection, where each answer follows its request. An error
/// is final.
///
/// ```
/// use wecrelay::protocol::http::answer::Decoder;
/// let mut decoder = Decoder::default();
/// decoder.feed(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nO");
/// assert_eq!(decoder.poll(), Ok(None));
/// decoder.feed(b"K");
/// let answer = decoder.poll()?.unwrap();
/// assert_eq!((answer.status, answer.body), (200, b"OK".to_vec()));
/// # Ok::<(), wecrelay::protocol::http::answer::Malformed>(())
/// ```
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
    incoming: Option<Incoming>,
    /// Number of pending bytes that have already been parsed as an incomplete head.
    looked_at: usize,
    /// Number of 1xx answers received before the final one.
    announcements: usize,
}

/// Why bytes are not an acceptable answer, as text for the log. The connection must be
/// closed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Malformed {}

impl Decoder {
    /// Adds bytes from the receiver.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.pending.extend_from_slice(bytes);
    }

    /// Whether nothing has been received since the last answer.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.pending.is_empty() && self.incoming.is_none()
    }

    /// The next answer once it is complete; 1xx answers are skipped.
    ///
    /// # Errors
    /// What was received is not an answer, or exceeds [`LIMITS`].
    pub fn poll(&mut self) -> Result<Option<Answer>, Malformed> {
        while self.incoming.is_none() {
            if !self.take_head()? {
                return Ok(None);
            }
        }
        let is_whole = self.take_body()?;
        Ok(is_whole.then(|| self.finish()).flatten())
    }

    /// Handles an orderly end of the connection, which also ends an answer without a
    /// length. `None` if the connection ended in the middle of an answer.
    pub fn handle_end(&mut self) -> Option<Answer> {
        match &self.incoming.as_ref()?.body {
            Body::UntilEnd => self.finish(),
            Body::Counted(_) | Body::Chunked(_) => None,
        }
    }

    fn finish(&mut self) -> Option<Answer> {
        self.incoming.take().map(|incoming| incoming.answer)
    }

    /// Parses a head, or skips a 1xx answer. False if more bytes are needed.
    fn take_head(&mut self) -> Result<bool, Malformed> {
        if !self.may_have_head() {
            return Ok(false);
        }
        let mut headers = [httparse::EMPTY_HEADER; LIMITS.headers];
        let mut parsed = httparse::Response::new(&mut headers);
        let size = match parsed.parse(&self.pending) {
            Ok(httparse::Status::Complete(size)) if size <= LIMITS.head => size,
            Ok(httparse::Status::Partial) if self.pending.len() <= LIMITS.head => {
                self.looked_at = self.pending.len();
                return Ok(false);
            }
            Ok(_) => return Err(too_long("head", LIMITS.head)),
            Err(error) => return Err(no_http(&self.pending, &error.to_string())),
        };
        let status = parsed.code.unwrap_or_default();
        let header = |h: &httparse::Header<'_>| {
            let value = String::from_utf8_lossy(h.value);
            (h.name.to_owned(), trim(&value).to_owned())
        };
        let mut answer = Answer {
            status,
            headers: parsed.headers.iter().map(header).collect(),
            ..Answer::default()
        };
        let minor = parsed.version.unwrap_or_default();
        self.pending.drain(..size);
        self.looked_at = 0;
        if status == 101 {
            return Err(Malformed("unexpected HTTP status 101".to_owned()));
        }
        if (100..200).contains(&status) {
            self.announcements += 1;
            return if self.announcements <= MOST_ANNOUNCEMENTS {
                Ok(!self.pending.is_empty())
            } else {
                Err(Malformed(format!(
                    "more than {MOST_ANNOUNCEMENTS} answers of the class 1xx came, and none after them"
                )))
            };
        }
        self.announcements = 0;
        let body = body_of(&answer)?;
        answer.keep_alive = minor > 0 && !matches!(body, Body::UntilEnd) && !closes(&answer);
        self.incoming = Some(Incoming { answer, body });
        Ok(true)
    }

    /// Whether a head may be complete or already invalid. Avoids parsing it again after
    /// each small piece.
    fn may_have_head(&self) -> bool {
        let new = self.pending.get(self.looked_at..).unwrap_or_default();
        self.looked_at < SHORT_HEAD
            || self.pending.len() > LIMITS.head
            || memchr::memchr(b'\n', new).is_some()
    }

    /// Moves pending bytes into the body; returns whether it is complete.
    fn take_body(&mut self) -> Result<bool, Malformed> {
        let Some(Incoming { answer, body }) = &mut self.incoming else {
            return Ok(false);
        };
        let chunk_error = |error: Error| match error {
            Error::BodyTooLong { limit } => too_long("body", limit),
            other => Malformed(format!("the answer is not HTTP: {other}")),
        };
        match body {
            Body::Counted(left) => {
                let count = self.pending.len().min(*left);
                answer.body.extend(self.pending.drain(..count));
                *left -= count;
                Ok(*left == 0)
            }
            Body::Chunked(chunked) => {
                let step = chunked.decode(&self.pending, &mut answer.body, &LIMITS);
                let step = step.map_err(chunk_error)?;
                self.pending.drain(..step.consumed);
                Ok(step.done)
            }
            Body::UntilEnd => {
                answer.body.append(&mut self.pending);
                if answer.body.len() > LIMITS.body {
                    Err(too_long("body", LIMITS.body))
                } else {
                    Ok(false)
                }
            }
        }
    }
}

/// Whether the answer announces that the connection closes (`Connection: close`).
fn closes(answer: &Answer) -> bool {
    let named = answer.headers.iter();
    let mut named = named.filter(|(key, _)| is(key, "connection"));
    named.any(|(_, value)| value.split(',').any(|word| is(trim(word), "close")))
}

/// Decides how the body ends (RFC 9112 6.3).
fn body_of(answer: &Answer) -> Result<Body, Malformed> {
    if matches!(answer.status, 204 | 304) {
        return Ok(Body::Counted(0));
    }
    if let Some(coding) = answer.header("transfer-encoding") {
        return if is(coding, "chunked") {
            Ok(Body::Chunked(Chunked::new()))
        } else {
            Err(Malformed(
                "the answer has an unexpected transfer coding".to_owned(),
            ))
        };
    }
    let lengths = answer.headers.iter();
    let mut lengths = lengths.filter(|(key, _)| is(key, "content-length"));
    let Some((_, first)) = lengths.next() else {
        return Ok(Body::UntilEnd);
    };
    let is_number = !first.is_empty() && first.bytes().all(|byte| byte.is_ascii_digit());
    if !is_number || lengths.any(|(_, other)| other != first) {
        return Err(Malformed(
            "the answer has a Content-Length that is not a number".to_owned(),
        ));
    }
    match first.parse::<usize>() {
        Ok(length) if length <= LIMITS.body => Ok(Body::Counted(length)),
        _ => Err(too_long("body", LIMITS.body)),
    }
}

fn too_long(part: &str, limit: usize) -> Malformed {
    Malformed(format!("the {part} of the answer is over {limit} bytes"))
}

/// The error for bytes that are not HTTP, with a hint if they look like TLS.
fn no_http(bytes: &[u8], why: &str) -> Malformed {
    // A TLS alert record.
    let hint = match bytes {
        [0x15, 3, ..] => "; the receiver speaks TLS: use https instead of http",
        _ => "",
    };
    Malformed(format!("the answer is not HTTP: {why}{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The answers in these bytes, which must not depend on how the bytes are split.
    fn answers(bytes: &[u8]) -> Result<Vec<Answer>, Malformed> {
        let whole = pieces(bytes, bytes.len().max(1));
        assert_eq!(pieces(bytes, 1), whole);
        assert_eq!(pieces(bytes, 7), whole);
        whole
    }

    fn pieces(bytes: &[u8], size: usize) -> Result<Vec<Answer>, Malformed> {
        let mut decoder = Decoder::default();
        let mut answers = Vec::new();
        for piece in bytes.chunks(size) {
            decoder.feed(piece);
            while let Some(answer) = decoder.poll()? {
                answers.push(answer);
            }
        }
        answers.extend(decoder.handle_end());
        Ok(answers)
    }

    #[test]
    fn answers_have_bodies_of_all_kinds() {
        let found = answers(
            b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabc\
              HTTP/1.1 503 Busy\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n1;x=y\r\nf\r\n0\r\n\
              T: v\r\n\r\nHTTP/1.1 204 No Content\r\nConnection: x, Close\r\n\r\n\
              HTTP/1.0 400 Bad\r\n\r\nrest",
        );
        let found = found.unwrap();
        let short = |answer: &Answer| {
            let body = String::from_utf8_lossy(&answer.body).into_owned();
            (answer.status, body, answer.keep_alive)
        };
        let found: Vec<_> = found.iter().map(short).collect();
        let expected = [
            (200, "abc", true),
            (503, "def", true),
            (204, "", false),
            (400, "rest", false),
        ];
        assert_eq!(
            found,
            expected.map(|(status, body, keeps)| (status, body.to_owned(), keeps))
        );
    }

    /// Otherwise a head that arrives byte by byte would be parsed from its start for each byte.
    #[test]
    fn a_long_head_is_read_again_with_the_next_line_only() {
        let mut decoder = Decoder::default();
        let start = format!("HTTP/1.1 200 OK\r\nX: {}", "y".repeat(SHORT_HEAD));
        decoder.feed(start.as_bytes());
        assert_eq!(decoder.poll(), Ok(None));
        decoder.feed(b"\x01");
        assert_eq!(decoder.poll(), Ok(None));
        decoder.feed(b"\r\n");
        assert!(decoder.poll().is_err());
    }

    #[test]
    fn announcements_before_each_answer_are_passed() {
        let one = "HTTP/1.1 102 Processing\r\n\r\n".repeat(MOST_ANNOUNCEMENTS)
            + "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
        assert_eq!(answers(one.repeat(2).as_bytes()).unwrap().len(), 2);
    }

    #[test]
    fn hostile_answers_are_refused() {
        let long = format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(LIMITS.head));
        let many = format!("HTTP/1.1 200 OK\r\n{}\r\n", "A: b\r\n".repeat(101));
        let endless = format!("HTTP/1.1 200 OK\r\n\r\n{}", "x".repeat(LIMITS.body + 1));
        let chunk = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nffffffffffff\r\n";
        let announced = "HTTP/1.1 103 Early Hints\r\n\r\n".repeat(MOST_ANNOUNCEMENTS + 1);
        let bad = [
            "garbage\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: 300000\r\n\r\n",
            "HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nx",
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
            "HTTP/1.1 101 Switching\r\n\r\n",
            "HTTP/2 200\r\n\r\n",
            "SSH-2.0-x\r\n",
            &long,
            &many,
            &endless,
            &announced,
            chunk,
        ];
        for bytes in bad {
            let front = &bytes[..bytes.len().min(60)];
            let mut decoder = Decoder::default();
            decoder.feed(bytes.as_bytes());
            let found = loop {
                match decoder.poll() {
                    Ok(Some(_)) => {}
                    Ok(None) => break None,
                    Err(error) => break Some(error),
                }
            };
            assert!(found.is_some(), "{front}");
        }
        let alert = pieces(b"\x15\x03\x01\x00\x02\x02\x46", 1).unwrap_err();
        assert!(!alert.to_string().is_empty());
    }

    #[test]
    fn the_time_to_retry_is_read_in_both_forms() {
        let wall = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
        let after = |value: &str| {
            let answer = Answer {
                headers: vec![("Retry-After".to_owned(), value.to_owned())],
                ..Answer::default()
            };
            answer.retry_after(wall).map(|time| time.as_secs())
        };
        assert_eq!(after("7"), Some(7));
        assert_eq!(after("99999999999999999999999"), Some(3600));
        assert_eq!(after("Sun, 09 Sep 2001 01:46:50 GMT"), Some(10));
        assert_eq!(after("Sat, 09 Sep 2000 01:46:50 GMT"), Some(0));
        assert_eq!(after("soon"), None);
        assert_eq!(Answer::default().retry_after(wall), None);
    }
}
