//! What one connection may cost, and what all of them share.

use std::time::Duration;

use crate::auth;
use crate::protocol::http;

/// Bounds on what one connection may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Of one HTTP request.
    pub http: http::Limits,
    /// Bytes of a body after decompression.
    pub inflated: usize,
    /// Time for a request's head to arrive.
    pub head_time: Duration,
    /// Time without progress while an answer is written.
    pub stall_time: Duration,
    /// Time for a new connection to be authenticated.
    pub authentication_time: Duration,
    /// Time between two requests.
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
            // An hour past the longest heartbeat is set from the subscriptions.
            idle_time: Duration::from_secs(2 * 3600),
        }
    }
}

/// What all connections share.
#[derive(Clone, Debug)]
pub struct Rules {
    /// Who may come in.
    pub auth: auth::Policy,
    /// Whether bodies need not be sealed.
    pub allow_unencrypted: bool,
    /// Bounds.
    pub limits: Limits,
}
