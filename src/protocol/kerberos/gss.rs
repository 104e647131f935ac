//! The GSS-API frame around messages (RFC 2743 3.1, RFC 4121 4.1), and the authenticator's
//! checksum that conveys GSS-API's wishes (RFC 4121 4.1.1).

use der::asn1::AnyRef;
use der::{Decode, Reader, SliceReader, Tag, Tagged};

use super::Error;
use crate::base::wire::der::element;

/// Content of the object identifier of Kerberos, 1.2.840.113554.1.2.2.
const OID: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
/// Microsoft's variant, 1.2.840.48018.1.2.2.
const OID_MICROSOFT: &[u8] = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";

const FRAME: u8 = 0x60;
const TAG_OID: u8 = 0x06;
/// `[APPLICATION 14]`: an AP-REQ without a frame.
const AP_REQ: u8 = 0x6e;

/// The type of a framed message (TOK_ID, RFC 4121 4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    ApReq,
    ApRep,
    Error,
}

impl Kind {
    const fn token_id(self) -> [u8; 2] {
        match self {
            Self::ApReq => [1, 0],
            Self::ApRep => [2, 0],
            Self::Error => [3, 0],
        }
    }
}

/// How a host frames its messages; the answer uses the same form.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    /// In a GSS frame with this object identifier.
    Framed(&'static [u8]),
    /// Without a frame.
    Bare,
}

impl Framing {
    /// Removes the frame from an AP-REQ.
    pub(super) fn split(token: &[u8]) -> Result<(Self, &[u8]), Error> {
        if token.first() == Some(&AP_REQ) {
            return Ok((Self::Bare, token));
        }
        let (oid, inner) = mechanism(token).ok_or(Error::Frame)?;
        let request = inner.strip_prefix(&Kind::ApReq.token_id());
        Ok((Self::Framed(oid), request.ok_or(Error::Frame)?))
    }

    /// Frames our message in the same way.
    pub(super) fn wrap(self, kind: Kind, message: &[u8]) -> Vec<u8> {
        let Self::Framed(oid) = self else {
            return message.to_vec();
        };
        let mut inner = element(TAG_OID, oid);
        inner.extend(kind.token_id());
        inner.extend(message);
        element(FRAME, &inner)
    }
}

/// Whether a token is a Kerberos message, framed or not, rather than SPNEGO or NTLM.
#[must_use]
pub fn is_token(token: &[u8]) -> bool {
    token.first() == Some(&AP_REQ) || mechanism(token).is_some()
}

/// The mechanism and content of a Kerberos frame. Its length must match; the indefinite
/// form is not accepted.
fn mechanism(token: &[u8]) -> Option<(&'static [u8], &[u8])> {
    if token.first() != Some(&FRAME) {
        return None;
    }
    let inner = AnyRef::from_der(token).ok()?.value();
    // What follows the identifier is not DER.
    let mut reader = SliceReader::new(inner).ok()?;
    let oid = AnyRef::decode(&mut reader).ok()?;
    let rest = inner.get(usize::try_from(reader.position()).ok()?..)?;
    let is_it = |known: &&[u8]| oid.tag() == Tag::ObjectIdentifier && *known == oid.value();
    let known = [OID, OID_MICROSOFT].into_iter().find(is_it)?;
    Some((known, rest))
}

/// Bits of the context flags (RFC 4121 4.1.1.1).
pub(super) mod flags {
    pub(in super::super) const MUTUAL: u32 = 2;
    pub(in super::super) const CONFIDENTIALITY: u32 = 0x10;
    pub(in super::super) const INTEGRITY: u32 = 0x20;
    /// The client expects a third message, as in DCE RPC.
    pub(in super::super) const DCE_STYLE: u32 = 0x1000;
}

/// Checksum type of the GSS-API checksum, which is not cryptographic (RFC 4121 4.1.1).
pub(super) const CHECKSUM: i64 = 0x8003;

/// Channel bindings (MD5) and context flags. Delegated credentials may follow and are
/// ignored.
pub(super) struct Wishes {
    pub(super) bindings: [u8; 16],
    pub(super) flags: u32,
}

impl Wishes {
    pub(super) fn parse(checksum: &[u8]) -> Option<Self> {
        let (length, rest) = checksum.split_first_chunk()?;
        let (bindings, rest) = rest.split_first_chunk()?;
        let (flags, _) = rest.split_first_chunk()?;
        (*length == 16_u32.to_le_bytes()).then_some(Self {
            bindings: *bindings,
            flags: u32::from_le_bytes(*flags),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_off_and_goes_on_again() {
        for oid in [OID, OID_MICROSOFT] {
            for size in [0, 100, 200, 70_000] {
                let framing = Framing::Framed(oid);
                let message = vec![7; size];
                let token = framing.wrap(Kind::ApReq, &message);
                assert!(is_token(&token));
                assert_eq!(Framing::split(&token), Ok((framing, &message[..])));
                for cut in 0..token.len().min(40) {
                    assert_eq!(Framing::split(&token[..cut]), Err(Error::Frame));
                }
            }
        }
    }

    #[test]
    fn a_bare_message_stays_bare() {
        let (framing, inner) = Framing::split(b"\x6e\x01\x02").unwrap();
        assert_eq!((framing, inner), (Framing::Bare, &b"\x6e\x01\x02"[..]));
        assert_eq!(framing.wrap(Kind::ApRep, b"x"), b"x");
    }

    #[test]
    fn other_mechanisms_and_kinds_are_refused() {
        assert!(!is_token(b"\x60\x08\x06\x06\x2b\x06\x01\x05\x05\x02"));
        let answer = Framing::Framed(OID).wrap(Kind::Error, b"x");
        assert_eq!(Framing::split(&answer), Err(Error::Frame));
    }
}
