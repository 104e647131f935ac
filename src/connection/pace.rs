//! How fast a source has to be: since when it is waited for what.

use std::time::{Duration, Instant};

use super::Limits;
use crate::base::clock::Now;

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

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wait {
    /// The PROXY header of a load balancer.
    Proxy,
    /// That the source reads what is written.
    Reading,
    /// That the domain says something of an account.
    Verdict,
    /// The head of a request.
    Head,
    /// The body of a request.
    Body,
    /// The next request.
    Request,
    /// That the source reads the last answer and closes.
    End,
    /// Nothing: it is closed now.
    Nothing,
}

/// When what came. A source that is let in is *known*; others have less time.
#[derive(Debug)]
pub(super) struct Pace {
    opened: Instant,
    /// How long a source may take to be authenticated.
    patience: Duration,
    /// When a source has to be done with its body, or to have sent more of it.
    body_due: Instant,
    /// Up to when it was given time because we did not read.
    excused: Instant,
    /// Since when bytes may have lain unread.
    unread_since: Option<Instant>,
    /// When the first byte came of the request that is read.
    request_began: Option<Instant>,
    /// The same for the request that is handled.
    handled_began: Instant,
    /// When the phase, or what is being read, last changed or moved.
    moved: Instant,
    /// When the first byte of a request's head came.
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

    /// It starts over, with the time of a new connection.
    pub(super) fn restart(&mut self, now: Now) {
        self.opened = now.monotonic;
        self.body_due = now.monotonic + self.patience;
    }

    /// Something has moved.
    pub(super) fn note_move(&mut self, now: Now) {
        self.moved = now.monotonic;
    }

    /// Whether the head of a request is being read.
    pub(super) fn note_head(&mut self, now: Now, is_head: bool) {
        if is_head {
            self.head_began.get_or_insert(now.monotonic);
        } else {
            self.head_began = None;
        }
    }

    /// The connection was not read since then, though it may have sent something: what
    /// is received next counts from there, or from when it last moved.
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

    /// A request begins: a source that is let in has its time for each.
    fn give_time(&mut self, now: Now, is_known: bool) {
        if is_known {
            self.body_due = now.monotonic + KNOWN_PATIENCE;
            self.excused = now.monotonic;
        }
    }

    /// The slowest pace of a body in bytes a second, and for how long it may be slower.
    fn slowest(&self, is_known: bool) -> (u64, Duration) {
        if is_known {
            (SLOWEST_KNOWN, KNOWN_PATIENCE)
        } else {
            (SLOWEST, self.patience)
        }
    }

    /// Bytes come. Each gives the body the time that it takes on the slowest link, none
    /// of it saved for later: neither dripping nor pausing holds memory.
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

    /// A request is there as a whole; whether another one has begun behind it.
    pub(super) fn note_request(&mut self, now: Now, has_more: bool, is_known: bool) {
        self.head_began = None;
        self.moved = now.monotonic;
        self.handled_began = self.request_began.take().unwrap_or(now.monotonic);
        if has_more {
            self.request_began = Some(now.monotonic);
            self.give_time(now, is_known);
        }
    }

    /// When the first byte came of the request that is handled.
    pub(super) fn handled_began(&self) -> Instant {
        self.handled_began
    }

    /// When the wait is over.
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

    /// Whether a body that comes has been slower than it may be for so long.
    pub(super) fn is_behind(&self, now: Now, time: Duration, is_known: bool) -> bool {
        let (_, patience) = self.slowest(is_known);
        self.body_due + time <= now.monotonic + patience
    }

    /// Whether nothing has moved for so long.
    pub(super) fn is_still_for(&self, now: Now, time: Duration) -> bool {
        self.moved + time <= now.monotonic
    }

    /// How long it has been open, or without an identity.
    pub(super) fn age(&self, now: Now) -> Duration {
        now.monotonic.saturating_duration_since(self.opened)
    }
}
