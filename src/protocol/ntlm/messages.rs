//! The three NTLM messages (MS-NLMP 2.2.1): `parse` and `emit`.
//!
//! ```
//! use wecrelay::protocol::ntlm::messages::Negotiate;
//! assert!(Negotiate::parse(b"NTLMSSP\0\x01\0\0\0\x01\0\0\0").is_ok());
//! assert!(Negotiate::parse(b"NTLMSSP\0\x03\0\0\0\x01\0\0\0").is_err());
//! ```

use crate::base::clock::FileTime;
use crate::base::wire::{self, Reader, Truncated};
use crate::protocol::ntlm::layout::{Field, Payload, SIGNATURE, lowest_offset, open, start};

pub use crate::protocol::ntlm::av_pairs::{AV_MIC_PRESENT, AvPair, AvPairs};
pub use crate::protocol::ntlm::flags::Flags;
pub use crate::protocol::ntlm::layout::{MAX_AV_PAIRS, MAX_MESSAGE, MAX_NAME, ParseError};

/// The type (1, 2, 3) of an NTLM message; `None` if it is not one.
#[must_use]
pub fn message_type(message: &[u8]) -> Option<u32> {
    let mut reader = Reader::new(message.strip_prefix(SIGNATURE)?);
    reader.u32().ok()
}

/// The Windows version of the sender, for debugging only (MS-NLMP 2.2.2.10).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// Major version of Windows, such as 10.
    pub major: u8,
    /// Minor version of Windows.
    pub minor: u8,
    /// Build of Windows, such as 20348.
    pub build: u16,
    /// Revision of NTLMSSP, 15 since Windows Server 2003.
    pub revision: u8,
}

impl Version {
    /// Windows 10 1903, as in the captured handshake.
    pub const WINDOWS_10: Self = Self {
        major: 10,
        minor: 0,
        build: 18362,
        revision: 15,
    };

    fn parse(reader: &mut Reader<'_>) -> Result<Self, Truncated> {
        let (major, minor, build) = (reader.u8()?, reader.u8()?, reader.u16()?);
        let [_, _, _, revision] = reader.array()?;
        Ok(Self {
            major,
            minor,
            build,
            revision,
        })
    }

    fn emit(self) -> [u8; 8] {
        let [low, high] = self.build.to_le_bytes();
        [self.major, self.minor, low, high, 0, 0, 0, self.revision]
    }
}

/// The client's first message (MS-NLMP 2.2.1.1).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Negotiate {
    /// Flags that the client supports.
    pub flags: Flags,
    /// Domain in an unknown code page; empty unless [`Flags::OEM_DOMAIN_SUPPLIED`] is set.
    pub domain: Vec<u8>,
    /// Workstation in an unknown code page; empty unless
    /// [`Flags::OEM_WORKSTATION_SUPPLIED`] is set.
    pub workstation: Vec<u8>,
    /// Version, if its flag is set and the message is long enough.
    pub version: Option<Version>,
}

impl Negotiate {
    /// Parses messages of 16 bytes (flags only), 32 (names), 40 (version), and more.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let mut reader = open(message, 1)?;
        let flags = Flags::from_bits(reader.u32()?);
        let mut names = [Field::default(); 2];
        if !reader.rest().is_empty() {
            names = [
                Field::parse(&mut reader, "DomainName")?,
                Field::parse(&mut reader, "Workstation")?,
            ];
        }
        let [domain, workstation] = names;
        // They are not needed, and some clients leave garbage in their fields.
        let named = |flag, field: Field| {
            if flags.contains(flag) {
                field.bytes(message, NEGOTIATE_HEADER).unwrap_or_default()
            } else {
                &[]
            }
        };
        Ok(Self {
            flags,
            domain: named(Flags::OEM_DOMAIN_SUPPLIED, domain).to_vec(),
            workstation: named(Flags::OEM_WORKSTATION_SUPPLIED, workstation).to_vec(),
            version: optional_version(flags, &mut reader),
        })
    }

    /// Encodes the message: 40 bytes and the names.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut payload = Payload::new(40);
        let mut out = start(1);
        out.extend(self.flags.bits().to_le_bytes());
        if self.domain.is_empty() && self.workstation.is_empty() {
            out.extend([0; 16]);
        } else {
            out.extend(payload.push(&self.domain));
            out.extend(payload.push(&self.workstation));
        }
        out.extend(self.version.map_or([0; 8], Version::emit));
        payload.append_to(out)
    }
}

