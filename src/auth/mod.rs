//! Who a source is: HTTP authentication of one connection, over SPNEGO, NTLM and
//! Kerberos.
//!
//! All others authenticate a connection, not a request, so there is one [`Acceptor`] a
//! connection. Basic and Digest prove each request by itself: [`Passwords`], shared by
//! all. Sans-IO: time and random bytes are arguments.

mod acceptor;
mod basic;
pub mod digest;
mod error;
mod guess;
mod identity;
mod kerberos;
mod nonces;
mod ntlm_domain;
pub mod ntlm_helper;
mod passwords;
mod scheme;
mod ties;

use std::fmt;
use std::net::IpAddr;
use std::rc::Rc;

use ipnet::IpNet;
use md5::{Digest, Md5};

use crate::protocol::kerberos::{Service, Session};
use crate::protocol::ntlm;

pub use self::acceptor::{Acceptor, MAX_BASE64};
pub use self::digest::{Algorithm, Ha1};
pub use self::error::{Error, UNBOUND};
pub use self::identity::{Identity, Subject};
pub use self::ntlm_domain::Verdict;
pub use self::passwords::{Credentials, Error as PasswordError, Offer, Passwords, Presented};
pub use self::ties::{Bindings, Unbound};

/// Who may come and how; shared by all connections.
#[derive(Clone)]
pub struct Policy {
    /// Networks whose hosts may come without a credential.
    pub anonymous: Vec<IpNet>,
    /// Accounts for NTLM.
    pub accounts: Rc<dyn ntlm::Accounts>,
    /// Whether there are accounts at all.
    pub has_accounts: bool,
    /// Take NTLMv1 answers.
    pub ntlmv1: bool,
    /// A domain can be asked for accounts that are not ours.
    pub domain: bool,
    /// Our own names, for the challenge.
    pub server: ntlm::Server,
    /// Our keys, where hosts may come with Kerberos tickets.
    pub kerberos: Option<Service>,
    /// Basic and Digest, where they are turned on.
    pub passwords: Option<Passwords>,
    /// Whether sources have to show that they are on our TLS connection.
    pub bindings: Bindings,
    /// Our names, as sources may call us: `--hostname` and those of our certificates. None
    /// where we know of none.
    pub names: Vec<String>,
}

impl Policy {
    /// The scheme words to offer in `WWW-Authenticate`, a line each; those of
    /// [`Passwords::offers`] come after them.
    #[must_use]
    pub fn offers(&self) -> Vec<&'static str> {
        let ntlm = self.has_accounts || self.domain || !self.anonymous.is_empty();
        let kerberos = self.kerberos.as_ref().map(|_| "Kerberos");
        let negotiate = (ntlm || kerberos.is_some()).then_some("Negotiate");
        kerberos.into_iter().chain(negotiate).collect()
    }

    /// Whether this host may come without a credential; `::ffff:a.b.c.d` is `a.b.c.d`.
    #[must_use]
    pub fn takes_anonymous(&self, peer: IpAddr) -> bool {
        let peer = peer.to_canonical();
        self.anonymous.iter().any(|network| network.contains(&peer))
    }
}

impl fmt::Debug for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Policy")
            .field("anonymous", &self.anonymous)
            .field("has_accounts", &self.has_accounts)
            .field("ntlmv1", &self.ntlmv1)
            .field("domain", &self.domain)
            .field("server", &self.server)
            .field("kerberos", &self.kerberos)
            .field("passwords", &self.passwords)
            .field("bindings", &self.bindings)
            .field("names", &self.names)
            .finish_non_exhaustive()
    }
}

/// A client certificate that was verified in a TLS handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Most specific common name of the subject, else its first DNS name.
    pub name: String,
    /// What 0.1 took for that, where it was another.
    pub former: Option<String>,
    /// SHA-1 of the issuer's certificate, 40 upper-case hex digits.
    pub issuer: String,
}

/// What a TLS handshake says of a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secured {
    /// The client's certificate, if it has shown one.
    pub certificate: Option<Certificate>,
    /// MD5 of the channel bindings (MS-NLMP 2.2.2.1, RFC 5929 4).
    pub bindings: Option<[u8; 16]>,
}

