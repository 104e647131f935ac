//! Which address of a receiver to try next, and for how long.
//!
//! A *round* is a lookup of the name and one attempt at each of its addresses. Lookup and
//! connection have separate timeouts, so that a slow name server does not use up the
//! receiver's time. The last good answer is kept, even one that came too late, so that an
//! outage of the name server has no effect later.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

/// How long to wait for an answer while no address is known. Two attempts of 5 s at a name
/// server, the default of resolv.conf(5), fit.
const LOOK_UP_TIME: Duration = Duration::from_secs(10);
/// The same while addresses are known from an earlier answer.
const FRESH_TIME: Duration = Duration::from_secs(2);
/// Time for each step with one of several addresses: the connection, the TLS handshake, the
/// RELP session. The first retransmission of a lost SYN happens after 1 s.
const ADDRESS_TIME: Duration = Duration::from_secs(3);
/// The same for a single address, and the maximum for one of several: each round in which
/// none was reached allows more.
pub(super) const OPENING_TIME: Duration = Duration::from_secs(10);
/// Maximum pause, and so the time within which a recovered receiver is found.
pub(super) const LONGEST_PAUSE: Duration = Duration::from_secs(15);
/// Maximum number of reasons to report for one round.
const REASONS: usize = 4;

/// The next step towards an open connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Open an output that has no address, such as a file.
    Open,
    /// Look up the name.
    LookUp,
    /// Wait for the answer to the lookup in progress.
    Wait,
    /// Connect to this address.
    Connect(SocketAddr),
}

/// The addresses of one receiver, and which to try next.
#[derive(Debug)]
pub struct Dial {
    /// The name to look up; `None` for a literal address.
    name: Option<String>,
    /// The addresses of the last good answer.
    known: Vec<SocketAddr>,
    /// The addresses still to be tried in this round.
    rest: VecDeque<SocketAddr>,
    current: Option<SocketAddr>,
    /// The address that failed last; the one after it is tried first.
    failed: Option<SocketAddr>,
    /// Whether a lookup is in progress.
    asking: bool,
    /// Number of consecutive rounds in which no address worked.
    fruitless: u32,
    /// Whether the current address worked.
    good: bool,
    /// Why the addresses of this round failed.
    reasons: Vec<String>,
}

impl Dial {
    /// For a host and port; `None` for an output without an address.
    #[must_use]
    pub fn new(place: Option<(&str, u16)>) -> Self {
        let address = place.and_then(|(host, port)| {
            let ip: IpAddr = host.parse().ok()?;
            Some(SocketAddr::new(ip, port))
        });
        let name = place.filter(|_| address.is_none());
        Self {
            name: name.map(|(host, _)| host.to_owned()),
            known: address.into_iter().collect(),
            rest: VecDeque::new(),
            current: None,
            failed: None,
            asking: false,
            fruitless: 0,
            good: false,
            reasons: Vec::new(),
        }
    }

    /// Continues the round, or starts one.
    pub fn go_on(&mut self) -> Step {
        if let Some(address) = self.rest.pop_front() {
            self.current = Some(address);
            return Step::Connect(address);
        }
        self.reasons.clear();
        match (&self.name, self.known.is_empty()) {
            (None, true) => Step::Open,
            (None, false) => self.next_known(),
            (Some(_), _) if self.asking => Step::Wait,
            (Some(_), _) => {
                self.asking = true;
                Step::LookUp
            }
        }
    }

    /// Starts a round with the known addresses.
    pub fn next_known(&mut self) -> Step {
        self.begin();
        match self.rest.pop_front() {
            Some(address) => {
                self.current = Some(address);
                Step::Connect(address)
            }
            None => Step::Wait,
        }
    }

    /// Fills the round with the known addresses.
    pub fn begin(&mut self) {
        self.reasons.clear();
        let failed = self.known.iter().position(|a| Some(*a) == self.failed);
        let first = failed.map_or(0, |place| place + 1);
        let (front, back) = self.known.split_at_checked(first).unwrap_or_default();
        self.rest = back.iter().chain(front).copied().collect();
    }

    /// Whether any address is known.
    #[must_use]
    pub fn is_known(&self) -> bool {
        !self.known.is_empty()
    }

    /// Handles an answer, in time or late; returns whether it contains anything new.
    pub fn handle_resolved(&mut self, addresses: &[SocketAddr]) -> bool {
        self.asking = false;
        let mut found = Vec::with_capacity(addresses.len());
        for address in addresses {
            // getaddrinfo may return an address twice.
            if !found.contains(address) {
                found.push(*address);
            }
        }
        let is_news = !found.is_empty() && found != self.known;
        if !found.is_empty() {
            self.known = found;
        }
        is_news
    }

    /// How long to wait for the lookup.
    #[must_use]
    pub fn look_up_time(&self) -> Duration {
        if self.known.is_empty() {
            LOOK_UP_TIME
        } else {
            FRESH_TIME
        }
    }

    /// How long each step towards the current address may take.
    #[must_use]
    pub fn step_time(&self) -> Duration {
        if self.known.len() < 2 {
            return OPENING_TIME;
        }
        let rounds = self.fruitless.saturating_add(1);
        ADDRESS_TIME.saturating_mul(rounds).min(OPENING_TIME)
    }

