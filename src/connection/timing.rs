//! How long a connection waits for what.

use std::time::{Duration, Instant};

use super::{Connection, Event, Form, Limits, Phase, Refusal, RefusalKind, Rules};
use crate::auth::Verdict;
use crate::base::clock::Now;
use crate::protocol::http::request::Progress;

/// How long the last answer may take to be read before the connection is cut.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);
/// Bytes a second of the slowest link: with NTLM a source's first batch comes before it
/// is authenticated, half a megabyte or more, and may take its time.
const SLOWEST: u64 = 8 << 10;
/// However slow the link, a stranger holds no memory for longer.
const LONGEST_BODY: Duration = Duration::from_secs(120);
/// Bytes a second of the slowest source that is let in: a modem sends five times that.
const SLOWEST_KNOWN: u64 = 1000;
/// How long such a source may send less: a link that is lost for a moment comes back.
const KNOWN_PATIENCE: Duration = Duration::from_secs(10);

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
            (Phase::Open, Progress::Body) => return Some(self.body_due),
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
        let since = since.max(self.excused);
        if since < until {
            self.body_due += until.duration_since(since);
            self.excused = until;
        }
    }

    /// A request begins: a source that is let in has its time for each.
    pub(super) fn give_time(&mut self, now: Now) {
        if self.established.is_some() {
            self.body_due = now.monotonic + KNOWN_PATIENCE;
            self.excused = now.monotonic;
        }
    }

    /// The slowest pace of a body in bytes a second, and for how long it may be slower.
    fn pace(&self) -> (u64, Duration) {
        match self.established {
            None => (SLOWEST, self.patience),
            Some(_) => (SLOWEST_KNOWN, KNOWN_PATIENCE),
        }
    }

    /// Bytes come. Each gives the body the time that it takes on the slowest link, none
    /// of it saved for later: neither dripping nor pausing holds memory.
    pub(super) fn note_arrival(&mut self, now: Now, count: usize) {
        let began = self.unread_since.take().unwrap_or(now.monotonic);
        if self.request_began.is_none() {
            self.request_began = Some(began);
            self.give_time(now);
        }
        let (pace, patience) = self.pace();
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let millis = count.saturating_mul(1000) / pace;
        let due = self.body_due + Duration::from_millis(millis);
        self.body_due = due.min(now.monotonic + patience);
    }

    /// Whether the body that comes has been slower than it may be for so long.
    #[must_use]
    pub fn is_behind(&self, now: Now, time: Duration) -> bool {
        let (_, patience) = self.pace();
        matches!(self.phase, Phase::Open)
            && self.decoder.progress() == Progress::Body
            && self.body_due + time <= now.monotonic + patience
    }

    /// Whether it has waited for so long for a request.
    #[must_use]
    pub fn is_idle_for(&self, now: Now, time: Duration) -> bool {
        matches!(self.phase, Phase::Open)
            && self.decoder.progress() == Progress::Idle
            && self.outgoing.is_empty()
            && self.moved + time <= now.monotonic
    }

    /// How long it has been open, or without an identity.
    #[must_use]
    pub fn age(&self, now: Now) -> Duration {
        now.monotonic.saturating_duration_since(self.opened)
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
            let verdict = Verdict::Unavailable("not verified in time".to_owned());
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
