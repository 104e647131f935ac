//! One channel of a bookmark.

/// Our own attribute, only in what is stored.
pub(super) const WEAK: &str = "Weak";

/// Where a source stands in one channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Position {
    /// The channel as the source writes it.
    pub channel: String,
    /// `EventRecordID` of the last event that was read.
    pub record: u64,
}

/// A usable position of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) position: Position,
    pub(super) is_current: bool,
    /// We have marked it so ourselves.
    pub(super) is_weak: bool,
}
