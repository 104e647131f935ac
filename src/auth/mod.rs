//! Who a host is: HTTP authentication over SPNEGO, NTLM, and Kerberos, and by Basic or
//! Digest.
//!
//! The connection calls in here when a request head is complete, before its body is
//! unsealed. NTLM, Kerberos, and Negotiate authenticate a connection, not a request, so
//! each connection has an [`Acceptor`]. Basic and Digest prove every request separately;
//! [`Passwords`] is shared by all connections. Client certificates are verified by TLS and
//! arrive as a [`Certificate`].
//!
//! Sans-IO: time and random bytes are arguments, and a question for a domain is a
//! [`Step::Ask`]. CredSSP is not offered: it would hand the host's password to the
//! collector.

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
use std::sync::Arc;

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
pub use self::ties::{Bindings, Unbound, collector_host};

/// Which hosts may connect and how; one for all connections, replaced as a whole on reload.
#[derive(Clone)]
pub struct Policy {
    /// Networks whose hosts may connect without credentials (`--anonymous`).
    pub anonymous: Vec<IpNet>,
    /// Accounts for NTLM (`--users`).
    pub accounts: Rc<dyn ntlm::Accounts>,
    /// Whether there are any accounts; without, NTLM for accounts is not offered.
    pub has_accounts: bool,
    /// Accept NTLMv1 responses (`--ntlmv1`), which can be cracked offline.
    pub ntlmv1: bool,
    /// Whether a domain can be asked about accounts that are not in the accounts file.
    pub domain: bool,
    /// This server's names, for the NTLM challenge.
    pub server: ntlm::Server,
    /// The Kerberos service with its keys; `None` without a keytab.
    pub kerberos: Option<Service>,
    /// Basic and Digest; `None` if both are off.
    pub passwords: Option<Passwords>,
    /// Whether hosts must prove that they are on this server's TLS connection.
    pub bindings: Bindings,
    /// Names by which hosts may address this server: `--hostname` and those of the
    /// certificates. Empty if none is known; any name is then accepted.
    pub names: Vec<String>,
}

impl Policy {
    /// The schemes to offer in `WWW-Authenticate`, one header line each. Those of
    /// [`Passwords::offers`] follow them.
    #[must_use]
    pub fn offers(&self) -> Vec<&'static str> {
        let ntlm = self.has_accounts || self.domain || !self.anonymous.is_empty();
        let kerberos = self.kerberos.as_ref().map(|_| "Kerberos");
        let negotiate = (ntlm || kerberos.is_some()).then_some("Negotiate");
        kerberos.into_iter().chain(negotiate).collect()
    }

    /// Whether this address may connect without credentials; `::ffff:a.b.c.d` counts as
    /// `a.b.c.d`.
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

/// A client certificate that the TLS handshake has verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// The most specific common name of the subject, else its first DNS name.
    pub name: String,
    /// The name that 0.1 used, if it differs; for migrating bookmarks.
    pub former: Option<String>,
    /// SHA-1 of the issuer's certificate, 40 upper-case hexadecimal digits, as Windows
    /// writes thumbprints. It goes into `IssuerCA` of subscriptions.
    pub issuer: String,
}

/// What the TLS handshake established about a connection.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secured {
    /// The client's certificate; `None` if it sent none. Shared with what TLS remembers of it.
    pub certificate: Option<Arc<Certificate>>,
    /// MD5 of the channel bindings (MS-NLMP 2.2.2.1, RFC 5929 4).
    pub bindings: Option<[u8; 16]>,
}

/// MD5 of the `gss_channel_bindings_struct` for `tls-server-end-point`, where `end_point`
/// is the hash of the server's certificate (RFC 2744 3.11, RFC 5929 4.1). NTLM and Kerberos
/// send the same 16 bytes.
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

/// How an identity was proved.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Method {
    /// Not at all: an NTLM null session.
    NtlmAnonymous,
    /// NTLM with a password of the accounts file.
    Ntlm,
    /// NTLM with a password that the account's domain verified.
    NtlmDomain,
    /// A TLS client certificate.
    TlsCertificate,
    /// A Kerberos ticket.
    Kerberos,
    /// The password itself, in each request.
    Basic,
    /// A hash of the password, in each request.
    Digest,
}

impl Method {
    /// The name in events, logs, and metrics; part of bookmark keys, so it must not change.
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

    /// Whether each request is authenticated separately, unsealed, and proves nothing about
    /// the next one.
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

/// The keys and sequence numbers that seal the bodies of a connection. It must never be
/// shared between connections.
#[derive(Debug)]
pub enum SecurityContext {
    /// NTLM, raw or inside SPNEGO (MS-NLMP 3.4).
    Ntlm(Box<ntlm::Session>),
    /// Kerberos (RFC 4121), with the protocol name that its bodies use.
    Kerberos(Box<Session>, Protocol),
}

/// The protocol named by the `multipart/encrypted` bodies of a connection (MS-WSMV
/// 2.2.9.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// `application/HTTP-SPNEGO-session-encrypted`: scheme Negotiate, with any mechanism
    /// inside.
    Spnego,
    /// `application/HTTP-Kerberos-session-encrypted`: scheme Kerberos.
    Kerberos,
}

impl SecurityContext {
    /// Encrypts `data` in place and returns the security token that precedes it. Padding
    /// may lengthen the data.
    pub fn seal(&mut self, data: &mut Vec<u8>) -> Vec<u8> {
        match self {
            Self::Ntlm(session) => session.seal(data).to_vec(),
            Self::Kerberos(session, _) => session.seal(data),
        }
    }

    /// Decrypts `data` in place, verifies it against its security token, and returns the
    /// length of the plain text at its front. After an error the connection must be closed:
    /// the key stream and the sequence number are out of step for good.
    pub fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<usize, Error> {
        match self {
            Self::Ntlm(session) => {
                session.unseal(token, data).map_err(Error::Unseal)?;
                Ok(data.len())
            }
            Self::Kerberos(session, _) => session.unseal(token, data).map_err(Error::Unwrap),
        }
    }

    /// The protocol name for the bodies of this connection.
    #[must_use]
    pub fn mechanism(&self) -> Protocol {
        match self {
            Self::Ntlm(_) => Protocol::Spnego,
            Self::Kerberos(_, protocol) => *protocol,
        }
    }
}

/// What an `Authorization` header leads to. Strings are complete values of
/// `WWW-Authenticate`.
#[derive(Debug)]
pub enum Step {
    /// Answer 401 with this value, and keep the connection open.
    Challenge(String),
    /// Hold the request until [`Acceptor::handle_verdict`] receives the domain's answer to
    /// [`Acceptor::question`].
    Ask,
    /// The host is authenticated. With a context, all bodies are sealed from now on,
    /// including that of this very request.
    Accept {
        /// The authenticated host.
        identity: Identity,
        /// The context that seals its bodies; `None` with Basic and Digest.
        context: Option<SecurityContext>,
        /// The last token for the host, sent with the answer.
        token: Option<String>,
        /// Bodies may arrive unsealed, because TLS protects them.
        unsealed: bool,
    },
    /// Answer 401 with the schemes of [`Policy::offers`].
    Deny(Error),
}

#[cfg(test)]
mod tests;
