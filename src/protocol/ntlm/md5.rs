//! HMAC-MD5 of sealed messages (MS-NLMP 3.4.4.2), also in step with the cipher.
//!
//! Each step of MD5 waits for the one before it, and so does each step of RC4: the two of
//! them take turns, and the processor does one while the other waits. No crate offers that;
//! what is not sealed uses one.

use zeroize::Zeroize;

use super::crypto::Key;
use super::rc4::Running;

/// Bytes of a block.
const BLOCK: usize = 64;

/// A block as MD5 takes it.
type Words = [u32; 16];

/// RFC 1321 3.3.
const START: State = State([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]);

/// What the key is mixed with (RFC 2104 2).
const INNER: u32 = 0x3636_3636;
const OUTER: u32 = 0x5c5c_5c5c;

/// By how much the sum is turned in each of four steps, by round.
const TURNS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];

/// What is added in each step: 2^32 times the sine of its number.
#[rustfmt::skip]
const SINES: [u32; BLOCK] = [
    0xd76a_a478, 0xe8c7_b756, 0x2420_70db, 0xc1bd_ceee, 0xf57c_0faf, 0x4787_c62a, 0xa830_4613, 0xfd46_9501,
    0x6980_98d8, 0x8b44_f7af, 0xffff_5bb1, 0x895c_d7be, 0x6b90_1122, 0xfd98_7193, 0xa679_438e, 0x49b4_0821,
    0xf61e_2562, 0xc040_b340, 0x265e_5a51, 0xe9b6_c7aa, 0xd62f_105d, 0x0244_1453, 0xd8a1_e681, 0xe7d3_fbc8,
    0x21e1_cde6, 0xc337_07d6, 0xf4d5_0d87, 0x455a_14ed, 0xa9e3_e905, 0xfcef_a3f8, 0x676f_02d9, 0x8d2a_4c8a,
    0xfffa_3942, 0x8771_f681, 0x6d9d_6122, 0xfde5_380c, 0xa4be_ea44, 0x4bde_cfa9, 0xf6bb_4b60, 0xbebf_bc70,
    0x289b_7ec6, 0xeaa1_27fa, 0xd4ef_3085, 0x0488_1d05, 0xd9d4_d039, 0xe6db_99e5, 0x1fa2_7cf8, 0xc4ac_5665,
    0xf429_2244, 0x432a_ff97, 0xab94_23a7, 0xfc93_a039, 0x655b_59c3, 0x8f0c_cc92, 0xffef_f47d, 0x8584_5dd1,
    0x6fa8_7e4f, 0xfe2c_e6e0, 0xa301_4314, 0x4e08_11a1, 0xf753_7e82, 0xbd3a_f235, 0x2ad7_d2bb, 0xeb86_d391,
];

/// MD5 between two blocks.
#[derive(Clone, Copy)]
struct State([u32; 4]);

