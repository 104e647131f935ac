//! A receiver that is as slow as the hosts or up to a hundred times slower: what is delivered is
//! acknowledged, and each host gets its turn.
//!
//! `scripts/bench goodput` prints the figures.

use std::fmt;
use std::time::{Duration, Instant};

use super::host::Host;
use super::pair::{Pair, seconds};
use super::receiver::Pace;

const HOSTS: usize = 20;
/// Number of turns that each host can have.
const TURNS: u32 = 20;
/// How often each host has a batch to send.
const PERIOD: Duration = Duration::from_secs(5);
/// Characters added to the event of each batch. Small batches suffice, since only the time for a
/// batch matters.
const PADDING: usize = 500;
/// Number of time steps per batch.
const STEPS: u32 = 4;

#[derive(Clone, Copy, Debug)]
struct Case {
    url: &'static str,
    /// How many times more is offered than the receiver accepts.
    ratio: u32,
    /// How long a host waits after a 503.
    retry: Duration,
}

impl Case {
    /// The time that the receiver needs for one batch of each host.
    fn turn(self) -> Duration {
        PERIOD * self.ratio
    }
}

struct Sender {
    host: Host,
    done: u64,
    sent: bool,
    /// When it retries, or sends its next batch.
    due: Instant,
    last: Instant,
    turns: u32,
    longest: Duration,
}

struct Slow {
    case: Case,
    pair: Pair,
    senders: Vec<Sender>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, _) = self.url.split_once(':').unwrap();
        let retry = self.retry.as_secs();
        write!(f, "{scheme:<6}{:>5}{retry:>7} s", self.ratio)
    }
}

#[derive(Debug)]
struct Figures {
    /// Acknowledged batches per delivered batch.
    goodput: f64,
    /// The share of the receiver's time that was used.
    used: f64,
    /// Jain's index over the turns of the hosts.
    fairness: f64,
    /// The longest wait, in fair turns.
    longest: f64,
}

/// Size of a batch in bytes, as delivered.
fn batch_size() -> u32 {
    let mut pair = Pair::new(&["tcp://receiver?replay=0"]);
    let mut host = pair.host("h99.example.com");
    host.padding = PADDING;
    let before = pair.outputs[0].written();
    pair.post(&mut host, 1..=1);
    u32::try_from(pair.outputs[0].written() - before).unwrap()
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            goodput,
            used,
            fairness,
            longest,
        } = self;
        write!(f, "{goodput:>14.2}{used:>7.2}{fairness:>7.2}{longest:>9.2}")
    }
}

impl Slow {
    fn new(case: Case) -> Self {
        let mut pair = Pair::new(&[case.url]);
        let start = pair.now.monotonic + seconds(1);
        let sender = |number| {
            let mut host = pair.host(&format!("h{number}.example.com"));
            host.padding = PADDING;
            Sender {
                host,
                done: 0,
                sent: false,
                due: start,
                last: start,
                turns: 0,
                longest: Duration::ZERO,
            }
        };
        let senders = (0..HOSTS).map(sender).collect();
        let total = batch_size() * u32::try_from(HOSTS).unwrap();
        let rate = f64::from(total) / case.turn().as_secs_f64();
        pair.outputs[0].pace = Some(Pace::new(rate));
        pair.cut_output(0);
        pair.advance(seconds(1));
        Self {
            case,
            pair,
            senders,
        }
    }

    fn run(&mut self) -> Figures {
        let end = self.pair.now + self.case.turn() * TURNS;
        let step = self.case.turn() / u32::try_from(HOSTS).unwrap() / STEPS;
        while self.pair.now.monotonic < end.monotonic {
            self.pair.now = self.pair.now + step;
            self.pair.play_receivers(step);
            (0..HOSTS).for_each(|index| self.go_on(index));
        }
        self.figures()
    }

    fn go_on(&mut self, index: usize) {
        let now = self.pair.now.monotonic;
        let sender = &mut self.senders[index];
        if sender.sent {
            match self.pair.answer(&sender.host) {
                None => return,
                Some(200) => {
                    sender.done += 1;
                    sender.turns += 1;
                    sender.longest = sender.longest.max(now - sender.last);
                    sender.last = now;
                    sender.due = now;
                }
                Some(status) => {
                    assert_eq!(status, 503);
                    sender.due = now + self.case.retry;
                }
            }
            sender.sent = false;
        }
        if now >= sender.due {
            let next = sender.done + 1;
            sender.sent = true;
            self.pair.start_post(&mut sender.host, next..=next);
            self.pair.drive();
        }
    }

    fn figures(&self) -> Figures {
        let now = self.pair.now.monotonic;
        let acknowledged: u32 = self.senders.iter().map(|s| s.turns).sum();
        let taken = self.pair.outputs[0].count();
        let squares: u32 = self.senders.iter().map(|s| s.turns * s.turns).sum();
        let hosts = f64::from(u32::try_from(HOSTS).unwrap());
        let longest = self.senders.iter().map(|s| s.longest.max(now - s.last));
        let longest = longest.max().unwrap().as_secs_f64();
        Figures {
            goodput: f64::from(acknowledged) / f64::from(u32::try_from(taken).unwrap()),
            used: f64::from(acknowledged) / (hosts * f64::from(TURNS)),
            fairness: f64::from(acknowledged).powi(2) / (hosts * f64::from(squares)),
            longest: longest / self.case.turn().as_secs_f64(),
        }
    }
}

/// Maximum wait of any host, in fair turns.
const LONGEST: f64 = 2.0;

fn check(url: &'static str, ratios: &[u32]) {
    for ratio in ratios.iter().copied() {
        for retry in [10, 60].map(seconds) {
            let case = Case { url, ratio, retry };
            let figures = Slow::new(case).run();
            println!("goodput: {case}{figures}");
            assert!(figures.goodput >= 0.9, "{case:?}: {figures:?}");
            assert!(figures.used >= 0.85, "{case:?}: {figures:?}");
            assert!(figures.fairness >= 0.9, "{case:?}: {figures:?}");
            assert!(figures.longest <= LONGEST, "{case:?}: {figures:?}");
        }
    }
}

#[test]
fn goodput_over_tcp() {
    check("tcp://receiver?replay=0", &[1, 3, 10, 30]);
}

#[test]
fn goodput_at_a_hundred_times_the_rate() {
    check("tcp://receiver?replay=0", &[100]);
}

#[test]
fn goodput_over_tls() {
    // For the link, TLS is TCP.
    check("tls://receiver?replay=0", &[10, 100]);
}

#[test]
fn goodput_over_relp() {
    check("relp://receiver?max=131072", &[1, 3, 10, 30, 100]);
}

#[test]
fn a_batch_that_takes_longer_than_its_host_waits_has_its_turn_too() {
    let case = Case {
        url: "tcp://receiver?replay=0",
        ratio: 30,
        retry: seconds(10),
    };
    let mut slow = Slow::new(case);
    slow.senders[0].host.padding = 20 * PADDING;
    let figures = slow.run();
    assert!(figures.goodput >= 0.9, "{figures:?}");
    let others: u32 = slow.senders[1..].iter().map(|s| s.turns).sum();
    let mean = others / u32::try_from(HOSTS - 1).unwrap();
    let large = slow.senders[0].turns;
    assert!(mean >= 8 && large >= mean / 2, "{large} of {mean} turns");
}
