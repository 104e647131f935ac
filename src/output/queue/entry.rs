//! The content of a queue: the messages of a batch, and how far each has progressed.

use std::rc::Rc;

/// Identifies a batch from its arrival to its Ack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct BatchId(pub u64);

/// The messages of one batch in the encoding of an output.
#[derive(Debug, Default)]
pub struct Frames {
    /// All frames, concatenated.
    pub bytes: Vec<u8>,
    /// Where each frame ends in `bytes`; datagrams are split there.
    pub ends: Vec<usize>,
}

impl Frames {
    /// The messages with these indexes, which must ascend.
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

/// Number of a message in the order of queueing. It stays the same across connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub u64);

/// How far an abandoned batch got.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Left {
    /// Part of it is in flight.
    pub is_under_way: bool,
    /// Which of its messages are confirmed individually; empty if none is.
    pub confirmed: Vec<bool>,
}

/// Which source waits for an entry, and its state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// The source of this batch, whose Ack needs this delivery.
    Awaited(BatchId),
    /// No source any longer: it was asked to retry while the frames were in flight.
    Abandoned(BatchId),
    /// No source: it belongs to the relay's own log.
    Own,
    /// Delivered, and kept for the replay window.
    Delivered,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) frames: Rc<Frames>,
    pub(super) standing: Standing,
    /// Position of its first message.
    pub(super) first: u64,
    /// Number of messages without individual confirmation.
    pub(super) unanswered: usize,
    /// Which messages have one, from any connection; empty if none has.
    pub(super) answered: Vec<bool>,
    /// One of its messages was dropped, so it can never be delivered as a whole.
    pub(super) is_incomplete: bool,
}

impl Entry {
    pub(super) fn len(&self) -> usize {
        self.frames.bytes.len()
    }

    /// The message, or the rest of one, that begins at `offset`.
    pub(super) fn message(&self, offset: usize) -> Option<&[u8]> {
        let end = self.frames.ends.get(self.number(offset))?;
        self.frames.bytes.get(offset..*end)
    }

    /// Index of the message that contains `offset`.
    pub(super) fn number(&self, offset: usize) -> usize {
        self.frames.ends.partition_point(|&end| end <= offset)
    }

    /// The message with this index.
    pub(super) fn message_of(&self, number: usize) -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            Some(before) => *self.frames.ends.get(before)?,
            None => 0,
        };
        self.frames.bytes.get(start..*self.frames.ends.get(number)?)
    }

    /// Marks a message as confirmed; returns whether that is new.
    pub(super) fn answer(&mut self, number: usize) -> bool {
        self.answered.resize(self.frames.ends.len(), false);
        let Some(answered) = self.answered.get_mut(number) else {
            return false;
        };
        let is_new = !std::mem::replace(answered, true);
        self.unanswered -= usize::from(is_new);
        is_new
    }

    /// The length of the message at `offset`, if it no longer needs to be sent.
    pub(super) fn answered_length(&self, offset: usize) -> Option<usize> {
        let answered = !self.answered.is_empty() && *self.answered.get(self.number(offset))?;
        answered.then(|| self.message(offset).map(<[u8]>::len))?
    }
}
