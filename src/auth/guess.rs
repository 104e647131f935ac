//! Which account an attempt was at, where it could have been a guess of its password.

use crate::auth::{Error, Method, PasswordError, Step};
use crate::protocol::ntlm::{self, Reason};

impl Step {
    /// The account whose password was tried, right or wrong. A ticket or a token that
    /// cannot be read tries none.
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
    /// The same of what was refused.
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
    /// Whether what proves an identity is a password, which can be guessed.
    #[must_use]
    pub const fn is_by_password(self) -> bool {
        matches!(
            self,
            Self::Ntlm | Self::NtlmDomain | Self::Basic | Self::Digest
        )
    }
}
