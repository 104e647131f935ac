//! What a queue holds: the messages of a batch, and how far each has come.

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
pub(super) enum Standing {
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
pub(super) struct Entry {
    pub(super) frames: Rc<Frames>,
    pub(super) standing: Standing,
    /// The position of its first message.
    pub(super) first: u64,
    /// Messages without a confirmation of their own.
    pub(super) unanswered: usize,
    /// Which messages have one, on whatever connection; empty if none has.
    pub(super) answered: Vec<bool>,
    /// One of its messages was let go: it will never be delivered as a whole.
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

    /// Which message `offset` lies in.
    pub(super) fn number(&self, offset: usize) -> usize {
        self.frames.ends.partition_point(|&end| end <= offset)
    }

    /// The message with that number.
    pub(super) fn message_of(&self, number: usize) -> Option<&[u8]> {
        let start = match number.checked_sub(1) {
            Some(before) => *self.frames.ends.get(before)?,
            None => 0,
        };
        self.frames.bytes.get(start..*self.frames.ends.get(number)?)
    }

    /// Notes that a message is confirmed. Answers whether that is new.
    pub(super) fn answer(&mut self, number: usize) -> bool {
        self.answered.resize(self.frames.ends.len(), false);
        let Some(answered) = self.answered.get_mut(number) else {
            return false;
        };
        let is_new = !std::mem::replace(answered, true);
        self.unanswered -= usize::from(is_new);
        is_new
    }

    /// The length of the message at `offset`, if it needs not be sent any more.
    pub(super) fn answered_length(&self, offset: usize) -> Option<usize> {
        let answered = !self.answered.is_empty() && *self.answered.get(self.number(offset))?;
        answered.then(|| self.message(offset).map(<[u8]>::len))?
    }
}
