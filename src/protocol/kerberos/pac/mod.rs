//! The privilege attribute certificate (PAC) of a ticket: the domain account and its
//! groups, as the domain controller states them (MS-PAC).
//!
//! It is part of the ticket's authorization data, which is encrypted with this server's
//! key, and is signed twice: with this server's key (`server signature`) and with the
//! controller's own. A service can verify only the first. Together with the encryption it
//! shows that the PAC comes from a controller, or from someone who has this server's key.

mod error;
mod ndr;
mod validation_info;
mod verify;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use self::ndr::utf16;
use self::validation_info::ValidationInfo;
use super::crypto::Enctype;
use crate::base::clock::FileTime;
use crate::base::wire::Reader;
use crate::windows::sddl::Token;
use crate::windows::sid::Sid;

pub use self::error::Error;
pub(super) use self::verify::of_ticket;
pub use self::verify::verify;

/// Name of the buffer that identifies the account, for errors.
const LOGON_INFORMATION: &str = "logon information";
/// Maximum number of SIDs of one kind. Windows refuses a logon with more than 1,024 in
/// total.
pub const MAX_SIDS: u32 = 1024;
/// Maximum number of buffers; fewer than twenty types are defined.
const MAX_BUFFERS: u32 = 64;

/// Types of buffers (MS-PAC 2.4).
mod kind {
    pub(super) const LOGON_INFORMATION: u32 = 1;
    pub(super) const SERVER_SIGNATURE: u32 = 6;
    pub(super) const KDC_SIGNATURE: u32 = 7;
    pub(super) const CLIENT_INFORMATION: u32 = 10;
    pub(super) const NAMES: u32 = 12;
}

/// An account as its domain controller describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logon {
    /// SID of the account; unlike its name, it never changes.
    pub account: Sid,
    /// SID of its domain.
    pub domain: Sid,
    /// `sAMAccountName`; that of a computer ends with `$`.
    pub name: String,
    /// NetBIOS name of its domain.
    pub domain_name: String,
    /// `name@domain`, if the PAC has it.
    pub principal_name: Option<String>,
    /// DNS name of its domain, if the PAC has it.
    pub dns_domain: Option<String>,
    /// Whether it is a host's account.
    /// Whether it is a computer account.
    pub is_machine: bool,
    /// All its groups.
    /// Enabled groups: of the domain, extra SIDs, and resource groups.
    pub groups: Vec<Sid>,
    /// Groups that count only to keep it out.
    /// Groups that count only when they deny access.
    pub deny_only: Vec<Sid>,
}

impl Logon {
    /// Whether a client of this name and realm is this account, by its `sAMAccountName` or
    /// by its user principal name.
    #[must_use]
    pub fn is(&self, client: &str, realm: &str) -> bool {
        let is_same = |a: &str, b: &str| upper(a) == upper(b);
        let is_principal_name =
            |name: &String| is_same(client, name) || is_same(&format!("{client}@{realm}"), name);
        is_same(client, &self.name) || self.principal_name.as_ref().is_some_and(is_principal_name)
    }

    /// The SIDs that decide about access.
    #[must_use]
    pub fn token(&self) -> Token {
        Token::new(self.account, self.groups.clone(), self.deny_only.clone())
    }
}

/// Names of domain accounts are compared ignoring case.
fn upper(name: &str) -> String {
    name.to_uppercase()
}

/// A signature of a PAC (MS-PAC 2.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Signature<'a> {
    /// Number of the checksum type.
    pub kind: i32,
    /// The checksum, possibly followed by more; see [`Signature::checksum`].
    rest: &'a [u8],
}

impl<'a> Signature<'a> {
    fn parse(buffer: &'a [u8]) -> Result<Self, Error> {
        let mut reader = Reader::new(buffer);
        let kind = reader.array().map(i32::from_le_bytes);
        let kind = kind.map_err(|_| Error::Truncated("signature"))?;
        let rest = reader.rest();
        Ok(Self { kind, rest })
    }

