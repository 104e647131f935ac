//! Wrap and MIC tokens of the AES enctypes (RFC 4121 4.2.6).

use subtle::ConstantTimeEq;

use super::{Error, Role};
use crate::protocol::kerberos::crypto::{AesCipher, Key, Pieces, Signer, usage};

/// Size of a token's header in bytes.
const HEADER: usize = 16;
/// TOK_ID of a Wrap token.
const WRAP: [u8; 2] = [5, 4];
/// TOK_ID of a MIC token.
const MIC: [u8; 2] = [4, 4];
/// Flag: sent by the acceptor (RFC 4121 4.2.2).
const BY_ACCEPTOR: u8 = 1;
/// Flag: sealed, not only signed.
const SEALED: u8 = 2;
/// Flag: protected by the acceptor's subkey.
const ACCEPTOR_SUBKEY: u8 = 4;

/// Keys and sequence numbers of both directions.
pub(super) struct AesSession {
    ours: Way,
    theirs: Way,
}

/// Keys and sequence number of one direction.
struct Way {
    cipher: AesCipher,
    signer: Signer,
    /// Sequence number of the next message.
    sequence: u64,
    /// Flags of all messages in this direction, without [`SEALED`].
    flags: u8,
}

impl Way {
    fn new(sender: Role, key: &Key, subkey: bool, sequence: u64) -> Self {
        let (seal, sign, by) = match sender {
            Role::Acceptor => (usage::ACCEPTOR_SEAL, usage::ACCEPTOR_SIGN, BY_ACCEPTOR),
            Role::Initiator => (usage::INITIATOR_SEAL, usage::INITIATOR_SIGN, 0),
        };
        Self {
            cipher: AesCipher::new(key, seal),
            signer: Signer::new(key, sign),
            sequence,
            flags: if subkey { by | ACCEPTOR_SUBKEY } else { by },
        }
    }

    /// The right rotation that moves everything but confounder and data to the front, as
    /// Windows does it.
    fn rotation(&self) -> u16 {
        u16::try_from(HEADER + self.cipher.checksum_len()).unwrap_or(u16::MAX)
    }

    /// Checks everything in a header that can be checked before decryption.
    fn expect(&self, flags: u8, sequence: u64) -> Result<(), Error> {
        let wrong = flags ^ self.flags;
        if wrong & BY_ACCEPTOR != 0 {
            return Err(Error::Reflected);
        }
        if wrong & ACCEPTOR_SUBKEY != 0 {
            return Err(Error::OtherKey);
        }
        let (expected, found) = (self.sequence, sequence);
        if found == expected {
            Ok(())
        } else {
            Err(Error::Sequence { expected, found })
        }
    }

    fn advance(&mut self) {
        self.sequence = self.sequence.wrapping_add(1);
    }
}

/// The header of a Wrap token (RFC 4121 4.2.6.2).
#[derive(Clone, Copy, PartialEq, Eq)]
struct Header {
    flags: u8,
    /// EC: number of filler bytes after the plaintext.
    extra: u16,
    /// RRC: by how many bytes everything after the header is rotated right.
    rotation: u16,
    sequence: u64,
}

impl Header {
    fn parse(bytes: [u8; HEADER]) -> Option<Self> {
        let [a, b, flags, 0xff, ec0, ec1, rrc0, rrc1, sequence @ ..] = bytes else {
            return None;
        };
        ([a, b] == WRAP).then_some(Self {
            flags,
            extra: u16::from_be_bytes([ec0, ec1]),
            rotation: u16::from_be_bytes([rrc0, rrc1]),
            sequence: u64::from_be_bytes(sequence),
        })
    }

    fn bytes(self) -> [u8; HEADER] {
        let [ec0, ec1] = self.extra.to_be_bytes();
        let [rrc0, rrc1] = self.rotation.to_be_bytes();
        let ([a, b], [s0, s1, s2, s3, s4, s5, s6, s7]) = (WRAP, self.sequence.to_be_bytes());
        [
            a, b, self.flags, 0xff, ec0, ec1, rrc0, rrc1, s0, s1, s2, s3, s4, s5, s6, s7,
        ]
    }

    /// The copy of the header that is encrypted after the plaintext; its RRC is 0.
    fn copy(self) -> [u8; HEADER] {
        let rotation = 0;
        Self { rotation, ..self }.bytes()
    }
}

impl AesSession {
    pub(super) fn new(role: Role, key: &Key, subkey: bool, ours: u64, theirs: u64) -> Self {
        Self {
            ours: Way::new(role, key, subkey, ours),
            theirs: Way::new(role.other(), key, subkey, theirs),
        }
    }

    pub(super) fn seal(&mut self, mut confounder: [u8; 16], data: &mut [u8]) -> Vec<u8> {
        let header = Header {
            flags: self.ours.flags | SEALED,
            extra: 0,
            rotation: self.ours.rotation(),
            sequence: self.ours.sequence,
        };
        let mut last = header.copy();
        let checksum = self.ours.cipher.seal(&mut Pieces {
            first: &mut confounder,
            middle: data,
            last: &mut last,
        });
        self.ours.advance();
        [&header.bytes(), &last, &*checksum, &confounder].concat()
    }

