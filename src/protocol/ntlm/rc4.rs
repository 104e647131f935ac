//! RC4, which NTLM uses for all sealing (MS-NLMP 3.4.4.2).
//!
//! NTLM without TLS spends much of its time here. Two things make this twice as fast as a
//! crate: the width of the entries, and indexes that stay in registers. `sealing::hmac_md5`
//! computes MD5 beside it.

use std::fmt;

use zeroize::Zeroize;

/// The cipher between two uses. Kept as small as possible, because each connection holds
/// two of them for as long as it is open.
pub(super) struct Rc4 {
    /// A permutation of 0 to 255.
    state: [u8; 256],
    i: u8,
    j: u8,
}

impl Drop for Rc4 {
    fn drop(&mut self) {
        self.state.zeroize();
        self.i.zeroize();
        self.j.zeroize();
    }
}

impl fmt::Debug for Rc4 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Rc4(redacted)")
    }
}

#[expect(
    clippy::indexing_slicing,
    reason = "an index of eight bits is one of the 256 entries"
)]
impl Rc4 {
    /// Sets up the key schedule, at the start of the key stream.
    pub(super) fn new(key: &[u8; 16]) -> Self {
        let mut state = std::array::from_fn(|entry| u8::try_from(entry).unwrap_or(0));
        let mut j = 0_u8;
        // Once along the key at a time, because the compiler unrolls that.
        for start in (0..=u8::MAX).step_by(key.len()) {
            for (key, offset) in key.iter().zip(0..) {
                let i = start + offset;
                j = j.wrapping_add(state[usize::from(i)]).wrapping_add(*key);
                state.swap(usize::from(i), usize::from(j));
            }
        }
        Self { state, i: 0, j: 0 }
    }

    /// Encrypts or decrypts in place.
    pub(super) fn apply_keystream(&mut self, data: &mut [u8]) {
        self.run(|running| running.apply(data));
    }

    /// Runs `work` with the wide form of the state, and stores it afterwards.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&mut Running) -> T) -> T {
        let mut running = Running {
            state: self.state.map(u32::from),
            i: self.i,
            j: self.j,
        };
        let result = work(&mut running);
        self.state = running.state.map(low);
        (self.i, self.j) = (running.i, running.j);
        running.state.zeroize();
        result
    }
}

/// The cipher in use, in its fast form.
pub(super) struct Running {
    /// 32-bit entries, because a store to one does not delay loads of its neighbors, as
    /// bytes that share a word do.
    state: [u32; 256],
    i: u8,
    j: u8,
}

impl Running {
    /// Encrypts or decrypts in place.
    pub(super) fn apply(&mut self, data: &mut [u8]) {
        let mut stream = self.key_stream();
        let (words, rest) = data.as_chunks_mut::<8>();
        for word in words {
            let key = std::array::from_fn(|_| stream.next());
            *word = (u64::from_ne_bytes(*word) ^ u64::from_ne_bytes(key)).to_ne_bytes();
        }
        rest.iter_mut().for_each(|byte| *byte ^= stream.next());
    }

    /// The key stream from here on.
    #[inline(always)]
    pub(super) fn key_stream(&mut self) -> KeyStream<'_> {
        let (i, j) = (self.i, self.j);
        KeyStream {
            running: self,
            i,
            j,
        }
    }
}

/// Gives the bytes of the key stream. Has the indexes, which thereby stay in registers.
pub(super) struct KeyStream<'a> {
    running: &'a mut Running,
    i: u8,
    j: u8,
}

impl Drop for KeyStream<'_> {
    #[inline(always)]
    fn drop(&mut self) {
        (self.running.i, self.running.j) = (self.i, self.j);
    }
}

impl KeyStream<'_> {
    /// The next byte.
    #[inline(always)]
    #[expect(
        clippy::indexing_slicing,
        reason = "an index of eight bits is one of the 256 entries"
    )]
    pub(super) fn next(&mut self) -> u8 {
        let state = &mut self.running.state;
        self.i = self.i.wrapping_add(1);
        let at_i = state[usize::from(self.i)];
        self.j = self.j.wrapping_add(low(at_i));
        let at_j = state[usize::from(self.j)];
        state[usize::from(self.i)] = at_j;
        state[usize::from(self.j)] = at_i;
        low(state[usize::from(low(at_i.wrapping_add(at_j)))])
    }
}

#[inline(always)]
fn low(value: u32) -> u8 {
    value.to_le_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// RFC 6229 2, a key of 128 bits: key stream at offsets 0, 16, 240 and 4080.
    #[test]
    fn the_key_stream_is_that_of_rfc_6229() {
        let key = [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16];
        let mut stream = vec![0; 4096];
        Rc4::new(&key).apply_keystream(&mut stream);
        let expected = [
            (0, 0x9ac7_cc9a_609d_1ef7_b293_2899_cde4_1b97_u128),
            (16, 0x5248_c495_9014_126a_6e8a_84f1_1d1a_9e1c),
            (240, 0x0659_02e4_b620_f6cc_36c8_589f_6643_2f2b),
            (4080, 0xff38_265c_1642_c1ab_e8d3_c2fe_5e57_2bf8),
        ];
        for (offset, words) in expected {
            assert_eq!(
                &stream[offset..offset + 16],
                words.to_be_bytes(),
                "{offset}"
            );
        }
    }

    #[test]
    fn pieces_of_any_length_give_one_key_stream() {
        let mut whole = [0; 300];
        Rc4::new(&[7; 16]).apply_keystream(&mut whole);
        let (mut cipher, mut pieces) = (Rc4::new(&[7; 16]), [0; 300]);
        let mut rest = pieces.as_mut_slice();
        for length in (0..).take_while(|length| length * (length + 1) / 2 <= 300) {
            let (piece, after) = rest.split_at_mut(length);
            cipher.apply_keystream(piece);
            rest = after;
        }
        cipher.apply_keystream(rest);
        assert_eq!(pieces, whole);
    }
}
