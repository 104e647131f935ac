//! What an output does as time passes: open, give up, look, say that a trouble is over.

use std::time::{Duration, Instant};

use super::{Desk, End, FIRST_PAUSE, Link, Outage, Phase, Task};
use crate::base::clock::Now;

impl Link {
    /// When [`Link::handle_timeout`] wants to be called.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        if let Some(topic) = &self.topic {
            let troubles = self.troubles();
            return troubles
                .chain(topic.poll_timeout())
                .chain(self.refusing.poll_timeout())
                .min();
        }
        match self.phase {
            Phase::Down { until }
            | Phase::LookingUp { until }
            | Phase::Opening { until }
            | Phase::Greeting { until }
            | Phase::Closing { until } => Some(until),
            Phase::Closed => None,
            Phase::Up => {
                let look = self.look.map(|(at, _)| at);
                let session = self.session.as_ref().and_then(|s| s.poll_timeout());
                let troubles = self.troubles();
                let refusing = self.refusing.poll_timeout();
                troubles.chain(look).chain(session).chain(refusing).min()
            }
        }
    }

    /// When each trouble may be over.
    fn troubles(&self) -> impl Iterator<Item = Instant> {
        let troubles = [&self.failing, &self.refused, &self.late];
        troubles.into_iter().filter_map(Outage::poll_timeout)
    }

    /// Time has passed; calls too early are harmless.
    pub fn handle_timeout(&mut self, now: Now) -> Option<Task> {
        if self.poll_timeout().is_none_or(|at| now.monotonic < at) {
            return None;
        }
        if self.topic.is_some() {
            self.handle_topic_timeout(now);
            return None;
        }
        match self.phase {
            Phase::Down { .. } => self.go_on(now),
            Phase::LookingUp { .. } => self.handle_late_answer(now),
            Phase::Opening { .. } => self.give_up(now, self.late_reason()),
            Phase::Greeting { .. } => self.give_up(
                now,
                "the receiver does not answer the RELP open; is this port for RELP?",
            ),
            Phase::Closing { .. } => self.give_up(now, "no answer to the RELP close"),
            Phase::Up => self.handle_timeout_up(now),
            Phase::Closed => None,
        }
    }

    fn give_up(&mut self, now: Now, reason: &str) -> Option<Task> {
        self.handle_end(now, End::of(reason), false);
        Some(Task::Close)
    }

    fn handle_timeout_up(&mut self, now: Now) -> Option<Task> {
        if let Some(session) = &mut self.session {
            if session.is_overdue(now) {
                return self.give_up(now, "the receiver has stopped answering");
            }
            let mut desk = Desk {
                queue: &mut self.queue,
                refusing: &mut self.refusing,
                delivered: &mut self.settled,
            };
            session.handle_timeout(now, &mut desk);
            self.refusing.suspects.sweep(now);
            self.note_refusing(now);
        }
        self.note_calm(now);
        let is_due = |(at, _): (Instant, Duration)| now.monotonic >= at;
        self.look.is_some_and(is_due).then_some(Task::Measure)
    }

    /// Says that a trouble is over, when it is.
    pub(super) fn note_calm(&mut self, now: Now) {
        let label = &self.settings.label;
        if let Some(time) = self.failing.end(now) {
            log::info!("output {label}: open again after {} s", time.as_secs());
            self.pause = FIRST_PAUSE;
        }
        if let Some(time) = self.late.end(now) {
            log::info!("output {label}: delivers again after {} s", time.as_secs());
        }
        if let Some(time) = self.refused.end(now) {
            let seconds = time.as_secs();
            log::info!("output {label}: accepts all messages again after {seconds} s");
        }
    }
}
