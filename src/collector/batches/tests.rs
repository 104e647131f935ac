//! Accessors for tests of the collector.

use super::*;

impl Batches {
    pub(in crate::collector) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Number of bytes of batches that have not been begun.
    pub(in crate::collector) fn waiting(&self) -> usize {
        self.waiting.bytes()
    }

    pub(in crate::collector) fn timers(&self) -> usize {
        self.timers.len() + usize::from(self.probe.poll_timeout().is_some())
    }

    /// The number of batches with a place in the queue, and the number of places.
    pub(in crate::collector) fn in_line(&self) -> (usize, usize) {
        let batches = self.in_flight.values();
        let placed = batches.filter(|batch| batch.place.is_some());
        (placed.count(), self.waiting.len())
    }
}
