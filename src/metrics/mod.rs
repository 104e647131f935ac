//! Metrics as plain numbers in one struct. Each part of the relay counts in its own, and
//! they are added up for a scrape, so nothing is shared or locked.

mod exposition;
mod facts;

use std::collections::BTreeMap;
use std::fmt;
use std::ops::{Add, AddAssign};
use std::time::Duration;

use crate::connection::RefusalKind;

pub use exposition::{CONTENT_TYPE, ProcessFacts, Snapshot};
pub use facts::{OutputFacts, RefusedFacts};

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Enumerate requests answered.
    pub enumerations: u64,
    /// Number of bytes read from sources.
    pub received_bytes: u64,
    /// Events acknowledged, by subscription.
    pub subscriptions: BTreeMap<String, u64>,
    /// Time of batches from arrival to Ack.
    pub latency: Latency,
    /// Heartbeats acknowledged.
    pub heartbeats: u64,
    /// Batches acknowledged.
    pub batches: u64,
    /// Events acknowledged.
    pub events: u64,
    /// Events that were not well-formed XML and were forwarded as raw text.
    pub malformed: u64,
    /// Events whose Computer is not the authenticated host.
    pub mismatches: u64,
    /// Messages truncated to an output's `?max=`.
    pub truncated: u64,
    /// Bookmark events (111), which are not forwarded.
    pub bookmark_events: u64,
    /// Bookmarks that the guard rejected.
    pub bookmarks_aside: u64,
    /// Bookmarks that another relay had written in the meantime, so that they were judged
    /// again.
    pub bookmark_conflicts: u64,
    /// Names found to be used by two hosts.
    pub clones: u64,
    /// Bookmarks not stored because their identity or network had reached its limit.
    pub bookmarks_crowded: u64,
    /// Batches answered 503 because an output or the state folder could not accept them.
    pub unavailable: u64,
    /// Those of them that were answered immediately, because their turn would have come too
    /// late.
    pub shed: u64,
    /// Sources that got a subscription and then sent nothing.
    pub silent_sources: u64,
    /// Authentications by method and result, one for each connection and handshake.
    pub authentications: BTreeMap<(&'static str, Outcome), u64>,
    /// Rejected requests by category.
    pub refusals: BTreeMap<RefusalKind, u64>,
}

/// The result of an authentication.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The source was authenticated.
    Accepted,
    /// The source was rejected.
    Refused,
    /// The proof could not be verified.
    Unavailable,
}

impl Outcome {
    /// The label value in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

/// Upper bounds of the latency histogram in microseconds: from a receiver on the same
/// machine to the longest time that a source waits.
const BOUNDS: [u64; 13] = [
    500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 1_000_000, 5_000_000,
    15_000_000, 60_000_000,
];

/// A histogram of durations.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Number of values up to each bound and above the previous one; the last one is
    /// unbounded.
    counts: [u64; BOUNDS.len() + 1],
    /// Sum of all values in microseconds.
    sum: u64,
}

impl Latency {
    pub(crate) fn note(&mut self, took: Duration) {
        let micros = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = BOUNDS.partition_point(|bound| *bound < micros);
        if let Some(count) = self.counts.get_mut(bucket) {
            *count += 1;
        }
        self.sum = self.sum.saturating_add(micros);
    }

    fn add(&mut self, other: &Self) {
        for (count, more) in self.counts.iter_mut().zip(other.counts) {
            *count += more;
        }
        self.sum = self.sum.saturating_add(other.sum);
    }

    /// Number of values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Sum of all values in seconds.
    #[must_use]
    pub fn sum(&self) -> f64 {
        Duration::from_micros(self.sum).as_secs_f64()
    }

    /// Upper bounds in seconds, and the number of values up to each and above the previous
    /// one.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        let bounds = BOUNDS
            .iter()
            .map(|bound| Duration::from_micros(*bound).as_secs_f64());
        bounds.chain([f64::INFINITY]).zip(self.counts)
    }
}

impl Counters {
    pub(crate) fn note_authentication(&mut self, method: &'static str, outcome: Outcome) {
        *self.authentications.entry((method, outcome)).or_default() += 1;
    }

