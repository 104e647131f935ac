//! From delivered to acknowledged: the jobs about bookmarks for the store, and how its
//! answers are handled.

use super::commits::{Outcome, Settled};
use super::{Collector, seconds};
use crate::base::clock::Now;
use crate::bookmark::BatchFacts;
use crate::hosts::Delivered;
use crate::output::queue::BatchId;
use crate::store::{Answer, Done, Error, Found, Stamp, Ticket};

impl Collector {
    /// Submits the bookmarks of all batches that were delivered since the last call, in one write;
    /// those that arrive during a write are in the next one. Must be called once per turn.
    pub fn commit(&mut self, now: Now) {
        for id in self.batches.take_delivered() {
            self.commit_batch(now, id);
        }
        self.go_on(now);
        self.tell_hosts(now);
        self.note_connections(now);
    }

    /// Handles an answer of the store, or a change of its state.
    pub fn handle_answer(&mut self, now: Now, answer: Answer) {
        self.hosts.tick(now);
        let Answer {
            ticket,
            done,
            condition,
        } = answer;
        if let Some(condition) = condition {
            let batches = &mut self.batches;
            self.commits.note_condition(now, batches, condition);
        }
        match done {
            Done::Read(found) => self.note_read(now, ticket, found),
            Done::Written(wrote) if self.ledger.take_written(ticket) => {
                let (batches, ledger) = (&mut self.batches, &mut self.ledger);
                let wrote = (ticket, wrote);
                let settled = self.commits.note_written(now, batches, ledger, wrote);
                self.settle(now, settled);
            }
            Done::Written(_) | Done::Changed => {}
            done => {
                let (hosts, ledger) = (&mut self.hosts, &mut self.ledger);
                let counted = self.chores.note(now, (ticket, done), hosts, ledger);
                if let Some(counted) = counted {
                    self.commits.note_counted(counted);
                }
            }
        }
        self.go_on(now);
        self.end_turn(now);
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
                while let Some(question) = self.questions.take_complete() {
                    self.answer_enumerate(now, &question);
                }
            }
            Err(error) => {
                log::error!("{error}");
                let batches = &mut self.batches;
                let settled = self.commits.note_unread(now, batches, &keys, &error);
                self.settle(now, settled);
                for question in self.questions.take_waiting(&keys) {
                    self.batches.hand_back_unread(question.source.conn);
                }
            }
        }
    }

    /// Starts reads and writes that are due.
    fn go_on(&mut self, now: Now) {
        let stamp = Stamp {
            wall: seconds(now),
            ran: self.hosts.table().ran(),
            network: None,
        };
        let (batches, ledger) = (&mut self.batches, &mut self.ledger);
        let is_open = |conn| self.connections.get(conn).is_some();
        let settled = self.commits.write(now, batches, ledger, stamp, is_open);
        self.settle(now, settled);
        self.ledger.read();
    }

    fn settle(&mut self, now: Now, settled: Vec<Settled>) {
        for settled in settled {
            match settled {
                Settled::Done(id, outcome) => self.settle_batch(now, id, Some(outcome)),
                Settled::Failed(id) => self.batches.hand_back_delivered(now, id),
            }
        }
    }

    /// Passes the bookmark of a delivered batch to the store, if it has one.
    fn commit_batch(&mut self, now: Now, id: BatchId) {
        let Some(batch) = self.batches.get(id) else {
            return;
        };
        if batch.mark.is_none() {
            // There is nothing to wait for.
            return self.settle_batch(now, id, None);
        }
        let host = batch.host().map(|(key, _)| key);
        let known = host.and_then(|key| self.hosts.table().get(key));
        let were_two = known.is_some_and(|host| host.clones.is_some());
        let is_open = |conn| self.connections.get(conn).is_some();
        let two = self.commits.add(now, id, batch, were_two, is_open);
        if let (Some(addresses), Some(host)) = (two, host) {
            let hosts = self.hosts.table_mut();
            hosts.note_clones(host, seconds(now), addresses);
        }
    }

    /// Acknowledges a batch unless it has been handed back in the meantime; `outcome` is the result
    /// for its bookmark.
    fn settle_batch(&mut self, now: Now, id: BatchId, mut outcome: Option<Outcome>) {
        if let Some(outcome) = &mut outcome {
            self.commits.note_grown(outcome);
        }
        let Some(mut batch) = self.batches.take(id) else {
            return;
        };
        let judged = batch.mark.take().zip(outcome);
        if let Some((mark, outcome)) = &judged {
            self.commits.note(mark, outcome);
        }
        if let Some((key, subscription)) = batch.host() {
            let (facts, before) = judged.map_or_else(
                || (BatchFacts::new(), None),
                |(mark, outcome)| (mark.facts, outcome.before),
            );
            let delivered = Delivered {
                events: u64::try_from(batch.events).unwrap_or(u64::MAX),
                facts,
                before: before.as_ref(),
            };
            self.hosts
                .note_acknowledged(now, key, *subscription, &delivered);
        }
        self.batches.acknowledge(now, batch);
    }
}
