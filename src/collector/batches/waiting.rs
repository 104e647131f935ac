//! Batches that wait until the outputs have room for them, in the order in which their
//! hosts have their turns. None of them is begun: each may still be handed back for nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::output::queue::BatchId;

/// A batch's place: since when its host waits for a turn.
pub(in crate::collector) type Place = (Instant, BatchId);

/// The batches that are not begun.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// The size of each.
    order: BTreeMap<Place, usize>,
    bytes: usize,
}

impl Waiting {
    pub(super) fn insert(&mut self, place: Place, size: usize) {
        self.order.insert(place, size);
        self.bytes += size;
    }

    pub(super) fn remove(&mut self, place: Place) {
        self.bytes -= self.order.remove(&place).unwrap_or(0);
    }

    /// Whose turn is next.
    pub(super) fn first(&self) -> Option<(Place, usize)> {
        self.order
            .first_key_value()
            .map(|(place, size)| (*place, *size))
    }

    /// Whose turn is last.
    pub(super) fn last(&self) -> Option<(Place, usize)> {
        self.order
            .last_key_value()
            .map(|(place, size)| (*place, *size))
    }

    /// Batches in the order of turns.
    pub(super) fn iter(&self) -> impl Iterator<Item = BatchId> {
        self.order.keys().map(|(_, id)| *id)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    pub(super) fn len(&self) -> usize {
        self.order.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }
}
