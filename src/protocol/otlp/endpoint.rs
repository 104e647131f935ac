//! Requests of OTLP/HTTP in protobuf (OTLP 1.x, OTLP/HTTP request).

use std::fmt;
use std::io::Write as _;

use flate2::Compression;
use flate2::write::GzEncoder;
use zeroize::Zeroizing;

/// Where requests go, and what all of them have in common.
pub struct Endpoint {
    /// Request line and headers that are always the same.
    head: String,
    is_compressed: bool,
    /// Header lines of the administrator's.
    headers: Zeroizing<String>,
}

/// Without what may be secret.
impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("head", &self.head)
            .finish_non_exhaustive()
    }
}

impl Endpoint {
    /// Requests to `path` at `authority`, which is a host and its port.
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

    /// From now on requests have these headers too: see [`headers::parse`](super::headers::parse).
    pub fn set_headers(&mut self, headers: Zeroizing<String>) {
        self.headers = headers;
    }

    /// Appends the request with this `ExportLogsServiceRequest`.
    pub fn push_request(&self, out: &mut Vec<u8>, message: &[u8]) {
        let compressed = self.is_compressed.then(|| gzip(message));
        let body = compressed.as_deref().unwrap_or(message);
        out.extend_from_slice(self.head.as_bytes());
        out.extend_from_slice(self.headers.as_bytes());
        out.extend_from_slice(format!("Content-Length: {}\r\n\r\n", body.len()).as_bytes());
        out.extend_from_slice(body);
    }
}

/// Compressed at the level that costs least: events shrink to a tenth by any.
fn gzip(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    // Writing to a vector cannot fail.
    let _ = encoder.write_all(body);
    encoder.finish().unwrap_or_default()
}
