//! Who may have a subscription, as Windows writes it: a security descriptor in the
//! security descriptor definition language (MS-DTYP 2.4.6, 2.5.1), and the decision
//! for one host.
//!
//! # The right that is asked for
//!
//! Windows' collector keeps a descriptor for each subscription, `O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)`
//! by default, and asks whether a host has access; all that its tools write is `GA`. Here an
//! entry concerns the right to subscribe if its mask has [`SUBSCRIBE`]: all generic rights,
//! generic read, or bit 0, which reads an object of any kind and stands in `FA`, `FR`, `KA` and
//! `KR`. Entries go in order, and the first that concerns the right and fits the host decides
//! (MS-DTYP 2.5.3.2).

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

/// The bits of a mask that let a host subscribe: `GA`, `GR` and bit 0.
pub const SUBSCRIBE: u32 = 0x9000_0001;

/// Applies only to what inherits it (`IO`), so not to a subscription.
const INHERIT_ONLY: u8 = 0x08;

/// Who may have something.
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
    /// Who owns it; only `OW` entries ask for that.
    pub owner: Option<Trustee>,
    /// The owner's group; without effect.
    pub group: Option<Trustee>,
    /// Who may do what; `None`, a null DACL, lets everyone do everything.
    pub dacl: Option<Acl>,
}

/// An access control list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Acl {
    /// `P`: nothing is inherited. Without effect here, as are the other two.
    pub protected: bool,
    /// `AR`: inheritance was asked for.
    pub inherit_required: bool,
    /// `AI`: has been inherited.
    pub inherited: bool,
    /// In the order in which they count.
    pub entries: Vec<Ace>,
}

/// Whether an entry gives or takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// `A`, `OA`.
    Allow,
    /// `D`, `OD`.
    Deny,
}

/// An access control entry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ace {
    /// Gives or takes.
    pub effect: Effect,
    /// Inheritance (MS-DTYP 2.4.4.1).
    pub flags: u8,
    /// Which rights (MS-DTYP 2.4.3).
    pub rights: u32,
    /// For an `OA` or `OD`: the part of an object that it is for, and the kind of
    /// object that inherits it.
    pub object: Option<(Option<Uuid>, Option<Uuid>)>,
    /// Whom it is for.
    pub trustee: Trustee,
}

impl Ace {
    /// Whether it says anything about the right to subscribe.
    ///
    /// Nobody asks for a part of a subscription, so an `OA` of one gives nothing, while
    /// an `OD` of one takes the whole.
    #[must_use]
    pub fn concerns_subscribing(&self) -> bool {
        let is_part = matches!(self.object, Some((Some(_), _)));
        self.rights & SUBSCRIBE != 0
            && self.flags & INHERIT_ONLY == 0
            && !(is_part && self.effect == Effect::Allow)
    }
}

/// What a descriptor says of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict<'a> {
    /// There is no list: everyone may.
    NoList,
    /// This entry lets it in.
    Allowed(&'a Ace),
    /// This entry keeps it out.
    Denied(&'a Ace),
    /// None of the entries is for it, which keeps it out.
    NotNamed,
}

impl Verdict<'_> {
    /// Whether the host may subscribe.
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
    /// Whether a host with this token may subscribe, and why.
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
