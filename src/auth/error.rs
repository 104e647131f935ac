//! Why a host failed to authenticate: the reason and remedy for the administrator, and the
//! much shorter text that the host itself may see.

use std::fmt;
use std::net::IpAddr;

use crate::auth::{Method, PasswordError, Unbound};
use crate::protocol::kerberos;
use crate::protocol::ntlm::sealing::UnsealError;
use crate::protocol::ntlm::{self, Reason};
use crate::protocol::spnego::{self, Mechanism};

/// Maximum number of characters of an unknown scheme word in a log message.
const MAX_WORD: usize = 40;

/// Why a host failed to authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// An authentication scheme that is not supported; its first word, truncated.
    Scheme(String),
    /// A scheme without a token, or an SPNEGO response without one.
    NoToken,
    /// A token longer than [`super::MAX_BASE64`].
    TooLong {
        /// Size of the base64 text in bytes.
        length: usize,
    },
    /// A token that is not valid base64.
    Base64,
    /// A later token of an exchange that this connection has not begun, for example after a
    /// load balancer moved the client to another connection.
    OutOfTurn,
    /// SPNEGO was malformed or offered no usable mechanism.
    Spnego(spnego::Error),
    /// The list of mechanisms must be signed (RFC 4178 5) and is not.
    MechanismsUnsigned,
    /// The signature over the list of mechanisms does not match: it was changed in transit.
    MechanismsChanged,
    /// The NTLM exchange failed.
    Ntlm {
        /// What failed.
        error: ntlm::Error,
        /// Address of the host, without IPv4 mapping; the remedy names it for
        /// `--anonymous`.
        peer: IpAddr,
        /// Whether accounts are configured; decides which remedy fits.
        has_accounts: bool,
    },
    /// Basic or Digest failed.
    Password(PasswordError),
    /// The account's domain rejected it.
    Domain {
        /// The account that the host claimed.
        claimed: ntlm::Account,
        /// The reason, as the domain or its helper words it.
        why: String,
    },
    /// The account's domain could not be asked, so nothing is known about the password.
    DomainUnavailable {
        /// The account that the host claimed.
        claimed: ntlm::Account,
        /// Why it could not be asked.
        why: String,
    },
    /// A Kerberos token, but no keytab is configured.
    NoKeytab,
    /// Kerberos failed.
    Kerberos {
        /// What failed.
        error: kerberos::Error,
        /// A KRB-ERROR for the host as a value of `WWW-Authenticate`, where the protocol
        /// defines one.
        answer: Option<String>,
    },
    /// Nothing proves that the host itself is at the other end of this TLS connection.
    Unbound {
        /// The account, as authenticated.
        who: String,
        /// The authentication method that succeeded.
        method: Method,
        /// What is missing.
        why: Unbound,
    },
    /// The host meant to talk to another service or another server, as in a relay attack.
    Target {
        /// The account, as authenticated.
        who: String,
        /// The authentication method that succeeded.
        method: Method,
        /// The service principal name that the host asked for.
        asked: String,
        /// The accepted server names; empty if already the service class is wrong.
        names: Vec<String>,
    },
    /// An NTLM-sealed body failed to verify.
    Unseal(UnsealError),
    /// A Kerberos-sealed body failed to verify.
    Unwrap(kerberos::wrap::Error),
}

impl Error {
    /// The reason and what to do about it, for the administrator.
    #[must_use]
    pub fn reason(&self) -> String {
        match self.remedy() {
            Some(remedy) => format!("{self}; {remedy}"),
            None => self.to_string(),
        }
    }

    /// A complete value of `WWW-Authenticate` that explains the failure to the host in
    /// terms of its mechanism. Only Kerberos has such messages.
    #[must_use]
    pub fn answer(&self) -> Option<&str> {
        match self {
            Self::Kerberos { answer, .. } => answer.as_deref(),
            _ => None,
        }
    }

