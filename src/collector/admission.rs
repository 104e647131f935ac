//! Which batches are begun, which wait, and which are handed back at once.
//!
//! A batch is begun when every required output has room for it: so none is given to one
//! output while another is down, and none is on the wire that will not arrive in its
//! source's time. Until then it waits in the order of the hosts' turns, and when there is
//! not enough for all in their time, those whose turn is last are told to come again.

use super::batches::Batch;
use super::had::{Lack, Whose};
use super::{Collector, ConnId, OutputId, Timer, access};
use crate::base::clock::Now;
use crate::output::link::{CAPACITY, Link};
use crate::output::queue::{BatchId, Frames};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often a batch is begun while the state cannot be written, to see whether it still
/// cannot.
const PROBE: Duration = Duration::from_secs(5);

/// When a batch is begun although the state cannot be written.
#[derive(Debug, Default)]
pub(super) struct Probe {
    at: Option<Instant>,
}

impl Probe {
    fn may_begin(&self, now: Now) -> bool {
        self.at.is_none_or(|at| now.monotonic >= at)
    }

    /// The timers that it has.
    #[cfg(test)]
    pub(super) fn timers(&self) -> usize {
        usize::from(self.at.is_some())
    }
}

impl Collector {
    /// Whether a batch of this host would be handed back at once: nothing of it is worth
    /// formatting. `until`: when its source has to have its answer.
    pub(super) fn would_shed(&self, now: Now, who: &Whose, size: usize, until: Instant) -> bool {
        let Some(((last, _), _)) = self.waiting.last() else {
            return false;
        };
        // Not if it comes again for what the outputs have already.
        self.turns.place(now, &who.0) >= last
            && self.is_too_much(now, size, until)
            && !self.had.knows(who)
    }

    /// Whether what waits and `more` cannot all be delivered by then, or is more than may
    /// wait here.
    fn is_too_much(&self, now: Now, more: usize, until: Instant) -> bool {
        let size = self.waiting.bytes() + more;
        let is_over = |link: &Link| self.is_shedding(now) && link.backlog() + size > CAPACITY;
        self.required().any(is_over) || self.is_late(now, size, until)
    }

    /// Whether an output will not have delivered so many more bytes by then.
    fn is_late(&self, now: Now, size: usize, until: Instant) -> bool {
        let left = until.saturating_duration_since(now.monotonic);
        let delays = self.required().filter_map(|link| link.delay(now, size));
        delays.max().is_some_and(|delay| delay > left)
    }

