//! A store in memory, for tests and for trials: it forgets everything at the end.

use std::collections::HashMap;

use super::{Aside, Change, Condition, Entry, Error, Owner, Stamp, Store, Usage};
use crate::bookmark::{Key, Stored};
use crate::hosts::{self, Changes, Host, Saved};

/// Bookmarks in memory; can be made to fail.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    lasting: HashMap<Key, Entry>,
    /// Changes of this turn; `None` is a deletion.
    turn: HashMap<Key, Option<Entry>>,
    failed: bool,
    failing_commits: usize,
    commits: usize,
    hosts: Saved,
    damaged: Vec<Key>,
    /// How often each row was written, if several relays write.
    generations: Option<HashMap<Key, u64>>,
    condition: Condition,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty store for several relays, any of which may write what another has read.
    #[must_use]
    pub fn of_many() -> Self {
        Self {
            generations: Some(HashMap::new()),
            ..Self::default()
        }
    }

    /// Makes the next `count` commits with changes fail.
    pub fn fail_commits(&mut self, count: usize) {
        self.failing_commits = count;
    }

    /// Makes this turn fail, as if a change had been impossible.
    pub fn fail_turn(&mut self) {
        self.failed = true;
    }

    /// Number of commits that changed something.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.commits
    }

    /// The entry as it would be after a crash, without this turn's changes.
    #[must_use]
    pub fn lasting(&self, key: &Key) -> Option<&Entry> {
        self.lasting.get(key)
    }

    /// The entry of `key`, including this turn's changes.
    #[must_use]
    pub fn entry(&self, key: &Key) -> Option<Entry> {
        self.find(key).cloned()
    }

    /// Makes changes of `key` fail, as if its page were damaged.
    pub fn damage(&mut self, key: Key) {
        self.damaged.push(key);
        self.condition.damaged += 1;
    }

    /// Repairs all damage.
    pub fn repair(&mut self) {
        self.damaged.clear();
    }

    /// Sets what [`Store::condition`] returns.
    pub fn set_condition(&mut self, condition: Condition) {
        self.condition = condition;
    }

    /// Number of bookmarks that would exist after a crash.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lasting.len()
    }

    /// Whether none would exist.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lasting.is_empty()
    }

    fn find(&self, key: &Key) -> Option<&Entry> {
        match self.turn.get(key) {
            Some(changed) => changed.as_ref(),
            None => self.lasting.get(key),
        }
    }
}

impl Store for Memory {
    fn bookmark(&mut self, key: &Key) -> Result<Option<Stored>, Error> {
        Ok(self.find(key).and_then(|entry| entry.latest.clone()))
    }

    fn generation(&mut self, key: &Key) -> Result<Option<u64>, Error> {
        let generations = self.generations.as_ref();
        Ok(generations.map(|known| known.get(key).copied().unwrap_or(0)))
    }

    fn put(&mut self, key: &Key, change: Change<'_>, stamp: Stamp) -> Result<(), Error> {
        if self.failed {
            return Err(Error::TurnFailed);
        }
        if self.damaged.contains(key) {
            self.failed = true;
            let (file, detail) = ("memory".into(), "a page of it".to_owned());
            return Err(Error::Corrupt { file, detail });
        }
        let known = self.find(key).cloned();
        if known.is_none() && matches!(change, Change::Aside(..)) {
            return Ok(());
        }
        let mut entry = known.unwrap_or_default();
        apply(&mut entry, change, stamp);
        self.turn.insert(key.clone(), Some(entry));
        Ok(())
    }

    fn rename(&mut self, from: &Key, to: &Key) -> Result<bool, Error> {
        if self.failed {
            return Err(Error::TurnFailed);
        }
        let Some(entry) = self.find(from).cloned() else {
            return Ok(false);
        };
        self.turn.insert(from.clone(), None);
        self.turn.insert(to.clone(), Some(entry));
        Ok(true)
    }

    fn commit(&mut self) -> Result<(), Error> {
        if self.failed {
            self.rollback();
            return Err(Error::TurnFailed);
        }
        if self.turn.is_empty() {
            return Ok(());
        }
        if self.failing_commits > 0 {
            self.failing_commits -= 1;
            self.rollback();
            return Err(Error::Full {
                file: "memory".into(),
            });
        }
        for (key, entry) in self.turn.drain() {
            if let Some(generations) = &mut self.generations {
                *generations.entry(key.clone()).or_default() += 1;
            }
            match entry {
                Some(entry) => self.lasting.insert(key, entry),
                None => self.lasting.remove(&key),
            };
        }
        self.commits += 1;
        Ok(())
    }

    fn rollback(&mut self) {
        self.turn.clear();
        self.failed = false;
    }

    fn save_hosts(&mut self, changes: &Changes) -> Result<(), Error> {
        let Saved {
            hosts,
            refusals,
            pulse,
            ..
        } = &mut self.hosts;
        let changed = |host: &Host| {
            let key = hosts::Key::of(host);
            let forgotten = changes.forgotten.contains(&key);
            forgotten || changes.hosts.iter().any(|h| hosts::Key::of(h) == key)
        };
        hosts.retain(|host| !changed(host));
        hosts.extend(changes.hosts.iter().cloned());
        if let Some(changed) = &changes.refusals {
            refusals.clone_from(changed);
        }
        *pulse = changes.pulse;
        Ok(())
    }

    fn load_hosts(&mut self) -> Result<Saved, Error> {
        Ok(self.hosts.clone())
    }

    fn usage(&mut self) -> Result<Vec<(Owner, Usage)>, Error> {
        let owned = self.lasting.iter().map(|(key, entry)| {
            let owner = match key.identity() {
                Some(identity) => Owner::Identity(identity.to_owned()),
                None => Owner::Network(entry.stamp.network),
            };
            let bytes = entry.latest.as_ref().map_or(0, |l| l.to_xml().len());
            let bytes = u64::try_from(bytes).unwrap_or(u64::MAX);
            (owner, Usage { rows: 1, bytes })
        });
        Ok(owned.collect())
    }

    fn walk(&mut self, after: Option<&Key>, count: usize) -> Result<Vec<(Key, u64)>, Error> {
        let mut keys: Vec<_> = self.lasting.iter().collect();
        keys.sort_by_key(|(key, _)| *key);
        let keys = keys.into_iter();
        let behind = keys.filter(|(key, _)| after.is_none_or(|after| *key > after));
        let found = behind.map(|(key, entry)| (key.clone(), entry.stamp.ran));
        Ok(found.take(count).collect())
    }

    fn sift(&mut self, gone: &[Key], kept: &[Key], ran: u64) -> Result<(), Error> {
        self.lasting.retain(|key, _| !gone.contains(key));
        for key in kept {
            if let Some(entry) = self.lasting.get_mut(key) {
                entry.stamp.ran = ran;
            }
        }
        Ok(())
    }

    fn condition(&self) -> Condition {
        self.condition.clone()
    }
}

fn apply(entry: &mut Entry, change: Change<'_>, stamp: Stamp) {
    let network = entry.stamp.network.or(stamp.network);
    entry.stamp = Stamp { network, ..stamp };
    match change {
        Change::Latest(stored) => {
            let before = entry.latest.replace(stored.clone());
            let before = before.map(|before| before.to_xml());
            // A repeated batch must not displace the previous bookmark.
            if before
                .as_deref()
                .is_some_and(|before| before != stored.to_xml())
            {
                entry.previous = before;
            }
        }
        Change::Aside(bookmark, reason) => {
            let (xml, reason) = (bookmark.to_xml(), reason.to_owned());
            entry.aside = Some(Aside { xml, reason });
        }
    }
}
