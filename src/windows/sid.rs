//! Security identifiers (SIDs), which identify accounts and groups (MS-DTYP 2.4.2).

use std::fmt;
use std::str::FromStr;

use crate::base::wire::Reader;

/// Maximum number of sub-authorities of a SID (MS-DTYP 2.4.2).
pub const MAX_SUB_AUTHORITIES: usize = 15;

/// First sub-authority of a domain's SID, `S-1-5-21-A-B-C`; the other three are the
/// domain's own.
const DOMAIN_SID: u32 = 21;

/// The SID of an account, a group, or a well-known set of accounts.
///
/// ```
/// use wecrelay::windows::sid::Sid;
/// let computers: Sid = "S-1-5-21-1-2-3-515".parse()?;
/// assert_eq!(computers.name(), Some("Domain Computers"));
/// assert_eq!(computers.domain(), Some("S-1-5-21-1-2-3".parse()?));
/// # Ok::<(), wecrelay::windows::sid::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sid {
    /// The identifier authority, 48 bits (MS-DTYP 2.4.2.2).
    authority: u64,
    count: u8,
    /// Values beyond `count` are 0, so that equality can be derived.
    sub_authorities: [u32; MAX_SUB_AUTHORITIES],
}

impl Sid {
    /// The well-known group Everyone.
    pub const EVERYONE: Self = Self::fixed(1, [0]);
    /// The owner of the object (`OW`).
    pub const OWNER_RIGHTS: Self = Self::fixed(3, [4]);
    /// Accounts that logged on over the network.
    pub const NETWORK: Self = Self::fixed(5, [2]);
    /// Accounts that authenticated, except guests.
    pub const AUTHENTICATED_USERS: Self = Self::fixed(5, [11]);
    /// Accounts of the collector's organization.
    pub const THIS_ORGANIZATION: Self = Self::fixed(5, [15]);

    /// `S-1-authority-values`. Values beyond the fifteenth are ignored; callers pass short
    /// constants.
    pub(crate) const fn fixed<const N: usize>(authority: u64, values: [u32; N]) -> Self {
        let mut sub_authorities = [0; MAX_SUB_AUTHORITIES];
        let (mut rest, mut from) = (sub_authorities.as_mut_slice(), values.as_slice());
        let mut count = 0;
        while let ([to, others @ ..], [value, values @ ..]) = (rest, from) {
            *to = *value;
            (rest, from) = (others, values);
            count += 1;
        }
        Self {
            authority,
            count,
            sub_authorities,
        }
    }

    fn new(authority: u64, values: &[u32]) -> Option<Self> {
        let mut sub_authorities = [0; MAX_SUB_AUTHORITIES];
        sub_authorities
            .get_mut(..values.len())?
            .copy_from_slice(values);
        Some(Self {
            authority,
            count: u8::try_from(values.len()).ok()?,
            sub_authorities,
        })
    }

    /// Reads the binary form from the front of `reader` (MS-DTYP 2.4.2.2).
    ///
    /// # Errors
    /// The input is truncated, has a revision other than 1, or has more than
    /// [`MAX_SUB_AUTHORITIES`].
    pub fn read(reader: &mut Reader<'_>) -> Result<Self, Error> {
        let truncated = |_| Error::Truncated;
        let [revision, count] = reader.array().map_err(truncated)?;
        if revision != 1 {
            return Err(Error::Revision(revision.into()));
        }
        if usize::from(count) > MAX_SUB_AUTHORITIES {
            return Err(Error::TooLong);
        }
        let [a, b, c, d, e, f] = reader.array().map_err(truncated)?;
        let mut sid = Self {
            authority: u64::from_be_bytes([0, 0, a, b, c, d, e, f]),
            count,
            sub_authorities: [0; MAX_SUB_AUTHORITIES],
        };
        for sub_authority in sid.sub_authorities.iter_mut().take(count.into()) {
            *sub_authority = reader.u32().map_err(truncated)?;
        }
        Ok(sid)
    }

    /// Encodes the binary form (MS-DTYP 2.4.2.2).
    #[must_use]
    pub fn to_bytes(&self) -> Vec<u8> {
        let [_, _, authority @ ..] = self.authority.to_be_bytes();
        let mut bytes = vec![1, self.count];
        bytes.extend(authority);
        for sub_authority in self.sub_authorities() {
            bytes.extend(sub_authority.to_le_bytes());
        }
        bytes
    }

