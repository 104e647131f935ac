//! From delivered to committed: bookmarks are judged and written, and then the batches are
//! acknowledged.
//!
//! A delivered batch waits until its row is known and no write is in progress, so each
//! write contains everything that arrived during the previous one (group commit). If
//! another relay has written a row since the host connected, one of the two is late: the
//! row is read again, and the bookmark that is further ahead stays.

mod bookmarks;
mod clones;

use std::net::IpAddr;

use super::batches::{Batch, Batches, Mark};
use super::ledger::Ledger;
use super::{ConnId, access};
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::bookmark::{Key, Stored};
use crate::metrics::Counters;
use crate::output::queue::BatchId;
use crate::store::{Condition, Error, Owner, Stamp, Ticket, Usage, Write, Wrote};
use bookmarks::Bookmarks;

pub(super) use bookmarks::Outcome;

/// A row to write.
#[derive(Debug)]
struct Row {
    key: Key,
    /// Its content after the write.
    stored: Option<Stored>,
    /// The key under which an earlier version stored it.
    former: Option<Key>,
    /// The generation that it replaces (compare and swap).
    generation: u64,
}

/// The write in progress.
#[derive(Debug, Default)]
struct Writing {
    rows: Vec<Row>,
    /// The batches that it is for, with the index of the row if there is one to write.
    batches: Vec<(BatchId, Outcome, Option<usize>)>,
}

/// The result for a delivered batch.
pub(super) enum Settled {
    /// It is committed; the result for its bookmark.
    Done(BatchId, Outcome),
    /// Its bookmark cannot be written.
    Failed(BatchId),
}

/// The bookmarks of delivered batches on their way to the store.
#[derive(Default)]
pub(super) struct Commits {
    /// Batches that wait for the store.
    pending: Vec<BatchId>,
    writing: Writing,
    bookmarks: Bookmarks,
    is_failing: bool,
    counters: Counters,
}

impl Commits {
    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    /// Whether bookmarks cannot be stored.
    pub(super) fn is_failing(&self) -> bool {
        self.is_failing
    }

    /// The last known state of the store.
    pub(super) fn condition(&self) -> &Condition {
        self.bookmarks.condition()
    }

    /// The state of the store has changed. While nothing can be stored, new batches are
    /// held instead of being given to outputs, because their hosts would send them again,
    /// perhaps to another relay.
    pub(super) fn note_condition(&mut self, now: Now, batches: &mut Batches, condition: Condition) {
        let was_away = self.condition().trouble.is_some();
        self.bookmarks.note_condition(condition);
        match (was_away, self.condition().trouble.is_some()) {
            (false, true) => batches.arm_probe(now),
            (true, false) if !self.is_failing => batches.disarm_probe(),
            _ => {}
        }
    }

    /// How much is stored.
    pub(super) fn usage(&self) -> Usage {
        self.bookmarks.usage()
    }

    /// Sets the usage that the store has counted.
    pub(super) fn note_counted(&mut self, usage: Result<Vec<(Owner, Usage)>, Error>) {
        self.bookmarks.note_counted(usage);
    }

    /// Adds a delivered batch that has a bookmark. `were_two`: whether two hosts with this
    /// name were known at the start. Returns the addresses of newly detected clones.
    pub(super) fn add(
        &mut self,
        now: Now,
        id: BatchId,
        batch: &Batch,
        were_two: bool,
        is_open: impl FnOnce(ConnId) -> bool,
    ) -> Option<[IpAddr; 2]> {
        self.pending.push(id);
        let mark = batch.mark.as_ref()?;
        let two = self
            .bookmarks
            .watch(now, batch.conn, mark, were_two, is_open)?;
        self.counters.clones += 1;
        Some(two.addresses)
    }