    /// Size of the checksum in bytes; `None` if no PAC may have this type.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        Enctype::from_checksum_type(self.kind).map(Enctype::checksum_len)
    }

    /// The checksum without the identifier of a read-only domain controller that may follow
    /// it.
    #[must_use]
    pub fn checksum(&self) -> Option<&'a [u8]> {
        self.rest.get(..self.length()?)
    }
}

/// A PAC with a valid structure. Nothing in it has been verified.
#[derive(Clone, Debug)]
pub struct Pac<'a> {
    bytes: &'a [u8],
    buffers: Vec<Buffer<'a>>,
}

#[derive(Clone, Copy, Debug)]
struct Buffer<'a> {
    kind: u32,
    offset: usize,
    data: &'a [u8],
}

impl<'a> Pac<'a> {
    /// Locates the buffers (`PACTYPE`, MS-PAC 2.3).
    ///
    /// # Errors
    /// A buffer is out of bounds, or there are too many.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Error> {
        let truncated = |_| Error::Truncated("PAC");
        let mut reader = Reader::new(bytes);
        let count = reader.u32().map_err(truncated)?;
        let version = reader.u32().map_err(truncated)?;
        if version != 0 {
            return Err(Error::Version(version));
        }
        if count > MAX_BUFFERS {
            return Err(Error::Buffers(count));
        }
        let mut buffers = Vec::new();
        for _ in 0..count {
            let kind = reader.u32().map_err(truncated)?;
            let size = reader.u32().map_err(truncated)?;
            let offset = reader.u64().map_err(truncated)?;
            let buffer = Buffer::find(bytes, kind, offset, size);
            buffers.push(buffer.ok_or(Error::Truncated("buffer"))?);
        }
        Ok(Self { bytes, buffers })
    }

    /// The first buffer of a type; further ones must be ignored (MS-PAC 2.4).
    fn buffer(&self, kind: u32) -> Option<Buffer<'a>> {
        let mut buffers = self.buffers.iter();
        buffers.find(|buffer| buffer.kind == kind).copied()
    }

    /// The signature made with this server's key.
    ///
    /// # Errors
    /// The PAC has none.
    pub fn server_signature(&self) -> Result<Signature<'a>, Error> {
        let buffer = self.buffer(kind::SERVER_SIGNATURE);
        Signature::parse(buffer.ok_or(Error::Missing("server signature"))?.data)
    }

    /// The bytes that the server signature covers: the whole PAC, with both signatures
    /// zeroed (MS-PAC 2.8.2).
    #[must_use]
    pub fn signed(&self) -> Vec<u8> {
        let mut bytes = self.bytes.to_vec();
        for kind in [kind::SERVER_SIGNATURE, kind::KDC_SIGNATURE] {
            let Some(buffer) = self.buffer(kind) else {
                continue;
            };
            let signature = Signature::parse(buffer.data).ok();
            let checksum = signature.and_then(|signature| signature.checksum());
            let start = buffer.offset.saturating_add(4);
            let end = start.saturating_add(checksum.map_or(0, <[u8]>::len));
            if let Some(place) = bytes.get_mut(start..end) {
                place.fill(0);
            }
        }
        bytes
    }

    /// The account, which must be that of the ticket: `client` is its name without the
    /// realm, `authtime` its logon time. Does not verify the signature; see [`verify`].
    ///
    /// # Errors
    /// A buffer is missing or malformed, or describes another logon.
    pub fn logon(&self, client: &str, authtime: SystemTime) -> Result<Logon, Error> {
        let information = self.buffer(kind::CLIENT_INFORMATION);
        let information = information.ok_or(Error::Missing("client information"))?;
        check_client(information.data, client, authtime)?;
        let information = self.buffer(kind::LOGON_INFORMATION);
        let information = information.ok_or(Error::Missing(LOGON_INFORMATION))?;
        let information = ValidationInfo::parse(information.data)?;
        let (Some(account), Some(domain)) = (information.account, information.domain) else {
            return Err(Error::NoAccount);
        };
        let names = self.buffer(kind::NAMES);
        let names = names.map(|buffer| Names::parse(buffer.data)).transpose()?;
        let names = names.unwrap_or_default();
        if names.account.is_some_and(|other| other != account) {
            return Err(Error::Contradiction);
        }
        Ok(Logon {
            account,
            domain,
            name: information.name,
            domain_name: information.domain_name,
            principal_name: names.principal,
            dns_domain: names.dns_domain,
            is_machine: information.is_machine,
            groups: information.groups,
            deny_only: information.deny_only,
        })
    }
}

