//! What tests of the collector look at.

use super::*;

impl Batches {
    pub(in crate::collector) fn len(&self) -> usize {
        self.in_flight.len()
    }

    /// Bytes of batches that are not begun.
    pub(in crate::collector) fn waiting(&self) -> usize {
        self.waiting.bytes()
    }

    pub(in crate::collector) fn timers(&self) -> usize {
        self.timers.len() + usize::from(self.probe.poll_timeout().is_some())
    }

    /// Those that have a place in the line, and the places in it.
    pub(in crate::collector) fn in_line(&self) -> (usize, usize) {
        let batches = self.in_flight.values();
        let placed = batches.filter(|batch| batch.place.is_some());
        (placed.count(), self.waiting.len())
    }
}
