//! The interface of protocols in which the receiver confirms messages.
//!
//! A session takes messages from the queue and reports through [`Desk`] which are confirmed
//! and which are rejected. It lives as long as its link, across connections.

use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::base::clock::Now;
use crate::output::queue::Queue;
use crate::output::refusing::Refusing;

pub(super) use crate::output::kafka::Desk;

/// The result of the receiver's answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The session is open now.
    pub(super) opened: bool,
    /// A message has been delivered.
    pub(super) accepted: bool,
    /// The connection must be closed; why.
    pub(super) end: Option<End>,
    /// The receiver has confirmed [`Session::close`].
    pub(super) is_closed: bool,
}

/// Why a connection ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: String,
    /// Minimum time before the next connection, as requested by the receiver.
    pub(super) pause: Option<Duration>,
    /// It is not a failure: the next connection follows immediately.
    pub(super) is_usual: bool,
}

impl End {
    pub(super) fn of(reason: impl Into<String>) -> Self {
        Self {
            reason: reason.into(),
            pause: None,
            is_usual: false,
        }
    }

    /// The receiver closes a connection that has served its purpose.
    pub(super) fn usual() -> Self {
        Self {
            is_usual: true,
            ..Self::of("the receiver closed the connection")
        }
    }
}

/// A protocol with confirmations, sans-IO.
pub(super) trait Session: fmt::Debug {
    /// The connection is open. Returns whether messages may be sent immediately; otherwise
    /// [`Outcome::opened`] reports when.
    fn handle_connected(&mut self, now: Now) -> bool;

    /// The bytes to write next; empty if there are none.
    fn outgoing(&self) -> &[u8];

    /// Reports that `count` of them have been written.
    fn handle_written(&mut self, count: usize);

    /// Sends messages from the queue as far as there is room.
    fn fill(&mut self, now: Now, queue: &mut Queue, refusing: &mut Refusing);

    /// Handles bytes from the receiver.
    ///
    /// # Errors
    /// The connection cannot continue.
    fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Outcome, End>;

    /// Handles deadlines.
    fn handle_timeout(&mut self, now: Now, desk: &mut Desk<'_>);

    /// The connection is gone while the session was open; a message may be the reason.
    /// [`Session::reset`] follows. Returns the reason, if the session knows more about it
    /// than the socket.
    fn handle_ended(&mut self, now: Now, desk: &mut Desk<'_>) -> Option<End>;

    /// Forgets the connection.
    fn reset(&mut self);

    /// The administrator's headers have been read, at the start or again.
    fn replace_headers(&mut self, _headers: Zeroizing<String>) {}

    /// Nothing will follow. Returns whether the receiver will answer that.
    fn close(&mut self) -> bool;

    /// Whether the receiver has been silent for too long.
    fn is_overdue(&self, now: Now) -> bool;

    /// When [`Session::handle_timeout`] must be called, or the receiver is overdue.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Number of unanswered messages.
    fn unanswered(&self) -> usize;

    /// Size of those that the receiver has not reached, in bytes.
    fn bytes_ahead(&self) -> usize;
}
