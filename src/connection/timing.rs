//! How long a connection waits for what.

use super::{Connection, Event, Form, Limits, Phase, Refusal, RefusalKind, Rules};
use crate::auth::Verdict;
use crate::clock::Now;
use crate::http::request::Progress;
use std::time::{Duration, Instant};

/// How long the last answer may take to be read before the connection is cut.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);

impl Connection {
    /// When [`Connection::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Instant> {
        if !self.outgoing.is_empty() {
            return Some(self.moved + limits.stall_time);
        }
        let patience = match (self.phase, self.decoder.progress()) {
            (Phase::Answering(_), _) => return None,
            (Phase::Asking(_), _) => limits.authentication_time,
            (Phase::Closed, _) => Duration::ZERO,
            (Phase::Closing | Phase::Lingering, _) => LINGER_TIME,
            (Phase::Open, Progress::Head) => {
                let began = self.head_began.unwrap_or(self.moved);
                return Some(began + limits.head_time);
            }
            (Phase::Open, Progress::Body) if self.established.is_none() => {
                // A stranger may not hold memory for longer by dripping.
                let stalled = self.moved + limits.stall_time;
                return Some(stalled.min(self.opened + limits.authentication_time));
            }
            (Phase::Open, Progress::Body) => limits.stall_time,
            (Phase::Open, Progress::Idle) if self.established.is_none() => {
                return Some(self.opened + limits.authentication_time);
            }
            (Phase::Open, Progress::Idle) => limits.idle_time,
        };
        Some(self.moved + patience)
    }

    /// Time has passed; calls too early are harmless.
    pub fn handle_timeout(&mut self, now: Now, rules: &Rules) -> Option<Event> {
        if self
            .poll_timeout(&rules.limits)
            .is_none_or(|at| now.monotonic < at)
        {
            return None;
        }
        if let Phase::Asking(form) = self.phase {
            // A later question of this connection must not get this one's verdict.
            self.phase = Phase::Asking(Form {
                keep_alive: false,
                ..form
            });
            let verdict = Verdict::Unavailable("no verdict in time".to_owned());
            return self.handle_verdict(now, verdict, rules);
        }
        let what = match (self.phase, self.decoder.progress()) {
            (Phase::Open, Progress::Head) => "the head of a request did not arrive in time",
            (Phase::Open, Progress::Body) => "the body of a request did not arrive in time",
            _ => "",
        };
        if what.is_empty() || !self.outgoing.is_empty() {
            self.phase = Phase::Closed;
            return None;
        }
        Some(self.refuse_and_close(now, Refusal::new(RefusalKind::Timeout, 408, what)))
    }
}
