//! Which Kerberos principals are admitted: machines, and those that a flag names.

use crate::auth::{Identity, Subject};
use crate::protocol::wsman::subscribe;

/// Principals that are admitted besides machines.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrincipalRule {
    /// Names of principals, as patterns with `*` and `?`.
    pub patterns: Vec<String>,
    /// Realms all of whose principals are admitted.
    pub realms: Vec<String>,
}

impl PrincipalRule {
    /// Whether this source may have subscriptions without a list of accounts.
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
