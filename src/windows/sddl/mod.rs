//! Access control of subscriptions as Windows stores it: a security descriptor in the
//! security descriptor definition language (SDDL; MS-DTYP 2.4.6, 2.5.1), and the access
//! decision for a host.
//!
//! # The right to subscribe
//!
//! Windows' collector keeps a descriptor for each subscription, by default
//! `O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)`, and checks whether a host has access. Microsoft's
//! tools write only `GA`. Here an entry applies to subscribing if its mask contains a bit
//! of [`SUBSCRIBE`]: generic all, generic read, or bit 0, which is the right to read a file
//! or query a registry key and thus part of `FA`, `FR`, `KA`, and `KR`. Entries are evaluated
//! in order, and the first that applies to subscribing and matches the host decides (MS-DTYP
//! 2.5.3.2).

mod explain;
mod names;
mod parse;
mod token;

use std::fmt::{self, Write};

use uuid::Uuid;

use crate::windows::sid::Sid;

pub use self::names::Trustee;
pub use self::parse::{Error, MAX_LENGTH, Reason};
pub use self::token::Token;

/// The bits of an access mask that allow subscribing: `GA`, `GR`, and bit 0.
pub const SUBSCRIBE: u32 = 0x9000_0001;

/// The flag `IO`: the entry applies only to objects that inherit it, and thus not to the
/// subscription itself.
const INHERIT_ONLY: u8 = 0x08;

/// A security descriptor without its audit list (SACL), which has no effect on access.
///
/// ```
/// use wecrelay::windows::sddl::{SecurityDescriptor, Token};
/// let access: SecurityDescriptor = "O:NSG:NSD:(D;;GA;;;S-1-5-21-1-2-3-1106)(A;;GA;;;DC)".parse()?;
/// let sid = |text: &str| text.parse().unwrap();
/// let computers = sid("S-1-5-21-1-2-3-515");
/// let host = Token::new(sid("S-1-5-21-1-2-3-1102"), vec![computers], vec![]);
/// assert!(access.decide(&host).allows());
/// let banned = Token::new(sid("S-1-5-21-1-2-3-1106"), vec![computers], vec![]);
/// assert!(!access.decide(&banned).allows());
/// # Ok::<(), wecrelay::windows::sddl::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SecurityDescriptor {
    /// The owner. Only entries for `OW` (owner rights) use it.
    pub owner: Option<Trustee>,
    /// The owner's group, which has no effect.
    pub group: Option<Trustee>,
    /// The access control list. `None` is a null DACL, which allows everyone everything.
    pub dacl: Option<Acl>,
}

/// An access control list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// `P`: the list inherits no entries. No effect here, like the other two flags.
    pub protected: bool,
    /// `AR`: inheritance was requested.
    pub inherit_required: bool,
    /// `AI`: the list contains inherited entries.
    pub inherited: bool,
    /// The entries in evaluation order.
    pub entries: Vec<Ace>,
}

/// Whether an entry grants or denies rights.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Kinds `A` and `OA`.
    Allow,
    /// Kinds `D` and `OD`.
    Deny,
}

/// An access control entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ace {
    /// Whether the entry grants or denies.
    pub effect: Effect,
    /// Inheritance flags (MS-DTYP 2.4.4.1).
    pub flags: u8,
    /// The access mask (MS-DTYP 2.4.3).
    pub rights: u32,
    /// For kinds `OA` and `OD`: the GUID of the part of an object to which the entry
    /// applies, and the GUID of the kind of object that inherits it.
    pub object: Option<(Option<Uuid>, Option<Uuid>)>,
    /// The account or group to which the entry applies.
    pub trustee: Trustee,
}

impl Ace {
    /// Whether the entry applies to the right to subscribe.
    ///
    /// Access is always requested for a subscription as a whole. Therefore an `OA` entry
    /// for a part grants nothing, while an `OD` entry for a part denies the whole.
    #[must_use]
    pub fn concerns_subscribing(&self) -> bool {
        let is_part = matches!(self.object, Some((Some(_), _)));
        self.rights & SUBSCRIBE != 0
            && self.flags & INHERIT_ONLY == 0
            && !(is_part && self.effect == Effect::Allow)
    }
}

/// The access decision for a host, and its reason.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// There is no access control list: every host is allowed.
    NoList,
    /// This entry allows the host.
    Allowed(&'a Ace),
    /// This entry denies the host.
    Denied(&'a Ace),
    /// No entry matches the host, which is therefore denied.
    NotNamed,
}

impl Verdict<'_> {
    /// Whether the host is allowed to subscribe.
    #[must_use]
    pub fn allows(&self) -> bool {
        matches!(self, Self::NoList | Self::Allowed(_))
    }
}

impl fmt::Display for Verdict<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoList => write!(f, "there is no list, so every host is allowed"),
            Self::Allowed(ace) => write!(f, "{ace} allows {}", ace.trustee.describe()),
            Self::Denied(ace) => write!(f, "{ace} denies {}", ace.trustee.describe()),
            Self::NotNamed => write!(f, "none of its SIDs is allowed"),
        }
    }
}

impl SecurityDescriptor {
    /// Decides whether a host with this token may subscribe.
    #[must_use]
    pub fn decide(&self, token: &Token) -> Verdict<'_> {
        let Some(acl) = &self.dacl else {
            return Verdict::NoList;
        };
        let concern = acl.entries.iter().filter(|ace| ace.concerns_subscribing());
        for ace in concern {
            let fits = self.is_for(ace, token);
            match ace.effect {
                Effect::Allow if fits => return Verdict::Allowed(ace),
                Effect::Deny if fits => return Verdict::Denied(ace),
                _ => {}
            }
        }
        Verdict::NotNamed
    }

    fn is_for(&self, ace: &Ace, token: &Token) -> bool {
        let effect = ace.effect;
        match ace.trustee {
            Trustee::Sid(Sid::OWNER_RIGHTS) => self
                .owner
                .as_ref()
                .is_some_and(|owner| token.is(owner, effect)),
            ref trustee => token.is(trustee, effect),
        }
    }
}

impl fmt::Display for SecurityDescriptor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(owner) = &self.owner {
            write!(f, "O:{owner}")?;
        }
        if let Some(group) = &self.group {
            write!(f, "G:{group}")?;
        }
        match &self.dacl {
            None => f.write_str("D:NO_ACCESS_CONTROL"),
            Some(acl) => write!(f, "D:{acl}"),
        }
    }
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let flags = [
            (self.protected, "P"),
            (self.inherit_required, "AR"),
            (self.inherited, "AI"),
        ];
        for (_, name) in flags.iter().filter(|(is_set, _)| *is_set) {
            f.write_str(name)?;
        }
        self.entries.iter().try_for_each(|ace| write!(f, "{ace}"))
    }
}

impl fmt::Display for Ace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('(')?;
        if self.object.is_some() {
            f.write_char('O')?;
        }
        f.write_str(match self.effect {
            Effect::Allow => "A;",
            Effect::Deny => "D;",
        })?;
        names::write_flags(f, self.flags)?;
        f.write_char(';')?;
        names::write_rights(f, self.rights)?;
        let (object, inherited) = self.object.unwrap_or_default();
        for guid in [object, inherited] {
            f.write_char(';')?;
            if let Some(guid) = guid {
                write!(f, "{guid}")?;
            }
        }
        write!(f, ";{})", self.trustee)
    }
}

#[cfg(test)]
mod tests;
