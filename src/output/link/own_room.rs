//! The relay's own log at an output: it uses little room, and no source waits for it.

/// Maximum number of bytes of the own log waiting for one output: some hundred messages.
const ROOM: usize = 64 << 10;

/// The room for messages of the own log. While an output is down, the first ones stay,
/// because they show how it began.
#[derive(Debug, Default)]
pub(super) struct OwnRoom {
    /// Number of messages that found no room, not reported yet.
    lost: u64,
}

impl OwnRoom {
    /// Whether there is room for a message of this size besides `held` bytes.
    pub(super) fn takes(&mut self, held: usize, size: usize) -> bool {
        let has_room = held + size <= ROOM;
        self.lost += u64::from(!has_room);
        has_room
    }

    /// Number of messages that found no room, once there is room to report it; each is
    /// reported once.
    pub(super) fn take_lost(&mut self, held: usize) -> Option<u64> {
        let is_due = self.lost > 0 && held + ROOM / 2 <= ROOM;
        is_due.then(|| std::mem::take(&mut self.lost))
    }
}
