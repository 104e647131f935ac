//! Hosts, a relay, and what breaks around them.

use crate::support::{Fault, Ledger, Plan, Player, Proxy, Random, Relay, Tally, TempDir};
use rustix::process::{Resource, Signal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long hosts wait for an answer; a stalled receiver has to bring a 503 before.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);
/// More than the relay needs for what these tests send, in kB: 64 MiB may wait for
/// an output, 8 MiB are kept to be sent again.
const MEMORY: u64 = 250_000;

#[derive(Clone, Copy)]
enum RelayFault {
    Kill,
    End,
    FullDisk,
    NoDescriptors,
    Reload,
}

/// A deck to draw from, so that everything comes up in every seven.
const RELAY_FAULTS: [RelayFault; 7] = [
    RelayFault::Kill,
    RelayFault::Kill,
    RelayFault::Kill,
    RelayFault::End,
    RelayFault::FullDisk,
    RelayFault::NoDescriptors,
    RelayFault::Reload,
];

/// Hosts that send through a proxy to a relay, and what has been broken so far.
pub(crate) struct Scene {
    name: &'static str,
    began: Instant,
    pub(crate) random: Random,
    pub(crate) dir: TempDir,
    arguments: Vec<String>,
    pub(crate) relay: Option<Relay>,
    sources: Proxy,
    ledger: Arc<Ledger>,
    hosts: Vec<JoinHandle<(u32, u32)>>,
    stop: Arc<AtomicBool>,
    deck: Vec<RelayFault>,
    broken: BTreeMap<&'static str, u64>,
    memory: u64,
}

impl Scene {
    pub(crate) fn start(name: &'static str, output: impl FnOnce(&TempDir) -> String) -> Self {
        let dir = TempDir::new();
        let channel = "Microsoft-Windows-Sysmon/Operational".to_owned();
        let arguments = vec![
            "--output".into(),
            output(&dir),
            "--channel".into(),
            channel,
            "--message".into(),
            "xml".into(),
        ];
        let seed = setting("SEED", 1);
        println!("chaos {name}: seed {seed}");
        let mut random = Random::new(seed);
        let relay = start_relay(0, &dir, &arguments);
        let sources = Proxy::to(relay.port());
        sources.plan(source_faults(random.fork()));
        let mut scene = Self {
            name,
            began: Instant::now(),
            random,
            dir,
            arguments,
            relay: Some(relay),
            sources,
            ledger: Arc::default(),
            hosts: Vec::new(),
            stop: Arc::default(),
            deck: Vec::new(),
            broken: BTreeMap::new(),
            memory: 0,
        };
        scene.start_hosts();
        scene
    }

