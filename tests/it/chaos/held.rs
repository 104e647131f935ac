//! Faults that last for some time and overlap with others.

use std::time::{Duration, Instant};

/// The current faults, and their ends.
pub(crate) struct Held<T>(Vec<(Instant, T)>);

impl<T: PartialEq> Held<T> {
    pub(crate) fn new() -> Self {
        Self(Vec::new())
    }

    /// Returns whether the fault is new.
    pub(crate) fn hold(&mut self, fault: T, time: Duration) -> bool {
        let is_new = !self.contains(&fault);
        if is_new {
            self.0.push((Instant::now() + time, fault));
        }
        is_new
    }

    pub(crate) fn contains(&self, fault: &T) -> bool {
        self.0.iter().any(|(_, held)| held == fault)
    }

    /// Removes faults that have ended together with their target.
    pub(crate) fn forget(&mut self, mut is_over: impl FnMut(&T) -> bool) {
        self.0.retain(|(_, held)| !is_over(held));
    }

    /// A fault whose time is over.
    pub(crate) fn take_due(&mut self) -> Option<T> {
        let now = Instant::now();
        let due = self.0.iter().position(|(until, _)| *until <= now)?;
        Some(self.0.swap_remove(due).1)
    }

    /// Any remaining fault, regardless of its end.
    pub(crate) fn take_any(&mut self) -> Option<T> {
        self.0.pop().map(|(_, held)| held)
    }
}
