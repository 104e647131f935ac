//! `KERB_VALIDATION_INFO`: the account and its groups, and more that is not needed here
//! (MS-PAC 2.5).

use super::MAX_SIDS;
use super::ndr::{Error, Ndr, StringHeader};
use crate::windows::sid::Sid;

/// `UserFlags` bit: `ExtraSids` is valid.
const EXTRA_SIDS: u32 = 0x20;
/// `UserFlags` bit: `ResourceGroupIds` is valid.
const RESOURCE_GROUPS: u32 = 0x200;

/// Attributes of a group membership (MS-PAC 2.2.1).
const ENABLED: u32 = 0x04;
const DENY_ONLY: u32 = 0x10;

/// `UserAccountControl` bit: a person's or service's account.
const NORMAL_ACCOUNT: u32 = 0x10;
/// `UserAccountControl` bits: a workstation, a server, or a domain controller.
const TRUST_ACCOUNT: u32 = 0x80 | 0x100;
/// RIDs of Domain Computers, Domain Controllers, and Read-only Domain Controllers.
const MACHINES: [u32; 3] = [515, 516, 521];

/// The fields that are used.
#[derive(Debug, Default)]
pub(super) struct ValidationInfo {
    /// The account's `sAMAccountName`.
    pub(super) name: String,
    /// NetBIOS name of the domain.
    pub(super) domain_name: String,
    pub(super) domain: Option<Sid>,
    pub(super) account: Option<Sid>,
    /// Whether it is a computer account.
    pub(super) is_machine: bool,
    pub(super) groups: Vec<Sid>,
    pub(super) deny_only: Vec<Sid>,
}

/// The fixed part of the structure, before the targets of its pointers.
struct Fixed {
    strings: [StringHeader; 6],
    user: u32,
    primary_group: u32,
    groups: Counted,
    flags: u32,
    server: StringHeader,
    domain_name: StringHeader,
    has_domain: bool,
    /// `UserAccountControl`.
    control: u32,
    extra: Counted,
    has_resource_domain: bool,
    resource: Counted,
}

/// A count, and whether the pointer next to it is not null.
#[derive(Clone, Copy)]
struct Counted {
    count: u32,
    is_there: bool,
}

impl Counted {
    fn read(ndr: &mut Ndr<'_>) -> Result<Self, Error> {
        let count = ndr.u32()?;
        let is_there = ndr.pointer()?;
        match (is_there, count) {
            (false, 1..) => Err(Error::Null),
            (_, count) if count > MAX_SIDS => Err(Error::TooMany(count)),
            _ => Ok(Self { count, is_there }),
        }
    }
}

impl Fixed {
    fn read(ndr: &mut Ndr<'_>) -> Result<Self, Error> {
        const SIX_TIMES: usize = 48;
        const SESSION_KEY: usize = 16;
        const RESERVED: usize = 8;
        // Skips SubAuthStatus to Reserved3.
        const UNTIL_SIDS: usize = 28;
        ndr.skip(SIX_TIMES)?;
        let mut string = || ndr.string_header();
        let strings = [
            string()?,
            string()?,
            string()?,
            string()?,
            string()?,
            string()?,
        ];
        // Skips LogonCount and BadPasswordCount.
        ndr.u32()?;
        let (user, primary_group, groups) = (ndr.u32()?, ndr.u32()?, Counted::read(ndr)?);
        let flags = ndr.u32()?;
        ndr.skip(SESSION_KEY)?;
        let (server, domain_name) = (ndr.string_header()?, ndr.string_header()?);
        let has_domain = ndr.pointer()?;
        ndr.skip(RESERVED)?;
        let control = ndr.u32()?;
        ndr.skip(UNTIL_SIDS)?;
        Ok(Self {
            strings,
            user,
            primary_group,
            groups,
            flags,
            server,
            domain_name,
            has_domain,
            control,
            extra: Counted::read(ndr)?,
            has_resource_domain: ndr.pointer()?,
            resource: Counted::read(ndr)?,
        })
    }
}

