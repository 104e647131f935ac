//! One problem, logged once when it starts and once when it is over. A receiver that fails,
//! works for a moment, and fails again still has the same problem.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// How long everything must work before a problem is over.
const CALM: Duration = Duration::from_secs(5);

/// Maximum number of causes to log for one problem.
const CAUSES: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    /// Since when everything seems to work.
    calm: Option<Instant>,
    /// The causes that have been logged.
    causes: Vec<String>,
}

impl Outage {
    /// It has occurred (again); returns whether it is new.
    pub(super) fn begin(&mut self, now: Now) -> bool {
        self.calm = None;
        self.since
            .replace(self.since.unwrap_or(now.monotonic))
            .is_none()
    }

    /// It has this cause. Returns whether to log it: a later cause may be the one to fix,
    /// but causes that alternate are logged once.
    pub(super) fn tell(&mut self, cause: &str) -> bool {
        let is_news = self.causes.len() < CAUSES && self.causes.iter().all(|told| told != cause);
        if is_news {
            self.causes.push(cause.to_owned());
        }
        is_news
    }

    /// The last cause that was logged, while the problem lasts.
    pub(super) fn last(&self) -> Option<&str> {
        match self.calm {
            None => self.causes.last().map(String::as_str),
            Some(_) => None,
        }
    }

    /// Everything seems to work; returns whether it always did.
    pub(super) fn ease(&mut self, now: Now) -> bool {
        self.calm.get_or_insert(now.monotonic);
        self.since.is_none()
    }

    /// When it may be over.
    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.since.and(self.calm).map(|calm| calm + CALM)
    }

    /// Whether it is over, and how long it lasted.
    pub(super) fn end(&mut self, now: Now) -> Option<Duration> {
        let (since, calm) = (self.since?, self.calm?);
        if now.monotonic < calm + CALM {
            return None;
        }
        *self = Self::default();
        Some(calm - since)
    }
}
