//! Kerberos' cryptography: encryption with integrity, and checksums, of five enctypes
//! (RFC 3961, RFC 3962, RFC 8009, RFC 4757).
//!
//! A [`Key`] is what keytabs and tickets carry. Each use of it has a number, its
//! [`usage`], for which keys of their own are derived.
//!
//! ```
//! use wecrelay::protocol::kerberos::crypto::{Enctype, Key};
//!
//! let key = Key::new(Enctype::Aes256Sha1, &[7; 32]).ok_or("length")?;
//! let sealed = key.encrypt(2, b"a ticket", &mut |confounder| confounder.fill(1));
//! assert_eq!(key.decrypt(2, &sealed).as_deref(), Ok(b"a ticket".as_slice()));
//! assert!(key.decrypt(3, &sealed).is_err());
//! # Ok::<(), &str>(())
//! ```

mod aes;
mod cts;
mod derive;
mod rc4;

use std::fmt;

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use self::rc4::Rc4Cipher;

pub(super) use self::aes::{AesCipher, Pieces, Signer};
pub(super) use self::rc4::{Signer as Rc4Signer, apply as apply_rc4, hmac_md5};

/// Key usage numbers (RFC 4120 7.5.1, RFC 4121 2).
pub mod usage {
    /// The encrypted part of a ticket.
    pub const TICKET: u32 = 2;
    /// The authenticator of an AP-REQ.
    pub const AP_REQ_AUTHENTICATOR: u32 = 11;
    /// The encrypted part of an AP-REP.
    pub const AP_REP_ENC_PART: u32 = 12;
    /// The signatures of a PAC (`KERB_NON_KERB_CKSUM_SALT`, MS-PAC 2.8.1).
    pub const PAC_SIGNATURE: u32 = 17;
    /// Messages sealed by the acceptor of a context.
    pub const ACCEPTOR_SEAL: u32 = 22;
    /// Messages signed by the acceptor of a context.
    pub const ACCEPTOR_SIGN: u32 = 23;
    /// Messages sealed by the initiator of a context.
    pub const INITIATOR_SEAL: u32 = 24;
    /// Messages signed by the initiator of a context.
    pub const INITIATOR_SIGN: u32 = 25;
}

/// Fills its argument with cryptographically secure bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// An encryption type. DES and 3DES are not supported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Enctype {
    /// AES-128 with HMAC-SHA1 (RFC 3962).
    Aes128Sha1 = 17,
    /// AES-256 with HMAC-SHA1 (RFC 3962), the default of Windows domains.
    Aes256Sha1 = 18,
    /// AES-128 with HMAC-SHA256 (RFC 8009).
    Aes128Sha2 = 19,
    /// AES-256 with HMAC-SHA384 (RFC 8009).
    Aes256Sha2 = 20,
    /// RC4 with HMAC-MD5 (RFC 4757); weak, so only with `--kerberos-rc4`.
    Rc4Hmac = 23,
}

impl Enctype {
    /// All of them, strongest first.
    pub const ALL: [Self; 5] = [
        Self::Aes256Sha2,
        Self::Aes128Sha2,
        Self::Aes256Sha1,
        Self::Aes128Sha1,
        Self::Rc4Hmac,
    ];

    /// The enctype with this number in messages and keytabs; `None` if it is unknown or
    /// unsupported.
    #[must_use]
    pub fn from_number(number: i32) -> Option<Self> {
        Self::ALL.into_iter().find(|e| e.number() == number)
    }

    /// The number in messages and keytabs.
    #[must_use]
    pub const fn number(self) -> i32 {
        match self {
            Self::Aes128Sha1 => 17,
            Self::Aes256Sha1 => 18,
            Self::Aes128Sha2 => 19,
            Self::Aes256Sha2 => 20,
            Self::Rc4Hmac => 23,
        }
    }

    /// The name in `krb5.conf` and in the output of `klist -e`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Aes128Sha1 => "aes128-cts-hmac-sha1-96",
            Self::Aes256Sha1 => "aes256-cts-hmac-sha1-96",
            Self::Aes128Sha2 => "aes128-cts-hmac-sha256-128",
            Self::Aes256Sha2 => "aes256-cts-hmac-sha384-192",
            Self::Rc4Hmac => "rc4-hmac",
        }
    }

    /// The enctype whose keys make checksums of that type (RFC 3962 7, RFC 8009 7,
    /// RFC 4757 4).
    #[must_use]
    pub fn from_checksum_type(number: i32) -> Option<Self> {
        let mut all = Self::ALL.into_iter();
        all.find(|e| e.checksum_type() == number)
    }

    /// The number of its checksum type.
    #[must_use]
    pub const fn checksum_type(self) -> i32 {
        match self {
            Self::Aes128Sha1 => 15,
            Self::Aes256Sha1 => 16,
            Self::Aes128Sha2 => 19,
            Self::Aes256Sha2 => 20,
            Self::Rc4Hmac => -138,
        }
    }

    /// Size of a key in bytes.
    #[must_use]
    pub const fn key_len(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes128Sha2 | Self::Rc4Hmac => 16,
            Self::Aes256Sha1 | Self::Aes256Sha2 => 32,
        }
    }

    /// Number of random bytes that precede each plaintext.
    #[must_use]
    pub const fn confounder_len(self) -> usize {
        match self {
            Self::Rc4Hmac => 8,
            _ => 16,
        }
    }

    /// Size of a checksum in bytes, truncated as the enctype prescribes.
    #[must_use]
    pub const fn checksum_len(self) -> usize {
        match self {
            Self::Aes128Sha1 | Self::Aes256Sha1 => 12,
            Self::Aes128Sha2 | Self::Rc4Hmac => 16,
            Self::Aes256Sha2 => 24,
        }
    }
}

