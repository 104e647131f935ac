//! The problems of an output as they are logged: each once, and when it is over.

use std::time::Instant;

use super::outage::Outage;
use crate::base::clock::Now;

/// The problems of one output.
#[derive(Debug)]
pub(super) struct Troubles {
    label: String,
    /// Whether sources wait for it.
    required: bool,
    /// Whether the last connection ended normally.
    is_usual: bool,
    failing: Outage,
    refused: Outage,
    late: Outage,
}

impl Troubles {
    pub(super) fn new(label: &str, required: bool) -> Self {
        Self {
            label: label.to_owned(),
            required,
            is_usual: false,
            failing: Outage::default(),
            refused: Outage::default(),
            late: Outage::default(),
        }
    }

    /// Why it fails at present, if it does.
    pub(super) fn last_failure(&self) -> Option<&str> {
        self.failing.last()
    }

    /// It cannot be opened, or has ended.
    pub(super) fn note_failure(&mut self, now: Now, reason: &str) {
        let label = &self.label;
        let is_new = self.failing.begin(now);
        let is_news = self.failing.tell(reason);
        if is_new {
            let effect = if self.required { "; hosts wait" } else { "" };
            log::warn!("output {label}: {reason}; trying again{effect}");
        } else if is_news {
            log::warn!("output {label}: still failing: {reason}");
        } else {
            log::debug!("output {label}: {reason}");
        }
    }

    /// A connection has ended normally.
    pub(super) fn note_usual_end(&mut self) {
        self.is_usual = true;
    }

    /// It works. Returns whether to log that: it has neither failed recently nor ended
    /// normally.
    pub(super) fn note_open(&mut self, now: Now) -> bool {
        self.note_works(now) && !std::mem::take(&mut self.is_usual)
    }

    /// It works. Returns whether it has not failed recently.
    pub(super) fn note_works(&mut self, now: Now) -> bool {
        self.failing.ease(now)
    }

    /// A batch that it should have delivered was handed back.
    pub(super) fn note_late(&mut self, now: Now) {
        if self.required && self.late.begin(now) {
            let label = &self.label;
            log::warn!("output {label}: does not deliver in time; hosts keep their events (503)");
        }
    }

    /// It has delivered something.
    pub(super) fn note_delivered(&mut self, now: Now) {
        self.late.ease(now);
    }

    /// Sets whether its receiver rejects messages.
    pub(super) fn note_refusing(&mut self, now: Now, is_refusing: bool) {
        if is_refusing {
            self.refused.begin(now);
        } else {
            self.refused.ease(now);
        }
    }

    /// Logs which problems are over. Returns whether the output has been open again for a
    /// while.
    pub(super) fn note_calm(&mut self, now: Now) -> bool {
        let label = &self.label;
        let failed = self.failing.end(now).map(|time| time.as_secs());
        if let Some(seconds) = failed {
            log::info!("output {label}: open again after {seconds} s");
        }
        if let Some(time) = self.late.end(now) {
            let seconds = time.as_secs();
            log::info!("output {label}: delivers again after {seconds} s");
        }
        if let Some(time) = self.refused.end(now) {
            let seconds = time.as_secs();
            log::info!("output {label}: accepts all messages again after {seconds} s");
        }
        failed.is_some()
    }

    /// When the first of them may be over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        let troubles = [&self.failing, &self.refused, &self.late];
        troubles.into_iter().filter_map(Outage::poll_timeout).min()
    }
}
