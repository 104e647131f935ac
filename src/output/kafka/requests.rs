//! Requests to one broker: what remains to be written, and which are unanswered.

use std::collections::VecDeque;

use crate::protocol::kafka::{Api, Error, push_request};

/// What an answer is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Request {
    Versions,
    Handshake,
    Authenticate,
    Metadata { version: i16 },
    ProducerId { version: i16 },
    Produce { version: i16 },
}

/// An unanswered request.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    correlation: i32,
    request: Request,
    /// Where it ends in the stream of all requests.
    end: usize,
}

/// The requests on one connection. Brokers answer in order.
#[derive(Debug, Default)]
pub(super) struct Requests {
    outgoing: Vec<u8>,
    /// How many of these bytes have been written.
    written: usize,
    /// Number of bytes of all requests on this connection, and how many have been written.
    asked: usize,
    told: usize,
    correlation: i32,
    waiting: VecDeque<Waiting>,
}

impl Requests {
    /// Starts a new connection; correlation ids continue.
    pub(super) fn clear(&mut self) {
        *self = Self {
            correlation: self.correlation,
            ..Self::default()
        };
    }

    /// Whether the broker owes an answer.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// Appends a request; `write` appends its body.
    pub(super) fn push(
        &mut self,
        request: Request,
        api: Api,
        version: i16,
        write: impl FnOnce(&mut Vec<u8>),
    ) {
        self.correlation = self.correlation.wrapping_add(1) & i32::MAX;
        let correlation = self.correlation;
        let before = self.outgoing.len();
        push_request(&mut self.outgoing, api, version, correlation, write);
        self.asked += self.outgoing.len() - before;
        self.waiting.push_back(Waiting {
            correlation,
            request,
            end: self.asked,
        });
    }

    /// The bytes to write next.
    pub(super) fn outgoing(&self) -> &[u8] {
        self.outgoing.get(self.written..).unwrap_or_default()
    }

    /// Reports that `count` of them have been written.
    pub(super) fn handle_written(&mut self, count: usize) {
        let count = count.min(self.outgoing().len());
        self.told += count;
        self.written += count;
        if self.written == self.outgoing.len() {
            self.outgoing.clear();
            self.written = 0;
        }
    }

    /// The request that this correlation id answers.
    ///
    /// # Errors
    /// It is not the next one, or its request has not been written completely: a broker
    /// cannot answer what it does not have.
    pub(super) fn take(&mut self, number: i32) -> Result<Request, Error> {
        let due = self.waiting.pop_front().ok_or(Error::Unasked)?;
        if number != due.correlation {
            return Err(Error::Correlation(number));
        }
        if due.end <= self.told {
            Ok(due.request)
        } else {
            Err(Error::Early)
        }
    }
}