/// The server's message (MS-NLMP 2.2.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// Flags that both sides support.
    pub flags: Flags,
    /// Eight fresh random bytes.
    pub server_challenge: [u8; 8],
    /// NetBIOS name of the server.
    pub target_name: String,
    /// Names and time of the server; empty if they were not sent.
    pub target_info: AvPairs,
    /// Version, if its flag is set and the message is long enough.
    pub version: Option<Version>,
}

impl Challenge {
    /// Parses messages with and without a version field.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let mut reader = open(message, 2)?;
        let target_name = Field::parse(&mut reader, "TargetName")?;
        let flags = Flags::from_bits(reader.u32()?);
        let server_challenge = reader.array()?;
        reader.bytes(8)?;
        let target_info = Field::parse(&mut reader, "TargetInfo")?;
        let lowest = lowest_offset(message, &[target_name, target_info]);
        if lowest < 56 {
            reader = Reader::new(&[]);
        }
        Ok(Self {
            flags,
            server_challenge,
            target_name: target_name.text(message, CHALLENGE_HEADER, flags)?,
            target_info: match target_info.bytes(message, CHALLENGE_HEADER)? {
                [] => AvPairs::default(),
                list => AvPairs::parse(list)?,
            },
            version: optional_version(flags, &mut reader),
        })
    }

    /// Encodes the message in the layout of Windows: 56 bytes, TargetName, TargetInfo.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let mut payload = Payload::new(56);
        let mut out = start(2);
        let target_name = if self.flags.contains(Flags::UNICODE) {
            wire::utf16(&self.target_name)
        } else {
            self.target_name.clone().into_bytes()
        };
        out.extend(payload.push(&target_name));
        out.extend(self.flags.bits().to_le_bytes());
        out.extend(self.server_challenge);
        out.extend([0; 8]);
        let mut info = Vec::new();
        if !self.target_info.0.is_empty() {
            self.target_info.emit(&mut info);
        }
        out.extend(payload.push(&info));
        out.extend(self.version.map_or([0; 8], Version::emit));
        payload.append_to(out)
    }
}

/// The client's proof (MS-NLMP 2.2.1.3).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authenticate {
    /// Flags of the session.
    pub flags: Flags,
    /// `LmChallengeResponse`, unparsed.
    pub lm_response: Vec<u8>,
    /// `NtChallengeResponse` (MS-NLMP 2.2.1.3).
    pub response: NtResponse,
    /// Domain of the account, as the client sent it.
    pub domain: String,
    /// User name; empty in a null session.
    pub user: String,
    /// The client's workstation name, an unverified claim.
    pub workstation: String,
    /// The session key, encrypted with the KeyExchangeKey.
    pub encrypted_session_key: Option<[u8; 16]>,
    /// Version, if its flag is set and the message is long enough.
    pub version: Option<Version>,
    /// MIC over all three messages, if the header has room for one.
    pub mic: Option<[u8; 16]>,
}

/// The proof of the password.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NtResponse {
    /// None: a null session, or an LM response only.
    Absent,
    /// 24 bytes of DES output: NTLMv1, with or without extended session security.
    V1([u8; 24]),
    /// NTLMv2 (MS-NLMP 2.2.2.8).
    V2(V2Response),
}

/// An NTLMv2 response (MS-NLMP 2.2.2.8).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct V2Response {
    /// NTProofStr, the HMAC over server challenge and `temp`.
    pub proof: [u8; 16],
    /// Version, time, client challenge, and attributes, exactly as signed.
    pub temp: Vec<u8>,
    /// The attributes in `temp`.
    pub pairs: AvPairs,
}

/// Offset of the MIC in an AUTHENTICATE message that has one.
pub const MIC_OFFSET: usize = 72;

impl Authenticate {
    /// Parses messages with and without version and MIC; the lowest payload offset
    /// determines the length of the header.
    pub fn parse(message: &[u8]) -> Result<Self, ParseError> {
        let mut reader = open(message, 3)?;
        let lm = Field::parse(&mut reader, "LmChallengeResponse")?;
        let nt = Field::parse(&mut reader, "NtChallengeResponse")?;
        let domain = Field::parse(&mut reader, "DomainName")?;
        let user = Field::parse(&mut reader, "UserName")?;
        let workstation = Field::parse(&mut reader, "Workstation")?;
        let key = Field::parse(&mut reader, "EncryptedRandomSessionKey")?;
        let flags = Flags::from_bits(reader.u32()?);
        let lowest = lowest_offset(message, &[lm, nt, domain, user, workstation, key]);
        let head = message.get(..lowest).unwrap_or_default();
        let version = head.get(64..72).map(Reader::new);
        Ok(Self {
            flags,
            lm_response: lm.bytes(message, AUTHENTICATE_HEADER)?.to_vec(),
            response: NtResponse::parse(nt.bytes(message, AUTHENTICATE_HEADER)?)?,
            domain: domain.text(message, AUTHENTICATE_HEADER, flags)?,
            user: user.text(message, AUTHENTICATE_HEADER, flags)?,
            workstation: workstation.text(message, AUTHENTICATE_HEADER, flags)?,
            encrypted_session_key: session_key(key.bytes(message, AUTHENTICATE_HEADER)?)?,
            version: version.and_then(|mut reader| optional_version(flags, &mut reader)),
            mic: head
                .get(MIC_OFFSET..)
                .and_then(|mic| mic.first_chunk())
                .copied(),
        })
    }

