//! HTTP/1.1 as event sources speak it: requests in, responses out (RFC 9112).
//!
//! No sockets and no clock: [`request::Decoder`] takes bytes and gives whole
//! requests, [`Response::encode`] appends bytes to send.

pub mod answer;
mod chunked;
mod content_type;
mod headers;
pub mod multipart;
pub mod request;
mod response;
#[cfg(test)]
mod tests;

use std::fmt;

pub use content_type::ContentType;
pub use headers::Headers;
pub use response::{CONTINUE, Response};

/// What a request may cost us at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of request line and headers, with their line ends. A Kerberos
    /// ticket with a large PAC needs 72 KiB.
    pub head: usize,
    /// Bytes of a body, after any transfer coding.
    pub body: usize,
    /// Number of header lines; sources send eight.
    pub headers: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            head: 96 * 1024,
            body: 8 * 1024 * 1024,
            headers: 64,
        }
    }
}

/// The method of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Method {
    /// The only one that sources use.
    Post,
    /// For metrics and health.
    Get,
    /// As `Get`, answered without body.
    Head,
    /// Anything else that is a token.
    Other(String),
}

impl Method {
    /// The method of that name; names are case-sensitive (RFC 9110 9.1).
    #[must_use]
    pub fn from_name(name: &str) -> Self {
        match name {
            "POST" => Self::Post,
            "GET" => Self::Get,
            "HEAD" => Self::Head,
            _ => Self::Other(name.to_owned()),
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Post => "POST",
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Other(name) => name,
        })
    }
}

/// Request line and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// Request method; only POST is supported.
    pub method: Method,
    /// The request target as sent: `/wsman/...`, free text for enumeration.
    pub target: String,
    /// Minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor: u8,
    /// Its header lines.
    pub headers: Headers,
}

impl Head {
    /// The first value of a header, whose name is compared without case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// All values of a header, in order.
    pub fn headers_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = move |(key, _): &(&str, &str)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value)
    }

    /// Whether the connection may serve another request (RFC 9112 9.3).
    ///
    /// HTTP/1.0 never, although it has a header for it: no source needs that.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.minor > 0 && !self.tokens("connection").any(|t| is(t, "close"))
    }

    /// The host that the target names and its path, without the query. Only an absolute
    /// target has a host, which then counts in place of the header (RFC 9112 3.2.2).
    #[must_use]
    pub fn host_and_path(&self) -> (Option<&str>, &str) {
        const SCHEME: &str = "http://";
        let target = self.target.split(['?', '#']).next().unwrap_or_default();
        let (scheme, rest) = target.split_at_checked(SCHEME.len()).unwrap_or_default();
        if !scheme.eq_ignore_ascii_case(SCHEME) {
            return (None, target);
        }
        let (host, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        (Some(host), if path.is_empty() { "/" } else { path })
    }

    /// The elements of a header that is a comma-separated list.
    fn tokens<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let elements = self.headers_named(name).flat_map(|v| v.split(','));
        elements.map(trim).filter(|t| !t.is_empty())
    }
}

/// A whole request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Request line and headers.
    pub head: Head,
    /// The body, without transfer coding.
    pub body: Vec<u8>,
}

/// Why bytes are not a request that we take. The connection cannot go on: where
/// the next request would begin is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No valid request line and headers; why, in words.
    MalformedHead {
        /// What the parser stumbled over.
        reason: &'static str,
    },
    /// A TLS handshake begins where HTTP should (RFC 8446 5.1).
    Tls,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    UnsupportedVersion,
    /// The request line alone fills the head.
    TargetTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// The head is longer than the limit.
    HeadTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// More header lines than the limit.
    TooManyHeaders {
        /// The limit in bytes.
        limit: usize,
    },
    /// A `Content-Length` that is no number, or several that differ.
    MalformedLength,
    /// `Content-Length` and `Transfer-Encoding` together (RFC 9112 6.1).
    LengthWithCoding,
    /// A transfer coding other than a single `chunked`, or one in HTTP/1.0.
    UnsupportedCoding,
    /// The body is longer than the limit.
    BodyTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A chunk's size line, its end, or a trailer is malformed.
    MalformedChunk {
        /// How much of the body had been read, in bytes.
        offset: usize,
    },
    /// A chunk's size line or the trailers are longer than the limit.
    ChunkTooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

impl Error {
    /// The status to answer with before closing.
    #[must_use]
    pub fn status(&self) -> u16 {
        match self {
            Self::MalformedHead { .. }
            | Self::Tls
            | Self::MalformedLength
            | Self::LengthWithCoding
            | Self::MalformedChunk { .. }
            | Self::ChunkTooLong { .. } => 400,
            Self::BodyTooLong { .. } => 413,
            Self::TargetTooLong { .. } => 414,
            Self::HeadTooLong { .. } | Self::TooManyHeaders { .. } => 431,
            Self::UnsupportedCoding => 501,
            Self::UnsupportedVersion => 505,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::MalformedHead { reason } => write!(f, "malformed request: {reason}"),
            Self::Tls => f.write_str(
                "TLS on a port for plain HTTP: the client uses https:// with the wrong port; \
                 use the https port (5986) in the policy, or http://",
            ),
            Self::UnsupportedVersion => f.write_str("unsupported http version"),
            Self::TargetTooLong { limit } => write!(f, "request line is over {limit} bytes"),
            Self::HeadTooLong { limit } => write!(f, "request head is over {limit} bytes"),
            Self::TooManyHeaders { limit } => write!(f, "request has over {limit} headers"),
            Self::MalformedLength => f.write_str("malformed or conflicting content-length"),
            Self::LengthWithCoding => f.write_str("content-length beside transfer-encoding"),
            Self::UnsupportedCoding => f.write_str("unsupported transfer coding"),
            Self::BodyTooLong { limit } => write!(f, "request body is over {limit} bytes"),
            Self::MalformedChunk { offset } => {
                write!(f, "malformed chunk after {offset} bytes of body")
            }
            Self::ChunkTooLong { limit } => {
                write!(f, "chunk sizes and trailers are over {limit} bytes")
            }
        }
    }
}

impl std::error::Error for Error {}

fn is(name: &str, other: &str) -> bool {
    name.eq_ignore_ascii_case(other)
}

/// Without the optional white space of RFC 9110 5.6.3.
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
