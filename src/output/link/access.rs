//! From a closed output to an open one: look up the name, try its addresses, greet, pause.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::output::dial::{LONGEST_PAUSE, OPENING_TIME};
use crate::output::{Dial, Settings, Step, Task};

/// First pause before an output is opened again; doubles with each failure.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// How long a RELP receiver may take to answer `close`.
pub(super) const CLOSING_TIME: Duration = Duration::from_secs(1);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Down {
        until: Instant,
    },
    /// Waiting for the name server.
    LookingUp {
        until: Instant,
    },
    Opening {
        until: Instant,
    },
    /// Connected; the RELP session is being opened.
    Greeting {
        until: Instant,
    },
    Up,
    /// The RELP session is being closed.
    Closing {
        until: Instant,
    },
    Closed,
}

/// The result of a timeout.
#[derive(Debug)]
pub(super) enum Due {
    /// The next step, if it needs the caller.
    Step(Option<Task>),
    /// Nothing could be connected to; the reason.
    Failed(String),
    /// A connection is given up; the reason.
    GiveUp(&'static str),
    /// Nothing: the output is open.
    Nothing,
}

/// Whether an output is open, and if not, how far opening it has progressed.
#[derive(Debug)]
pub(super) struct Access {
    label: String,
    phase: Phase,
    dial: Dial,
    /// Whether the receiver has accepted the TCP connection.
    reached: bool,
    pause: Duration,
}

impl Access {
    pub(super) fn new(settings: &Settings, now: Now) -> Self {
        Self {
            label: settings.label.clone(),
            phase: Phase::Down {
                until: now.monotonic,
            },
            dial: Dial::new(settings.target.place()),
            reached: false,
            pause: FIRST_PAUSE,
        }
    }

    pub(super) fn is_up(&self) -> bool {
        self.phase == Phase::Up
    }

    /// Whether the answer to `close` is pending.
    pub(super) fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing { .. })
    }

    /// When [`Access::handle_timeout`] must be called; `None` while the output is open.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        match self.phase {
            Phase::Down { until }
            | Phase::LookingUp { until }
            | Phase::Opening { until }
            | Phase::Greeting { until }
            | Phase::Closing { until } => Some(until),
            Phase::Closed | Phase::Up => None,
        }
    }

    /// Handles a deadline.
    pub(super) fn handle_timeout(&mut self, now: Now) -> Due {
        match self.phase {
            Phase::Down { .. } => {
                let step = self.dial.go_on();
                Due::Step(self.take_step(now, step))
            }
            // The addresses of the last answer are still usable.
            Phase::LookingUp { .. } if self.dial.is_known() => {
                let step = self.dial.next_known();
                Due::Step(self.take_step(now, step))
            }
            Phase::LookingUp { .. } => {
                let name = self.dial.name();
                Due::Failed(format!("no answer from the name server about {name} yet"))
            }
            Phase::Opening { .. } if self.reached => {
                Due::GiveUp("no answer to the TLS handshake in time; is this port for TLS?")
            }
            Phase::Opening { .. } => Due::GiveUp("no connection in time"),
            Phase::Greeting { .. } => {
                Due::GiveUp("the receiver does not answer the RELP open; is this port for RELP?")
            }
            Phase::Closing { .. } => Due::GiveUp("no answer to the RELP close"),
            Phase::Up | Phase::Closed => Due::Nothing,
        }
    }

    fn take_step(&mut self, now: Now, step: Step) -> Option<Task> {
        let (time, task) = match step {
            Step::Open => (OPENING_TIME, Some(Task::Open)),
            Step::Connect(address) => (self.dial.step_time(), Some(Task::Connect(address))),
            Step::LookUp | Step::Wait => {
                self.phase = Phase::LookingUp {
                    until: now.monotonic + self.dial.look_up_time(),
                };
                return (step == Step::LookUp).then_some(Task::LookUp);
            }
        };
        self.reached = false;
        self.phase = Phase::Opening {
            until: now.monotonic + time,
        };
        task
    }

    /// Handles the result of a lookup, in time or late. Returns why nothing can be
    /// connected to, if so.
    pub(super) fn handle_resolved<'a>(
        &mut self,
        now: Now,
        found: Result<&[SocketAddr], &'a str>,
    ) -> Option<&'a str> {
        let is_news = self.dial.handle_resolved(found.unwrap_or_default());
        if let Err(why) = found {
            log::debug!("output {}: {why}", self.label);
        }
        let is_wanted = match self.phase {
            Phase::LookingUp { .. } if !self.dial.is_known() => {
                return Some(found.err().unwrap_or("the name has no address"));
            }
            Phase::LookingUp { .. } => true,
            Phase::Down { .. } => is_news,
            _ => false,
        };
        if is_wanted {
            // The next turn takes the first step of the round.
            self.dial.begin();
            self.set_down(now);
        }
        None
    }

    /// The receiver has accepted the TCP connection; the TLS handshake starts.
    pub(super) fn handle_reached(&mut self, now: Now) {
        if let Phase::Opening { until } = &mut self.phase {
            *until = now.monotonic + self.dial.step_time();
            self.reached = true;
        }
    }

    /// Connected; the RELP session must be opened.
    pub(super) fn greet(&mut self, now: Now) {
        self.phase = Phase::Greeting {
            until: now.monotonic + self.dial.step_time(),
        };
    }

    /// The output is open. Returns text for the log with the address, if other addresses have
    /// failed.
    pub(super) fn set_up(&mut self) -> Option<String> {
        self.phase = Phase::Up;
        let others = self.dial.reasons();
        let told = others.zip(self.dial.told_address());
        self.dial.handle_up();
        told.map(|(others, address)| format!(", at {address} ({others})"))
    }

    /// The output is closed; the next step follows immediately.
    pub(super) fn set_down(&mut self, now: Now) {
        self.phase = Phase::Down {
            until: now.monotonic,
        };
    }

    /// The session is being closed: waits up to [`CLOSING_TIME`] for the receiver's answer.
    pub(super) fn close(&mut self, now: Now) {
        self.phase = Phase::Closing {
            until: now.monotonic + CLOSING_TIME,
        };
    }

    /// A connection or attempt has ended. Returns whether that matters; after
    /// [`Access::close`] it does not.
    pub(super) fn note_end(&mut self) -> bool {
        match self.phase {
            Phase::Down { .. } | Phase::Closed => false,
            Phase::Closing { .. } => {
                self.phase = Phase::Closed;
                false
            }
            _ => true,
        }
    }

    /// An attempt has failed. Returns whether the next address is to be tried immediately.
    pub(super) fn try_next(&mut self, now: Now, reason: &str) -> bool {
        let is_attempt = matches!(self.phase, Phase::Opening { .. } | Phase::Greeting { .. });
        let others = self.dial.handle_failed(reason);
        if !is_attempt || !others {
            return false;
        }
        log::debug!("output {}: {reason}", self.label);
        self.set_down(now);
        true
    }

    /// Why addresses of this round failed, if any did.
    pub(super) fn reasons(&self) -> Option<String> {
        self.dial.reasons()
    }

    /// Delays the next attempt by the pause, or by the time that the receiver requests if that is
    /// longer.
    pub(super) fn put_off(&mut self, now: Now, asked: Option<Duration>) {
        self.phase = Phase::Down {
            until: now.monotonic + asked.map_or(self.pause, |asked| asked.max(self.pause)),
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }

    /// The output works, so the next pause will be short.
    pub(super) fn reset_pause(&mut self) {
        self.pause = FIRST_PAUSE;
    }
}
