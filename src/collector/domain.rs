//! Accounts that only their domain can verify.

use super::connections::neighbourhood;
use super::{Collector, ConnId, Output};
use crate::auth::Verdict;
use crate::clock::Now;
use crate::ntlm::Question;
use crate::store::Store;

impl Collector {
    /// What the domain is to be asked of a source; none if the source has gone.
    #[must_use]
    pub fn question(&self, id: ConnId) -> Option<Question> {
        self.connections.get(&id)?.connection.question()
    }

    pub(super) fn ask(&mut self, id: ConnId) {
        if let Some(slot) = self.connections.get(&id) {
            self.asked.insert(id, slot.connection.address());
            self.outputs.push_back(Output::Ask(id));
        }
    }

    pub(super) fn handle_judged(
        &mut self,
        now: Now,
        id: ConnId,
        verdict: &Verdict,
        store: &mut dyn Store,
    ) {
        self.note_domain(verdict);
        let asked = self.asked.remove(&id);
        if let (Verdict::Refused(_), Some(address)) = (verdict, asked)
            && !self.connections.contains_key(&id)
        {
            // Whoever guesses need not wait for the answer to have it counted.
            *self.failures.entry(neighbourhood(address)).or_default() += 1;
        }
        let Some(slot) = self.connections.get_mut(&id) else {
            return;
        };
        let rules = &self.settings.rules;
        if let Some(event) = slot.connection.handle_verdict(now, verdict.clone(), rules) {
            self.handle_event(now, id, event, store);
        }
        self.advance(now, id, store);
    }

    /// An outage is one line for all sources.
    fn note_domain(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Unavailable(why) => {
                if !std::mem::replace(&mut self.domain_failing, true) {
                    log::error!(
                        "accounts of the domain cannot be verified: {why}; their hosts get 401 and \
                         come again by themselves (look with `wbinfo -P`)"
                    );
                }
            }
            Verdict::Proven(_) | Verdict::Refused(_) => {
                if std::mem::take(&mut self.domain_failing) {
                    log::info!("accounts of the domain are verified again");
                }
            }
        }
    }
}
