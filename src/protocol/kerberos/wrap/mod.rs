//! Messages of an established context: Wrap tokens (sealed) and MIC tokens (signed) of
//! GSS-API (RFC 4121 4.2; RFC 4757 7 for RC4).
//!
//! A Wrap token travels in two pieces, in which Windows splits it: the *security token* and
//! the *data*, which replaces the plaintext. Sequence numbers are strict, because HTTP
//! delivers in order; after any failure the context is lost, so that an attacker gets one
//! attempt.

mod aes;
mod rc4;

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::aes::AesSession;
use self::rc4::Rc4Session;
use super::crypto::{self, Enctype, Key, Random};

/// Why a message is rejected. The context is lost after any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not a token of this type, or truncated.
    Malformed,
    /// One of our own messages, reflected.
    Reflected,
    /// A message that is signed, but not sealed.
    NotSealed,
    /// A message under another key: its flag for the acceptor's subkey is wrong.
    OtherKey,
    /// A message that is repeated, missing, or out of order.
    Sequence {
        /// The expected sequence number.
        expected: u64,
        /// The sequence number found.
        found: u64,
    },
    /// The ciphertext cannot be decrypted.
    Ciphertext(crypto::Error),
    /// The signature does not match the message.
    Signature,
    /// The header does not match its encrypted copy.
    Header,
    /// The plaintext is longer than the data, or its padding is invalid.
    Padding,
    /// An earlier message failed; the context can no longer be used.
    Lost,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Malformed => f.write_str("no token of a Kerberos message"),
            Self::Reflected => f.write_str("a message of the relay was sent back to it"),
            Self::NotSealed => f.write_str("message is signed but not sealed"),
            Self::OtherKey => f.write_str("message uses another key than negotiated"),
            Self::Sequence { expected, found } => {
                write!(f, "message {found} instead of {expected}")
            }
            Self::Ciphertext(error) => error.fmt(f),
            Self::Signature => f.write_str("signature of a message is wrong"),
            Self::Header => f.write_str("header of a sealed message was changed"),
            Self::Padding => f.write_str("sealed message has wrong padding"),
            Self::Lost => f.write_str("an earlier message was refused"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Ciphertext(error) => Some(error),
            _ => None,
        }
    }
}

/// Which end of a context this is. Keys differ by direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The host, which established it.
    Initiator,
    /// The collector.
    Acceptor,
}

impl Role {
    const fn other(self) -> Self {
        match self {
            Self::Initiator => Self::Acceptor,
            Self::Acceptor => Self::Initiator,
        }
    }
}

/// One end of an established context: keys and sequence numbers of both directions.
pub struct Session {
    form: Form,
    /// Generates confounders; seeded with secure random bytes.
    confounders: StdRng,
    lost: bool,
}

/// The token format, which depends on the enctype.
enum Form {
    Aes(Box<AesSession>),
    Rc4(Box<Rc4Session>),
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("keys", &"redacted")
            .field("lost", &self.lost)
            .finish_non_exhaustive()
    }
}

impl Session {
    /// The collector's end. `subkey` states that `key` was conveyed by our AP-REP; `ours`
    /// and `theirs` are the sequence numbers of AP-REP and authenticator.
    #[must_use]
    pub fn accept(key: &Key, subkey: bool, ours: u64, theirs: u64, random: Random<'_>) -> Self {
        Self::new(Role::Acceptor, key, subkey, ours, theirs, random)
    }

    /// The host's end; parameters as in [`Self::accept`]. For `wecrelay send` and tests.
    #[must_use]
    pub fn initiate(key: &Key, subkey: bool, ours: u64, theirs: u64, random: Random<'_>) -> Self {
        Self::new(Role::Initiator, key, subkey, ours, theirs, random)
    }

    fn new(
        role: Role,
        key: &Key,
        subkey: bool,
        ours: u64,
        theirs: u64,
        random: Random<'_>,
    ) -> Self {
        let mut seed = [0; 32];
        random(&mut seed);
        let form = match key.enctype() {
            Enctype::Rc4Hmac => Form::Rc4(Box::new(Rc4Session::new(role, key, ours, theirs))),
            _ => Form::Aes(Box::new(AesSession::new(role, key, subkey, ours, theirs))),
        };
        Self {
            form,
            confounders: StdRng::from_seed(seed),
            lost: false,
        }
    }

    /// Encrypts `data` in place and returns the security token that precedes it. With RC4
    /// the data grows by one byte of padding.
    #[must_use]
    pub fn seal(&mut self, data: &mut Vec<u8>) -> Vec<u8> {
        let mut confounder = [0; 16];
        self.confounders.fill_bytes(&mut confounder);
        match &mut self.form {
            Form::Aes(session) => session.seal(confounder, data),
            Form::Rc4(session) => session.seal(confounder, data),
        }
    }

    /// Decrypts `data` in place, verifies it against its security token, and returns the
    /// length of the plaintext at its front.
    ///
    /// # Errors
    /// It is not the next message from the other end. `data` is then zeroed, and every
    /// later call fails with [`Error::Lost`].
    pub fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<usize, Error> {
        let result = match &mut self.form {
            _ if self.lost => Err(Error::Lost),
            Form::Aes(session) => session.unseal(token, data),
            Form::Rc4(session) => session.unseal(token, data),
        };
        if result.is_err() {
            self.lost = true;
            data.fill(0);
        }
        result
    }

    /// Signs `message`, which is sent in the clear.
    #[must_use]
    pub fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        match &mut self.form {
            Form::Aes(session) => session.sign(message),
            Form::Rc4(session) => session.sign(message),
        }
    }

    /// Verifies the signature of `message`, which was sent in the clear.
    ///
    /// # Errors
    /// As for [`Self::unseal`].
    pub fn verify(&mut self, token: &[u8], message: &[u8]) -> Result<(), Error> {
        let result = match &mut self.form {
            _ if self.lost => Err(Error::Lost),
            Form::Aes(session) => session.verify(token, message),
            Form::Rc4(session) => session.verify(token, message),
        };
        self.lost |= result.is_err();
        result
    }
}

#[cfg(test)]
mod tests;
