//! Batches that wait until the outputs have room, in the order of their hosts' turns. None
//! of them has been begun, so handing one back costs nothing.

use std::collections::BTreeMap;
use std::time::Instant;

use crate::output::queue::BatchId;

/// Position of a batch: since when its host has been waiting for a turn.
pub(in crate::collector) type Place = (Instant, BatchId);

/// The batches that have not been begun.
#[derive(Debug, Default)]
pub(super) struct Waiting {
    /// Size in bytes of each batch, by position.
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

    /// The batch whose turn is next.
    pub(super) fn first(&self) -> Option<(Place, usize)> {
        self.order
            .first_key_value()
            .map(|(place, size)| (*place, *size))
    }

    /// The batch whose turn is last.
    pub(super) fn last(&self) -> Option<(Place, usize)> {
        self.order
            .last_key_value()
            .map(|(place, size)| (*place, *size))
    }

    /// The batches in the order of their turns.
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
