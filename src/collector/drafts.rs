//! Cache of formatted subscriptions. Most hosts use the same address of the relay and the
//! same authentication method, and formatting costs far more than the rest of the answer.

use std::collections::HashMap;
use std::rc::Rc;

use crate::protocol::wsman::{Draft, Policy, Subscription};

/// Maximum size of the cache in bytes. It needs a limit, because hosts choose the address
/// that they use.
const MOST: usize = 8 << 20;

/// What has been formatted under the current settings.
#[derive(Debug, Default)]
pub(super) struct Drafts {
    /// By address and authentication method, then by index of the subscription.
    written: HashMap<(Rc<str>, Policy), HashMap<usize, Rc<Draft>>>,
    held: usize,
}

impl Drafts {
    /// The subscription at this index in the settings, formatted.
    pub(super) fn get(
        &mut self,
        place: usize,
        subscription: &Subscription,
        (base, policy): (&Rc<str>, &Policy),
    ) -> Rc<Draft> {
        let way = (Rc::clone(base), policy.clone());
        let known = self.written.get(&way).and_then(|all| all.get(&place));
        if let Some(known) = known {
            return Rc::clone(known);
        }
        let url = format!("{base}/wsman/subscriptions/{}", subscription.id());
        let draft = Rc::new(Draft::new(subscription, &url, policy));
        self.held = self.held.saturating_add(draft.held());
        if self.held > MOST {
            self.written.clear();
            self.held = draft.held();
        }
        let all = self.written.entry(way).or_default();
        all.insert(place, Rc::clone(&draft));
        draft
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::wsman::{ContentFormat, Profile};

    fn policy(issuer: &str) -> Policy {
        let issuer_thumbprints = vec![issuer.to_owned()];
        Policy {
            profiles: vec![Profile::HttpsMutual { issuer_thumbprints }],
        }
    }

    #[test]
    fn hosts_that_come_the_same_way_share_what_is_written() {
        let mut drafts = Drafts::default();
        let subscription = Subscription::quick(&[], ContentFormat::Events);
        let (here, there): (Rc<str>, Rc<str>) = ("https://here".into(), "https://there".into());
        let (one, two) = (policy("AA"), policy("BB"));
        let mut get = |base, policy| drafts.get(0, &subscription, (base, policy));
        let first = get(&here, &one);
        assert!(Rc::ptr_eq(&first, &get(&here, &one)));
        for (base, policy) in [(&there, &one), (&here, &two)] {
            let other = get(base, policy);
            assert_ne!(first, other);
            let url = format!("{base}/wsman/subscriptions/{}", subscription.id());
            assert_eq!(*other, Draft::new(&subscription, &url, policy));
        }
    }

    #[test]
    fn there_is_a_bound() {
        let mut drafts = Drafts::default();
        let query = "x".repeat(1 << 20);
        let subscription = Subscription::new("large", &query, ContentFormat::Events);
        for number in 0..20 {
            let base: Rc<str> = format!("https://{number}").into();
            drafts.get(0, &subscription, (&base, &policy("AA")));
            let held = drafts.written.values().flat_map(HashMap::values);
            assert_eq!(held.map(|draft| draft.held()).sum::<usize>(), drafts.held);
            assert!(drafts.held <= MOST);
        }
    }
}
