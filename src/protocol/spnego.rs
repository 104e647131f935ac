//! SPNEGO (RFC 4178, MS-SPNG): selects a mechanism, carries its tokens, and protects that
//! selection.
//!
//! The structure is fixed, so its elements are read one after the other; nothing recurses.
//!
//! ```
//! use wecrelay::protocol::spnego::{Mechanism, NegTokenInit, Negotiation, Token};
//!
//! let offer = NegTokenInit::new(vec![Mechanism::Kerberos, Mechanism::Ntlm], b"AP-REQ");
//! let Token::Init(init) = Token::parse(&offer.emit())? else { unreachable!() };
//! let (negotiation, token) = Negotiation::start(init, &[Mechanism::Ntlm])?;
//! assert_eq!(negotiation.mechanism(), &Mechanism::Ntlm);
//! assert_eq!(token, None, "the token was for Kerberos");
//! # Ok::<(), wecrelay::protocol::spnego::Error>(())
//! ```

mod der;

use std::fmt;

use self::der::{Der, OCTETS};
use crate::base::wire::der::element as der;

/// Maximum size of a token in bytes: the largest Kerberos ticket of Windows has 48,000
/// (MaxTokenSize).
pub const MAX_TOKEN: usize = 64 * 1024;

/// Maximum number of mechanisms in one list; Windows offers four.
pub const MAX_MECHANISMS: usize = 16;

const OID_SPNEGO: &[u8] = b"\x2b\x06\x01\x05\x05\x02";
const OID_NTLM: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x0a";
const OID_NEGOEX: &[u8] = b"\x2b\x06\x01\x04\x01\x82\x37\x02\x02\x1e";
const OID_KERBEROS: &[u8] = b"\x2a\x86\x48\x86\xf7\x12\x01\x02\x02";
const OID_KERBEROS_MICROSOFT: &[u8] = b"\x2a\x86\x48\x82\xf7\x12\x01\x02\x02";

// Tags of the elements.
const OID: u8 = 0x06;
const ENUMERATED: u8 = 0x0a;
const SEQUENCE: u8 = 0x30;
const GSS_FRAME: u8 = 0x60;
const INIT: u8 = 0xa0;
const RESP: u8 = 0xa1;

/// Why a negotiation failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// Longer than [`MAX_TOKEN`].
    TooLong {
        /// Size in bytes.
        length: usize,
    },
    /// An element extends beyond the token, or its length is indefinite.
    Truncated {
        /// Offset of the element in bytes.
        offset: usize,
    },
    /// An element with another tag than required.
    Tag {
        /// The required tag.
        expected: u8,
        /// Offset of the element in bytes.
        offset: usize,
    },
    /// A negState that RFC 4178 does not define.
    State {
        /// Offset of the element in bytes.
        offset: usize,
    },
    /// A GSS token of another mechanism than SPNEGO.
    Frame(Mechanism),
    /// More than [`MAX_MECHANISMS`].
    TooManyMechanisms,
    /// The list contains no supported mechanism.
    NoCommonMechanism {
        /// The mechanisms that the client offered.
        offered: Vec<Mechanism>,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TooLong { length } => {
                write!(f, "SPNEGO token of {length} bytes, {MAX_TOKEN} are allowed")
            }
            Self::Truncated { offset } => write!(f, "SPNEGO element at {offset} is truncated"),
            Self::Tag { expected, offset } => {
                write!(f, "SPNEGO element at {offset} is not {expected:#04x}")
            }
            Self::State { offset } => write!(f, "SPNEGO state at {offset} is unknown"),
            Self::Frame(mechanism) => write!(f, "token of {mechanism} instead of SPNEGO"),
            Self::TooManyMechanisms => write!(f, "over {MAX_MECHANISMS} SPNEGO mechanisms"),
            Self::NoCommonMechanism { offered } => {
                f.write_str("no common mechanism, the host offers")?;
                offered.iter().try_for_each(|name| write!(f, " {name}"))
            }
        }
    }
}

impl std::error::Error for Error {}

/// An authentication mechanism inside SPNEGO.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// NTLM.
    Ntlm,
    /// Kerberos 5.
    Kerberos,
    /// Kerberos 5 under the OID that Windows 2000 introduced by mistake,
    /// 1.2.840.48018.1.2.2.
    KerberosMicrosoft,
    /// Microsoft's extended negotiation (MS-NEGOEX), which is not supported.
    Negoex,
    /// Any other, as the content of its object identifier.
    Other(Vec<u8>),
}

impl Mechanism {
    fn from_oid(oid: &[u8]) -> Self {
        match oid {
            OID_NTLM => Self::Ntlm,
            OID_KERBEROS => Self::Kerberos,
            OID_KERBEROS_MICROSOFT => Self::KerberosMicrosoft,
            OID_NEGOEX => Self::Negoex,
            _ => Self::Other(oid.to_vec()),
        }
    }

