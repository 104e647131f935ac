//! The messages that wait for one output: their order, what is in flight, and what to send again.
//!
//! A [`Queue`] holds the frames of batches in the order in which they are sent. For a stream, it
//! knows how many bytes the peer's TCP has acknowledged. After a connection fails, it starts over
//! with the last delivered frames (the replay window), because the receiver may never have read
//! what its TCP acknowledged. Receivers that confirm individual messages, such as RELP, need no
//! such window: each message, identified by its [`Position`], is confirmed separately and in any
//! order, and a batch leaves the queue with its last confirmation, whatever precedes it.
//!
//! ```
//! use std::rc::Rc;
//! use wecrelay::output::queue::{BatchId, Frames, Queue};
//!
//! let mut queue = Queue::new(0);
//! queue.push(BatchId(1), Rc::new(Frames { bytes: b"5 hello".to_vec(), ends: vec![7] }));
//! let written = queue.next_bytes().map_or(0, <[u8]>::len);
//! queue.handle_written(written);
//! let mut delivered = Vec::new();
//! queue.confirm_all_but(0, &mut delivered);
//! assert_eq!(delivered, [BatchId(1)]);
//! ```

mod entry;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::rc::Rc;

use entry::{Entry, Standing};

pub use entry::{BatchId, Frames, Left, Position};

/// The bounded queue of one output, sans-IO.
#[derive(Debug)]
pub struct Queue {
    /// Delivered entries first, then those in flight, then unsent ones.
    entries: VecDeque<Entry>,
    /// Index of the entry being written.
    cursor: usize,
    /// Number of bytes of that entry already written.
    offset: usize,
    /// Number of entries at the front that this connection has confirmed; never beyond the
    /// cursor.
    confirmed: usize,
    /// Number of bytes written on this connection after those entries.
    unconfirmed: usize,
    /// Number of bytes written on this connection.
    written: u64,
    /// Position of the next message to be queued.
    next: u64,
    /// Number of bytes written on all connections.
    total: u64,
    /// Number of messages in delivered entries, since the start.
    delivered: u64,
    /// Size of delivered entries in bytes.
    kept: usize,
    /// Number of undelivered bytes.
    backlog: usize,
    /// The part of it that is the relay's own log.
    own: usize,
    /// Number of bytes not written on this connection, repeats included.
    unsent: usize,
    /// Number of bytes confirmed on all connections.
    taken: u64,
    /// Size of the replay window in bytes.
    replay: usize,
    /// Whether messages are confirmed individually.
    by_message: bool,
}

impl Queue {
    /// An empty queue that keeps at least the last `replay` delivered bytes.
    #[must_use]
    pub fn new(replay: usize) -> Self {
        Self {
            entries: VecDeque::new(),
            cursor: 0,
            offset: 0,
            confirmed: 0,
            unconfirmed: 0,
            written: 0,
            next: 0,
            total: 0,
            delivered: 0,
            kept: 0,
            backlog: 0,
            unsent: 0,
            taken: 0,
            own: 0,
            replay,
            by_message: false,
        }
    }

    /// An empty queue whose messages are confirmed individually.
    #[must_use]
    pub fn by_message() -> Self {
        Self {
            by_message: true,
            ..Self::new(0)
        }
    }

    /// Appends a batch.
    pub fn push(&mut self, batch: BatchId, frames: Rc<Frames>) {
        self.append(Standing::Awaited(batch), frames);
    }

    /// Appends messages of the relay's own log, for which no source waits.
    pub fn push_own(&mut self, frames: Rc<Frames>) {
        self.own += frames.bytes.len();
        self.append(Standing::Own, frames);
    }

    fn append(&mut self, standing: Standing, frames: Rc<Frames>) {
        self.backlog += frames.bytes.len();
        self.unsent += frames.bytes.len();
        let first = self.next;
        self.next += u64::try_from(frames.ends.len()).unwrap_or(0);
        self.entries.push_back(Entry {
            first,
            unanswered: frames.ends.len(),
            answered: Vec::new(),
            is_incomplete: false,
            frames,
            standing,
        });
    }

    /// Number of undelivered bytes, in flight or not.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// The part of it that is the relay's own log.
    #[must_use]
    pub fn own(&self) -> usize {
        self.own
    }

    /// Number of unconfirmed bytes written on this connection.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// Number of bytes written on this connection.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Number of bytes not written on this connection.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Number of bytes confirmed since the start, repeats included; for streams, whole
    /// batches only.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// The bytes to write next on a stream.
    #[must_use]
    pub fn next_bytes(&self) -> Option<&[u8]> {
        let entry = self.entries.get(self.cursor)?;
        entry.frames.bytes.get(self.offset..)
    }