    pub(super) fn unseal(&mut self, token: &[u8], data: &mut [u8]) -> Result<usize, Error> {
        let (header, sealed) = token.split_first_chunk().ok_or(Error::Malformed)?;
        let header = Header::parse(*header).ok_or(Error::Malformed)?;
        self.theirs.expect(header.flags, header.sequence)?;
        if header.flags & SEALED == 0 {
            return Err(Error::NotSealed);
        }
        let usual = (header.extra, header.rotation) == (0, self.theirs.rotation());
        let size = match Pieced::split(sealed, self.theirs.cipher.checksum_len()) {
            Some(pieced) if usual => self.unseal_in_place(header, pieced, data),
            _ => self.unseal_joined(header, sealed, data),
        };
        self.theirs.advance();
        size
    }

    /// Unseals the form that Windows sends, in which `data` has exactly the size of the
    /// plaintext and can be decrypted in place.
    fn unseal_in_place(
        &self,
        header: Header,
        pieced: Pieced<'_>,
        data: &mut [u8],
    ) -> Result<usize, Error> {
        let (mut first, mut last) = (pieced.first, pieced.last);
        let mut pieces = Pieces {
            first: &mut first,
            middle: data,
            last: &mut last,
        };
        let opened = self.theirs.cipher.open(&mut pieces, pieced.checksum);
        opened.map_err(Error::Ciphertext)?;
        if last == header.copy() {
            Ok(data.len())
        } else {
            Err(Error::Header)
        }
    }

    /// Unseals any other split, rotation, and filler. Needs a copy.
    fn unseal_joined(
        &self,
        header: Header,
        sealed: &[u8],
        data: &mut [u8],
    ) -> Result<usize, Error> {
        let mut whole = [sealed, data].concat();
        if let Some(by) = usize::from(header.rotation).checked_rem(whole.len()) {
            whole.rotate_left(by);
        }
        let plain = self.theirs.cipher.decrypt(&whole);
        let plain = plain.map_err(Error::Ciphertext)?;
        let (plain, copy) = plain.split_last_chunk().ok_or(Error::Header)?;
        if *copy != header.copy() {
            return Err(Error::Header);
        }
        let size = plain.len().checked_sub(usize::from(header.extra));
        let plain = size
            .and_then(|size| plain.get(..size))
            .ok_or(Error::Padding)?;
        let place = data.get_mut(..plain.len()).ok_or(Error::Padding)?;
        place.copy_from_slice(plain);
        Ok(plain.len())
    }

    pub(super) fn sign(&mut self, message: &[u8]) -> Vec<u8> {
        let header = mic_header(self.ours.flags, self.ours.sequence);
        let signature = self.ours.signer.sign(&[message, &header]);
        self.ours.advance();
        [&header, &*signature].concat()
    }

    pub(super) fn verify(&mut self, token: &[u8], message: &[u8]) -> Result<(), Error> {
        let (header, signature) = token
            .split_first_chunk::<HEADER>()
            .ok_or(Error::Malformed)?;
        let [a, b, flags, 0xff, 0xff, 0xff, 0xff, 0xff, sequence @ ..] = *header else {
            return Err(Error::Malformed);
        };
        if [a, b] != MIC {
            return Err(Error::Malformed);
        }
        self.theirs.expect(flags, u64::from_be_bytes(sequence))?;
        let ours = self.theirs.signer.sign(&[message, header]);
        self.theirs.advance();
        let same: bool = ours.ct_eq(signature).into();
        same.then_some(()).ok_or(Error::Signature)
    }
}

/// The header of a MIC token (RFC 4121 4.2.6.1).
fn mic_header(flags: u8, sequence: u64) -> [u8; HEADER] {
    let ([a, b], [s0, s1, s2, s3, s4, s5, s6, s7]) = (MIC, sequence.to_be_bytes());
    [
        a, b, flags, 0xff, 0xff, 0xff, 0xff, 0xff, s0, s1, s2, s3, s4, s5, s6, s7,
    ]
}

/// The content of a security token after its header, as Windows arranges it.
#[derive(Clone, Copy)]
struct Pieced<'a> {
    /// The last block of the ciphertext, a copy of the header.
    last: [u8; HEADER],
    checksum: &'a [u8],
    /// The first block of the ciphertext, the confounder.
    first: [u8; 16],
}

impl<'a> Pieced<'a> {
    fn split(sealed: &'a [u8], checksum_len: usize) -> Option<Self> {
        let (last, rest) = sealed.split_first_chunk()?;
        let (checksum, first) = rest.split_at_checked(checksum_len)?;
        Some(Self {
            last: *last,
            checksum,
            first: first.try_into().ok()?,
        })
    }
}
