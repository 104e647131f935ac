//! What the status page tells beside the counters: hosts, and who was refused lately.

use super::Collector;
use crate::clock::Now;
use crate::connection::{Refusal, RefusalKind};
use crate::wsman::subscribe::Subscription;
use std::collections::VecDeque;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

/// Refusals that are remembered.
const REMEMBERED: usize = 100;
/// Bytes of a reason that are; strangers choose a part of some.
const REASON: usize = 400;

/// A known host at this moment.
#[derive(Clone, Copy, Debug)]
pub struct HostFacts<'a> {
    /// What it calls itself.
    pub machine: &'a str,
    /// As whom it has authenticated; empty for a null session.
    pub identity: &'a str,
    /// From where it came last.
    pub address: IpAddr,
    /// As the metric `wecrelay_sources` calls it.
    pub state: &'static str,
    /// When it last sent anything.
    pub seen: SystemTime,
    /// When it last sent events.
    pub last_event: Option<SystemTime>,
    /// Events it has sent since the start; a batch that is sent again counts again.
    pub events: u64,
}

/// Refusals of one kind and reason from one address.
#[derive(Clone, Debug)]
pub struct RefusedFacts {
    /// The last one.
    pub at: SystemTime,
    /// How many there were, as far as they are remembered.
    pub count: u64,
    /// Whose.
    pub address: IpAddr,
    /// What kind of fault it was.
    pub kind: RefusalKind,
    /// The HTTP status of the answer; 0 where there was none.
    pub status: u16,
    /// What was wrong, and where it is known what to do.
    pub reason: String,
}

/// The last refusals, the newest at the end.
#[derive(Debug, Default)]
pub(super) struct Refused {
    last: VecDeque<RefusedFacts>,
}

impl Refused {
    pub(super) fn note(&mut self, now: Now, address: IpAddr, refusal: &Refusal) {
        let reason = beginning(&refusal.reason);
        let is_like = |known: &RefusedFacts| {
            known.address == address && known.kind == refusal.kind && known.reason == reason
        };
        let like = self.last.iter().position(is_like);
        let before = like.and_then(|index| self.last.remove(index));
        if self.last.len() >= REMEMBERED {
            self.last.pop_front();
        }
        self.last.push_back(RefusedFacts {
            at: now.wall,
            count: before.map_or(0, |before| before.count) + 1,
            address,
            kind: refusal.kind,
            status: refusal.status,
            reason: reason.to_owned(),
        });
    }
}

fn beginning(text: &str) -> &str {
    text.get(..text.floor_char_boundary(REASON)).unwrap_or(text)
}

impl Collector {
    /// All known hosts, in no order.
    pub fn hosts(&self) -> impl Iterator<Item = HostFacts<'_>> {
        self.sources.iter()
    }

    /// Who was refused lately, the last one first.
    pub fn refused(&self) -> impl Iterator<Item = &RefusedFacts> {
        self.refused.last.iter().rev()
    }

    /// What hosts are asked for.
    #[must_use]
    pub fn subscriptions(&self) -> &[Subscription] {
        &self.settings.subscriptions
    }

    /// For how long the oldest batch has not been acknowledged.
    #[must_use]
    pub fn oldest_batch(&self, now: Now) -> Option<Duration> {
        let began = self.batches.values().map(|batch| batch.began).min()?;
        Some(now.monotonic.saturating_duration_since(began))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;
    use std::time::Instant;

    #[test]
    fn refusals_are_counted_together_and_few_are_kept() {
        let now = Now {
            monotonic: Instant::now(),
            wall: SystemTime::UNIX_EPOCH,
        };
        let mut refused = Refused::default();
        let long = "\u{e9}".repeat(1000);
        for address in 0..300 {
            let address = IpAddr::V4(Ipv4Addr::from_bits(address));
            for _ in 0..2 {
                refused.note(
                    now,
                    address,
                    &Refusal::new(RefusalKind::Tls, 0, long.clone()),
                );
            }
        }
        assert_eq!(refused.last.len(), REMEMBERED);
        assert!(
            refused
                .last
                .iter()
                .all(|one| one.count == 2 && one.reason.len() == REASON)
        );
    }
}