    /// The bytes to write on a stream after [`Queue::next_bytes`], batch by batch. Not for
    /// messages that are confirmed individually, some of which may need no writing.
    pub fn further_bytes(&self) -> impl Iterator<Item = &[u8]> {
        debug_assert!(!self.by_message, "these are written one by one");
        let further = self.entries.iter().skip(self.cursor.saturating_add(1));
        further.map(|entry| entry.frames.bytes.as_slice())
    }

    /// The next message to send as a datagram.
    #[must_use]
    pub fn next_datagram(&self) -> Option<&[u8]> {
        self.entries.get(self.cursor)?.message(self.offset)
    }

    /// The position of the message to send next.
    #[must_use]
    pub fn position(&self) -> Position {
        let entry = self.entries.get(self.cursor);
        Position(entry.map_or(self.next, |entry| {
            entry.first + u64::try_from(entry.number(self.offset)).unwrap_or(0)
        }))
    }

    /// An unconfirmed message.
    #[must_use]
    pub fn message(&self, position: Position) -> Option<&[u8]> {
        let (index, number) = self.find(position)?;
        self.entries.get(index)?.message_of(number)
    }

    /// The batch of such a message, if its source still waits for it.
    #[must_use]
    pub fn awaited_batch(&self, position: Position) -> Option<BatchId> {
        let (index, _) = self.find(position)?;
        match self.entries.get(index)?.standing {
            Standing::Awaited(batch) => Some(batch),
            Standing::Abandoned(_) | Standing::Own | Standing::Delivered => None,
        }
    }

    /// Whether a message should be delivered: its source still waits for it, or it belongs
    /// to the relay's own log.
    #[must_use]
    pub fn is_wanted(&self, position: Position) -> bool {
        let entry = self
            .find(position)
            .and_then(|(index, _)| self.entries.get(index));
        entry.is_some_and(|e| matches!(e.standing, Standing::Awaited(_) | Standing::Own))
    }

    /// The entry that contains a message, and its index there.
    fn find(&self, position: Position) -> Option<(usize, usize)> {
        let after = self.entries.partition_point(|e| e.first <= position.0);
        let index = after.checked_sub(1)?;
        let entry = self.entries.get(index)?;
        let number = usize::try_from(position.0 - entry.first).ok()?;
        let is_answered = entry.answered.get(number).is_some_and(|answered| *answered);
        (number < entry.frames.ends.len() && !is_answered).then_some((index, number))
    }

    /// The message at `position` will not be delivered. A batch whose source waits
    /// continues without it; an abandoned one can never be complete.
    pub fn let_go(&mut self, position: Position, delivered: &mut Vec<BatchId>) {
        let place = self.find(position);
        if let Some(entry) = place.and_then(|(index, _)| self.entries.get_mut(index)) {
            entry.is_incomplete |= matches!(entry.standing, Standing::Abandoned(_));
        }
        self.confirm_message(position, delivered);
    }

    /// The message at `position` is confirmed. If it was the last one of its batch, the
    /// batch is delivered and leaves the queue.
    pub fn confirm_message(&mut self, position: Position, delivered: &mut Vec<BatchId>) {
        let Some((index, number)) = self.find(position) else {
            return;
        };
        let is_written = position < self.position();
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        entry.answer(number);
        let size = entry.message_of(number).map_or(0, <[u8]>::len);
        self.taken += u64::try_from(size).unwrap_or(0);
        if is_written {
            self.unconfirmed -= size;
        } else {
            self.skip_answered();
        }
        self.release(index, delivered);
    }

    /// Removes an entry all of whose messages are confirmed.
    fn release(&mut self, index: usize, delivered: &mut Vec<BatchId>) {
        if self.entries.get(index).is_none_or(|e| e.unanswered > 0) {
            return;
        }
        self.settle(index, delivered);
        if let Some(entry) = self.entries.remove(index) {
            self.kept -= entry.len();
            self.unsent -= if index > self.cursor { entry.len() } else { 0 };
            self.cursor -= usize::from(index < self.cursor);
        }
    }

    /// Number of bytes written since the start, repeats included.
    #[must_use]
    pub fn total_written(&self) -> u64 {
        self.total
    }

    /// Number of messages delivered since the start, each counted once.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The first batch for which a source waits.
    #[must_use]
    pub fn oldest(&self) -> Option<BatchId> {
        self.entries.iter().find_map(|entry| match entry.standing {
            Standing::Awaited(batch) => Some(batch),
            Standing::Abandoned(_) | Standing::Own | Standing::Delivered => None,
        })
    }

    /// Reports that `count` bytes have been written.
    pub fn handle_written(&mut self, count: usize) {
        self.total += u64::try_from(count).unwrap_or(0);
        self.written += u64::try_from(count).unwrap_or(0);
        self.unconfirmed += count;
        self.advance(count);
        self.skip_answered();
    }

    fn advance(&mut self, count: usize) {
        self.offset += count;
        self.unsent -= count;
        while let Some(entry) = self.entries.get(self.cursor) {
            if self.offset < entry.len() {
                break;
            }
            self.offset -= entry.len();
            self.cursor += 1;
        }
    }

