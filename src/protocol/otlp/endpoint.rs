//! HTTP requests of OTLP/HTTP with protobuf bodies.

use std::fmt;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use zeroize::Zeroizing;

/// The target of requests, and the parts that all of them share.
pub struct Endpoint {
    /// Request line and the constant headers.
    head: String,
    is_compressed: bool,
    /// Header lines that the administrator added.
    headers: Zeroizing<String>,
}

/// Omits anything that may be secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// For requests to `path` at `authority` (host and port).
    #[must_use]
    pub fn new(authority: &str, path: &str, is_compressed: bool) -> Self {
        let coding = if is_compressed {
            "Content-Encoding: gzip\r\n"
        } else {
            ""
        };
        Self {
            head: format!(
                "POST {path} HTTP/1.1\r\nHost: {authority}\r\nUser-Agent: wecrelay/{}\r\n\
                 Content-Type: application/x-protobuf\r\n{coding}",
                env!("CARGO_PKG_VERSION")
            ),
            is_compressed,
            headers: Zeroizing::default(),
        }
    }

    /// Adds these header lines to all further requests; see
    /// [`headers::parse`](super::headers::parse).
    pub fn set_headers(&mut self, headers: Zeroizing<String>) {
        self.headers = headers;
    }

    /// Appends a request that contains this `ExportLogsServiceRequest`.
    pub fn push_request(&self, out: &mut Vec<u8>, message: &[u8]) {
        let compressed = self.is_compressed.then(|| gzip(message));
        let body = compressed.as_deref().unwrap_or(message);
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(self.headers.as_bytes());
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
    }
}

/// Compresses at the cheapest level: events shrink to a tenth at any level.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