/// MD5 of the `gss_channel_bindings_struct` that holds this hash of our
/// certificate (RFC 2744 3.11, RFC 5929 4.1).
#[must_use]
pub fn channel_bindings(end_point: &[u8]) -> [u8; 16] {
    let prefix = b"tls-server-end-point:";
    let length = u32::try_from(prefix.len() + end_point.len()).unwrap_or(u32::MAX);
    let mut hash = Md5::new();
    hash.update([0; 16]);
    hash.update(length.to_le_bytes());
    hash.update(prefix);
    hash.update(end_point);
    hash.finalize().into()
}

/// How an identity was proven.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all: an NTLM null session.
    NtlmAnonymous,
    /// By the password of an account of ours.
    Ntlm,
    /// By the password of an account that its domain verified.
    NtlmDomain,
    /// By a client certificate.
    TlsCertificate,
    /// By a ticket of the domain.
    Kerberos,
    /// By the password itself, with each request.
    Basic,
    /// By a hash of the password, with each request.
    Digest,
}

impl Method {
    /// The name in events, logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NtlmAnonymous => "ntlm-anonymous",
            Self::Ntlm => "ntlm",
            Self::NtlmDomain => "ntlm-domain",
            Self::TlsCertificate => "tls-cert",
            Self::Kerberos => "kerberos",
            Self::Basic => "basic",
            Self::Digest => "digest",
        }
    }

    /// Whether each request is proved by itself, unsealed, and vouches for no other.
    #[must_use]
    pub const fn is_by_request(self) -> bool {
        matches!(self, Self::Basic | Self::Digest)
    }

    /// Whether the identity is only a claim.
    #[must_use]
    pub const fn is_anonymous(self) -> bool {
        matches!(self, Self::NtlmAnonymous)
    }
}

/// What seals the bodies of a connection.
#[derive(Debug)]
pub enum SecurityContext {
    /// NTLM, raw or within SPNEGO.
    Ntlm(Box<ntlm::Session>),
    /// Kerberos, with what its bodies are called.
    Kerberos(Box<Session>, Protocol),
}

/// Which protocol the `multipart/encrypted` bodies of a connection name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `application/HTTP-SPNEGO-session-encrypted`: scheme Negotiate, whatever is inside.
    Spnego,
    /// `application/HTTP-Kerberos-session-encrypted`: scheme Kerberos.
    Kerberos,
}

impl SecurityContext {
    /// Encrypts `data` in place and gives the security token that goes before it.
    /// Padding may make the data longer.
    pub fn seal(&mut self, data: &mut Vec<u8>) -> Vec<u8> {
        match self {
            Self::Ntlm(session) => session.seal(data).to_vec(),
            Self::Kerberos(session, _) => session.seal(data),
        }
    }

    /// Decrypts `data` in place, verifies it with its security token, and gives the
    /// size of the text, which it begins with. After a failure the connection must be
    /// closed: its key stream is lost.
    pub fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Ntlm(session) => {
                session.unseal(token, data).map_err(Error::Unseal)?;
                Ok(data.len())
            }
            Self::Kerberos(session, _) => session.unseal(token, data).map_err(Error::Unwrap),
        }
    }

    /// The protocol word of this connection's bodies.
    #[must_use]
    pub fn mechanism(&self) -> Protocol {
        match self {
            Self::Ntlm(_) => Protocol::Spnego,
            Self::Kerberos(_, protocol) => *protocol,
        }
    }
}

/// What an `Authorization` header leads to. Strings are whole values of
/// `WWW-Authenticate`.
#[derive(Debug)]
pub enum Step {
    /// Answer 401 with this, and keep the connection.
    Challenge(String),
    /// Hold the request until [`Acceptor::handle_verdict`] has what the account's
    /// domain says to [`Acceptor::question`].
    Ask,
    /// The source is known; where there is a context, its bodies come sealed from now
    /// on, the one of this very request included.
    Accept {
        /// Who it is.
        identity: Identity,
        /// What seals its bodies; none with Basic and Digest.
        context: Option<SecurityContext>,
        /// Goes with the answer, if there is one.
        token: Option<String>,
        /// Inside TLS, bodies count without a seal.
        unsealed: bool,
    },
    /// Answer 401 with what [`Policy::offers`] says.
    Deny(Error),
}

#[cfg(test)]
mod tests;
