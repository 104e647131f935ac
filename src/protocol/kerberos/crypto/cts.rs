//! AES in CBC mode with ciphertext stealing (RFC 3962 5, RFC 3961 5.3), in place.

use aes::cipher::{Block, BlockModeDecrypt, BlockModeEncrypt, InnerIvInit, KeyInit};
use aes::{Aes128, Aes256};
use zeroize::Zeroizing;

/// Size of an AES block in bytes.
pub(super) const BLOCK: usize = 16;

/// What is combined with the first block of a chain: zeros at the start, then the previous
/// ciphertext block.
pub(super) type Iv = [u8; BLOCK];

/// AES with a key of either size, with its schedule computed.
#[derive(Clone)]
pub(super) enum Aes {
    Bits128(Aes128),
    Bits256(Aes256),
}

impl Aes {
    /// From a key of 16 or 32 bytes. Any other length would be truncated or zero-padded; no
    /// caller passes one.
    pub(super) fn new(key: &[u8]) -> Self {
        let mut block = Zeroizing::new([0; 16]);
        copy(key, block.as_mut_slice());
        match key.first_chunk::<32>() {
            Some(key) => Self::Bits256(Aes256::new(&(*key).into())),
            None => Self::Bits128(Aes128::new(&(*block).into())),
        }
    }

    /// Encrypts one block without chaining, for key derivation.
    pub(super) fn encrypt_block(&self, mut block: [u8; BLOCK]) -> [u8; BLOCK] {
        self.encrypt_chain(Iv::default(), std::slice::from_mut(&mut block))
    }

    /// Encrypts whole blocks in CBC mode; returns the block to continue with.
    pub(super) fn encrypt_chain(&self, iv: Iv, blocks: &mut [[u8; BLOCK]]) -> Iv {
        let chained = Block::<Aes128>::cast_slice_from_core_mut(blocks);
        match self {
            Self::Bits128(aes) => {
                cbc::Encryptor::inner_iv_init(aes, &iv.into()).encrypt_blocks(chained);
            }
            Self::Bits256(aes) => {
                cbc::Encryptor::inner_iv_init(aes, &iv.into()).encrypt_blocks(chained);
            }
        }
        blocks.last().copied().unwrap_or(iv)
    }

    /// Decrypts whole blocks in CBC mode, several at a time; returns the block to continue
    /// with.
    pub(super) fn decrypt_chain(&self, iv: Iv, blocks: &mut [[u8; BLOCK]]) -> Iv {
        let next = blocks.last().copied().unwrap_or(iv);
        let chained = Block::<Aes128>::cast_slice_from_core_mut(blocks);
        match self {
            Self::Bits128(aes) => {
                cbc::Decryptor::inner_iv_init(aes, &iv.into()).decrypt_blocks(chained);
            }
            Self::Bits256(aes) => {
                cbc::Decryptor::inner_iv_init(aes, &iv.into()).decrypt_blocks(chained);
            }
        }
        next
    }

    /// Encrypts `head` followed by `tail`. They need not be adjacent, so that a message in
    /// the middle of a buffer is not moved.
    ///
    /// A single block is encrypted as it is. Of several, the last two are swapped and the
    /// last is truncated, so that the size does not change (RFC 3962 5).
    pub(super) fn encrypt(&self, iv: Iv, head: &mut [u8], tail: &mut [u8; BLOCK]) {
        let (head, end) = split_last(head);
        let iv = self.encrypt_chain(iv, head.as_chunks_mut().0);
        if end.is_empty() {
            self.encrypt_chain(iv, std::slice::from_mut(tail));
            return;
        }
        let mut last = join(end, tail);
        self.encrypt_chain(iv, &mut last);
        last.swap(0, 1);
        part(&last, end, tail);
    }

    /// Reverses [`Self::encrypt`].
    pub(super) fn decrypt(&self, iv: Iv, head: &mut [u8], tail: &mut [u8; BLOCK]) {
        let (head, end) = split_last(head);
        let iv = self.decrypt_chain(iv, head.as_chunks_mut().0);
        if end.is_empty() {
            self.decrypt_chain(iv, std::slice::from_mut(tail));
            return;
        }
        let mut last = join(end, tail);
        // What was truncated from the second block is at the end of the first one's
        // plaintext.
        let [first, second] = &mut last;
        let mut behind = *first;
        self.decrypt_chain(Iv::default(), std::slice::from_mut(&mut behind));
        copy(
            behind.get(end.len()..).unwrap_or_default(),
            second.get_mut(end.len()..).unwrap_or_default(),
        );
        last.swap(0, 1);
        self.decrypt_chain(iv, &mut last);
        part(&last, end, tail);
    }
}

/// Splits `head` into whole blocks and a rest of 1 to 16 bytes (0 only if it is empty).
fn split_last(head: &mut [u8]) -> (&mut [u8], &mut [u8]) {
    let whole = head.len().saturating_sub(1) / BLOCK * BLOCK;
    head.split_at_mut(whole)
}

/// The last two blocks, padded with zeros.
fn join(end: &[u8], tail: &[u8; BLOCK]) -> [[u8; BLOCK]; 2] {
    let mut blocks = [[0; BLOCK]; 2];
    let (to_end, to_tail) = blocks.as_flattened_mut().split_at_mut(end.len());
    copy(end, to_end);
    copy(tail, to_tail);
    blocks
}

fn part(blocks: &[[u8; BLOCK]; 2], end: &mut [u8], tail: &mut [u8; BLOCK]) {
    let (from_end, from_tail) = blocks.as_flattened().split_at(end.len());
    copy(from_end, end);
    copy(from_tail, tail);
}

/// Copies as many bytes as both have.
fn copy(from: &[u8], to: &mut [u8]) {
    from.iter().zip(to).for_each(|(from, to)| *to = *from);
}
