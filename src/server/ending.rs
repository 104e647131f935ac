//! The end of the loop: first load balancers get time to notice, then batches in flight are
//! finished within a time limit.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// Time limit for batches in flight.
const FINISH: Duration = Duration::from_secs(10);

/// The stage of the end; instants are the ends of the stages.
#[derive(Clone, Copy, Debug)]
enum Stage {
    Running,
    /// Hosts are served as before, while the status reports that the relay is stopping.
    Announced(Instant),
    /// No new connections are accepted.
    Finishing(Instant),
}

/// What the loop must do after a signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Report in the status that the relay is stopping.
    Announce,
    /// Accept no more connections, and finish batches in flight.
    Finish,
    /// Stop at once, without finishing batches.
    Abandon,
}

/// Whether and how the loop ends.
#[derive(Debug)]
pub(super) struct Ending {
    stage: Stage,
    /// How long load balancers have to notice.
    delay: Duration,
}

impl Ending {
    pub(super) const fn new(delay: Duration) -> Self {
        let stage = Stage::Running;
        Self { stage, delay }
    }

    /// Maximum duration of the end: the delay for load balancers and [`FINISH`].
    pub(super) fn longest(&self) -> Duration {
        self.delay + FINISH
    }

    /// A signal requests the end; a second request stops at once. Load balancers get their delay
    /// only if `is_patient`.
    pub(super) fn request(&mut self, now: Now, is_patient: bool) -> Step {
        match self.stage {
            Stage::Running if is_patient && !self.delay.is_zero() => {
                self.stage = Stage::Announced(now.monotonic + self.delay);
                Step::Announce
            }
            Stage::Running => self.finish(now),
            Stage::Announced(_) | Stage::Finishing(_) => {
                self.stage = Stage::Finishing(now.monotonic);
                Step::Abandon
            }
        }
    }

    fn finish(&mut self, now: Now) -> Step {
        self.stage = Stage::Finishing(now.monotonic + FINISH);
        Step::Finish
    }

    /// Returns whether the delay for load balancers has just ended.
    pub(super) fn handle_timeout(&mut self, now: Now) -> bool {
        let is_due = matches!(self.stage, Stage::Announced(until) if now.monotonic >= until);
        if is_due {
            self.finish(now);
        }
        is_due
    }

    pub(super) const fn poll_timeout(&self) -> Option<Instant> {
        match self.stage {
            Stage::Running => None,
            Stage::Announced(until) | Stage::Finishing(until) => Some(until),
        }
    }

    /// Whether connections are no longer accepted.
    pub(super) const fn is_finishing(&self) -> bool {
        matches!(self.stage, Stage::Finishing(_))
    }

    /// Whether the time limit for batches in flight has passed.
    pub(super) fn is_over(&self, now: Now) -> bool {
        matches!(self.stage, Stage::Finishing(until) if now.monotonic >= until)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const DELAY: Duration = Duration::from_secs(7);

    #[test]
    fn balancers_have_their_time_before_anything_is_refused() {
        let start = crate::server::now();
        let mut ending = Ending::new(DELAY);
        assert_eq!(ending.poll_timeout(), None);
        assert_eq!(ending.request(start, true), Step::Announce);
        assert!(!ending.is_finishing() && !ending.handle_timeout(start));
        assert_eq!(ending.poll_timeout(), Some(start.monotonic + DELAY));
        let later = start + DELAY;
        assert!(ending.handle_timeout(later) && ending.is_finishing());
        assert!(!ending.handle_timeout(later), "said once");
        assert!(!ending.is_over(later) && ending.is_over(start + ending.longest()));
    }

    #[test]
    fn the_second_request_ends_at_once_at_any_stage() {
        let now = crate::server::now();
        for delay in [Duration::ZERO, DELAY] {
            let mut ending = Ending::new(delay);
            ending.request(now, true);
            assert_eq!(ending.request(now, true), Step::Abandon);
            assert!(ending.is_over(now));
        }
    }

    #[test]
    fn who_is_in_a_hurry_or_has_no_balancer_waits_for_none() {
        let now = crate::server::now();
        assert_eq!(Ending::new(DELAY).request(now, false), Step::Finish);
        assert_eq!(Ending::new(Duration::ZERO).request(now, true), Step::Finish);
    }
}
