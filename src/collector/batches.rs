//! A batch from its frames to its Ack: delivered by all outputs, its bookmark
//! committed, acknowledged; or handed back by 503.

use super::bookmarks::Outcome;
use super::known::Before;
use super::setbacks::{self, Who};
use super::{Collector, ConnId, Timer, seconds};
use crate::auth::Identity;
use crate::bookmark::{self, BatchFacts, Bookmark};
use crate::clock::Now;
use crate::connection::Answer;
use crate::hosts;
use crate::queue::{BatchId, Frames};
use crate::store::{Stamp, Store};
use crate::wsman::{self, Header};
use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::time::{Duration, Instant};
use uuid::Uuid;

/// What a source gives an operation when it does not say.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(60);
/// The longest time a batch is held, whatever the source would wait.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(600);
/// How long before the source's timeout it gets its 503, so that it arrives in time.
const MARGIN: Duration = Duration::from_secs(5);

/// What a batch gets at least to be delivered.
const MOMENT: Duration = Duration::from_secs(1);

/// The bookmark that came with a batch, and whose it is.
#[derive(Debug)]
pub(super) struct Mark {
    pub(super) key: bookmark::Key,
    /// Whose it is.
    pub(super) identity: Rc<Identity>,
    pub(super) bookmark: Bookmark,
    pub(super) facts: BatchFacts,
    pub(super) rules: bookmark::Rules,
    /// Where it comes from.
    pub(super) network: IpAddr,
    /// Who it is from, for the log.
    pub(super) source: String,
}

/// A batch whose source waits.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) conn: ConnId,
    pub(super) header: Header,
    pub(super) mark: Option<Mark>,
    pub(super) events: usize,
    /// Name of the subscription that it answers.
    pub(super) subscription: String,
    /// Whose it is in the table of hosts, and for which subscription.
    pub(super) host: Option<(Rc<hosts::Key>, Uuid)>,
    /// Where it came from.
    pub(super) address: IpAddr,
    pub(super) began: Instant,
    /// Outputs that have not delivered it.
    waiting: usize,
    /// How long its source waits in all.
    pub(super) timeout: Duration,
    /// When it is handed back.
    until: Instant,
}

impl Batch {
    /// `began`: when the source began to send it.
    pub(super) fn new(
        now: Now,
        began: Instant,
        conn: ConnId,
        header: Header,
        mark: Option<Mark>,
        events: usize,
        subscription: String,
    ) -> Self {
        let timeout = header.operation_timeout.unwrap_or(DEFAULT_TIMEOUT);
        let timeout = timeout.min(LONGEST_TIMEOUT);
        Self {
            subscription,
            host: None,
            address: Ipv4Addr::UNSPECIFIED.into(),
            began,
            timeout,
            until: deadline(now, began, timeout),
            conn,
            header,
            mark,
            events,
            waiting: 0,
        }
    }

    /// Whose it is, as far as a receiver's refusal is about it.
    pub(super) fn who(&self) -> Option<Who> {
        setbacks::who(self.host.as_ref(), self.address)
    }
}

impl Collector {
    /// Queues a batch at every output. `frames` holds one item for each form.
    pub(super) fn start_batch(&mut self, now: Now, mut batch: Batch, frames: Vec<Frames>) {
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        let frames: Vec<_> = frames.into_iter().map(Rc::new).collect();
        for (link, form) in self.links.iter_mut().zip(&self.form_of_link) {
            let Some(frames) = frames.get(*form).filter(|frames| !frames.ends.is_empty()) else {
                continue;
            };
            batch.waiting += usize::from(link.push(now, id, frames));
        }
        self.timers.insert((batch.until, Timer::Batch(id)));
        if batch.waiting == 0 {
            self.delivered.push(id);
        }
        self.batches.insert(id, batch);
    }

    /// One more output has delivered a batch.
    pub(super) fn note_delivered(&mut self, id: BatchId) {
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        batch.waiting -= 1;
        if batch.waiting == 0 {
            self.delivered.push(id);
        }
    }