    pub(crate) fn note_delivered(&mut self, subscription: &str, events: u64) {
        match self.subscriptions.get_mut(subscription) {
            Some(count) => *count += events,
            None => {
                self.subscriptions.insert(subscription.to_owned(), events);
            }
        }
    }

    pub(crate) fn note_refusal(&mut self, kind: RefusalKind) {
        *self.refusals.entry(kind).or_default() += 1;
    }
}

impl AddAssign<&Self> for Counters {
    fn add_assign(&mut self, other: &Self) {
        let Self {
            connections,
            enumerations,
            received_bytes,
            subscriptions,
            latency,
            heartbeats,
            batches,
            events,
            malformed,
            mismatches,
            truncated,
            bookmark_events,
            bookmarks_aside,
            bookmark_conflicts,
            clones,
            bookmarks_crowded,
            unavailable,
            shed,
            silent_sources,
            authentications,
            refusals,
        } = other;
        self.connections += connections;
        self.enumerations += enumerations;
        self.received_bytes += received_bytes;
        self.latency.add(latency);
        self.heartbeats += heartbeats;
        self.batches += batches;
        self.events += events;
        self.malformed += malformed;
        self.mismatches += mismatches;
        self.truncated += truncated;
        self.bookmark_events += bookmark_events;
        self.bookmarks_aside += bookmarks_aside;
        self.bookmark_conflicts += bookmark_conflicts;
        self.clones += clones;
        self.bookmarks_crowded += bookmarks_crowded;
        self.unavailable += unavailable;
        self.shed += shed;
        self.silent_sources += silent_sources;
        for (subscription, events) in subscriptions {
            self.note_delivered(subscription, *events);
        }
        for (key, count) in authentications {
            *self.authentications.entry(*key).or_default() += count;
        }
        for (kind, count) in refusals {
            *self.refusals.entry(*kind).or_default() += count;
        }
    }
}

impl Add<&Self> for Counters {
    type Output = Self;

    /// Adds up what parts of the relay have counted.
    fn add(mut self, other: &Self) -> Self {
        self += other;
        self
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            ("events", self.events),
            ("batches", self.batches),
            ("heartbeats", self.heartbeats),
            ("enumerations", self.enumerations),
            ("connections", self.connections),
            ("malformed", self.malformed),
            ("truncated", self.truncated),
            ("mismatches", self.mismatches),
            ("bookmark-events", self.bookmark_events),
            ("bookmarks-aside", self.bookmarks_aside),
            ("clones", self.clones),
            ("bookmarks-crowded", self.bookmarks_crowded),
            ("unavailable", self.unavailable),
            ("shed", self.shed),
            ("silent-sources", self.silent_sources),
        ];
        let mut separator = "";
        for (name, value) in fields {
            write!(f, "{separator}{name}={value}")?;
            separator = " ";
        }
        for ((method, outcome), count) in &self.authentications {
            write!(f, " {}-{method}={count}", outcome.as_str())?;
        }
        for (kind, count) in &self.refusals {
            write!(f, " refused-{}={count}", kind.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_two_parts_have_counted_is_added_up() {
        let mut one = Counters::default();
        (one.connections, one.events, one.shed) = (1, 2, 3);
        one.note_delivered("System", 5);
        one.note_refusal(RefusalKind::Soap);
        one.latency.note(Duration::from_millis(2));
        let mut other = Counters::default();
        (other.events, other.silent_sources) = (20, 7);
        other.note_delivered("System", 6);
        other.note_delivered("Security", 1);
        other.note_authentication("kerberos", Outcome::Accepted);
        other.latency.note(Duration::from_millis(3));
        let all = one.clone() + &other;
        assert_eq!((all.connections, all.events, all.shed), (1, 22, 3));
        assert_eq!(all.silent_sources, 7);
        let subscriptions = [("Security".to_owned(), 1), ("System".to_owned(), 11)];
        assert_eq!(all.subscriptions, BTreeMap::from(subscriptions));
        assert_eq!(all.refusals, one.refusals);
        assert_eq!(all.authentications, other.authentications);
        assert_eq!(all.latency.count(), 2);
        assert!((all.latency.sum() - 0.005).abs() < 1e-9);
        assert_eq!(Counters::default() + &all, all);
    }
}
