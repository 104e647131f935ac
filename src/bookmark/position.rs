//! The position in one channel.

/// This relay's own attribute for weak positions; used only in the store.
pub(super) const WEAK: &str = "Weak";

/// A source's position in one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The channel, spelled as by the source.
    pub channel: String,
    /// `EventRecordID` of the last event that was read.
    pub record: u64,
}

/// A usable position in a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) is_current: bool,
    /// Whether this relay has marked it as weak.
    pub(super) is_weak: bool,
}
