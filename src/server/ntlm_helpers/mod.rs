//! Runs the processes of `--ntlm-helper`, and passes questions and answers through their pipes.
#![expect(
    clippy::disallowed_methods,
    reason = "the loop is where the clock is, and the probe comes before it"
)]

mod process;

use std::fmt;
use std::io;
use std::process::Child;
use std::time::{Duration, Instant};

use mio::{Events, Poll, Registry, Token};

use crate::auth::ntlm_helper::protocol::{self, Decoder};
use crate::auth::ntlm_helper::{ANSWER_TIME, Pool, Settings, Task};
use crate::base::clock::Now;
use crate::collector::{Collector, ConnId, Input};
use crate::server::ntlm_helpers::process::{Process, kill_group};

/// The first token of the first process; each process has [`TOKENS`].
pub(super) const HELPERS: usize = 0x8000;
/// Tokens reserved for a process, which uses one for each of its three pipes.
const TOKENS: usize = 4;
/// How often to check whether ending processes have exited.
const REAP_TIME: Duration = Duration::from_millis(100);
/// How long a process may take to exit after its input was closed.
const CLOSE_TIME: Duration = Duration::from_secs(10);
/// The same at the end of the relay.
const END_TIME: Duration = Duration::from_millis(500);

/// Why `--ntlm-helper` was rejected.
#[derive(Debug)]
pub enum HelperError {
    /// The program cannot be started.
    Start(io::Error),
    /// It exits instead of answering.
    Ended,
    /// It does not answer within [`ANSWER_TIME`].
    Silent,
    /// Its answer does not follow the protocol.
    Protocol(protocol::Error),
    /// The event queue failed.
    System(io::Error),
}

impl fmt::Display for HelperError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const HINT: &str = "allowed is a command that speaks ntlm-server-1, for example \
             ntlm_auth --helper-protocol=ntlm-server-1";
        match self {
            Self::Start(error) => f.write_str(&start_failure(error)),
            Self::Ended => write!(f, "exits at once; {HINT}"),
            Self::Silent => write!(f, "does not answer; {HINT}"),
            Self::Protocol(error) => write!(f, "sends {error}; {HINT}"),
            Self::System(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for HelperError {}

fn start_failure(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound => "no such program".to_owned(),
        _ => format!("cannot be run: {error}"),
    }
}

/// Runs the helper once to check that it supports the protocol, without authenticating an account.
///
/// # Errors
/// It cannot be started, or does not support the protocol.
pub fn probe(settings: &Settings) -> Result<(), HelperError> {
    let mut poll = Poll::new().map_err(HelperError::System)?;
    let process = Process::start(&settings.command, poll.registry(), Token(0));
    let mut process = process.map_err(HelperError::Start)?;
    process.send(protocol::PROBE);
    let answer = await_answer(&mut poll, &mut process);
    let mut child = process.kill();
    // Short, since the process was killed.
    let _ = child.wait();
    answer
}

fn await_answer(poll: &mut Poll, process: &mut Process) -> Result<(), HelperError> {
    let mut decoder = Decoder::default();
    let mut events = Events::with_capacity(8);
    let until = Instant::now() + ANSWER_TIME;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(HelperError::Silent);
        }
        match poll.poll(&mut events, Some(left)) {
            Err(error) if error.kind() != io::ErrorKind::Interrupted => {
                return Err(HelperError::System(error));
            }
            _ => {}
        }
        let is_open = process.turn(|bytes| decoder.feed(bytes));
        match decoder.poll() {
            Ok(Some(_)) => return Ok(()),
            Ok(None) if is_open => {}
            Ok(None) => return Err(HelperError::Ended),
            Err(error) => return Err(HelperError::Protocol(error)),
        }
    }
}

/// The pool and its processes.
#[derive(Debug)]
pub(super) struct Helpers {
    settings: Settings,
    pool: Pool<ConnId>,
    processes: Vec<Option<Process>>,
    /// Processes that should exit, and when each is killed if it has not.
    ending: Vec<(Child, Instant)>,
}

impl Helpers {
    pub(super) fn new(now: Now, settings: Settings) -> Self {
        Self {
            pool: Pool::new(now, settings.size),
            processes: (0..settings.size).map(|_| None).collect(),
            ending: Vec::new(),
            settings,
        }
    }

