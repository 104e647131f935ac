//! Who was refused lately, most of them before they were known.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::cause::cause;
use super::record::shorten;
use crate::base::clock::UnixSeconds;

/// Refusals that are kept; the one that was longest ago makes room.
pub const MOST_REFUSALS: usize = 1000;
/// Of these, what one address may have: it must not push out all others.
const MOST_OF_ADDRESS: usize = 20;

/// What an address was refused for, one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Where the request came from.
    pub address: IpAddr,
    /// The kind of fault, as metrics name it.
    pub kind: String,
    /// How it tried to authenticate, where that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// Who it was, if it got so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// HTTP status of the answer; 0 where a TLS handshake failed.
    pub status: u16,
    /// What was wrong the last time, with what to do where that is known.
    pub reason: String,
    /// How often it occurred since it was first stored.
    pub count: u64,
    /// When for the first time.
    pub first: UnixSeconds,
    /// When for the last time.
    pub last: UnixSeconds,
}

/// An address, a kind of fault, and its cause.
type Key = (IpAddr, String, String);

fn key(refusal: &Refusal) -> Key {
    (
        refusal.address,
        refusal.kind.clone(),
        cause(&refusal.reason),
    )
}

/// The last refusals, bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    known: HashMap<Key, Refusal>,
    is_dirty: bool,
}

impl Refusals {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.known.values()
    }

    /// Whether they have changed since they were stored.
    pub(super) const fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// All of them, if they have changed; they count as stored now.
    pub(super) fn take(&mut self) -> Option<Vec<Refusal>> {
        std::mem::take(&mut self.is_dirty).then(|| self.iter().cloned().collect())
    }

    /// They were not stored.
    pub(super) const fn put_back(&mut self) {
        self.is_dirty = true;
    }

    pub(super) fn load(&mut self, refusals: Vec<Refusal>) {
        let keyed = refusals.into_iter();
        self.known = keyed.map(|refusal| (key(&refusal), refusal)).collect();
    }

    /// The relay's clock was set, by so many seconds.
    pub(super) fn shift(&mut self, by: i64) {
        self.is_dirty = true;
        for refusal in self.known.values_mut() {
            refusal.first = refusal.first.saturating_add_signed(by);
            refusal.last = refusal.last.saturating_add_signed(by);
        }
    }

    pub(super) fn note(&mut self, refusal: Refusal) {
        self.is_dirty = true;
        // Cut first: the key must be that of the refusal as it is loaded again.
        let refusal = Refusal {
            reason: shorten(&refusal.reason),
            ..refusal
        };
        let key = key(&refusal);
        if let Some(known) = self.known.get_mut(&key) {
            *known = Refusal {
                count: known.count + 1,
                first: known.first,
                ..refusal
            };
            return;
        }
        // Some thousand comparisons, and only for causes that are new.
        let is_same = |address: &IpAddr| *address == refusal.address;
        let own = self.known.keys().filter(|(address, ..)| is_same(address));
        if own.count() >= MOST_OF_ADDRESS {
            self.forget_oldest(is_same);
        } else if self.known.len() >= MOST_REFUSALS {
            self.forget_oldest(|_| true);
        }
        self.known.insert(key, refusal);
    }

    fn forget_oldest(&mut self, of: impl Fn(&IpAddr) -> bool) {
        let all = self.known.iter().filter(|((address, ..), _)| of(address));
        let oldest = all.min_by_key(|(_, refusal)| refusal.last);
        let oldest = oldest.map(|(key, _)| key.clone());
        oldest.and_then(|key| self.known.remove(&key));
    }
}
