//! Hosts that wait for the store to answer their request for subscriptions. Each gets the
//! bookmarks as stored at its request, whichever relay has written them.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::rc::Rc;
use std::time::Instant;

use super::ConnId;
use super::access::Source;
use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::bookmark::{Key, Stored};
use crate::protocol::wsman::pages::Portion;
use crate::protocol::wsman::{Context, Header};
use crate::store::Ticket;

/// Which of its subscriptions a host requests.
#[derive(Clone, Copy)]
pub(super) struct Wants {
    /// Where an earlier answer ended; `None` for the start.
    pub(super) after: Option<Context>,
    pub(super) portion: Portion,
}

/// A host that requests its subscriptions.
pub(super) struct Question {
    pub(super) source: Source,
    pub(super) header: Header,
    pub(super) wants: Wants,
    /// The address under which it reaches the relay.
    pub(super) base: Rc<str>,
    /// When it gets a 503.
    pub(super) until: Instant,
    /// The keys that are still missing, each with the earliest ticket that is recent
    /// enough.
    pub(super) missing: HashMap<Key, Ticket>,
    pub(super) found: HashMap<Key, Option<Stored>>,
}

/// The waiting hosts by connection; each has one request at a time.
#[derive(Default)]
pub(super) struct Questions {
    open: QuickMap<ConnId, Question>,
    waiting: HashMap<Key, BTreeSet<ConnId>>,
    /// Hosts for which everything has been read.
    complete: VecDeque<ConnId>,
    /// When each of them gets a 503.
    timers: BTreeSet<(Instant, ConnId)>,
}

impl Questions {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
    }

    #[cfg(test)]
    pub(super) fn timers(&self) -> usize {
        self.timers.len()
    }

    pub(super) fn note_found(&mut self, ticket: Ticket, key: &Key, stored: Option<&Stored>) {
        let Some(waiting) = self.waiting.get_mut(key) else {
            return;
        };
        let mut served = Vec::new();
        for conn in waiting.iter() {
            let Some(question) = self.open.get_mut(conn) else {
                served.push(*conn);
                continue;
            };
            if question
                .missing
                .get(key)
                .is_some_and(|from| ticket >= *from)
            {
                question.missing.remove(key);
                question.found.insert(key.clone(), stored.cloned());
                served.push(*conn);
                if question.missing.is_empty() {
                    self.complete.push_back(*conn);
                }
            }
        }
        waiting.retain(|conn| !served.contains(conn));
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
    }

    /// Adds a host that waits for the missing keys.
    pub(super) fn add(&mut self, question: Question) {
        let conn = question.source.conn;
        for key in question.missing.keys() {
            let waiting = self.waiting.entry(key.clone()).or_default();
            waiting.insert(conn);
        }
        self.timers.insert((question.until, conn));
        self.open.insert(conn, question);
    }

    /// Removes a host whose answer is no longer needed, or is available.
    pub(super) fn take(&mut self, conn: ConnId) -> Option<Question> {
        let question = self.open.remove(&conn)?;
        self.timers.remove(&(question.until, conn));
        for key in question.missing.keys() {
            if let Some(waiting) = self.waiting.get_mut(key) {
                waiting.remove(&conn);
                if waiting.is_empty() {
                    self.waiting.remove(key);
                }
            }
        }
        Some(question)
    }

    /// A host for which everything has been read.
    pub(super) fn take_complete(&mut self) -> Option<Question> {
        while let Some(conn) = self.complete.pop_front() {
            let question = self.take(conn);
            if question.is_some() {
                return question;
            }
        }
        None
    }

    /// The hosts that wait for these keys, which cannot be read.
    pub(super) fn take_waiting(&mut self, keys: &[Key]) -> Vec<Question> {
        let waiting = keys.iter().filter_map(|key| self.waiting.get(key));
        let conns: BTreeSet<_> = waiting.flatten().copied().collect();
        conns
            .into_iter()
            .filter_map(|conn| self.take(conn))
            .collect()
    }

    pub(super) fn poll_timeout(&self) -> Option<Instant> {
        self.timers.first().map(|(at, _)| *at)
    }

    /// A host that will not wait any longer.
    pub(super) fn take_late(&mut self, now: Now) -> Option<Question> {
        let (at, conn) = *self.timers.first()?;
        (at <= now.monotonic).then(|| self.take(conn))?
    }
}
