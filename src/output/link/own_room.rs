//! The relay's own log at an output: it takes little room, and no source waits for it.

/// Bytes of our own log that may wait for one output: some hundred messages.
const ROOM: usize = 64 << 10;

/// The room for messages of our own log. While an output is down the first ones stay: they
/// tell how it began.
#[derive(Debug, Default)]
pub(super) struct OwnRoom {
    /// Those that found none and were not told of.
    lost: u64,
}

impl OwnRoom {
    /// Whether there is room for one of that size beside `held` bytes.
    pub(super) fn takes(&mut self, held: usize, size: usize) -> bool {
        let has_room = held + size <= ROOM;
        self.lost += u64::from(!has_room);
        has_room
    }

    /// How many have found no room, once there is room to tell of it; each is told of once.
    pub(super) fn take_lost(&mut self, held: usize) -> Option<u64> {
        let is_due = self.lost > 0 && held + ROOM / 2 <= ROOM;
        is_due.then(|| std::mem::take(&mut self.lost))
    }
}
