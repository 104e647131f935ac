//! MD5 (RFC 1321), computed beside other work.
//!
//! Each step of MD5 needs the result of the step before, so a processor waits most of the
//! time. Work between the steps that does not depend on them, such as RC4's, fills the gaps.

#![expect(
    clippy::indexing_slicing,
    reason = "a block has 16 words, and a round 16 steps"
)]

use std::hint::black_box;

use zeroize::Zeroize;

/// Number of bytes in a block.
pub(super) const BLOCK: usize = 64;
/// The state before the first block (RFC 1321 3.3).
const START: [u32; 4] = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
/// How far the steps of each round rotate (RFC 1321 3.4).
const SHIFTS: [[u32; 4]; 4] = [
    [7, 12, 17, 22],
    [5, 9, 14, 20],
    [4, 11, 16, 23],
    [6, 10, 15, 21],
];
/// The table T of RFC 1321 3.4, a part for each round.
static SINES: [[u32; 16]; 4] = [
    [
        0xd76a_a478,
        0xe8c7_b756,
        0x2420_70db,
        0xc1bd_ceee,
        0xf57c_0faf,
        0x4787_c62a,
        0xa830_4613,
        0xfd46_9501,
        0x6980_98d8,
        0x8b44_f7af,
        0xffff_5bb1,
        0x895c_d7be,
        0x6b90_1122,
        0xfd98_7193,
        0xa679_438e,
        0x49b4_0821,
    ],
    [
        0xf61e_2562,
        0xc040_b340,
        0x265e_5a51,
        0xe9b6_c7aa,
        0xd62f_105d,
        0x0244_1453,
        0xd8a1_e681,
        0xe7d3_fbc8,
        0x21e1_cde6,
        0xc337_07d6,
        0xf4d5_0d87,
        0x455a_14ed,
        0xa9e3_e905,
        0xfcef_a3f8,
        0x676f_02d9,
        0x8d2a_4c8a,
    ],
    [
        0xfffa_3942,
        0x8771_f681,
        0x6d9d_6122,
        0xfde5_380c,
        0xa4be_ea44,
        0x4bde_cfa9,
        0xf6bb_4b60,
        0xbebf_bc70,
        0x289b_7ec6,
        0xeaa1_27fa,
        0xd4ef_3085,
        0x0488_1d05,
        0xd9d4_d039,
        0xe6db_99e5,
        0x1fa2_7cf8,
        0xc4ac_5665,
    ],
    [
        0xf429_2244,
        0x432a_ff97,
        0xab94_23a7,
        0xfc93_a039,
        0x655b_59c3,
        0x8f0c_cc92,
        0xffef_f47d,
        0x8584_5dd1,
        0x6fa8_7e4f,
        0xfe2c_e6e0,
        0xa301_4314,
        0x4e08_11a1,
        0xf753_7e82,
        0xbd3a_f235,
        0x2ad7_d2bb,
        0xeb86_d391,
    ],
];

/// Writes out the sixteen steps of a round, because a loop with much work between the steps
/// would stay a loop.
macro_rules! unrolled {
    ($step:ident, $body:block) => {
        unrolled!($step, $body, 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15)
    };
    ($step:ident, $body:block, $($number:literal)*) => {
        $({ let $step: usize = $number; $body })*
    };
}

/// A digest of whole blocks. Its state may follow from a key.
pub(super) struct Md5 {
    state: [u32; 4],
    /// [`SINES`], hidden from the compiler: it would add constants last, which makes the chain
    /// of each step longer by an addition.
    sines: &'static [[u32; 16]; 4],
}

impl Md5 {
    /// Without any block.
    pub(super) fn new() -> Self {
        Self::from(START)
    }

    /// The state after the blocks so far.
    pub(super) fn state(&self) -> [u32; 4] {
        self.state
    }

    /// Adds a block.
    pub(super) fn add(&mut self, block: &[u8; BLOCK]) {
        self.add_beside(block, |_| ());
    }

    /// Adds the last bytes, fewer than a block, and the padding (RFC 1321 3.1, 3.2). `length`
    /// is that of the whole input.
    pub(super) fn finish(mut self, rest: [&[u8]; 2], length: usize) -> [u8; 16] {
        let mut padded = [0; 2 * BLOCK];
        let bytes = rest.into_iter().flatten().chain(&[0x80]);
        padded
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        let blocks = if length % BLOCK < BLOCK - 8 { 1 } else { 2 };
        let (padded, _) = padded.split_at_mut(blocks * BLOCK);
        if let (Some(end), Ok(length)) = (padded.last_chunk_mut(), u64::try_from(length)) {
            *end = length.wrapping_mul(8).to_le_bytes();
        }
        padded
            .as_chunks()
            .0
            .iter()
            .for_each(|block| self.add(block));
        let mut digest = [0; 16];
        let words = digest.as_chunks_mut().0.iter_mut().zip(self.state);
        words.for_each(|(bytes, word)| *bytes = word.to_le_bytes());
        digest
    }

