//! Incremental decoder for requests: consumes bytes as they arrive, and produces complete
//! requests.

use std::mem::MaybeUninit;

use super::body::{self, Body};
use super::chunked::Chunked;
use super::{Error, Head, Headers, Limits, Method, Request, is, trim};
use crate::base::utf16::Incremental;

/// How much of a body is allocated before it arrives, in bytes. A large `Content-Length`
/// costs its sender nothing, so it must not cost memory here. A typical batch fits and is
/// not reallocated.
const AHEAD: usize = 256 * 1024;

/// Size of the array for parsed header lines, and thus the largest useful limit.
const MOST_HEADERS: usize = 128;

/// How far the request being received has progressed, for deadlines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Progress {
    /// No byte of a request has been received.
    Idle,
    /// The head is incomplete.
    Head,
    /// The body is incomplete, or the request has not been polled yet.
    Body,
}

/// Decodes the requests of one connection.
///
/// Feed bytes as they arrive, then poll until it returns `None`. An error is final. An idle
/// decoder owns no heap memory, because most of many thousand connections are idle.
///
/// ```
/// use wecrelay::protocol::http::{Body, Limits, Method, request::Decoder};
/// let mut decoder = Decoder::new(Limits::default());
/// decoder.feed(b"POST /wsman HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n<");
/// assert_eq!(decoder.poll(), Ok(None));
/// decoder.feed(b">POST");
/// let request = decoder.poll().unwrap().unwrap();
/// assert_eq!((request.head.method, request.body), (Method::Post, Body::Bytes(b"<>".to_vec())));
/// assert_eq!(decoder.buffered(), 4);
/// ```
#[derive(Debug)]
pub struct Decoder {
    limits: Limits,
    pending: Pending,
    state: State,
}

#[derive(Debug)]
enum State {
    /// The first `scanned` pending bytes contain no end of a head, so the search continues
    /// after them.
    Head {
        scanned: usize,
    },
    /// Boxed, because most connections are waiting for a head.
    Body(Box<Incoming>),
    Failed(Error),
}

