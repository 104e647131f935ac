//! What the store does beside bookmarks, one thing after another: hosts that have changed are
//! stored, and what is old is looked for.

use super::forgetting::Walked;
use super::{Collector, seconds};
use crate::base::clock::Now;
use crate::hosts::{self, Changes, Pulse};
use crate::store::{Done, Error, Job, Ticket};
use std::rc::Rc;
use std::time::{Duration, Instant};

/// How often hosts that have changed are stored.
const SAVE_EVERY: Duration = Duration::from_secs(5);
/// How many hosts are stored at once: a batch may have to wait for it.
const SAVED_AT_ONCE: usize = 200;

/// What the store was asked for.
#[derive(Debug)]
pub(super) enum Chore {
    Load,
    Count,
    /// To store these, and to forget those.
    Save(Vec<Rc<hosts::Key>>, Vec<Rc<hosts::Key>>),
    /// What other relays know.
    Meet,
    Walk,
    /// To forget so many; whether they were the last.
    Sift(usize, bool),
}

/// What is under way, and when there is more to do.
#[derive(Debug)]
pub(super) struct Chores {
    now: Option<(Ticket, Chore)>,
    next: Instant,
    /// How often hosts that have changed are stored.
    every: Duration,
    /// When hosts were stored last, and whether that fails.
    saved: Option<Instant>,
    is_failing: bool,
    end: End,
}

/// How far the end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    None,
    /// The last hosts are to be stored.
    Near,
    Done,
}

impl Chores {
    pub(super) fn new(now: Now) -> Self {
        Self {
            now: None,
            next: now.monotonic,
            every: SAVE_EVERY,
            saved: None,
            is_failing: false,
            end: End::None,
        }
    }

    pub(super) fn save_every(&mut self, every: Duration) {
        self.every = every;
    }
}

impl Collector {
    /// Asks the store for what it knows; to be called first. Without it hosts are known when
    /// they come.
    pub fn load(&mut self) {
        self.start_chore(Job::LoadHosts, Chore::Load);
    }

    /// When [`Collector::save_hosts`] has something to do.
    #[must_use]
    pub fn save_due(&self) -> Option<Instant> {
        self.chores.now.is_none().then_some(self.chores.next)
    }

    /// Stores some of the hosts that have changed; to be called when it is due, after a turn.
    pub fn save_hosts(&mut self, now: Now) {
        if self.chores.now.is_some() {
            return;
        }
        self.known.tick(now);
        if !self.save_some(now) {
            self.look_for_old(now);
        }
    }

    /// Stores all hosts that have changed, and that the relay stops.
    pub fn save_all_hosts(&mut self, now: Now) {
        self.chores.end = End::Near;
        if self.chores.now.is_none() {
            self.save_some(now);
        }
    }

    /// Whether the store has yet to answer [`Collector::load`] or
    /// [`Collector::save_all_hosts`].
    #[must_use]
    pub fn awaits_store(&self) -> bool {
        let is_loading = matches!(self.chores.now, Some((_, Chore::Load | Chore::Count)));
        is_loading || self.chores.end == End::Near
    }

    pub(super) fn start_chore(&mut self, job: Job, chore: Chore) {
        let ticket = self.ledger.ask(job);
        self.chores.now = Some((ticket, chore));
    }

    /// Answers whether there is anything to store.
    fn save_some(&mut self, now: Now) -> bool {
        let pulse = Duration::from_secs(Pulse::EVERY);
        let is_stopped = self.chores.end != End::None;
        let saved = self.chores.saved;
        let is_quiet = saved.is_some_and(|saved| now.monotonic < saved + pulse) && !is_stopped;
        let mut forgotten = self.known.hosts.make_room();
        forgotten.append(&mut self.known.forgetting.take_hosts());
        if is_quiet && forgotten.is_empty() && !self.known.hosts.is_dirty() {
            return false;
        }
        let keys = self.known.hosts.take_dirty(SAVED_AT_ONCE);
        let hosts = keys.iter().filter_map(|key| self.known.hosts.get(key));
        let changes = Changes {
            hosts: hosts.cloned().collect(),
            forgotten: forgotten.iter().map(|key| hosts::Key::clone(key)).collect(),
            refusals: self.known.hosts.take_refusals(),
            relays_after: self.settings.forget_after.map(|age| age.as_secs()),
            pulse: Pulse {
                ran: self.known.hosts.ran(),
                started: self.known.hosts.up_since(),
                written: seconds(now),
                is_stopped,
            },
        };
        self.start_chore(Job::SaveHosts(changes), Chore::Save(keys, forgotten));
        true
    }

