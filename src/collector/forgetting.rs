//! What was not heard of for long is forgotten: hosts, and bookmarks of any subscription
//! that there ever was. Ages are those of the time that relays ran, so that neither a clock
//! nor a long rest makes anything old.

use super::Collector;
use crate::base::clock::Now;
use crate::bookmark;
use crate::hosts;
use crate::store::Job;
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often is looked for what is old, at most and at least.
const EVERY: std::ops::RangeInclusive<Duration> =
    Duration::from_secs(1)..=Duration::from_secs(3600);
/// Bookmarks that are looked at in one turn: sources wait meanwhile.
const AT_ONCE: usize = 500;

/// How far the search is.
#[derive(Debug)]
pub(super) struct Forgetting {
    /// Hosts that are forgotten, and not yet in the store.
    hosts: Vec<Rc<hosts::Key>>,
    next: Option<Instant>,
    walk: Option<Walk>,
}

#[derive(Debug, Default)]
struct Walk {
    after: Option<bookmark::Key>,
    hosts: usize,
    bookmarks: usize,
}

impl Forgetting {
    pub(super) const fn new() -> Self {
        Self {
            hosts: Vec::new(),
            next: None,
            walk: None,
        }
    }

    pub(super) fn take_hosts(&mut self) -> Vec<Rc<hosts::Key>> {
        std::mem::take(&mut self.hosts)
    }

    /// Bookmarks were forgotten.
    pub(super) fn note_gone(&mut self, count: usize) {
        if let Some(walk) = &mut self.walk {
            walk.bookmarks += count;
        }
    }

    /// They could not be stored.
    pub(super) fn put_back(&mut self, mut hosts: Vec<Rc<hosts::Key>>) {
        self.hosts.append(&mut hosts);
    }
}

/// What is old among bookmarks that were looked at.
pub(super) struct Walked {
    pub(super) gone: Vec<bookmark::Key>,
    /// Of hosts that still come.
    pub(super) kept: Vec<bookmark::Key>,
    pub(super) is_last: bool,
}

impl Collector {
    /// What to look at next, if there is anything.
    pub(super) fn next_walk(&mut self, now: Now) -> Option<Job> {
        let age = self.settings.forget_after?;
        let forgetting = &mut self.known.forgetting;
        if forgetting.walk.is_none() {
            if forgetting.next.is_some_and(|next| now.monotonic < next) {
                return None;
            }
            let every = (age / 10).clamp(*EVERY.start(), *EVERY.end());
            forgetting.next = Some(now.monotonic + every);
            let old = self.known.hosts.forget(age.as_secs());
            forgetting.walk = Some(Walk {
                hosts: old.len(),
                ..Walk::default()
            });
            forgetting.hosts.extend(old);
        }
        let after = forgetting.walk.as_ref()?.after.clone();
        Some(Job::Walk(after, AT_ONCE))
    }

    /// Answers whether bookmarks are to be counted anew.
    pub(super) fn say_forgotten(&mut self) -> bool {
        let (Some(walk), Some(age)) = (
            self.known.forgetting.walk.take(),
            self.settings.forget_after,
        ) else {
            return false;
        };
        if walk.hosts > 0 || walk.bookmarks > 0 {
            log::info!(
                "{} hosts and {} bookmarks forgotten: not heard of for {} h in which the relay \
                 ran (--forget-after)",
                walk.hosts,
                walk.bookmarks,
                age.as_secs() / 3600
            );
        }
        walk.bookmarks > 0
    }

    /// Sorts out what is old of the next bookmarks.
    pub(super) fn sort_walked(&mut self, found: Vec<(bookmark::Key, u64)>) -> Walked {
        let is_last = found.len() < AT_ONCE;
        if let Some(walk) = &mut self.known.forgetting.walk {
            walk.after = found.last().map(|(key, _)| key.clone());
        }
        let age = self
            .settings
            .forget_after
            .map_or(u64::MAX, |age| age.as_secs());
        let ran = self.known.hosts.ran();
        let old = found.into_iter();
        let old = old.filter(|(_, last)| ran.saturating_sub(*last) > age);
        let (kept, gone): (Vec<_>, Vec<_>) = old
            .map(|(key, _)| key)
            .partition(|key| self.is_in_use(key, age));
        gone.iter().for_each(|key| self.ledger.forget(key));
        Walked {
            gone,
            kept,
            is_last,
        }
    }

    /// Whether the host of a bookmark still comes for its subscription. A quiet log moves no
    /// bookmark, and must not lose it.
    fn is_in_use(&self, key: &bookmark::Key, age: u64) -> bool {
        let id = key.subscription();
        let current = &self.settings.subscriptions;
        let hosts = &self.known.hosts;
        let follows = |host: &hosts::Host| {
            hosts.is_recent(host, age) && host.subscriptions.iter().any(|s| s.id == id)
        };
        if !current.iter().any(|subscription| subscription.id() == id) {
            return false;
        }
        if key.machine_id().is_empty() {
            // It is found by its address in the table.
            let is_it = |host: &&hosts::Host| {
                let identity = host.identity.as_ref().map(|name| name.to_lowercase());
                identity.as_deref() == key.identity()
            };
            return hosts.iter().filter(is_it).any(follows);
        }
        let host = hosts.get(&hosts::Key::new(key.identity(), key.machine_id()));
        host.is_some_and(follows)
    }
}
