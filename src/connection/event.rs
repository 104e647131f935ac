//! What a connection tells its caller, and what it is answered.

use std::time::Instant;

use super::Refusal;

/// A SOAP message from an authenticated source; it has to be answered.
#[derive(Debug)]
pub struct Message {
    /// Path of the request.
    pub target: String,
    /// The `Host` header.
    pub host: Option<String>,
    /// The envelope.
    pub text: String,
    /// It is known to have no control character and none that XML forbids.
    pub is_plain: bool,
    /// When the source began to send it, as far as can be told: its own timeout counts
    /// from there.
    pub began: Instant,
}

/// What a connection has to say.
#[derive(Debug)]
pub enum Event {
    /// A message that waits for its [`Answer`].
    Message(Message),
    /// A domain has to be asked [`Connection::question`]; the request waits for
    /// [`Connection::handle_verdict`].
    ///
    /// [`Connection::question`]: super::Connection::question
    /// [`Connection::handle_verdict`]: super::Connection::handle_verdict
    Ask,
    /// A request was refused and has been answered.
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