impl<'a> Buffer<'a> {
    fn find(bytes: &'a [u8], kind: u32, offset: u64, size: u32) -> Option<Self> {
        let offset = usize::try_from(offset).ok()?;
        let end = offset.checked_add(usize::try_from(size).ok()?)?;
        let data = bytes.get(offset..end)?;
        Some(Self { kind, offset, data })
    }
}

/// Checks `PAC_CLIENT_INFO`, which ties a PAC to its ticket (MS-PAC 2.7).
fn check_client(buffer: &[u8], client: &str, authtime: SystemTime) -> Result<(), Error> {
    let truncated = |_| Error::Truncated("client information");
    let mut reader = Reader::new(buffer);
    let time = FileTime::new(reader.u64().map_err(truncated)?);
    let length = reader.u16().map_err(truncated)?;
    let name = utf16(reader.bytes(length.into()).map_err(truncated)?);
    if upper(&name) != upper(client) {
        let ticket = client.to_owned();
        return Err(Error::Name { pac: name, ticket });
    }
    let (pac, ticket) = (time.unix_seconds(), seconds_of(authtime));
    if pac != ticket {
        return Err(Error::Time { pac, ticket });
    }
    Ok(())
}

fn seconds_of(time: SystemTime) -> i64 {
    let seconds = |since: Duration| i64::try_from(since.as_secs()).unwrap_or(i64::MAX);
    match time.duration_since(UNIX_EPOCH) {
        Ok(since) => seconds(since),
        Err(before) => -seconds(before.duration()),
    }
}

/// `UPN_DNS_INFO` (MS-PAC 2.10): names of the account, and in newer versions its SID.
#[derive(Debug, Default)]
struct Names {
    principal: Option<String>,
    dns_domain: Option<String>,
    account: Option<Sid>,
}

impl Names {
    fn parse(buffer: &[u8]) -> Result<Self, Error> {
        /// The account's name and SID follow.
        const EXTENDED: u32 = 2;
        let truncated = |_| Error::Truncated("names");
        let mut reader = Reader::new(buffer);
        let field = |reader: &mut Reader<'_>| {
            let length = reader.u16().map_err(truncated)?;
            let offset = usize::from(reader.u16().map_err(truncated)?);
            let end = offset.saturating_add(length.into());
            buffer.get(offset..end).ok_or(Error::Truncated("names"))
        };
        let (principal, dns_domain) = (field(&mut reader)?, field(&mut reader)?);
        let flags = reader.u32().map_err(truncated)?;
        let mut account = None;
        if flags & EXTENDED != 0 {
            let (_, sid) = (field(&mut reader)?, field(&mut reader)?);
            let sid = Sid::read(&mut Reader::new(sid));
            account = Some(sid.map_err(|_| Error::Encoding("something else than a SID"))?);
        }
        let text = |bytes: &[u8]| Some(utf16(bytes)).filter(|text| !text.is_empty());
        Ok(Self {
            principal: text(principal),
            dns_domain: text(dns_domain),
            account,
        })
    }
}

#[cfg(test)]
mod tests;