impl Decoder {
    /// Starts at the beginning of a connection.
    #[must_use]
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            pending: Pending::default(),
            state: State::Head { scanned: 0 },
        }
    }

    /// Adds received bytes. Bytes beyond the current request are kept for the next one, so
    /// the caller should stop reading while a request is unanswered.
    pub fn feed(&mut self, bytes: &[u8]) {
        let rest = match &mut self.state {
            State::Failed(_) => return,
            State::Body(incoming) if self.pending.rest().is_empty() => incoming.take(bytes),
            State::Head { scanned: 0 } if self.pending.rest().is_empty() => {
                return self.feed_start(bytes);
            }
            State::Body(_) | State::Head { .. } => bytes,
        };
        self.pending.push(rest);
    }

    /// Adds the start of a request. The part of its body in `bytes` is copied only once.
    fn feed_start(&mut self, bytes: &[u8]) {
        let head = bytes.get(..self.limits.head).unwrap_or(bytes);
        let end = head_end(head, &mut 0).unwrap_or(bytes.len());
        let (head, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
        self.pending.push(head);
        if rest.is_empty() {
            return;
        }
        if let Err(error) = self.start(0) {
            return self.fail(error);
        }
        let rest = match &mut self.state {
            State::Body(incoming) => incoming.take(rest),
            State::Head { .. } | State::Failed(_) => rest,
        };
        self.pending.push(rest);
    }

    /// The next request, or `None` until it is complete. Call it again after each request.
    ///
    /// # Errors
    /// The bytes are not an acceptable request, or exceed a limit. Later calls return the same
    /// error.
    #[must_use = "a request is given once"]
    pub fn poll(&mut self) -> Result<Option<Request>, Error> {
        let result = self.advance();
        if let Err(error) = result {
            self.fail(error);
        }
        result
    }

    fn fail(&mut self, error: Error) {
        self.state = State::Failed(error);
        self.pending = Pending::default();
    }

    /// Whether the client waits for [`CONTINUE`](super::CONTINUE) before sending the body;
    /// true at most once for each request. Call it after `poll` returned `None`.
    pub fn expects_continue(&mut self) -> bool {
        match &mut self.state {
            State::Body(incoming) => std::mem::take(&mut incoming.expects_continue),
            State::Head { .. } | State::Failed(_) => false,
        }
    }

    /// How far the current request has progressed. Blank lines do not count.
    #[must_use]
    pub fn progress(&self) -> Progress {
        match &self.state {
            State::Body(_) => Progress::Body,
            State::Head { .. } if self.pending.rest().is_empty() => Progress::Idle,
            State::Head { .. } => Progress::Head,
            State::Failed(_) => Progress::Idle,
        }
    }

    /// Number of bytes held for the current request and those after it.
    #[must_use]
    pub fn buffered(&self) -> usize {
        let body = match &self.state {
            State::Body(incoming) => incoming.body.held(),
            State::Head { .. } | State::Failed(_) => 0,
        };
        self.pending.rest().len() + body
    }

    #[cfg(test)]
    pub(super) fn pending_capacity(&self) -> usize {
        self.pending.bytes.capacity()
    }

    #[cfg(test)]
    pub(super) fn body_capacity(&self) -> usize {
        match &self.state {
            State::Body(incoming) => match &incoming.body {
                Body::Bytes(bytes) => bytes.capacity(),
                Body::Text(_) => 0,
            },
            State::Head { .. } | State::Failed(_) => 0,
        }
    }

    fn advance(&mut self) -> Result<Option<Request>, Error> {
        if let State::Head { scanned } = self.state {
            self.start(scanned)?;
        }
        match &mut self.state {
            State::Head { .. } => return Ok(None),
            State::Failed(error) => return Err(*error),
            State::Body(incoming) => {
                let (consumed, done) = incoming.decode(self.pending.rest(), &self.limits)?;
                self.pending.consume(consumed);
                if !done {
                    return Ok(None);
                }
            }
        }
        match std::mem::replace(&mut self.state, State::Head { scanned: 0 }) {
            State::Body(incoming) => {
                let Incoming { head, body, .. } = *incoming;
                Ok(Some(Request { head, body }))
            }
            State::Head { .. } | State::Failed(_) => Ok(None),
        }
    }

    /// Parses the head if it is complete.
    fn start(&mut self, mut scanned: usize) -> Result<(), Error> {
        if scanned == 0 {
            self.pending.skip_blank_lines();
            check_first(self.pending.rest())?;
        }
        let rest = self.pending.rest();
        let within = rest.get(..self.limits.head).unwrap_or(rest);
        if let Some(end) = head_end(within, &mut scanned) {
            let head = parse_head(rest.get(..end).unwrap_or(rest), &self.limits)?;
            let incoming = Incoming::new(head, &self.limits)?;
            self.pending.consume(end);
            self.state = State::Body(Box::new(incoming));
        } else if within.len() == self.limits.head {
            return Err(too_long(within));
        } else {
            self.state = State::Head { scanned };
        }
        Ok(())
    }
}

/// Rejects what cannot become a request by its first byte: its sender may be waiting for an
/// answer, as in a TLS handshake.
fn check_first(bytes: &[u8]) -> Result<(), Error> {
    /// Content type of a TLS handshake record.
    const HANDSHAKE: u8 = 22;
    match bytes.first() {
        Some(&HANDSHAKE) => Err(Error::Tls),
        Some(byte) if !byte.is_ascii_graphic() => Err(Error::MalformedHead { reason: "not HTTP" }),
        _ => Ok(()),
    }
}

/// A request whose head has been parsed.
#[derive(Debug)]
struct Incoming {
    head: Head,
    body: Body,
    /// Number of bytes of the body that have arrived.
    arrived: usize,
    /// Whether the body may be decoded as it arrives.
    is_text: bool,
    framing: Framing,
    expects_continue: bool,
}

#[derive(Debug)]
enum Framing {
    /// A known length in bytes.
    Sized(usize),
    Chunked(Chunked),
}