    fn oid(&self) -> &[u8] {
        match self {
            Self::Ntlm => OID_NTLM,
            Self::Kerberos => OID_KERBEROS,
            Self::KerberosMicrosoft => OID_KERBEROS_MICROSOFT,
            Self::Negoex => OID_NEGOEX,
            Self::Other(oid) => oid,
        }
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ntlm => "NTLM",
            Self::Kerberos => "Kerberos",
            Self::KerberosMicrosoft => "Kerberos (Microsoft)",
            Self::Negoex => "NEGOEX",
            Self::Other(_) => "unknown",
        })
    }
}

/// State of a negotiation (RFC 4178 4.2.2).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NegState {
    /// The context is established.
    AcceptCompleted,
    /// More tokens are needed.
    AcceptIncomplete,
    /// The context was rejected.
    Reject,
    /// More tokens are needed, and the list of mechanisms must be signed.
    RequestMic,
}

impl NegState {
    fn from_code(code: &[u8]) -> Option<Self> {
        match code {
            [0] => Some(Self::AcceptCompleted),
            [1] => Some(Self::AcceptIncomplete),
            [2] => Some(Self::Reject),
            [3] => Some(Self::RequestMic),
            _ => None,
        }
    }

    fn code(self) -> u8 {
        match self {
            Self::AcceptCompleted => 0,
            Self::AcceptIncomplete => 1,
            Self::Reject => 2,
            Self::RequestMic => 3,
        }
    }
}

/// Either form of a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Token {
    /// The client's first token.
    Init(NegTokenInit),
    /// Any later token.
    Resp(NegTokenResp),
}

impl Token {
    /// Parses a token with its GSS frame, or a NegTokenResp without one.
    pub fn parse(token: &[u8]) -> Result<Self, Error> {
        if token.len() > MAX_TOKEN {
            let length = token.len();
            return Err(Error::TooLong { length });
        }
        let mut reader = Der::new(token);
        if let Some(mut resp) = reader.optional(RESP)? {
            return NegTokenResp::parse(resp.element(SEQUENCE)?).map(Self::Resp);
        }
        let mut frame = reader.element(GSS_FRAME)?;
        let mechanism = frame.element(OID)?.data;
        if mechanism != OID_SPNEGO {
            return Err(Error::Frame(Mechanism::from_oid(mechanism)));
        }
        let mut init = frame.element(INIT)?;
        NegTokenInit::parse(init.element(SEQUENCE)?).map(Self::Init)
    }
}

/// The client's offer (RFC 4178 4.2.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NegTokenInit {
    /// The client's mechanisms, most preferred first.
    pub mechanisms: Vec<Mechanism>,
    /// The same in DER, byte for byte, because the signature covers it.
    pub list: Vec<u8>,
    /// The first token of the first mechanism, sent optimistically.
    pub token: Option<Vec<u8>>,
    /// Signature over the list, if the mechanism can sign this early.
    pub mic: Option<Vec<u8>>,
}

impl NegTokenInit {
    /// An offer with a token for its first mechanism.
    #[must_use]
    pub fn new(mechanisms: Vec<Mechanism>, token: &[u8]) -> Self {
        let oids = mechanisms.iter().map(|mechanism| der(OID, mechanism.oid()));
        Self {
            list: der(SEQUENCE, &oids.collect::<Vec<_>>().concat()),
            mechanisms,
            token: Some(token.to_vec()),
            mic: None,
        }
    }

    /// Encodes the token with its GSS frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut fields = der(0xa0, &self.list);
        if let Some(token) = &self.token {
            fields.extend(der(0xa2, &der(OCTETS, token)));
        }
        if let Some(mic) = &self.mic {
            fields.extend(der(0xa3, &der(OCTETS, mic)));
        }
        let init = der(INIT, &der(SEQUENCE, &fields));
        der(GSS_FRAME, &[der(OID, OID_SPNEGO), init].concat())
    }

    fn parse(mut fields: Der<'_>) -> Result<Self, Error> {
        let list = fields.element(0xa0)?.data;
        let mut mechanisms = Vec::new();
        let mut oids = Der::new(list).element(SEQUENCE)?;
        while !oids.data.is_empty() {
            if mechanisms.len() == MAX_MECHANISMS {
                return Err(Error::TooManyMechanisms);
            }
            mechanisms.push(Mechanism::from_oid(oids.element(OID)?.data));
        }
        fields.optional(0xa1)?;
        Ok(Self {
            mechanisms,
            list: list.to_vec(),
            token: fields.optional_octets(0xa2)?,
            // Microsoft's negHints may be here as well (MS-SPNG 2.2.1); they are not an
            // OCTET STRING.
            mic: fields.optional_octets(0xa3)?,
        })
    }
}

