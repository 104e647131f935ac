//! The enctype with RC4 and HMAC-MD5 (RFC 4757). Weak; needed only for old domains.

use hmac::{Hmac, Mac};
use md5::{Digest, Md5};
use rc4::{KeyInit, Rc4, StreamCipher};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::derive::keyed;
use super::{Error, Key};

const CONFOUNDER: usize = 8;
const CHECKSUM: usize = 16;

/// Converts a usage number to that of this enctype (RFC 4757 3).
const fn translate(usage: u32) -> u32 {
    match usage {
        3 | 9 => 8,
        23 => 13,
        other => other,
    }
}

/// HMAC-MD5 of these parts, concatenated.
pub(in crate::protocol::kerberos) fn hmac_md5(key: &[u8], parts: &[&[u8]]) -> [u8; 16] {
    let mut mac: Hmac<Md5> = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().into()
}

/// Encrypts or decrypts these parts, as one stream, in place.
///
/// RC4 repeats its key to the length of the schedule, so the doubled key is equivalent and
/// has the fixed size that the cipher's constructor requires.
pub(in crate::protocol::kerberos) fn apply(key: &[u8; 16], parts: &mut [&mut [u8]]) {
    let mut doubled = Zeroizing::new([0; 32]);
    let bytes = key.iter().cycle().zip(doubled.iter_mut());
    bytes.for_each(|(from, to)| *to = *from);
    let mut rc4 = Rc4::new(&(*doubled).into());
    parts.iter_mut().for_each(|part| rc4.apply_keystream(part));
}

/// Computes checksums of the types `HMAC_MD5` and `KERB_CHECKSUM_HMAC_MD5` (RFC 4757 4).
#[derive(Clone)]
pub(in crate::protocol::kerberos) struct Signer {
    keyed: Hmac<Md5>,
}

impl Signer {
    pub(in crate::protocol::kerberos) fn new(key: &Key) -> Self {
        let signing = Zeroizing::new(hmac_md5(key.as_bytes(), &[b"signaturekey\0"]));
        Self {
            keyed: keyed(signing.as_slice()),
        }
    }

    /// The checksum of these parts, concatenated.
    pub(in crate::protocol::kerberos) fn sign(&self, usage: u32, parts: &[&[u8]]) -> [u8; 16] {
        let mut digest = Md5::new();
        digest.update(translate(usage).to_le_bytes());
        parts.iter().for_each(|part| digest.update(part));
        let mut mac = self.keyed.clone();
        mac.update(&digest.finalize());
        mac.finalize().into_bytes().into()
    }
}

/// Encrypts and signs under one key for one usage.
#[derive(Clone)]
pub(super) struct Rc4Cipher {
    /// K1 and K2, which are equal except for export-grade keys.
    key: [u8; 16],
}

impl Drop for Rc4Cipher {
    fn drop(&mut self) {
        self.key.zeroize();
    }
}

impl Rc4Cipher {
    pub(super) fn new(key: &Key, usage: u32) -> Self {
        let usage = translate(usage).to_le_bytes();
        let key = hmac_md5(key.as_bytes(), &[&usage]);
        Self { key }
    }

    /// Encrypts `plain`, preceded by checksum and confounder.
    pub(super) fn encrypt(&self, confounder: &[u8], plain: &[u8]) -> Vec<u8> {
        let checksum = hmac_md5(&self.key, &[confounder, plain]);
        let mut out = [&checksum, confounder, plain].concat();
        if let Some((_, sealed)) = out.split_first_chunk_mut::<CHECKSUM>() {
            apply(&self.message_key(&checksum), &mut [sealed]);
        }
        out
    }

    /// Verifies and decrypts what [`Self::encrypt`] returned.
    pub(super) fn decrypt(&self, ciphertext: &[u8]) -> Result<Vec<u8>, Error> {
        let (found, least) = (ciphertext.len(), CHECKSUM + CONFOUNDER);
        let split = ciphertext.split_first_chunk::<CHECKSUM>();
        let split = split.filter(|(_, sealed)| sealed.len() >= CONFOUNDER);
        let (checksum, sealed) = split.ok_or(Error::TooShort { found, least })?;
        let mut plain = sealed.to_vec();
        apply(&self.message_key(checksum), &mut [&mut plain]);
        let same: bool = hmac_md5(&self.key, &[&plain]).ct_eq(checksum).into();
        plain.drain(..CONFOUNDER);
        same.then_some(plain).ok_or(Error::Checksum)
    }

    /// K3, the RC4 key of one message (RFC 4757 4).
    fn message_key(&self, checksum: &[u8; 16]) -> Zeroizing<[u8; 16]> {
        Zeroizing::new(hmac_md5(&self.key, &[checksum]))
    }
}
