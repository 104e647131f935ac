//! A batch from its frames to its Ack: delivered by all outputs, its bookmark
//! committed, acknowledged; or handed back by 503.

use super::had::Whose;
use super::setbacks::{self, Who};
use super::waiting::Place;
use super::{Collector, ConnId, OutputId, Timer};
use crate::auth::Identity;
use crate::base::clock::Now;
use crate::bookmark::{self, BatchFacts, Bookmark};
use crate::connection::Answer;
use crate::hosts;
use crate::output::queue::{BatchId, Frames};
use crate::protocol::wsman::{self, Header};
use crate::store::Ticket;
use std::net::IpAddr;
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
    /// Another relay may have written since the host came here.
    pub(super) may_be_late: bool,
    pub(super) facts: BatchFacts,
    pub(super) rules: bookmark::Rules,
    /// Where it comes from.
    pub(super) network: IpAddr,
    /// Who it is from, for the log.
    pub(super) source: String,
}

/// A set of outputs. Those beyond the first 64 are not noted: what they have is sent again.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Outputs(u64);

impl Outputs {
    pub(super) fn add(&mut self, output: OutputId) {
        self.0 |= Self::bit(output);
    }

    fn has(self, output: OutputId) -> bool {
        self.0 & Self::bit(output) != 0
    }

    fn bit(output: OutputId) -> u64 {
        let index = u32::try_from(output.0).unwrap_or(u32::MAX);
        1_u64.checked_shl(index).unwrap_or(0)
    }
}

/// A batch whose source waits.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) conn: ConnId,
    pub(super) header: Header,
    pub(super) mark: Option<Mark>,
    pub(super) events: usize,
    /// Its bookmark has to be known as of then.
    pub(super) since: Ticket,
    /// Name of the subscription that it answers.
    pub(super) subscription: String,
    /// Whose it is in the table of hosts, and for which subscription.
    pub(super) host: Option<(Rc<hosts::Key>, Uuid)>,
    /// Where it came from.
    pub(super) address: IpAddr,
    pub(super) began: Instant,
    /// Whose it is, and for which subscription.
    pub(super) whose: Whose,
    /// One item for each form.
    pub(super) frames: Vec<Rc<Frames>>,
    /// Where it waits, if it is not begun.
    pub(super) place: Option<Place>,
    /// Outputs that have not delivered it.
    pub(super) waiting: usize,
    /// Outputs that have it.
    pub(super) had_by: Outputs,
    /// How long its source waits in all.
    pub(super) timeout: Duration,
    /// When it is handed back.
    pub(super) until: Instant,
}

/// How long a source waits for its answer, and when it has to have it. `began`: when it
/// began to send.
pub(super) fn time_of(now: Now, began: Instant, header: &Header) -> (Duration, Instant) {
    let timeout = header.operation_timeout.unwrap_or(DEFAULT_TIMEOUT);
    let timeout = timeout.min(LONGEST_TIMEOUT);
    (timeout, deadline(now, began, timeout))
}

impl Batch {
    /// What most of the outputs get of it, in bytes.
    pub(super) fn size(&self) -> usize {
        let sizes = self.frames.iter().map(|frames| frames.bytes.len());
        sizes.max().unwrap_or(0)
    }

    /// Whose it is, as far as a receiver's refusal is about it.
    pub(super) fn who(&self) -> Option<Who> {
        setbacks::who(self.host.as_ref(), self.address)
    }
}

impl Collector {
    /// A receiver refuses an event of a batch: its host keeps it, and waits.
    pub(super) fn refuse_batch(&mut self, now: Now, id: BatchId) {
        let who = self.batches.get(&id).and_then(Batch::who);
        if let Some(who) = who {
            self.setbacks.note_refused(now, who);
        }
        self.hand_back_late(now, id);
    }

    /// One more output has delivered a batch.
    pub(super) fn note_delivered(&mut self, output: OutputId, required: bool, id: BatchId) {
        let Some(batch) = self.batches.get_mut(&id) else {
            return;
        };
        batch.had_by.add(output);
        if !required {
            return;
        }
        batch.waiting -= 1;
        if batch.waiting == 0 {
            self.delivered.push(id);
        }
    }

    pub(super) fn take_batch(&mut self, id: BatchId) -> Option<Batch> {
        let batch = self.batches.remove(&id)?;
        self.timers.remove(&(batch.until, Timer::Batch(id)));
        Some(batch)
    }

    pub(super) fn acknowledge(&mut self, now: Now, batch: &Batch) {
        self.counters.batches += 1;
        let events = u64::try_from(batch.events).unwrap_or(u64::MAX);
        self.counters.events += events;
        self.counters.note_delivered(&batch.subscription, events);
        self.turns.note_served(now, &batch.whose.0);
        self.had.forget(&batch.whose);
        let took = now.monotonic.duration_since(batch.began);
        self.counters.latency.note(took);
        let ack = wsman::ack(&batch.header, self.new_uuid());
        self.answer(now, batch.conn, &Answer::Envelope(200, &ack));
    }

    pub(super) fn hand_back(&mut self, now: Now, batch: &Batch) {
        self.counters.unavailable += 1;
        self.answer(now, batch.conn, &Answer::Empty(503));
    }

    /// The source of a batch will not wait any longer, or would wait in vain: it keeps the
    /// events.
    pub(super) fn hand_back_late(&mut self, now: Now, id: BatchId) {
        let Some(mut batch) = self.take_batch(id) else {
            return;
        };
        if self.leave_waiting(&mut batch) {
            self.note_late_outputs(now);
            self.turns.note_refused(now, &batch.whose.0);
            self.had.touch(now, &batch.whose);
        } else {
            self.note_had(now, id, &batch);
        }
        self.delivered.retain(|delivered| *delivered != id);
        self.pending.retain(|pending| *pending != id);
        log::debug!(
            "batch of {} events not delivered in time: handed back",
            batch.events
        );
        self.hand_back(now, &batch);
    }

    /// Remembers which outputs have what of a batch that is handed back.
    pub(super) fn note_had(&mut self, now: Now, id: BatchId, batch: &Batch) {
        for index in 0..self.links.len() {
            let left = self.links.get_mut(index).and_then(|l| l.cancel(now, id));
            let Some(frames) = self.frames_for(batch, OutputId(index)) else {
                continue;
            };
            let prints = self.had.prints(frames);
            let (who, had) = (&batch.whose, &mut self.had);
            let Some(left) = left else {
                // A message that is refused for good takes its batch out of the queue, too.
                if batch.had_by.has(OutputId(index)) {
                    had.note_has(now, who, index, &prints, None);
                }
                continue;
            };
            // Of a batch that was sent in part it is not known which messages these are.
            if left.confirmed.len() == frames.ends.len() {
                had.note_has(now, who, index, &prints, Some(&left.confirmed));
            }
            if left.is_under_way {
                had.note_under_way(now, who, index, (id, prints));
            }
        }
    }
}

/// The source's time counts from when it began to send, the margin is before its end;
/// but outputs get a moment, however long the batch was under way.
fn deadline(now: Now, began: Instant, timeout: Duration) -> Instant {
    let in_time = began + timeout - MARGIN.min(timeout / 4);
    in_time.max(now.monotonic + MOMENT.min(timeout / 8))
}
