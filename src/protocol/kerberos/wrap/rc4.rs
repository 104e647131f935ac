//! Wrap and MIC tokens of the RC4 enctype (RFC 4757 7), which are inside a GSS frame.

use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Error, Role};
use crate::protocol::kerberos::crypto::{Key, Rc4Signer, apply_rc4, hmac_md5};

/// The object identifier of Kerberos 5 in DER, as part of a frame.
const MECHANISM: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x12, 1, 2, 2];
/// TOK_ID, SGN_ALG, SEAL_ALG, and filler of a Wrap token.
const WRAP: [u8; 8] = [2, 1, 0x11, 0, 0x10, 0, 0xff, 0xff];
/// TOK_ID, SGN_ALG, and filler of a MIC token.
const MIC: [u8; 8] = [1, 1, 0x11, 0, 0xff, 0xff, 0xff, 0xff];
/// Salt of the checksum of a Wrap token (RFC 4757 7.3).
const WRAP_SALT: u32 = 13;
/// Salt of the checksum of a MIC token (RFC 4757 7.2).
const MIC_SALT: u32 = 15;
/// RFC 4757 7.3 always pads with one byte of value 1.
const PADDING: u8 = 1;

/// Keys and sequence numbers of both directions.
pub(super) struct Rc4Session {
    signer: Rc4Signer,
    /// Derives the keys that encrypt sequence numbers.
    sequence_key: Zeroizing<[u8; 16]>,
    /// Derives the keys that encrypt messages.
    message_key: Zeroizing<[u8; 16]>,
    ours: Way,
    theirs: Way,
}

/// The sequence number of one direction.
struct Way {
    sender: Role,
    /// Sequence number of the next message; 32 bits, and it wraps around.
    sequence: u32,
}

impl Way {
    /// SND_SEQ before encryption.
    fn number(&self) -> [u8; 8] {
        let [a, b, c, d] = self.sequence.to_be_bytes();
        let e = direction(self.sender);
        [a, b, c, d, e, e, e, e]
    }

    fn advance(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
    }
}

const fn direction(sender: Role) -> u8 {
    match sender {
        Role::Initiator => 0,
        Role::Acceptor => 0xff,
    }
}

impl Rc4Session {
    pub(super) fn new(role: Role, key: &Key, ours: u64, theirs: u64) -> Self {
        // Sequence numbers have only 32 bits here, and so have those of an AP-REQ.
        let low = |number: u64| {
            let [.., a, b, c, d] = number.to_be_bytes();
            u32::from_be_bytes([a, b, c, d])
        };
        let mut local = Zeroizing::new(key.as_bytes().to_vec());
        local.iter_mut().for_each(|byte| *byte ^= 0xf0);
        Self {
            signer: Rc4Signer::new(key),
            sequence_key: Zeroizing::new(hmac_md5(key.as_bytes(), &[&[0; 4]])),
            message_key: Zeroizing::new(hmac_md5(&local, &[&[0; 4]])),
            ours: Way {
                sender: role,
                sequence: low(ours),
            },
            theirs: Way {
                sender: role.other(),
                sequence: low(theirs),
            },
        }
    }

    pub(super) fn seal(&mut self, confounder: [u8; 16], data: &mut Vec<u8>) -> Vec<u8> {
        let [mut confounder, _] = halves(confounder);
        data.push(PADDING);
        let checksum = self.checksum(WRAP_SALT, &[&WRAP, &confounder, data]);
        let mut number = self.ours.number();
        self.apply_to_message(&number, &mut [&mut confounder, data]);
        self.apply_to_number(&checksum, &mut number);
        self.ours.advance();
        frame(&[&WRAP, &number, &checksum, &confounder], data.len())
    }

    pub(super) fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<usize, Error> {
        let token = unframe(token, data.len()).ok_or(Error::Malformed)?;
        let [header, number, checksum, confounder] = token.as_chunks::<8>().0 else {
            return Err(Error::Malformed);
        };
        if *header != WRAP || token.len() != 32 {
            return Err(Error::Malformed);
        }
        let number = self.expect(*number, checksum)?;
        let mut confounder = *confounder;
        self.apply_to_message(&number, &mut [&mut confounder, data]);
        let ours = self.checksum(WRAP_SALT, &[&WRAP, &confounder, data]);
        let same: bool = ours.ct_eq(checksum).into();
        if !same {
            return Err(Error::Signature);
        }
        self.theirs.advance();
        match data.split_last() {
            Some((&PADDING, plain)) => Ok(plain.len()),
            _ => Err(Error::Padding),
        }
    }

