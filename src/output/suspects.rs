//! Messages that the receiver rejects, skips, or closes the session for: how often, and when they
//! are retried.
//!
//! A message is permanently rejected after [`STRIKES`] strikes. A strike counts against the text of
//! a message, so that strikes add up when its host sends it again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::time::{Duration, Instant, SystemTime};

use super::dial::LONGEST_PAUSE;
use crate::base::clock::Now;
use crate::output::queue::Position;
use crate::record;
use crate::syslog::EventName;

/// Number of attempts before a message is permanently rejected; a receiver may have a
/// temporary problem.
pub(super) const STRIKES: u32 = 3;
/// First pause before a retry; doubles with each strike.
pub(super) const FIRST_RETRY: Duration = Duration::from_millis(250);
/// Maximum number of suspects in flight: an eighth of the window, so that ones that are
/// never answered leave the rest to others.
pub(super) const FLYING_MAX: usize = 16;
/// Maximum number of suspects waiting. With more, the receiver itself must be broken:
/// nothing new is sent until it accepts some.
pub(super) const WAITING_MAX: usize = 4096;
/// Maximum number of messages to remember: as many as are shown, and some for those whose
/// hosts retry.
const CASES_MAX: usize = 1024;
/// A message not seen for this long is forgotten: its host or its event is gone.
const MEMORY: Duration = Duration::from_secs(900);
/// Number of bytes of a message that identify it.
const FRONT: usize = 512;
/// Number of events that the log names before it refers to the status page.
const NAMED_MAX: usize = 16;

/// What the receiver did with a message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::output) enum Strike {
    /// It answered with a code other than 200.
    Refused(String),
    /// It skipped the message, and answered later ones.
    PassedOver,
    /// It closed the session.
    Ended,
}

impl Strike {
    pub(super) fn reason(&self) -> &str {
        match self {
            Self::Refused(why) => why,
            Self::PassedOver => "never answered, while later messages are",
            Self::Ended => "the receiver ends the session when it arrives",
        }
    }
}

/// A rejected event, as shown on the status page.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RefusedEvent {
    /// The event.
    pub name: EventName,
    /// The receiver's last answer.
    pub reason: String,
    /// Number of rejections.
    pub times: u32,
    /// Time of the first rejection.
    pub since: SystemTime,
    /// Time of the latest rejection.
    pub last: SystemTime,
}

/// The consequence of a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    /// It is permanently rejected; otherwise it will be retried.
    pub(super) for_good: bool,
    /// It has to wait while others are sent.
    pub(super) waits: bool,
    /// How to log it.
    pub(super) news: News,
}

/// How to log a strike.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum News {
    /// Name the event.
    Name,
    /// So many have been named that only the fact that there are more is logged.
    More,
    /// Already logged.
    Old,
}

#[derive(Debug)]
struct Case {
    event: RefusedEvent,
    last: Instant,
    told: bool,
    /// Number of messages that the receiver had accepted at the first strike.
    accepted: u64,
}

/// The suspects of one output. They outlast connections.
#[derive(Debug, Default)]
pub(in crate::output) struct Suspects {
    cases: HashMap<u64, Case>,
    /// Suspects in flight: by position, their case.
    flying: BTreeMap<u64, u64>,
    /// Suspects waiting to be retried: by position, the time and their case.
    waiting: BTreeMap<u64, (Instant, u64)>,
    /// The same, ordered by time.
    due: BTreeSet<(Instant, u64)>,
    /// Nothing is retried before this time: on a new connection others come first.
    not_before: Option<Instant>,
    /// Whether a suspect that is due found the window full; it gets the next place.
    is_next: bool,
    /// When old cases are forgotten.
    sweep: Option<Instant>,
    named: usize,
    /// Number of messages that the receiver has accepted.
    accepted: u64,
    /// Number of strikes since the start.
    pub(super) strikes: u64,
}

impl Suspects {
    /// Whether there is none: the usual state.
    pub(super) fn is_empty(&self) -> bool {
        self.cases.is_empty()
    }

    /// Whether so many are waiting that nothing new may be sent.
    pub(in crate::output) fn is_full(&self) -> bool {
        self.waiting.len() >= WAITING_MAX
    }

    /// Whether a message is waiting for its retry.
    pub(in crate::output) fn holds(&self, position: Position) -> bool {
        !self.waiting.is_empty() && self.waiting.contains_key(&position.0)
    }

    /// A message to retry now, if one is due.
    pub(in crate::output) fn next_due(&self, now: Now) -> Option<Position> {
        let &(_, position) = self.due.first()?;
        let is_due = self.due_at().is_some_and(|at| at <= now.monotonic);
        is_due.then_some(Position(position))
    }

    /// A session starts. A suspect that may have ended the last one must not be its first
    /// message.
    pub(super) fn handle_opened(&mut self, now: Now) {
        self.not_before = Some(now.monotonic + FIRST_RETRY);
        self.is_next = false;
    }

    /// The window is full; nothing can be done until the receiver answers.
    pub(super) fn wait_for_room(&mut self) {
        self.is_next = true;
    }

    /// The receiver has answered.
    pub(super) fn handle_answered(&mut self) {
        self.is_next = false;
    }

