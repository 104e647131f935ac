//! The database as a whole: several servers, one of which accepts changes; lost
//! connections, back-off, timeouts, and requests that are sent again.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use zeroize::Zeroizing;

use super::connection::{Connection, Event};
use super::error::{Failure, Kind};
use super::request::{Request, Rows};
use super::url::{Place, Settings};

/// Pause after the first round of servers without success; it doubles.
const BACK_OFF: Duration = Duration::from_millis(250);
/// Maximum pause.
const LONGEST_WAIT: Duration = Duration::from_secs(5);
/// How long an answer may take beyond the timeout of its statements: for a commit that
/// waits for a standby, and for the network.
const MARGIN: Duration = Duration::from_secs(10);
/// Number of attempts that follow each other immediately if a transaction conflicts with another
/// (SQLSTATE 40001, 40P01).
const AT_ONCE: u32 = 10;

/// A task for the owner of the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Task {
    /// Connect to the server with this index.
    Connect(usize),
    /// Start TLS with it.
    Secure(usize),
    /// Close the connection.
    Close,
}

/// Identifies a request.
pub type Ticket = u64;

#[derive(Debug)]
enum Stage {
    /// Not connected until this time.
    Waits(Instant),
    /// Must be connected by this time.
    Connects(Instant),
    /// Requests can be sent.
    Open,
}

struct Pending {
    ticket: Ticket,
    request: Request,
    tries: u32,
}

/// A client of one database.
pub struct Client {
    settings: Settings,
    /// The password for each server.
    passwords: Vec<Option<Zeroizing<String>>>,
    /// Index of the server of this connection, or of the next one.
    place: usize,
    /// Number of servers tried without success in this round.
    tried: usize,
    stage: Stage,
    connection: Option<Connection>,
    tasks: VecDeque<Task>,
    queue: VecDeque<Pending>,
    /// The request that was sent, and when it must be answered.
    sent: Option<(Pending, Instant)>,
    /// Nothing is sent before this time.
    hold: Option<Instant>,
    done: VecDeque<(Ticket, Result<Rows, Failure>)>,
    back_off: Duration,
    /// The most informative failure of this round.
    worst: Option<Failure>,
    trouble: Option<Failure>,
}

impl Client {
    /// Connects at the next [`Client::handle_timeout`]. `password` has one entry for each
    /// server.
    #[must_use]
    pub fn new(
        now: Instant,
        settings: Settings,
        password: impl Fn(&Place) -> Option<Zeroizing<String>>,
    ) -> Self {
        let passwords = settings.places.iter().map(password).collect();
        Self {
            settings,
            passwords,
            place: 0,
            tried: 0,
            stage: Stage::Waits(now),
            connection: None,
            tasks: VecDeque::new(),
            queue: VecDeque::new(),
            sent: None,
            hold: None,
            done: VecDeque::new(),
            back_off: BACK_OFF,
            worst: None,
            trouble: None,
        }
    }

    /// The server that it is connected to, or will be.
    #[must_use]
    pub fn name(&self) -> String {
        let place = self.settings.places.get(self.place);
        place.map(ToString::to_string).unwrap_or_default()
    }

    /// The settings from the URL.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Submits a request. It is sent again until it is answered, so it must be harmless to
    /// execute it twice.
    pub fn submit(&mut self, now: Instant, ticket: Ticket, request: Request) {
        let tries = 0;
        self.queue.push_back(Pending {
            ticket,
            request,
            tries,
        });
        self.send_next(now);
    }

    /// An answer. The only failures are of [`Kind::Data`]; others are retried.
    #[must_use]
    pub fn poll_done(&mut self) -> Option<(Ticket, Result<Rows, Failure>)> {
        self.done.pop_front()
    }

    /// The next task; call after each call that has a `now`.
    #[must_use]
    pub fn poll_task(&mut self) -> Option<Task> {
        self.tasks.pop_front()
    }

    /// Whether there is a task.
    #[must_use]
    pub fn has_task(&self) -> bool {
        !self.tasks.is_empty()
    }

    /// The bytes to write.
    #[must_use]
    pub fn outgoing(&self) -> &[u8] {
        self.connection.as_ref().map_or(&[], Connection::outgoing)
    }

    /// Reports that this many have been written.
    pub fn note_sent(&mut self, count: usize) {
        if let Some(connection) = &mut self.connection {
            connection.sent(count);
        }
    }

    /// Whether requests can be sent.
    #[must_use]
    pub fn is_open(&self) -> bool {
        matches!(self.stage, Stage::Open)
    }

    /// Why nothing works at present.
    #[must_use]
    pub fn trouble(&self) -> Option<&Failure> {
        self.trouble.as_ref()
    }

