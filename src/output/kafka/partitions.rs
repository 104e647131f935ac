//! All partitions of the topic: which messages wait for each, and what happens to batches.

use std::collections::BTreeSet;
use std::time::{Instant, UNIX_EPOCH};

use super::Desk;
use super::partition::{Flight, Partition};
use crate::base::clock::Now;
use crate::output::queue::{Position, Queue};
use crate::output::suspects::Strike;
use crate::protocol::kafka::{
    Batch, Class, Compression, Error, Produced, ProducerId, RECORD_OVERHEAD, partition_of, quoted,
};
use crate::record;

/// Maximum size of a batch in bytes before compression; a broker's default limit is
/// 1,048,588.
const BATCH_MAX: usize = 1_000_000;
/// The lowest limit to which a broker's rejections can reduce it.
const BATCH_LEAST: usize = 16 * 1024;
/// Maximum number of bytes waiting in partitions; the rest stays in the queue.
const PENDING_MAX: usize = 4 << 20;

/// The partitions of a topic, by index.
#[derive(Debug)]
pub(super) struct Partitions {
    all: Vec<Partition>,
    /// Partitions with something to send or to wait for.
    busy: BTreeSet<usize>,
    pending: usize,
    batch_max: usize,
    compression: Compression,
}

impl Partitions {
    pub(super) fn new(compression: Compression) -> Self {
        Self {
            all: Vec::new(),
            busy: BTreeSet::new(),
            pending: 0,
            batch_max: BATCH_MAX,
            compression,
        }
    }

    pub(super) fn get_mut(&mut self, index: usize) -> Option<&mut Partition> {
        self.all.get_mut(index)
    }

    /// Whether no batch has failed, and each partition has a leader.
    pub(super) fn are_well(&self) -> bool {
        self.all.iter().all(|p| p.leader.is_some() && !p.is_failing)
    }

    /// Number of partitions without a leader.
    pub(super) fn leaderless(&self) -> usize {
        self.all.iter().filter(|p| p.leader.is_none()).count()
    }

