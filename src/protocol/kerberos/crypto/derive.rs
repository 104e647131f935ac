//! Derives the keys for one usage from the key of a principal or session.

use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha384};
use zeroize::Zeroizing;

use super::cts::{Aes, BLOCK};
use super::{Enctype, Key};

/// The purpose of a derived key (RFC 3961 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Purpose {
    /// Kc, for checksums of plain data.
    Checksum,
    /// Ke, for encryption.
    Encryption,
    /// Ki, for the checksum that protects a ciphertext.
    Integrity,
}

/// A derived key, wiped on drop.
pub(super) type Derived = Zeroizing<Vec<u8>>;

/// Derives the key of an AES enctype for one usage and purpose.
pub(super) fn derive(key: &Key, usage: u32, purpose: Purpose) -> Derived {
    let purpose_byte = match purpose {
        Purpose::Checksum => 0x99,
        Purpose::Encryption => 0xaa,
        Purpose::Integrity => 0x55,
    };
    let [a, b, c, d] = usage.to_be_bytes();
    let constant = [a, b, c, d, purpose_byte];
    // The keys for checksums are as long as the checksum (RFC 8009 5).
    let size = match purpose {
        Purpose::Encryption => key.enctype().key_len(),
        _ => key.enctype().checksum_len(),
    };
    match key.enctype() {
        Enctype::Aes128Sha2 => expand::<Sha256>(key.as_bytes(), &constant, size),
        Enctype::Aes256Sha2 => expand::<Sha384>(key.as_bytes(), &constant, size),
        _ => encrypt_fold(key.as_bytes(), &constant),
    }
}

/// DK with AES, for which random-to-key is the identity (RFC 3961 5.1, 5.3).
pub(super) fn encrypt_fold(key: &[u8], constant: &[u8]) -> Derived {
    let aes = Aes::new(key);
    let mut block = [0; BLOCK];
    fold(constant, &mut block);
    let mut derived = Zeroizing::new(Vec::with_capacity(key.len()));
    while derived.len() < key.len() {
        block = aes.encrypt_block(block);
        derived.extend_from_slice(&block);
    }
    derived.truncate(key.len());
    derived
}

/// KDF-HMAC-SHA2 without a context (RFC 8009 3).
pub(super) fn expand<D>(key: &[u8], label: &[u8], size: usize) -> Derived
where
    D: EagerHash,
    Hmac<D>: KeyInit + Mac + Clone,
{
    let bits = u32::try_from(size * 8).unwrap_or(u32::MAX);
    let mut mac = keyed::<Hmac<D>>(key);
    mac.update(&1_u32.to_be_bytes());
    mac.update(label);
    mac.update(&[0]);
    mac.update(&bits.to_be_bytes());
    let mut derived = Zeroizing::new(mac.finalize().into_bytes().to_vec());
    derived.truncate(size);
    derived
}

/// Sets up an HMAC. HMAC pads keys with zeros to a block, so a padded key is equivalent and
/// its length cannot be wrong.
pub(super) fn keyed<M: KeyInit>(key: &[u8]) -> M {
    let mut block = hmac::digest::Key::<M>::default();
    key.iter()
        .zip(&mut block)
        .for_each(|(from, to)| *to = *from);
    let mac = M::new(&block);
    zeroize::Zeroize::zeroize(block.as_mut_slice());
    mac
}

/// n-fold (RFC 3961 5.1): stretches or compresses the input so that every bit of it counts.
///
/// Copies of `input`, each rotated right by 13 more bits, are concatenated until they fill
/// `output` a whole number of times; these are then added with end-around carry.
pub(super) fn fold(input: &[u8], output: &mut [u8]) {
    let (from, to) = (input.len(), output.len());
    if from == 0 || to == 0 {
        return;
    }
    let mut sums = vec![0_u32; to];
    let mut columns = (0..to).cycle();
    let mut copy = input.to_vec();
    for _ in 0..lcm(from, to) / from {
        for (byte, column) in copy.iter().zip(&mut columns) {
            if let Some(sum) = sums.get_mut(column) {
                *sum += u32::from(*byte);
            }
        }
        rotate(&mut copy);
    }
    // Sums of bytes exceed 255; carries move left and wrap around to the right end.
    while sums.iter().any(|sum| *sum > 0xff) {
        let carries: Vec<u32> = sums.iter().map(|sum| sum >> 8).collect();
        let from_right = carries.iter().cycle().skip(1);
        for (sum, carry) in sums.iter_mut().zip(from_right) {
            *sum = (*sum & 0xff) + carry;
        }
    }
    let bytes = output.iter_mut().zip(&sums);
    bytes.for_each(|(byte, sum)| *byte = sum.to_le_bytes()[0]);
}

/// Rotates the bytes right by 13 bits.
fn rotate(bytes: &mut [u8]) {
    bytes.rotate_right(1 % bytes.len().max(1));
    let Some(mut left) = bytes.last().copied() else {
        return;
    };
    for byte in bytes {
        let pair = u16::from_be_bytes([left, *byte]);
        left = *byte;
        *byte = (pair >> 5).to_le_bytes()[0];
    }
}

fn lcm(a: usize, b: usize) -> usize {
    let (mut x, mut y) = (a, b);
    while y != 0 {
        (x, y) = (y, x % y);
    }
    a / x * b
}
