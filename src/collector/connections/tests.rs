//! Accessors for tests of the collector.

use super::room::{Bounds, Room};
use super::*;

impl Connections {
    pub(in crate::collector) fn room(&self) -> &Room {
        self.seats.room()
    }

    pub(in crate::collector) fn bounds(&mut self) -> &mut Bounds {
        self.seats.bounds()
    }

    pub(in crate::collector) fn connection(&mut self, id: ConnId) -> &mut Connection {
        &mut self.seats.slots.get_mut(id).unwrap().connection
    }

    pub(in crate::collector) fn timers(&self) -> usize {
        self.seats.slots.timers()
    }

    pub(in crate::collector) fn refusals_put_off(&self) -> usize {
        self.seats.slots.refusals_put_off()
    }

    /// Number of bytes of incomplete requests.
    pub(in crate::collector) fn buffered(&self) -> usize {
        let slots = self.seats.slots.values();
        slots.map(|slot| slot.connection.buffered()).sum()
    }
}
