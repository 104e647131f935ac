//! The relay's own log on its way from the logger to the event loop, which passes it to the
//! outputs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::syslog::{Line, Severity};

/// Maximum number of messages waiting for the loop; each turn takes all of them.
const MOST: usize = 1000;

/// The waiting messages; clones share them. Behind a lock, because other threads log as
/// well.
#[derive(Clone, Debug, Default)]
pub struct OwnLog(Arc<Mutex<Waiting>>);

#[derive(Debug, Default)]
struct Waiting {
    lines: VecDeque<Line>,
    /// The last message that found no room, and how many did not.
    lost: Option<(Line, u64)>,
}

impl OwnLog {
    /// Adds a message that was logged.
    pub fn note(&self, line: Line) {
        let mut waiting = self.lock();
        if waiting.lines.len() < MOST {
            waiting.lines.push_back(line);
        } else {
            let count = waiting.lost.take().map_or(0, |(_, count)| count);
            waiting.lost = Some((line, count + 1));
        }
    }

    /// Whether no message is waiting.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().lines.is_empty()
    }

    /// Removes and returns all waiting messages.
    #[must_use]
    pub fn take(&self) -> Vec<Line> {
        let mut waiting = self.lock();
        let mut lines: Vec<_> = waiting.lines.drain(..).collect();
        if let Some((last, count)) = waiting.lost.take() {
            lines.push(Line {
                severity: Severity::Warning,
                text: format!("{count} messages of this log are missing here: too many at once"),
                ..last
            });
        }
        lines
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use super::*;

    fn line(text: &str) -> Line {
        Line {
            severity: Severity::Informational,
            time: UNIX_EPOCH,
            text: text.to_owned(),
        }
    }

    #[test]
    fn what_is_noted_is_taken_once_and_in_order() {
        let log = OwnLog::default();
        let logger = log.clone();
        assert!(log.is_empty());
        logger.note(line("a"));
        logger.note(line("b"));
        assert!(!log.is_empty());
        let texts: Vec<_> = log.take().into_iter().map(|line| line.text).collect();
        assert_eq!(texts, ["a", "b"]);
        assert!(log.is_empty() && log.take().is_empty());
    }

    #[test]
    fn a_flood_is_cut_and_counted() {
        let log = OwnLog::default();
        (0..MOST + 7).for_each(|number| log.note(line(&number.to_string())));
        let lines = log.take();
        assert_eq!(lines.len(), MOST + 1);
        assert_eq!(
            lines.last().map(|line| line.text.as_str()),
            Some("7 messages of this log are missing here: too many at once")
        );
        assert!(log.take().is_empty());
    }
}
