//! NTLM's arithmetic: hashes, proofs, keys, sealing (MS-NLMP 3.3, 3.4).
//!
//! Supports only sessions with extended session security. The older form, one key stream
//! for both directions, is rejected by the acceptor.

use std::fmt;

use des::Des;
use des::cipher::BlockCipherEncrypt;
use hmac::{Hmac, KeyInit, Mac};
use md4::{Digest, Md4};
use md5::Md5;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::base::wire;
use crate::protocol::ntlm::flags::Flags;
use crate::protocol::ntlm::letter_case;
use crate::protocol::ntlm::rc4::Rc4;

/// A 16-byte secret; never printed, wiped on drop.
#[derive(Clone)]
pub struct Key([u8; 16]);

impl Key {
    /// KeyExchangeKey of a null session (MS-NLMP 3.3.2): known to everyone.
    pub const NULL_SESSION: Self = Self([0; 16]);

    /// From these bytes.
    #[must_use]
    pub const fn new(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Parses 32 hexadecimal digits of either case.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        let mut key = Self([0; 16]);
        let (pairs, rest) = digits.as_bytes().as_chunks::<2>();
        if pairs.len() != 16 || !rest.is_empty() {
            return None;
        }
        for (byte, [high, low]) in key.0.iter_mut().zip(pairs) {
            *byte = hex_digit(*high)? << 4 | hex_digit(*low)?;
        }
        Some(key)
    }

    /// The bytes, to derive further keys from.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Key(redacted)")
    }
}

impl Drop for Key {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// MD4 of the password (NTOWFv1, MS-NLMP 3.3.1). Equivalent to the password itself.
///
/// ```
/// use wecrelay::protocol::ntlm::crypto::NtHash;
/// let hash = NtHash::from_password("Password");
/// assert_eq!(hash.to_hex(), "a4f49c406510bdcab6824ee7c30fd852");
/// assert_eq!(format!("{hash:?}"), "NtHash(redacted)");
/// ```
#[derive(Clone)]
pub struct NtHash(Key);

impl NtHash {
    /// Hashes a password: MD4 of its UTF-16LE form, without salt.
    #[must_use]
    pub fn from_password(password: &str) -> Self {
        let text = Zeroizing::new(wire::utf16(password));
        Self(Key(Md4::digest(text.as_slice()).into()))
    }

    /// From the bytes of a hash.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Key(bytes))
    }

    /// Parses 32 hexadecimal digits of either case, as in the accounts file.
    #[must_use]
    pub fn from_hex(digits: &str) -> Option<Self> {
        Key::from_hex(digits).map(Self)
    }

    /// 32 lower-case hexadecimal digits, as secret as the hash.
    #[must_use]
    pub fn to_hex(&self) -> String {
        self.0.0.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    /// Compares in constant time.
    #[must_use]
    pub fn is(&self, other: &Self) -> bool {
        self.0.0.ct_eq(&other.0.0).into()
    }

    /// NTOWFv2: the key of NTLMv2 responses (MS-NLMP 3.3.2). The user name is upper-cased,
    /// the domain is used as the client sent it.
    #[must_use]
    pub fn response_key(&self, user: &str, domain: &str) -> Key {
        self.key_of(&letter_case::upper(user), domain)
    }

    /// The same for each way in which clients upper-case this user name; that of Windows
    /// first.
    pub fn response_keys(&self, user: &str, domain: &str) -> impl Iterator<Item = Key> {
        let names = letter_case::all(user).into_iter();
        names.map(move |user| self.key_of(&user, domain))
    }

    fn key_of(&self, user: &str, domain: &str) -> Key {
        let mut name = wire::utf16(user);
        wire::push_utf16(&mut name, domain);
        hmac(&self.0, &[&name])
    }

    /// NTLMv1 response with extended session security (MS-NLMP 3.3.1).
    #[must_use]
    pub fn ntlmv1_response(&self, server: &[u8; 8], client: &[u8; 8]) -> [u8; 24] {
        let challenge = session_challenge(server, client);
        let mut padded = Zeroizing::new([0; 21]);
        let parts = self.0.0.iter().zip(padded.iter_mut());
        parts.for_each(|(from, to)| *to = *from);
        let mut response = [0; 24];
        let keys = padded.as_chunks::<7>().0;
        for (key, out) in keys.iter().zip(response.as_chunks_mut::<8>().0) {
            *out = des_encrypt(key, &challenge);
        }
        response
    }

    /// KeyExchangeKey of NTLMv1 with extended session security (MS-NLMP 3.4.5.1).
    #[must_use]
    pub fn ntlmv1_key(&self, server: &[u8; 8], client: &[u8; 8]) -> Key {
        ntlmv1_exchange(&Key(Md4::digest(self.0.0).into()), server, client)
    }
}

impl fmt::Debug for NtHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NtHash(redacted)")
    }
}

