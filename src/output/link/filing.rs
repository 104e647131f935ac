//! What a link tells of messages that its receiver refuses.

use super::Link;
use crate::base::clock::Now;
use crate::output::RefusedEvent;
use crate::output::queue::BatchId;
use crate::record;

/// Refused events that are told of an output.
const SHOWN: usize = 10;

impl Link {
    /// Batches with a message that is refused for good: they have left the queue, and
    /// their hosts are to be told to come later.
    pub fn take_refused(&mut self) -> Vec<BatchId> {
        self.refusing.take_failed()
    }

    /// Batches that were delivered by the passing of time or the end of a connection.
    pub fn take_delivered(&mut self) -> Vec<BatchId> {
        std::mem::take(&mut self.settled)
    }

    /// Lines for the file of refused messages; [`Link::handle_filed`] follows.
    #[must_use]
    pub fn lines_to_file(&self) -> Option<Vec<u8>> {
        let filing = self.refusing.filing();
        if filing.is_empty() {
            return None;
        }
        let mut lines = Vec::new();
        for &position in filing {
            if let Some(message) = self.queue.message(position) {
                record::push_line(message, &mut lines);
            }
        }
        Some(lines)
    }

    /// Those lines are on disk, or could not be put there: then their hosts keep the events.
    pub fn handle_filed(&mut self, now: Now, error: Option<&str>, delivered: &mut Vec<BatchId>) {
        self.refusing
            .handle_filed(error, &mut self.queue, delivered);
        self.fill(now);
    }

    /// The events that the receiver refuses, the latest first.
    #[must_use]
    pub fn refused_events(&self) -> Vec<RefusedEvent> {
        self.refusing.suspects.latest(SHOWN)
    }
}