    /// Skips messages that were confirmed on an earlier connection.
    fn skip_answered(&mut self) {
        while let Some(entry) = self.entries.get(self.cursor)
            && let Some(length) = entry.answered_length(self.offset)
        {
            self.advance(length);
        }
    }

    /// Everything written on this connection is confirmed, except for the last
    /// `unacknowledged` bytes. Appends the batches that are now delivered to `delivered`; a
    /// batch is delivered as a whole or not at all.
    pub fn confirm_all_but(&mut self, unacknowledged: usize, delivered: &mut Vec<BatchId>) {
        while self.confirmed < self.cursor {
            let Some(entry) = self.entries.get(self.confirmed) else {
                break;
            };
            let size = entry.len();
            if self.unconfirmed < size + unacknowledged {
                break;
            }
            self.settle(self.confirmed, delivered);
            self.confirmed += 1;
            self.unconfirmed -= size;
            self.taken += u64::try_from(size).unwrap_or(0);
        }
        self.trim();
    }

    /// Marks an entry as delivered, if it was not before.
    fn settle(&mut self, index: usize, delivered: &mut Vec<BatchId>) {
        let Some(entry) = self.entries.get_mut(index) else {
            return;
        };
        match std::mem::replace(&mut entry.standing, Standing::Delivered) {
            Standing::Delivered => return,
            Standing::Abandoned(_) if entry.is_incomplete => {}
            Standing::Awaited(batch) | Standing::Abandoned(batch) => delivered.push(batch),
            Standing::Own => self.own -= entry.len(),
        }
        self.backlog -= entry.len();
        self.kept += entry.len();
        self.delivered += u64::try_from(entry.frames.ends.len()).unwrap_or(0);
    }

    /// The connection ended, other than by an orderly close: the next one starts with the
    /// replay window, followed by everything undelivered.
    pub fn rewind(&mut self) {
        self.cursor = 0;
        self.offset = 0;
        self.confirmed = 0;
        self.unconfirmed = 0;
        self.written = 0;
        self.drop_abandoned();
        self.unsent = self.entries.iter().map(Entry::len).sum();
        self.skip_answered();
    }

    /// The source of `batch` no longer waits. The batch leaves the queue unless it is
    /// partly in flight; even then, unsent messages leave if they are confirmed
    /// individually. If all of it is delivered nevertheless, it counts as delivered.
    /// Returns how far it got, if it was undelivered.
    pub fn cancel(&mut self, batch: BatchId) -> Option<Left> {
        let awaited = |entry: &Entry| entry.standing == Standing::Awaited(batch);
        let index = self.entries.iter().position(awaited)?;
        let is_under_way = index < self.cursor || (index == self.cursor && self.offset > 0);
        let entry = self.entries.get_mut(index)?;
        let confirmed = entry.answered.clone();
        if is_under_way {
            entry.standing = Standing::Abandoned(batch);
            if self.by_message {
                self.drop_unsent(index);
            }
        } else {
            let size = entry.len();
            self.entries.remove(index);
            self.backlog -= size;
            self.unsent -= size;
            self.skip_answered();
        }
        Some(Left {
            is_under_way,
            confirmed,
        })
    }

    /// The source of the batch `old` has sent it again while the first frames are still in
    /// flight: `new` takes its place.
    pub fn adopt(&mut self, old: BatchId, new: BatchId) -> bool {
        let abandoned =
            |entry: &&mut Entry| entry.standing == Standing::Abandoned(old) && !entry.is_incomplete;
        let entry = self.entries.iter_mut().find(abandoned);
        entry
            .map(|entry| entry.standing = Standing::Awaited(new))
            .is_some()
    }

    /// Unsent messages of an abandoned entry need no confirmation.
    fn drop_unsent(&mut self, index: usize) {
        let (cursor, offset) = (self.cursor, self.offset);
        if let Some(entry) = self.entries.get_mut(index).filter(|_| index == cursor) {
            for number in entry.number(offset)..entry.frames.ends.len() {
                entry.is_incomplete |= entry.answer(number);
            }
            self.skip_answered();
        }
        self.release(index, &mut Vec::new());
    }

    fn drop_abandoned(&mut self) {
        let backlog = &mut self.backlog;
        self.entries.retain(|entry| {
            let stays = !matches!(entry.standing, Standing::Abandoned(_));
            if !stays {
                *backlog -= entry.len();
            }
            stays
        });
    }

    /// Removes delivered entries that the replay window does not need.
    fn trim(&mut self) {
        while self.confirmed > 0
            && let Some(first) = self.entries.front()
            && self.kept >= self.replay + first.len()
        {
            self.kept -= first.len();
            self.confirmed -= 1;
            self.cursor -= 1;
            self.entries.pop_front();
        }
    }
}
