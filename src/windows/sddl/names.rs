//! The names of SDDL: aliases of trustees, rights, and flags (MS-DTYP 2.5.1.1).

use std::fmt;

use crate::windows::sid::{self, Sid};

/// The account or group to which an entry applies.
///
/// In SDDL, the aliases of domain groups refer to the domain of the machine that evaluates
/// them. A relay has no domain, so here they refer to the group of that name in the domain
/// of the requesting host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trustee {
    /// Exactly this account or group.
    Sid(Sid),
    /// The group with this relative ID in the host's own domain.
    Domain(u32),
    /// The group with this relative ID in the root domain of a forest.
    Forest(u32),
    /// A local account of the collector with this relative ID, which no host can have.
    Collector(u32),
}

impl Trustee {
    /// Describes the trustee in words.
    #[must_use]
    pub fn describe(&self) -> String {
        match self {
            Self::Domain(rid) => format!(
                "members of {} of the host's own domain",
                sid::domain_name(*rid).unwrap_or("a group")
            ),
            Self::Forest(rid) => format!(
                "members of {} of the host's forest",
                sid::domain_name(*rid).unwrap_or("a group")
            ),
            Self::Collector(rid) => format!(
                "the collector's own {} (no host)",
                sid::domain_name(*rid).unwrap_or("account")
            ),
            Self::Sid(Sid::EVERYONE) => "everyone".to_owned(),
            Self::Sid(Sid::AUTHENTICATED_USERS) => "every domain account".to_owned(),
            Self::Sid(Sid::OWNER_RIGHTS) => "the owner".to_owned(),
            Self::Sid(sid) => match (sid.name(), sid.split()) {
                (Some(name), Some((domain, _))) => format!("members of {name} of {domain}"),
                (None, Some(_)) => format!("{sid} and its members"),
                (Some(name), None) if !Sid::can_come_from_afar(sid) => {
                    format!("{name} (no host)")
                }
                _ => sid.describe(),
            },
        }
    }

    /// The trustee for an alias, compared ignoring case; `None` if the alias is unknown.
    pub(super) fn from_alias(alias: &str) -> Option<Self> {
        let known = |(name, _): &&(&str, Self)| name.eq_ignore_ascii_case(alias);
        ALIASES.iter().find(known).map(|(_, trustee)| *trustee)
    }
}

impl fmt::Display for Trustee {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (ALIASES.iter().find(|(_, known)| known == self), self) {
            (Some((alias, _)), _) => f.write_str(alias),
            (None, Self::Sid(sid)) => write!(f, "{sid}"),
            // Not reached for parsed descriptors: only aliases produce these variants. The
            // text is not valid SDDL.
            (None, Self::Domain(rid) | Self::Forest(rid) | Self::Collector(rid)) => {
                write!(f, "S-1-5-21-*-{rid}")
            }
        }
    }
}

const fn well_known(authority: u64, value: u32) -> Trustee {
    Trustee::Sid(Sid::fixed(authority, [value]))
}

const fn builtin(rid: u32) -> Trustee {
    Trustee::Sid(Sid::fixed(5, [32, rid]))
}

const ALIASES: [(&str, Trustee); 67] = [
    ("AA", builtin(579)),
    ("AC", Trustee::Sid(Sid::fixed(15, [2, 1]))),
    ("AN", well_known(5, 7)),
    ("AO", builtin(548)),
    ("AP", Trustee::Domain(525)),
    ("AS", well_known(18, 1)),
    ("AU", Trustee::Sid(Sid::AUTHENTICATED_USERS)),
    ("BA", builtin(544)),
    ("BG", builtin(546)),
    ("BO", builtin(551)),
    ("BU", builtin(545)),
    ("CA", Trustee::Domain(517)),
    ("CD", builtin(574)),
    ("CG", well_known(3, 1)),
    ("CN", Trustee::Domain(522)),
    ("CO", well_known(3, 0)),
    ("CY", builtin(569)),
    ("DA", Trustee::Domain(512)),
    ("DC", Trustee::Domain(515)),
    ("DD", Trustee::Domain(516)),
    ("DG", Trustee::Domain(514)),
    ("DU", Trustee::Domain(513)),
    ("EA", Trustee::Forest(519)),
    ("ED", well_known(5, 9)),
    ("EK", Trustee::Forest(527)),
    ("ER", builtin(573)),
    ("ES", builtin(576)),
    ("HA", builtin(578)),
    ("HI", well_known(16, 12288)),
    ("HO", builtin(584)),
    ("IS", builtin(568)),
    ("IU", well_known(5, 4)),
    ("KA", Trustee::Domain(526)),
    ("LA", Trustee::Collector(500)),
    ("LG", Trustee::Collector(501)),
    ("LS", well_known(5, 19)),
    ("LU", builtin(559)),
    ("LW", well_known(16, 4096)),
    ("ME", well_known(16, 8192)),
    ("MP", well_known(16, 8448)),
    ("MS", builtin(577)),
    ("MU", builtin(558)),
    ("NO", builtin(556)),
    ("NS", well_known(5, 20)),
    ("NU", Trustee::Sid(Sid::NETWORK)),
    ("OW", Trustee::Sid(Sid::OWNER_RIGHTS)),
    ("PA", Trustee::Domain(520)),
    ("PO", builtin(550)),
    ("PS", well_known(5, 10)),
    ("PU", builtin(547)),
    ("RA", builtin(575)),
    ("RC", well_known(5, 12)),
    ("RD", builtin(555)),
    ("RE", builtin(552)),
    ("RM", builtin(580)),
    ("RO", Trustee::Forest(498)),
    ("RS", Trustee::Domain(553)),
    ("RU", builtin(554)),
    ("SA", Trustee::Forest(518)),
    ("SI", well_known(16, 16384)),
    ("SO", builtin(549)),
    ("SS", well_known(18, 2)),
    ("SU", well_known(5, 6)),
    ("SY", well_known(5, 18)),
    ("UD", Trustee::Sid(Sid::fixed(5, [84, 0, 0, 0, 0, 0]))),
    ("WD", Trustee::Sid(Sid::EVERYONE)),
    ("WR", well_known(5, 33)),
];

