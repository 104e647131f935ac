//! Signing and sealing of messages, one state for each direction (MS-NLMP 3.4).

use std::fmt;

use self::hmac_md5::HmacMd5;
use crate::protocol::ntlm::crypto::{Direction, Key, equal, rc4, seal_key, sign_key};
use crate::protocol::ntlm::flags::Flags;
use crate::protocol::ntlm::rc4::{Rc4, Running};

mod hmac_md5;
mod md5;

/// Size in bytes of a signature, which is the security token of a sealed message.
pub const SIGNATURE_SIZE: usize = 16;

/// Why a sealed message is rejected. The connection is lost after any of these, because the
/// position in the key stream is unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnsealError {
    /// The token does not have [`SIGNATURE_SIZE`] bytes.
    Length {
        /// Its size in bytes.
        found: usize,
    },
    /// The token's version is not 1.
    Version {
        /// The version found.
        found: u32,
    },
    /// A message that is repeated, missing, or out of order.
    Sequence {
        /// The expected sequence number.
        expected: u32,
        /// The sequence number found.
        found: u32,
    },
    /// The contents were modified, or the keys differ.
    Checksum,
    /// An earlier message failed; the session can no longer be used.
    Lost,
}

impl fmt::Display for UnsealError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Length { found } => {
                write!(f, "signature of {found} bytes instead of {SIGNATURE_SIZE}")
            }
            Self::Version { found } => write!(f, "signature of version {found} instead of 1"),
            Self::Sequence { expected, found } => {
                write!(f, "sealed message {found} instead of {expected}")
            }
            Self::Checksum => f.write_str("checksum of a sealed message is wrong"),
            Self::Lost => f.write_str("an earlier sealed message was refused"),
        }
    }
}

impl std::error::Error for UnsealError {}

/// Signs and seals the messages of one direction (MS-NLMP 3.4.3, 3.4.4.2).
#[derive(Debug)]
pub struct Sealer(Stream);

impl Sealer {
    /// Starts with message 0.
    #[must_use]
    pub fn new(session_key: &Key, flags: Flags, direction: Direction) -> Self {
        Self(Stream::new(session_key, flags, direction))
    }

    /// Encrypts `data` in place and returns its signature.
    pub fn seal(&mut self, data: &mut [u8]) -> [u8; SIGNATURE_SIZE] {
        let seal = |keyed: &HmacMd5, number, cipher: &mut _| keyed.seal(number, cipher, data);
        self.0.signature(seal)
    }

    /// Signs `data`, which is sent in the clear.
    pub fn sign(&mut self, data: &[u8]) -> [u8; SIGNATURE_SIZE] {
        self.0
            .signature(|keyed, number, _| keyed.sign(number, data))
    }

    /// Restarts the key stream; the sequence number continues. SPNEGO requires it after a
    /// mechListMIC (MS-SPNG 3.3.5.1).
    pub fn restart_cipher(&mut self) {
        self.0.restart_cipher();
    }
}

/// Verifies and unseals the messages of one direction, strictly in order.
#[derive(Debug)]
pub struct Unsealer {
    stream: Stream,
    lost: bool,
}

impl Unsealer {
    /// Starts with message 0.
    #[must_use]
    pub fn new(session_key: &Key, flags: Flags, direction: Direction) -> Self {
        let stream = Stream::new(session_key, flags, direction);
        Self {
            stream,
            lost: false,
        }
    }

    /// Decrypts `data` in place and verifies its signature `token`.
    ///
    /// On failure `data` is zeroed, because it must not be used, and every later call fails
    /// with [`UnsealError::Lost`].
    pub fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<(), UnsealError> {
        let result = self.open(token, data);
        if result.is_err() {
            self.lost = true;
            data.fill(0);
        }
        result
    }

    /// Verifies the signature of `data`, which was sent in the clear.
    pub fn verify(&mut self, token: &[u8], data: &[u8]) -> Result<(), UnsealError> {
        let token = self.expect(token);
        let sign = |keyed: &HmacMd5, number, _: &mut _| keyed.sign(number, data);
        let checked = token.and_then(|token| self.compare(&token, sign));
        self.lost |= checked.is_err();
        checked
    }

    /// See [`Sealer::restart_cipher`].
    pub fn restart_cipher(&mut self) {
        self.stream.restart_cipher();
    }

    fn open(&mut self, token: &[u8], data: &mut [u8]) -> Result<(), UnsealError> {
        let token = self.expect(token)?;
        self.compare(&token, |keyed, number, cipher| {
            keyed.open(number, cipher, data)
        })
    }

    /// Checks everything in a token that can be checked before decryption.
    fn expect(&self, token: &[u8]) -> Result<[u8; SIGNATURE_SIZE], UnsealError> {
        if self.lost {
            return Err(UnsealError::Lost);
        }
        let found = token.len();
        let token: [u8; SIGNATURE_SIZE] = token
            .try_into()
            .map_err(|_| UnsealError::Length { found })?;
        let [a, b, c, d, .., w, x, y, z] = token;
        let (version, sequence) = (u32::from_le_bytes([a, b, c, d]), [w, x, y, z]);
        if version != 1 {
            return Err(UnsealError::Version { found: version });
        }
        let (found, expected) = (u32::from_le_bytes(sequence), self.stream.sequence);
        if found != expected {
            return Err(UnsealError::Sequence { expected, found });
        }
        Ok(token)
    }

    fn compare(
        &mut self,
        token: &[u8; SIGNATURE_SIZE],
        digest: impl FnOnce(&HmacMd5, u32, &mut Running) -> [u8; 16],
    ) -> Result<(), UnsealError> {
        let expected = self.stream.signature(digest);
        let same = equal(&expected, token);
        same.then_some(()).ok_or(UnsealError::Checksum)
    }
}

/// Key stream, checksum key, and sequence number of one direction.
struct Stream {
    keyed: HmacMd5,
    cipher: Rc4,
    seal_key: Key,
    sequence: u32,
    /// Whether checksums are encrypted, too, as with key exchange.
    key_exchange: bool,
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("Stream");
        debug.field("sequence", &self.sequence);
        debug.field("keys", &"redacted").finish_non_exhaustive()
    }
}

impl Stream {
    fn new(session_key: &Key, flags: Flags, direction: Direction) -> Self {
        let seal_key = seal_key(session_key, flags, direction);
        Self {
            keyed: HmacMd5::new(sign_key(session_key, direction).as_bytes()),
            cipher: rc4(&seal_key),
            seal_key,
            sequence: 0,
            key_exchange: flags.contains(Flags::KEY_EXCH),
        }
    }

    fn restart_cipher(&mut self) {
        self.cipher = rc4(&self.seal_key);
    }

    /// Builds the token of the next message. `digest` hashes the message and encrypts or
    /// decrypts it; the checksum takes the key stream after that.
    fn signature(
        &mut self,
        digest: impl FnOnce(&HmacMd5, u32, &mut Running) -> [u8; 16],
    ) -> [u8; SIGNATURE_SIZE] {
        let [a, b, c, d, e, f, g, h] = self.cipher.run(|cipher| {
            let [a, b, c, d, e, f, g, h, ..] = digest(&self.keyed, self.sequence, cipher);
            let mut checksum = [a, b, c, d, e, f, g, h];
            if self.key_exchange {
                cipher.apply(&mut checksum);
            }
            checksum
        });
        let [w, x, y, z] = self.sequence.to_le_bytes();
        self.sequence = self.sequence.wrapping_add(1);
        [1, 0, 0, 0, a, b, c, d, e, f, g, h, w, x, y, z]
    }
}
