//! From delivered to committed: what is known of a bookmark is judged and written, and the
//! batches of what lasts are acknowledged.
//!
//! A delivered batch waits until its row is known and no write is under way. So one write
//! has all that came during the one before. Where another relay has written a row
//! since the host came here, one of the two is late: the row is read again, and what is
//! further stays.

use super::batches::{Batch, Mark};
use super::bookmarks::Outcome;
use super::known::Before;
use super::{Collector, access, seconds};
use crate::base::clock::Now;
use crate::bookmark::{Key, Stored};
use crate::output::queue::BatchId;
use crate::store::{Answer, Condition, Done, Error, Found, Job, Stamp, Ticket, Write, Wrote};
use std::collections::HashMap;

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
pub(super) struct Committing {
    rows: Vec<Row>,
    /// The batches whose bookmarks they are, with the number of the row, if there is one to
    /// write.
    batches: Vec<(BatchId, Option<Outcome>, Option<usize>)>,
}

impl Collector {
    /// The next thing to ask the store; ask until there is none, after each call that takes
    /// `now`. Each gets one [`Collector::handle_answer`], in any order.
    #[must_use]
    pub fn poll_job(&mut self) -> Option<(Ticket, Job)> {
        self.ledger.poll_job()
    }

    /// Whether [`Collector::commit`] has something to do.
    #[must_use]
    pub fn wants_commit(&self) -> bool {
        !self.delivered.is_empty()
    }

    /// Hands all batches that were delivered since the last call to the store, in one write.
    /// Call it once a turn.
    pub fn commit(&mut self, now: Now) {
        let delivered = std::mem::take(&mut self.delivered);
        for id in delivered {
            match self.batches.get(&id).map(|batch| batch.mark.is_some()) {
                None => {}
                Some(true) => {
                    self.watch_for_clones(now, id);
                    self.pending.push(id);
                }
                // There is nothing to wait for.
                Some(false) => self.settle_batch(now, id, None),
            }
        }
        self.go_on(now);
    }

    fn go_on(&mut self, now: Now) {
        if !self.ledger.is_writing() {
            self.write_pending(now);
        }
        self.ledger.read();
    }

    /// The store has answered, or how it is has changed.
    pub fn handle_answer(&mut self, now: Now, answer: Answer) {
        self.known.tick(now);
        let Answer {
            ticket,
            done,
            condition,
        } = answer;
        if let Some(condition) = condition {
            self.note_condition(now, condition);
        }
        match done {
            Done::Read(found) => self.note_read(now, ticket, found),
            Done::Written(wrote) if self.ledger.take_written(ticket) => {
                let committing = std::mem::take(&mut self.committing);
                match wrote {
                    Ok(wrote) => self.note_written(now, ticket, committing, &wrote),
                    Err(error) => self.note_not_written(now, committing, &error),
                }
            }
            Done::Written(_) | Done::Changed => {}
            chore => self.note_chore(now, ticket, chore),
        }
        self.begin_waiting(now);
        self.go_on(now);
        self.note_fullness(now);
    }

    /// While nothing can be stored, what would be given to outputs is held, since its hosts
    /// would send it again, perhaps to another relay.
    fn note_condition(&mut self, now: Now, condition: Condition) {
        let was_away = self.bookmarks.condition().trouble.is_some();
        self.bookmarks.note_condition(condition);
        match (was_away, self.bookmarks.condition().trouble.is_some()) {
            (false, true) => self.arm_probe(now),
            (true, false) if !self.commit_failing => self.disarm_probe(),
            _ => {}
        }
    }

