//! How fast a source has to be: what is awaited since when.
//!
//! All deadlines of a connection are computed here, from times that the caller passes in.
//! Sources that have authenticated (*known* ones) get more time than strangers, who could
//! otherwise hold memory at no cost.

use std::time::{Duration, Instant};

use super::Limits;
use crate::base::clock::Now;

/// How long the last answer may take to be read before the connection is cut.
pub(super) const LINGER_TIME: Duration = Duration::from_secs(2);
/// Slowest link for a stranger, in bytes per second. With NTLM a source's first batch, half a
/// megabyte or more, arrives before it has authenticated.
const SLOWEST: u64 = 8 << 10;
/// Maximum time for a stranger's body, however slow the link.
const LONGEST_BODY: Duration = Duration::from_secs(120);
/// Slowest link for an authenticated source, in bytes per second; a modem has five times as
/// much.
const SLOWEST_KNOWN: u64 = 1000;
/// How long an authenticated source may be slower: a link that is lost for a moment
/// recovers.
const KNOWN_PATIENCE: Duration = Duration::from_secs(10);

/// What is awaited.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The PROXY header of a load balancer.
    Proxy,
    /// That the source reads what is written.
    Reading,
    /// The domain's verdict about an account.
    Verdict,
    /// The head of a request.
    Head,
    /// The body of a request.
    Body,
    /// The next request.
    Request,
    /// That the source reads the last answer and closes.
    End,
    /// Nothing: the connection closes now.
    Nothing,
}

/// When what was received.
#[derive(Debug)]
pub(super) struct Pace {
    opened: Instant,
    /// How long a source may take to authenticate.
    patience: Duration,
    /// When a body has to be complete, or to have grown.
    body_due: Instant,
    /// Until when the source is excused, because it was not read.
    excused: Instant,
    /// Since when bytes may have been waiting unread.
    unread_since: Option<Instant>,
    /// When the first byte of the request being received arrived.
    request_began: Option<Instant>,
    /// The same for the request being handled.
    handled_began: Instant,
    /// When anything last changed or progressed.
    moved: Instant,
    /// When the first byte of a request's head arrived.
    head_began: Option<Instant>,
}

impl Pace {
    pub(super) fn new(now: Now, limits: &Limits) -> Self {
        Self {
            opened: now.monotonic,
            patience: limits.authentication_time,
            body_due: now.monotonic + limits.authentication_time,
            excused: now.monotonic,
            unread_since: None,
            request_began: None,
            handled_began: now.monotonic,
            moved: now.monotonic,
            head_began: None,
        }
    }

    /// Starts over, with the time of a new connection.
    pub(super) fn restart(&mut self, now: Now) {
        self.opened = now.monotonic;
        self.body_due = now.monotonic + self.patience;
    }

    /// Records progress.
    pub(super) fn note_move(&mut self, now: Now) {
        self.moved = now.monotonic;
    }

    /// Records whether the head of a request is being received.
    pub(super) fn note_head(&mut self, now: Now, is_head: bool) {
        if is_head {
            self.head_began.get_or_insert(now.monotonic);
        } else {
            self.head_began = None;
        }
    }

    /// The connection was not read in this period, though it may have sent something. What
    /// is received next counts from its start, or from the last progress.
    pub(super) fn note_unread(&mut self, since: Instant, until: Instant) {
        if self.moved < until {
            self.unread_since = Some(since.max(self.moved));
        }
        let since = since.max(self.excused);
        if since < until {
            self.body_due += until.duration_since(since);
            self.excused = until;
        }
    }

    /// A request starts; an authenticated source has its full time for each.
    fn give_time(&mut self, now: Now, is_known: bool) {
        if is_known {
            self.body_due = now.monotonic + KNOWN_PATIENCE;
            self.excused = now.monotonic;
        }
    }

    /// The slowest permitted rate of a body in bytes per second, and for how long it may be
    /// slower.
    fn slowest(&self, is_known: bool) -> (u64, Duration) {
        if is_known {
            (SLOWEST_KNOWN, KNOWN_PATIENCE)
        } else {
            (SLOWEST, self.patience)
        }
    }

    /// Records bytes of a body. They extend its deadline by the time that they take on the
    /// slowest link, and none of that can be saved up: neither dripping nor pausing can
    /// hold memory.
    pub(super) fn note_arrival(&mut self, now: Now, count: usize, is_known: bool) {
        let began = self.unread_since.take().unwrap_or(now.monotonic);
        if self.request_began.is_none() {
            self.request_began = Some(began);
            self.give_time(now, is_known);
        }
        let (pace, patience) = self.slowest(is_known);
        let count = u64::try_from(count).unwrap_or(u64::MAX);
        let millis = count.saturating_mul(1000) / pace;
        let due = self.body_due + Duration::from_millis(millis);
        self.body_due = due.min(now.monotonic + patience);
    }

    /// A request is complete; `has_more` is whether another one has started after it.
    pub(super) fn note_request(&mut self, now: Now, has_more: bool, is_known: bool) {
        self.head_began = None;
        self.moved = now.monotonic;
        self.handled_began = self.request_began.take().unwrap_or(now.monotonic);
        if has_more {
            self.request_began = Some(now.monotonic);
            self.give_time(now, is_known);
        }
    }

    /// When the first byte of the request being handled arrived.
    pub(super) fn handled_began(&self) -> Instant {
        self.handled_began
    }

    /// When the wait ends.
    pub(super) fn due(&self, wait: Wait, limits: &Limits, is_known: bool) -> Instant {
        match wait {
            Wait::Proxy => self.opened + limits.head_time,
            Wait::Reading => self.moved + limits.stall_time,
            Wait::Verdict => self.moved + limits.authentication_time,
            Wait::Head => self.head_began.unwrap_or(self.moved) + limits.head_time,
            Wait::Body if is_known => self.body_due,
            Wait::Body => {
                let longest = limits.authentication_time.max(LONGEST_BODY);
                self.body_due.min(self.opened + longest)
            }
            Wait::Request if is_known => self.moved + limits.idle_time,
            Wait::Request => self.opened + limits.authentication_time,
            Wait::End => self.moved + LINGER_TIME,
            Wait::Nothing => self.moved,
        }
    }

    /// Whether the body being received has been too slow for this long.
    pub(super) fn is_behind(&self, now: Now, time: Duration, is_known: bool) -> bool {
        let (_, patience) = self.slowest(is_known);
        self.body_due + time <= now.monotonic + patience
    }

    /// Whether there has been no progress for this long.
    pub(super) fn is_still_for(&self, now: Now, time: Duration) -> bool {
        self.moved + time <= now.monotonic
    }

    /// How long it has been open, or without an identity.
    pub(super) fn age(&self, now: Now) -> Duration {
        now.monotonic.saturating_duration_since(self.opened)
    }
}
