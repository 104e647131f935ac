//! The outputs: their links, the encodings that they need, and the consequences for sources
//! when they are full.

mod encodings;
mod pressure;

use std::collections::VecDeque;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::{Input, Output, OutputId};
use crate::base::clock::Now;
use crate::metrics::OutputFacts;
use crate::output;
use crate::output::link::{CAPACITY, Link};
use crate::output::queue::{BatchId, Frames};
use crate::output::{Secret, Task};
use crate::syslog::{Line, Mapping, Sender};
use pressure::{Fullness, Pressure};

pub(super) use encodings::Encodings;
#[cfg(test)]
pub(super) use pressure::HOLD_TIME;

/// Number of waiting bytes below which a period of fullness is over; lower than the
/// capacity, so that reading does not start and stop all the time.
const EASED: usize = CAPACITY / 4 * 3;

/// What has happened to batches at an output.
pub(super) struct Fates {
    pub(super) output: OutputId,
    /// Whether batches have to be delivered there.
    pub(super) is_required: bool,
    pub(super) delivered: Vec<BatchId>,
    pub(super) refused: Vec<BatchId>,
}

/// All outputs.
pub(super) struct Outputs {
    links: Vec<Link>,
    encodings: Encodings,
    pressure: Pressure,
    tasks: VecDeque<Output>,
}

impl Outputs {
    pub(super) fn new(
        settings: Vec<output::Settings>,
        new_link: impl FnMut(output::Settings) -> Link,
    ) -> Self {
        Self {
            encodings: Encodings::new(&settings),
            links: settings.into_iter().map(new_link).collect(),
            pressure: Pressure::default(),
            tasks: VecDeque::new(),
        }
    }

    /// Replaces the outputs' credentials, one item for each output, after they were reread.
    pub(super) fn replace_secrets(&mut self, now: Now, secrets: Vec<Secret>) {
        for (link, secret) in self.links.iter_mut().zip(secrets) {
            link.replace_secret(now, secret);
        }
    }

    pub(super) fn get(&self, id: OutputId) -> Option<&Link> {
        self.links.get(id.0)
    }

    pub(super) fn get_mut(&mut self, id: OutputId) -> Option<&mut Link> {
        self.links.get_mut(id.0)
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = OutputId> + use<> {
        (0..self.links.len()).map(OutputId)
    }

    /// Outputs that must deliver a batch before it is acknowledged.
    pub(super) fn required(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|link| link.settings().required)
    }

    pub(super) fn encodings(&mut self) -> &mut Encodings {
        &mut self.encodings
    }