impl Incoming {
    fn new(head: Head, limits: &Limits) -> Result<Self, Error> {
        let framing = framing(&head, limits)?;
        let expects = head.tokens("expect").any(|t| is(t, "100-continue"));
        Ok(Self {
            expects_continue: expects && head.minor > 0,
            is_text: body::is_text(&head),
            head,
            body: Body::default(),
            arrived: 0,
            framing,
        })
    }

    /// Moves bytes directly into the body if its length is known; returns the rest.
    fn take<'a>(&mut self, bytes: &'a [u8]) -> &'a [u8] {
        let Framing::Sized(length) = self.framing else {
            return bytes;
        };
        let missing = length.saturating_sub(self.arrived);
        let (mine, rest) = bytes.split_at(missing.min(bytes.len()));
        if let Some(text) = self.begin_text(mine) {
            self.body = Body::Text(text);
        } else {
            match &mut self.body {
                Body::Bytes(body) => push(body, mine, length),
                Body::Text(text) => text.push(mine),
            }
        }
        self.arrived += mine.len();
        rest
    }

    /// Begins a text if that can be decided now: its first two bytes show its encoding.
    fn begin_text(&self, bytes: &[u8]) -> Option<Incremental> {
        match &self.body {
            _ if !self.is_text => None,
            Body::Bytes(body) => match **body {
                [] => Incremental::begin(bytes),
                [first] => Incremental::begin(&[&[first], bytes].concat()),
                _ => None,
            },
            Body::Text(_) => None,
        }
    }

    /// Decodes the part of `bytes` that belongs to the body. Returns its length and whether
    /// the body is complete.
    fn decode(&mut self, bytes: &[u8], limits: &Limits) -> Result<(usize, bool), Error> {
        match &mut self.framing {
            Framing::Sized(length) => {
                let length = *length;
                let rest = self.take(bytes);
                Ok((bytes.len() - rest.len(), self.arrived == length))
            }
            Framing::Chunked(chunked) => {
                let Body::Bytes(body) = &mut self.body else {
                    return Ok((0, false));
                };
                let step = chunked.decode(bytes, body, limits)?;
                Ok((step.consumed, step.done))
            }
        }
    }
}

/// Appends bytes to a body of this length, and reserves room for some ahead, but at most
/// doubles what has arrived.
fn push(body: &mut Vec<u8>, bytes: &[u8], length: usize) {
    let (present, needed) = (body.len(), body.len() + bytes.len());
    if needed > body.capacity() {
        let wanted = (needed + AHEAD).max(present * 2).min(length);
        body.reserve_exact(wanted.saturating_sub(present));
    }
    body.extend_from_slice(bytes);
}

/// Decides how the body ends (RFC 9112 6.3); rejects everything that two parsers could
/// understand differently.
fn framing(head: &Head, limits: &Limits) -> Result<Framing, Error> {
    let coded = head.header("transfer-encoding").is_some();
    match content_length(head)? {
        Some(_) if coded => Err(Error::LengthWithCoding),
        None if coded => {
            let mut codings = head.tokens("transfer-encoding");
            let chunked = codings.next().is_some_and(|t| is(t, "chunked"));
            if !chunked || codings.next().is_some() || head.minor == 0 {
                return Err(Error::UnsupportedCoding);
            }
            Ok(Framing::Chunked(Chunked::new()))
        }
        Some(length) if length > limits.body => {
            let limit = limits.body;
            Err(Error::BodyTooLong { limit })
        }
        length => Ok(Framing::Sized(length.unwrap_or(0))),
    }
}

/// The length in bytes on which all `Content-Length` headers agree; `None` if there is
/// none.
fn content_length(head: &Head) -> Result<Option<usize>, Error> {
    let mut agreed = None;
    for value in head.headers_named("content-length") {
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(Error::MalformedLength);
        }
        // A number that overflows is a body that is too long, not a malformed number.
        let length = value.parse().unwrap_or(usize::MAX);
        if agreed.is_some_and(|other| other != length) {
            return Err(Error::MalformedLength);
        }
        agreed = Some(length);
    }
    Ok(agreed)
}