    /// When the first pause ends.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let busy = self.busy.iter();
        busy.filter_map(|index| self.all.get(*index)?.retry_at)
            .min()
    }

    /// Sends again what is unanswered on a connection.
    pub(super) fn postpone_on(&mut self, now: Now, connection: usize) {
        for index in &self.busy {
            if let Some(partition) = self.all.get_mut(*index)
                && partition.is_sent_on(connection)
            {
                partition.postpone(now.monotonic);
            }
        }
    }

    /// Ends pauses that are over; returns the partitions that may send, with the
    /// connections to their leaders.
    pub(super) fn ready(&mut self, now: Now) -> Vec<(usize, usize)> {
        let mut ready = Vec::new();
        for &index in &self.busy {
            if let Some(partition) = self.all.get_mut(index) {
                partition.end_pause(now.monotonic);
                let leader = partition.leader.filter(|_| partition.may_send());
                ready.extend(leader.map(|leader| (index, leader)));
            }
        }
        ready
    }

    /// The batches of these partitions, with their indexes.
    pub(super) fn batches(&self, indexes: &[usize]) -> Vec<(i32, &[u8])> {
        let batch = |&index: &usize| {
            let flight = self.all.get(index)?.flight.as_ref()?;
            Some((i32::try_from(index).ok()?, flight.bytes.as_slice()))
        };
        indexes.iter().filter_map(batch).collect()
    }

    /// Records that they have been sent on this connection.
    pub(super) fn note_sent(&mut self, indexes: &[usize], connection: usize) {
        for index in indexes {
            if let Some(flight) = self.all.get_mut(*index).and_then(|p| p.flight.as_mut()) {
                flight.sent_on = Some(connection);
            }
        }
    }

    /// Sets the number of partitions. Messages of a partition that is gone move to where
    /// their keys belong now.
    pub(super) fn set_count(&mut self, count: usize, desk: &mut Desk<'_>) {
        let gone = self.all.split_off(count.min(self.all.len()));
        self.all.resize_with(count, Partition::new);
        drop(self.busy.split_off(&count));
        let waiting = gone
            .iter()
            .map(|p| p.pending.iter().copied().collect::<Vec<_>>());
        let waiting: usize = waiting.map(|p| sizes(&p, desk.queue)).sum();
        self.pending = self.pending.saturating_sub(waiting);
        for position in gone.into_iter().flat_map(Partition::into_positions) {
            self.enqueue(position, desk.queue);
        }
    }

    /// Distributes messages from the queue to their partitions.
    pub(super) fn fill(&mut self, desk: &mut Desk<'_>) {
        if self.all.is_empty() {
            return;
        }
        while self.pending < PENDING_MAX && !desk.refusing.suspects.is_full() {
            let position = desk.queue.position();
            let Some(size) = desk.queue.next_datagram().map(<[u8]>::len) else {
                break;
            };
            if !desk.refusing.suspects.holds(position) {
                self.enqueue(position, desk.queue);
            }
            desk.queue.handle_written(size);
        }
    }

    fn enqueue(&mut self, position: Position, queue: &Queue) {
        let Some((index, size)) = self.partition_at(position, queue) else {
            return;
        };
        if let Some(partition) = self.all.get_mut(index) {
            partition.pending.push_back(position);
            self.pending += size;
            self.busy.insert(index);
        }
    }

    fn partition_at(&self, position: Position, queue: &Queue) -> Option<(usize, usize)> {
        let record = queue.message(position)?;
        let key = record::parse(record)
            .map_or("", |record| record.head.host)
            .as_bytes();
        Some((partition_of(key, self.all.len()), record.len()))
    }

    /// Puts rejected messages whose retry is due into batches of their own.
    pub(super) fn take_due(&mut self, now: Now, desk: &mut Desk<'_>) {
        while !self.all.is_empty()
            && let Some(position) = desk.refusing.suspects.next_due(now)
        {
            if !desk.queue.is_wanted(position) {
                desk.refusing.let_go(position, desk.queue, desk.delivered);
                continue;
            }
            let message = desk.queue.message(position).unwrap_or_default();
            desk.refusing.suspects.note_sent(position, message);
            let index = self
                .partition_at(position, desk.queue)
                .map(|(index, _)| index);
            if let Some(index) = index
                && let Some(partition) = self.all.get_mut(index)
            {
                partition.alone.push_back(position);
                self.busy.insert(index);
            }
        }
    }

    /// Builds a batch, unless one must be sent again; returns its size.
    pub(super) fn prepare(
        &mut self,
        now: Now,
        index: usize,
        producer: Option<ProducerId>,
        desk: &mut Desk<'_>,
    ) -> Result<usize, Error> {
        let Some(partition) = self.all.get_mut(index) else {
            return Ok(0);
        };
        if let Some(flight) = &partition.flight {
            return Ok(flight.bytes.len());
        }
        let time = now.wall.duration_since(UNIX_EPOCH);
        let time = time.map_or(0, |time| i64::try_from(time.as_millis()).unwrap_or(0));
        let mut batch = Batch::new(self.compression, time);
        let positions = self.gather(index, &mut batch, desk);
        let Some(partition) = self.all.get_mut(index) else {
            return Ok(0);
        };
        if positions.is_empty() {
            if !partition.has_work() {
                self.busy.remove(&index);
            }
            return Ok(0);
        }
        let place = partition.place_for(producer);
        let bytes = batch.finish(place)?;
        let size = bytes.len();
        partition.flight = Some(Flight {
            positions,
            bytes,
            place,
            sent_on: None,
        });
        Ok(size)
    }

    /// Moves waiting messages of a partition into a batch, as many as fit; a message that was
    /// rejected before is alone in its batch. Returns the messages that were moved.
    fn gather(&mut self, index: usize, batch: &mut Batch, desk: &mut Desk<'_>) -> Vec<Position> {
        let mut positions = Vec::new();
        let Some(partition) = self.all.get_mut(index) else {
            return positions;
        };
        while positions.len() < partition.most {
            let is_alone = !partition.alone.is_empty();
            let first = partition
                .alone
                .front()
                .or_else(|| partition.pending.front());
            let Some(&position) = first else {
                break;
            };
            let record = desk.queue.message(position).unwrap_or_default();
            let size = record.len();
            if !positions.is_empty() && batch.len() + size + RECORD_OVERHEAD > self.batch_max {
                break;
            }
            if is_alone {
                partition.alone.pop_front();
            } else {
                partition.pending.pop_front();
                self.pending = self.pending.saturating_sub(size);
            }
            // Its host has been asked to retry, and nothing of it has been sent.
            if !desk.queue.is_wanted(position) {
                desk.refusing.let_go(position, desk.queue, desk.delivered);
                continue;
            }
            desk.refusing.suspects.note_sent(position, record);
            batch.push(record::parse(record).map_or(record, |record| record.payload));
            positions.push(position);
            if is_alone {
                break;
            }
        }
        positions
    }

    pub(super) fn handle_delivered(&mut self, index: usize, desk: &mut Desk<'_>) {
        let Some(partition) = self.all.get_mut(index) else {
            return;
        };
        let Some(flight) = partition.take_delivered() else {
            return;
        };
        if !partition.has_work() {
            self.busy.remove(&index);
        }
        for position in flight.positions {
            desk.refusing.suspects.note_accepted(position);
            desk.queue.confirm_message(position, desk.delivered);
        }
    }

    /// The broker rejects the batch. Unless it names the records at fault, they are found
    /// by trying smaller and smaller batches.
    pub(super) fn handle_refused(
        &mut self,
        now: Now,
        index: usize,
        told: &Produced,
        desk: &mut Desk<'_>,
    ) {
        let Some(partition) = self.all.get_mut(index) else {
            return;
        };
        let Some(flight) = partition.flight.take() else {
            return;
        };
        let count = flight.positions.len();
        let is_too_large = told.code.class() == Class::TooLarge;
        let named = blamed(told, count);
        if is_too_large {
            // A single record that is too large was the reason for the earlier rejections.
            let half = sizes(&flight.positions, desk.queue) / 2;
            self.batch_max = match count {
                1 => BATCH_MAX,
                _ => half.clamp(BATCH_LEAST, self.batch_max),
            };
        }
        let most = if named.is_empty() {
            count.div_ceil(2)
        } else {
            partition.most
        };
        let (blamed, others): (Vec<_>, Vec<_>) = flight
            .positions
            .into_iter()
            .enumerate()
            .partition(|(at, _)| named.contains(at));
        let others: Vec<_> = others.into_iter().map(|(_, position)| position).collect();
        self.pending += sizes(&others, desk.queue);
        partition.put_back(others, most);
        for (at, position) in blamed {
            let strike = Strike::Refused(reason(told, at));
            desk.refusing
                .strike(now, position, &strike, desk.queue, desk.delivered);
        }
    }

    /// The broker has lost the sequence: the messages go into a new batch.
    pub(super) fn put_back(&mut self, index: usize, queue: &Queue) {
        if let Some(partition) = self.all.get_mut(index)
            && let Some(flight) = partition.flight.take()
        {
            self.pending += sizes(&flight.positions, queue);
            let most = partition.most;
            partition.put_back(flight.positions, most);
        }
    }
}

/// The indexes of the records that caused the rejection of a batch of `count` records; empty if
/// unknown.
fn blamed(told: &Produced, count: usize) -> BTreeSet<usize> {
    if count == 1 {
        return BTreeSet::from([0]);
    }
    if told.code.class() == Class::TooLarge {
        return BTreeSet::new();
    }
    let named = told.records.iter().map(|(record, _)| *record);
    named
        .filter_map(|record| usize::try_from(record).ok())
        .filter(|record| *record < count)
        .collect()
}

/// Why the broker rejects the record at this index of a batch.
fn reason(told: &Produced, at: usize) -> String {
    let mut records = told.records.iter();
    let own = records.find(|(record, _)| usize::try_from(*record) == Ok(at));
    let own = own.and_then(|(_, why)| why.as_deref());
    match own.or(told.message.as_deref()) {
        Some(said) if !said.is_empty() => format!("{}: {}", told.code, quoted(said)),
        _ => told.code.to_string(),
    }
}

fn sizes(positions: &[Position], queue: &Queue) -> usize {
    let sizes = positions
        .iter()
        .map(|p| queue.message(*p).map_or(0, <[u8]>::len));
    sizes.sum()
}
