//! The credentials for handshakes of https listeners, and warnings about those that expire
//! soon.

use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::tls::Acceptor;

/// How often to log certificates that expire soon.
const ENDS_TIME: Duration = Duration::from_secs(86_400);

/// The acceptor; `None` without https listeners.
pub(super) struct Certificates {
    acceptor: Option<Acceptor>,
    /// When to log them next.
    ends_at: Instant,
}

impl Certificates {
    pub(super) fn new(now: Now, acceptor: Option<Acceptor>) -> Self {
        Self {
            acceptor,
            ends_at: now.monotonic + ENDS_TIME,
        }
    }

    pub(super) fn replace(&mut self, acceptor: Option<Acceptor>) {
        self.acceptor = acceptor;
    }

    pub(super) fn acceptor(&self) -> Option<&Acceptor> {
        self.acceptor.as_ref()
    }

    pub(super) fn acceptor_mut(&mut self) -> Option<&mut Acceptor> {
        self.acceptor.as_mut()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.acceptor.as_ref().map(|_| self.ends_at)
    }

    /// Logs what expires soon, once a day.
    pub(super) fn note_ends(&mut self, now: Now) {
        if let Some(acceptor) = &self.acceptor
            && now.monotonic >= self.ends_at
        {
            self.ends_at = now.monotonic + ENDS_TIME;
            acceptor.log_ends(now.wall);
        }
    }
}
