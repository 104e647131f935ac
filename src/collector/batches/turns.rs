//! Whose turn it is when there is not enough time for all: the host that has waited
//! longest, whether here or after being asked to retry.
//!
//! A host that had its turn later than usual comes a little earlier next time, and vice
//! versa. Otherwise hosts whose retries happen to come at the wrong moments would always
//! get less.

use std::rc::Rc;
use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::hosts::Key;

/// Maximum number of hosts whose place is remembered; others wait from when they arrive.
const MOST: usize = 200_000;
/// How long a place is remembered for a host that does not return: longer than any turn
/// that is worth waiting for.
const KEPT: Duration = Duration::from_secs(3600);

/// The share of the usual wait (one third) by which a host may gain or lose.
const GAIN: u32 = 3;
/// Number of waits in the moving average.
const MEMORY: u32 = 16;

#[derive(Debug)]
struct Turn {
    /// When it had its last turn, or should have had it; before its first turn, when it
    /// arrived.
    since: Instant,
    /// Since when it has been asking for its next turn.
    asks: Option<Instant>,
    /// Number of its batches that are waiting.
    waiting: usize,
    /// Whether it was asked to retry since its last turn, and between the two before.
    refused: [bool; 2],
    seen: Instant,
}

/// When hosts had their last turns. A host is added when it has to wait.
#[derive(Debug, Default)]
pub(super) struct Turns {
    hosts: QuickMap<Rc<Key>, Turn>,
    /// Moving average of the time that hosts wait for a turn.
    usual: Duration,
}

impl Turns {
    /// Since when a host that arrives now counts as waiting. Only one of its batches takes
    /// its place.
    pub(super) fn place(&self, now: Now, host: &Rc<Key>) -> Instant {
        let turn = self.hosts.get(host).filter(|turn| turn.waiting == 0);
        turn.map_or(now.monotonic, |turn| turn.since)
    }

    /// The host has been asked to retry. Returns whether it had not been asked since the turn
    /// before its last; false if too many hosts are remembered.
    pub(super) fn note_refused(&mut self, now: Now, host: &Rc<Key>) -> bool {
        self.keep(now, host);
        let Some(turn) = self.hosts.get_mut(host) else {
            return false;
        };
        let is_new = turn.refused == [false; 2];
        turn.refused[0] = true;
        is_new
    }

    /// Remembers the place of a host that has to wait.
    fn keep(&mut self, now: Now, host: &Rc<Key>) {
        let seen = now.monotonic;
        if let Some(turn) = self.hosts.get_mut(host) {
            turn.seen = seen;
            turn.asks.get_or_insert(seen);
        } else if self.hosts.len() < MOST {
            let turn = Turn {
                since: seen,
                asks: Some(seen),
                waiting: 0,
                refused: [false; 2],
                seen,
            };
            self.hosts.insert(Rc::clone(host), turn);
        }
    }

    /// One of the host's batches starts to wait.
    pub(super) fn begin_wait(&mut self, now: Now, host: &Rc<Key>) {
        self.keep(now, host);
        if let Some(turn) = self.hosts.get_mut(host) {
            turn.waiting += 1;
        }
    }

    /// One of the host's batches no longer waits.
    pub(super) fn end_wait(&mut self, host: &Rc<Key>) {
        if let Some(turn) = self.hosts.get_mut(host) {
            turn.waiting = turn.waiting.saturating_sub(1);
        }
    }

    /// The host has had its turn.
    pub(super) fn note_served(&mut self, now: Now, host: &Rc<Key>) {
        let Some(turn) = self.hosts.get_mut(host) else {
            return;
        };
        let now = now.monotonic;
        if let Some(asks) = turn.asks.take() {
            let kept = self.usual * (MEMORY - 1);
            self.usual = (kept + now.duration_since(asks)) / MEMORY;
        }
        let gain = self.usual / GAIN;
        let earliest = now.checked_sub(gain).unwrap_or(now);
        turn.since = (turn.since + self.usual).clamp(earliest, now + gain);
        turn.seen = now;
        turn.refused = [false, turn.refused[0]];
    }