impl ValidationInfo {
    /// Parses the whole buffer.
    pub(super) fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let ndr = &mut Ndr::open(bytes)?;
        let fixed = Fixed::read(ndr)?;
        let mut info = Self::default();
        let [effective_name, others @ ..] = fixed.strings;
        info.name = ndr.string(effective_name)?;
        for header in others {
            ndr.string(header)?;
        }
        let relative = relative_ids(ndr, fixed.groups)?;
        ndr.string(fixed.server)?;
        info.domain_name = ndr.string(fixed.domain_name)?;
        if fixed.has_domain {
            info.domain = Some(ndr.sid()?);
        }
        let extra = sids(ndr, fixed.extra)?;
        let resource_domain = if fixed.has_resource_domain {
            Some(ndr.sid()?)
        } else {
            None
        };
        let resource = relative_ids(ndr, fixed.resource)?;

        info.take_account(fixed.user, &extra);
        info.take_relative(info.domain, &[(fixed.primary_group, ENABLED)]);
        info.take_relative(info.domain, &relative);
        info.is_machine = info.is_machine_by(fixed.control);
        if fixed.flags & EXTRA_SIDS != 0 {
            for (sid, attributes) in extra {
                info.take(sid, attributes);
            }
        }
        if fixed.flags & RESOURCE_GROUPS != 0 {
            info.take_relative(resource_domain, &resource);
        }
        Ok(info)
    }

    /// Whether it is a computer account: by its type (MS-SAMR 2.2.1.12), or, if the
    /// controller does not state one, by groups that only computers are in.
    fn is_machine_by(&self, control: u32) -> bool {
        match (control & TRUST_ACCOUNT != 0, control & NORMAL_ACCOUNT != 0) {
            (true, _) => true,
            (false, true) => false,
            (false, false) => MACHINES.iter().any(|rid| {
                let group = self.domain.and_then(|domain| domain.with_rid(*rid));
                group.is_some_and(|group| self.groups.contains(&group))
            }),
        }
    }

    /// Determines the account's SID. An account without a RID is the first of the extra
    /// SIDs.
    fn take_account(&mut self, user: u32, extra: &[(Sid, u32)]) {
        self.account = match user {
            0 => extra.first().map(|(sid, _)| *sid),
            rid => self.domain.and_then(|domain| domain.with_rid(rid)),
        };
    }

    fn take_relative(&mut self, domain: Option<Sid>, groups: &[(u32, u32)]) {
        let Some(domain) = domain else { return };
        for (rid, attributes) in groups {
            if let Some(sid) = domain.with_rid(*rid) {
                self.take(sid, *attributes);
            }
        }
    }

    fn take(&mut self, sid: Sid, attributes: u32) {
        let list = match (attributes & DENY_ONLY != 0, attributes & ENABLED != 0) {
            (true, _) => &mut self.deny_only,
            (false, true) => &mut self.groups,
            (false, false) => return,
        };
        if !list.contains(&sid) && self.account != Some(sid) {
            list.push(sid);
        }
    }
}

/// `GROUP_MEMBERSHIP` entries: RIDs and attributes.
fn relative_ids(ndr: &mut Ndr<'_>, counted: Counted) -> Result<Vec<(u32, u32)>, Error> {
    let mut groups = Vec::new();
    if counted.is_there {
        ndr.array(counted.count)?;
        for _ in 0..counted.count {
            groups.push((ndr.u32()?, ndr.u32()?));
        }
    }
    Ok(groups)
}

/// `KERB_SID_AND_ATTRIBUTES` entries; the SIDs follow after all their pointers.
fn sids(ndr: &mut Ndr<'_>, counted: Counted) -> Result<Vec<(Sid, u32)>, Error> {
    let mut attributes = Vec::new();
    if counted.is_there {
        ndr.array(counted.count)?;
        for _ in 0..counted.count {
            if !ndr.pointer()? {
                return Err(Error::Null);
            }
            attributes.push(ndr.u32()?);
        }
    }
    attributes
        .into_iter()
        .map(|attributes| Ok((ndr.sid()?, attributes)))
        .collect()
}
