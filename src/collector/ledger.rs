//! The known rows of the store, and the jobs for it.
//!
//! Rows are remembered as they were last read or written. If relays share the store, a host on
//! a new connection may have used another relay in between, so its rows are read again, unless
//! they were read or written after it connected. One read and one write are in progress at a
//! time; further ones are collected, so that a slow store gets fewer and larger jobs.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::base::hashing::QuickMap;
use crate::bookmark::{Key, Stored};
use crate::store::{Found, Job, Lookup, Stamp, Ticket, Write};

/// Maximum number of bookmark positions in all remembered rows, at some hundred bytes each.
const MOST: usize = 300_000;
/// How long an unused row is remembered; after that, another relay is likely to have
/// changed it.
const KEPT: Duration = Duration::from_secs(900);
/// Maximum number of keys in one read.
const READ_AT_ONCE: usize = 1000;

/// A row as it was last read or written.
#[derive(Debug)]
struct Row {
    found: Found,
    /// The job that read or wrote it.
    told_by: Ticket,
    /// The earliest ticket of a read that reflects it.
    since: Ticket,
    used: Instant,
}

/// The known rows, and pending reads and writes.
#[derive(Debug, Default)]
pub(super) struct Ledger {
    /// Boxed, because the table has up to twice as many places as rows.
    rows: QuickMap<Key, Box<Row>>,
    positions: usize,
    /// Keys to read, each with former keys.
    wanted: QuickMap<Key, Vec<Key>>,
    reading: Option<(Ticket, Vec<Key>)>,
    writing: Option<Ticket>,
    next: Ticket,
    is_shared: bool,
    jobs: VecDeque<(Ticket, Job)>,
}

impl Ledger {
    /// The next job for the store.
    pub(super) fn poll_job(&mut self) -> Option<(Ticket, Job)> {
        self.jobs.pop_front()
    }

    /// Submits a job whose answer is not tracked here.
    pub(super) fn ask(&mut self, job: Job) -> Ticket {
        self.next += 1;
        self.jobs.push_back((self.next, job));
        self.next
    }

    /// The row of a key, if it is known.
    pub(super) fn row(&mut self, now: Now, key: &Key) -> Option<&Found> {
        let row = self.rows.get_mut(key)?;
        row.used = now.monotonic;
        Some(&row.found)
    }

    /// The earliest ticket of jobs submitted from now on.
    pub(super) fn mark(&self) -> Ticket {
        self.next + 1
    }

    /// Other relays write to the store too.
    pub(super) fn share(&mut self) {
        self.is_shared = true;
    }

    /// The mark as of which the rows of a host that connects now must be known: any, if nobody
    /// else writes them.
    pub(super) fn mark_of_arrival(&self) -> Ticket {
        if self.is_shared { self.mark() } else { 0 }
    }

    /// Whether a row is known as of this mark or later.
    pub(super) fn knows(&self, key: &Key, mark: Ticket) -> bool {
        self.rows.get(key).is_some_and(|row| row.told_by >= mark)
    }

    /// Requests a row to be read. Returns the earliest ticket of an answer that will
    /// contain it.
    pub(super) fn want(&mut self, key: &Key, former: impl FnOnce() -> Vec<Key>) -> Ticket {
        if !self.wanted.contains_key(key) {
            self.wanted.insert(key.clone(), former());
        }
        self.mark()
    }

    /// The same for a row that must be known as of this mark, unless it is.
    pub(super) fn want_since(
        &mut self,
        key: &Key,
        mark: Ticket,
        former: impl FnOnce() -> Vec<Key>,
    ) {
        let is_read = |(ticket, keys): &(Ticket, Vec<Key>)| *ticket >= mark && keys.contains(key);
        if !self.knows(key, mark) && !self.reading.as_ref().is_some_and(is_read) {
            self.want(key, former);
        }
    }