    /// The numbers after the authority.
    #[must_use]
    pub fn sub_authorities(&self) -> &[u32] {
        let used = self.sub_authorities.get(..self.count.into());
        used.unwrap_or_default()
    }

    /// The account or group with this relative ID in the domain with this SID.
    ///
    /// `None` if the SID already has the maximum number of sub-authorities.
    #[must_use]
    pub fn with_rid(&self, rid: u32) -> Option<Self> {
        let mut sid = *self;
        *sid.sub_authorities.get_mut(usize::from(self.count))? = rid;
        sid.count += 1;
        Some(sid)
    }

    /// The SID of the domain and the relative ID, if this is an account or group of a
    /// domain.
    #[must_use]
    pub fn split(&self) -> Option<(Self, u32)> {
        match *self.sub_authorities() {
            [DOMAIN_SID, a, b, c, rid] if self.authority == 5 => {
                Some((Self::fixed(5, [DOMAIN_SID, a, b, c]), rid))
            }
            _ => None,
        }
    }

    /// The SID of the domain, if this is an account or group of a domain.
    #[must_use]
    pub fn domain(&self) -> Option<Self> {
        self.split().map(|(domain, _)| domain)
    }

    /// The name, if it is well known: the same on every machine or in every domain.
    #[must_use]
    pub fn name(&self) -> Option<&'static str> {
        if let Some((_, rid)) = self.split() {
            return domain_name(rid);
        }
        let known = WELL_KNOWN.iter().find(|(sid, _)| sid == self);
        known.map(|(_, name)| *name)
    }

    /// Whether an account that logs on over the network can hold this SID. Accounts and
    /// groups of domains and a few well-known SIDs qualify; groups such as `BUILTIN\Users`
    /// are local to each machine.
    #[must_use]
    pub fn can_come_from_afar(&self) -> bool {
        // Tickets of domain controllers contain this SID (MS-PAC 2.5).
        const ENTERPRISE_CONTROLLERS: Sid = Sid::fixed(5, [9]);
        let well_known = [
            Self::EVERYONE,
            Self::NETWORK,
            Self::AUTHENTICATED_USERS,
            Self::THIS_ORGANIZATION,
            ENTERPRISE_CONTROLLERS,
        ];
        self.authority == 18 || self.domain().is_some() || well_known.contains(self)
    }

    /// The name followed by the SID in parentheses, or the SID alone if it has no
    /// well-known name.
    #[must_use]
    pub fn describe(&self) -> String {
        match self.name() {
            Some(name) => format!("{name} ({self})"),
            None => self.to_string(),
        }
    }
}

/// The name for a relative ID that is the same in every domain (MS-DTYP 2.4.2.4); `None`
/// for all others.
#[must_use]
pub fn domain_name(rid: u32) -> Option<&'static str> {
    Some(match rid {
        498 => "Enterprise Read-only Domain Controllers",
        500 => "Administrator",
        501 => "Guest",
        512 => "Domain Admins",
        513 => "Domain Users",
        514 => "Domain Guests",
        515 => "Domain Computers",
        516 => "Domain Controllers",
        517 => "Cert Publishers",
        518 => "Schema Admins",
        519 => "Enterprise Admins",
        520 => "Group Policy Creator Owners",
        521 => "Read-only Domain Controllers",
        522 => "Cloneable Domain Controllers",
        525 => "Protected Users",
        526 => "Key Admins",
        527 => "Enterprise Key Admins",
        553 => "RAS and IAS Servers",
        571 => "Allowed RODC Password Replication Group",
        572 => "Denied RODC Password Replication Group",
        _ => return None,
    })
}

const fn builtin(rid: u32) -> Sid {
    Sid::fixed(5, [32, rid])
}

