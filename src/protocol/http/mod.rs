//! HTTP/1.1 for event sources: decodes requests and encodes responses (RFC 9112).
//!
//! Sans-IO: [`request::Decoder`] turns received bytes into complete requests, and
//! [`Response::encode`] appends bytes to send. Everything that two parsers could understand
//! differently is rejected, because a proxy may be between host and relay.

pub mod answer;
mod body;
mod chunked;
mod content_type;
mod headers;
pub mod multipart;
pub mod request;
mod response;
#[cfg(test)]
mod tests;

use std::fmt;

pub use body::Body;
pub use content_type::ContentType;
pub use headers::Headers;
pub use response::{CONTINUE, Response};

/// What one request may cost in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Maximum size of request line and headers in bytes, line ends included. A Kerberos
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
    /// The only method that event sources use.
    Post,
    /// For metrics and health checks.
    Get,
    /// Like `Get`, but answered without a body.
    Head,
    /// Any other valid token; answered 405.
    Other(String),
}

impl Method {
    /// Parses a method; names are case-sensitive (RFC 9110 9.1).
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

/// The request line and headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Head {
    /// The request method.
    pub method: Method,
    /// The request target as sent. For enumeration it is free text: administrators choose
    /// it in the policy (`Server=http://host:5985/any/path`).
    pub target: String,
    /// Minor version: 1 for HTTP/1.1, 0 for HTTP/1.0.
    pub minor: u8,
    /// The header lines, in order.
    pub headers: Headers,
}

impl Head {
    /// The first value of a header; the name is compared ignoring case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers_named(name).next()
    }

    /// All values of a header, in order; the name is compared ignoring case.
    pub fn headers_named<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let named = move |(key, _): &(&str, &str)| key.eq_ignore_ascii_case(name);
        self.headers.iter().filter(named).map(|(_, value)| value)
    }

    /// Whether the connection may carry another request (RFC 9112 9.3).
    ///
    /// Never for HTTP/1.0, although it has a header for that: no source needs it.
    #[must_use]
    pub fn keep_alive(&self) -> bool {
        self.minor > 0 && !self.tokens("connection").any(|t| is(t, "close"))
    }

    /// The host in the target, and its path without the query. Only an absolute target has
    /// a host, which takes precedence over the `Host` header (RFC 9112 3.2.2).
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

    /// The elements of all headers of this name, which are comma-separated lists.
    fn tokens<'a>(&'a self, name: &str) -> impl Iterator<Item = &'a str> {
        let elements = self.headers_named(name).flat_map(|v| v.split(','));
        elements.map(trim).filter(|t| !t.is_empty())
    }
}

/// A complete request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// Request line and headers.
    pub head: Head,
    /// The body.
    pub body: Body,
}

/// Why bytes are not an acceptable request. The connection cannot continue, because it is
/// unknown where the next request would begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No valid request line and headers.
    MalformedHead {
        /// What is wrong, in words that complete a log message.
        reason: &'static str,
    },
    /// A TLS handshake on a listener for plain HTTP (RFC 8446 5.1).
    Tls,
    /// Neither HTTP/1.1 nor HTTP/1.0.
    UnsupportedVersion,
    /// The request line alone exceeds the limit of the head.
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
        /// Maximum number of header lines.
        limit: usize,
    },
    /// A `Content-Length` that is not a number, or several that differ.
    MalformedLength,
    /// `Content-Length` and `Transfer-Encoding` together (RFC 9112 6.1).
    LengthWithCoding,
    /// A transfer coding other than a single `chunked`, or any in HTTP/1.0.
    UnsupportedCoding,
    /// The body is longer than the limit.
    BodyTooLong {
        /// The limit in bytes.
        limit: usize,
    },
    /// A malformed chunk-size line, chunk end, or trailer.
    MalformedChunk {
        /// Number of bytes of the body that had been decoded.
        offset: usize,
    },
    /// A chunk-size line or trailers that exceed a limit.
    ChunkTooLong {
        /// The limit in bytes.
        limit: usize,
    },
}

impl Error {
    /// The status code for the response before the connection closes.
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

/// Strips optional white space (RFC 9110 5.6.3).
fn trim(text: &str) -> &str {
    text.trim_matches([' ', '\t'])
}