    pub(super) fn required(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.settings().required)
    }

    /// A batch is handed back before anything of it is formatted.
    pub(super) fn shed_on_arrival(&mut self, now: Now, conn: ConnId, who: &Whose, until: Instant) {
        self.counters.shed += 1;
        self.note_late_outputs(now);
        self.send_away(now, conn, who, until);
    }

    /// Begins a batch, or lets it wait.
    pub(super) fn start_batch(&mut self, now: Now, mut batch: Batch) {
        let id = BatchId(self.next_batch);
        self.next_batch += 1;
        self.timers.insert((batch.until, Timer::Batch(id)));
        // Its row is read while outputs have the events.
        if let Some(mark) = &batch.mark {
            let former = || access::former_keys(&mark.identity, &mark.key);
            self.ledger.want_since(&mark.key, batch.since, former);
            self.ledger.read();
        }
        let needs_nothing = self.needs_nothing(&batch);
        if needs_nothing || self.can_begin_at_once(now, &batch) {
            return self.begin(now, id, batch);
        }
        let place = (self.turns.place(now, &batch.whose.0), id);
        self.turns.begin_wait(now, &batch.whose.0);
        batch.place = Some(place);
        self.waiting.insert(place, batch.size());
        self.batches.insert(id, batch);
        self.begin_waiting(now);
        self.shed(now);
    }

    /// Whether a batch has room and time, and nobody's turn is before its own.
    fn can_begin_at_once(&self, now: Now, batch: &Batch) -> bool {
        self.waiting.is_empty()
            && self.is_flowing(now)
            && !self.is_late(now, batch.size(), batch.until)
    }

    /// Whether all required outputs have the batch already.
    fn needs_nothing(&self, batch: &Batch) -> bool {
        if batch.frames.iter().all(|frames| frames.ends.is_empty()) {
            return true;
        }
        let mut needed = self.links.iter().enumerate();
        self.had.knows(&batch.whose)
            && needed.all(|(index, link)| {
                let lack = self.lack(batch, OutputId(index));
                !link.settings().required || matches!(lack, Lack::Nothing | Lack::UnderWay(_))
            })
    }

    fn lack(&self, batch: &Batch, output: OutputId) -> Lack {
        match self.frames_for(batch, output) {
            Some(frames) if self.had.knows(&batch.whose) => {
                let prints = self.had.prints(frames);
                self.had.lack(&batch.whose, output.0, &prints)
            }
            Some(_) => Lack::All,
            None => Lack::Nothing,
        }
    }

    /// What an output gets of a batch, if anything.
    pub(super) fn frames_for<'b>(
        &self,
        batch: &'b Batch,
        output: OutputId,
    ) -> Option<&'b Rc<Frames>> {
        let frames = batch.frames.get(*self.encoding_of_link.get(output.0)?)?;
        (!frames.ends.is_empty()).then_some(frames)
    }

    /// Whether another batch can be begun.
    fn is_flowing(&self, now: Now) -> bool {
        self.probe.may_begin(now) && self.required().all(|link| link.has_room(now))
    }

    /// Gives a batch to every output that lacks it.
    fn begin(&mut self, now: Now, id: BatchId, mut batch: Batch) {
        self.leave_waiting(&mut batch);
        for index in 0..self.links.len() {
            let lack = self.lack(&batch, OutputId(index));
            let frames = self.frames_for(&batch, OutputId(index)).cloned();
            let (Some(frames), Some(link)) = (frames, self.links.get_mut(index)) else {
                continue;
            };
            let is_awaited = match lack {
                Lack::Nothing => {
                    batch.had_by.add(OutputId(index));
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
        self.batches.insert(id, batch);
        if self.probe.at.is_some() {
            self.arm_probe(now);
        }
    }

    /// The outputs that have no room are why batches are handed back.
    pub(super) fn note_late_outputs(&mut self, now: Now) {
        let required = self.links.iter_mut().filter(|l| l.settings().required);
        let busy = required.filter(|link| !link.has_room(now));
        busy.for_each(|link| link.note_late(now));
    }

    /// Takes a batch out of those that wait. Answers whether it was there.
    pub(super) fn leave_waiting(&mut self, batch: &mut Batch) -> bool {
        let place = batch.place.take();
        if let Some(place) = place {
            self.waiting.remove(place);
            self.turns.end_wait(&batch.whose.0);
        }
        place.is_some()
    }

    /// Begins what waits, as far as there is room. What cannot arrive in time is handed back.
    pub(super) fn begin_waiting(&mut self, now: Now) {
        while let Some(((_, first), _)) = self.waiting.first()
            && self.is_flowing(now)
        {
            // Where all are late, the first is begun if that costs nobody else: it shows how
            // fast the outputs are, and need not be sent again when its host comes again. So
            // does one that takes longer than its host waits: none stays behind it.
            let is_probe = || self.required().all(Link::is_at_rest).then_some(first);
            let next = self.first_in_time(now).or_else(is_probe);
            while let Some(((_, late), _)) = self.waiting.first()
                && next != Some(late)
            {
                self.shed_batch(now, late);
            }
            if let Some(id) = next
                && let Some(batch) = self.batches.remove(&id)
            {
                self.begin(now, id, batch);
            }
        }
    }

    /// The first in the order of turns that can arrive in time.
    fn first_in_time(&self, now: Now) -> Option<BatchId> {
        let is_in_time = |id: &BatchId| {
            let batch = self.batches.get(id);
            batch.is_none_or(|batch| !self.is_late(now, batch.size(), batch.until))
        };
        self.waiting.iter().find(is_in_time)
    }

    /// Hands back batches whose turn would come too late, or that find no room; but the
    /// first always stays, to be tried.
    pub(super) fn shed(&mut self, now: Now) {
        while self.waiting.len() > 1
            && let Some(((_, id), _)) = self.waiting.last()
        {
            let batch = self.batches.get(&id);
            let until = batch.map_or(now.monotonic, |batch| batch.until);
            if !self.is_too_much(now, 0, until) {
                break;
            }
            self.shed_batch(now, id);
        }
    }

    fn shed_batch(&mut self, now: Now, id: BatchId) {
        let Some(mut batch) = self.take_batch(id) else {
            return;
        };
        self.counters.shed += 1;
        self.leave_waiting(&mut batch);
        self.note_late_outputs(now);
        self.had.touch(now, &batch.whose);
        self.send_away(now, batch.conn, &batch.whose, batch.until);
    }

    /// The state cannot be written: until it can, one batch at a time shows whether it
    /// still cannot, and the others are not given to outputs in vain.
    pub(super) fn arm_probe(&mut self, now: Now) {
        self.disarm_probe();
        let at = now.monotonic + PROBE;
        self.timers.insert((at, Timer::Probe));
        self.probe.at = Some(at);
    }

    /// The state can be written.
    pub(super) fn disarm_probe(&mut self) {
        if let Some(at) = self.probe.at.take() {
            self.timers.remove(&(at, Timer::Probe));
        }
    }
}
