//! What happened in a test, and when: for whoever has to find out why it failed.

use std::fmt;
use std::sync::Mutex;
use std::time::Instant;

/// What a test did, in the order in which it did it.
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

    /// The same with its time, for who keeps it himself.
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
