//! What is told of the collector: counters, outputs, sources by state.

use super::Collector;
use crate::link::Link;
use crate::metrics::Snapshot;
use std::time::SystemTime;

impl Collector {
    /// All that is counted, at this moment. `ends` and `started` come from the caller.
    #[must_use]
    pub fn snapshot(&self, started: SystemTime, ends: Vec<(String, SystemTime)>) -> Snapshot {
        Snapshot {
            counters: self.counters.clone(),
            connections: self.connections.len(),
            sources: self.sources.by_state(),
            outputs: self.links.iter().map(Link::facts).collect(),
            ends,
            started,
            ready: self.troubles().is_empty(),
            storing: !self.commit_failing,
        }
    }

    /// Why events cannot be taken now, a line each; none when all is well.
    #[must_use]
    pub fn troubles(&self) -> Vec<String> {
        let mut troubles = Vec::new();
        if self.stopping {
            troubles.push("the relay is stopping".to_owned());
        }
        if self.commit_failing {
            troubles.push("bookmarks cannot be stored".to_owned());
        }
        for output in self.links.iter().filter(|l| l.settings().required) {
            let facts = output.facts();
            if !facts.up {
                troubles.push(format!("output {} is not connected", facts.label));
            } else if output.is_full() {
                troubles.push(format!("output {} does not keep up", facts.label));
            }
        }
        troubles
    }
}
