//! The health of a store.

/// The health of a store, for status and metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Number of rows that could not be read since the start; each counts as missing.
    pub damaged: u64,
    /// What was found damaged, and what was done about it; events are still accepted.
    pub notice: Option<String>,
    /// Why nothing can be stored at present, so that nothing is acknowledged.
    pub trouble: Option<String>,
}
