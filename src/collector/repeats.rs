//! A repeated fault is logged once, then counted.

use crate::clock::Now;
use crate::connection::{Refusal, RefusalKind};
use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

/// How long a fault of the same kind from the same address is only counted.
const QUIET_TIME: Duration = Duration::from_secs(600);
/// Pairs of address and kind that are remembered; a flood of addresses is logged less.
const REMEMBERED: usize = 10_000;

#[derive(Debug)]
struct Seen {
    since: Instant,
    more: u64,
}

/// Which refusals have been logged lately.
#[derive(Debug, Default)]
pub(super) struct Repeats {
    seen: HashMap<(IpAddr, RefusalKind), Seen>,
}

impl Repeats {
    /// Logs a refusal as a warning, or only counts it where the like of it was logged before.
    pub(super) fn warn(&mut self, now: Now, address: IpAddr, refusal: &Refusal) {
        let Refusal {
            kind,
            status,
            reason,
            method: _,
            tried: _,
        } = refusal;
        log::debug!("source {address}: {status}: {}: {reason}", kind.name());
        if let Some(seen) = self.seen.get_mut(&(address, *kind)) {
            seen.more += 1;
            return;
        }
        if self.seen.len() < REMEMBERED {
            self.seen.insert(
                (address, *kind),
                Seen {
                    since: now.monotonic,
                    more: 0,
                },
            );
            match status {
                0 => log::warn!("source {address}: refused: {reason}"),
                _ => log::warn!(
                    "source {address}: refused with {status}: {}: {reason}",
                    kind.name()
                ),
            }
        }
    }

    /// Forgets what is long ago, and says how often it was repeated.
    pub(super) fn sweep(&mut self, now: Now) {
        self.seen.retain(|(address, kind), seen| {
            let stays = now.monotonic < seen.since + QUIET_TIME;
            if !stays && seen.more > 0 {
                log::warn!(
                    "source {address}: refused {} more times: {}",
                    seen.more,
                    kind.name()
                );
            }
            stays
        });
    }
}
