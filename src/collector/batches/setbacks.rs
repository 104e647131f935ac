//! Hosts with a batch that a receiver permanently refuses. They repeat it forever, so only
//! an occasional attempt is let through, to find out whether the receiver accepts it by
//! now.

use std::collections::HashMap;
use std::net::IpAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use crate::base::clock::Now;
use crate::hosts::Key;

/// First pause before a batch of the host is let through again; doubles each time.
const FIRST_PAUSE: Duration = Duration::from_secs(5);
/// Maximum pause, and so the time within which the repair of a receiver is noticed.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);
/// A host that did not retry for this long after its pause starts over with the first
/// pause.
const MEMORY: Duration = Duration::from_secs(900);
/// Maximum number of hosts held back. Those beyond it cost some work, nothing else.
const MOST: usize = 10_000;

/// A subscription of a host; for a host without identity, together with its address.
pub(in crate::collector) type Who = (Rc<Key>, Uuid, Option<IpAddr>);

/// The key for the source of a batch; `None` without a host.
pub(super) fn who(host: Option<&(Rc<Key>, Uuid)>, address: IpAddr) -> Option<Who> {
    let (key, subscription) = host?;
    let place = key.identity().is_none().then_some(address);
    Some((Rc::clone(key), *subscription, place))
}

#[derive(Debug)]
struct Setback {
    until: Instant,
    pause: Duration,
}

/// The hosts that are held back.
#[derive(Debug, Default)]
pub(super) struct Setbacks {
    held: HashMap<Who, Setback>,
}

impl Setbacks {
    /// Whether a batch must be handed back unread.
    pub(super) fn holds(&self, now: Now, who: Option<&Who>) -> bool {
        if self.held.is_empty() {
            return false;
        }
        let setback = who.and_then(|who| self.held.get(who));
        setback.is_some_and(|setback| now.monotonic < setback.until)
    }

    pub(super) fn note_refused(&mut self, now: Now, who: Who) {
        let pause = match self.held.get(&who) {
            Some(setback) => (setback.pause * 2).min(LONGEST_PAUSE),
            None if self.held.len() >= MOST => return,
            None => FIRST_PAUSE,
        };
        let until = now.monotonic + pause;
        self.held.insert(who, Setback { until, pause });
    }

    /// A batch was acknowledged: the host is no longer held back.
    pub(super) fn note_acknowledged(&mut self, who: Option<&Who>) {
        if !self.held.is_empty()
            && let Some(who) = who
        {
            self.held.remove(who);
        }
    }

    pub(super) fn sweep(&mut self, now: Now) {
        self.held
            .retain(|_, setback| now.monotonic < setback.until + MEMORY);
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::SystemTime;

    use super::*;

    #[expect(clippy::disallowed_methods, reason = "any time will do")]
    fn start() -> Now {
        Now {
            monotonic: Instant::now(),
            wall: SystemTime::now(),
        }
    }

    fn host(identity: Option<&str>, machine: &str, last: u8) -> Who {
        let key = (Rc::new(Key::new(identity, machine)), Uuid::nil());
        who(Some(&key), Ipv4Addr::new(192, 0, 2, last).into()).unwrap()
    }

    #[test]
    fn one_host_is_held_back_with_growing_pauses_and_no_other() {
        let (mut setbacks, mut now) = (Setbacks::default(), start());
        let (poison, other) = (host(Some("a"), "a", 1), host(Some("b"), "b", 1));
        let mut pauses = Vec::new();
        for _ in 0..6 {
            assert!(!setbacks.holds(now, Some(&poison)));
            setbacks.note_refused(now, poison.clone());
            let mut pause = Duration::ZERO;
            while setbacks.holds(now + pause, Some(&poison)) {
                pause += Duration::from_secs(1);
            }
            pauses.push(pause.as_secs());
            assert!(!setbacks.holds(now, Some(&other)));
            now = now + pause;
        }
        assert_eq!(pauses, [5, 10, 20, 40, 60, 60]);
        // From another address, and still held back.
        assert!(setbacks.held.contains_key(&host(Some("a"), "A", 9)));
        setbacks.note_acknowledged(Some(&poison));
        setbacks.note_refused(now, poison.clone());
        assert!(!setbacks.holds(now + FIRST_PAUSE, Some(&poison)));
        setbacks.sweep(now + FIRST_PAUSE + MEMORY);
        assert!(setbacks.held.is_empty());
    }

    #[test]
    fn who_proved_nothing_holds_back_only_its_own_address() {
        let (mut setbacks, now) = (Setbacks::default(), start());
        setbacks.note_refused(now, host(None, "a", 1));
        assert!(setbacks.holds(now, Some(&host(None, "a", 1))));
        assert!(!setbacks.holds(now, Some(&host(None, "a", 2))));
    }

    #[test]
    fn there_is_a_bound() {
        let (mut setbacks, now) = (Setbacks::default(), start());
        for number in 0..=MOST {
            setbacks.note_refused(now, host(Some(&number.to_string()), "", 1));
        }
        assert_eq!(setbacks.held.len(), MOST);
        assert!(!setbacks.holds(now, Some(&host(Some(&MOST.to_string()), "", 1))));
    }
}
