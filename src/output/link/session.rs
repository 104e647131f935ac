//! A protocol in which the receiver confirms what it has taken: what a link asks of it.
//!
//! A session takes messages from the queue and tells the queue, by [`Desk`], which are
//! confirmed and which are refused. It lives as long as its link, over all connections.

use std::fmt;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use crate::base::clock::Now;
use crate::output::queue::Queue;
use crate::output::refusing::Refusing;

pub(super) use crate::output::kafka::Desk;

/// What the receiver's answers came to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Outcome {
    /// The session is open now.
    pub(super) opened: bool,
    /// A message is delivered.
    pub(super) accepted: bool,
    /// The connection is to be closed, and why.
    pub(super) end: Option<End>,
    /// That is the answer to our own [`Session::close`].
    pub(super) is_closed: bool,
}

/// Why a connection is at its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: String,
    /// The receiver asks not to be connected to again before this time has passed.
    pub(super) pause: Option<Duration>,
    /// It is no failure: the next connection is made at once.
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

    /// The receiver ends a connection that has done its work.
    pub(super) fn usual() -> Self {
        Self {
            is_usual: true,
            ..Self::of("the receiver closed the connection")
        }
    }
}

/// A protocol with confirmations, sans-IO.
pub(super) trait Session: fmt::Debug {
    /// The connection is there. Answers whether messages may be sent at once; else
    /// [`Outcome::opened`] says when.
    fn handle_connected(&mut self, now: Now) -> bool;

    /// What to write next; empty when there is nothing.
    fn outgoing(&self) -> &[u8];

    /// `count` bytes of that have been written.
    fn handle_written(&mut self, count: usize);

    /// Takes messages from the queue as far as there is room.
    fn fill(&mut self, now: Now, queue: &mut Queue, refusing: &mut Refusing);

    /// The receiver has sent something.
    ///
    /// # Errors
    /// The connection cannot go on.
    fn handle_received(
        &mut self,
        now: Now,
        bytes: &[u8],
        desk: &mut Desk<'_>,
    ) -> Result<Outcome, End>;

    /// Time has passed.
    fn handle_timeout(&mut self, now: Now, desk: &mut Desk<'_>);

    /// The connection is gone on which the session was open: a message may be to blame.
    /// [`Session::reset`] follows. Answers why, if it knows more of that than the socket.
    fn handle_ended(&mut self, now: Now, desk: &mut Desk<'_>) -> Option<End>;

    /// Forgets the connection.
    fn reset(&mut self);

    /// The administrator's headers have been read, at the start or again.
    fn replace_headers(&mut self, _headers: Zeroizing<String>) {}

    /// Nothing will follow. Answers whether the receiver will answer to that.
    fn close(&mut self) -> bool;

    /// Whether the receiver has been silent for too long.
    fn is_overdue(&self, now: Now) -> bool;

    /// When [`Session::handle_timeout`] wants to be called, or the receiver is overdue.
    fn poll_timeout(&self) -> Option<Instant>;

    /// Messages that the receiver owes an answer.
    fn unanswered(&self) -> usize;

    /// Bytes of those that it has not come to.
    fn bytes_ahead(&self) -> usize;
}
