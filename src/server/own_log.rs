//! The relay's own log on its way to the outputs, if it goes there, and its last word.

use crate::base::clock::Now;
use crate::server::Server;

impl Server {
    /// Queues at the outputs what was logged since the last turn.
    pub(super) fn send_own_log(&mut self, now: Now) {
        let Some((log, sender)) = &self.own else {
            return;
        };
        for line in log.take() {
            self.collector.push_own(now, sender, &line);
        }
    }

    /// Whether something was logged that the outputs are to get.
    pub(super) fn has_own_log(&self) -> bool {
        self.own.as_ref().is_some_and(|(log, _)| !log.is_empty())
    }

    /// Says the last word, while the outputs are still there to hear it. Answers whether
    /// they have been given all.
    pub(super) fn has_said_all(&mut self) -> bool {
        self.say_farewell();
        !self.has_own_log()
    }

    /// What this run came to; only the first call says it.
    pub(super) fn say_farewell(&mut self) {
        if !std::mem::replace(&mut self.farewell, true) {
            log::info!("stopped: {}", self.collector.counters());
        }
    }
}
