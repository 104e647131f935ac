//! Which account an authentication attempt was for, if it could have been a guess at its
//! password. The collector counts such attempts for each account and holds back further
//! ones.

use crate::auth::{Error, Method, PasswordError, Step};
use crate::protocol::ntlm::{self, Reason};

impl Step {
    /// The account whose password was tried, correctly or not. `None` for tickets,
    /// certificates, null sessions, and unreadable tokens, where there is nothing to guess.
    #[must_use]
    pub fn tried(&self) -> Option<&str> {
        match self {
            Self::Accept { identity, .. } if identity.method.is_by_password() => {
                Some(&identity.name)
            }
            Self::Deny(error) => error.tried(),
            Self::Accept { .. } | Self::Challenge(_) | Self::Ask => None,
        }
    }
}

impl Error {
    /// The same for a rejected attempt.
    #[must_use]
    pub fn tried(&self) -> Option<&str> {
        let claimed = match self {
            Self::Password(
                PasswordError::UnknownAccount(_, name) | PasswordError::WrongPassword(_, name),
            ) => return Some(name),
            Self::Ntlm {
                error:
                    ntlm::Error::Denied {
                        reason: Reason::UnknownAccount | Reason::WrongPassword | Reason::BadMic,
                        claimed,
                    },
                ..
            } => claimed,
            Self::Domain { claimed, .. } => claimed,
            _ => return None,
        };
        match claimed {
            ntlm::Account::User { user, .. } => Some(user),
            ntlm::Account::Anonymous { .. } => None,
        }
    }
}

impl Method {
    /// Whether a password proves the identity, which can be guessed.
    #[must_use]
    pub const fn is_by_password(self) -> bool {
        matches!(
            self,
            Self::Ntlm | Self::NtlmDomain | Self::Basic | Self::Digest
        )
    }
}
