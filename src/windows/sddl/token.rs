//! What a host has proven about itself, in SIDs.

use super::{Effect, Trustee};
use crate::windows::sid::Sid;

/// What each account that came over the network with a ticket holds as well
/// (MS-KILE 3.3.5.7 leaves them to the server).
const IMPLIED: [Sid; 4] = [
    Sid::EVERYONE,
    Sid::NETWORK,
    Sid::AUTHENTICATED_USERS,
    Sid::THIS_ORGANIZATION,
];

/// An account of a domain and the groups it is in.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    account: Option<Sid>,
    groups: Box<[Sid]>,
    deny_only: Box<[Sid]>,
}

impl Token {
    /// An account with its groups, and those that count only to keep it out
    /// (`SE_GROUP_USE_FOR_DENY_ONLY`).
    #[must_use]
    pub fn new(account: Sid, groups: Vec<Sid>, deny_only: Vec<Sid>) -> Self {
        Self {
            account: Some(account),
            groups: groups.into(),
            deny_only: deny_only.into(),
        }
    }

    /// A domain account of which neither its SID nor its groups are known: it has
    /// authenticated, over the network, and that is all.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The account's own SID, if it is known.
    #[must_use]
    pub fn account(&self) -> Option<Sid> {
        self.account
    }

    /// Its groups, as far as its ticket names them.
    #[must_use]
    pub fn groups(&self) -> &[Sid] {
        &self.groups
    }

    /// All its SIDs with their names, for the log.
    #[must_use]
    pub fn describe(&self) -> String {
        let Some(account) = self.account else {
            return "account and groups unknown".to_owned();
        };
        let known = self.groups.iter().chain(&self.deny_only);
        let groups: Vec<_> = known.map(Sid::describe).collect();
        if groups.is_empty() {
            format!("account {account}, in no group")
        } else {
            format!("account {account}, in {}", groups.join(", "))
        }
    }

    /// Whether it is who `trustee` names, or a member.
    pub(super) fn is(&self, trustee: &Trustee, effect: Effect) -> bool {
        match trustee {
            Trustee::Sid(sid) => self.holds(*sid, effect),
            Trustee::Domain(rid) => {
                let domain = self.account.and_then(|account| account.domain());
                let group = domain.and_then(|domain| domain.with_rid(*rid));
                group.is_some_and(|group| self.holds(group, effect))
            }
            // Only the root of a forest has groups with these numbers.
            Trustee::Forest(rid) => self
                .held(effect)
                .any(|sid| sid.split().is_some_and(|(_, own)| own == *rid)),
            Trustee::Collector(_) => false,
        }
    }

    fn holds(&self, sid: Sid, effect: Effect) -> bool {
        self.held(effect).chain(&IMPLIED).any(|own| *own == sid)
    }

    fn held(&self, effect: Effect) -> impl Iterator<Item = &Sid> {
        let deny_only = match effect {
            Effect::Allow => &[],
            Effect::Deny => &*self.deny_only,
        };
        self.account.iter().chain(&self.groups).chain(deny_only)
    }
}