    pub(super) fn poll_timeout(&self, now: Now) -> Option<Instant> {
        let has_more = |process: &Process| process.has_more();
        let reap = (!self.ending.is_empty()).then(|| now.monotonic + REAP_TIME);
        let more = self.processes.iter().flatten().any(has_more);
        let more = more.then_some(now.monotonic);
        self.pool
            .poll_timeout()
            .into_iter()
            .chain(reap)
            .chain(more)
            .min()
    }

    pub(super) fn ask(&mut self, now: Now, collector: &Collector, id: ConnId) {
        if let Some(question) = collector.question(id) {
            self.pool.ask(now, id, &question);
        }
    }

    pub(super) fn restart(&mut self, now: Now) {
        self.pool.restart(now);
    }

    /// Handles an event of a process's pipe.
    pub(super) fn handle_event(&mut self, now: Now, token: usize) {
        self.turn(now, token.wrapping_sub(HELPERS) / TOKENS);
    }

    /// Kills and reaps processes whose time has passed, and continues interrupted reads.
    pub(super) fn handle_timeout(&mut self, now: Now) {
        self.reap(now.monotonic);
        for index in 0..self.processes.len() {
            let process = self.processes.get(index).and_then(Option::as_ref);
            if process.is_some_and(Process::has_more) {
                self.turn(now, index);
            }
        }
        self.pool.handle_timeout(now);
    }

    fn reap(&mut self, now: Instant) {
        self.ending.retain_mut(|(child, until)| {
            if *until <= now {
                kill_group(child);
            }
            matches!(child.try_wait(), Ok(None))
        });
    }

    fn turn(&mut self, now: Now, index: usize) {
        let Some(Some(process)) = self.processes.get_mut(index) else {
            return;
        };
        let pool = &mut self.pool;
        let is_open = process.turn(|bytes| pool.handle_received(now, index, bytes));
        if !is_open {
            self.kill(now, index);
            self.pool.handle_ended(now, index, "has ended");
        }
    }

    /// Performs the pool's tasks; returns whether there were any.
    pub(super) fn drain(
        &mut self,
        now: Now,
        registry: &Registry,
        collector: &mut Collector,
    ) -> bool {
        let mut any = false;
        while let Some(task) = self.pool.poll_task() {
            any = true;
            match task {
                Task::Start(index) => self.start(now, registry, index),
                Task::Send(index, lines) => {
                    if let Some(Some(process)) = self.processes.get_mut(index) {
                        process.send(&lines);
                    }
                    self.turn(now, index);
                }
                Task::Close(index) => {
                    let process = self.processes.get_mut(index).and_then(Option::take);
                    let until = now.monotonic + CLOSE_TIME;
                    self.ending.extend(process.map(|p| (p.close(), until)));
                }
                Task::Kill(index) => self.kill(now, index),
                Task::Answer(id, verdict) => {
                    collector.handle(now, &Input::Judged(id, &verdict));
                }
            }
        }
        any
    }

    fn start(&mut self, now: Now, registry: &Registry, index: usize) {
        let token = Token(HELPERS + index * TOKENS);
        let Some(place) = self.processes.get_mut(index) else {
            return;
        };
        match Process::start(&self.settings.command, registry, token) {
            Ok(process) => {
                *place = Some(process);
                self.pool.handle_started(now, index);
            }
            Err(error) => self.pool.handle_ended(now, index, &start_failure(&error)),
        }
    }

    fn kill(&mut self, now: Now, index: usize) {
        let process = self.processes.get_mut(index).and_then(Option::take);
        self.ending
            .extend(process.map(|p| (p.kill(), now.monotonic)));
    }

    /// Closes the input of all processes, waits up to [`END_TIME`] for them to exit, and kills the
    /// rest.
    pub(super) fn end(mut self, poll: &mut Poll, events: &mut Events) {
        let until = Instant::now() + END_TIME;
        let processes = self.processes.iter_mut().filter_map(Option::take);
        self.ending.extend(processes.map(|p| (p.close(), until)));
        self.ending.iter_mut().for_each(|(_, end)| *end = until);
        while !self.ending.is_empty() && Instant::now() < until {
            self.reap(Instant::now());
            // Used as a timer; an error only shortens the wait.
            let _ = poll.poll(events, Some(Duration::from_millis(10)));
        }
        for (mut child, _) in self.ending {
            kill_group(&child);
            let _ = child.wait();
        }
    }
}
