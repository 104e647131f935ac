//! What is counted: plain numbers in one struct.

use crate::connection::RefusalKind;
use std::collections::BTreeMap;
use std::fmt;

/// Counters since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Connections accepted.
    pub connections: u64,
    /// Enumerate requests answered.
    pub enumerations: u64,
    /// Heartbeats acknowledged.
    pub heartbeats: u64,
    /// Batches acknowledged.
    pub batches: u64,
    /// Events acknowledged.
    pub events: u64,
    /// Events that were no well-formed XML and went out as raw text.
    pub malformed: u64,
    /// Events whose Computer is not the authenticated host.
    pub mismatches: u64,
    /// Messages cut to an output's `?max=`.
    pub truncated: u64,
    /// Bookmark events (111), which are not forwarded.
    pub bookmark_events: u64,
    /// Bookmarks that the guard kept aside.
    pub bookmarks_aside: u64,
    /// Batches answered 503 because an output or the state folder could not take them.
    pub unavailable: u64,
    /// Sources that got a subscription and then sent nothing.
    pub silent_sources: u64,
    /// Authentications by method and result, one a connection and handshake.
    pub authentications: BTreeMap<(&'static str, Outcome), u64>,
    /// Requests refused, by kind.
    pub refusals: BTreeMap<RefusalKind, u64>,
}

/// How an authentication ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Outcome {
    /// The source was let in.
    Accepted,
    /// It was not.
    Refused,
    /// Nobody could say.
    Unavailable,
}

impl Outcome {
    /// The name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Refused => "refused",
            Self::Unavailable => "unavailable",
        }
    }
}

impl Counters {
    pub(crate) fn note_authentication(&mut self, method: &'static str, outcome: Outcome) {
        *self.authentications.entry((method, outcome)).or_default() += 1;
    }

    pub(crate) fn note_refusal(&mut self, kind: RefusalKind) {
        *self.refusals.entry(kind).or_default() += 1;
    }
}

impl fmt::Display for Counters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields = [
            ("events", self.events),
            ("batches", self.batches),
            ("heartbeats", self.heartbeats),
            ("enumerations", self.enumerations),
            ("connections", self.connections),
            ("malformed", self.malformed),
            ("truncated", self.truncated),
            ("mismatches", self.mismatches),
            ("bookmark-events", self.bookmark_events),
            ("bookmarks-aside", self.bookmarks_aside),
            ("unavailable", self.unavailable),
            ("silent-sources", self.silent_sources),
        ];
        let mut separator = "";
        for (name, value) in fields {
            write!(f, "{separator}{name}={value}")?;
            separator = " ";
        }
        for ((method, outcome), count) in &self.authentications {
            write!(f, " {}-{method}={count}", outcome.as_str())?;
        }
        for (kind, count) in &self.refusals {
            write!(f, " refused-{}={count}", kind.name())?;
        }
        Ok(())
    }
}
