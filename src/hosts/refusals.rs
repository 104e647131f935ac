//! Recent rejections; most of these hosts never become known otherwise.

use std::collections::HashMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::cause::cause;
use super::record::shorten;
use crate::base::clock::UnixSeconds;

/// Maximum number of rejections to keep; the oldest one makes room.
pub const MOST_REFUSALS: usize = 1000;
/// Maximum number for one address, so that it cannot displace all others.
const MOST_OF_ADDRESS: usize = 20;

/// Rejections of one address for one cause.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Where the request came from.
    pub address: IpAddr,
    /// The category, as in metrics.
    pub kind: String,
    /// The authentication method that failed, if any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub method: Option<String>,
    /// The identity, if the source had authenticated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<String>,
    /// HTTP status of the answer; 0 if there was none, such as after a failed TLS handshake, a
    /// bad PROXY header, or a close for lack of room.
    pub status: u16,
    /// What was wrong the last time, with the remedy if one is known.
    pub reason: String,
    /// How often it occurred since it was first recorded.
    pub count: u64,
    /// When it first occurred.
    pub first: UnixSeconds,
    /// When it last occurred.
    pub last: UnixSeconds,
}

/// An address, a category, and a cause.
type Key = (IpAddr, String, String);

fn key(refusal: &Refusal) -> Key {
    (
        refusal.address,
        refusal.kind.clone(),
        cause(&refusal.reason),
    )
}

/// Recent rejections, bounded.
#[derive(Clone, Debug, Default)]
pub(super) struct Refusals {
    known: HashMap<Key, Refusal>,
    is_dirty: bool,
}

impl Refusals {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Refusal> {
        self.known.values()
    }

    /// Whether they have changed since they were saved.
    pub(super) const fn is_dirty(&self) -> bool {
        self.is_dirty
    }

    /// All of them, if they have changed; they then count as saved.
    pub(super) fn take(&mut self) -> Option<Vec<Refusal>> {
        std::mem::take(&mut self.is_dirty).then(|| self.iter().cloned().collect())
    }

    /// They could not be saved.
    pub(super) const fn put_back(&mut self) {
        self.is_dirty = true;
    }

    pub(super) fn load(&mut self, refusals: Vec<Refusal>) {
        let keyed = refusals.into_iter();
        self.known = keyed.map(|refusal| (key(&refusal), refusal)).collect();
    }

    /// The relay's clock was set by this many seconds.
    pub(super) fn shift(&mut self, by: i64) {
        self.is_dirty = true;
        for refusal in self.known.values_mut() {
            refusal.first = refusal.first.saturating_add_signed(by);
            refusal.last = refusal.last.saturating_add_signed(by);
        }
    }

    pub(super) fn note(&mut self, refusal: Refusal) {
        self.is_dirty = true;
        // Truncated first, because the key must be the same after the rejection is saved
        // and loaded.
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
        // Some thousand comparisons, and only for new causes.
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
