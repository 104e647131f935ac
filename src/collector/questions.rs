//! Hosts that ask for their subscriptions wait for their bookmarks: each gets those that
//! stand in the store when it asks, whichever relay has written them.

use super::access::Source;
use super::batches::time_of;
use super::{Collector, ConnId, Timer, access};
use crate::base::clock::Now;
use crate::bookmark::{Key, Stored};
use crate::connection::{Answer, Message};
use crate::protocol::wsman::pages::Portion;
use crate::protocol::wsman::{Context, Header};
use crate::store::Ticket;
use std::collections::{BTreeSet, HashMap};
use std::time::Instant;

/// Which of its subscriptions a host asks for.
#[derive(Clone, Copy)]
pub(super) struct Wants {
    /// Where an earlier answer ended; none: from the beginning on.
    pub(super) after: Option<Context>,
    pub(super) portion: Portion,
}

/// A host that asks for its subscriptions.
pub(super) struct Question {
    pub(super) source: Source,
    pub(super) header: Header,
    pub(super) wants: Wants,
    /// By which address it reaches us.
    pub(super) base: String,
    /// When it is told to come again.
    until: Instant,
    /// What it still waits for, and from which ticket on that is new enough.
    missing: HashMap<Key, Ticket>,
    pub(super) found: HashMap<Key, Option<Stored>>,
}

/// The hosts that wait for an answer, by their connections: each asks one thing at a time.
#[derive(Default)]
pub(super) struct Questions {
    open: HashMap<ConnId, Question>,
    waiting: HashMap<Key, BTreeSet<ConnId>>,
    /// Those that wait for nothing more.
    complete: Vec<ConnId>,
}

impl Questions {
    pub(super) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.open.len()
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
                    self.complete.push(*conn);
                }
            }
        }
        waiting.retain(|conn| !served.contains(conn));
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
    }

    fn add(&mut self, question: Question) {
        let conn = question.source.conn;
        for key in question.missing.keys() {
            let waiting = self.waiting.entry(key.clone()).or_default();
            waiting.insert(conn);
        }
        self.open.insert(conn, question);
    }

    fn take(&mut self, conn: ConnId) -> Option<Question> {
        let question = self.open.remove(&conn)?;
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
}

impl Collector {
    /// A host asks for subscriptions: their bookmarks are read first.
    pub(super) fn handle_enumerate(
        &mut self,
        now: Now,
        source: Source,
        header: Header,
        message: &Message,
        wants: Wants,
    ) {
        let Some(walk) = self.walk(now, &source, &header, wants.after) else {
            return self.refuse_context(now, &source, &header);
        };
        let base = self.address_for(&source, &header, message);
        let (_, until) = time_of(now, message.began, &header);
        let keys = self.bookmark_keys(&walk, (&source, &header), wants.portion);
        let want = |key: Key| {
            let former = || access::former_keys(&source.identity, &key);
            let ticket = self.ledger.want(&key, former);
            (key, ticket)
        };
        let missing: HashMap<_, _> = keys.into_iter().map(want).collect();
        let question = Question {
            source,
            header,
            wants,
            base,
            until,
            missing,
            found: HashMap::new(),
        };
        if question.missing.is_empty() {
            return self.answer_enumerate(now, &question);
        }
        self.timers
            .insert((until, Timer::Question(question.source.conn)));
        self.questions.add(question);
        self.ledger.read();
    }

    /// Answers those that have all that they waited for.
    pub(super) fn answer_questions(&mut self, now: Now) {
        for conn in std::mem::take(&mut self.questions.complete) {
            if let Some(question) = self.take_question(conn) {
                self.answer_enumerate(now, &question);
            }
        }
    }

    /// What these hosts wait for cannot be read.
    pub(super) fn refuse_questions(&mut self, now: Now, keys: &[Key]) {
        let waiting = keys
            .iter()
            .filter_map(|key| self.questions.waiting.get(key));
        let conns: BTreeSet<_> = waiting.flatten().copied().collect();
        for conn in conns {
            self.time_out_question(now, conn);
        }
    }

    /// A host will not wait any longer.
    pub(super) fn time_out_question(&mut self, now: Now, conn: ConnId) {
        if self.take_question(conn).is_some() {
            self.counters.unavailable += 1;
            self.answer(now, conn, &Answer::Empty(503));
        }
    }

    /// Nobody waits for the answer, or it is there.
    pub(super) fn take_question(&mut self, conn: ConnId) -> Option<Question> {
        let question = self.questions.take(conn)?;
        self.timers.remove(&(question.until, Timer::Question(conn)));
        Some(question)
    }
}
