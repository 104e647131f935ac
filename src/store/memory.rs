//! A store that forgets: for tests, and for trying things out.

use std::collections::HashMap;

use super::{Aside, Change, Entry, Error, Store};
use crate::bookmark::{Key, Stored};
use crate::hosts::{self, Changes, Host, Saved};

/// Bookmarks in memory, which can be told to fail.
#[derive(Clone, Debug, Default)]
pub struct Memory {
    lasting: HashMap<Key, Entry>,
    /// What this turn has changed; `None` is gone.
    turn: HashMap<Key, Option<Entry>>,
    failed: bool,
    failing_commits: usize,
    commits: usize,
    hosts: Saved,
}

impl Memory {
    /// An empty store.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Lets the next `count` commits fail that have something to commit.
    pub fn fail_commits(&mut self, count: usize) {
        self.failing_commits = count;
    }

    /// Lets this turn fail, as if a change had not been possible.
    pub fn fail_turn(&mut self) {
        self.failed = true;
    }

    /// Number of commits that changed something.
    #[must_use]
    pub fn commits(&self) -> usize {
        self.commits
    }

    /// What would be there after a crash: the entry without this turn's changes.
    #[must_use]
    pub fn lasting(&self, key: &Key) -> Option<&Entry> {
        self.lasting.get(key)
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

    fn entry(&mut self, key: &Key) -> Result<Option<Entry>, Error> {
        Ok(self.find(key).cloned())
    }

    fn put(&mut self, key: &Key, change: Change<'_>, now: u64) -> Result<(), Error> {
        if self.failed {
            return Err(Error::TurnFailed);
        }
        let mut entry = self.find(key).cloned().unwrap_or_default();
        apply(&mut entry, change, now);
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

    fn save_hosts(&mut self, changes: &Changes<'_>) -> Result<(), Error> {
        let Saved {
            hosts,
            refusals,
            pulse,
        } = &mut self.hosts;
        let changed = |host: &Host| {
            let key = hosts::Key::of(host);
            let forgotten = changes.forgotten.iter().any(|k| **k == key);
            forgotten || changes.hosts.iter().any(|h| hosts::Key::of(h) == key)
        };
        hosts.retain(|host| !changed(host));
        hosts.extend(changes.hosts.iter().copied().cloned());
        if let Some(changed) = &changes.refusals {
            refusals.clone_from(changed);
        }
        *pulse = changes.pulse;
        Ok(())
    }

    fn load_hosts(&mut self) -> Result<Saved, Error> {
        Ok(self.hosts.clone())
    }
}

fn apply(entry: &mut Entry, change: Change<'_>, now: u64) {
    entry.updated = now;
    match change {
        Change::Latest(stored) => {
            let before = entry.latest.replace(stored.clone());
            let before = before.map(|before| before.bookmark.xml().to_owned());
            // A batch that was sent twice must not push the previous one out.
            if before
                .as_deref()
                .is_some_and(|before| before != stored.bookmark.xml())
            {
                entry.previous = before;
            }
        }
        Change::Aside(bookmark, reason) => {
            let (xml, reason) = (bookmark.xml().to_owned(), reason.to_string());
            entry.aside = Some(Aside { xml, reason });
        }
    }
}