    /// Commits the bookmarks of all batches that were delivered since the last
    /// call, in one transaction, and acknowledges them. Call it once a turn.
    pub fn commit(&mut self, now: Now, store: &mut dyn Store) {
        if self.delivered.is_empty() {
            return;
        }
        let ids = std::mem::take(&mut self.delivered);
        let mut batches: Vec<_> = ids.iter().filter_map(|id| self.take_batch(*id)).collect();
        let marks = batches.iter_mut().map(|batch| batch.mark.take());
        let marks: Vec<_> = marks.collect();
        self.watch_for_clones(now, &batches, &marks);
        let stamp = Stamp {
            wall: seconds(now),
            ran: self.known.hosts.ran(),
            network: None,
        };
        match self.bookmarks.record(&marks, stamp, store) {
            Ok(mut recorded) => {
                let counts = self.bookmarks.note(&marks, &mut recorded);
                self.counters.bookmarks_aside += counts.aside;
                self.counters.bookmarks_crowded += counts.crowded;
                if std::mem::take(&mut self.commit_failing) {
                    log::info!("bookmarks are stored again");
                }
                for ((batch, mark), outcome) in batches.iter().zip(marks).zip(recorded) {
                    self.settle_batch(now, batch, mark, outcome);
                }
            }
            Err(error) => {
                store.rollback();
                if !std::mem::replace(&mut self.commit_failing, true) {
                    log::error!("{error}; batches are handed back to their sources until it works");
                }
                batches.iter().for_each(|batch| self.hand_back(now, batch));
            }
        }
        self.bookmarks.note_condition(store);
    }

    fn watch_for_clones(&mut self, now: Now, batches: &[Batch], marks: &[Option<Mark>]) {
        for (batch, mark) in batches.iter().zip(marks) {
            let is_open = |conn| self.connections.contains_key(&conn);
            let known = batch
                .host
                .as_ref()
                .and_then(|(key, _)| self.known.hosts.get(key));
            let were_two = known.is_some_and(|host| host.clones.is_some());
            if let Some(mark) = mark
                && let Some(two) = self
                    .bookmarks
                    .watch(now, batch.conn, mark, were_two, is_open)
                && let Some((host, _)) = &batch.host
            {
                self.counters.clones += 1;
                self.known
                    .hosts
                    .note_clones(host, seconds(now), two.addresses);
            }
        }
    }

    /// Answers a batch, with what came of its bookmark.
    fn settle_batch(
        &mut self,
        now: Now,
        batch: &Batch,
        mark: Option<Mark>,
        outcome: Option<Option<Outcome>>,
    ) {
        let Some(outcome) = outcome else {
            return self.hand_back(now, batch);
        };
        let before = mark.zip(outcome).map(|(mark, outcome)| Before {
            stored: outcome.before,
            facts: mark.facts,
        });
        self.setbacks.note_acknowledged(batch.who().as_ref());
        self.note_acknowledged(now, batch, before);
        self.acknowledge(now, batch);
    }

    fn take_batch(&mut self, id: BatchId) -> Option<Batch> {
        let batch = self.batches.remove(&id)?;
        self.timers.remove(&(batch.until, Timer::Batch(id)));
        Some(batch)
    }

    fn acknowledge(&mut self, now: Now, batch: &Batch) {
        self.counters.batches += 1;
        let events = u64::try_from(batch.events).unwrap_or(u64::MAX);
        self.counters.events += events;
        self.counters.note_delivered(&batch.subscription, events);
        let took = now.monotonic.duration_since(batch.began);
        self.counters.latency.note(took);
        let ack = wsman::ack(&batch.header, self.new_uuid());
        self.answer(now, batch.conn, &Answer::Envelope(200, &ack));
    }

    fn hand_back(&mut self, now: Now, batch: &Batch) {
        self.counters.unavailable += 1;
        self.answer(now, batch.conn, &Answer::Empty(503));
    }

    /// The source of a batch will not wait any longer: it keeps the events.
    pub(super) fn time_out_batch(&mut self, now: Now, id: BatchId) {
        let Some(batch) = self.take_batch(id) else {
            return;
        };
        for link in &mut self.links {
            link.cancel(now, id);
        }
        self.delivered.retain(|delivered| *delivered != id);
        log::debug!(
            "batch of {} events not delivered in time: handed back",
            batch.events
        );
        self.hand_back(now, &batch);
    }
}

/// The source's time counts from when it began to send, the margin is before its end;
/// but outputs get a moment, however long the batch was under way.
fn deadline(now: Now, began: Instant, timeout: Duration) -> Instant {
    let in_time = began + timeout - MARGIN.min(timeout / 4);
    in_time.max(now.monotonic + MOMENT.min(timeout / 8))
}
