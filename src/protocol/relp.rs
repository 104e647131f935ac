//! The sending side of RELP, the Reliable Event Logging Protocol, as librelp and
//! rsyslog's `imrelp` speak it (version 0).
//!
//! A [`Client`] lives as long as one connection. Its messages carry a key of the
//! caller's by which the answers name them: a message is delivered when it is
//! [`Answer::Accepted`]; whether one that is [`Answer::Refused`] is sent again is the
//! caller's choice. One that the receiver passes over, while it answers later ones, is
//! handed back by [`Client::poll_overdue`]. When the connection ends, everything without
//! an answer has to be sent on the next one.
//!
//! ```
//! use wecrelay::protocol::relp::{Answer, Client};
//!
//! let mut client = Client::new();
//! assert!(client.outgoing().starts_with(b"1 open "));
//! let mut answers = Vec::new();
//! client.handle(b"1 rsp 21 200 OK\nrelp_version=0\n", &mut answers)?;
//! client.send(7, std::time::Instant::now(), b"<13>1 - - - - - -");
//! client.handle(b"2 rsp 6 200 OK\n", &mut answers)?;
//! assert_eq!(answers, [Answer::Opened, Answer::Accepted(7)]);
//! # Ok::<(), wecrelay::protocol::relp::Error>(())
//! ```

mod frame;
#[cfg(test)]
mod tests;
mod window;

use std::fmt;
use std::time::Instant;

use frame::{Reply, emit};
use window::Window;

pub use frame::{DATA_MAX, Frame, REPLY_MAX, parse};

/// Maximum number of unanswered messages, as in librelp.
pub const WINDOW: usize = 128;
/// Maximum number of unwritten bytes before framing pauses: enough for a large write, and
/// little to hold twice.
const OUTGOING_ENOUGH: usize = 64 * 1024;
/// Maximum number of bytes of the receiver's text to repeat in errors.
const QUOTE_MAX: usize = 100;

/// Why a connection cannot continue: the receiver violated the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not a valid frame from this byte of it on.
    Syntax(usize),
    /// A frame with this many bytes of data.
    TooLong(usize),
    /// An answer that does not begin with a three-digit code.
    Status(String),
    /// An answer to a transaction that is not pending.
    Unasked(u32),
    /// A command that only a client may send.
    Command(String),
    /// The receiver rejected the session.
    Denied(String),
    /// The answer to `open` contains no version.
    NoVersion,
    /// The receiver does not accept syslog messages; the commands that it offers.
    NoSyslog(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Syntax(at) => {
                write!(f, "the data received is not RELP from byte {at} of a frame")
            }
            Self::TooLong(length) => {
                write!(f, "RELP frame of {length} bytes, more than {REPLY_MAX}")
            }
            Self::Status(text) => write!(f, "RELP answer without a status: \"{text}\""),
            Self::Unasked(number) => {
                write!(f, "RELP answer to transaction {number}, which is not open")
            }
            Self::Command(command) => write!(f, "unexpected RELP command \"{command}\""),
            Self::Denied(status) => write!(f, "receiver refuses the RELP session: {status}"),
            Self::NoVersion => write!(f, "receiver does not name a RELP version"),
            Self::NoSyslog(commands) => {
                write!(
                    f,
                    "receiver does not accept syslog messages over RELP, only \"{commands}\""
                )
            }
        }
    }
}

impl std::error::Error for Error {}

/// An event from the receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The session is open; messages may be sent.
    Opened,
    /// The message with this key has been delivered.
    Accepted(u64),
    /// The message with this key has been rejected, for the receiver's reason. It no longer
    /// occupies the window.
    Refused(u64, String),
    /// The receiver is about to close the connection and accepts no more messages.
    Closing,
    /// The receiver has confirmed our `close`.
    Closed,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Opening(u32),
    Open,
    Closing(u32),
    Ended,
}

/// One session on one connection, sans-IO.
#[derive(Debug)]
pub struct Client {
    state: State,
    /// Which messages have which numbers, and which are pending.
    window: Window,
    outgoing: Vec<u8>,
    /// Number of bytes of `outgoing` that have been written.
    written: usize,
    /// An incomplete frame from the receiver.
    held: Vec<u8>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new()
    }
}

impl Client {
    /// A session whose first command is `open`.
    #[must_use]
    pub fn new() -> Self {
        let mut client = Self {
            state: State::Ended,
            window: Window::default(),
            outgoing: Vec::new(),
            written: 0,
            held: Vec::new(),
        };
        let offers = concat!(
            "relp_version=0\nrelp_software=wecrelay,",
            env!("CARGO_PKG_VERSION"),
            "\ncommands=syslog"
        );
        client.state = State::Opening(client.start("open", offers.as_bytes()));
        client
    }

    /// The bytes to write next; empty if there are none.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    /// Reports that `count` bytes of [`Client::outgoing`] have been written.
    pub fn handle_written(&mut self, count: usize) {
        self.written = (self.written + count).min(self.outgoing.len());
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
    }

