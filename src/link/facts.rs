//! What is told of an output.

use super::{Link, Phase};
use crate::metrics::OutputFacts;

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
        }
    }
}
