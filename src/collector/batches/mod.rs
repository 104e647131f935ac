//! Batches in flight: which are begun, waiting, delivered, or handed back.
//!
//! A batch is begun when every required output has room for it. So none is sent to one
//! output while another is down, and none is sent that cannot arrive within its source's
//! time. Until then it waits in the order of the hosts' turns. When there is not enough
//! time for all, those whose turn is last get a 503 and retry; nothing is spooled to disk.

mod batch;
mod had;
mod probe;
mod setbacks;
mod turns;
mod waiting;

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::outputs::{Fates, Outputs};
use super::{ConnId, Input, OutputId};
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::metrics::{Counters, OutputFacts};
use crate::output::link::Link;
use crate::output::queue::BatchId;
use crate::protocol::wsman::Header;
use had::{Had, Lack};
use probe::Probe;
use setbacks::Setbacks;
use turns::Turns;
use waiting::Waiting;

pub(super) use batch::{Batch, Mark, OutputSet, Whose, time_of};

/// The answer to a host about its batch.
pub(super) enum Told {
    /// It is committed: an Ack.
    Acknowledged(ConnId, Box<Header>),
    /// It must be sent again: a 503.
    Unavailable(ConnId),
    /// The same, at some time within this duration; see
    /// [`Connections::send_away`](super::connections::Connections::send_away).
    Away(ConnId, Duration),
}

/// The batches whose sources are waiting, and the outputs that they go to.
pub(super) struct Batches {
    outputs: Outputs,
    in_flight: QuickMap<BatchId, Batch>,
    next: u64,
    /// When each of them is handed back.
    timers: BTreeSet<(Instant, BatchId)>,
    /// Batches that have been delivered since the last [`Batches::take_delivered`].
    delivered: Vec<BatchId>,
    waiting: Waiting,
    turns: Turns,
    had: Had,
    probe: Probe,
    /// Hosts whose batches a receiver refuses.
    setbacks: Setbacks,
    told: VecDeque<Told>,
    counters: Counters,
}

impl Batches {
    pub(super) fn new(outputs: Outputs) -> Self {
        Self {
            outputs,
            in_flight: QuickMap::default(),
            next: 0,
            timers: BTreeSet::new(),
            delivered: Vec::new(),
            waiting: Waiting::default(),
            turns: Turns::default(),
            had: Had::default(),
            probe: Probe::default(),
            setbacks: Setbacks::default(),
            told: VecDeque::new(),
            counters: Counters::default(),
        }
    }

    pub(super) fn outputs(&self) -> &Outputs {
        &self.outputs
    }

    pub(super) fn outputs_mut(&mut self) -> &mut Outputs {
        &mut self.outputs
    }

    pub(super) fn counters(&self) -> &Counters {
        &self.counters
    }

    pub(super) fn is_empty(&self) -> bool {
        self.in_flight.is_empty()
    }

    pub(super) fn get(&self, id: BatchId) -> Option<&Batch> {
        self.in_flight.get(&id)
    }

    pub(super) fn get_mut(&mut self, id: BatchId) -> Option<&mut Batch> {
        self.in_flight.get_mut(&id)
    }

