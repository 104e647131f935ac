//! What is told of an output.

use std::time::{Duration, SystemTime};

/// One output at this moment.
#[derive(Clone, Debug)]
pub struct OutputFacts {
    /// As it was asked for.
    pub label: String,
    /// Whether it is connected, its session open.
    pub up: bool,
    /// Whether sources wait for it.
    pub required: bool,
    /// Bytes that wait to be delivered.
    pub backlog: usize,
    /// Bytes a second that it has delivered lately, while it had some to deliver.
    pub rate: u64,
    /// Bytes written to it since the start.
    pub written: u64,
    /// Messages dropped because it is a best effort and was full.
    pub dropped: u64,
    /// Messages delivered since the start.
    pub delivered: u64,
    /// Events that its rules kept from it, by rule.
    pub kept: Vec<(String, u64)>,
    /// For how long the oldest batch that its source waits for has waited for it.
    pub oldest: Option<Duration>,
    /// How often its receiver refused, or passed over, a message.
    pub refused: u64,
    /// Messages that were refused for good and dropped.
    pub refused_dropped: u64,
    /// Those that were put into the file for it.
    pub refused_filed: u64,
    /// The events that are refused, the latest first.
    pub refused_events: Vec<RefusedFacts>,
    /// Why it fails.
    pub trouble: Option<String>,
}

/// One event that a receiver does not take.
#[derive(Clone, Debug)]
pub struct RefusedFacts {
    /// Whose it is, in words.
    pub event: String,
    /// What the receiver said last.
    pub reason: String,
    /// How often the receiver rejected it.
    pub times: u32,
    /// Time of the first rejection.
    pub since: SystemTime,
    /// Time of the latest rejection.
    pub last: SystemTime,
}
