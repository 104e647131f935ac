//! Messages of an established context: sealed ones, the Wrap tokens of GSS-API, and
//! signatures, its MIC tokens (RFC 4121 4.2, and RFC 4757 7 for RC4).
//!
//! A Wrap token travels in two pieces, as Windows cuts them: the *security token* and
//! the *data*, which takes the place of the plaintext.

mod aes;
mod rc4;

use std::fmt;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use self::aes::AesSession;
use self::rc4::Rc4Session;
use super::crypto::{self, Enctype, Key, Random};

/// Why a message is not taken. The connection is lost after any of these.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// No token of this kind, or cut short.
    Malformed,
    /// One of our own messages, sent back.
    Reflected,
    /// A message that is signed but not sealed.
    NotSealed,
    /// A message under another key: its flag for the acceptor's subkey is wrong.
    OtherKey,
    /// A message repeated, skipped or out of order.
    Sequence {
        /// Number that should come.
        expected: u64,
        /// Number that came.
        found: u64,
    },
    /// Its ciphertext does not open.
    Ciphertext(crypto::Error),
    /// The signature is not that of the message.
    Signature,
    /// The header does not agree with its sealed copy.
    Header,
    /// The plaintext has more bytes than the data, or its padding is wrong.
    Padding,
    /// An earlier message failed.
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

/// Which end of a context this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// The source, which began it.
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
    /// Gives confounders; its seed is random.
    confounders: StdRng,
    lost: bool,
}

/// By the two RFCs.
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
    /// The collector's end. `subkey` tells that `key` stood in our AP-REP; `ours` and
    /// `theirs` are the sequence numbers of AP-REP and authenticator.
    #[must_use]
    pub fn accept(key: &Key, subkey: bool, ours: u64, theirs: u64, random: Random<'_>) -> Self {
        Self::new(Role::Acceptor, key, subkey, ours, theirs, random)
    }

    /// The source's end; as [`Self::accept`].
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

    /// Encrypts `data` in place and gives the security token that goes before it.
    /// With RC4 the data grows by one byte, its padding.
    #[must_use]
    pub fn seal(&mut self, data: &mut Vec<u8>) -> Vec<u8> {
        let mut confounder = [0; 16];
        self.confounders.fill_bytes(&mut confounder);
        match &mut self.form {
            Form::Aes(session) => session.seal(confounder, data),
            Form::Rc4(session) => session.seal(confounder, data),
        }
    }

    /// Decrypts `data` in place, verifies it with its security token, and gives the
    /// size of the plaintext, which `data` begins with.
    ///
    /// # Errors
    /// It is not the next message of the other end. Then `data` is cleared, and every
    /// further call fails with [`Error::Lost`].
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

    /// Signs `message`, which goes in the clear.
    #[must_use]
    pub fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        match &mut self.form {
            Form::Aes(session) => session.sign(message),
            Form::Rc4(session) => session.sign(message),
        }
    }

    /// Verifies the signature of `message`, which came in the clear.
    ///
    /// # Errors
    /// As [`Self::unseal`].
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
