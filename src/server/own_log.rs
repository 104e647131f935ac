//! Passes the relay's own log to the outputs, if configured, and logs the final message.

use crate::base::clock::Now;
use crate::collector::Collector;
use crate::output::own_log::OwnLog;
use crate::syslog::Sender;

/// Messages to be sent, their sender, and whether the final message was logged.
pub(super) struct Messages {
    /// The messages that wait for the loop; `None` if only standard error gets the log.
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

    /// Whether messages wait to be queued at the outputs.
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

    /// Logs the counters of this run, at the first call only.
    pub(super) fn end(&mut self, collector: &Collector) {
        if !std::mem::replace(&mut self.has_ended, true) {
            log::info!("stopped: {}", collector.counters());
        }
    }
}
