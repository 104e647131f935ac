//! HMAC-MD5 of messages (RFC 2104; MS-NLMP 3.4.4.2), computed beside RC4.
//!
//! MD5 and RC4 both wait for their own last result most of the time, so the 64 steps that
//! hash a block alternate with the 64 bytes of key stream for a block. Measured with an AMD
//! EPYC: 350 MB/s one after the other, 600 MB/s this way.

use zeroize::Zeroizing;

use super::md5::{BLOCK, Md5};
use crate::protocol::ntlm::rc4::Running;

/// Number of bytes of a message in the first block, after the sequence number.
const HEAD: usize = BLOCK - 4;

/// A key, set up for many messages: the states of MD5 after its two padded forms.
pub(super) struct HmacMd5 {
    inner: Zeroizing<[u32; 4]>,
    outer: Zeroizing<[u32; 4]>,
}

impl HmacMd5 {
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let padded = |pad| {
            let mut block = Zeroizing::new([pad; BLOCK]);
            xor(block.as_mut_slice(), key);
            let mut md5 = Md5::new();
            md5.add(&block);
            Zeroizing::new(md5.state())
        };
        Self {
            inner: padded(0x36),
            outer: padded(0x5c),
        }
    }

    /// Of a message in the clear.
    pub(super) fn sign(&self, sequence: u32, data: &[u8]) -> [u8; 16] {
        let mut md5 = Md5::from(*self.inner);
        let Some((head, after)) = data.split_first_chunk() else {
            return self.finish(md5, [&sequence.to_le_bytes(), data], data.len());
        };
        md5.add(&first_block(sequence, head));
        let (blocks, rest) = after.as_chunks();
        blocks.iter().for_each(|block| md5.add(block));
        self.finish(md5, [&[], rest], data.len())
    }

    /// Of a message that is encrypted in place.
    pub(super) fn seal(&self, sequence: u32, cipher: &mut Running, data: &mut [u8]) -> [u8; 16] {
        let (mut md5, length) = (Md5::from(*self.inner), data.len());
        let Some((head, after)) = data.split_first_chunk_mut() else {
            let digest = self.finish(md5, [&sequence.to_le_bytes(), data], length);
            cipher.apply(data);
            return digest;
        };
        md5.add(&first_block(sequence, head));
        cipher.apply(head);
        let (blocks, rest) = after.as_chunks_mut();
        for block in blocks {
            let key = add_beside(&mut md5, block, cipher);
            xor(block, &key);
        }
        let digest = self.finish(md5, [&[], rest], length);
        cipher.apply(rest);
        digest
    }

    /// Of a message that is decrypted in place: each block is added to the digest while the
    /// next one is decrypted.
    pub(super) fn open(&self, sequence: u32, cipher: &mut Running, data: &mut [u8]) -> [u8; 16] {
        let (mut md5, length) = (Md5::from(*self.inner), data.len());
        let Some((head, after)) = data.split_first_chunk_mut() else {
            cipher.apply(data);
            return self.finish(md5, [&sequence.to_le_bytes(), data], length);
        };
        cipher.apply(head);
        let mut plain = first_block(sequence, head);
        let (blocks, rest) = after.as_chunks_mut();
        for block in blocks {
            let key = add_beside(&mut md5, &plain, cipher);
            xor(block, &key);
            plain = *block;
        }
        md5.add(&plain);
        cipher.apply(rest);
        self.finish(md5, [&[], rest], length)
    }

    /// Adds the rest of a message, less than a block; `length` is that of the whole message.
    fn finish(&self, inner: Md5, rest: [&[u8]; 2], length: usize) -> [u8; 16] {
        let digest = inner.finish(rest, BLOCK + 4 + length);
        Md5::from(*self.outer).finish([&digest, &[]], BLOCK + digest.len())
    }
}

/// Adds a block, and computes the key stream of a block meanwhile.
#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "MD5 has as many steps as a block has bytes"
)]
fn add_beside(md5: &mut Md5, block: &[u8; BLOCK], cipher: &mut Running) -> [u8; BLOCK] {
    let (mut key, mut stream) = ([0; BLOCK], cipher.key_stream());
    md5.add_beside(block, |step| key[step] = stream.next());
    key
}

/// The sequence number and the beginning of a message.
fn first_block(sequence: u32, head: &[u8; HEAD]) -> [u8; BLOCK] {
    let mut block = [0; BLOCK];
    let (number, rest) = block.split_at_mut(BLOCK - HEAD);
    number.copy_from_slice(&sequence.to_le_bytes());
    rest.copy_from_slice(head);
    block
}

fn xor(data: &mut [u8], key: &[u8]) {
    data.iter_mut()
        .zip(key)
        .for_each(|(byte, key)| *byte ^= key);
}

#[cfg(test)]
mod tests {
    use hmac::{Hmac, KeyInit, Mac};

    use super::*;
    use crate::protocol::ntlm::rc4::Rc4;

    /// RFC 2202 2, the cases with keys of up to 16 bytes.
    #[test]
    fn the_digests_are_those_of_rfc_2202() {
        let jefe = *b"Jefe\0\0\0\0\0\0\0\0\0\0\0\0";
        let cases: [([u8; 16], &[u8], u128); 4] = [
            (
                [0x0b; 16],
                b"Hi There",
                0x9294_727a_3638_bb1c_13f4_8ef8_158b_fc9d,
            ),
            (
                jefe,
                b"what do ya want for nothing?",
                0x750c_783e_6ab0_b503_eaa8_6e31_0a5d_b738,
            ),
            (
                [0xaa; 16],
                &[0xdd; 50],
                0x56be_3452_1d14_4c88_dbb8_c733_f0e8_b3f6,
            ),
            (
                [0x0c; 16],
                b"Test With Truncation",
                0x5646_1ef2_342e_dc00_f9ba_b995_690e_fd4c,
            ),
        ];
        for (key, text, expected) in cases {
            let (number, data) = text.split_first_chunk().unwrap();
            let digest = HmacMd5::new(&key).sign(u32::from_le_bytes(*number), data);
            assert_eq!(digest, expected.to_be_bytes(), "{}", text.escape_ascii());
        }
    }

    /// The digest by the crates.
    fn expected(key: &[u8; 16], number: u32, data: &[u8]) -> [u8; 16] {
        let mut mac = Hmac::<::md5::Md5>::new_from_slice(key).unwrap();
        mac.update(&number.to_le_bytes());
        mac.update(data);
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn messages_of_any_length_are_hashed_and_encrypted_as_by_each_alone() {
        let key = *b"a key for a test";
        let keyed = HmacMd5::new(&key);
        let [mut alone, mut sealer, mut opener] = [(); 3].map(|()| Rc4::new(&key));
        let lengths = (0..=300).chain([4095, 65_536, 150_001]);
        for (number, length) in (7..).zip(lengths) {
            let plain: Vec<u8> = (0..=250).cycle().skip(length % 251).take(length).collect();
            let digest = expected(&key, number, &plain);
            let mut sealed = plain.clone();
            alone.apply_keystream(&mut sealed);

            assert_eq!(keyed.sign(number, &plain), digest, "{length}");
            let mut data = plain.clone();
            let found = sealer.run(|cipher| keyed.seal(number, cipher, &mut data));
            assert_eq!((found, &data), (digest, &sealed), "{length}");
            let found = opener.run(|cipher| keyed.open(number, cipher, &mut data));
            assert_eq!((found, &data), (digest, &plain), "{length}");
        }
    }
}
