//! The security identifiers (SIDs) that an authenticated host holds.

use super::{Effect, Trustee};
use crate::windows::sid::Sid;

/// SIDs that every account holds after a network logon with a ticket. The KDC does not put
/// them into the ticket; the server adds them (MS-KILE 3.3.5.7).
const IMPLIED: [Sid; 4] = [
    Sid::EVERYONE,
    Sid::NETWORK,
    Sid::AUTHENTICATED_USERS,
    Sid::THIS_ORGANIZATION,
];

/// A domain account and its groups.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Token {
    account: Option<Sid>,
    groups: Box<[Sid]>,
    deny_only: Box<[Sid]>,
}

impl Token {
    /// Creates a token from the account, its groups, and the groups that apply to deny
    /// entries only (`SE_GROUP_USE_FOR_DENY_ONLY`).
    #[must_use]
    pub fn new(account: Sid, groups: Vec<Sid>, deny_only: Vec<Sid>) -> Self {
        Self {
            account: Some(account),
            groups: groups.into(),
            deny_only: deny_only.into(),
        }
    }

    /// The token of a domain account whose SID and groups are unknown. It holds only the
    /// SIDs that every network logon implies.
    #[must_use]
    pub fn unknown() -> Self {
        Self::default()
    }

    /// The account's own SID; `None` if it is unknown.
    #[must_use]
    pub fn account(&self) -> Option<Sid> {
        self.account
    }

    /// The groups that the ticket contains, without those for deny entries only.
    #[must_use]
    pub fn groups(&self) -> &[Sid] {
        &self.groups
    }

    /// Lists all SIDs with their names, for the log.
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

    /// Whether the account is `trustee` or a member of it. Groups for deny entries only
    /// count if `effect` is [`Effect::Deny`].
    pub(super) fn is(&self, trustee: &Trustee, effect: Effect) -> bool {
        match trustee {
            Trustee::Sid(sid) => self.holds(*sid, effect),
            Trustee::Domain(rid) => {
                let domain = self.account.and_then(|account| account.domain());
                let group = domain.and_then(|domain| domain.with_rid(*rid));
                group.is_some_and(|group| self.holds(group, effect))
            }
            // Groups with these relative IDs exist only in the root domain of a forest.
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
