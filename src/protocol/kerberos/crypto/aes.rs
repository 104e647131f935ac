//! Encryption and checksums of the AES enctypes (RFC 3962, RFC 8009).

use hmac::{Hmac, Mac};
use sha1::Sha1;
use sha2::{Sha256, Sha384};
use subtle::ConstantTimeEq;

use super::cts::{Aes, BLOCK, Iv};
use super::derive::{Purpose, derive, keyed};
use super::{Enctype, Error, Key};

/// A checksum, truncated to the size of its enctype.
#[derive(Clone, Copy)]
pub(in crate::protocol::kerberos) struct Checksum {
    bytes: [u8; 24],
    size: usize,
}

impl Checksum {
    fn cut(digest: &[u8], size: usize) -> Self {
        let mut bytes = [0; 24];
        let pairs = digest.iter().zip(&mut bytes);
        pairs.for_each(|(from, to)| *to = *from);
        Self { bytes, size }
    }
}

impl std::ops::Deref for Checksum {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        self.bytes.get(..self.size).unwrap_or_default()
    }
}

/// HMAC of an AES enctype with its key already set up; cloned for each message.
#[derive(Clone)]
pub(in crate::protocol::kerberos) struct Signer {
    mac: Digest,
    size: usize,
}

#[derive(Clone)]
enum Digest {
    Sha1(Hmac<Sha1>),
    Sha256(Hmac<Sha256>),
    Sha384(Hmac<Sha384>),
}

impl Signer {
    /// For checksums sent alongside their data.
    pub(in crate::protocol::kerberos) fn new(key: &Key, usage: u32) -> Self {
        Self::derived(key, usage, Purpose::Checksum)
    }

    fn derived(key: &Key, usage: u32, purpose: Purpose) -> Self {
        let bytes = derive(key, usage, purpose);
        Self {
            mac: match key.enctype() {
                Enctype::Aes128Sha2 => Digest::Sha256(keyed(&bytes)),
                Enctype::Aes256Sha2 => Digest::Sha384(keyed(&bytes)),
                _ => Digest::Sha1(keyed(&bytes)),
            },
            size: key.enctype().checksum_len(),
        }
    }

    /// The checksum of these parts, concatenated.
    pub(in crate::protocol::kerberos) fn sign(&self, parts: &[&[u8]]) -> Checksum {
        match &self.mac {
            Digest::Sha1(mac) => Checksum::cut(&finish(mac, parts), self.size),
            Digest::Sha256(mac) => Checksum::cut(&finish(mac, parts), self.size),
            Digest::Sha384(mac) => Checksum::cut(&finish(mac, parts), self.size),
        }
    }

    /// Whether the ciphertext is signed (RFC 8009) rather than the plaintext (RFC 3962).
    const fn signs_ciphertext(&self) -> bool {
        !matches!(self.mac, Digest::Sha1(_))
    }
}

fn finish<M: Mac + Clone>(mac: &M, parts: &[&[u8]]) -> hmac::digest::Output<M> {
    let mut mac = mac.clone();
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes()
}

/// A ciphertext without its checksum, in the pieces in which a Wrap token and its data hold
/// it. Concatenated, they are the ciphertext.
pub(in crate::protocol::kerberos) struct Pieces<'a> {
    /// The confounder, a random first block.
    pub(in crate::protocol::kerberos) first: &'a mut [u8; BLOCK],
    /// The data.
    pub(in crate::protocol::kerberos) middle: &'a mut [u8],
    /// The last block, an encrypted copy of the token's header.
    pub(in crate::protocol::kerberos) last: &'a mut [u8; BLOCK],
}

/// Encrypts and signs under one key for one usage.
#[derive(Clone)]
pub(in crate::protocol::kerberos) struct AesCipher {
    aes: Aes,
    signer: Signer,
}

impl AesCipher {
    pub(in crate::protocol::kerberos) fn new(key: &Key, usage: u32) -> Self {
        Self {
            aes: Aes::new(&derive(key, usage, Purpose::Encryption)),
            signer: Signer::derived(key, usage, Purpose::Integrity),
        }
    }

    /// Size of its checksums in bytes.
    pub(in crate::protocol::kerberos) const fn checksum_len(&self) -> usize {
        self.signer.size
    }