    /// What the host may learn. Unknown accounts and wrong passwords share one text, so
    /// that it does not help to guess accounts.
    #[must_use]
    pub fn for_source(&self) -> &'static str {
        match self {
            Self::Scheme(_) => "authentication scheme not supported, use Negotiate",
            Self::Spnego(spnego::Error::NoCommonMechanism { .. } | spnego::Error::Frame(_)) => {
                "authentication mechanism not supported, use NTLM"
            }
            Self::Ntlm {
                error: ntlm::Error::Missing(_) | ntlm::Error::Unsupported(_),
                ..
            } => "NTLM options not sufficient",
            Self::Ntlm {
                error: ntlm::Error::Denied { .. },
                ..
            }
            | Self::Domain { .. }
            | Self::DomainUnavailable { .. }
            | Self::MechanismsUnsigned
            | Self::MechanismsChanged => "authentication failed",
            Self::OutOfTurn => "authentication token out of turn",
            Self::NoKeytab => "Kerberos not supported, use Negotiate",
            Self::Kerberos { .. } => "authentication failed",
            Self::Unseal(_) | Self::Unwrap(_) => "sealed body refused",
            Self::Unbound { .. } => "channel bindings required",
            Self::Target { .. } => "service name is another one's",
            Self::Password(error) => error.for_source(),
            _ => "authentication token malformed",
        }
    }

    /// Name of the method that failed, as specific as the exchange had become; a metric
    /// label.
    #[must_use]
    pub fn method(&self) -> &'static str {
        match self {
            Self::Domain { .. } | Self::DomainUnavailable { .. } => Method::NtlmDomain.as_str(),
            Self::Ntlm {
                error:
                    ntlm::Error::Denied {
                        claimed: ntlm::Account::Anonymous { .. },
                        ..
                    },
                ..
            } => Method::NtlmAnonymous.as_str(),
            Self::Ntlm { .. } => Method::Ntlm.as_str(),
            Self::Password(error) => error.method().as_str(),
            Self::Unbound { method, .. } | Self::Target { method, .. } => method.as_str(),
            Self::Kerberos { .. } => Method::Kerberos.as_str(),
            _ => "none",
        }
    }

    /// An unsupported scheme, truncated so that a hostile header cannot flood the log.
    pub(super) fn scheme(word: &str) -> Self {
        Self::Scheme(word.chars().take(MAX_WORD).collect())
    }

    pub(super) fn ntlm(error: ntlm::Error, peer: IpAddr, has_accounts: bool) -> Self {
        let peer = peer.to_canonical();
        Self::Ntlm {
            error,
            peer,
            has_accounts,
        }
    }

    fn remedy(&self) -> Option<String> {
        let fixed = match self {
            Self::Ntlm {
                error: ntlm::Error::Denied { reason, claimed },
                peer,
                has_accounts,
            } => return Some(denied(*reason, claimed, *peer, *has_accounts)),
            Self::Ntlm {
                error: ntlm::Error::Missing(_),
                ..
            } => {
                "set the host's policy \"Minimum session security for NTLM SSP\" to NTLMv2 and 128-bit encryption"
            }
            Self::Spnego(spnego::Error::NoCommonMechanism { .. })
            | Self::Spnego(spnego::Error::Frame(
                Mechanism::Kerberos | Mechanism::KerberosMicrosoft,
            )) => "add this collector to the host's WinRM client policy \"Trusted Hosts\"",
            Self::NoKeytab => {
                "provide the key of HTTP/NAME-OF-THIS-COLLECTOR with --keytab, or add this collector to \
                 the host's WinRM client policy \"Trusted Hosts\""
            }
            Self::Kerberos { error, .. } => return error.remedy(),
            Self::Password(error) => return Some(error.remedy()),
            Self::Scheme(word) if is_password_scheme(word) => {
                "let the host's WinRM client use Negotiate, or enable the scheme with --basic or \
                 --digest"
            }
            Self::Scheme(_) => "let the host's WinRM client use Negotiate",
            Self::MechanismsUnsigned | Self::MechanismsChanged => {
                "look for a proxy or an attacker between the host and this collector"
            }
            Self::OutOfTurn => {
                "look for a proxy that spreads one connection's requests over several"
            }
            Self::Domain { .. } => {
                "check the account and event 4776 on the domain controller, or add the account to \
                 the file of --users"
            }
            Self::DomainUnavailable { .. } => {
                "`wbinfo -P` must reach a domain controller; the host retries"
            }
            Self::Unseal(_) | Self::Unwrap(_) => {
                "the connection is closed, and the host starts over"
            }
            Self::Unbound { .. } => UNBOUND,
            Self::Target { names, .. } if names.is_empty() => {
                "look for an attacker who lures hosts to another service and relays their logon \
                 here"
            }
            Self::Target { .. } => {
                "have hosts use one of those names, or add the other one with --hostname or in the \
                 certificate of --tls-cert; if no host is configured that way, look for an \
                 attacker who relays logons here"
            }
            _ => return None,
        };
        Some(fixed.to_owned())
    }
}

