//! From delivered to committed: what is known of a bookmark is judged and written, and the
//! batches of what lasts are acknowledged.
//!
//! A delivered batch waits until its row is known and no write is under way. So one write
//! has all that came during the one before. Where another relay has written a row
//! since the host came here, one of the two is late: the row is read again, and what is
//! further stays.

mod bookmarks;
mod clones;

use std::collections::HashMap;
use std::net::IpAddr;

use super::batches::{Batch, Batches, Mark};
use super::ledger::Ledger;
use super::{ConnId, access};
use crate::base::clock::Now;
use crate::bookmark::{Key, Stored};
use crate::metrics::Counters;
use crate::output::queue::BatchId;
use crate::store::{Condition, Error, Owner, Stamp, Ticket, Usage, Write, Wrote};
use bookmarks::Bookmarks;

pub(super) use bookmarks::Outcome;

/// A row of a write.
#[derive(Debug)]
struct Row {
    key: Key,
    /// What it holds after the write.
    stored: Option<Stored>,
    /// The former key that it had.
    former: Option<Key>,
    /// What it is written over.
    generation: u64,
}

/// The write under way.
#[derive(Debug, Default)]
struct Writing {
    rows: Vec<Row>,
    /// The batches whose bookmarks they are, with the number of the row, if there is one to
    /// write.
    batches: Vec<(BatchId, Outcome, Option<usize>)>,
}

/// What has come of a delivered batch.
pub(super) enum Settled {
    /// It lasts; with what came of its bookmark.
    Done(BatchId, Outcome),
    /// Its bookmark cannot be written.
    Failed(BatchId),
}

/// The bookmarks of delivered batches on their way into the store.
#[derive(Default)]
pub(super) struct Commits {
    /// Those that wait for the store.
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

    /// How the store was last.
    pub(super) fn condition(&self) -> &Condition {
        self.bookmarks.condition()
    }

    /// How the store is has changed. While nothing can be stored, what would be given to outputs
    /// is held, since its hosts would send it again, perhaps to another relay.
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

    /// Takes what the store holds.
    pub(super) fn note_counted(&mut self, usage: Result<Vec<(Owner, Usage)>, Error>) {
        self.bookmarks.note_counted(usage);
    }

    /// A batch with a bookmark is delivered. `were_two`: whether two hosts of this name were
    /// known at the start. Answers where two come from that were thought to be one.
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

    /// Judges the bookmarks of all batches whose rows are known, and writes them, unless a
    /// write is under way. `is_open`: whether a connection is still there. Answers those that
    /// need no write.
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
            // It may have been handed back meanwhile.
            let Some((since, conn, mark)) = batch else {
                continue;
            };
            if ledger.knows(&mark.key, since) {
                // Its host has gone on elsewhere, perhaps to another relay, and the row may
                // have been read after that.
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
        let mut row_of = HashMap::new();
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

    /// `at`: the row that an earlier batch of this turn has changed. Answers which it is now.
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

    /// The store has answered the write under way.
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

    /// Rows cannot be read.
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

    /// A bookmark lasts, and takes room, whatever has become of its batch.
    pub(super) fn note_grown(&mut self, outcome: &mut Outcome) {
        self.bookmarks.note_grown(outcome);
    }

    /// Says and counts what has become of a bookmark.
    pub(super) fn note(&mut self, mark: &Mark, outcome: &Outcome) {
        let counts = self.bookmarks.note(mark, outcome);
        self.counters.bookmarks_aside += counts.aside;
        self.counters.bookmarks_crowded += counts.crowded;
    }
}