/// SIDs that are the same on every Windows machine (MS-DTYP 2.4.2.4).
const WELL_KNOWN: [(Sid, &str); 52] = [
    (Sid::EVERYONE, "Everyone"),
    (Sid::fixed(3, [0]), "Creator Owner"),
    (Sid::fixed(3, [1]), "Creator Group"),
    (Sid::OWNER_RIGHTS, "Owner Rights"),
    (Sid::NETWORK, "Network"),
    (Sid::fixed(5, [4]), "Interactive"),
    (Sid::fixed(5, [6]), "Service"),
    (Sid::fixed(5, [7]), "Anonymous Logon"),
    (Sid::fixed(5, [9]), "Enterprise Domain Controllers"),
    (Sid::fixed(5, [10]), "Self"),
    (Sid::AUTHENTICATED_USERS, "Authenticated Users"),
    (Sid::fixed(5, [12]), "Restricted"),
    (Sid::THIS_ORGANIZATION, "This Organization"),
    (Sid::fixed(5, [18]), "Local System"),
    (Sid::fixed(5, [19]), "Local Service"),
    (Sid::fixed(5, [20]), "Network Service"),
    (Sid::fixed(5, [33]), "Write Restricted"),
    (Sid::fixed(5, [84, 0, 0, 0, 0, 0]), "User Mode Drivers"),
    (Sid::fixed(15, [2, 1]), "All Application Packages"),
    (Sid::fixed(16, [4096]), "Low Mandatory Level"),
    (Sid::fixed(16, [8192]), "Medium Mandatory Level"),
    (Sid::fixed(16, [8448]), "Medium Plus Mandatory Level"),
    (Sid::fixed(16, [12288]), "High Mandatory Level"),
    (Sid::fixed(16, [16384]), "System Mandatory Level"),
    (
        Sid::fixed(18, [1]),
        "Authentication Authority Asserted Identity",
    ),
    (Sid::fixed(18, [2]), "Service Asserted Identity"),
    (builtin(544), "Administrators"),
    (builtin(545), "Users"),
    (builtin(546), "Guests"),
    (builtin(547), "Power Users"),
    (builtin(548), "Account Operators"),
    (builtin(549), "Server Operators"),
    (builtin(550), "Print Operators"),
    (builtin(551), "Backup Operators"),
    (builtin(552), "Replicator"),
    (builtin(554), "Pre-Windows 2000 Compatible Access"),
    (builtin(555), "Remote Desktop Users"),
    (builtin(556), "Network Configuration Operators"),
    (builtin(558), "Performance Monitor Users"),
    (builtin(559), "Performance Log Users"),
    (builtin(568), "IIS_IUSRS"),
    (builtin(569), "Cryptographic Operators"),
    (builtin(573), "Event Log Readers"),
    (builtin(574), "Certificate Service DCOM Access"),
    (builtin(575), "RDS Remote Access Servers"),
    (builtin(576), "RDS Endpoint Servers"),
    (builtin(577), "RDS Management Servers"),
    (builtin(578), "Hyper-V Administrators"),
    (builtin(579), "Access Control Assistance Operators"),
    (builtin(580), "Remote Management Users"),
    (builtin(584), "User Mode Hardware Operators"),
    (builtin(585), "OpenSSH Users"),
];

impl fmt::Display for Sid {
    /// The string form (MS-DTYP 2.4.2.1): an authority of 2^32 or more is written in hex.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match u32::try_from(self.authority) {
            Ok(authority) => write!(f, "S-1-{authority}")?,
            Err(_) => write!(f, "S-1-0x{:012X}", self.authority)?,
        }
        self.sub_authorities()
            .iter()
            .try_for_each(|sub_authority| write!(f, "-{sub_authority}"))
    }
}

impl fmt::Debug for Sid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

impl FromStr for Sid {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let mut parts = text.split('-');
        if !parts.next().is_some_and(|s| s.eq_ignore_ascii_case("s")) {
            return Err(Error::Prefix);
        }
        match parts.next().map(number) {
            Some(Some(1)) => {}
            Some(Some(revision)) => return Err(Error::Revision(revision)),
            _ => return Err(Error::Prefix),
        }
        let authority = parts.next().and_then(number);
        let authority = authority.filter(|authority| *authority < 1 << 48);
        let authority = authority.ok_or(Error::Number)?;
        let values = parts.map(|part| number(part).and_then(|value| u32::try_from(value).ok()));
        let values: Option<Vec<_>> = values.take(MAX_SUB_AUTHORITIES + 1).collect();
        Self::new(authority, &values.ok_or(Error::Number)?).ok_or(Error::TooLong)
    }
}

/// Parses a number, decimal or hexadecimal.
fn number(text: &str) -> Option<u64> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let (digits, radix) = hex.map_or((text, 10), |digits| (digits, 16));
    // The standard parser accepts a plus sign.
    let is_number = digits.chars().all(|c| c.is_digit(radix));
    u64::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_number)
}

