//! Logs a repeated fault once, and then only counts it.

use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, Instant};

use crate::base::clock::Now;
use crate::connection::{Refusal, RefusalKind};
use crate::hosts::cause;

/// How long a fault with the same cause from the same address is only counted.
const QUIET_TIME: Duration = Duration::from_secs(600);
/// Maximum number of faults to remember; in a flood of addresses, less is logged.
const REMEMBERED: usize = 10_000;
/// Maximum for one address: another reason or account is news, but a client that tries a
/// thousand accounts must not write a thousand lines.
const OF_ADDRESS: usize = 20;

/// The kind of a fault, its cause, and the account, if any.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Fault {
    kind: RefusalKind,
    cause: String,
    account: Option<String>,
}

#[derive(Debug)]
struct Seen {
    since: Instant,
    more: u64,
}

/// The rejections that have been logged recently.
#[derive(Debug, Default)]
pub(super) struct RefusalLog {
    seen: HashMap<IpAddr, Faults>,
    remembered: usize,
}

/// The faults of one address.
#[derive(Debug, Default)]
struct Faults {
    known: HashMap<Fault, Seen>,
    /// When the address exceeded its number of faults, and how many followed.
    others: Option<Seen>,
}

impl RefusalLog {
    /// Logs a rejection as a warning, or only counts it if a similar one has been logged.
    pub(super) fn warn(&mut self, now: Now, address: IpAddr, refusal: &Refusal) {
        let Refusal {
            kind,
            status,
            reason,
            method: _,
            tried,
        } = refusal;
        log::debug!("host {address}: {status}: {}: {reason}", kind.name());
        let fault = Fault {
            kind: *kind,
            cause: cause(reason),
            account: tried.as_ref().map(|account| account.to_lowercase()),
        };
        if self.is_news(now, address, fault) {
            match status {
                0 => log::warn!("host {address}: refused: {reason}"),
                _ => log::warn!(
                    "host {address}: refused with {status}: {}: {reason}",
                    kind.name()
                ),
            }
        }
    }

    fn is_news(&mut self, now: Now, address: IpAddr, fault: Fault) -> bool {
        let first = Seen {
            since: now.monotonic,
            more: 0,
        };
        let is_known = self.seen.contains_key(&address);
        if !is_known && self.remembered >= REMEMBERED {
            return false;
        }
        let faults = self.seen.entry(address).or_default();
        if let Some(seen) = faults.known.get_mut(&fault) {
            seen.more += 1;
            return false;
        }
        if faults.known.len() >= OF_ADDRESS || self.remembered >= REMEMBERED {
            faults.others.get_or_insert(first).more += 1;
            return false;
        }
        faults.known.insert(fault, first);
        self.remembered += 1;
        true
    }

    /// Forgets old faults, and logs how often each was repeated.
    pub(super) fn sweep(&mut self, now: Now) {
        let is_late = |seen: &Seen| now.monotonic >= seen.since + QUIET_TIME;
        let mut remembered = 0;
        self.seen.retain(|address, faults| {
            faults.known.retain(|fault, seen| {
                let stays = !is_late(seen);
                if !stays && seen.more > 0 {
                    let (more, kind) = (seen.more, fault.kind.name());
                    let cause = fault.cause.trim_end();
                    log::warn!("host {address}: refused {more} more times: {kind}: {cause}");
                }
                stays
            });
            if let Some(others) = faults.others.take_if(|others| is_late(others)) {
                let more = others.more;
                log::warn!("host {address}: refused {more} more times, for other reasons");
            }
            remembered += faults.known.len();
            !faults.known.is_empty() || faults.others.is_some()
        });
        self.remembered = remembered;
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "a start for fake time")]
    fn start() -> Now {
        Now {
            monotonic: Instant::now(),
            wall: SystemTime::UNIX_EPOCH,
        }
    }

    fn fault(reason: &str, account: Option<&str>) -> Fault {
        Fault {
            kind: RefusalKind::Authentication,
            cause: cause(reason),
            account: account.map(str::to_owned),
        }
    }

    const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    #[test]
    fn another_reason_and_another_account_are_news() {
        let (mut log, now) = (RefusalLog::default(), start());
        let mut is_news = |reason, account| log.is_news(now, HERE, fault(reason, account));
        assert!(is_news("wrong password", Some("a")));
        assert!(!is_news("wrong password", Some("a")));
        assert!(is_news("wrong password", Some("b")));
        assert!(is_news("unknown account", Some("a")));
        assert!(is_news("null sessions are not let in", None));
        assert!(!is_news("unknown account", Some("a")));
    }

    #[test]
    fn what_an_address_can_write_is_bounded_and_ends_with_a_count() {
        let (mut log, now) = (RefusalLog::default(), start());
        let news = (0..1000).filter(|number| {
            log.is_news(
                now,
                HERE,
                fault("unknown account", Some(&number.to_string())),
            )
        });
        assert_eq!(news.count(), OF_ADDRESS);
        assert_eq!(log.remembered, OF_ADDRESS);
        let later = Now {
            monotonic: now.monotonic + QUIET_TIME,
            ..now
        };
        log.sweep(later);
        assert_eq!((log.remembered, log.seen.len()), (0, 0));
        assert!(log.is_news(later, HERE, fault("unknown account", Some("1"))));
    }

    #[test]
    fn a_flood_of_addresses_is_bounded() {
        let (mut log, now) = (RefusalLog::default(), start());
        for number in 0..20_000 {
            let address = Ipv4Addr::from(number).into();
            log.is_news(now, address, fault("no token", None));
        }
        assert_eq!((log.remembered, log.seen.len()), (REMEMBERED, REMEMBERED));
    }
}