    fn note_read(&mut self, now: Now, ticket: Ticket, found: Result<Vec<Found>, Error>) {
        let Some(keys) = self.ledger.take_read(ticket) else {
            return;
        };
        match found {
            Ok(found) => {
                for (key, found) in keys.into_iter().zip(found) {
                    let known = self.ledger.note_found(now, ticket, &key, found);
                    self.questions
                        .note_found(ticket, &key, known.stored.as_ref());
                }
                self.answer_questions(now);
            }
            Err(error) => {
                log::error!("{error}");
                let is_unread = |batch: &Batch| {
                    let mark = batch.mark.as_ref();
                    mark.is_some_and(|mark| keys.contains(&mark.key))
                };
                let (unread, others): (Vec<_>, _) = std::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|id| self.batches.get(id).is_some_and(is_unread));
                self.pending = others;
                if !unread.is_empty() {
                    self.hand_back_unwritten(now, unread, &error);
                }
                self.refuse_questions(now, &keys);
            }
        }
    }

    /// Judges the bookmarks of all batches whose rows are known, and writes them.
    fn write_pending(&mut self, now: Now) {
        let mut ready = Vec::new();
        for id in std::mem::take(&mut self.pending) {
            let batch = self.batches.get(&id);
            let batch = batch.and_then(|batch| Some((batch.since, batch.mark.as_ref()?)));
            let Some((since, mark)) = batch else {
                continue;
            };
            if self.ledger.knows(&mark.key, since) {
                ready.push(id);
            } else {
                let former = || access::former_keys(&mark.identity, &mark.key);
                self.ledger.want_since(&mark.key, since, former);
                self.pending.push(id);
            }
        }
        if ready.is_empty() {
            return;
        }
        let (committing, rows) = self.judge_all(now, ready);
        if rows.is_empty() {
            return self.note_written(now, 0, committing, &[]);
        }
        let stamp = Stamp {
            wall: seconds(now),
            ran: self.known.hosts.ran(),
            network: None,
        };
        self.committing = committing;
        self.ledger.write(rows, stamp);
    }

    fn judge_all(&mut self, now: Now, ready: Vec<BatchId>) -> (Committing, Vec<Write>) {
        let (mut committing, mut rows) = (Committing::default(), Vec::new());
        let mut row_of = HashMap::new();
        for id in ready {
            let batch = self.batches.get_mut(&id);
            let taken = batch.and_then(|batch| Some((batch.conn, batch.mark.take()?)));
            let Some((conn, mut mark)) = taken else {
                continue;
            };
            // Its host has gone on elsewhere, perhaps to another relay, and the row may have
            // been read after that.
            mark.may_be_late |= !self.connections.contains_key(&conn);
            let at = row_of.get(&mark.key).copied();
            let (outcome, at) = self.judge_one(now, &mark, at, (&mut committing, &mut rows));
            if let Some(at) = at {
                row_of.insert(mark.key.clone(), at);
            }
            committing.batches.push((id, Some(outcome), at));
            if let Some(batch) = self.batches.get_mut(&id) {
                batch.mark = Some(mark);
            }
        }
        (committing, rows)
    }

    /// `at`: the row that an earlier batch of this turn has changed. Answers which it is now.
    fn judge_one(
        &mut self,
        now: Now,
        mark: &Mark,
        at: Option<usize>,
        (committing, rows): (&mut Committing, &mut Vec<Write>),
    ) -> (Outcome, Option<usize>) {
        let found = self.ledger.row(now, &mark.key).cloned().unwrap_or_default();
        let changed = at.and_then(|at| committing.rows.get(at));
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
            committing.rows.push(Row {
                key: mark.key.clone(),
                stored: outcome.before.clone(),
                former: found.former,
                generation: found.generation,
            });
            rows.len() - 1
        });
        if let (Some(row), Some(written)) = (rows.get_mut(at), committing.rows.get_mut(at)) {
            if latest.is_some() {
                written.stored.clone_from(&latest);
                row.latest = latest;
            }
            row.aside = aside.or(row.aside.take());
        }
        (outcome, Some(at))
    }

    fn note_written(&mut self, now: Now, ticket: Ticket, committing: Committing, wrote: &[Wrote]) {
        for (row, wrote) in committing.rows.into_iter().zip(wrote) {
            let known = (row.stored, row.generation);
            match wrote {
                Wrote::Done => self.ledger.note_written(now, ticket, &row.key, known),
                Wrote::Conflict | Wrote::Failed => self.ledger.forget(&row.key),
            }
            if let Some(former) = row.former {
                self.ledger.forget(&former);
            }
        }
        let mut is_any_done = committing.batches.iter().any(|(_, _, at)| at.is_none());
        for (id, outcome, at) in committing.batches {
            match at.and_then(|at| wrote.get(at)).unwrap_or(&Wrote::Done) {
                Wrote::Done => {
                    is_any_done = true;
                    self.settle_batch(now, id, outcome);
                }
                Wrote::Conflict => {
                    self.counters.bookmark_conflicts += 1;
                    if let Some(mark) = self.batches.get_mut(&id).and_then(|b| b.mark.as_mut()) {
                        mark.may_be_late = true;
                    }
                    self.pending.push(id);
                }
                Wrote::Failed => self.hand_back_delivered(now, id),
            }
        }
        if is_any_done && std::mem::take(&mut self.commit_failing) {
            log::info!("bookmarks are stored again");
            self.disarm_probe();
        }
    }

    fn note_not_written(&mut self, now: Now, committing: Committing, error: &Error) {
        for row in &committing.rows {
            self.ledger.forget(&row.key);
            if let Some(former) = &row.former {
                self.ledger.forget(former);
            }
        }
        let ids = committing.batches.into_iter().map(|(id, _, _)| id);
        self.hand_back_unwritten(now, ids.collect(), error);
    }

    fn hand_back_unwritten(&mut self, now: Now, ids: Vec<BatchId>, error: &Error) {
        if !std::mem::replace(&mut self.commit_failing, true) {
            log::error!("{error}; batches are handed back to their sources until it works");
        }
        self.arm_probe(now);
        for id in ids {
            self.hand_back_delivered(now, id);
        }
    }

    /// The outputs have it, and it cannot be acknowledged.
    fn hand_back_delivered(&mut self, now: Now, id: BatchId) {
        if let Some(batch) = self.take_batch(id) {
            self.note_had(now, id, &batch);
            self.hand_back(now, &batch);
        }
    }

    /// Acknowledges a batch, unless its source would not wait; with what came of its bookmark.
    fn settle_batch(&mut self, now: Now, id: BatchId, mut outcome: Option<Outcome>) {
        if let Some(outcome) = &mut outcome {
            self.bookmarks.note_grown(outcome);
        }
        let Some(mut batch) = self.take_batch(id) else {
            return;
        };
        let mark = batch.mark.take();
        let before = mark.zip(outcome).map(|(mark, outcome)| {
            let counts = self.bookmarks.note(&mark, &outcome);
            self.counters.bookmarks_aside += counts.aside;
            self.counters.bookmarks_crowded += counts.crowded;
            Before {
                stored: outcome.before,
                facts: mark.facts,
            }
        });
        self.setbacks.note_acknowledged(batch.who().as_ref());
        self.note_acknowledged(now, &batch, before);
        self.acknowledge(now, &batch);
    }

    fn watch_for_clones(&mut self, now: Now, id: BatchId) {
        let Some(batch) = self.batches.get(&id) else {
            return;
        };
        let Some(mark) = &batch.mark else {
            return;
        };
        let is_open = |conn| self.connections.contains_key(&conn);
        let host = batch.host.as_ref().map(|(key, _)| key);
        let known = host.and_then(|key| self.known.hosts.get(key));
        let were_two = known.is_some_and(|host| host.clones.is_some());
        let watched = self
            .bookmarks
            .watch(now, batch.conn, mark, were_two, is_open);
        if let (Some(two), Some(host)) = (watched, host) {
            self.counters.clones += 1;
            let hosts = &mut self.known.hosts;
            hosts.note_clones(host, seconds(now), two.addresses);
        }
    }
}
