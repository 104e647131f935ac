//! When hosts are saved, and how many at once.

use std::fmt;
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::refusals::Refusals;
use super::{Changes, Key, Pulse, Table};
use crate::base::clock::Now;

/// Number of hosts to save at once, because a batch may have to wait for it.
const AT_ONCE: usize = 200;

/// Progress of stopping.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    #[default]
    None,
    /// The last hosts have to be saved.
    Near,
    Done,
}

/// What is being saved, and whether that works.
#[derive(Debug, Default)]
pub(super) struct Saving {
    /// The hosts being saved, and those being deleted.
    under_way: (Vec<Rc<Key>>, Vec<Rc<Key>>),
    /// Number of hosts that the current round still has to save: those that had changed when it
    /// began. Without this, busy hosts would be saved all the time.
    left: usize,
    /// Forgotten, but not yet deleted from the store.
    forgotten: Vec<Rc<Key>>,
    saved: Option<Instant>,
    is_failing: bool,
    end: End,
    /// Whether what is being saved includes that the relay is stopping.
    tells_end: bool,
}

impl Saving {
    /// Everything must be saved now, and that the relay is stopping.
    pub(super) fn end(&mut self) {
        self.end = End::Near;
    }

    /// Whether the last hosts have not been saved yet.
    pub(super) fn awaits_end(&self) -> bool {
        self.end == End::Near
    }

    pub(super) fn is_ending(&self) -> bool {
        self.end != End::None
    }

    /// These hosts have been forgotten.
    pub(super) fn forget(&mut self, keys: Vec<Rc<Key>>) {
        self.forgotten.extend(keys);
    }

    /// Some of the changes, if there are any to save. `relays_after`: delete other relays
    /// that were not heard of for this many seconds.
    pub(super) fn changes(
        &mut self,
        now: Now,
        (table, refusals): (&mut Table, &mut Refusals),
        relays_after: Option<u64>,
    ) -> Option<Changes> {
        let pulse = Duration::from_secs(Pulse::EVERY);
        let is_stopped = self.is_ending();
        let saved = self.saved;
        let is_quiet = saved.is_some_and(|saved| now.monotonic < saved + pulse) && !is_stopped;
        let mut forgotten = table.make_room();
        forgotten.append(&mut self.forgotten);
        let is_dirty = table.is_dirty() || refusals.is_dirty();
        if is_quiet && forgotten.is_empty() && !is_dirty {
            return None;
        }
        if self.left == 0 || is_stopped {
            self.left = table.dirty();
        }
        let keys = table.take_dirty(self.left.min(AT_ONCE));
        self.left -= keys.len();
        let hosts = keys.iter().filter_map(|key| table.get(key));
        let changes = Changes {
            hosts: hosts.cloned().collect(),
            forgotten: forgotten.iter().map(|key| Key::clone(key)).collect(),
            refusals: refusals.take(),
            relays_after,
            pulse: Pulse {
                ran: table.ran(),
                started: table.up_since(),
                written: now.wall.into(),
                is_stopped,
            },
        };
        self.under_way = (keys, forgotten);
        self.tells_end = is_stopped;
        Some(changes)
    }

    /// Handles whether saving succeeded; returns whether nothing more has to be saved now. What has
    /// changed in the meantime can wait, unless the relay is stopping.
    pub(super) fn note_saved<T, E: fmt::Display>(
        &mut self,
        now: Now,
        (table, refusals): (&mut Table, &mut Refusals),
        saved: &Result<T, E>,
    ) -> bool {
        let (keys, mut forgotten) = std::mem::take(&mut self.under_way);
        match saved {
            Ok(_) => {
                self.saved = Some(now.monotonic);
                if std::mem::take(&mut self.is_failing) {
                    log::info!("hosts are being stored again");
                }
            }
            Err(error) => {
                self.left = 0;
                table.put_back(&keys);
                refusals.put_back();
                self.forgotten.append(&mut forgotten);
                if !std::mem::replace(&mut self.is_failing, true) {
                    log::error!("hosts cannot be stored; events are still forwarded: {error}");
                }
            }
        }
        let is_dirty = table.is_dirty() || refusals.is_dirty();
        let is_left = self.left > 0 || (self.is_ending() && (is_dirty || !self.tells_end));
        let is_all = self.is_failing || !is_left;
        if is_all && self.end == End::Near {
            self.end = End::Done;
        }
        is_all
    }
}
