//! From a closed output to an open one: look its name up, try its addresses, greet.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Link, Phase, Step, Task};
use crate::base::clock::Now;
use crate::output::dial::LONGEST_PAUSE;
use crate::output::dial::OPENING_TIME;

impl Link {
    /// It is time for the next step.
    pub(super) fn go_on(&mut self, now: Now) -> Option<Task> {
        let step = self.dial.go_on();
        self.take_step(now, step)
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

    /// The name server is late: what it told before is as good as ever.
    pub(super) fn handle_late_answer(&mut self, now: Now) -> Option<Task> {
        if self.dial.is_known() {
            let step = self.dial.next_known();
            return self.take_step(now, step);
        }
        let name = self.dial.name();
        let reason = format!("no answer from the name server about {name} yet");
        self.handle_failed(now, &reason);
        None
    }

    /// The addresses of the name, or why there are none, in time or late.
    pub fn handle_resolved(&mut self, now: Now, found: Result<&[SocketAddr], &str>) {
        let addresses = found.unwrap_or_default();
        let is_news = self.dial.handle_resolved(addresses);
        let label = &self.settings.label;
        if let Err(why) = found {
            log::debug!("output {label}: {why}");
        }
        match self.phase {
            // The next turn takes the first step of the round.
            Phase::LookingUp { .. } if self.dial.is_known() => {
                self.dial.begin();
                self.phase = Phase::Down {
                    until: now.monotonic,
                };
            }
            Phase::LookingUp { .. } => {
                let why = found.err().unwrap_or("the name has no address");
                self.handle_failed(now, why);
            }
            Phase::Down { .. } if is_news => {
                self.dial.begin();
                self.phase = Phase::Down {
                    until: now.monotonic,
                };
            }
            _ => {}
        }
    }

    /// The receiver has accepted the connection, and TLS begins on it.
    pub fn handle_reached(&mut self, now: Now) {
        if let Phase::Opening { until } = &mut self.phase {
            *until = now.monotonic + self.dial.step_time();
            self.reached = true;
        }
    }

    /// Why an attempt is given up.
    pub(super) fn late_reason(&self) -> &'static str {
        if self.reached {
            "no answer to the TLS handshake in time; is this port for TLS?"
        } else {
            "no connection in time"
        }
    }

    /// An attempt has failed. Answers whether the next address is tried at once.
    pub(super) fn try_next(&mut self, now: Now, reason: &str) -> bool {
        let was_up = matches!(self.phase, Phase::Up);
        let is_attempt = matches!(self.phase, Phase::Opening { .. } | Phase::Greeting { .. });
        let others = self.dial.handle_failed(reason);
        if !is_attempt || was_up || !others {
            return false;
        }
        log::debug!("output {}: {reason}", self.settings.label);
        self.phase = Phase::Down {
            until: now.monotonic,
        };
        true
    }

    pub(super) fn tell_up(&mut self, now: Now) {
        let label = &self.settings.label;
        let is_calm = self.failing.ease(now) && !std::mem::take(&mut self.is_usual);
        match (self.dial.reasons(), self.dial.told_address()) {
            (Some(others), Some(address)) if is_calm => {
                log::info!("output {label}: open, at {address} ({others})");
            }
            _ if is_calm => log::info!("output {label}: open"),
            _ => {}
        }
    }

    pub(super) fn tell_failure(&mut self, now: Now, reason: &str) {
        let label = &self.settings.label;
        let is_new = self.failing.begin(now);
        let is_news = self.failing.tell(reason);
        if is_new {
            let effect = if self.settings.required {
                ", sources wait"
            } else {
                ""
            };
            log::warn!("output {label}: {reason}; trying again{effect}");
        } else if is_news {
            log::warn!("output {label}: still failing: {reason}");
        } else {
            log::debug!("output {label}: {reason}");
        }
    }

    /// Puts the next attempt off, for no less than the receiver asks for.
    pub(super) fn pause(&mut self, now: Now, asked: Option<Duration>) {
        self.phase = Phase::Down {
            until: now.monotonic + asked.map_or(self.pause, |asked| asked.max(self.pause)),
        };
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
    }
}