    /// Encrypts the pieces in place and returns their checksum.
    pub(in crate::protocol::kerberos) fn seal(&self, pieces: &mut Pieces<'_>) -> Checksum {
        if self.signer.signs_ciphertext() {
            self.encrypt_pieces(pieces);
            self.checksum(pieces)
        } else {
            let checksum = self.checksum(pieces);
            self.encrypt_pieces(pieces);
            checksum
        }
    }

    /// Decrypts the pieces in place. After an error their content must not be used.
    pub(in crate::protocol::kerberos) fn open(
        &self,
        pieces: &mut Pieces<'_>,
        checksum: &[u8],
    ) -> Result<(), Error> {
        let same = if self.signer.signs_ciphertext() {
            let ours = self.checksum(pieces);
            self.decrypt_pieces(pieces);
            ours
        } else {
            self.decrypt_pieces(pieces);
            self.checksum(pieces)
        };
        let same: bool = same.ct_eq(checksum).into();
        same.then_some(()).ok_or(Error::Checksum)
    }

    fn checksum(&self, pieces: &Pieces<'_>) -> Checksum {
        let (first, middle, last) = (&*pieces.first, &*pieces.middle, &*pieces.last);
        if self.signer.signs_ciphertext() {
            self.signer.sign(&[&Iv::default(), first, middle, last])
        } else {
            self.signer.sign(&[first, middle, last])
        }
    }

    fn encrypt_pieces(&self, pieces: &mut Pieces<'_>) {
        self.run_pieces(pieces, Aes::encrypt_chain, Aes::encrypt);
    }

    fn decrypt_pieces(&self, pieces: &mut Pieces<'_>) {
        self.run_pieces(pieces, Aes::decrypt_chain, Aes::decrypt);
    }

    fn run_pieces(
        &self,
        pieces: &mut Pieces<'_>,
        chain: fn(&Aes, Iv, &mut [[u8; BLOCK]]) -> Iv,
        end: fn(&Aes, Iv, &mut [u8], &mut [u8; BLOCK]),
    ) {
        let Pieces {
            first,
            middle,
            last,
        } = pieces;
        let iv = Iv::default();
        if middle.is_empty() {
            return end(&self.aes, iv, first.as_mut_slice(), last);
        }
        let iv = chain(&self.aes, iv, std::slice::from_mut(first));
        end(&self.aes, iv, middle, last);
    }

    /// Encrypts `plain`, preceded by the confounder, followed by the checksum.
    pub(super) fn encrypt(&self, confounder: &[u8], plain: &[u8]) -> Vec<u8> {
        let size = confounder.len() + plain.len();
        let mut out = Vec::with_capacity(size + self.signer.size);
        out.extend_from_slice(confounder);
        out.extend_from_slice(plain);
        let before = self.sign_whole(&out);
        self.run(&mut out, Aes::encrypt);
        let after = self.sign_whole(&out);
        let checksum = if self.signer.signs_ciphertext() {
            after
        } else {
            before
        };
        out.extend_from_slice(&checksum);
        out
    }

    /// Verifies and decrypts what [`Self::encrypt`] returned.
    pub(in crate::protocol::kerberos) fn decrypt(
        &self,
        ciphertext: &[u8],
    ) -> Result<Vec<u8>, Error> {
        let (found, least) = (ciphertext.len(), BLOCK + self.signer.size);
        let size = found.checked_sub(least).map(|plain| plain + BLOCK);
        let split = size.and_then(|size| ciphertext.split_at_checked(size));
        let (sealed, checksum) = split.ok_or(Error::TooShort { found, least })?;
        let mut plain = sealed.to_vec();
        self.run(&mut plain, Aes::decrypt);
        let signed = if self.signer.signs_ciphertext() {
            sealed
        } else {
            &plain
        };
        let same: bool = self.sign_whole(signed).ct_eq(checksum).into();
        plain.drain(..BLOCK);
        same.then_some(plain).ok_or(Error::Checksum)
    }

    fn sign_whole(&self, bytes: &[u8]) -> Checksum {
        if self.signer.signs_ciphertext() {
            self.signer.sign(&[&Iv::default(), bytes])
        } else {
            self.signer.sign(&[bytes])
        }
    }

    fn run(&self, bytes: &mut [u8], way: fn(&Aes, Iv, &mut [u8], &mut [u8; BLOCK])) {
        if let Some((head, tail)) = bytes.split_last_chunk_mut() {
            way(&self.aes, Iv::default(), head, tail);
        }
    }
}