    /// Whether [`Client::send`] may be called now.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.state == State::Open && self.window.waiting() < WINDOW && self.is_flowing()
    }

    fn is_flowing(&self) -> bool {
        self.outgoing().len() < OUTGOING_ENOUGH
    }

    /// Sends a message; call only if there is room. `key` must differ from that of every
    /// other pending message.
    pub fn send(&mut self, key: u64, now: Instant, message: &[u8]) {
        self.start("syslog", message);
        self.window.open(key, now, message.len());
    }

    /// The key of a message that was sent at `before` or earlier and is unanswered although
    /// a later one has been answered: the receiver skipped it. It no longer occupies the
    /// window; an answer that arrives nevertheless still counts.
    pub fn poll_overdue(&mut self, before: Instant) -> Option<u64> {
        self.window.give_up(before)
    }

    /// When the oldest skipped message was sent.
    #[must_use]
    pub fn oldest_overtaken(&self) -> Option<Instant> {
        self.window.oldest_overtaken()
    }

    /// The keys of the pending messages, in the order in which they were sent.
    pub fn waiting(&self) -> impl Iterator<Item = u64> + '_ {
        self.window.keys()
    }

    /// Number of pending messages.
    #[must_use]
    pub fn waiting_count(&self) -> usize {
        self.window.waiting()
    }

    /// Size of the messages that the receiver has not reached: those sent after the last
    /// one that it answered.
    #[must_use]
    pub fn bytes_ahead(&self) -> usize {
        self.window.ahead()
    }

    /// Whether an answer from the receiver is pending.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.state != State::Open || self.window.waiting() > 0
    }

    /// Ends the session; [`Answer::Closed`] follows when the receiver confirms.
    pub fn close(&mut self) {
        if self.state == State::Open {
            self.state = State::Closing(self.start("close", &[]));
        }
    }

    /// Handles bytes from the receiver and appends their events to `answers`.
    ///
    /// # Errors
    /// The receiver violated the protocol; the connection must be closed.
    pub fn handle(&mut self, bytes: &[u8], answers: &mut Vec<Answer>) -> Result<(), Error> {
        if self.held.is_empty() {
            let used = self.handle_frames(bytes, answers)?;
            self.held.extend(bytes.iter().skip(used));
            return Ok(());
        }
        let mut held = std::mem::take(&mut self.held);
        held.extend_from_slice(bytes);
        let used = self.handle_frames(&held, answers)?;
        held.drain(..used);
        self.held = held;
        Ok(())
    }

    /// Handles the complete frames at the front of `bytes` and returns their total length.
    fn handle_frames(&mut self, bytes: &[u8], answers: &mut Vec<Answer>) -> Result<usize, Error> {
        let mut used = 0;
        while let Some((frame, length)) = parse(bytes.get(used..).unwrap_or_default())? {
            self.handle_frame(frame, answers)?;
            used += length;
        }
        Ok(used)
    }

    fn handle_frame(&mut self, frame: Frame<'_>, answers: &mut Vec<Answer>) -> Result<(), Error> {
        match (frame.command, frame.transaction) {
            (b"rsp", number) => answers.push(self.handle_reply(number, frame.data)?),
            (b"serverclose", _) if self.state != State::Ended => {
                self.state = State::Ended;
                answers.push(Answer::Closing);
            }
            // Unknown hints may be ignored.
            (b"serverclose", _) | (_, 0) => {}
            (command, _) => return Err(Error::Command(printable(command))),
        }
        Ok(())
    }

    fn handle_reply(&mut self, number: u32, data: &[u8]) -> Result<Answer, Error> {
        match self.state {
            State::Opening(open) if open == number => self.handle_offers(data),
            State::Closing(close) if close == number => {
                self.state = State::Ended;
                Ok(Answer::Closed)
            }
            _ => self.handle_verdict(number, data),
        }
    }

    fn handle_offers(&mut self, data: &[u8]) -> Result<Answer, Error> {
        let reply = Reply::parse(data)?;
        if !reply.good {
            return Err(Error::Denied(printable(reply.status)));
        }
        let mut has_version = false;
        for line in reply.data.split(|&byte| byte == b'\n') {
            has_version |= line.starts_with(b"relp_version=");
            let Some(commands) = line.strip_prefix(b"commands=") else {
                continue;
            };
            if !commands.split(|&byte| byte == b',').any(|c| c == b"syslog") {
                return Err(Error::NoSyslog(printable(commands)));
            }
        }
        if !has_version {
            return Err(Error::NoVersion);
        }
        self.state = State::Open;
        Ok(Answer::Opened)
    }

    fn handle_verdict(&mut self, number: u32, data: &[u8]) -> Result<Answer, Error> {
        let key = self.window.answer(number).ok_or(Error::Unasked(number))?;
        let reply = Reply::parse(data)?;
        Ok(if reply.good {
            Answer::Accepted(key)
        } else {
            Answer::Refused(key, printable(reply.status))
        })
    }

    /// Starts a transaction and returns its number.
    fn start(&mut self, command: &str, data: &[u8]) -> u32 {
        self.outgoing.drain(..self.written);
        self.written = 0;
        let number = self.window.begin();
        emit(number, command, data, &mut self.outgoing);
        number
    }
}

/// The start of a text from the receiver, made safe to log.
fn printable(text: &[u8]) -> String {
    let text = text.get(..QUOTE_MAX).unwrap_or(text);
    let text = String::from_utf8_lossy(text);
    text.chars()
        .map(|c| if c.is_control() { '?' } else { c })
        .collect()
}
