//! How a store is.

/// How a store is, for those who watch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    /// Rows that could not be read since the start; each counts as none.
    pub damaged: u64,
    /// What was found damaged, and what became of it; events go on.
    pub notice: Option<String>,
    /// Why nothing is stored now, so that nothing is acknowledged.
    pub trouble: Option<String>,
}