/// Rights of a single bit (MS-DTYP 2.5.1.1), in the order in which Windows writes them.
const RIGHTS: [(&str, u32); 17] = [
    ("GA", 0x1000_0000),
    ("GX", 0x2000_0000),
    ("GW", 0x4000_0000),
    ("GR", 0x8000_0000),
    ("CC", 0x0000_0001),
    ("DC", 0x0000_0002),
    ("LC", 0x0000_0004),
    ("SW", 0x0000_0008),
    ("RP", 0x0000_0010),
    ("WP", 0x0000_0020),
    ("DT", 0x0000_0040),
    ("LO", 0x0000_0080),
    ("CR", 0x0000_0100),
    ("SD", 0x0001_0000),
    ("RC", 0x0002_0000),
    ("WD", 0x0004_0000),
    ("WO", 0x0008_0000),
];

/// Rights of several bits: access to files and registry keys.
const COMBINED_RIGHTS: [(&str, u32); 8] = [
    ("FA", 0x001f_01ff),
    ("FR", 0x0012_0089),
    ("FW", 0x0012_0116),
    ("FX", 0x0012_00a0),
    ("KA", 0x000f_003f),
    ("KR", 0x0002_0019),
    ("KW", 0x0002_0006),
    ("KX", 0x0002_0019),
];

/// The mask for the name of a right, compared ignoring case; `None` if the name is unknown.
pub(super) fn right(name: &str) -> Option<u32> {
    let mut all = RIGHTS.iter().chain(&COMBINED_RIGHTS);
    let known = all.find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, mask)| *mask)
}

/// Writes a mask by the names of its bits, or in hex if a bit has no name.
pub(super) fn write_rights(f: &mut fmt::Formatter<'_>, rights: u32) -> fmt::Result {
    let named = RIGHTS.iter().fold(0, |all, (_, bit)| all | bit);
    if rights & !named != 0 {
        return write!(f, "{rights:#x}");
    }
    let given = RIGHTS.iter().filter(|(_, bit)| rights & bit != 0);
    given
        .map(|(name, _)| name)
        .try_for_each(|name| f.write_str(name))
}

/// Flags of an entry (MS-DTYP 2.4.4.1). `SA` and `FA` apply to auditing only.
const FLAGS: [(&str, u8); 8] = [
    ("OI", 0x01),
    ("CI", 0x02),
    ("NP", 0x04),
    ("IO", 0x08),
    ("ID", 0x10),
    ("CR", 0x20),
    ("SA", 0x40),
    ("FA", 0x80),
];

/// The bit for the name of a flag, compared ignoring case; `None` if the name is unknown.
pub(super) fn flag(name: &str) -> Option<u8> {
    let known = FLAGS
        .iter()
        .find(|(known, _)| known.eq_ignore_ascii_case(name));
    known.map(|(_, bit)| *bit)
}

pub(super) fn write_flags(f: &mut fmt::Formatter<'_>, flags: u8) -> fmt::Result {
    let given = FLAGS.iter().filter(|(_, bit)| flags & bit != 0);
    given
        .map(|(name, _)| name)
        .try_for_each(|name| f.write_str(name))
}
