//! Describes a security descriptor in words.

use super::{Ace, Effect, SecurityDescriptor};

impl SecurityDescriptor {
    /// Describes which hosts may subscribe.
    ///
    /// ```
    /// use wecrelay::windows::sddl::SecurityDescriptor;
    /// let access: SecurityDescriptor = "O:NSG:NSD:(A;;GA;;;DC)".parse()?;
    /// assert_eq!(
    ///     access.explain(),
    ///     "members of Domain Computers of the host's own domain may subscribe; no other"
    /// );
    /// # Ok::<(), wecrelay::windows::sddl::Error>(())
    /// ```
    #[must_use]
    pub fn explain(&self) -> String {
        let Some(acl) = &self.dacl else {
            return "every host can subscribe: there is no access list".to_owned();
        };
        let (concern, idle): (Vec<_>, Vec<_>) = acl
            .entries
            .iter()
            .partition(|ace| ace.concerns_subscribing());
        let mut sentences = sentences(&concern);
        sentences.push(if sentences.is_empty() {
            "no host can subscribe".to_owned()
        } else {
            "no other".to_owned()
        });
        let effects = |effect| concern.iter().any(|ace| ace.effect == effect);
        let order = if effects(Effect::Allow) && effects(Effect::Deny) {
            "the first match counts: "
        } else {
            ""
        };
        let idle = idle
            .iter()
            .map(|ace| format!("{ace} does not apply to subscribing"));
        sentences.extend(idle);
        format!("{order}{}", sentences.join("; "))
    }

    /// Whether no entry allows subscribing, so that no host can.
    #[must_use]
    pub fn is_for_nobody(&self) -> bool {
        let lets_in = |ace: &Ace| ace.effect == Effect::Allow && ace.concerns_subscribing();
        let acl = self.dacl.as_ref();
        acl.is_some_and(|acl| !acl.entries.iter().any(lets_in))
    }
}

/// One sentence for each run of consecutive entries with the same effect.
fn sentences(entries: &[&Ace]) -> Vec<String> {
    let runs = entries.chunk_by(|a, b| a.effect == b.effect);
    let sentence = |run: &[&Ace]| {
        let who: Vec<_> = run.iter().map(|ace| ace.trustee.describe()).collect();
        let may = match run.first().map(|ace| ace.effect) {
            Some(Effect::Deny) => "may not subscribe",
            _ => "may subscribe",
        };
        format!("{} {may}", who.join(", "))
    };
    runs.map(sentence).collect()
}
