//! One trouble, told once when it begins and once when it is over: a receiver that
//! fails, works for a moment and fails again is still the same trouble.

use std::time::{Duration, Instant};

use crate::base::clock::Now;

/// How long all has to be well before a trouble is over.
const CALM: Duration = Duration::from_secs(5);

/// Causes of one trouble that are told.
const CAUSES: usize = 4;

#[derive(Debug, Default)]
pub(super) struct Outage {
    since: Option<Instant>,
    /// Since when all seems well.
    calm: Option<Instant>,
    /// The causes that were told.
    causes: Vec<String>,
}

impl Outage {
    /// It happened (again). Answers whether it is new.
    pub(super) fn begin(&mut self, now: Now) -> bool {
        self.calm = None;
        self.since
            .replace(self.since.unwrap_or(now.monotonic))
            .is_none()
    }

    /// It has this cause. Answers whether that is to be told: a later cause may be the
    /// one to mend, but causes that take turns are told once.
    pub(super) fn tell(&mut self, cause: &str) -> bool {
        let is_news = self.causes.len() < CAUSES && self.causes.iter().all(|told| told != cause);
        if is_news {
            self.causes.push(cause.to_owned());
        }
        is_news
    }

    /// The last cause that was told, while it lasts.
    pub(super) fn last(&self) -> Option<&str> {
        match self.calm {
            None => self.causes.last().map(String::as_str),
            Some(_) => None,
        }
    }

    /// All seems well. Answers whether it always was.
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