    /// Forgets hosts that have not returned for a long time.
    pub(super) fn sweep(&mut self, now: Now) {
        self.hosts
            .retain(|_, turn| turn.waiting > 0 || now.monotonic < turn.seen + KEPT);
        if self.hosts.is_empty() {
            self.hosts.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    fn start() -> Now {
        #[expect(clippy::disallowed_methods, reason = "any time will do")]
        let monotonic = Instant::now();
        let wall = SystemTime::UNIX_EPOCH;
        Now { monotonic, wall }
    }

    fn host(name: &str) -> Rc<Key> {
        Rc::new(Key::new(None, name))
    }

    #[test]
    fn a_place_is_kept_until_the_turn_is_had() {
        let (mut turns, now) = (Turns::default(), start());
        let a = host("a");
        turns.keep(now, &a);
        let later = now + Duration::from_secs(60);
        turns.keep(later, &a);
        assert_eq!(turns.place(later, &a), now.monotonic);
        turns.note_served(later, &a);
        let again = turns.place(later + Duration::from_secs(1), &a);
        let off = again.max(later.monotonic) - again.min(later.monotonic);
        assert!(off <= turns.usual / GAIN, "{off:?}");
    }

    #[test]
    fn who_had_its_turn_late_has_the_next_one_a_little_earlier() {
        let (mut turns, mut now) = (Turns::default(), start());
        let (early, late) = (host("early"), host("late"));
        for _ in 0..100 {
            turns.keep(now, &early);
            now = now + Duration::from_secs(30);
            turns.note_served(now, &early);
        }
        assert!(turns.usual >= Duration::from_secs(29), "{:?}", turns.usual);
        turns.keep(now, &late);
        now = now + Duration::from_secs(300);
        turns.note_served(now, &late);
        let gain = turns.usual / GAIN;
        assert_eq!(turns.place(now, &late), (now.monotonic - gain));
    }

    #[test]
    fn a_second_batch_of_a_host_has_no_place_before_others() {
        let (mut turns, now) = (Turns::default(), start());
        let a = host("a");
        turns.begin_wait(now, &a);
        let later = now + Duration::from_secs(60);
        assert_eq!(turns.place(later, &a), later.monotonic);
        turns.end_wait(&a);
        assert_eq!(turns.place(later, &a), now.monotonic);
    }

    #[test]
    fn hosts_beyond_the_bound_wait_from_when_they_come() {
        let (mut turns, now) = (Turns::default(), start());
        (0..MOST).for_each(|number| turns.keep(now, &host(&number.to_string())));
        let last = host(&(MOST - 1).to_string());
        let later = now + Duration::from_secs(1);
        assert_eq!(turns.place(later, &last), now.monotonic);
        turns.keep(now, &host("more"));
        assert_eq!(turns.place(later, &host("more")), later.monotonic);
        assert_eq!(turns.hosts.len(), MOST);
    }

    #[test]
    fn it_is_new_to_be_refused_for_whom_it_did_not_happen_in_two_turns() {
        let (mut turns, now) = (Turns::default(), start());
        let a = host("a");
        assert!(turns.note_refused(now, &a));
        assert!(!turns.note_refused(now, &a));
        turns.note_served(now, &a);
        assert!(!turns.note_refused(now, &a), "each turn is like that");
        turns.note_served(now, &a);
        turns.note_served(now, &a);
        assert!(turns.note_refused(now, &a));
    }

    #[test]
    fn who_does_not_come_is_forgotten() {
        let (mut turns, now) = (Turns::default(), start());
        turns.keep(now, &host("a"));
        turns.sweep(now + (KEPT - Duration::from_secs(1)));
        assert_eq!(turns.hosts.len(), 1);
        turns.sweep(now + KEPT);
        assert_eq!(turns.hosts.len(), 0);
    }
}