/// A response of either side (RFC 4178 4.2.2).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NegTokenResp {
    /// Where the negotiation stands.
    pub state: Option<NegState>,
    /// The selected mechanism; only in the collector's first response.
    pub mechanism: Option<Mechanism>,
    /// Token of the chosen mechanism.
    pub token: Option<Vec<u8>>,
    /// Signature over the offered list.
    pub mic: Option<Vec<u8>>,
}

impl NegTokenResp {
    /// Encodes the token, without a GSS frame.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let state = self.state.map(|state| der(ENUMERATED, &[state.code()]));
        let mechanism = self.mechanism.as_ref();
        let fields = [
            state.map(|state| der(0xa0, &state)),
            mechanism.map(|mechanism| der(0xa1, &der(OID, mechanism.oid()))),
            self.token
                .as_ref()
                .map(|token| der(0xa2, &der(OCTETS, token))),
            self.mic.as_ref().map(|mic| der(0xa3, &der(OCTETS, mic))),
        ];
        let fields: Vec<u8> = fields.into_iter().flatten().flatten().collect();
        der(RESP, &der(SEQUENCE, &fields))
    }

    fn parse(mut fields: Der<'_>) -> Result<Self, Error> {
        let mut resp = Self::default();
        if let Some(mut state) = fields.optional(0xa0)? {
            let offset = state.at;
            let state = NegState::from_code(state.element(ENUMERATED)?.data);
            resp.state = Some(state.ok_or(Error::State { offset })?);
        }
        if let Some(mut mechanism) = fields.optional(0xa1)? {
            let oid = mechanism.element(OID)?.data;
            resp.mechanism = Some(Mechanism::from_oid(oid));
        }
        resp.token = fields.optional_octets(0xa2)?;
        resp.mic = fields.optional_octets(0xa3)?;
        Ok(resp)
    }
}

/// The collector's side: selects a mechanism and wraps its tokens.
#[derive(Clone, Debug)]
pub struct Negotiation {
    mechanism: Mechanism,
    list: Vec<u8>,
    mic_required: bool,
    // Whether the first response has been sent.
    announced: bool,
}

impl Negotiation {
    /// Selects the first supported mechanism of the client's list. Also returns its token,
    /// unless that was for another mechanism.
    pub fn start(
        init: NegTokenInit,
        supported: &[Mechanism],
    ) -> Result<(Self, Option<Vec<u8>>), Error> {
        let chosen = init.mechanisms.iter().position(|m| supported.contains(m));
        let mechanism = chosen.and_then(|at| init.mechanisms.get(at)).cloned();
        let Some(mechanism) = mechanism else {
            let offered = init.mechanisms;
            return Err(Error::NoCommonMechanism { offered });
        };
        let preferred = chosen == Some(0);
        let negotiation = Self {
            mechanism,
            list: init.list,
            mic_required: !preferred,
            announced: false,
        };
        Ok((negotiation, init.token.filter(|_| preferred)))
    }

    /// The selected mechanism.
    #[must_use]
    pub fn mechanism(&self) -> &Mechanism {
        &self.mechanism
    }

    /// The offered list in DER, which both sides sign.
    #[must_use]
    pub fn list(&self) -> &[u8] {
        &self.list
    }

    /// Whether the client must sign the list: it preferred another mechanism, so an
    /// attacker could have removed a stronger one (RFC 4178 5).
    #[must_use]
    pub fn mic_required(&self) -> bool {
        self.mic_required
    }

    /// Wraps a token that the client must answer; `None` asks for its first one.
    pub fn challenge(&mut self, token: Option<Vec<u8>>) -> Vec<u8> {
        self.answer(NegState::AcceptIncomplete, token, None)
    }

    /// The last response, with our signature over the list if the client has sent its own.
    #[must_use]
    pub fn accept(&self, mic: Option<Vec<u8>>) -> Vec<u8> {
        let answer = NegTokenResp {
            state: Some(NegState::AcceptCompleted),
            mechanism: None,
            token: None,
            mic,
        };
        answer.emit()
    }

    /// Any response. The first one names the mechanism and asks for the client's signature
    /// if that is required.
    pub fn answer(
        &mut self,
        state: NegState,
        token: Option<Vec<u8>>,
        mic: Option<Vec<u8>>,
    ) -> Vec<u8> {
        let first = !std::mem::replace(&mut self.announced, true);
        let asks = first && self.mic_required && state == NegState::AcceptIncomplete;
        let answer = NegTokenResp {
            state: Some(if asks { NegState::RequestMic } else { state }),
            mechanism: first.then(|| self.mechanism.clone()),
            token,
            mic,
        };
        answer.emit()
    }
}

#[cfg(test)]
mod tests;