impl fmt::Display for Enctype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a ciphertext cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    /// Shorter than confounder and checksum together.
    TooShort {
        /// Its size in bytes.
        found: usize,
        /// The minimum size in bytes.
        least: usize,
    },
    /// The checksum does not match: the data were modified, or the key is a different one.
    Checksum,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooShort { found, least } => {
                write!(
                    f,
                    "ciphertext of {found} bytes, at least {least} are needed"
                )
            }
            Self::Checksum => f.write_str("ciphertext was changed, or the key is wrong"),
        }
    }
}

impl std::error::Error for Error {}

/// A key of a principal, ticket, or session; never printed, wiped on drop.
#[derive(Clone)]
pub struct Key {
    enctype: Enctype,
    bytes: Zeroizing<Vec<u8>>,
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({}, redacted)", self.enctype)
    }
}

/// The derived keys of one key for one usage.
#[derive(Clone)]
enum Cipher {
    Aes(Box<AesCipher>),
    Rc4(Rc4Cipher),
}

impl Key {
    /// A key from these bytes; `None` if their number is not [`Enctype::key_len`].
    #[must_use]
    pub fn new(enctype: Enctype, bytes: &[u8]) -> Option<Self> {
        let bytes = Zeroizing::new(bytes.to_vec());
        (bytes.len() == enctype.key_len()).then_some(Self { enctype, bytes })
    }

    /// A new random key.
    #[must_use]
    pub fn generate(enctype: Enctype, random: Random<'_>) -> Self {
        let mut bytes = Zeroizing::new(vec![0; enctype.key_len()]);
        random(&mut bytes);
        Self { enctype, bytes }
    }

    /// The encryption type, which determines how the key is used.
    #[must_use]
    pub const fn enctype(&self) -> Enctype {
        self.enctype
    }

    /// The bytes, to put into a message or to derive keys from. Secret.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Decrypts and verifies a ciphertext.
    ///
    /// # Errors
    /// It is too short, was modified, or was encrypted under another key or usage.
    pub fn decrypt(&self, usage: u32, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
        match self.cipher(usage) {
            Cipher::Aes(cipher) => cipher.decrypt(ciphertext),
            Cipher::Rc4(cipher) => cipher.decrypt(ciphertext),
        }
    }

    /// Encrypts `plain` under a key derived for `usage`; `random` provides the confounder.
    #[must_use]
    pub fn encrypt(&self, usage: u32, plain: &[u8], random: Random<'_>) -> Vec<u8> {
        let mut confounder = [0; 16];
        let (confounder, _) = confounder.split_at_mut(self.enctype.confounder_len());
        random(confounder);
        match self.cipher(usage) {
            Cipher::Aes(cipher) => cipher.encrypt(confounder, plain),
            Cipher::Rc4(cipher) => cipher.encrypt(confounder, plain),
        }
    }

    /// The checksum of [`Enctype::checksum_type`] over `data`.
    #[must_use]
    pub fn checksum(&self, usage: u32, data: &[u8]) -> Vec<u8> {
        match self.enctype {
            Enctype::Rc4Hmac => Rc4Signer::new(self).sign(usage, &[data]).to_vec(),
            _ => Signer::new(self, usage).sign(&[data]).to_vec(),
        }
    }

    /// Verifies a checksum in constant time.
    #[must_use]
    pub fn verify_checksum(&self, usage: u32, data: &[u8], checksum: &[u8]) -> bool {
        self.checksum(usage, data).ct_eq(checksum).into()
    }

    /// Derives the keys for one usage.
    fn cipher(&self, usage: u32) -> Cipher {
        match self.enctype {
            Enctype::Rc4Hmac => Cipher::Rc4(Rc4Cipher::new(self, usage)),
            _ => Cipher::Aes(Box::new(AesCipher::new(self, usage))),
        }
    }
}

#[cfg(test)]
mod tests;
