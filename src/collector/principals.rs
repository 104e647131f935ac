//! Who comes in with a Kerberos ticket: machines, and whom a flag names.

use crate::auth::{Identity, Subject};
use crate::protocol::wsman::subscribe;

/// Who comes with a ticket beside machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalRule {
    /// Names of principals, with `*` and `?`.
    pub patterns: Vec<String>,
    /// Realms of which everybody may come.
    pub realms: Vec<String>,
}

impl PrincipalRule {
    /// Whether this source may have subscriptions that have no list of accounts.
    pub(super) fn admits(&self, identity: &Identity) -> bool {
        let Subject::Principal { realm, .. } = &identity.subject else {
            return true;
        };
        let is_named = |pattern: &String| subscribe::matches(pattern, &identity.name);
        identity.is_machine
            || self.patterns.iter().any(is_named)
            || self
                .realms
                .iter()
                .any(|known| known.eq_ignore_ascii_case(realm))
    }
}