    /// The store has done a chore.
    pub(super) fn note_chore(&mut self, now: Now, ticket: Ticket, done: Done) {
        let Some((_, chore)) = self.chores.now.take_if(|(asked, _)| *asked == ticket) else {
            return;
        };
        match (chore, done) {
            (Chore::Load, Done::HostsLoaded(saved)) => {
                match saved {
                    Ok(saved) => {
                        self.known.go_on_from(now, saved.pulse.ran);
                        self.known.hosts.load(saved);
                    }
                    Err(error) => log::error!("what was known of hosts cannot be read: {error}"),
                }
                self.start_chore(Job::Count, Chore::Count);
            }
            (Chore::Count, Done::Counted(usage)) => self.bookmarks.note_counted(usage),
            (Chore::Save(keys, forgotten), Done::HostsSaved(saved)) => {
                self.note_saved(now, saved, &keys, forgotten);
            }
            (Chore::Meet, Done::Met(met)) => {
                let is_more = self.note_met(now, met) && self.chores.end == End::None;
                if !(is_more && self.meet()) {
                    self.seek_old(now);
                }
            }
            (Chore::Walk, Done::Walked(found)) => self.note_walked(now, found),
            (Chore::Sift(count, is_last), Done::Sifted(sifted)) => {
                match sifted {
                    Ok(()) => self.known.forgetting.note_gone(count),
                    Err(error) => log::debug!("old bookmarks are not forgotten: {error}"),
                }
                self.end_walk(now, is_last);
            }
            _ => {}
        }
        if self.chores.end == End::Near && self.chores.now.is_none() {
            self.save_some(now);
        }
    }

    fn note_saved(
        &mut self,
        now: Now,
        saved: Result<u64, Error>,
        keys: &[Rc<hosts::Key>],
        forgotten: Vec<Rc<hosts::Key>>,
    ) {
        match saved {
            Ok(ran) => {
                self.known.go_on_from(now, ran);
                self.chores.saved = Some(now.monotonic);
                if std::mem::take(&mut self.chores.is_failing) {
                    log::info!("hosts are stored again");
                }
            }
            Err(error) => {
                self.known.hosts.put_back(keys);
                self.known.forgetting.put_back(forgotten);
                if !std::mem::replace(&mut self.chores.is_failing, true) {
                    log::error!("what is known of hosts is not stored, events go on: {error}");
                }
            }
        }
        let is_all = self.chores.is_failing || !self.known.hosts.is_dirty();
        match self.chores.end {
            End::Near if is_all => self.chores.end = End::Done,
            End::Near | End::Done => {}
            End::None if is_all => self.look_for_old(now),
            End::None => self.chores.next = now.monotonic,
        }
    }

    fn look_for_old(&mut self, now: Now) {
        // A relay at rest writes seldom, so that disks may sleep.
        self.chores.next = now.monotonic + self.chores.every;
        if !self.meet() {
            self.seek_old(now);
        }
    }

    fn seek_old(&mut self, now: Now) {
        if let Some(job) = self.next_walk(now) {
            self.start_chore(job, Chore::Walk);
        }
    }

    fn note_walked(&mut self, now: Now, found: Result<Vec<(crate::bookmark::Key, u64)>, Error>) {
        let found = match found {
            Ok(found) => found,
            Err(error) => {
                log::debug!("old bookmarks cannot be looked for: {error}");
                return self.end_walk(now, true);
            }
        };
        let Walked {
            gone,
            kept,
            is_last,
        } = self.sort_walked(found);
        if gone.is_empty() && kept.is_empty() {
            return self.end_walk(now, is_last);
        }
        let count = gone.len();
        let job = Job::Sift(gone, kept, self.known.hosts.ran());
        self.start_chore(job, Chore::Sift(count, is_last));
    }

    fn end_walk(&mut self, now: Now, is_last: bool) {
        if !is_last {
            self.chores.next = now.monotonic;
        } else if self.say_forgotten() {
            self.start_chore(Job::Count, Chore::Count);
        }
    }
}
