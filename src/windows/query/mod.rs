//! The queries of subscriptions: parsed as Windows parses them, and checked for mistakes.
//!
//! A host accepts many faulty queries without an error, and then forwards nothing.
//! Therefore the relay reports the faults that it can find: expressions beyond the limit of
//! the event log, element and attribute names that no event has, functions that the event
//! log does not support, values that never match, and channels that no host forwards.

mod clauses;
mod describe;
mod lint;
mod names;
mod values;
pub mod xpath;

use std::fmt;

pub use clauses::{channels, whole_channels};
pub use describe::describe;
pub use lint::lint;

/// Maximum number of comparisons in one expression. From about 22 on, the event log matches
/// nothing and reports no error (Windows has the errors 15008 and 15026 for this case).
pub const MAX_COMPARISONS: usize = 20;
/// Maximum number of channels in one query that a host accepts.
pub const MAX_CHANNELS: usize = 256;

/// A part of a query that does not work, or does something other than what was probably
/// meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line of the query, counted from 1.
    pub line: u32,
    /// What is wrong and how to fix it, as text for the administrator.
    pub what: String,
    /// A replacement for the clause, ready to copy, if one can be generated.
    pub instead: Option<String>,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "query line {}: {}", self.line, self.what)?;
        match &self.instead {
            Some(instead) => write!(f, "; write instead:\n{instead}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests;
