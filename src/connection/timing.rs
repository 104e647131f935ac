//! How long a connection waits for what.

use super::{Connection, Event, Form, Limits, Phase, Refusal, RefusalKind, Rules};
use crate::auth::Verdict;
use crate::clock::Now;
use crate::http::request::Progress;
use std::time::{Duration, Instant};

/// How long the last answer may take to be read before the connection is cut.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);
/// Bytes a second of the slowest link: with NTLM a source's first batch comes before it
/// is authenticated, half a megabyte or more, and may take its time.
const SLOWEST: u64 = 8 << 10;
/// However slow the link, a stranger holds no memory for longer.
const LONGEST_BODY: Duration = Duration::from_secs(120);

impl Connection {
    /// When [`Connection::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self, limits: &Limits) -> Option<Instant> {
        if let Some(due) = self.proxy_due(limits) {
            return Some(due);
        }
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
                let longest = limits.authentication_time.max(LONGEST_BODY);
                return Some(self.body_due.min(self.opened + longest));
            }
            (Phase::Open, Progress::Body) => limits.stall_time,
            (Phase::Open, Progress::Idle) if self.established.is_none() => {
                return Some(self.opened + limits.authentication_time);
            }
            (Phase::Open, Progress::Idle) => limits.idle_time,
        };
        Some(self.moved + patience)
    }

    /// The connection was not read since then, though it may have sent something: what
    /// is received next counts from there, or from when it last moved.
    pub fn note_unread(&mut self, since: Instant, until: Instant) {
        if self.moved < until {
            self.unread_since = Some(since.max(self.moved));
        }
    }

    /// Bytes come. Each gives a stranger's body the time that it takes on the slowest
    /// link, none of it saved for later: neither dripping nor pausing holds memory.
    pub(super) fn note_arrival(&mut self, now: Now, count: usize) {
        let began = self.unread_since.take().unwrap_or(now.monotonic);
        self.request_began.get_or_insert(began);
        if self.established.is_none() {
            let millis = u64::try_from(count).unwrap_or(u64::MAX) * 1000 / SLOWEST;
            let due = self.body_due + Duration::from_millis(millis);
            self.body_due = due.min(now.monotonic + self.patience);
        }
    }

    /// Time has passed; calls too early are harmless.
    pub fn handle_timeout(&mut self, now: Now, rules: &Rules) -> Option<Event> {
        if self
            .poll_timeout(&rules.limits)
            .is_none_or(|at| now.monotonic < at)
        {
            return None;
        }
        if self.proxy_due(&rules.limits).is_some() {
            return Some(self.give_up_proxy());
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
