//! The relay's own log on its way to the outputs, if it goes there, and its last word.

use crate::base::clock::Now;
use crate::collector::Collector;
use crate::output::own_log::OwnLog;
use crate::syslog::Sender;

/// What is logged, who says it, and whether the last word is said.
pub(super) struct Messages {
    /// Where they wait; none if they go to standard error alone.
    waiting: Option<(OwnLog, Sender)>,
    has_ended: bool,
}

impl Messages {
    pub(super) fn new(waiting: Option<(OwnLog, Sender)>) -> Self {
        Self {
            waiting,
            has_ended: false,
        }
    }

    /// Whether something was logged that the outputs are to get.
    pub(super) fn is_waiting(&self) -> bool {
        self.waiting
            .as_ref()
            .is_some_and(|(log, _)| !log.is_empty())
    }

    /// Queues at the outputs what was logged since the last turn.
    pub(super) fn send(&self, now: Now, collector: &mut Collector) {
        let Some((log, sender)) = &self.waiting else {
            return;
        };
        for line in log.take() {
            collector.push_own(now, sender, &line);
        }
    }

    /// What this run came to; only the first call says it.
    pub(super) fn end(&mut self, collector: &Collector) {
        if !std::mem::replace(&mut self.has_ended, true) {
            log::info!("stopped: {}", collector.counters());
        }
    }
}
