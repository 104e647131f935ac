//! The source's side of a connection.

use uuid::Uuid;

use crate::client::{Reply, Session};

/// Whether the collector has closed its side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Open,
    ShutDown,
    Closed,
}

pub(super) struct Peer {
    /// `None` if the test itself writes and reads bytes.
    pub(super) session: Option<Session>,
    /// Bytes that the collector has not received yet.
    pub(super) outgoing: Vec<u8>,
    /// Bytes that the collector has sent.
    pub(super) received: Vec<u8>,
    /// Answers that the test has not read yet.
    pub(super) replies: Vec<Reply>,
    /// The message that waits for its answer.
    pub(super) message: Uuid,
    /// Whether it reads what the collector sends.
    pub(super) reads: bool,
    pub(super) end: End,
    /// The session has failed.
    pub(super) broken: bool,
}

impl Peer {
    pub(super) fn new(session: Option<Session>) -> Self {
        Self {
            session,
            outgoing: Vec::new(),
            received: Vec::new(),
            replies: Vec::new(),
            message: Uuid::nil(),
            reads: true,
            end: End::Open,
            broken: false,
        }
    }

    pub(super) fn text(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Statuses of the answers, in order.
    pub(super) fn statuses(&self) -> Vec<u16> {
        let text = self.text();
        let lines = text.split("HTTP/1.1 ").skip(1);
        lines.map(|rest| rest[..3].parse().unwrap()).collect()
    }
}
