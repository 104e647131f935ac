//! Authenticators already seen: each is valid for one logon only (RFC 4120 3.2.3).
//!
//! Only the last minutes have to be remembered, because older authenticators are rejected
//! by their time. They are kept in memory only: after a restart an AP-REQ may be accepted
//! once more, but without the session key nobody can read the answer to it or seal a body.

use std::collections::BTreeSet;
use std::time::Duration;

use super::SKEW;

/// Maximum number of authenticators to remember, some 40 MB. With more in ten minutes the
/// oldest are forgotten, and everything that old is rejected.
const MOST: usize = 500_000;

/// An authenticator's time, and the end of its ciphertext, which mostly is its MAC.
type Seen = (Duration, [u8; 16]);

/// The authenticators of all connections.
#[derive(Debug)]
pub struct Replays {
    seen: BTreeSet<Seen>,
    /// Up to this time some may have been forgotten.
    /// Authenticators up to this time may have been forgotten, so they are rejected.
    forgotten: Duration,
    most: usize,
}

impl Default for Replays {
    fn default() -> Self {
        Self {
            seen: BTreeSet::new(),
            forgotten: Duration::ZERO,
            most: MOST,
        }
    }
}

impl Replays {
    /// Records an authenticator with time `at` and this ciphertext; times are since 1970.
    /// Returns false if it may have been seen before.
    #[must_use]
    pub(super) fn note(&mut self, now: Duration, at: Duration, cipher: &[u8]) -> bool {
        let outdated = (now.saturating_sub(SKEW), [0; 16]);
        if self.seen.first().is_some_and(|first| *first < outdated) {
            self.seen = self.seen.split_off(&outdated);
        }
        let mut end = [0; 16];
        let bytes = cipher.iter().rev();
        end.iter_mut().zip(bytes).for_each(|(slot, b)| *slot = *b);
        if at <= self.forgotten || !self.seen.insert((at, end)) {
            return false;
        }
        if self.seen.len() > self.most
            && let Some((oldest, _)) = self.seen.pop_first()
        {
            self.forgotten = oldest;
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(1_000_000);

    fn at(micros: u64) -> Duration {
        NOW + Duration::from_micros(micros)
    }

    #[test]
    fn an_authenticator_is_good_once() {
        let mut replays = Replays::default();
        assert!(replays.note(NOW, at(49), b"first"));
        assert!(replays.note(NOW, at(50), b"first"), "another microsecond");
        assert!(replays.note(NOW, at(49), b"other"));
        assert!(!replays.note(NOW + SKEW, at(49), b"first"));
    }

    #[test]
    fn what_is_refused_by_its_time_need_not_be_remembered() {
        let mut replays = Replays::default();
        assert!(replays.note(NOW, at(0), b"first"));
        let later = NOW + SKEW + Duration::from_secs(1);
        assert!(replays.note(later, later, b"second"));
        assert_eq!(replays.seen.len(), 1);
    }

    #[test]
    fn memory_is_bounded_and_what_was_forgotten_is_refused() {
        let mut replays = Replays {
            most: 2,
            ..Replays::default()
        };
        assert!(replays.note(NOW, at(1), b"a"));
        assert!(replays.note(NOW, at(2), b"b"));
        assert!(replays.note(NOW, at(3), b"c"));
        assert_eq!(replays.seen.len(), 2);
        assert!(!replays.note(NOW, at(1), b"a"));
        assert!(!replays.note(NOW, at(2), b"b"));
        assert!(replays.note(NOW, at(4), b"d"));
    }
}