    /// Starts a read of the requested rows, unless one is in progress.
    pub(super) fn read(&mut self) {
        if self.reading.is_some() || self.wanted.is_empty() {
            return;
        }
        let mut keys: Vec<_> = self.wanted.keys().cloned().collect();
        // Sorted as in the database, and deterministic.
        keys.sort_unstable();
        keys.truncate(READ_AT_ONCE);
        let lookups = keys.iter().map(|key| Lookup {
            key: key.clone(),
            former: self.wanted.remove(key).unwrap_or_default(),
        });
        let job = Job::Read(lookups.collect());
        let ticket = self.ask(job);
        self.reading = Some((ticket, keys));
    }

    /// The keys of the read in progress, if this ticket is its own.
    pub(super) fn take_read(&mut self, ticket: Ticket) -> Option<Vec<Key>> {
        let (_, keys) = self.reading.take_if(|(asked, _)| *asked == ticket)?;
        Some(keys)
    }

    /// Records a row that was read. Returns what is known now: a row written here since the
    /// read was submitted is newer, unless another relay wrote after that and the read
    /// shows it.
    pub(super) fn note_found(
        &mut self,
        now: Now,
        ticket: Ticket,
        key: &Key,
        found: Found,
    ) -> Found {
        let mut told_by = ticket;
        if let Some(row) = self.rows.get(key).filter(|row| row.since > ticket) {
            if row.found.generation >= found.generation {
                return row.found.clone();
            }
            told_by = told_by.max(row.told_by);
        }
        self.keep(now, told_by, key, found.clone());
        found
    }

    pub(super) fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    pub(super) fn write(&mut self, rows: Vec<Write>, stamp: Stamp) {
        let ticket = self.ask(Job::Write(rows, stamp));
        self.writing = Some(ticket);
    }

    /// Whether this ticket is that of the write in progress.
    pub(super) fn take_written(&mut self, ticket: Ticket) -> bool {
        self.writing.take_if(|asked| *asked == ticket).is_some()
    }

    /// Records a row written over this generation. A read answered in the meantime may
    /// already show it, or a later one.
    pub(super) fn note_written(
        &mut self,
        now: Now,
        ticket: Ticket,
        key: &Key,
        (stored, before): (Option<Stored>, u64),
    ) {
        let generation = before + 1;
        let is_told = |row: &&mut Box<Row>| row.found.generation >= generation;
        if let Some(row) = self.rows.get_mut(key).filter(is_told) {
            row.told_by = row.told_by.max(ticket);
            return;
        }
        let found = Found {
            stored,
            generation,
            former: None,
        };
        self.keep(now, ticket, key, found);
    }

    /// Forgets a row that turned out to be different.
    pub(super) fn forget(&mut self, key: &Key) {
        if let Some(row) = self.rows.remove(key) {
            self.positions -= weight(&row.found);
        }
    }

    fn keep(&mut self, now: Now, told_by: Ticket, key: &Key, found: Found) {
        self.positions += weight(&found);
        let row = Row {
            found,
            told_by,
            since: self.mark(),
            used: now.monotonic,
        };
        if let Some(known) = self.rows.get_mut(key) {
            self.positions -= weight(&known.found);
            **known = row;
        } else {
            self.rows.insert(key.clone(), Box::new(row));
        }
    }

    /// Forgets rows that have not been used for long, and more if there are too many.
    pub(super) fn sweep(&mut self, now: Now) {
        let mut kept = KEPT;
        loop {
            self.rows.retain(|_, row| {
                let stays = now.monotonic < row.used + kept;
                if !stays {
                    self.positions -= weight(&row.found);
                }
                stays
            });
            if self.positions <= MOST || kept.is_zero() {
                break;
            }
            kept = if kept < Duration::from_secs(1) {
                Duration::ZERO
            } else {
                kept / 2
            };
        }
        if self.rows.is_empty() {
            self.rows.shrink_to_fit();
        }
    }
}

/// The weight of a row in bookmark positions.
fn weight(found: &Found) -> usize {
    1 + found
        .stored
        .as_ref()
        .map_or(0, |stored| stored.held().len())
}