/// Why a text or binary value is not a valid SID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The text does not begin with `S-1-`.
    Prefix,
    /// The revision, which is not 1.
    Revision(u64),
    /// A part of the text is not a number, or is too large.
    Number,
    /// There are more than [`MAX_SUB_AUTHORITIES`].
    TooLong,
    /// The binary value is truncated.
    Truncated,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Prefix => write!(f, "does not begin with S-1-"),
            Self::Revision(revision) => write!(f, "revision {revision}, only 1 is supported"),
            Self::Number => write!(f, "a part is not a number, or too large"),
            Self::TooLong => write!(f, "more than {MAX_SUB_AUTHORITIES} sub-authorities"),
            Self::Truncated => write!(f, "ends early"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::*;

    fn sid(text: &str) -> Sid {
        text.parse().unwrap()
    }

    #[test]
    fn text_comes_back_as_it_went_in() {
        for text in [
            "S-1-0-0",
            "S-1-1-0",
            "S-1-5-32-544",
            "S-1-5-21-3130100983-1577131676-2651245389-1102",
            "S-1-5",
            "S-1-0x123456789ABC-4294967295",
            "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15",
        ] {
            assert_eq!(sid(text).to_string(), text);
        }
        assert_eq!(sid("s-1-0x5-0x20-544"), builtin(544));
    }

    #[test]
    fn bytes_are_those_of_the_specification() {
        let bytes = [
            1, 5, 0, 0, 0, 0, 0, 5, 21, 0, 0, 0, 0xf7, 0x8c, 0x91, 0xba, 0x9c, 0x1e, 1, 0x5e, 0x4d,
            0xcb, 6, 0x9e, 0x4e, 4, 0, 0,
        ];
        let known = sid("S-1-5-21-3130100983-1577131676-2651245389-1102");
        assert_eq!(known.to_bytes(), bytes);
        let mut reader = Reader::new(&bytes);
        assert_eq!(Sid::read(&mut reader), Ok(known));
        assert!(reader.rest().is_empty());
        for end in 0..bytes.len() {
            let cut = Sid::read(&mut Reader::new(&bytes[..end]));
            assert_eq!(cut, Err(Error::Truncated), "{end}");
        }
        let mut bytes = bytes;
        bytes[1] = 16;
        assert_eq!(Sid::read(&mut Reader::new(&bytes)), Err(Error::TooLong));
        bytes[0] = 2;
        assert_eq!(Sid::read(&mut Reader::new(&bytes)), Err(Error::Revision(2)));
    }

    #[test]
    fn what_is_no_sid_is_refused() {
        for (text, error) in [
            ("", Error::Prefix),
            ("S", Error::Prefix),
            ("S-", Error::Prefix),
            ("X-1-5", Error::Prefix),
            ("S-2-5-32", Error::Revision(2)),
            ("S-1", Error::Number),
            ("S-1-", Error::Number),
            ("S-1-5-", Error::Number),
            ("S-1-5-+1", Error::Number),
            ("S-1-5- 1", Error::Number),
            ("S-1-5-4294967296", Error::Number),
            ("S-1-0x1000000000000", Error::Number),
            (
                "S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15-16",
                Error::TooLong,
            ),
        ] {
            assert_eq!(text.parse::<Sid>(), Err(error), "{text}");
        }
    }

    #[test]
    fn domains_are_told_from_well_known_sids() {
        let account = sid("S-1-5-21-1-2-3-1102");
        assert_eq!(account.split(), Some((sid("S-1-5-21-1-2-3"), 1102)));
        assert_eq!(sid("S-1-5-21-1-2-3").with_rid(1102), Some(account));
        assert_eq!(sid("S-1-5-21-1-2-3").split(), None);
        assert_eq!(builtin(544).domain(), None);
        assert_eq!(sid("S-1-18-21-1-2-3-4").domain(), None);
        assert_eq!(
            sid("S-1-5-1-2-3-4-5-6-7-8-9-10-11-12-13-14-15").with_rid(1),
            None
        );
    }

    #[test]
    fn names_are_those_of_windows() {
        assert_eq!(sid("S-1-5-20").name(), Some("Network Service"));
        assert_eq!(sid("S-1-5-21-1-2-3-516").name(), Some("Domain Controllers"));
        assert_eq!(sid("S-1-5-21-1-2-3-1102").name(), None);
        assert_eq!(
            sid("S-1-5-21-1-2-3-515").describe(),
            "Domain Computers (S-1-5-21-1-2-3-515)"
        );
        assert_eq!(sid("S-1-9").describe(), "S-1-9");
        for (index, (sid, name)) in WELL_KNOWN.iter().enumerate() {
            let same = |(other, text): &(Sid, &str)| other == sid || text == name;
            assert_eq!(WELL_KNOWN.iter().position(same), Some(index), "{name}");
        }
    }
}
