//! Accounts that only their domain can verify.

use super::connections::neighbourhood;
use super::guesses::{Guess, Leave};
use super::{Collector, ConnId, Output};
use crate::auth::Verdict;
use crate::base::clock::Now;
use crate::connection::Event;
use crate::protocol::ntlm::Question;

impl Collector {
    /// What the domain is to be asked of a source; none if the source has gone.
    #[must_use]
    pub fn question(&self, id: ConnId) -> Option<Question> {
        self.connections.get(&id)?.connection.question()
    }

    /// Asks, unless there were too many failures, or too many questions are under way.
    pub(super) fn ask(&mut self, now: Now, id: ConnId) {
        if let Some(slot) = self.connections.get(&id)
            && let Some(question) = slot.connection.question()
        {
            let address = neighbourhood(slot.connection.address());
            let leave = self.guesses.ask(id, Guess::new(&question.user, address));
            self.take_leave(now, id, leave);
        }
    }

    /// Asks about those that have waited for others and need not any more.
    pub(super) fn ask_waiting(&mut self, now: Now) {
        while let Some((id, leave)) = self.guesses.next() {
            self.take_leave(now, id, leave);
        }
    }

    fn take_leave(&mut self, now: Now, id: ConnId, leave: Leave) {
        match leave {
            Leave::Granted => self.outputs.push_back(Output::Ask(id)),
            Leave::Waiting => {}
            Leave::Held => {
                let slot = self.connections.get_mut(&id);
                let event = slot.and_then(|slot| slot.connection.hold_back(now));
                if let Some(Event::Refused(refusal)) = event {
                    self.note_refusal(now, id, &refusal);
                }
                self.settle(now, id);
            }
        }
    }

    pub(super) fn handle_judged(&mut self, now: Now, id: ConnId, verdict: &Verdict) {
        self.note_domain(verdict);
        let asked = self.guesses.answered(id);
        if let Some(slot) = self.connections.get_mut(&id) {
            let rules = &self.settings.rules;
            if let Some(event) = slot.connection.handle_verdict(now, verdict.clone(), rules) {
                self.handle_event(now, id, event);
            }
            self.advance(now, id);
        } else if let (Verdict::Refused(_), Some(guess)) = (verdict, asked) {
            // Whoever guesses need not wait for the answer to have it counted.
            self.guesses.fail(&guess);
        }
        self.ask_waiting(now);
    }

    /// An outage is one line for all sources.
    fn note_domain(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Unavailable(why) => {
                if !std::mem::replace(&mut self.domain_failing, true) {
                    log::error!(
                        "accounts of the domain cannot be verified: {why}; their hosts get 401 and \
                         retry (test with `wbinfo -P`)"
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
