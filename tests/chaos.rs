//! Everything breaks at random points while hosts send: connections on both sides,
//! the receiver, the relay itself, its disk, its file descriptors. What was
//! acknowledged must have arrived, in order apart from repeats.
//!
//! The short form runs as it is. `scripts/soak` runs the long one, by environment:
//! `WECRELAY_CHAOS_EVENTS` (at least so many), `_ROUNDS` (at least so often does
//! everything break), `_HOSTS`, `_SEED`, `_PAUSE` (milliseconds between batches).
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::as_conversions,
    clippy::disallowed_methods,
    reason = "test code may panic and use the clock and sockets"
)]

mod support;

use rustix::process::{Resource, Signal};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use support::{
    Fault, Ledger, Plan, Player, Proxy, Random, Receiver, Relay, Tally, TempDir, wait_for,
};

/// How long hosts wait for an answer; a stalled receiver has to bring a 503 before.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The host whose events show that all before them have arrived.
const PROBE: u32 = 0;
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

#[derive(Clone, Copy)]
enum ReceiverFault {
    Kill,
    Stall,
    Refuse,
    Strike(&'static str, Fault),
}

const RECEIVER_FAULTS: [ReceiverFault; 8] = [
    ReceiverFault::Kill,
    ReceiverFault::Kill,
    ReceiverFault::Stall,
    ReceiverFault::Refuse,
    ReceiverFault::Strike("output cut", Fault::Cut),
    ReceiverFault::Strike("output reset", Fault::Reset),
    ReceiverFault::Strike("output half closed", Fault::HalfClose),
    ReceiverFault::Strike("output slow", Fault::Slow(5000)),
];

#[test]
fn over_tcp_nothing_acknowledged_is_lost_whatever_breaks() {
    let mut chaos = Tcp::start();
    let mut rounds = 0;
    while !chaos.scene.is_enough(rounds) {
        chaos.break_relay();
        chaos.settle();
        chaos.break_receiver();
        chaos.settle();
        rounds += 1;
    }
    chaos.finish();
}

#[test]
fn in_a_file_nothing_acknowledged_is_lost_whatever_breaks() {
    let mut scene = Scene::start("file", |dir| format!("file:{}", dir.file("out")));
    let mut rounds = 0;
    while !scene.is_enough(rounds) {
        for _ in 0..4 {
            scene.break_relay();
        }
        rounds += 1;
    }
    let hosts = scene.join_hosts();
    let cuts = scene.broken("SIGKILL") + scene.broken("no room on disk");
    scene.end_relay();
    let tally = Tally::default();
    let cut = read_file(&scene.dir.file("out"), &tally);
    assert!(
        cut <= cuts,
        "{cut} lines are cut, yet only {cuts} faults cut"
    );
    scene.check(&tally, &hosts);
}

/// Takes in the lines of a file; gives the number of those that were cut.
fn read_file(path: &str, tally: &Tally) -> u64 {
    let connection = tally.open();
    let text = std::fs::read(path).unwrap();
    let lines = text.split(|&byte| byte == b'\n').filter(|l| !l.is_empty());
    let good = lines.filter(|line| {
        let is_good = support::parse_line(line).is_ok();
        if is_good {
            tally.note(connection, line);
        }
        !is_good
    });
    u64::try_from(good.count()).unwrap()
}

fn setting(name: &str, default: u64) -> u64 {
    let name = format!("WECRELAY_CHAOS_{name}");
    std::env::var(&name).map_or(default, |text| {
        let number = text.parse();
        number.unwrap_or_else(|_| panic!("{name}={text} is no number"))
    })
}

/// Hosts that send through a proxy to a relay, and what has been broken so far.
struct Scene {
    name: &'static str,
    began: Instant,
    random: Random,
    dir: TempDir,
    arguments: Vec<String>,
    relay: Option<Relay>,
    sources: Proxy,
    ledger: Arc<Ledger>,
    hosts: Vec<JoinHandle<(u32, u32)>>,
    stop: Arc<AtomicBool>,
    deck: Vec<RelayFault>,
    broken: BTreeMap<&'static str, u64>,
    memory: u64,
}

impl Scene {
    fn start(name: &'static str, output: impl FnOnce(&TempDir) -> String) -> Self {
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

    fn is_enough(&self, rounds: u64) -> bool {
        let dead = self.hosts.iter().any(JoinHandle::is_finished);
        let acknowledged = self.ledger.acknowledged.load(Ordering::Relaxed);
        dead || (rounds >= setting("ROUNDS", 2) && acknowledged >= setting("EVENTS", 3000))
    }

    /// Hosts stop, each after an Ack; gives their numbers and last records.
    fn join_hosts(&mut self) -> Vec<(u32, u32)> {
        self.sources.calm();
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.hosts.drain(..).map(JoinHandle::join);
        ended.collect::<Result<_, _>>().expect("a host panicked")
    }

    /// The relay, which must not have ended by itself.
    fn relay(&mut self) -> &mut Relay {
        let relay = self.relay.as_mut().unwrap();
        assert!(relay.process.is_running(), "the relay ended by itself");
        relay
    }

    fn note(&mut self, what: &'static str) {
        *self.broken.entry(what).or_default() += 1;
    }

    fn broken(&self, what: &str) -> u64 {
        self.broken.get(what).copied().unwrap_or(0)
    }

    fn wait(&mut self, millis: std::ops::Range<u64>) {
        thread::sleep(self.random.millis(millis));
    }

    /// Something happens to the relay or its machine; nothing that receivers have
    /// not read is lost by it.
    fn break_relay(&mut self) {
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

    fn end_and_restart(&mut self, signal: Signal, name: &'static str) {
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

    fn end_relay(&mut self) {
        let status = self.relay().process.terminate();
        assert!(status.success(), "{status}");
    }

    /// The invariant.
    fn check(&self, tally: &Tally, hosts: &[(u32, u32)]) {
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

/// A relay that sends through a proxy to a receiver over TCP. There the promise
/// holds unless relay and receiver break within one window: so they take turns, and
/// between turns everything has to arrive.
struct Tcp {
    scene: Scene,
    tally: Arc<Tally>,
    receiver: Receiver,
    output: Proxy,
    probe: Player,
    deck: Vec<ReceiverFault>,
}

impl Tcp {
    fn start() -> Self {
        let tally = Arc::<Tally>::default();
        let receiver = Receiver::start(&tally);
        let output = Proxy::to(receiver.port());
        let mut scene = Scene::start("tcp", |_| format!("tcp://127.0.0.1:{}", output.port()));
        let port = scene.relay().port();
        let probe = Player::new(PROBE, port, scene.random.fork(), TIMEOUT);
        Self {
            scene,
            tally,
            receiver,
            output,
            probe,
            deck: Vec::new(),
        }
    }

    fn break_relay(&mut self) {
        for _ in 0..4 {
            let random = &mut self.scene.random;
            if random.one_in(2) {
                self.output.strike(Fault::harmless(random));
            }
            self.scene.break_relay();
        }
    }

    fn break_receiver(&mut self) {
        for _ in 0..4 {
            self.scene.wait(100..600);
            match self.scene.random.draw(&mut self.deck, &RECEIVER_FAULTS) {
                ReceiverFault::Kill => self.kill_receiver(),
                ReceiverFault::Stall => self.stall_receiver(),
                ReceiverFault::Refuse => self.refuse(),
                ReceiverFault::Strike(name, fault) => self.strike(name, fault),
            }
        }
    }

    fn kill_receiver(&mut self) {
        self.scene.note("receiver killed");
        self.receiver.kill();
        self.scene.wait(0..500);
        self.receiver.restart();
    }

    fn stall_receiver(&mut self) {
        self.scene.note("receiver stalled");
        self.receiver.stall(true);
        self.scene.wait(100..6000);
        self.receiver.stall(false);
    }

    fn refuse(&mut self) {
        self.scene.note("receiver refuses");
        self.output.refuse();
        self.output.strike(Fault::Reset);
        self.scene.wait(0..1000);
        self.output.calm();
    }

    /// Breaks the connection to the receiver, and perhaps the next ones too.
    fn strike(&mut self, name: &'static str, fault: Fault) {
        self.scene.note(name);
        let mut random = self.scene.random.fork();
        self.output.plan(move || Plan {
            fault: Fault::any(&mut random),
            at: random.below(300_000),
        });
        self.output.strike(fault);
    }

    /// Nothing breaks any more until all that was acknowledged so far has arrived.
    fn settle(&mut self) {
        self.output.calm();
        self.receiver.restart();
        self.receiver.stall(false);
        let next = self.probe.acknowledged + 1;
        let never = AtomicBool::new(false);
        self.probe.deliver_all(next, &Ledger::default(), &never);
        let next = self.probe.acknowledged;
        wait_for("the probe", || {
            self.tally.contains(PROBE, next).then_some(())
        });
        wait_for("the end of old connections", || {
            (self.output.connections() <= 1 && self.receiver.connections() <= 1).then_some(())
        });
    }

    fn finish(mut self) {
        let hosts = self.scene.join_hosts();
        self.settle();
        self.scene.end_relay();
        self.scene.check(&self.tally, &hosts);
    }
}
