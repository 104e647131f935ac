//! What a connection reports to its caller, and what it is answered.

use std::time::Instant;

use super::Refusal;

/// A SOAP message from an authenticated source; exactly one [`Answer`] must follow.
#[derive(Debug)]
pub struct Message {
    /// The path of the request, which may contain the subscription's id.
    pub target: String,
    /// The `Host` header: the name under which the source reaches the relay.
    pub host: Option<String>,
    /// The envelope, unsealed, decompressed, and decoded.
    pub text: String,
    /// Whether it is known to contain nothing that XML forbids.
    pub is_plain: bool,
    /// When the source started to send it, as far as that is known: the source's own
    /// timeout counts from there.
    pub began: Instant,
}

/// An event on a connection.
#[derive(Debug)]
pub enum Event {
    /// A message that waits for its [`Answer`].
    Message(Message),
    /// [`Connection::question`] must be asked of a domain; the request waits for
    /// [`Connection::handle_verdict`].
    ///
    /// [`Connection::question`]: super::Connection::question
    /// [`Connection::handle_verdict`]: super::Connection::handle_verdict
    Ask,
    /// A request has been rejected and answered.
    Refused(Refusal),
}

/// The answer to a [`Message`].
#[derive(Debug)]
pub enum Answer<'a> {
    /// An envelope with its HTTP status.
    Envelope(u16, &'a str),
    /// A status without a body.
    Empty(u16),
}