    /// Adds a block, and calls `work` with the number of each of its 64 steps (RFC 1321 3.4).
    #[inline(always)]
    pub(super) fn add_beside(&mut self, block: &[u8; BLOCK], mut work: impl FnMut(usize)) {
        let words = block.as_chunks().0;
        let word = |number: usize| u32::from_le_bytes(words[number % 16]);
        let mut state = self.state;
        self.round::<0>(&mut state, f, word, &mut work);
        self.round::<1>(&mut state, g, |step| word(5 * step + 1), &mut work);
        self.round::<2>(&mut state, h, |step| word(3 * step + 5), &mut work);
        self.round::<3>(&mut state, i, |step| word(7 * step), &mut work);
        let words = self.state.iter_mut().zip(state);
        words.for_each(|(word, new)| *word = word.wrapping_add(new));
    }

    #[inline(always)]
    fn round<const ROUND: usize>(
        &self,
        state: &mut [u32; 4],
        mix: impl Fn(u32, u32, u32, u32) -> u32,
        word: impl Fn(usize) -> u32,
        work: &mut impl FnMut(usize),
    ) {
        unrolled!(step, {
            let [a, b, c, d] = *state;
            let early = a.wrapping_add(word(step).wrapping_add(self.sines[ROUND][step]));
            let sum = mix(early, b, c, d).rotate_left(SHIFTS[ROUND][step % 4]);
            *state = [d, sum.wrapping_add(b), b, c];
            work(16 * ROUND + step);
        });
    }
}

impl Drop for Md5 {
    fn drop(&mut self) {
        self.state.zeroize();
    }
}

impl From<[u32; 4]> for Md5 {
    /// Continues after earlier blocks.
    fn from(state: [u32; 4]) -> Self {
        let sines = black_box(&SINES);
        Self { state, sines }
    }
}

#[inline(always)]
fn f(early: u32, b: u32, c: u32, d: u32) -> u32 {
    early.wrapping_add(d ^ (b & (c ^ d)))
}

/// The terms have no bit in common, so both can be added; only one of them waits for `b`.
#[inline(always)]
fn g(early: u32, b: u32, c: u32, d: u32) -> u32 {
    early.wrapping_add(c & !d).wrapping_add(b & d)
}

#[inline(always)]
fn h(early: u32, b: u32, c: u32, d: u32) -> u32 {
    early.wrapping_add(b ^ (c ^ d))
}

#[inline(always)]
fn i(early: u32, b: u32, c: u32, d: u32) -> u32 {
    early.wrapping_add(c ^ (b | !d))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &[u8]) -> u128 {
        let (mut md5, (blocks, rest)) = (Md5::new(), text.as_chunks());
        blocks.iter().for_each(|block| md5.add(block));
        u128::from_be_bytes(md5.finish([&[], rest], text.len()))
    }

    /// RFC 1321 A.5.
    #[test]
    fn the_digests_are_those_of_rfc_1321() {
        let upper_lower = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
        let digits = b"1234567890".repeat(8);
        let expected: [(&[u8], u128); 7] = [
            (b"", 0xd41d_8cd9_8f00_b204_e980_0998_ecf8_427e),
            (b"a", 0x0cc1_75b9_c0f1_b6a8_31c3_99e2_6977_2661),
            (b"abc", 0x9001_5098_3cd2_4fb0_d696_3f7d_28e1_7f72),
            (b"message digest", 0xf96b_697d_7cb7_938d_525a_2f31_aaf1_61d0),
            (
                b"abcdefghijklmnopqrstuvwxyz",
                0xc3fc_d3d7_6192_e400_7dfb_496c_ca67_e13b,
            ),
            (upper_lower, 0xd174_ab98_d277_d9f5_a561_1c2c_9f41_9d9f),
            (&digits, 0x57ed_f4a2_2be3_c955_ac49_da2e_2107_b67a),
        ];
        for (text, expected) in expected {
            assert_eq!(digest(text), expected, "{}", text.escape_ascii());
        }
    }

    #[test]
    fn work_is_done_once_after_each_step() {
        let mut steps = Vec::new();
        Md5::new().add_beside(&[0; BLOCK], |step| steps.push(step));
        assert_eq!(steps, (0..BLOCK).collect::<Vec<_>>());
    }
}
