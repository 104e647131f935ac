//! NTLM, the collector's side: two messages in, one out, then a [`Session`].
//!
//! Sans-IO: time and random bytes are arguments. Refused always: messages without
//! extended session security or 128-bit keys, and LM alone (MS-NLMP 3.2.5).
//!
//! ```
//! use wecrelay::base::clock::FileTime;
//! use wecrelay::protocol::ntlm::{Accounts, ExpectNegotiate, Known, Rules, Server, initiator};
//!
//! struct Nobody;
//! impl Accounts for Nobody {
//!     fn find(&self, _user: &str, _domain: &str) -> Option<Known> {
//!         None
//!     }
//! }
//!
//! let (negotiate, source) = initiator::start(initiator::Client::anonymous("SOURCE01"));
//! let server = Server::from_hostname("collector.example.test");
//! let (challenge, expect) = ExpectNegotiate::sealed().handle(&negotiate, &server, [7; 8], FileTime::default())?;
//! let (authenticate, _) = source.handle(&challenge, &initiator::Nonces::default(), FileTime::default())?;
//! let rules = Rules { anonymous: true, ..Rules::default() };
//! let established = expect.handle(&authenticate, &Nobody, &rules)?;
//! assert_eq!(established.account.workstation(), "SOURCE01");
//! # Ok::<(), wecrelay::protocol::ntlm::Error>(())
//! ```

pub mod crypto;
pub mod initiator;
pub mod letter_case;
pub mod messages;

mod acceptor;
mod av_pairs;
mod flags;
mod layout;
mod rc4;
pub mod sealing;

use std::fmt;

use self::crypto::{Direction, Key, NtHash};
use self::messages::{Authenticate, AvPair, AvPairs, Flags, NtResponse, ParseError};
use self::sealing::{SIGNATURE_SIZE, Sealer, UnsealError, Unsealer};
use crate::base::clock::FileTime;

pub use self::acceptor::{
    Established, ExpectAuthenticate, ExpectNegotiate, ExpectVerdict, MAX_NEGOTIATE, Progress,
    Question,
};

/// Provides the accounts; implemented by the accounts file.
pub trait Accounts {
    /// The account for these names as the client sent them; `None` if there is none.
    fn find(&self, user: &str, domain: &str) -> Option<Known>;
}

/// A configured account.
#[derive(Clone, Debug)]
pub struct Known {
    /// The name in the accounts file, however the client spelled it.
    pub name: Name,
    /// Its NT hash, which is equivalent to the password.
    pub hash: NtHash,
}

/// The name of an account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Name {
    /// The domain; `None` if the account has none.
    pub domain: Option<String>,
    /// The user name within the domain.
    pub user: String,
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.domain {
            Some(domain) => write!(f, "{domain}\\{}", self.user),
            None => f.write_str(&self.user),
        }
    }
}

/// What one connection allows.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// Accept null sessions.
    pub anonymous: bool,
    /// Accept NTLMv1 responses, though only with extended session security.
    pub ntlmv1: bool,
    /// Unknown accounts may belong to a domain that can be asked.
    pub domain: bool,
    /// MD5 of the connection's channel bindings; compared only if the client sends some.
    pub channel_bindings: Option<[u8; 16]>,
}

/// This server's names, which the challenge shows to clients.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Server {
    /// NetBIOS name: upper case, at most 15 characters.
    pub computer: String,
    /// NetBIOS name of the domain; in a workgroup that of the computer.
    pub domain: String,
    /// Host name in DNS.
    pub dns_computer: String,
    /// DNS domain; the host name if there is none.
    pub dns_domain: String,
}

impl Server {
    /// Derives all names from a host name, as in a workgroup.
    #[must_use]
    pub fn from_hostname(hostname: &str) -> Self {
        let (label, parent) = hostname.split_once('.').unwrap_or((hostname, hostname));
        let computer: String = label.to_uppercase().chars().take(15).collect();
        Self {
            domain: computer.clone(),
            computer,
            dns_computer: hostname.to_owned(),
            dns_domain: parent.to_owned(),
        }
    }

    /// TargetInfo in the order of Windows. Its time makes clients use it and add a MIC.
    fn target_info(&self, now: FileTime) -> AvPairs {
        AvPairs(vec![
            AvPair::NbDomainName(self.domain.clone()),
            AvPair::NbComputerName(self.computer.clone()),
            AvPair::DnsDomainName(self.dns_domain.clone()),
            AvPair::DnsComputerName(self.dns_computer.clone()),
            AvPair::Timestamp(now),
        ])
    }
}

/// The account that a client claims, which is verified only after success.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Account {
    /// A null session: no identity, and no secrecy from anyone who saw the handshake.
    Anonymous {
        /// The client's workstation name, an unverified claim.
        workstation: String,
    },
    /// An account with a password.
    User {
        /// User name as the client sent it.
        user: String,
        /// Domain as the client sent it.
        domain: String,
        /// The client's workstation name, an unverified claim.
        workstation: String,
    },
}

impl Account {
    /// `DOMAIN\user`, or `user` without a domain; empty for a null session.
    #[must_use]
    pub fn name(&self) -> String {
        match self {
            Self::Anonymous { .. } => String::new(),
            Self::User { user, domain, .. } if domain.is_empty() => user.clone(),
            Self::User { user, domain, .. } => format!("{domain}\\{user}"),
        }
    }

