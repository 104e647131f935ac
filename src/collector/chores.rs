//! What the store does besides bookmarks, one job at a time: save changed hosts, query
//! other relays, and look for old entries.

use std::time::{Duration, Instant};

use super::ledger::Ledger;
use crate::base::clock::Now;
use crate::bookmark::Key;
use crate::hosts::{Registry, Walked};
use crate::store::{Done, Error, Job, Owner, Ticket, Usage};

/// How often changed hosts are saved.
const SAVE_EVERY: Duration = Duration::from_secs(5);

/// The job that the store is working on.
#[derive(Debug)]
enum Chore {
    Load,
    Count,
    Save,
    /// Query what other relays know.
    Meet,
    Walk,
    /// Delete this many bookmarks; whether they were the last ones.
    Sift(usize, bool),
}

/// The current job, and when the next one is due.
#[derive(Debug)]
pub(super) struct Chores {
    now: Option<(Ticket, Chore)>,
    next: Instant,
    /// How often changed hosts are saved; longer if relays share the store.
    every: Duration,
}

/// How much is stored for each owner, or why that is unknown.
pub(super) type Counted = Result<Vec<(Owner, Usage)>, Error>;

impl Chores {
    pub(super) fn new(now: Now) -> Self {
        Self {
            now: None,
            next: now.monotonic,
            every: SAVE_EVERY,
        }
    }

    pub(super) fn save_every(&mut self, every: Duration) {
        self.every = every;
    }

    /// When [`Chores::start`] should be called.
    pub(super) fn due(&self) -> Option<Instant> {
        self.now.is_none().then_some(self.next)
    }

    /// Whether the saved hosts have not been loaded and counted yet.
    pub(super) fn is_loading(&self) -> bool {
        matches!(self.now, Some((_, Chore::Load | Chore::Count)))
    }

    /// Loads what the store knows.
    pub(super) fn load(&mut self, ledger: &mut Ledger) {
        self.ask(ledger, Job::LoadHosts, Chore::Load);
    }

    fn ask(&mut self, ledger: &mut Ledger, job: Job, chore: Chore) {
        let ticket = ledger.ask(job);
        self.now = Some((ticket, chore));
    }

    /// Saves some of the changed hosts; if there are none, queries other relays and looks for old
    /// entries.
    pub(super) fn start(&mut self, now: Now, hosts: &mut Registry, ledger: &mut Ledger) {
        if self.now.is_none() {
            hosts.tick(now);
            if !self.save(now, hosts, ledger) {
                self.look_for_old(now, hosts, ledger);
            }
        }
    }

    /// Saves all changed hosts, and records that the relay is stopping.
    pub(super) fn end(&mut self, now: Now, hosts: &mut Registry, ledger: &mut Ledger) {
        hosts.end();
        if self.now.is_none() {
            self.save(now, hosts, ledger);
        }
    }

    /// Saves changed hosts; returns whether there were any.
    fn save(&mut self, now: Now, hosts: &mut Registry, ledger: &mut Ledger) -> bool {
        let changes = hosts.take_changes(now);
        let is_any = changes.is_some();
        if let Some(changes) = changes {
            self.ask(ledger, Job::SaveHosts(changes), Chore::Save);
        }
        is_any
    }

    /// Handles the answer to a job; returns the usage if the job was to count it.
    pub(super) fn note(
        &mut self,
        now: Now,
        (ticket, done): (Ticket, Done),
        hosts: &mut Registry,
        ledger: &mut Ledger,
    ) -> Option<Counted> {
        let (_, chore) = self.now.take_if(|(asked, _)| *asked == ticket)?;
        let mut counted = None;
        match (chore, done) {
            (Chore::Load, Done::HostsLoaded(saved)) => {
                hosts.load(now, saved);
                self.ask(ledger, Job::Count, Chore::Count);
            }
            (Chore::Count, Done::Counted(usage)) => counted = Some(usage),
            (Chore::Save, Done::HostsSaved(saved)) => {
                let is_all = hosts.note_saved(now, &saved);
                if is_all && !hosts.is_ending() {
                    self.look_for_old(now, hosts, ledger);
                } else if !hosts.is_ending() {
                    self.next = now.monotonic;
                }
            }
            (Chore::Meet, Done::Met(met)) => {
                let is_more = hosts.note_met(now, met) && !hosts.is_ending();
                if !(is_more && self.meet(hosts, ledger)) {
                    self.seek_old(now, hosts, ledger);
                }
            }
            (Chore::Walk, Done::Walked(found)) => self.note_walked(now, found, hosts, ledger),
            (Chore::Sift(count, is_last), Done::Sifted(sifted)) => {
                match sifted {
                    Ok(()) => hosts.note_gone(count),
                    Err(error) => log::debug!("old bookmarks cannot be deleted: {error}"),
                }
                self.end_walk(now, is_last, hosts, ledger);
            }
            _ => {}
        }
        if hosts.awaits_end() && self.now.is_none() {
            self.save(now, hosts, ledger);
        }
        counted
    }

    fn look_for_old(&mut self, now: Now, hosts: &mut Registry, ledger: &mut Ledger) {
        // An idle relay writes rarely, so that disks can spin down.
        self.next = now.monotonic + self.every;
        if !self.meet(hosts, ledger) {
            self.seek_old(now, hosts, ledger);
        }
    }

    /// Queries other relays; returns whether the store is shared at all.
    fn meet(&mut self, hosts: &Registry, ledger: &mut Ledger) -> bool {
        let inquiry = hosts.inquiry();
        let is_any = inquiry.is_some();
        if let Some(inquiry) = inquiry {
            self.ask(ledger, Job::Meet(inquiry), Chore::Meet);
        }
        is_any
    }

    fn seek_old(&mut self, now: Now, hosts: &mut Registry, ledger: &mut Ledger) {
        if let Some((after, count)) = hosts.next_walk(now) {
            self.ask(ledger, Job::Walk(after, count), Chore::Walk);
        }
    }

    fn note_walked(
        &mut self,
        now: Now,
        found: Result<Vec<(Key, u64)>, Error>,
        hosts: &mut Registry,
        ledger: &mut Ledger,
    ) {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                log::debug!("old bookmarks cannot be listed: {error}");
                return self.end_walk(now, true, hosts, ledger);
            }
        };
        let Walked {
            gone,
            kept,
            is_last,
        } = hosts.sort_walked(found);
        if gone.is_empty() && kept.is_empty() {
            return self.end_walk(now, is_last, hosts, ledger);
        }
        gone.iter().for_each(|key| ledger.forget(key));
        let count = gone.len();
        let job = Job::Sift(gone, kept, hosts.table().ran());
        self.ask(ledger, job, Chore::Sift(count, is_last));
    }

    fn end_walk(&mut self, now: Now, is_last: bool, hosts: &mut Registry, ledger: &mut Ledger) {
        if !is_last {
            self.next = now.monotonic;
        } else if hosts.end_walk() {
            self.ask(ledger, Job::Count, Chore::Count);
        }
    }
}