    /// When the oldest batch arrived.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.in_flight.values().map(|batch| batch.began).min()
    }

    /// The facts of each output, with the batches that wait for it.
    pub(super) fn output_facts(&self, now: Now) -> Vec<OutputFacts> {
        let age = |batch: &Batch| now.monotonic.saturating_duration_since(batch.began);
        let all = self.in_flight.values();
        let waiting = all.filter(|batch| batch.place.is_some()).map(age).max();
        let waiting = (self.waiting.bytes(), waiting);
        let age_of = |id| self.in_flight.get(&id).map(age);
        self.outputs.facts(now, waiting, age_of)
    }

    /// Whether sources may be read: not while an output is full.
    pub(super) fn is_reading(&self, now: Now) -> bool {
        self.outputs.is_reading(now, self.waiting.bytes())
    }

    /// The next answer to a host; call until it returns `None`.
    pub(super) fn poll_told(&mut self) -> Option<Told> {
        self.told.pop_front()
    }

    pub(super) fn has_delivered(&self) -> bool {
        !self.delivered.is_empty()
    }

    /// The batches that every required output has delivered since the last call.
    pub(super) fn take_delivered(&mut self) -> Vec<BatchId> {
        std::mem::take(&mut self.delivered)
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let timers = [
            self.timers.first().map(|(at, _)| *at),
            self.probe.poll_timeout(),
            self.outputs.poll_timeout(),
        ];
        timers.into_iter().flatten().min()
    }

    /// Handles an input that concerns an output; ignores any other.
    pub(super) fn handle(&mut self, now: Now, input: &Input<'_>) {
        if let Some(fates) = self.outputs.handle(now, input) {
            self.note_fates(now, fates);
        }
    }

    /// Handles the timeouts of the outputs, and hands back batches whose sources will not wait
    /// any longer.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        for id in self.outputs.ids() {
            if let Some(fates) = self.outputs.handle_timeout(now, id) {
                self.note_fates(now, fates);
            }
        }
        self.probe.handle_timeout(now);
        while let Some(&(at, id)) = self.timers.first()
            && at <= now.monotonic
        {
            self.timers.pop_first();
            self.hand_back_late(now, id);
        }
    }

    /// Forgets old records, and hands back batches that would arrive too late.
    pub(super) fn sweep(&mut self, now: Now) {
        self.setbacks.sweep(now);
        self.turns.sweep(now);
        self.had.sweep(now);
        self.shed(now);
    }

    /// Whether a batch of this host must be handed back unread, because a receiver rejected
    /// the previous one.
    pub(super) fn holds(&self, now: Now, host: Option<&Whose>, address: IpAddr) -> bool {
        let who = setbacks::who(host, address);
        self.setbacks.holds(now, who.as_ref())
    }

    /// Whether a batch of this host would be handed back immediately, so that formatting it
    /// would be wasted. `until` is when its source needs an answer.
    pub(super) fn would_shed(
        &self,
        now: Now,
        who: &Whose,
        (size, until): (usize, Instant),
    ) -> bool {
        let Some(((last, _), _)) = self.waiting.last() else {
            return false;
        };
        // Unless it repeats what the outputs already have.
        self.turns.place(now, &who.0) >= last
            && self
                .outputs
                .is_too_much(now, self.waiting.bytes() + size, until)
            && !self.had.knows(who)
    }

    /// Hands back a batch before it is parsed.
    pub(super) fn hand_back_unread(&mut self, conn: ConnId) {
        self.counters.unavailable += 1;
        self.told.push_back(Told::Unavailable(conn));
    }

    /// Hands back a batch before it is formatted.
    pub(super) fn shed_on_arrival(
        &mut self,
        now: Now,
        conn: ConnId,
        (who, until): (&Whose, Instant),
    ) {
        self.counters.shed += 1;
        self.outputs.note_late(now);
        self.send_away(now, conn, who, until);
    }

    /// Asks a host to retry. A host that was not asked since the turn before its last gets its 503
    /// later, so that retries spread out.
    fn send_away(&mut self, now: Now, conn: ConnId, who: &Whose, until: Instant) {
        self.counters.unavailable += 1;
        let left = until.saturating_duration_since(now.monotonic);
        self.told
            .push_back(if self.turns.note_refused(now, &who.0) {
                Told::Away(conn, left)
            } else {
                Told::Unavailable(conn)
            });
    }

    /// Begins a batch, or queues it.
    pub(super) fn start(&mut self, now: Now, mut batch: Batch) {
        let id = BatchId(self.next);
        self.next += 1;
        self.timers.insert((batch.until, id));
        if self.had.has_all(&self.outputs, &batch) || self.can_begin_at_once(now, &batch) {
            return self.begin(now, id, batch);
        }
        let place = (self.turns.place(now, &batch.whose.0), id);
        self.turns.begin_wait(now, &batch.whose.0);
        batch.place = Some(place);
        self.waiting.insert(place, batch.size());
        self.in_flight.insert(id, batch);
        self.begin_waiting(now);
        self.shed(now);
    }

    /// Whether a batch has room and time, and no other host's turn comes before it.
    fn can_begin_at_once(&self, now: Now, batch: &Batch) -> bool {
        self.waiting.is_empty()
            && self.is_flowing(now)
            && !self.outputs.is_late(now, batch.size(), batch.until)
    }

    /// Whether another batch can be begun.
    fn is_flowing(&self, now: Now) -> bool {
        self.probe.may_begin(now) && self.outputs.have_room(now)
    }

    /// Gives a batch to every output that lacks it.
    fn begin(&mut self, now: Now, id: BatchId, mut batch: Batch) {
        self.leave_waiting(&mut batch);
        for output in self.outputs.ids() {
            let lack = self.had.lack_of(&self.outputs, &batch, output);
            let frames = self.outputs.frames_of(&batch.frames, output).cloned();
            let (Some(frames), Some(link)) = (frames, self.outputs.get_mut(output)) else {
                continue;
            };
            let is_awaited = match lack {
                Lack::Nothing => {
                    batch.had_by.add(output);
                    false
                }
                Lack::UnderWay(old) if link.adopt(old, id) => link.settings().required,
                Lack::Some(messages) => link.push(now, id, &Rc::new(frames.only(&messages))),
                Lack::UnderWay(_) | Lack::All => link.push(now, id, &frames),
            };
            batch.waiting += usize::from(is_awaited);
        }
        if batch.waiting == 0 {
            self.delivered.push(id);
        }
        self.in_flight.insert(id, batch);
        self.probe.note_begun(now);
    }

    /// Removes a batch from the queue; returns whether it was there.
    fn leave_waiting(&mut self, batch: &mut Batch) -> bool {
        let place = batch.place.take();
        if let Some(place) = place {
            self.waiting.remove(place);
            self.turns.end_wait(&batch.whose.0);
        }
        place.is_some()
    }

    /// Begins waiting batches, and records how full the outputs are.
    pub(super) fn end_turn(&mut self, now: Now) {
        self.begin_waiting(now);
        // Sources with short timeouts must not remain unread until their timeouts.
        let in_flight = &self.in_flight;
        let patience = || in_flight.values().map(|batch| batch.timeout / 4).min();
        self.outputs
            .note_fullness(now, self.waiting.bytes(), patience);
    }

    /// Begins waiting batches as far as there is room. Those that cannot arrive in time are
    /// handed back.
    fn begin_waiting(&mut self, now: Now) {
        while let Some(((_, first), _)) = self.waiting.first()
            && self.is_flowing(now)
        {
            // If all are late, the first one is begun if that delays no other: it shows how
            // fast the outputs are, and need not be sent again when its host retries. The
            // same holds for one that takes longer than its host waits: nothing queues up
            // behind it.
            let is_probe = || {
                self.outputs
                    .required()
                    .all(Link::is_at_rest)
                    .then_some(first)
            };
            let next = self.first_in_time(now).or_else(is_probe);
            while let Some(((_, late), _)) = self.waiting.first()
                && next != Some(late)
            {
                self.shed_batch(now, late);
            }
            if let Some(id) = next
                && let Some(batch) = self.in_flight.remove(&id)
            {
                self.begin(now, id, batch);
            }
        }
    }

    /// The first batch in the order of turns that can arrive in time.
    fn first_in_time(&self, now: Now) -> Option<BatchId> {
        let is_in_time = |id: &BatchId| {
            let batch = self.in_flight.get(id);
            batch.is_none_or(|batch| !self.outputs.is_late(now, batch.size(), batch.until))
        };
        self.waiting.iter().find(is_in_time)
    }

    /// Hands back batches whose turn would come too late, or for which there is no room.
    /// The first one always stays, as a probe.
    fn shed(&mut self, now: Now) {
        while self.waiting.len() > 1
            && let Some(((_, id), _)) = self.waiting.last()
        {
            let batch = self.in_flight.get(&id);
            let until = batch.map_or(now.monotonic, |batch| batch.until);
            if !self.outputs.is_too_much(now, self.waiting.bytes(), until) {
                break;
            }
            self.shed_batch(now, id);
        }
    }

    fn shed_batch(&mut self, now: Now, id: BatchId) {
        let Some(mut batch) = self.take(id) else {
            return;
        };
        self.counters.shed += 1;
        self.leave_waiting(&mut batch);
        self.outputs.note_late(now);
        self.had.touch(now, &batch.whose);
        self.send_away(now, batch.conn, &batch.whose, batch.until);
    }

    /// Handles what has happened to batches at an output.
    fn note_fates(&mut self, now: Now, fates: Fates) {
        for id in fates.delivered {
            if self.in_flight.contains_key(&id) {
                self.note_delivered(fates.output, fates.is_required, id);
            } else {
                self.had.note_late(now, fates.output.0, id);
            }
        }
        for id in fates.refused {
            self.note_refused(now, id);
        }
    }

    /// Records that one more output has delivered a batch.
    fn note_delivered(&mut self, output: OutputId, is_required: bool, id: BatchId) {
        let Some(batch) = self.in_flight.get_mut(&id) else {
            return;
        };
        batch.had_by.add(output);
        if !is_required {
            return;
        }
        batch.waiting -= 1;
        if batch.waiting == 0 {
            self.delivered.push(id);
        }
    }

    /// Handles the refusal of an event by a receiver: the host keeps the batch, and waits.
    fn note_refused(&mut self, now: Now, id: BatchId) {
        let who = self.in_flight.get(&id).and_then(Batch::who);
        if let Some(who) = who {
            self.setbacks.note_refused(now, who);
        }
        self.hand_back_late(now, id);
    }

    pub(super) fn take(&mut self, id: BatchId) -> Option<Batch> {
        let batch = self.in_flight.remove(&id)?;
        self.timers.remove(&(batch.until, id));
        Some(batch)
    }

    /// Acknowledges a batch whose bookmark is committed.
    pub(super) fn acknowledge(&mut self, now: Now, batch: Batch) {
        self.setbacks.note_acknowledged(batch.who().as_ref());
        self.counters.batches += 1;
        let events = u64::try_from(batch.events).unwrap_or(u64::MAX);
        self.counters.events += events;
        self.counters.note_delivered(&batch.subscription, events);
        self.turns.note_served(now, &batch.whose.0);
        self.had.forget(&batch.whose);
        let took = now.monotonic.duration_since(batch.began);
        self.counters.latency.note(took);
        let told = Told::Acknowledged(batch.conn, Box::new(batch.header));
        self.told.push_back(told);
    }

    /// Hands back a batch whose source will not wait any longer, or would wait in vain. The
    /// source keeps the events.
    fn hand_back_late(&mut self, now: Now, id: BatchId) {
        let Some(mut batch) = self.take(id) else {
            return;
        };
        if self.leave_waiting(&mut batch) {
            self.outputs.note_late(now);
            self.turns.note_refused(now, &batch.whose.0);
            self.had.touch(now, &batch.whose);
        } else {
            self.had.take_back(now, &mut self.outputs, (id, &batch));
        }
        self.delivered.retain(|delivered| *delivered != id);
        log::debug!(
            "batch of {} events not delivered in time: answered 503",
            batch.events
        );
        self.hand_back_unread(batch.conn);
    }

    /// Hands back a batch that the outputs have, but that cannot be acknowledged.
    pub(super) fn hand_back_delivered(&mut self, now: Now, id: BatchId) {
        if let Some(batch) = self.take(id) {
            self.had.take_back(now, &mut self.outputs, (id, &batch));
            self.hand_back_unread(batch.conn);
        }
    }

    /// While the state cannot be written, begins only one batch at a time, to find out
    /// whether that has changed. The others would be given to outputs in vain.
    pub(super) fn arm_probe(&mut self, now: Now) {
        self.probe.arm(now);
    }

    /// The state can be written again.
    pub(super) fn disarm_probe(&mut self) {
        self.probe = Probe::default();
    }
}

#[cfg(test)]
mod tests;