/// The challenge that an NTLMv1 response with extended session security answers (MS-NLMP
/// 3.3.1).
#[must_use]
pub fn session_challenge(server: &[u8; 8], client: &[u8; 8]) -> [u8; 8] {
    let digest: [u8; 16] = Md5::digest([*server, *client].concat()).into();
    let [a, b, c, d, e, f, g, h, ..] = digest;
    [a, b, c, d, e, f, g, h]
}

/// KeyExchangeKey of NTLMv1 with extended session security, from its SessionBaseKey
/// (MS-NLMP 3.4.5.1).
#[must_use]
pub fn ntlmv1_exchange(base: &Key, server: &[u8; 8], client: &[u8; 8]) -> Key {
    hmac(base, &[server, client])
}

/// NTProofStr over `temp` (MS-NLMP 3.3.2).
#[must_use]
pub fn ntlmv2_proof(response_key: &Key, server: &[u8; 8], temp: &[u8]) -> [u8; 16] {
    hmac(response_key, &[server, temp]).0
}

/// SessionBaseKey, which is the KeyExchangeKey of NTLMv2 (MS-NLMP 3.4.5.1).
#[must_use]
pub fn ntlmv2_key(response_key: &Key, proof: &[u8; 16]) -> Key {
    hmac(response_key, &[proof])
}

/// Encrypts or decrypts the session key that the client chose (MS-NLMP 3.4.5).
#[must_use]
pub fn exchange_key(key_exchange_key: &Key, session_key: &[u8; 16]) -> Key {
    let mut key = Key(*session_key);
    rc4(key_exchange_key).apply_keystream(&mut key.0);
    key
}

/// The MIC over the three messages, with the third one's own MIC zeroed (MS-NLMP
/// 3.1.5.1.2).
#[must_use]
pub fn mic(session_key: &Key, negotiate: &[u8], challenge: &[u8], authenticate: &[u8]) -> [u8; 16] {
    use crate::protocol::ntlm::messages::MIC_OFFSET;
    let head = authenticate.get(..MIC_OFFSET).unwrap_or(authenticate);
    let tail = authenticate.get(MIC_OFFSET + 16..).unwrap_or_default();
    hmac(session_key, &[negotiate, challenge, head, &[0; 16], tail]).0
}

/// Compares in constant time (for equal lengths).
#[must_use]
pub fn equal(a: &[u8], b: &[u8]) -> bool {
    a.ct_eq(b).into()
}

/// The direction of a message; each has its own keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the host to the collector.
    ClientToServer,
    /// From the collector to the host.
    ServerToClient,
}

impl Direction {
    const fn name(self) -> &'static str {
        match self {
            Self::ClientToServer => "client-to-server",
            Self::ServerToClient => "server-to-client",
        }
    }
}

/// SIGNKEY (MS-NLMP 3.4.5.2).
#[must_use]
pub fn sign_key(session_key: &Key, direction: Direction) -> Key {
    magic(&session_key.0, direction, "signing")
}

/// SEALKEY (MS-NLMP 3.4.5.3): 128, 56 or 40 bits of the session key.
#[must_use]
pub fn seal_key(session_key: &Key, flags: Flags, direction: Direction) -> Key {
    let size = if flags.contains(Flags::KEY_128) {
        16
    } else if flags.contains(Flags::KEY_56) {
        7
    } else {
        5
    };
    let key = session_key.0.get(..size).unwrap_or_default();
    magic(key, direction, "sealing")
}

fn magic(key: &[u8], direction: Direction, purpose: &str) -> Key {
    let mut digest = Md5::new();
    digest.update(key);
    digest.update("session key to ");
    digest.update(direction.name());
    digest.update(" ");
    digest.update(purpose);
    digest.update(" key magic constant\0");
    Key(digest.finalize().into())
}

/// Sets up an HMAC-MD5. HMAC pads keys with zeros to a block, so a padded key is equivalent
/// and its length cannot be wrong.
fn keyed(key: &Key) -> Hmac<Md5> {
    let mut block = Zeroizing::new([0; 64]);
    let bytes = key.0.iter().zip(block.iter_mut());
    bytes.for_each(|(from, to)| *to = *from);
    Hmac::new(&(*block).into())
}

fn hmac(key: &Key, parts: &[&[u8]]) -> Key {
    let mut mac = keyed(key);
    parts.iter().for_each(|part| mac.update(part));
    Key(mac.finalize().into_bytes().into())
}

/// The RC4 stream of a key.
pub(super) fn rc4(key: &Key) -> Rc4 {
    Rc4::new(&key.0)
}

/// DES with a 56-bit key, which is spread over eight bytes with a parity bit each.
fn des_encrypt(key: &[u8; 7], block: &[u8; 8]) -> [u8; 8] {
    let [a, b, c, d, e, f, g] = *key;
    let bits = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
    let spread = |i: u32| (bits >> (49 - 7 * i) << 1).to_le_bytes()[0];
    let key = Zeroizing::new([0, 1, 2, 3, 4, 5, 6, 7].map(spread));
    let mut block = (*block).into();
    Des::new(&(*key).into()).encrypt_block(&mut block);
    block.into()
}

fn hex_digit(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

#[cfg(test)]
mod tests;
