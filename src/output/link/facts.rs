//! What is told of an output.

use super::{Link, Phase};
use crate::metrics::{OutputFacts, RefusedFacts};
use crate::output::queue::BatchId;

impl Link {
    /// How the output is at this moment.
    #[must_use]
    pub fn facts(&self) -> OutputFacts {
        OutputFacts {
            label: self.settings.label.clone(),
            up: matches!(self.phase, Phase::Up),
            required: self.settings.required,
            backlog: self.queue.backlog(),
            rate: 0,
            written: self.queue.total_written(),
            dropped: self.dropped(),
            delivered: self.queue.delivered(),
            kept: Vec::new(),
            oldest: None,
            refused: self.refusing.suspects.strikes,
            refused_dropped: self.refusing.dropped,
            refused_filed: self.refusing.filed,
            refused_events: self.refused_facts(),
            trouble: self.failing.last().map(str::to_owned),
        }
    }

    fn refused_facts(&self) -> Vec<RefusedFacts> {
        let events = self.refused_events().into_iter();
        let events = events.map(|event| RefusedFacts {
            event: event.name.to_string(),
            reason: event.reason,
            times: event.times,
            since: event.since,
            last: event.last,
        });
        events.collect()
    }

    /// The batch that has waited for longest, if a source waits for it.
    #[must_use]
    pub fn oldest(&self) -> Option<BatchId> {
        self.settings.required.then(|| self.queue.oldest())?
    }
}
