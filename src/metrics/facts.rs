//! The facts about an output for metrics and status.

use std::time::{Duration, SystemTime};

/// The state of an output at one moment.
#[derive(Clone, Debug)]
pub struct OutputFacts {
    /// Its URL as given.
    pub label: String,
    /// Whether it is connected, and its session open.
    pub up: bool,
    /// Whether sources wait for it.
    pub required: bool,
    /// Number of undelivered bytes.
    pub backlog: usize,
    /// Recent rate in bytes per second, counting only time in which there was something to
    /// deliver.
    pub rate: u64,
    /// Number of bytes written since the start.
    pub written: u64,
    /// Number of messages dropped because a best-effort output was full.
    pub dropped: u64,
    /// Number of messages delivered since the start.
    pub delivered: u64,
    /// Number of events filtered out, by rule.
    pub kept: Vec<(String, u64)>,
    /// How long the oldest batch whose source waits has been waiting for this output.
    pub oldest: Option<Duration>,
    /// Number of times that its receiver rejected or skipped a message.
    pub refused: u64,
    /// Number of permanently rejected messages that were dropped.
    pub refused_dropped: u64,
    /// Number of permanently rejected messages written to a file.
    pub refused_filed: u64,
    /// The rejected events, the latest first.
    pub refused_events: Vec<RefusedFacts>,
    /// Why it fails at present.
    pub trouble: Option<String>,
}

/// An event that a receiver rejects.
#[derive(Clone, Debug)]
pub struct RefusedFacts {
    /// The event, as text.
    pub event: String,
    /// The receiver's last answer.
    pub reason: String,
    /// How often the receiver rejected it.
    pub times: u32,
    /// Time of the first rejection.
    pub since: SystemTime,
    /// Time of the latest rejection.
    pub last: SystemTime,
}
