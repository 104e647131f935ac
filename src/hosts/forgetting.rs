//! Forgets what has not been heard of for long: hosts, and bookmarks of any subscription
//! that ever existed. Ages count only the time that relays were running, so that neither a
//! wrong clock nor a long outage makes anything old.

use std::rc::Rc;
use std::time::{Duration, Instant};

use super::subscribed::Subscribed;
use super::{Host, Key, Table};
use crate::base::clock::Now;
use crate::bookmark;

/// Bounds for how often old entries are searched for.
const EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);
/// Number of bookmarks to examine at once, because sources wait for the store in the
/// meantime.
const AT_ONCE: usize = 500;

/// Progress of the search.
#[derive(Debug, Default)]
pub(super) struct Forgetting {
    next: Option<Instant>,
    walk: Option<Walk>,
}

#[derive(Debug, Default)]
struct Walk {
    after: Option<bookmark::Key>,
    hosts: usize,
    bookmarks: usize,
}

/// What is old among the bookmarks that were examined.
#[derive(Debug)]
pub struct Walked {
    /// Bookmarks to delete.
    pub gone: Vec<bookmark::Key>,
    /// Old bookmarks of hosts that still connect.
    pub kept: Vec<bookmark::Key>,
    /// Whether all bookmarks have been examined.
    pub is_last: bool,
}

impl Forgetting {
    /// Starts a search if one is due and none is in progress. Returns the hosts that were
    /// forgotten.
    pub(super) fn begin(&mut self, now: Now, age: Duration, table: &mut Table) -> Vec<Rc<Key>> {
        let is_early = self.next.is_some_and(|next| now.monotonic < next);
        if self.walk.is_some() || is_early {
            return Vec::new();
        }
        let every = (age / 10).clamp(*EVERY.start(), *EVERY.end());
        self.next = Some(now.monotonic + every);
        let old = table.forget(age.as_secs());
        self.walk = Some(Walk {
            hosts: old.len(),
            ..Walk::default()
        });
        old
    }

    /// The next bookmarks to examine: after which one, and how many.
    pub(super) fn next(&self) -> Option<(Option<bookmark::Key>, usize)> {
        let walk = self.walk.as_ref()?;
        Some((walk.after.clone(), AT_ONCE))
    }

    /// Sorts the next bookmarks, each with the time of its last change.
    pub(super) fn sort(
        &mut self,
        age: Duration,
        found: Vec<(bookmark::Key, u64)>,
        (table, subscribed): (&Table, &Subscribed),
    ) -> Walked {
        let is_last = found.len() < AT_ONCE;
        if let Some(walk) = &mut self.walk {
            walk.after = found.last().map(|(key, _)| key.clone());
        }
        let (age, ran) = (age.as_secs(), table.ran());
        let old = found.into_iter();
        let old = old.filter(|(_, last)| ran.saturating_sub(*last) > age);
        let (kept, gone) = old
            .map(|(key, _)| key)
            .partition(|key| subscribed.contains(key.subscription()) && is_in_use(table, key, age));
        Walked {
            gone,
            kept,
            is_last,
        }
    }

    /// Counts deleted bookmarks.
    pub(super) fn note_gone(&mut self, count: usize) {
        if let Some(walk) = &mut self.walk {
            walk.bookmarks += count;
        }
    }

    /// Ends a search; returns whether the bookmarks in the store must be counted again.
    pub(super) fn end(&mut self, age: Option<Duration>) -> bool {
        let (Some(walk), Some(age)) = (self.walk.take(), age) else {
            return false;
        };
        if walk.hosts > 0 || walk.bookmarks > 0 {
            log::info!(
                "{} hosts and {} bookmarks forgotten: not seen for {} h of running time \
                 (--forget-after)",
                walk.hosts,
                walk.bookmarks,
                age.as_secs() / 3600
            );
        }
        walk.bookmarks > 0
    }
}

/// Whether the host of a bookmark still connects for its subscription. In a quiet log the
/// bookmark never changes, and must not be lost.
fn is_in_use(table: &Table, key: &bookmark::Key, age: u64) -> bool {
    let id = key.subscription();
    let follows =
        |host: &Host| table.is_recent(host, age) && host.subscriptions.iter().any(|s| s.id == id);
    if key.machine_id().is_empty() {
        // A host is found by its address in the table.
        let is_it = |host: &&Host| {
            let identity = host.identity.as_ref().map(|name| name.to_lowercase());
            identity.as_deref() == key.identity()
        };
        return table.iter().filter(is_it).any(follows);
    }
    let host = table.get(&Key::new(key.identity(), key.machine_id()));
    host.is_some_and(follows)
}