    fn start_hosts(&mut self) {
        let pause = setting("PAUSE", 20);
        for number in 1..=u32::try_from(setting("HOSTS", 12)).unwrap() {
            let mut random = self.random.fork();
            let mut player = Player::new(number, self.sources.port(), random.fork(), TIMEOUT);
            let (stop, ledger) = (Arc::clone(&self.stop), Arc::clone(&self.ledger));
            self.hosts.push(thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let until = player.acknowledged + 50;
                    player.deliver_all(until, &ledger, &stop);
                    thread::sleep(random.millis(0..pause + 1));
                }
                (player.number, player.acknowledged)
            }));
        }
    }

    pub(crate) fn is_enough(&self, rounds: u64) -> bool {
        let dead = self.hosts.iter().any(JoinHandle::is_finished);
        let acknowledged = self.ledger.acknowledged.load(Ordering::Relaxed);
        dead || (rounds >= setting("ROUNDS", 2) && acknowledged >= setting("EVENTS", 3000))
    }

    /// Hosts stop, each after an Ack; gives their numbers and last records.
    pub(crate) fn join_hosts(&mut self) -> Vec<(u32, u32)> {
        self.sources.calm();
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.hosts.drain(..).map(JoinHandle::join);
        ended.collect::<Result<_, _>>().expect("a host panicked")
    }

    /// The relay, which must not have ended by itself.
    pub(crate) fn relay(&mut self) -> &mut Relay {
        let relay = self.relay.as_mut().unwrap();
        assert!(relay.process.is_running(), "the relay ended by itself");
        relay
    }

    pub(crate) fn note(&mut self, what: &'static str) {
        *self.broken.entry(what).or_default() += 1;
    }

    pub(crate) fn broken(&self, what: &str) -> u64 {
        self.broken.get(what).copied().unwrap_or(0)
    }

    pub(crate) fn wait(&mut self, millis: std::ops::Range<u64>) {
        thread::sleep(self.random.millis(millis));
    }

    /// Something happens to the relay or its machine; nothing that receivers have
    /// not read is lost by it.
    pub(crate) fn break_relay(&mut self) {
        self.wait(50..400);
        self.memory = self.memory.max(self.relay().memory());
        match self.random.draw(&mut self.deck, &RELAY_FAULTS) {
            RelayFault::Kill => self.end_and_restart(Signal::KILL, "SIGKILL"),
            RelayFault::End => self.end_and_restart(Signal::TERM, "SIGTERM"),
            RelayFault::FullDisk => self.limit(Resource::Fsize, 4096, "no room on disk"),
            RelayFault::NoDescriptors => self.limit(Resource::Nofile, 5, "no file descriptors"),
            RelayFault::Reload => {
                self.note("SIGHUP");
                self.relay().process.signal(Signal::HUP);
            }
        }
    }

    pub(crate) fn end_and_restart(&mut self, signal: Signal, name: &'static str) {
        self.note(name);
        let mut relay = self.relay.take().unwrap();
        relay.process.signal(signal);
        let status = relay.process.wait();
        assert_eq!(status.success(), signal == Signal::TERM, "{status}");
        self.wait(0..300);
        self.relay = Some(start_relay(relay.port(), &self.dir, &self.arguments));
    }

    /// Takes the running relay's means away for a while.
    fn limit(&mut self, resource: Resource, current: u64, name: &'static str) {
        self.note(name);
        let before = self.relay().limit(resource, Some(current));
        self.wait(200..1000);
        self.relay().limit(resource, before);
    }

    pub(crate) fn end_relay(&mut self) {
        let status = self.relay().process.terminate();
        assert!(status.success(), "{status}");
    }

    /// The invariant.
    pub(crate) fn check(&self, tally: &Tally, hosts: &[(u32, u32)]) {
        assert_eq!(tally.errors(), Vec::<String>::new(), "bad messages");
        for &(host, last) in hosts {
            let missing = tally.missing(host, last);
            assert!(
                missing.is_empty(),
                "host {host}: acknowledged, yet missing: {missing:?}"
            );
        }
        assert_eq!(tally.out_of_order(), [], "out of order");
        assert!(self.memory < MEMORY, "the relay took {} kB", self.memory);
        self.report(tally);
    }

    fn report(&self, tally: &Tally) {
        let seconds = self.began.elapsed().as_secs();
        let count = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        let ledger = &self.ledger;
        println!(
            "chaos {}: {} events acknowledged in {} batches, 0 lost; {} repeats; {seconds} s\n  \
             hosts: {} bookmarks taken up, {} exchanges failed, {} answered 503; \
             {} connections, {} broken\n  broken: {:?}; the relay's memory: {} kB at most",
            self.name,
            count(&ledger.acknowledged),
            count(&ledger.batches),
            tally.arrivals() - tally.distinct(),
            count(&ledger.resumed),
            count(&ledger.failed),
            count(&ledger.unavailable),
            self.sources.accepted(),
            self.sources.struck(),
            self.broken,
            self.memory,
        );
    }
}

fn start_relay(port: u16, dir: &TempDir, arguments: &[String]) -> Relay {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Relay::start_on(port, dir, &arguments)
}

/// Every other connection of a host breaks somewhere.
fn source_faults(mut random: Random) -> impl FnMut() -> Plan + Send {
    move || {
        if random.one_in(2) {
            return Plan::NONE;
        }
        Plan {
            fault: Fault::any(&mut random),
            at: random.below(200_000),
        }
    }
}

fn setting(name: &str, default: u64) -> u64 {
    let name = format!("WECRELAY_CHAOS_{name}");
    std::env::var(&name).map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}
