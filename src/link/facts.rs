//! What is told of an output.

use super::{Link, Phase};
use crate::metrics::OutputFacts;
use crate::queue::BatchId;

impl Link {
    /// How the output is at this moment.
    #[must_use]
    pub fn facts(&self) -> OutputFacts {
        OutputFacts {
            label: self.settings.label.clone(),
            up: matches!(self.phase, Phase::Up),
            required: self.settings.required,
            backlog: self.queue.backlog(),
            written: self.queue.total_written(),
            dropped: self.dropped,
            delivered: self.queue.delivered(),
            oldest: None,
            trouble: self
                .failing
                .last()
                .or(self.refusing.last())
                .map(str::to_owned),
        }
    }

    /// The batch that has waited for longest, if a source waits for it.
    #[must_use]
    pub fn oldest(&self) -> Option<BatchId> {
        self.settings.required.then(|| self.queue.oldest())?
    }
}
