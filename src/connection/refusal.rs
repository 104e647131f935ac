//! Why a request was rejected.

use crate::protocol::http;

/// Why a request was rejected; the category for counters and logs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// Invalid HTTP, an exceeded limit, or a wrong method.
    Http,
    /// An unexpected PROXY header, or a missing one.
    Proxy,
    /// A failed TLS handshake.
    Tls,
    /// The source was too slow.
    Timeout,
    /// Authentication failed.
    Authentication,
    /// The source is not tied to this TLS connection, or meant another service.
    Binding,
    /// The domain of an account could not be asked.
    Domain,
    /// A sealed body that cannot be unsealed, or one that should be sealed and is not.
    Sealing,
    /// Invalid SLDC or text encoding.
    Encoding,
    /// Not a valid SOAP message, or one that makes no sense here.
    Soap,
    /// Events of another host than the authenticated one.
    Computer,
    /// A valid request that cannot be accepted at present.
    Unavailable,
    /// The room was needed for others.
    Room,
}

impl RefusalKind {
    /// The name in logs and metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Proxy => "proxy",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Authentication => "authentication",
            Self::Binding => "binding",
            Self::Domain => "domain",
            Self::Sealing => "sealing",
            Self::Encoding => "encoding",
            Self::Soap => "soap",
            Self::Computer => "computer",
            Self::Unavailable => "unavailable",
            Self::Room => "room",
        }
    }
}

/// A request that was answered with an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The category.
    pub kind: RefusalKind,
    /// The HTTP status of the answer; 0 if there was none.
    pub status: u16,
    /// What was wrong, with the remedy if one is known.
    pub reason: String,
    /// The authentication method that failed, if any.
    pub method: Option<&'static str>,
    /// The account whose password may have been guessed.
    pub tried: Option<String>,
}

impl Refusal {
    /// A rejection of this category.
    #[must_use]
    pub fn new(kind: RefusalKind, status: u16, reason: impl Into<String>) -> Self {
        Self {
            kind,
            status,
            reason: reason.into(),
            method: None,
            tried: None,
        }
    }

    pub(super) fn without_certificate() -> Self {
        let reason = "no client certificate, and no other method is enabled here; the \
                      host needs one from an authority of --client-ca, with its private key \
                      readable by NETWORK SERVICE, and the authority named as IssuerCA= in its policy";
        Self::new(RefusalKind::Authentication, 403, reason)
    }

    pub(super) fn too_many_failures() -> Self {
        let reason = "too many failed authentications with this account or from this address; it can retry after a minute";
        Self::new(RefusalKind::Authentication, 429, reason)
    }

    /// The same, with the authentication method that failed.
    #[must_use]
    pub fn of(self, method: &'static str) -> Self {
        let method = Some(method);
        Self { method, ..self }
    }
}

impl From<http::Error> for Refusal {
    fn from(error: http::Error) -> Self {
        Self::new(RefusalKind::Http, error.status(), error.to_string())
    }
}