/// Calls a macro with the number of each quarter of a round.
macro_rules! each_quarter {
    ($of:ident) => {
        $of!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
}

impl State {
    fn add(self, words: &Words) -> Self {
        let mut state = self.0;
        macro_rules! quarters {
            ($($quarter:literal)*) => { $( state = steps::<$quarter>(state, words); )* };
        }
        each_quarter!(quarters);
        self.plus(state)
    }

    #[inline(always)]
    fn plus(self, state: [u32; 4]) -> Self {
        let ([a, b, c, d], [e, f, g, h]) = (self.0, state);
        Self([
            a.wrapping_add(e),
            b.wrapping_add(f),
            c.wrapping_add(g),
            d.wrapping_add(h),
        ])
    }

    /// Takes the end of a message of so many bytes.
    fn finish(self, end: &[u8], length: usize) -> [u8; 16] {
        let mut last = [0; 2 * BLOCK];
        let (message, after) = last.split_at_mut(end.len());
        message.copy_from_slice(end);
        after.iter_mut().take(1).for_each(|byte| *byte = 0x80);
        let size = (end.len() + 1 + 8).next_multiple_of(BLOCK);
        let bits = u64::try_from(length).unwrap_or(u64::MAX).wrapping_mul(8);
        let blocks = last.get_mut(..size).unwrap_or_default();
        if let Some(place) = blocks.last_chunk_mut() {
            *place = bits.to_le_bytes();
        }
        let blocks = blocks.as_chunks().0.iter();
        let Self([a, b, c, d]) = blocks.fold(self, |state, block| state.add(&words(block)));
        let digest =
            u128::from(a) | u128::from(b) << 32 | u128::from(c) << 64 | u128::from(d) << 96;
        digest.to_le_bytes()
    }
}

fn words(block: &[u8; BLOCK]) -> Words {
    let mut words = [0; 16];
    for (word, bytes) in words.iter_mut().zip(block.as_chunks().0) {
        *word = u32::from_le_bytes(*bytes);
    }
    words
}

/// Four of the 64 steps (RFC 1321 3.4), which turn the state once around.
#[inline(always)]
fn steps<const QUARTER: usize>(state: [u32; 4], words: &Words) -> [u32; 4] {
    let [a, b, c, d] = state;
    let a = step(QUARTER, 0, [a, b, c, d], words);
    let d = step(QUARTER, 1, [d, a, b, c], words);
    let c = step(QUARTER, 2, [c, d, a, b], words);
    let b = step(QUARTER, 3, [b, c, d, a], words);
    [a, b, c, d]
}

#[inline(always)]
#[expect(
    clippy::indexing_slicing,
    reason = "quarters are less than 16, places less than 4: the compiler knows all indexes"
)]
fn step(quarter: usize, place: usize, [a, b, c, d]: [u32; 4], words: &Words) -> u32 {
    let number = 4 * quarter + place;
    let round = quarter / 4;
    let (mixed, word) = match round {
        0 => (d ^ (b & (c ^ d)), number),
        // What does not wait for `b` first.
        1 => ((c & !d).wrapping_add(b & d), 5 * number + 1),
        2 => (b ^ (c ^ d), 3 * number + 5),
        _ => (c ^ (b | !d), 7 * number),
    };
    let known = a.wrapping_add(SINES[number]).wrapping_add(words[word % 16]);
    let sum = known.wrapping_add(mixed);
    sum.rotate_left(TURNS[round][place]).wrapping_add(b)
}

/// The checksum of messages, with its key in it.
#[derive(Clone)]
pub(super) struct Signer {
    inner: State,
    outer: State,
}

impl Drop for Signer {
    fn drop(&mut self) {
        self.inner.0.zeroize();
        self.outer.0.zeroize();
    }
}

impl Signer {
    pub(super) fn new(key: &Key) -> Self {
        let mut block = [0; BLOCK];
        let bytes = key.as_bytes().iter().zip(&mut block);
        bytes.for_each(|(from, to)| *to = *from);
        let mut key = words(&block);
        let mixed = |with| START.add(&key.map(|word| word ^ with));
        let (inner, outer) = (mixed(INNER), mixed(OUTER));
        block.zeroize();
        key.zeroize();
        Self { inner, outer }
    }

    /// The checksum of a message.
    pub(super) fn sign(&self, sequence: u32, plain: &[u8]) -> [u8; 16] {
        let mut message = Message::new(self.inner, sequence);
        let (blocks, rest) = plain.as_chunks();
        blocks.iter().for_each(|block| message.add(block));
        self.finish(&message, rest, plain.len())
    }

    /// Decrypts a message in place; gives the checksum of what it holds.
    pub(super) fn open(&self, sequence: u32, cipher: &mut Running, sealed: &mut [u8]) -> [u8; 16] {
        let length = sealed.len();
        let mut message = Message::new(self.inner, sequence);
        let (blocks, rest) = sealed.as_chunks_mut();
        blocks
            .iter_mut()
            .for_each(|block| message.add_sealed(cipher, block));
        cipher.apply(rest);
        self.finish(&message, rest, length)
    }

    fn finish(&self, message: &Message, rest: &[u8], length: usize) -> [u8; 16] {
        let mut end = [0; 4 + BLOCK];
        let (first, after) = end.split_at_mut(4);
        first.copy_from_slice(&message.carry.to_le_bytes());
        let bytes = rest.iter().zip(after);
        bytes.for_each(|(from, to)| *to = *from);
        let end = end.get(..4 + rest.len()).unwrap_or_default();
        let inner = message.flushed().finish(end, BLOCK + 4 + length);
        self.outer.finish(&inner, BLOCK + inner.len())
    }
}