    /// When a retry may be due.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.due_at().filter(|_| !self.is_next)
    }

    fn due_at(&self) -> Option<Instant> {
        let may = self.flying.len() < FLYING_MAX;
        let first = self.due.first().filter(|_| may).map(|(at, _)| *at);
        first.max(first.and(self.not_before))
    }

    /// When [`Suspects::sweep`] is due.
    pub(super) fn sweep_at(&self) -> Option<Instant> {
        self.sweep
    }

    /// A message has been sent, for the first time or again.
    pub(in crate::output) fn note_sent(&mut self, position: Position, message: &[u8]) {
        if self.cases.is_empty() {
            return;
        }
        let key = hash(message);
        if self.cases.contains_key(&key) {
            self.let_go(position);
            self.flying.insert(position.0, key);
        }
    }

    /// A message no longer needs to be sent.
    pub(super) fn let_go(&mut self, position: Position) {
        self.flying.remove(&position.0);
        if let Some((at, _)) = self.waiting.remove(&position.0) {
            self.due.remove(&(at, position.0));
        }
    }

    /// The receiver has accepted a message.
    pub(in crate::output) fn note_accepted(&mut self, position: Position) {
        self.accepted += 1;
        if self.cases.is_empty() {
            return;
        }
        let waiting = self.waiting.get(&position.0).map(|(_, case)| case);
        if let Some(case) = self.flying.get(&position.0).or(waiting) {
            self.cases.remove(case);
        }
        self.let_go(position);
        self.calm();
    }

    fn calm(&mut self) {
        if self.cases.is_empty() {
            self.named = 0;
            self.sweep = None;
        }
    }

    /// The suspects that were in flight when the session ended.
    pub(super) fn take_flying(&mut self) -> Vec<u64> {
        std::mem::take(&mut self.flying).into_keys().collect()
    }

    /// Adds a strike against a message.
    pub(super) fn strike(&mut self, now: Now, message: &[u8], strike: &Strike) -> Verdict {
        self.strikes += 1;
        let key = hash(message);
        if !self.cases.contains_key(&key) {
            self.make_room();
        }
        let accepted = self.accepted;
        let case = self.cases.entry(key).or_insert_with(|| Case {
            event: RefusedEvent {
                name: record::name(message),
                reason: String::new(),
                times: 0,
                since: now.wall,
                last: now.wall,
            },
            last: now.monotonic,
            told: false,
            accepted,
        });
        case.event.times += 1;
        case.event.last = now.wall;
        strike.reason().clone_into(&mut case.event.reason);
        case.last = now.monotonic;
        let ended = *strike == Strike::Ended;
        // A receiver that fails on any message has a problem of its own.
        let for_good = case.event.times >= STRIKES && (!ended || accepted > case.accepted);
        // The first end of a session proves nothing about the message that was in flight.
        let is_worth_it = case.event.times > 1 || !ended;
        let tells = is_worth_it && !case.told;
        case.told |= is_worth_it;
        self.sweep.get_or_insert(now.monotonic + MEMORY);
        Verdict {
            for_good,
            waits: is_worth_it,
            news: self.news(tells),
        }
    }

    fn news(&mut self, tells: bool) -> News {
        if !tells {
            return News::Old;
        }
        self.named += 1;
        match self.named {
            named if named <= NAMED_MAX => News::Name,
            named if named == NAMED_MAX + 1 => News::More,
            _ => News::Old,
        }
    }

    /// A message will be retried after a pause that fits its strikes.
    pub(super) fn postpone(&mut self, now: Now, position: Position, message: &[u8]) {
        let key = hash(message);
        let times = self.cases.get(&key).map_or(1, |case| case.event.times);
        let doubled = 1_u32
            .checked_shl(times.saturating_sub(1))
            .unwrap_or(u32::MAX);
        let pause = FIRST_RETRY.saturating_mul(doubled).min(LONGEST_PAUSE);
        self.wait(now.monotonic + pause, position, key);
    }

    /// Delays the first retry that is due.
    pub(super) fn put_off(&mut self, until: Instant) {
        if let Some(&(_, position)) = self.due.first()
            && let Some(&(_, key)) = self.waiting.get(&position)
        {
            self.wait(until, Position(position), key);
        }
    }

    fn wait(&mut self, until: Instant, position: Position, key: u64) {
        self.let_go(position);
        self.waiting.insert(position.0, (until, key));
        self.due.insert((until, position.0));
    }

    fn make_room(&mut self) {
        if self.cases.len() < CASES_MAX {
            return;
        }
        let oldest = self.cases.iter().min_by_key(|(_, case)| case.last);
        if let Some(key) = oldest.map(|(key, _)| *key) {
            self.cases.remove(&key);
        }
    }

    /// Forgets what has not been seen for long.
    pub(super) fn sweep(&mut self, now: Now) {
        if self.sweep.is_none_or(|at| now.monotonic < at) {
            return;
        }
        self.cases
            .retain(|_, case| now.monotonic < case.last + MEMORY);
        let first = self.cases.values().map(|case| case.last + MEMORY).min();
        self.sweep = first;
        self.calm();
    }

    /// The rejected events, the latest first.
    pub(super) fn latest(&self, count: usize) -> Vec<RefusedEvent> {
        let told = self.cases.values().filter(|case| case.told);
        let mut cases: Vec<_> = told.collect();
        cases.sort_by_key(|case| std::cmp::Reverse(case.last));
        let cases = cases.into_iter().take(count);
        cases.map(|case| case.event.clone()).collect()
    }
}

#[cfg(test)]
impl Suspects {
    pub(super) fn flying(&self) -> usize {
        self.flying.len()
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting.len()
    }
}

/// Hash of the front of a message, which contains time, host, and number of its event.
fn hash(message: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    message.len().hash(&mut hasher);
    message.get(..FRONT).unwrap_or(message).hash(&mut hasher);
    hasher.finish()
}