    pub(super) fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        let checksum = self.checksum(MIC_SALT, &[&MIC, message]);
        let mut number = self.ours.number();
        self.apply_to_number(&checksum, &mut number);
        self.ours.advance();
        frame(&[&MIC, &number, &checksum], 0)
    }

    pub(super) fn verify(&mut self, token: &[u8], message: &[u8]) -> Result<(), Error> {
        let token = unframe(token, 0).ok_or(Error::Malformed)?;
        let [header, number, checksum] = token.as_chunks::<8>().0 else {
            return Err(Error::Malformed);
        };
        if *header != MIC || token.len() != 24 {
            return Err(Error::Malformed);
        }
        self.expect(*number, checksum)?;
        let ours = self.checksum(MIC_SALT, &[&MIC, message]);
        self.theirs.advance();
        let same: bool = ours.ct_eq(checksum).into();
        same.then_some(()).ok_or(Error::Signature)
    }

    /// Decrypts the sequence number of a message and compares it with the expected one.
    fn expect(&self, mut number: [u8; 8], checksum: &[u8; 8]) -> Result<[u8; 8], Error> {
        self.apply_to_number(checksum, &mut number);
        let [a, b, c, d, sender @ ..] = number;
        let sent_by = |role| sender == [direction(role); 4];
        if !sent_by(self.theirs.sender) {
            return Err(if sent_by(self.ours.sender) {
                Error::Reflected
            } else {
                Error::Signature
            });
        }
        let (expected, found) = (self.theirs.sequence, u32::from_be_bytes([a, b, c, d]));
        if found == expected {
            Ok(number)
        } else {
            Err(Error::Sequence {
                expected: expected.into(),
                found: found.into(),
            })
        }
    }

    /// SGN_CKSUM: the first half of the checksum.
    fn checksum(&self, salt: u32, parts: &[&[u8]]) -> [u8; 8] {
        let [checksum, _] = halves(self.signer.sign(salt, parts));
        checksum
    }

    fn apply_to_number(&self, checksum: &[u8; 8], number: &mut [u8; 8]) {
        let key = Zeroizing::new(hmac_md5(self.sequence_key.as_slice(), &[checksum]));
        apply_rc4(&key, &mut [number]);
    }

    fn apply_to_message(&self, number: &[u8; 8], parts: &mut [&mut [u8]]) {
        let [number, _] = quarters(*number);
        let key = Zeroizing::new(hmac_md5(self.message_key.as_slice(), &[&number]));
        apply_rc4(&key, parts);
    }
}

fn halves(bytes: [u8; 16]) -> [[u8; 8]; 2] {
    let [a, b, c, d, e, f, g, h, rest @ ..] = bytes;
    [[a, b, c, d, e, f, g, h], rest]
}

fn quarters(bytes: [u8; 8]) -> [[u8; 4]; 2] {
    let [a, b, c, d, rest @ ..] = bytes;
    [[a, b, c, d], rest]
}

/// Frames the parts (RFC 2743 3.1). The length includes that of the data, which follows
/// elsewhere.
fn frame(parts: &[&[u8]], data: usize) -> Vec<u8> {
    let inner = parts.concat();
    let size = MECHANISM.len() + inner.len() + data;
    let mut out = vec![0x60];
    let bytes = size.to_be_bytes();
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    let significant = bytes.get(zeros..).unwrap_or_default();
    if size >= 0x80 {
        let count = u8::try_from(significant.len()).unwrap_or_default();
        out.push(0x80 | count);
    }
    out.extend_from_slice(significant);
    out.extend_from_slice(&MECHANISM);
    out.extend_from_slice(&inner);
    out
}

/// The content of a frame that ends with the data.
fn unframe(token: &[u8], data: usize) -> Option<&[u8]> {
    let (&[tag, first], rest) = token.split_first_chunk()?;
    let count = match first {
        0..=0x7f => 0,
        0x81..=0x84 => usize::from(first & 0x7f),
        _ => return None,
    };
    let (bytes, rest) = rest.split_at_checked(count)?;
    let long = bytes
        .iter()
        .fold(0, |size, byte| size << 8 | usize::from(*byte));
    let size = if count == 0 { usize::from(first) } else { long };
    let right = tag == 0x60 && size == rest.len() + data;
    rest.strip_prefix(&MECHANISM).filter(|_| right)
}
