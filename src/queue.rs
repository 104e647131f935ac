//! What waits for one output: order, what is on the wire, what to send again.
//!
//! A [`Queue`] holds the frames of batches in the order in which they are sent.
//! For a stream it knows up to which byte the peer's TCP has taken them, and
//! after an unclean end it starts over with the last delivered frames (the
//! replay window), because what the peer's TCP has taken its application may
//! never have read (`tcp`). With RELP, which needs no such window, each message is
//! confirmed by itself, in any order; a [`Position`] names it, and a batch leaves as soon
//! as its last one is, whatever those before it wait for.
//!
//! ```
//! use std::rc::Rc;
//! use wecrelay::queue::{BatchId, Frames, Queue};
//!
//! let mut queue = Queue::new(0);
//! queue.push(BatchId(1), Rc::new(Frames { bytes: b"5 hello".to_vec(), ends: vec![7] }));
//! let written = queue.next_bytes().map_or(0, <[u8]>::len);
//! queue.handle_written(written);
//! let mut delivered = Vec::new();
//! queue.confirm_all_but(0, &mut delivered);
//! assert_eq!(delivered, [BatchId(1)]);
//! ```

use std::collections::VecDeque;
use std::rc::Rc;

/// Names one batch of events from its arrival to its Ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// The messages of one batch in the form that an output sends.
#[derive(Debug, Default)]
pub struct Frames {
    /// All frames, one after another.
    pub bytes: Vec<u8>,
    /// Where each frame ends in `bytes`; datagrams are cut there.
    pub ends: Vec<usize>,
}

impl Frames {
    /// The messages with these indexes, which rise.
    #[must_use]
    pub fn only(&self, indexes: &[usize]) -> Self {
        let mut some = Self::default();
        for index in indexes {
            let before = index
                .checked_sub(1)
                .and_then(|before| self.ends.get(before));
            let start = before.copied().unwrap_or(0);
            let end = self.ends.get(*index).copied().unwrap_or(start);
            some.bytes
                .extend(self.bytes.get(start..end).unwrap_or_default());
            some.ends.push(some.bytes.len());
        }
        some
    }
}

/// Which message it is of all that were queued, in their order. It stays the same on the
/// next connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// How far a batch got whose source no longer waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// A part of it is on the wire.
    pub is_under_way: bool,
    /// Which of its messages have a confirmation of their own; empty if none has.
    pub confirmed: Vec<bool>,
}

/// Who waits for an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// The source of this batch, for an Ack that needs this delivery.
    Awaited(BatchId),
    /// The source of this batch was told to come again while the frames were on the wire.
    Abandoned(BatchId),
    /// Nobody: it is of the relay's own log.
    Own,
    /// Delivered; kept for the replay window.
    Delivered,
}

#[derive(Debug)]
struct Entry {
    frames: Rc<Frames>,
    standing: Standing,
    /// The position of its first message.
    first: u64,
    /// Messages without a confirmation of their own.
    unanswered: usize,
    /// Which messages have one, on whatever connection; empty if none has.
    answered: Vec<bool>,
    /// One of its messages was let go: it will never be delivered as a whole.
    is_incomplete: bool,
}

impl Entry {
    fn len(&self) -> usize {
        self.frames.bytes.len()
    }

    /// The message, or the rest of one, that begins at `offset`.
    fn message(&self, offset: usize) -> Option<&[u8]> {
        let end = self.frames.ends.get(self.number(offset))?;
        self.frames.bytes.get(offset..*end)
    }

    /// Which message `offset` lies in.
    fn number(&self, offset: usize) -> usize {
        self.frames.ends.partition_point(|&end| end <= offset)
    }

    /// The message with that number.
    fn message_of(&self, number: usize) -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            Some(before) => *self.frames.ends.get(before)?,
            None => 0,
        };
        self.frames.bytes.get(start..*self.frames.ends.get(number)?)
    }

    /// Notes that a message is confirmed. Answers whether that is new.
    fn answer(&mut self, number: usize) -> bool {
        self.answered.resize(self.frames.ends.len(), false);
        let Some(answered) = self.answered.get_mut(number) else {
            return false;
        };
        let is_new = !std::mem::replace(answered, true);
        self.unanswered -= usize::from(is_new);
        is_new
    }

    /// The length of the message at `offset`, if it needs not be sent any more.
    fn answered_length(&self, offset: usize) -> Option<usize> {
        let answered = !self.answered.is_empty() && *self.answered.get(self.number(offset))?;
        answered.then(|| self.message(offset).map(<[u8]>::len))?
    }
}

