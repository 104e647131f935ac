//! Authentication across connections: failed passwords, questions to the domain, and how
//! rejections are logged.

use std::net::IpAddr;

use super::guesses::{Guess, Guesses, Leave};
use super::refusal_log::RefusalLog;
use super::{ConnId, neighbourhood};
use crate::auth::{Identity, Verdict};
use crate::base::clock::Now;
use crate::connection::{Refusal, RefusalKind};
use crate::metrics::{Counters, Outcome};

/// Failures, and pending questions.
pub(super) struct Admission {
    guesses: Guesses,
    log: RefusalLog,
    /// Accounts of the domain cannot be verified, and that has been logged.
    is_domain_failing: bool,
    counters: Counters,
}

impl Admission {
    pub(super) fn new(now: Now) -> Self {
        Self {
            guesses: Guesses::new(now),
            log: RefusalLog::default(),
            is_domain_failing: false,
            counters: Counters::default(),
        }
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether attempts at this account from this address are answered without verifying
    /// them, so that a guesser learns nothing.
    pub(super) fn is_held(&self, account: &str, address: IpAddr) -> bool {
        let guess = Guess::new(account, neighbourhood(address));
        self.guesses.is_held(&guess)
    }

    /// A source has authenticated.
    pub(super) fn note_accepted(&mut self, identity: &Identity, address: IpAddr) {
        let method = identity.method.as_str();
        self.counters.note_authentication(method, Outcome::Accepted);
        log::debug!("host {address}: {identity}");
        if identity.method.is_by_password() {
            let guess = Guess::new(&identity.name, neighbourhood(address));
            self.guesses.prove(guess);
        }
    }

    /// A request has been rejected.
    pub(super) fn note_refusal(&mut self, now: Now, address: IpAddr, refusal: &Refusal) {
        self.counters.note_refusal(refusal.kind);
        if let Some(method) = refusal.method {
            let outcome = match refusal.kind {
                RefusalKind::Domain => Outcome::Unavailable,
                _ => Outcome::Refused,
            };
            self.counters.note_authentication(method, outcome);
        }
        if let Some(account) = &refusal.tried
            && refusal.kind == RefusalKind::Authentication
        {
            let guess = Guess::new(account, neighbourhood(address));
            self.guesses.fail(&guess);
        }
        match refusal.kind {
            // One line has been logged for all sources.
            RefusalKind::Domain => log::debug!("host {address}: {}", refusal.reason),
            _ => self.log.warn(now, address, refusal),
        }
    }

    /// Whether the domain may be asked about an account of this connection now. If not now,
    /// [`Admission::next`] returns the connection later.
    pub(super) fn ask(&mut self, id: ConnId, account: &str, address: IpAddr) -> Leave {
        let guess = Guess::new(account, neighbourhood(address));
        self.guesses.ask(id, guess)
    }

    /// A connection that waited for others and need not wait any longer.
    pub(super) fn next(&mut self) -> Option<(ConnId, Leave)> {
        self.guesses.next()
    }

    /// There will be no answer about this connection.
    pub(super) fn answered(&mut self, id: ConnId) {
        self.guesses.answered(id);
    }

    /// The domain has answered.
    pub(super) fn note_verdict(&mut self, id: ConnId, verdict: &Verdict) {
        self.note_domain(verdict);
        self.guesses.answered(id);
    }

    /// The same after the connection has closed: closing it must not avoid being counted.
    pub(super) fn note_late_verdict(&mut self, id: ConnId, verdict: &Verdict) {
        self.note_domain(verdict);
        let asked = self.guesses.answered(id);
        if let (Verdict::Refused(_), Some(guess)) = (verdict, asked) {
            self.guesses.fail(&guess);
        }
    }

    /// Logs an outage of the domain once for all sources.
    fn note_domain(&mut self, verdict: &Verdict) {
        match verdict {
            Verdict::Unavailable(why) => {
                if !std::mem::replace(&mut self.is_domain_failing, true) {
                    log::error!(
                        "accounts of the domain cannot be verified: {why}; their hosts get 401 and \
                         retry (test with `wbinfo -P`)"
                    );
                }
            }
            Verdict::Proven(_) | Verdict::Refused(_) => {
                if std::mem::take(&mut self.is_domain_failing) {
                    log::info!("accounts of the domain are verified again");
                }
            }
        }
    }

    /// A connection has closed, so it need not be asked about.
    pub(super) fn forget(&mut self, id: ConnId) {
        self.guesses.forget(id);
    }

    /// Forgets old failures.
    pub(super) fn sweep(&mut self, now: Now) {
        self.guesses.sweep(now);
        self.log.sweep(now);
    }
}