/// Length of the head, which ends with an empty line whose CR may be missing. `None` if it
/// is incomplete.
///
/// `scanned` is where to continue when more bytes have arrived, so that slow senders do not
/// cause quadratic work.
fn head_end(bytes: &[u8], scanned: &mut usize) -> Option<usize> {
    while let Some(at) = memchr::memchr(b'\n', bytes.get(*scanned..)?) {
        let next = *scanned + at + 1;
        match bytes.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            [] | [b'\r'] => {
                *scanned = next - 1;
                return None;
            }
            _ => *scanned = next,
        }
    }
    *scanned = bytes.len();
    None
}

/// The error for an oversized head: the request line alone exceeds the limit, or the whole
/// head.
fn too_long(head: &[u8]) -> Error {
    let limit = head.len();
    if head.contains(&b'\n') {
        Error::HeadTooLong { limit }
    } else {
        Error::TargetTooLong { limit }
    }
}

/// Parses a complete head.
fn parse_head(bytes: &[u8], limits: &Limits) -> Result<Head, Error> {
    let mut lines = [const { MaybeUninit::uninit() }; MOST_HEADERS];
    let most = limits.headers.min(MOST_HEADERS);
    let lines = lines.get_mut(..most).unwrap_or_default();
    let mut parsed = httparse::Request::new(&mut []);
    let status = parsed.parse_with_uninit_headers(bytes, lines);
    let status = status.map_err(|e| malformed(e, most))?;
    let (method, target) = (parsed.method, parsed.path);
    let whole = status == httparse::Status::Complete(bytes.len());
    let (true, Some(method), Some(target)) = (whole, method, target) else {
        let reason = "incomplete head";
        return Err(Error::MalformedHead { reason });
    };
    let mut headers = Headers::with_capacity(parsed.headers.len(), bytes.len());
    for header in &*parsed.headers {
        match std::str::from_utf8(header.value) {
            Ok(value) => headers.push(header.name, trim(value)),
            Err(_) => {
                let value = String::from_utf8_lossy(header.value);
                headers.push(header.name, trim(&value));
            }
        }
    }
    let minor = parsed.version.unwrap_or(0);
    check_host(&headers, minor)?;
    Ok(Head {
        method: Method::from_name(method),
        target: target.to_owned(),
        minor,
        headers,
    })
}

/// Requires exactly one `Host` header, in HTTP/1.0 at most one (RFC 9112 3.2).
fn check_host(headers: &Headers, minor: u8) -> Result<(), Error> {
    let hosts = headers.iter().filter(|(name, _)| is(name, "host"));
    let reason = match hosts.count() {
        0 if minor > 0 => "no Host header",
        0 | 1 => return Ok(()),
        _ => "several Host headers",
    };
    Err(Error::MalformedHead { reason })
}

fn malformed(error: httparse::Error, most: usize) -> Error {
    let reason = match error {
        httparse::Error::TooManyHeaders => {
            return Error::TooManyHeaders { limit: most };
        }
        httparse::Error::Version => return Error::UnsupportedVersion,
        httparse::Error::HeaderName => "invalid header name",
        httparse::Error::HeaderValue => "invalid header value",
        httparse::Error::NewLine => "invalid line end",
        httparse::Error::Token | httparse::Error::Status => "invalid request line",
    };
    Error::MalformedHead { reason }
}

/// Bytes that no state has consumed yet.
#[derive(Debug, Default)]
struct Pending {
    bytes: Vec<u8>,
    /// Number of `bytes` already consumed; less than their length, or zero.
    at: usize,
}

impl Pending {
    fn rest(&self) -> &[u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// Appends bytes, after moving the unconsumed ones to the front if they are the smaller
    /// part. Amortized constant time for each byte.
    fn push(&mut self, bytes: &[u8]) {
        if self.at > self.bytes.len() / 2 {
            self.bytes.drain(..self.at);
            self.at = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    fn consume(&mut self, count: usize) {
        self.at += count;
        if self.at >= self.bytes.len() {
            *self = Self::default();
        }
    }

    /// Skips blank lines, which clients may send before a request (RFC 9112 2.2).
    fn skip_blank_lines(&mut self) {
        let blank = |b: &&u8| matches!(**b, b'\r' | b'\n');
        let count = self.rest().iter().take_while(blank).count();
        self.consume(count);
    }
}