    /// The parts of the name, with `user@domain` split into them.
    #[must_use]
    pub fn typed(&self) -> Name {
        let (user, domain) = match self {
            Self::Anonymous { .. } => ("", ""),
            Self::User { user, domain, .. } => (user.as_str(), domain.as_str()),
        };
        let (user, domain) = match user.rsplit_once('@').filter(|_| domain.is_empty()) {
            Some((user, domain)) => (user, domain),
            None => (user, domain),
        };
        Name {
            domain: (!domain.is_empty()).then(|| domain.to_owned()),
            user: user.to_owned(),
        }
    }

    /// The client's workstation name, an unverified claim.
    #[must_use]
    pub fn workstation(&self) -> &str {
        match self {
            Self::Anonymous { workstation } | Self::User { workstation, .. } => workstation,
        }
    }

    fn claimed(message: &Authenticate) -> Self {
        let workstation = message.workstation.clone();
        if message.user.is_empty() && message.response == NtResponse::Absent {
            return Self::Anonymous { workstation };
        }
        Self::User {
            user: message.user.clone(),
            domain: message.domain.clone(),
            workstation,
        }
    }
}

/// For logs. Names with control characters are rejected by the parser, so these are safe to
/// print.
impl fmt::Display for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Anonymous { workstation } => write!(f, "workstation '{workstation}'"),
            Self::User { workstation, .. } => {
                write!(f, "account '{}', workstation '{workstation}'", self.name())
            }
        }
    }
}

/// Why a client was rejected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// No account of that name.
    UnknownAccount,
    /// The account exists, but the proof is wrong.
    WrongPassword,
    /// A null session where [`Rules::anonymous`] is off.
    AnonymousNotAllowed,
    /// An NTLMv1 response where [`Rules::ntlmv1`] is off.
    Ntlmv1NotAllowed,
    /// An LM response without an NT response.
    LmOnly,
    /// The MIC over the handshake is wrong, or missing although announced.
    BadMic,
    /// The client's channel bindings are those of another TLS connection.
    ChannelBindings,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::UnknownAccount => "unknown account",
            Self::WrongPassword => "wrong password",
            Self::AnonymousNotAllowed => "anonymous (null session) not allowed",
            Self::Ntlmv1NotAllowed => "NTLMv1 not allowed",
            Self::LmOnly => "LM response only",
            Self::BadMic => "bad MIC: the handshake was changed in transit",
            Self::ChannelBindings => "channel bindings of another TLS connection",
        })
    }
}

/// Why the exchange failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A token that is not a valid NTLM message.
    Malformed(ParseError),
    /// The client lacks or cleared a required flag.
    Missing(Flags),
    /// The client requires a flag that is not supported.
    Unsupported(Flags),
    /// A well-formed response that is not acceptable.
    Denied {
        /// What is wrong with it.
        reason: Reason,
        /// The account that the client claimed.
        claimed: Account,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed(error) => write!(f, "malformed NTLM message: {error}"),
            Self::Missing(flag) => write!(f, "the host does not offer {flag}"),
            Self::Unsupported(flag) => {
                write!(f, "the host requests {flag}, which is not supported")
            }
            Self::Denied { reason, claimed } => write!(f, "{reason} ({claimed})"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Malformed(error) => Some(error),
            _ => None,
        }
    }
}

impl From<ParseError> for Error {
    fn from(error: ParseError) -> Self {
        Self::Malformed(error)
    }
}

/// Keys and sequence numbers of an established session, both directions.
#[derive(Debug)]
pub struct Session {
    sealer: Sealer,
    unsealer: Unsealer,
}

impl Session {
    fn collector(key: &Key, flags: Flags) -> Self {
        Self {
            sealer: Sealer::new(key, flags, Direction::ServerToClient),
            unsealer: Unsealer::new(key, flags, Direction::ClientToServer),
        }
    }

    fn source(key: &Key, flags: Flags) -> Self {
        Self {
            sealer: Sealer::new(key, flags, Direction::ClientToServer),
            unsealer: Unsealer::new(key, flags, Direction::ServerToClient),
        }
    }

    /// Encrypts `data` in place and returns its signature, the security token.
    pub fn seal(&mut self, data: &mut [u8]) -> [u8; SIGNATURE_SIZE] {
        self.sealer.seal(data)
    }

    /// Decrypts `data` in place and verifies it. After an error `data` is zeroed and the
    /// connection must be closed.
    pub fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<(), UnsealError> {
        self.unsealer.unseal(token, data)
    }

    /// Signs the list of mechanisms (RFC 4178 5). The key stream of our direction restarts
    /// afterwards, the sequence number does not.
    pub fn sign_mechanisms(&mut self, list: &[u8]) -> [u8; SIGNATURE_SIZE] {
        let mic = self.sealer.sign(list);
        self.sealer.restart_cipher();
        mic
    }

    /// Verifies the peer's signature over the list of mechanisms; see
    /// [`Self::sign_mechanisms`].
    pub fn verify_mechanisms(&mut self, mic: &[u8], list: &[u8]) -> Result<(), UnsealError> {
        self.unsealer.verify(mic, list)?;
        self.unsealer.restart_cipher();
        Ok(())
    }
}
