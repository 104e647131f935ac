//! Why a PAC is not trusted.

use std::fmt;

use super::MAX_SIDS;
use super::ndr;
use crate::protocol::kerberos::crypto::Enctype;

/// Why a PAC is not trusted. The logon is then rejected: access lists must not depend on
/// forged groups.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The PAC or one of its buffers is truncated or out of bounds.
    Truncated(&'static str),
    /// Its version is not 0.
    Version(u32),
    /// More buffers than allowed.
    Buffers(u32),
    /// A required buffer is missing.
    Missing(&'static str),
    /// The logon information is not valid NDR.
    Encoding(&'static str),
    /// More groups than an account can have.
    Groups(u32),
    /// The logon information names no domain, or no account.
    NoAccount,
    /// The name in it is not that of the ticket: it was made for another ticket.
    Name {
        /// In the PAC.
        pac: String,
        /// In the ticket.
        ticket: String,
    },
    /// It describes another account than the ticket's client.
    Account {
        /// In the PAC.
        pac: String,
        /// In the ticket.
        ticket: String,
    },
    /// The logon time in it, in seconds since 1970, is not that of the ticket.
    Time {
        /// In the PAC.
        pac: i64,
        /// In the ticket.
        ticket: i64,
    },
    /// Two buffers name different accounts.
    Contradiction,
    /// The type of the server signature does not match the ticket's key.
    SignatureKind {
        /// Number of the checksum type.
        found: i32,
        /// Encryption type of the ticket.
        enctype: Enctype,
    },
    /// The server signature does not verify.
    Signature,
}

impl From<ndr::Error> for Error {
    fn from(error: ndr::Error) -> Self {
        match error {
            ndr::Error::Truncated(_) => Self::Truncated("logon information"),
            ndr::Error::Header => Self::Encoding("a header of another format"),
            ndr::Error::Count => Self::Encoding("two counts of one list differ"),
            ndr::Error::TooMany(count) => Self::Groups(count),
            ndr::Error::Null => Self::Encoding("a pointer to nothing"),
            ndr::Error::Sid(_) => Self::Encoding("something else than a SID"),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated(what) => write!(f, "{what} cut short"),
            Self::Version(version) => write!(f, "version {version}, only 0 is supported"),
            Self::Buffers(count) => write!(f, "{count} buffers"),
            Self::Missing(what) => write!(f, "no {what}"),
            Self::Encoding(what) => write!(f, "logon information with {what}"),
            Self::Groups(count) => write!(
                f,
                "an account in {count} groups, at most {MAX_SIDS} are allowed, as in Windows"
            ),
            Self::NoAccount => write!(f, "logon information that names no account"),
            Self::Name { pac, ticket } => {
                write!(f, "made for {pac:?}, but the ticket is of {ticket:?}")
            }
            Self::Account { pac, ticket } => {
                write!(f, "of the account {pac:?}, but the ticket is of {ticket:?}")
            }
            Self::Time { pac, ticket } => write!(
                f,
                "made for a logon at {pac}, but the ticket's was at {ticket} (seconds since 1970)"
            ),
            Self::Contradiction => write!(f, "two different accounts in it"),
            Self::SignatureKind { found, enctype } => write!(
                f,
                "a server signature of type {found}, where {} goes with {enctype}",
                enctype.checksum_type()
            ),
            Self::Signature => write!(f, "a wrong server signature"),
        }
    }
}

impl std::error::Error for Error {}