/// The bounded queue of one output, sans-IO.
#[derive(Debug)]
pub struct Queue {
    /// Delivered entries first, then those on the wire, then the unsent.
    entries: VecDeque<Entry>,
    /// The entry that is being written.
    cursor: usize,
    /// Bytes of that entry already written.
    offset: usize,
    /// How many entries at the front this connection has confirmed; never past the cursor.
    confirmed: usize,
    /// Bytes written on this connection beyond those entries.
    unconfirmed: usize,
    /// All bytes written on this connection.
    written: u64,
    /// The position of the next message that is queued.
    next: u64,
    /// All bytes written on any connection.
    total: u64,
    /// All messages of delivered entries.
    delivered: u64,
    /// Bytes of delivered entries.
    kept: usize,
    /// Bytes that are not delivered.
    backlog: usize,
    /// Those of them that are of our own log.
    own: usize,
    /// Bytes that are not written on this connection, repeats of delivered ones too.
    unsent: usize,
    /// All bytes that were confirmed on any connection.
    taken: u64,
    /// Size of the replay window in bytes.
    replay: usize,
    /// Whether each message is confirmed by itself.
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

    /// An empty queue whose messages are confirmed one by one.
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

    /// Appends messages of our own log, which no source waits for.
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

    /// Bytes that are not delivered yet, on the wire or not.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog
    }

    /// Those of them that are of our own log.
    #[must_use]
    pub fn own(&self) -> usize {
        self.own
    }

    /// Bytes written on this connection that are not confirmed yet.
    #[must_use]
    pub fn unconfirmed(&self) -> usize {
        self.unconfirmed
    }

    /// All bytes written on this connection.
    #[must_use]
    pub fn written(&self) -> u64 {
        self.written
    }

    /// Bytes that are not written on this connection.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.unsent
    }

    /// Bytes confirmed since the start, repeats too; of a stream, whole batches.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.taken
    }

    /// What to write next on a stream.
    #[must_use]
    pub fn next_bytes(&self) -> Option<&[u8]> {
        let entry = self.entries.get(self.cursor)?;
        entry.frames.bytes.get(self.offset..)
    }

    /// The next message to send as a datagram.
    #[must_use]
    pub fn next_datagram(&self) -> Option<&[u8]> {
        self.entries.get(self.cursor)?.message(self.offset)
    }

    /// The position of what is sent next.
    #[must_use]
    pub fn position(&self) -> Position {
        let entry = self.entries.get(self.cursor);
        Position(entry.map_or(self.next, |entry| {
            entry.first + u64::try_from(entry.number(self.offset)).unwrap_or(0)
        }))
    }

    /// A message that is not confirmed.
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

    /// The entry that holds a message, and which of its messages it is.
    fn find(&self, position: Position) -> Option<(usize, usize)> {
        let after = self.entries.partition_point(|e| e.first <= position.0);
        let index = after.checked_sub(1)?;
        let entry = self.entries.get(index)?;
        let number = usize::try_from(position.0 - entry.first).ok()?;
        let is_answered = entry.answered.get(number).is_some_and(|answered| *answered);
        (number < entry.frames.ends.len() && !is_answered).then_some((index, number))
    }

    /// The message at `position` will not be delivered. A batch whose source waits goes on
    /// without it; one that is abandoned will never be there as a whole.
    pub fn let_go(&mut self, position: Position, delivered: &mut Vec<BatchId>) {
        let place = self.find(position);
        if let Some(entry) = place.and_then(|(index, _)| self.entries.get_mut(index)) {
            entry.is_incomplete |= matches!(entry.standing, Standing::Abandoned(_));
        }
        self.confirm_message(position, delivered);
    }

    /// The message at `position` is confirmed. A batch whose last message this was is
    /// delivered, and leaves.
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

    /// Lets an entry go if each of its messages is confirmed.
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

    /// Bytes written since the start, repeats too.
    #[must_use]
    pub fn total_written(&self) -> u64 {
        self.total
    }

    /// Messages delivered since the start, each counted once.
    #[must_use]
    pub fn delivered(&self) -> u64 {
        self.delivered
    }

    /// The first batch that a source waits for.
    #[must_use]
    pub fn oldest(&self) -> Option<BatchId> {
        self.entries.iter().find_map(|entry| match entry.standing {
            Standing::Awaited(batch) => Some(batch),
            Standing::Abandoned(_) | Standing::Own | Standing::Delivered => None,
        })
    }

    /// `count` bytes of what was offered have been written.
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

    /// Messages that were confirmed on an earlier connection are not sent again.
    fn skip_answered(&mut self) {
        while let Some(entry) = self.entries.get(self.cursor)
            && let Some(length) = entry.answered_length(self.offset)
        {
            self.advance(length);
        }
    }

    /// Everything written on this connection is confirmed but the last
    /// `unacknowledged` bytes. Batches that this delivers are appended to `delivered`;
    /// a batch is delivered as a whole or not at all.
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

    /// An entry is delivered, if it was not before.
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

    /// The connection ended other than by us after everything was confirmed:
    /// the next one starts with the replay window, then what was not delivered.
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

    /// The source of `batch` no longer waits. The batch leaves the queue unless
    /// a part of it is on the wire; of that one, messages that are confirmed one by one
    /// and not sent yet leave. If all of it arrives after all, it counts as delivered like
    /// any other. Answers how far it got if it was still to be delivered.
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

    /// The source of the batch `old`, which it was told to send again, has done so while
    /// the first frames are still on the wire: now `new` waits for them.
    pub fn adopt(&mut self, old: BatchId, new: BatchId) -> bool {
        let abandoned =
            |entry: &&mut Entry| entry.standing == Standing::Abandoned(old) && !entry.is_incomplete;
        let entry = self.entries.iter_mut().find(abandoned);
        entry
            .map(|entry| entry.standing = Standing::Awaited(new))
            .is_some()
    }

    /// What of an abandoned entry is not sent needs no confirmation.
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

    /// Lets go of delivered entries that the replay window does not need.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn frames(messages: &[&str]) -> Rc<Frames> {
        let mut frames = Frames::default();
        for message in messages {
            frames.bytes.extend_from_slice(message.as_bytes());
            frames.ends.push(frames.bytes.len());
        }
        Rc::new(frames)
    }

    /// Writes up to `count` bytes and returns them.
    fn write(queue: &mut Queue, mut count: usize) -> String {
        let mut out = String::new();
        while count > 0
            && let Some(bytes) = queue.next_bytes()
        {
            let part = bytes[..bytes.len().min(count)].to_vec();
            queue.handle_written(part.len());
            count -= part.len();
            out += std::str::from_utf8(&part).unwrap();
        }
        out
    }

    fn confirm(queue: &mut Queue, unacknowledged: usize) -> Vec<u64> {
        let mut delivered = Vec::new();
        queue.confirm_all_but(unacknowledged, &mut delivered);
        delivered.into_iter().map(|id| id.0).collect()
    }

    fn queue_of(replay: usize, batches: &[&str]) -> Queue {
        let mut queue = Queue::new(replay);
        for (id, text) in (1..).zip(batches) {
            queue.push(BatchId(id), frames(&[text]));
        }
        queue
    }

    #[test]
    fn a_batch_is_delivered_when_its_last_byte_is_acknowledged() {
        let mut queue = queue_of(0, &["aaaa", "bbbb", "cccc"]);
        assert_eq!(write(&mut queue, 10), "aaaabbbbcc");
        assert!(confirm(&mut queue, 7).is_empty());
        assert_eq!(confirm(&mut queue, 6), [1]);
        assert_eq!(confirm(&mut queue, 0), [2]);
        assert_eq!(queue.unconfirmed(), 2);
        assert_eq!(write(&mut queue, 10), "cc");
        assert_eq!(confirm(&mut queue, 0), [3]);
        assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
    }

    #[test]
    fn the_replay_window_comes_first_on_the_next_connection() {
        let mut queue = queue_of(6, &["aaaa", "bbbb", "cccc", "dddd"]);
        write(&mut queue, 14);
        assert_eq!(confirm(&mut queue, 0), [1, 2, 3]);
        queue.rewind();
        assert_eq!(write(&mut queue, 5), "bbbbc");
        assert!(confirm(&mut queue, 0).is_empty());
        queue.rewind();
        assert_eq!(write(&mut queue, 99), "bbbbccccdddd");
        assert!(confirm(&mut queue, 1).is_empty());
        assert_eq!(confirm(&mut queue, 0), [4]);
        assert_eq!(queue.backlog(), 0);
    }

    #[test]
    fn without_a_window_only_the_undelivered_comes_again() {
        let mut queue = queue_of(0, &["aaaa", "bbbb"]);
        write(&mut queue, 6);
        assert_eq!(confirm(&mut queue, 0), [1]);
        queue.rewind();
        assert_eq!(write(&mut queue, 99), "bbbb");
    }

    #[test]
    fn a_cancelled_batch_leaves_unless_it_is_on_the_wire() {
        let mut queue = queue_of(0, &["aaaa", "bbbb", "cccc"]);
        write(&mut queue, 2);
        queue.cancel(BatchId(2));
        queue.cancel(BatchId(1));
        assert_eq!(write(&mut queue, 99), "aacccc");
        assert_eq!(confirm(&mut queue, 0), [1, 3]);
        assert_eq!(queue.backlog(), 0);
    }

    #[test]
    fn an_abandoned_batch_is_not_sent_again() {
        let mut queue = queue_of(0, &["aaaa", "bbbb"]);
        write(&mut queue, 2);
        assert!(queue.cancel(BatchId(1)).unwrap().is_under_way);
        queue.rewind();
        assert!(!queue.adopt(BatchId(1), BatchId(3)), "it is gone");
        assert_eq!(write(&mut queue, 99), "bbbb");
        assert_eq!(confirm(&mut queue, 0), [2]);
        assert_eq!(queue.backlog(), 0);
    }

    #[test]
    fn a_cancelled_batch_that_this_output_has_delivered_stays_in_the_window() {
        let mut queue = queue_of(10, &["aaaa"]);
        write(&mut queue, 4);
        assert_eq!(confirm(&mut queue, 0), [1]);
        queue.rewind();
        queue.cancel(BatchId(1));
        assert_eq!(write(&mut queue, 99), "aaaa");
    }

    #[test]
    fn an_abandoned_batch_on_the_wire_is_delivered_late_or_waited_for_again() {
        let mut queue = queue_of(0, &["aaaa", "bbbb", "cccc"]);
        write(&mut queue, 6);
        for id in 1..=3 {
            let left = queue.cancel(BatchId(id)).unwrap();
            assert_eq!(left.is_under_way, id < 3);
            assert!(left.confirmed.is_empty());
        }
        assert_eq!((queue.backlog(), queue.unsent()), (8, 2));
        assert!(queue.adopt(BatchId(2), BatchId(7)));
        assert!(
            !queue.adopt(BatchId(2), BatchId(8)),
            "it has another already"
        );
        assert!(!queue.adopt(BatchId(3), BatchId(8)), "it was never begun");
        write(&mut queue, 2);
        assert_eq!(confirm(&mut queue, 0), [1, 7]);
        assert_eq!((queue.taken(), queue.unsent()), (8, 0));
    }

    #[test]
    fn some_messages_of_a_batch_are_told_apart() {
        let some = frames(&["one", "two", "three"]).only(&[0, 2]);
        assert_eq!((some.bytes, some.ends), (b"onethree".to_vec(), vec![3, 8]));
    }

    #[test]
    fn datagrams_are_single_messages() {
        let mut queue = Queue::new(0);
        queue.push(BatchId(1), frames(&["one", "three"]));
        queue.push(BatchId(2), frames(&["two"]));
        let mut seen = Vec::new();
        while let Some(message) = queue.next_datagram() {
            seen.push(String::from_utf8(message.to_vec()).unwrap());
            let size = message.len();
            queue.handle_written(size);
        }
        assert_eq!(seen, ["one", "three", "two"]);
        assert_eq!(confirm(&mut queue, 0), [1, 2]);
    }

    /// Sends the next message as RELP would; gives its position and text.
    fn send(queue: &mut Queue) -> Option<(Position, String)> {
        let position = queue.position();
        let text = String::from_utf8(queue.next_datagram()?.to_vec()).unwrap();
        queue.handle_written(text.len());
        Some((position, text))
    }

    fn confirm_message(queue: &mut Queue, position: Position) -> Vec<u64> {
        let mut delivered = Vec::new();
        queue.confirm_message(position, &mut delivered);
        delivered.into_iter().map(|id| id.0).collect()
    }

    #[test]
    fn a_batch_is_delivered_when_each_of_its_messages_is_confirmed() {
        let mut queue = Queue::by_message();
        queue.push(BatchId(1), frames(&["one", "two", "three"]));
        queue.push(BatchId(2), frames(&["four"]));
        let sent: Vec<_> = std::iter::from_fn(|| send(&mut queue)).collect();
        let at: Vec<_> = sent.iter().map(|(position, _)| *position).collect();
        assert_eq!(queue.message(at[1]), Some(b"two".as_slice()));
        assert_eq!(queue.awaited_batch(at[1]), Some(BatchId(1)));
        assert!(confirm_message(&mut queue, at[2]).is_empty());
        assert!(confirm_message(&mut queue, at[0]).is_empty());
        assert_eq!(confirm_message(&mut queue, at[3]), [2]);
        assert_eq!(queue.backlog(), 11);
        assert_eq!(queue.message(at[1]), Some(b"two".as_slice()));
        assert_eq!(confirm_message(&mut queue, at[1]), [1]);
        assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
        assert_eq!(queue.message(at[1]), None);
        assert_eq!(queue.message(queue.position()), None);
    }

    #[test]
    fn only_messages_without_a_confirmation_are_sent_again() {
        let mut queue = Queue::by_message();
        queue.push(BatchId(1), frames(&["one", "two"]));
        queue.push(BatchId(2), frames(&["three"]));
        queue.push(BatchId(3), frames(&["four", "five"]));
        let at: Vec<_> = (0..4).map(|_| send(&mut queue).unwrap().0).collect();
        assert!(confirm_message(&mut queue, at[0]).is_empty());
        assert_eq!(confirm_message(&mut queue, at[2]), [2]);
        queue.rewind();
        let again: Vec<_> = std::iter::from_fn(|| send(&mut queue)).collect();
        let texts: Vec<_> = again.iter().map(|(_, text)| text.as_str()).collect();
        assert_eq!(texts, ["two", "four", "five"]);
        let confirmed = again
            .iter()
            .flat_map(|(position, _)| confirm_message(&mut queue, *position));
        assert_eq!(confirmed.collect::<Vec<_>>(), [1, 3]);
        assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
    }

    #[test]
    fn what_is_confirmed_leaves_past_a_message_that_never_is() {
        let mut queue = Queue::by_message();
        queue.push(BatchId(0), frames(&["never", "ok"]));
        let poison = send(&mut queue).unwrap().0;
        let good = send(&mut queue).unwrap().0;
        assert!(confirm_message(&mut queue, good).is_empty());
        for batch in 1..1000 {
            queue.push(BatchId(batch), frames(&["aaaa", "bbbb"]));
            let sent = [send(&mut queue), send(&mut queue)].map(|sent| sent.unwrap().0);
            assert!(confirm_message(&mut queue, sent[1]).is_empty());
            assert_eq!(confirm_message(&mut queue, sent[0]), [batch]);
            assert_eq!((queue.entries.len(), queue.backlog()), (1, 7));
        }
        assert_eq!((queue.unconfirmed(), queue.kept), (5, 0));
        assert_eq!(queue.message(poison), Some(b"never".as_slice()));
        // On the next connection only that one is sent again, at the same position.
        queue.rewind();
        assert_eq!(send(&mut queue).unwrap(), (poison, "never".to_owned()));
        assert_eq!(send(&mut queue), None);
        assert_eq!(confirm_message(&mut queue, poison), [0]);
        assert_eq!((queue.entries.len(), queue.backlog()), (0, 0));
    }

    #[test]
    fn a_message_may_be_confirmed_before_it_is_sent_again() {
        let mut queue = Queue::by_message();
        queue.push(BatchId(1), frames(&["one", "two"]));
        queue.push(BatchId(2), frames(&["three"]));
        let at: Vec<_> = (0..3).map(|_| send(&mut queue).unwrap().0).collect();
        queue.rewind();
        assert!(confirm_message(&mut queue, at[0]).is_empty());
        assert_eq!(confirm_message(&mut queue, at[2]), [2]);
        assert_eq!((queue.backlog(), queue.unconfirmed()), (6, 0));
        assert_eq!(send(&mut queue).unwrap(), (at[1], "two".to_owned()));
        assert_eq!(confirm_message(&mut queue, at[1]), [1]);
        assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
    }

    #[test]
    fn a_message_of_an_abandoned_batch_is_awaited_no_more() {
        let mut queue = Queue::by_message();
        queue.push(BatchId(1), frames(&["one", "two"]));
        queue.push(BatchId(2), frames(&["three"]));
        let at = send(&mut queue).unwrap().0;
        queue.cancel(BatchId(1));
        assert_eq!(queue.awaited_batch(at), None);
        assert_eq!(queue.message(at), Some(b"one".as_slice()));
        let (next, text) = send(&mut queue).unwrap();
        assert_eq!(text, "three", "the rest of it is not begun");
        assert_eq!(confirm_message(&mut queue, next), [2]);
        assert!(confirm_message(&mut queue, at).is_empty());
        assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
    }

    #[test]
    fn our_own_log_outlasts_a_cut_and_is_no_batch() {
        let mut queue = queue_of(0, &["aaaa"]);
        queue.push_own(frames(&["own"]));
        queue.push(BatchId(2), frames(&["bbbb"]));
        assert_eq!((queue.backlog(), queue.own()), (11, 3));
        write(&mut queue, 5);
        assert_eq!(confirm(&mut queue, 1), [1]);
        assert_eq!(queue.oldest(), Some(BatchId(2)));
        queue.rewind();
        assert_eq!(write(&mut queue, 99), "ownbbbb");
        assert!(confirm(&mut queue, 4).is_empty());
        assert_eq!((queue.backlog(), queue.own()), (4, 0));
        assert_eq!(confirm(&mut queue, 0), [2]);
        assert_eq!(queue.delivered(), 3);
    }

    #[test]
    fn a_message_of_our_own_log_may_be_let_go() {
        let mut queue = Queue::by_message();
        queue.push_own(frames(&["own"]));
        let at = send(&mut queue).unwrap().0;
        assert_eq!(queue.awaited_batch(at), None);
        assert!(confirm_message(&mut queue, at).is_empty());
        assert_eq!((queue.backlog(), queue.own()), (0, 0));
    }

    /// Any mix of writes, confirmations, cuts and cancellations: nothing is
    /// reordered, nothing awaited is forgotten, the counts stay true.
    #[test]
    fn random_walks_keep_order_and_counts() {
        let mut seed = 7u64;
        let mut random = move |below: usize| {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            usize::try_from(seed >> 33).unwrap() % below
        };
        let mut queue = Queue::new(10);
        let (mut next, mut awaited, mut delivered) = (0, Vec::new(), Vec::new());
        let mut cancelled = Vec::new();
        for _ in 0..20_000 {
            match random(11) {
                10 => queue.push_own(frames(&[&"o".repeat(1 + random(9))])),
                0..3 => {
                    let text = "x".repeat(1 + random(9));
                    queue.push(BatchId(next), frames(&[&text]));
                    awaited.push(next);
                    next += 1;
                }
                3..6 => drop(write(&mut queue, 1 + random(12))),
                6..8 => {
                    let behind = random(6);
                    for id in confirm(&mut queue, behind) {
                        if cancelled.contains(&id) {
                            continue;
                        }
                        assert_eq!(Some(&id), awaited.first());
                        awaited.remove(0);
                        delivered.push(id);
                    }
                }
                8 => queue.rewind(),
                _ if awaited.is_empty() => {}
                _ => {
                    let id = awaited.remove(random(awaited.len()));
                    queue.cancel(BatchId(id));
                    cancelled.push(id);
                }
            }
        }
        write(&mut queue, usize::MAX);
        let mut last = confirm(&mut queue, 0);
        last.retain(|id| !cancelled.contains(id));
        assert_eq!(last, awaited);
        assert_eq!(queue.unsent(), 0);
        assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
        assert_eq!(queue.own(), 0);
        assert!(delivered.is_sorted() && delivered.len() > 1000);
    }
}
