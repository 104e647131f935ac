//! The body of a request.

use super::{Head, is};
use crate::base::utf16::Incremental;

/// What a request contains after its head, with transfer coding removed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// It may still be sealed and compressed.
    Bytes(Vec<u8>),
    /// It is text in UTF-16, neither sealed nor compressed, and was decoded as it arrived.
    Text(Incremental),
}

impl Default for Body {
    fn default() -> Self {
        Self::Bytes(Vec::new())
    }
}

impl Body {
    /// Number of bytes held for it.
    #[must_use]
    pub fn held(&self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes.len(),
            Self::Text(text) => text.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_none(&self) -> bool {
        matches!(self, Self::Bytes(bytes) if bytes.is_empty())
    }

    /// The bytes; none of a text.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Text(_) => &[],
        }
    }
}

/// Whether a body is text that can be decoded as it arrives. The type is compared as sources
/// write it: any other spelling only means that the text is decoded later.
pub(super) fn is_text(head: &Head) -> bool {
    const TYPE: &str = "application/soap+xml;charset=UTF-16";
    let mut kinds = head.headers_named("content-type");
    let is_text = kinds.next().is_some_and(|kind| is(kind, TYPE)) && kinds.next().is_none();
    is_text && head.header("content-encoding").is_none() && !proves_body(head)
}

/// Whether the request may prove the bytes of its body (RFC 7616 3.4.3). Hosts with
/// certificates send the header, too, with a URI.
fn proves_body(head: &Head) -> bool {
    let mut all = head.headers_named("authorization");
    all.any(|value| value.get(..6).is_some_and(|scheme| is(scheme, "Digest")))
}
