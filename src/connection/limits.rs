//! The limits of one connection, and what all connections share.

use std::time::Duration;

use crate::auth;
use crate::protocol::http;

/// Number of bytes that a source may send ahead of an answer.
pub(super) const AHEAD: usize = 64 << 10;
/// Number of bytes discarded after the last answer, which a source still sending can then read.
pub(super) const DROPPED: usize = 64 << 10;

/// Limits of one connection.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Limits of one HTTP request.
    pub http: http::Limits,
    /// Maximum size of a body in bytes after decompression.
    pub inflated: usize,
    /// Maximum time for the head of a request to arrive.
    pub head_time: Duration,
    /// Maximum time without progress while an answer is written.
    pub stall_time: Duration,
    /// Maximum time for a new connection to authenticate.
    pub authentication_time: Duration,
    /// Maximum time between two requests.
    pub idle_time: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            http: http::Limits::default(),
            inflated: 32 << 20,
            head_time: Duration::from_secs(10),
            stall_time: Duration::from_secs(60),
            authentication_time: Duration::from_secs(30),
            // Replaced by an hour more than the longest heartbeat of the subscriptions.
            idle_time: Duration::from_secs(2 * 3600),
        }
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Which hosts may connect, and how.
    pub auth: auth::Policy,
    /// Whether bodies need not be sealed without TLS (`--allow-unencrypted`).
    pub allow_unencrypted: bool,
    /// The limits of each connection.
    pub limits: Limits,
}