    /// The current address failed. Returns whether another one is to be tried immediately;
    /// otherwise the round is over.
    pub fn handle_failed(&mut self, reason: &str) -> bool {
        let Some(address) = self.current.take() else {
            self.note(reason.to_owned());
            return false;
        };
        self.failed = Some(address);
        if self.known.len() > 1 || self.name.is_some() {
            self.note(format!("{address}: {reason}"));
        } else {
            self.note(reason.to_owned());
        }
        if !std::mem::take(&mut self.good) && self.rest.is_empty() {
            self.fruitless = self.fruitless.saturating_add(1);
        }
        !self.rest.is_empty()
    }

    fn note(&mut self, reason: String) {
        if self.reasons.len() < REASONS {
            self.reasons.push(reason);
        }
    }

    /// Why addresses of this round failed, if any did.
    #[must_use]
    pub fn reasons(&self) -> Option<String> {
        (!self.reasons.is_empty()).then(|| self.reasons.join("; "))
    }

    /// The current address works, which ends the round.
    pub fn handle_up(&mut self) {
        self.rest.clear();
        self.reasons.clear();
        self.fruitless = 0;
        self.good = true;
    }

    /// The current address, if there are several to distinguish it from.
    #[must_use]
    pub fn told_address(&self) -> Option<SocketAddr> {
        self.current.filter(|_| self.known.len() > 1)
    }

    /// The name to look up.
    #[must_use]
    pub fn name(&self) -> &str {
        self.name.as_deref().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(numbers: &[u16]) -> Vec<SocketAddr> {
        let address = |number: &u16| SocketAddr::from(([192, 0, 2, 1], *number));
        numbers.iter().map(address).collect()
    }

    /// The ports that one round tries until it is over.
    fn round(dial: &mut Dial) -> Vec<u16> {
        let mut step = dial.go_on();
        if step == Step::LookUp {
            step = dial.next_known();
        }
        let mut tried = Vec::new();
        while let Step::Connect(address) = step {
            tried.push(address.port());
            if !dial.handle_failed("no") {
                break;
            }
            step = dial.go_on();
        }
        tried
    }

    #[test]
    fn each_address_is_tried_and_the_next_one_first_after_a_failure() {
        let mut dial = Dial::new(Some(("log.example", 601)));
        assert_eq!(dial.go_on(), Step::LookUp);
        assert!(dial.handle_resolved(&addresses(&[1, 2, 1, 3])));
        assert_eq!(dial.next_known(), Step::Connect(addresses(&[1])[0]));
        assert!(dial.handle_failed("no"));
        assert_eq!(dial.go_on(), Step::Connect(addresses(&[2])[0]));
        dial.handle_up();
        // The working address fails later: the next one comes first, and all are tried.
        assert!(!dial.handle_failed("ended"));
        dial.handle_resolved(&addresses(&[1, 2, 3]));
        assert_eq!(round(&mut dial), [3, 1, 2]);
        dial.handle_resolved(&addresses(&[1, 2, 3]));
        assert_eq!(round(&mut dial), [3, 1, 2]);
        // The failed address is no longer in the answer: the round starts with the first one.
        dial.handle_resolved(&addresses(&[7, 8]));
        assert_eq!(round(&mut dial), [7, 8]);
    }

    #[test]
    fn an_address_needs_no_question_and_has_all_the_time() {
        let mut dial = Dial::new(Some(("192.0.2.1", 601)));
        assert_eq!(dial.go_on(), Step::Connect(addresses(&[601])[0]));
        assert_eq!(dial.step_time(), OPENING_TIME);
        assert!(!dial.handle_failed("no"));
        assert_eq!(dial.reasons().as_deref(), Some("no"));
        assert_eq!(dial.go_on(), Step::Connect(addresses(&[601])[0]));
        assert_eq!(Dial::new(None).go_on(), Step::Open);
    }

    #[test]
    fn only_one_question_is_under_way() {
        let mut dial = Dial::new(Some(("log.example", 601)));
        assert_eq!(dial.go_on(), Step::LookUp);
        assert_eq!(dial.look_up_time(), LOOK_UP_TIME);
        for _ in 0..3 {
            assert_eq!(dial.go_on(), Step::Wait);
        }
        assert!(dial.handle_resolved(&addresses(&[1])));
        assert_eq!(dial.look_up_time(), FRESH_TIME);
        assert_eq!(dial.go_on(), Step::LookUp);
        // No answer, or one without addresses: the known addresses stay.
        assert!(!dial.handle_resolved(&[]));
        assert_eq!(dial.next_known(), Step::Connect(addresses(&[1])[0]));
        assert!(!dial.handle_resolved(&addresses(&[1])), "no news");
    }

    #[test]
    fn rounds_without_success_give_more_time() {
        let mut dial = Dial::new(Some(("log.example", 601)));
        dial.handle_resolved(&addresses(&[1, 2]));
        let mut times = Vec::new();
        for _ in 0..4 {
            times.push(dial.step_time().as_secs());
            assert_eq!(round(&mut dial).len(), 2);
            dial.handle_resolved(&addresses(&[1, 2]));
        }
        assert_eq!(times, [3, 6, 9, 10]);
        dial.handle_up();
        assert_eq!(dial.step_time(), ADDRESS_TIME);
    }

    #[test]
    fn a_round_tells_why_each_address_failed_up_to_a_bound() {
        let mut dial = Dial::new(Some(("log.example", 601)));
        dial.handle_resolved(&addresses(&[1, 2, 3, 4, 5]));
        round(&mut dial);
        let told = "192.0.2.1:1: no; 192.0.2.1:2: no; 192.0.2.1:3: no; 192.0.2.1:4: no";
        assert_eq!(dial.reasons().as_deref(), Some(told));
    }
}
