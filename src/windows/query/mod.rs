//! The queries of subscriptions: read as Windows reads them, and linted.
//!
//! A host takes a query with a slip in it without a word and then sends nothing, so
//! it is said here: expressions beyond the limit of the event log, names that no event
//! has, functions that are not there, values that never match, channels that no host forwards.

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

/// Most comparisons in one expression. The event log gives up at about 22, without a
/// word (Windows' own message would be error 15008 or 15026).
pub const MAX_COMPARISONS: usize = 20;
/// Most channels in one query.
pub const MAX_CHANNELS: usize = 256;

/// Something about a query that does not work, or not as meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Line of the query, from 1.
    pub line: u32,
    /// What, and what to do.
    pub what: String,
    /// What to write instead, ready to use.
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