    /// Encodes the message in the field order of Windows: domain, user, workstation,
    /// responses, key.
    #[must_use]
    pub fn emit(&self) -> Vec<u8> {
        let header = match (self.mic, self.version) {
            (Some(_), _) => 88,
            (None, Some(_)) => 72,
            (None, None) => 64,
        };
        let mut payload = Payload::new(header);
        let domain = payload.push(&wire::utf16(&self.domain));
        let user = payload.push(&wire::utf16(&self.user));
        let workstation = payload.push(&wire::utf16(&self.workstation));
        let lm = payload.push(&self.lm_response);
        let nt = payload.push(&self.response.emit());
        let key = payload.push(self.encrypted_session_key.as_ref().map_or(&[], |key| key));
        let mut out = start(3);
        out.extend([lm, nt, domain, user, workstation, key].concat());
        out.extend(self.flags.bits().to_le_bytes());
        if header > 64 {
            out.extend(self.version.map_or([0; 8], Version::emit));
        }
        out.extend(self.mic.iter().flatten());
        payload.append_to(out)
    }
}

impl NtResponse {
    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        match bytes.len() {
            0 => return Ok(Self::Absent),
            24 => {}
            _ => return V2Response::parse(bytes).map(Self::V2),
        }
        Ok(bytes.try_into().map_or(Self::Absent, Self::V1))
    }

    fn emit(&self) -> Vec<u8> {
        match self {
            Self::Absent => Vec::new(),
            Self::V1(response) => response.to_vec(),
            Self::V2(response) => [&response.proof, response.temp.as_slice()].concat(),
        }
    }
}

impl V2Response {
    /// Builds `temp` from its parts (MS-NLMP 3.3.2).
    #[must_use]
    pub fn temp(time: FileTime, client_challenge: [u8; 8], pairs: &AvPairs) -> Vec<u8> {
        let mut temp = vec![1, 1, 0, 0, 0, 0, 0, 0];
        temp.extend(time.to_le_bytes());
        temp.extend(client_challenge);
        temp.extend([0; 4]);
        pairs.emit(&mut temp);
        temp.extend([0; 4]);
        temp
    }

    fn parse(bytes: &[u8]) -> Result<Self, ParseError> {
        let wrong = || ParseError::Length {
            name: "NtChallengeResponse",
            length: bytes.len(),
        };
        let (proof, temp) = bytes.split_first_chunk().ok_or_else(wrong)?;
        let (fixed, list) = temp.split_first_chunk::<28>().ok_or_else(wrong)?;
        let [kind, highest, ..] = *fixed;
        if [kind, highest] != [1, 1] {
            return Err(ParseError::ResponseVersion {
                found: [kind, highest],
            });
        }
        Ok(Self {
            proof: *proof,
            temp: temp.to_vec(),
            pairs: AvPairs::parse(list)?,
        })
    }
}

/// Minimum header sizes in bytes, without the optional fields.
const NEGOTIATE_HEADER: u32 = 32;
const CHALLENGE_HEADER: u32 = 48;
const AUTHENTICATE_HEADER: u32 = 64;

fn optional_version(flags: Flags, reader: &mut Reader<'_>) -> Option<Version> {
    flags
        .contains(Flags::VERSION)
        .then(|| Version::parse(reader).ok())?
}

fn session_key(bytes: &[u8]) -> Result<Option<[u8; 16]>, ParseError> {
    match (bytes, bytes.try_into()) {
        ([], _) => Ok(None),
        (_, Ok(key)) => Ok(Some(key)),
        _ => Err(ParseError::Length {
            name: "EncryptedRandomSessionKey",
            length: bytes.len(),
        }),
    }
}

#[cfg(test)]
mod tests;