    /// Judges the bookmarks of all batches whose rows are known, and writes them unless a
    /// write is in progress. `is_open`: whether a connection still exists. Returns the
    /// batches that need no write.
    #[must_use]
    pub(super) fn write(
        &mut self,
        now: Now,
        batches: &mut Batches,
        ledger: &mut Ledger,
        stamp: Stamp,
        is_open: impl Fn(ConnId) -> bool,
    ) -> Vec<Settled> {
        if ledger.is_writing() {
            return Vec::new();
        }
        let mut ready = Vec::new();
        for id in std::mem::take(&mut self.pending) {
            let batch = batches.get_mut(id);
            let batch =
                batch.and_then(|batch| Some((batch.since, batch.conn, batch.mark.as_mut()?)));
            // It may have been handed back in the meantime.
            let Some((since, conn, mark)) = batch else {
                continue;
            };
            if ledger.knows(&mark.key, since) {
                // Its host has continued elsewhere, perhaps at another relay, and the row
                // may have been read after that.
                mark.may_be_late |= !is_open(conn);
                ready.push(id);
            } else {
                let former = || access::former_keys(&mark.identity, &mark.key);
                ledger.want_since(&mark.key, since, former);
                self.pending.push(id);
            }
        }
        if ready.is_empty() {
            return Vec::new();
        }
        let (writing, rows) = self.judge_all(now, batches, ledger, ready);
        if rows.is_empty() {
            return self.settle(now, batches, ledger, (0, writing, &[]));
        }
        self.writing = writing;
        ledger.write(rows, stamp);
        Vec::new()
    }

    fn judge_all(
        &mut self,
        now: Now,
        batches: &Batches,
        ledger: &mut Ledger,
        ready: Vec<BatchId>,
    ) -> (Writing, Vec<Write>) {
        let (mut writing, mut rows) = (Writing::default(), Vec::new());
        let mut row_of = QuickMap::default();
        for id in ready {
            let mark = batches.get(id).and_then(|batch| batch.mark.as_ref());
            let Some(mark) = mark else {
                continue;
            };
            let at = row_of.get(&mark.key).copied();
            let turn = (&mut writing, &mut rows);
            let (outcome, at) = self.judge_one(now, ledger, mark, at, turn);
            if let Some(at) = at {
                row_of.insert(&mark.key, at);
            }
            writing.batches.push((id, outcome, at));
        }
        (writing, rows)
    }

    /// `at` is the index of the row if an earlier batch of this turn changed it. Returns
    /// its index now.
    fn judge_one(
        &mut self,
        now: Now,
        ledger: &mut Ledger,
        mark: &Mark,
        at: Option<usize>,
        (writing, rows): (&mut Writing, &mut Vec<Write>),
    ) -> (Outcome, Option<usize>) {
        let found = ledger.row(now, &mark.key).cloned().unwrap_or_default();
        let changed = at.and_then(|at| writing.rows.get(at));
        let before = changed.map_or(found.stored, |row| row.stored.clone());
        let (outcome, latest, aside) = self.bookmarks.judge(mark, before);
        if latest.is_none() && aside.is_none() && (at.is_some() || found.former.is_none()) {
            return (outcome, at);
        }
        let at = at.unwrap_or_else(|| {
            rows.push(Write {
                key: mark.key.clone(),
                generation: found.generation,
                former: found.former.clone(),
                latest: None,
                aside: None,
                network: mark.key.identity().is_none().then_some(mark.network),
            });
            writing.rows.push(Row {
                key: mark.key.clone(),
                stored: outcome.before.clone(),
                former: found.former,
                generation: found.generation,
            });
            rows.len() - 1
        });
        if let (Some(row), Some(written)) = (rows.get_mut(at), writing.rows.get_mut(at)) {
            if latest.is_some() {
                written.stored.clone_from(&latest);
                row.latest = latest;
            }
            row.aside = aside.or(row.aside.take());
        }
        (outcome, Some(at))
    }

