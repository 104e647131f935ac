//! Why a request was refused.

/// Why a request was refused; the name under which it is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum RefusalKind {
    /// No valid HTTP, a limit, a method.
    Http,
    /// A PROXY header that should not have come, or should have.
    Proxy,
    /// A TLS handshake that failed.
    Tls,
    /// Came too slowly.
    Timeout,
    /// Not authenticated.
    Authentication,
    /// Not shown to be on our TLS connection, or meant for another service.
    Binding,
    /// The domain of an account could not be asked.
    Domain,
    /// A sealed body that does not open, or one that is not sealed.
    Sealing,
    /// SLDC, text encoding.
    Encoding,
    /// No valid SOAP message, or one that makes no sense here.
    Soap,
    /// Events of another host than the authenticated one.
    Computer,
    /// Nothing wrong with it, but it cannot be taken now.
    Unavailable,
    /// The room was needed for others.
    Room,
}

impl RefusalKind {
    /// The name for logs and counters.
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
    /// What kind of fault it was.
    pub kind: RefusalKind,
    /// The HTTP status of the answer.
    pub status: u16,
    /// What was wrong, and where it is known what to do.
    pub reason: String,
    /// How the source tried to authenticate, where that failed.
    pub method: Option<&'static str>,
    /// The account whose password may have been guessed at.
    pub tried: Option<String>,
}

impl Refusal {
    /// A refusal of that kind.
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

    /// The same, of an authentication by that method.
    #[must_use]
    pub fn of(self, method: &'static str) -> Self {
        let method = Some(method);
        Self { method, ..self }
    }
}