/// A message within HMAC: its number, and then its bytes, which so are a word behind.
struct Message {
    state: State,
    /// The block before this place, which is not added yet; none at the start.
    waiting: Option<Words>,
    /// The word after it.
    carry: u32,
}

impl Message {
    fn new(state: State, sequence: u32) -> Self {
        Self {
            state,
            waiting: None,
            carry: sequence,
        }
    }

    fn add(&mut self, block: &[u8; BLOCK]) {
        self.state = self.flushed();
        self.wait(words(block));
    }

    /// Decrypts the block while the one before it is added.
    fn add_sealed(&mut self, cipher: &mut Running, block: &mut [u8; BLOCK]) {
        let Some(waiting) = &self.waiting else {
            cipher.apply(block);
            return self.wait(words(block));
        };
        let (state, plain) = add_and_decrypt(self.state, waiting, cipher, block);
        self.state = state;
        self.wait(plain);
    }

    #[inline(always)]
    fn wait(&mut self, words: Words) {
        let [shifted @ .., carry] = words;
        let mut waiting = [self.carry; 16];
        let [_, after @ ..] = &mut waiting;
        *after = shifted;
        (self.waiting, self.carry) = (Some(waiting), carry);
    }

    fn flushed(&self) -> State {
        let waiting = self.waiting.as_ref();
        waiting.map_or(self.state, |words| self.state.add(words))
    }
}

/// Adds a block to a state while another one is decrypted; gives the words of that.
#[inline(always)]
fn add_and_decrypt(
    before: State,
    words: &Words,
    cipher: &mut Running,
    sealed: &mut [u8; BLOCK],
) -> (State, Words) {
    let (mut state, mut plain) = (before.0, [0; 16]);
    let sealed = sealed.as_chunks_mut::<4>().0;
    macro_rules! quarters {
        ($($quarter:literal)*) => { $(
            state = steps::<$quarter>(state, words);
            if let (Some(bytes), Some(word)) = (sealed.get_mut($quarter), plain.get_mut($quarter)) {
                *word = u32::from_le_bytes(*bytes) ^ u32::from_le_bytes(cipher.key_stream());
                *bytes = word.to_le_bytes();
            }
        )* };
    }
    each_quarter!(quarters);
    (before.plus(state), plain)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::ntlm::rc4::Rc4;
    use hmac::{Hmac, KeyInit, Mac};

    fn expected(key: &[u8; 16], sequence: u32, message: &[u8]) -> [u8; 16] {
        let mut mac = Hmac::<md5::Md5>::new_from_slice(key).unwrap();
        mac.update(&sequence.to_le_bytes());
        mac.update(message);
        mac.finalize().into_bytes().into()
    }

    #[test]
    fn checksums_of_any_length_are_those_of_another_implementation() {
        let key = std::array::from_fn(|byte| u8::try_from(byte * 17).unwrap());
        let signer = Signer::new(&Key::new(key));
        let message: Vec<u8> = (0_u32..1000).map(|byte| byte.to_le_bytes()[0]).collect();
        for length in (0..300).chain([1000]) {
            let message = &message[..length];
            let sequence = u32::try_from(length).unwrap().wrapping_mul(0x0101_0101);
            let expected = expected(&key, sequence, message);
            assert_eq!(signer.sign(sequence, message), expected, "{length}");
            let mut sealed = message.to_vec();
            let mut cipher = Rc4::new(&key);
            cipher.apply_keystream(&mut sealed);
            let mut after = [0; 8];
            cipher.apply_keystream(&mut after);
            let mut cipher = Rc4::new(&key);
            let opened = cipher.run(|running| signer.open(sequence, running, &mut sealed));
            assert_eq!((opened, &*sealed), (expected, message), "{length}");
            let mut next = [0; 8];
            cipher.apply_keystream(&mut next);
            assert_eq!(next, after, "{length}");
        }
    }
}