    /// Handles the store's answer to the write in progress.
    #[must_use]
    pub(super) fn note_written(
        &mut self,
        now: Now,
        batches: &mut Batches,
        ledger: &mut Ledger,
        (ticket, wrote): (Ticket, Result<Vec<Wrote>, Error>),
    ) -> Vec<Settled> {
        let writing = std::mem::take(&mut self.writing);
        match wrote {
            Ok(wrote) => self.settle(now, batches, ledger, (ticket, writing, &wrote)),
            Err(error) => {
                for row in &writing.rows {
                    ledger.forget(&row.key);
                    if let Some(former) = &row.former {
                        ledger.forget(former);
                    }
                }
                let ids = writing.batches.into_iter().map(|(id, _, _)| id);
                self.fail(now, batches, ids.collect(), &error)
            }
        }
    }

    fn settle(
        &mut self,
        now: Now,
        batches: &mut Batches,
        ledger: &mut Ledger,
        (ticket, writing, wrote): (Ticket, Writing, &[Wrote]),
    ) -> Vec<Settled> {
        for (row, wrote) in writing.rows.into_iter().zip(wrote) {
            let known = (row.stored, row.generation);
            match wrote {
                Wrote::Done => ledger.note_written(now, ticket, &row.key, known),
                Wrote::Conflict | Wrote::Failed => ledger.forget(&row.key),
            }
            if let Some(former) = row.former {
                ledger.forget(&former);
            }
        }
        let (mut settled, mut is_any_done) = (Vec::new(), false);
        for (id, outcome, at) in writing.batches {
            match at.and_then(|at| wrote.get(at)).unwrap_or(&Wrote::Done) {
                Wrote::Done => {
                    is_any_done = true;
                    settled.push(Settled::Done(id, outcome));
                }
                Wrote::Conflict => {
                    self.counters.bookmark_conflicts += 1;
                    if let Some(mark) = batches.get_mut(id).and_then(|b| b.mark.as_mut()) {
                        mark.may_be_late = true;
                    }
                    self.pending.push(id);
                }
                Wrote::Failed => settled.push(Settled::Failed(id)),
            }
        }
        if is_any_done && std::mem::take(&mut self.is_failing) {
            log::info!("bookmarks are being stored again");
            batches.disarm_probe();
        }
        settled
    }

    /// Handles rows that cannot be read.
    #[must_use]
    pub(super) fn note_unread(
        &mut self,
        now: Now,
        batches: &mut Batches,
        keys: &[Key],
        error: &Error,
    ) -> Vec<Settled> {
        let is_unread = |id: &BatchId| {
            let mark = batches.get(*id).and_then(|batch| batch.mark.as_ref());
            mark.is_some_and(|mark| keys.contains(&mark.key))
        };
        let pending = std::mem::take(&mut self.pending).into_iter();
        let (unread, others): (Vec<_>, _) = pending.partition(is_unread);
        self.pending = others;
        if unread.is_empty() {
            Vec::new()
        } else {
            self.fail(now, batches, unread, error)
        }
    }

    fn fail(
        &mut self,
        now: Now,
        batches: &mut Batches,
        ids: Vec<BatchId>,
        error: &Error,
    ) -> Vec<Settled> {
        if !std::mem::replace(&mut self.is_failing, true) {
            log::error!("{error}; until this is resolved, batches are answered 503");
        }
        batches.arm_probe(now);
        ids.into_iter().map(Settled::Failed).collect()
    }

    /// Counts the space of a committed bookmark, whatever has happened to its batch.
    pub(super) fn note_grown(&mut self, outcome: &mut Outcome) {
        self.bookmarks.note_grown(outcome);
    }

    /// Logs and counts the result for a bookmark.
    pub(super) fn note(&mut self, mark: &Mark, outcome: &Outcome) {
        let counts = self.bookmarks.note(mark, outcome);
        self.counters.bookmarks_aside += counts.aside;
        self.counters.bookmarks_crowded += counts.crowded;
    }
}
