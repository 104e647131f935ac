//! A log of what happened in a test, and when, for diagnosing failures.

use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

/// The steps of a test, in order.
pub(crate) struct Story {
    began: Instant,
    lines: Mutex<Vec<String>>,
}

impl Default for Story {
    fn default() -> Self {
        Self {
            began: Instant::now(),
            lines: Mutex::default(),
        }
    }
}

impl Story {
    pub(crate) fn note(&self, what: &str) {
        let line = self.at(what);
        self.lines.lock().unwrap().push(line);
    }

    /// Returns the text with its time, for callers that store it themselves.
    pub(crate) fn at(&self, what: &str) -> String {
        format!("{:9.3} s {what}", self.began.elapsed().as_secs_f64())
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.lock().unwrap().join("\n"))
    }
}

impl fmt::Debug for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.began.elapsed())
    }
}