/// The remedy for [`Error::Unbound`]: without a binding, a legitimate client and an
/// attacker who relays its logon look the same.
pub const UNBOUND: &str = "Windows, pywinrm and pypsrp send channel bindings: look for a proxy that terminates TLS, or an attacker who relays the logon here; for clients that cannot send them, such as curl's NTLM, use --channel-bindings none";

fn is_password_scheme(word: &str) -> bool {
    word.eq_ignore_ascii_case("Basic") || word.eq_ignore_ascii_case("Digest")
}

fn denied(reason: Reason, claimed: &ntlm::Account, peer: IpAddr, has_accounts: bool) -> String {
    let name = claimed.name();
    match reason {
        Reason::UnknownAccount if !has_accounts => {
            "provide a file of accounts with --users".to_owned()
        }
        Reason::UnknownAccount => format!("add {name} to the file of --users"),
        Reason::WrongPassword => {
            format!("renew the line of {name} in the file of --users with `wecrelay passwd`")
        }
        Reason::AnonymousNotAllowed => {
            format!(
                "let the host log on with an account or a certificate; only if it is to need \
                 none, add {peer} or its network to --anonymous"
            )
        }
        Reason::Ntlmv1NotAllowed => {
            "set LmCompatibilityLevel of the host to 3 or more, or use --ntlmv1".to_owned()
        }
        Reason::LmOnly => "set LmCompatibilityLevel of the host to 3 or more".to_owned(),
        Reason::BadMic => {
            "look for a proxy or an attacker between the host and this collector".to_owned()
        }
        Reason::ChannelBindings => kerberos::OTHER_CONNECTION.to_owned(),
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme(word) => write!(f, "scheme {word:?} is not supported"),
            Self::NoToken => f.write_str("no token"),
            Self::TooLong { length } => write!(f, "token of {length} bytes is too long"),
            Self::Base64 => f.write_str("token is not base64"),
            Self::OutOfTurn => {
                f.write_str("token of an exchange that did not begin on this connection")
            }
            Self::Spnego(error) => error.fmt(f),
            Self::MechanismsUnsigned => f.write_str("list of mechanisms is not signed"),
            Self::MechanismsChanged => f.write_str("list of mechanisms was changed in transit"),
            Self::Ntlm { error, .. } => error.fmt(f),
            Self::Password(error) => error.fmt(f),
            Self::Domain { claimed, why } => write!(f, "the domain rejects {claimed}: {why}"),
            Self::DomainUnavailable { claimed, why } => {
                write!(f, "the domain cannot verify {claimed}: {why}")
            }
            Self::Unbound { who, why, .. } => write!(f, "{who} inside TLS, with {why}"),
            Self::Target {
                who, asked, names, ..
            } if names.is_empty() => {
                write!(
                    f,
                    "{who} is for {asked:?}, which is not a service of a collector"
                )
            }
            Self::Target {
                who, asked, names, ..
            } => {
                let names = names.join(", ");
                write!(f, "{who} is for {asked:?}, but this collector is {names}")
            }
            Self::NoKeytab => f.write_str("a Kerberos ticket, but no --keytab"),
            Self::Kerberos { error, .. } => error.fmt(f),
            Self::Unseal(error) => error.fmt(f),
            Self::Unwrap(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Spnego(error) => Some(error),
            Self::Ntlm { error, .. } => Some(error),
            Self::Kerberos { error, .. } => Some(error),
            Self::Password(error) => Some(error),
            Self::Unseal(error) => Some(error),
            Self::Unwrap(error) => Some(error),
            _ => None,
        }
    }
}

impl From<spnego::Error> for Error {
    fn from(error: spnego::Error) -> Self {
        Self::Spnego(error)
    }
}