    /// The part of a batch for an output, if any; `frames` has one item for each encoding.
    pub(super) fn frames_of<'f>(
        &self,
        frames: &'f [Rc<Frames>],
        id: OutputId,
    ) -> Option<&'f Rc<Frames>> {
        let frames = frames.get(self.encodings.of(id.0)?)?;
        (!frames.ends.is_empty()).then_some(frames)
    }

    pub(super) fn poll_task(&mut self) -> Option<Output> {
        for (index, link) in self.links.iter_mut().enumerate() {
            let tasks = link.take_broker_tasks().into_iter();
            let output = |(broker, task)| Output::Broker(OutputId(index), broker, task);
            self.tasks.extend(tasks.map(output));
        }
        self.tasks.pop_front()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let links = self.links.iter().filter_map(Link::poll_timeout);
        links.chain(self.pressure.poll_timeout()).min()
    }

    /// Handles an event at an output; `None` if the input is about something else.
    pub(super) fn handle(&mut self, now: Now, input: &Input<'_>) -> Option<Fates> {
        match *input {
            Input::Resolved(id, found) => self.with(id, |link, _| {
                link.handle_resolved(now, found);
                None
            }),
            Input::Reached(id) => self.with(id, |link, _| {
                link.handle_reached(now);
                None
            }),
            Input::Opened(id) => self.with(id, |link, _| {
                link.handle_opened(now);
                None
            }),
            Input::Failed(id, why) => self.with(id, |link, _| {
                link.handle_failed(now, why);
                None
            }),
            Input::Replied(id, bytes) => self.with(id, |link, delivered| {
                link.handle_received(now, bytes, delivered)
            }),
            Input::Written(id, count) => self.with(id, |link, delivered| {
                link.handle_written(now, count, delivered);
                None
            }),
            Input::Broker(id, broker, event) => self.with(id, |link, delivered| {
                link.handle_broker(now, broker, event, delivered);
                None
            }),
            Input::Filed(id, error) => self.with(id, |link, delivered| {
                link.handle_filed(now, error, delivered);
                None
            }),
            Input::Measured(id, left) => self.with(id, |link, delivered| {
                link.handle_measured(now, left, delivered);
                None
            }),
            _ => None,
        }
    }

    /// Handles a timeout of an output.
    pub(super) fn handle_timeout(&mut self, now: Now, id: OutputId) -> Option<Fates> {
        self.with(id, |link, _| link.handle_timeout(now))
    }

    fn with(
        &mut self,
        id: OutputId,
        act: impl FnOnce(&mut Link, &mut Vec<BatchId>) -> Option<Task>,
    ) -> Option<Fates> {
        let link = self.links.get_mut(id.0)?;
        let mut delivered = Vec::new();
        if let Some(task) = act(link, &mut delivered) {
            self.tasks.push_back(Output::Link(id, task));
        }
        delivered.append(&mut link.take_delivered());
        Some(Fates {
            output: id,
            is_required: link.settings().required,
            delivered,
            refused: link.take_refused(),
        })
    }

    /// Whether sources should be read; `waiting` is the size in bytes of batches that have
    /// not been begun.
    pub(super) fn is_reading(&self, now: Now, waiting: usize) -> bool {
        self.pressure.is_reading(now, || self.is_full(waiting))
    }

    pub(super) fn is_full(&self, waiting: usize) -> bool {
        self.is_filled(CAPACITY, waiting)
    }

    fn is_filled(&self, size: usize, waiting: usize) -> bool {
        self.required().any(|link| link.backlog() + waiting >= size)
    }

    /// The last period in which sources were not read.
    pub(super) fn last_hold(&self, now: Now) -> Option<(Instant, Instant)> {
        self.pressure.last_hold(now)
    }

    /// Holds sources back, or resumes reading. `patience` is how long they may remain
    /// unread.
    pub(super) fn note_fullness(
        &mut self,
        now: Now,
        waiting: usize,
        patience: impl FnOnce() -> Option<Duration>,
    ) {
        let fullness = match () {
            () if !self.is_filled(EASED, waiting) => Fullness::Eased,
            () if !self.is_full(waiting) => Fullness::Filled,
            () => Fullness::Full,
        };
        self.pressure.note(now, fullness, patience);
    }

    /// Whether this many bytes cannot all be delivered in time, or are more than may wait
    /// here.
    pub(super) fn is_too_much(&self, now: Now, size: usize, until: Instant) -> bool {
        let is_shedding = self.pressure.is_shedding(now);
        let is_over = |link: &Link| is_shedding && link.backlog() + size > CAPACITY;
        self.required().any(is_over) || self.is_late(now, size, until)
    }

    /// Whether an output will not have delivered this many more bytes in time.
    pub(super) fn is_late(&self, now: Now, size: usize, until: Instant) -> bool {
        let left = until.saturating_duration_since(now.monotonic);
        let delays = self.required().filter_map(|link| link.delay(now, size));
        delays.max().is_some_and(|delay| delay > left)
    }

    /// Whether all required outputs have room for another batch.
    pub(super) fn have_room(&self, now: Now) -> bool {
        self.required().all(|link| link.has_room(now))
    }

    /// Records that outputs without room are the reason why batches are handed back.
    pub(super) fn note_late(&mut self, now: Now) {
        let required = self.links.iter_mut().filter(|l| l.settings().required);
        let busy = required.filter(|link| !link.has_room(now));
        busy.for_each(|link| link.note_late(now));
    }

    /// Queues a message of the relay's own log at every output that has room for it.
    pub(super) fn push_own(&mut self, now: Now, mapping: &Mapping, sender: &Sender, line: &Line) {
        let frames = self.encodings.write_own(mapping, sender, line);
        for (index, link) in self.links.iter_mut().enumerate() {
            let encoding = self.encodings.of(index);
            let Some(frames) = encoding.and_then(|index| frames.get(index)) else {
                continue;
            };
            if let Some(count) = link.take_own_lost() {
                let lost = (index, count);
                if let Some(gap) = self.encodings.write_gap(now, mapping, sender, lost) {
                    link.push_own(now, &gap);
                }
            }
            link.push_own(now, frames);
        }
    }

    /// Closes the outputs' sessions in an orderly way.
    pub(super) fn close(&mut self, now: Now) {
        self.links.iter_mut().for_each(|link| link.close(now));
    }

    /// Whether all sessions have ended.
    pub(super) fn are_closed(&self) -> bool {
        self.links.iter().all(Link::is_closed)
    }

    /// The facts about each output for status and metrics; `waiting` is the size of batches
    /// that have not been begun, and the age of the oldest. `age` computes the age of a
    /// batch.
    pub(super) fn facts(
        &self,
        now: Now,
        (waiting, oldest_waiting): (usize, Option<Duration>),
        age: impl Fn(BatchId) -> Option<Duration>,
    ) -> Vec<OutputFacts> {
        let links = self.links.iter().enumerate();
        let facts = links.map(|(index, link)| {
            let facts = link.facts();
            // What has not been begun waits for all required outputs.
            let is_awaited = facts.required;
            OutputFacts {
                oldest: link
                    .oldest()
                    .and_then(&age)
                    .max(oldest_waiting.filter(|_| is_awaited)),
                backlog: facts.backlog + if is_awaited { waiting } else { 0 },
                kept: self.encodings.kept(index),
                rate: link.rate(now).unwrap_or(0),
                ..facts
            }
        });
        facts.collect()
    }

    /// Why events cannot be accepted now, one line for each reason.
    pub(super) fn troubles(&self) -> impl Iterator<Item = String> {
        self.required().filter_map(|output| {
            let facts = output.facts();
            let trouble = match () {
                () if !facts.up => "is not connected",
                () if output.is_full() => "does not keep up",
                () => return None,
            };
            Some(format!("output {} {trouble}", facts.label))
        })
    }
}