    /// When [`Client::handle_timeout`] is due.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let (Stage::Waits(at) | Stage::Connects(at)) = self.stage else {
            let answer = self.sent.as_ref().map(|(_, until)| *until);
            let hold = self
                .hold
                .filter(|_| self.sent.is_none() && !self.queue.is_empty());
            return answer.into_iter().chain(hold).min();
        };
        Some(at)
    }

    /// Handles deadlines.
    pub fn handle_timeout(&mut self, now: Instant) {
        match self.stage {
            Stage::Waits(at) if now >= at => {
                self.stage = Stage::Connects(now + self.settings.connect_timeout);
                self.tasks.push_back(Task::Connect(self.place));
            }
            Stage::Connects(until) if now >= until => {
                let seconds = self.settings.connect_timeout.as_secs();
                let says = format!("no connection within {seconds} s");
                self.lose(now, Failure::new(Kind::Down, &self.name(), says));
            }
            Stage::Open => {
                if self.sent.as_ref().is_some_and(|(_, until)| now >= *until) {
                    let says = "no answer in time";
                    self.lose(now, Failure::new(Kind::Slow, &self.name(), says));
                }
            }
            Stage::Waits(_) | Stage::Connects(_) => {}
        }
        self.send_next(now);
    }

    /// The socket is connected.
    pub fn handle_connected(&mut self) {
        let password = self.passwords.get(self.place).cloned().flatten();
        let is_local = matches!(self.settings.places.get(self.place), Some(Place::Unix(..)));
        let settings = self.settings.clone();
        self.connection = Some(Connection::new(self.name(), settings, password, is_local));
    }

    /// TLS is established; `end_point` is the hash of the server's certificate (RFC 5929
    /// 4.1) for SCRAM's channel binding.
    pub fn handle_secured(&mut self, end_point: Option<Vec<u8>>) {
        if let Some(connection) = &mut self.connection {
            connection.secured(end_point);
        }
    }

    /// The connection could not be opened, or has ended.
    pub fn handle_failed(&mut self, now: Instant, kind: Kind, says: &str) {
        let is_idle = self.is_open() && self.sent.is_none();
        if is_idle {
            log::debug!("PostgreSQL at {}: {says}", self.name());
            self.close();
            self.stage = Stage::Waits(now);
            return;
        }
        self.lose(now, Failure::new(kind, &self.name(), says));
    }

    /// Handles received bytes.
    pub fn handle_received(&mut self, now: Instant, bytes: &[u8]) {
        if let Some(connection) = &mut self.connection {
            connection.received(bytes);
        }
        loop {
            let polled = self.connection.as_mut().map(Connection::poll);
            match polled {
                Some(Ok(Some(event))) => self.take(now, event),
                Some(Ok(None)) | None => break,
                Some(Err(failure)) => self.lose(now, failure),
            }
        }
        self.send_next(now);
    }

    fn take(&mut self, now: Instant, event: Event) {
        match event {
            Event::Secure => self.tasks.push_back(Task::Secure(self.place)),
            Event::Open => {
                self.stage = Stage::Open;
                self.tried = 0;
                self.worst = None;
                // The problem of a request is kept until one succeeds.
                if self.hold.is_none() {
                    self.trouble = None;
                }
            }
            Event::Answered(answer) => {
                let Some((pending, _)) = self.sent.take() else {
                    return;
                };
                match answer {
                    Ok(rows) => {
                        self.trouble = None;
                        self.hold = None;
                        self.back_off = BACK_OFF;
                        self.done.push_back((pending.ticket, Ok(rows)));
                    }
                    Err(failure) => self.retry(now, pending, failure),
                }
            }
        }
    }

    fn retry(&mut self, now: Instant, mut pending: Pending, failure: Failure) {
        pending.tries += 1;
        if failure.kind == Kind::Data {
            self.done.push_back((pending.ticket, Err(failure)));
            return;
        }
        let is_at_once = failure.kind == Kind::Again && pending.tries < AT_ONCE;
        self.queue.push_front(pending);
        if failure.ends_connection() {
            return self.lose(now, failure);
        }
        if !is_at_once {
            self.hold = Some(now + self.next_wait());
            self.trouble = Some(failure);
        }
    }

    /// Abandons this connection: another server is next, or the same one later.
    fn lose(&mut self, now: Instant, failure: Failure) {
        log::debug!("{failure}");
        let was_open = self.is_open();
        self.close();
        if let Some((mut pending, _)) = self.sent.take() {
            pending.tries += 1;
            self.queue.push_front(pending);
        }
        if was_open {
            // The same server first: it may only have been restarted.
            self.stage = Stage::Waits(now);
            self.trouble = Some(failure);
            return;
        }
        if self
            .worst
            .as_ref()
            .is_none_or(|worst| rank(worst) < rank(&failure))
        {
            self.worst = Some(failure);
        }
        self.tried += 1;
        self.place = (self.place + 1) % self.settings.places.len().max(1);
        let wait = if self.tried < self.settings.places.len() {
            Duration::ZERO
        } else {
            self.tried = 0;
            self.trouble = self.worst.take();
            self.next_wait()
        };
        self.stage = Stage::Waits(now + wait);
    }

    fn close(&mut self) {
        self.connection = None;
        // A task for the closed connection must not be applied to the next one.
        self.tasks.clear();
        self.tasks.push_back(Task::Close);
    }

    fn next_wait(&mut self) -> Duration {
        let wait = self.back_off;
        self.back_off = (wait * 2).min(LONGEST_WAIT);
        wait
    }

    fn send_next(&mut self, now: Instant) {
        let is_held = self.hold.is_some_and(|until| now < until);
        while !is_held && self.is_open() && self.sent.is_none() {
            let (Some(pending), Some(connection)) = (self.queue.pop_front(), &mut self.connection)
            else {
                return;
            };
            let timeout = self.settings.statement_timeout;
            match connection.send(&pending.request, timeout) {
                Ok(()) => self.sent = Some((pending, now + timeout + MARGIN)),
                Err(failure) => self.done.push_back((pending.ticket, Err(failure))),
            }
        }
    }
}

/// How informative a failure is. That one of several servers is a standby is normal.
fn rank(failure: &Failure) -> u8 {
    match failure.kind {
        Kind::ReadOnly => 0,
        Kind::Down | Kind::Slow => 1,
        _ => 2,
    }
}

#[cfg(test)]
mod tests;
