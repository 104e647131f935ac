//! What was not heard of for long is forgotten: hosts, and bookmarks of any subscription
//! that there ever was. Ages are those of the time that relays ran, so that neither a clock
//! nor a long rest makes anything old.

use super::Collector;
use crate::base::clock::Now;
use crate::bookmark;
use crate::hosts;
use crate::store::Store;
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

    /// They could not be stored.
    pub(super) fn put_back(&mut self, mut hosts: Vec<Rc<hosts::Key>>) {
        self.hosts.append(&mut hosts);
    }
}

impl Collector {
    /// Forgets some of what is old. Answers whether nothing is left for now.
    pub(super) fn forget_some(&mut self, now: Now, store: &mut dyn Store) -> bool {
        let Some(age) = self.settings.forget_after else {
            return true;
        };
        if self.known.forgetting.walk.is_none() {
            if self
                .known
                .forgetting
                .next
                .is_some_and(|next| now.monotonic < next)
            {
                return true;
            }
            let every = (age / 10).clamp(*EVERY.start(), *EVERY.end());
            self.known.forgetting.next = Some(now.monotonic + every);
            let old = self.known.hosts.forget(age.as_secs());
            self.known.forgetting.walk = Some(Walk {
                hosts: old.len(),
                ..Walk::default()
            });
            self.known.forgetting.hosts.extend(old);
        }
        let is_done = self.walk_on(age.as_secs(), store);
        if is_done && let Some(walk) = self.known.forgetting.walk.take() {
            self.say_forgotten(&walk, age, store);
        }
        is_done
    }

    fn say_forgotten(&mut self, walk: &Walk, age: Duration, store: &mut dyn Store) {
        if walk.bookmarks > 0 {
            self.bookmarks.count(store);
        }
        if walk.hosts > 0 || walk.bookmarks > 0 {
            log::info!(
                "{} hosts and {} bookmarks forgotten: not heard of for {} h in which the relay \
                 ran (--forget-after)",
                walk.hosts,
                walk.bookmarks,
                age.as_secs() / 3600
            );
        }
    }

    /// Looks at the next bookmarks. Answers whether there are no more.
    fn walk_on(&mut self, age: u64, store: &mut dyn Store) -> bool {
        let Some(walk) = &mut self.known.forgetting.walk else {
            return true;
        };
        let found = match store.walk(walk.after.as_ref(), AT_ONCE) {
            Ok(found) => found,
            Err(error) => {
                log::debug!("old bookmarks cannot be looked for: {error}");
                return true;
            }
        };
        let is_last = found.len() < AT_ONCE;
        walk.after = found.last().map(|(key, _)| key.clone());
        let ran = self.known.hosts.ran();
        let old = found.into_iter();
        let old = old.filter(|(_, last)| ran.saturating_sub(*last) > age);
        let (kept, gone): (Vec<_>, Vec<_>) = old
            .map(|(key, _)| key)
            .partition(|key| self.is_in_use(key, age));
        if !kept.is_empty() || !gone.is_empty() {
            match store.sift(&gone, &kept, ran) {
                Ok(()) => {
                    if let Some(walk) = &mut self.known.forgetting.walk {
                        walk.bookmarks += gone.len();
                    }
                }
                Err(error) => log::debug!("old bookmarks are not forgotten: {error}"),
            }
        }
        is_last
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
