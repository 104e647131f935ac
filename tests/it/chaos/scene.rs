//! Hosts, a relay, and the faults around them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Signal};

use super::held::Held;
use super::state::State;
use crate::support::{
    COLLECTOR, Clock, Fault, Issued, Ledger, NameServer, Plan, Player, Proxy, Random, Relay,
    SmallDisk, Tally, TempDir, Use,
};

/// Timeout of hosts; with a stalled receiver, a 503 must arrive before it.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(4);
/// Limit of the relay's memory in these tests, in kB: up to 64 MiB can wait for an output, and
/// 8 MiB are kept for replay.
const MEMORY: u64 = 250_000;
/// Maximum error of the relay's clock in seconds, so that certificates stay valid.
const WRONG: u64 = 12 * 3600;

#[derive(Clone, Copy)]
enum RelayFault {
    Kill,
    End,
    FullDisk,
    FileLimit,
    NoDescriptors,
    Clock,
    Reload,
    UnreadLog,
    DamagedRow,
    DeletedState,
}

/// A deck to draw from, so that each fault occurs in every thirteen.
const RELAY_FAULTS: [RelayFault; 13] = [
    RelayFault::Kill,
    RelayFault::Kill,
    RelayFault::Kill,
    RelayFault::End,
    RelayFault::FullDisk,
    RelayFault::FileLimit,
    RelayFault::NoDescriptors,
    RelayFault::Clock,
    RelayFault::Clock,
    RelayFault::Reload,
    RelayFault::UnreadLog,
    RelayFault::DamagedRow,
    RelayFault::DeletedState,
];

/// Faults that last for some time.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Lack {
    Disk,
    Limit(Resource, Option<u64>),
    Reader,
}

/// Hosts that send through proxies to a relay, over http and https, and the faults so far.
pub(crate) struct Scene {
    name: &'static str,
    began: Instant,
    pub(crate) random: Random,
    arguments: Vec<String>,
    pub(crate) relay: Option<Relay>,
    pub(crate) clock: Clock,
    disk: SmallDisk,
    names: NameServer,
    state: State,
    root: Issued,
    /// Proxies in front of the http and the https listener.
    sources: [Proxy; 2],
    ledger: Arc<Ledger>,
    hosts: Vec<JoinHandle<(u32, u32)>>,
    stop: Arc<AtomicBool>,
    deck: Vec<RelayFault>,
    lacks: Held<Lack>,
    broken: BTreeMap<&'static str, u64>,
    memory: u64,
    pub(crate) dir: TempDir,
}

impl Scene {
    pub(crate) fn start(name: &'static str, output: impl FnOnce(&TempDir) -> String) -> Self {
        let mut scene = Self::empty(name, output);
        scene.start_hosts();
        scene
    }

    /// A scene without hosts.
    pub(crate) fn empty(name: &'static str, output: impl FnOnce(&TempDir) -> String) -> Self {
        let seed = setting("SEED", 1);
        println!("chaos {name}: seed {seed}");
        let mut random = Random::new(seed);
        let dir = TempDir::new();
        let root = Issued::root("hosts");
        let output = output(&dir);
        let arguments = arguments(&dir, &root, output);
        let (clock, disk) = (Clock::new(&dir), SmallDisk::mount(&dir.file("state")));
        let names = NameServer::start(&dir);
        let relay = start_relay([0, 0], &dir, &arguments, (&clock, &names));
        let sources = [relay.port(), relay.secure_port()].map(|port| {
            let proxy = Proxy::to(port);
            proxy.plan(source_faults(random.fork()));
            proxy
        });
        let state = State::new(&dir, sources[0].port(), random.fork());
        Self {
            name,
            began: Instant::now(),
            random,
            arguments,
            relay: Some(relay),
            clock,
            disk,
            names,
            state,
            root,
            sources,
            ledger: Arc::default(),
            hosts: Vec::new(),
            stop: Arc::default(),
            deck: Vec::new(),
            lacks: Held::new(),
            broken: BTreeMap::new(),
            memory: 0,
            dir,
        }
    }

    fn start_hosts(&mut self) {
        self.note("dead name of another output");
        if self.names.is_asked() {
            self.note("silent name server of another output");
        }
        let pause = setting("PAUSE", 20);
        for number in 1..=u32::try_from(setting("HOSTS", 12)).unwrap() {
            let mut random = self.random.fork();
            let is_secure = number.is_multiple_of(2);
            let proxy = &self.sources[usize::from(is_secure)];
            let mut player = Player::new(number, proxy.port(), random.fork(), TIMEOUT);
            if is_secure {
                player = player.secured(&self.root);
            }
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
        if rounds.is_multiple_of(20) {
            let seconds = self.began.elapsed().as_secs();
            println!(
                "chaos {}: {acknowledged} events so far, {seconds} s",
                self.name
            );
        }
        dead || (rounds >= setting("ROUNDS", 2) && acknowledged >= setting("EVENTS", 2000))
    }

    /// Ends all faults of the relay and stops the hosts, each after an Ack.
    /// Returns their numbers and last records.
    pub(crate) fn join_hosts(&mut self) -> Vec<(u32, u32)> {
        self.mend_relay();
        self.sources.iter().for_each(Proxy::calm);
        self.stop.store(true, Ordering::SeqCst);
        let ended = self.hosts.drain(..).map(JoinHandle::join);
        ended.collect::<Result<_, _>>().expect("a host panicked")
    }

    /// The relay, which must not have exited on its own.
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
        self.wait_and(millis, || {});
    }

    /// Waits, ends faults whose time is over, and calls `look` repeatedly.
    pub(crate) fn wait_and(&mut self, millis: std::ops::Range<u64>, mut look: impl FnMut()) {
        let until = Instant::now() + self.random.millis(millis);
        loop {
            look();
            while let Some(lack) = self.lacks.take_due() {
                self.end_lack(lack);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            thread::sleep(left.min(Duration::from_millis(50)));
        }
    }

    /// Time between faults: longer in long runs, so that events are delivered in between.
    pub(crate) fn between(&self) -> std::ops::Range<u64> {
        100..600 + setting("CALM", 300)
    }

    /// Causes a fault of the relay or its machine, which loses no data that receivers have not
    /// read. Some faults last, and overlap with later ones.
    pub(crate) fn break_relay(&mut self) {
        self.wait(self.between());
        self.break_now();
    }

    pub(crate) fn break_now(&mut self) {
        self.memory = self.memory.max(self.relay().memory());
        match self.random.draw(&mut self.deck, &RELAY_FAULTS) {
            RelayFault::Kill => self.end_and_restart(Signal::KILL, "SIGKILL"),
            RelayFault::End => self.end_and_restart(Signal::TERM, "SIGTERM"),
            RelayFault::FullDisk => self.fill_disk(),
            RelayFault::FileLimit => self.limit(Resource::Fsize, 4096, "file size limit"),
            RelayFault::NoDescriptors => self.limit(Resource::Nofile, 5, "no file descriptors"),
            RelayFault::Clock => self.jump(),
            RelayFault::Reload => {
                self.note("SIGHUP");
                self.relay().process.signal(Signal::HUP);
            }
            RelayFault::UnreadLog => self.leave_log(),
            RelayFault::DamagedRow => self.damage_row(),
            RelayFault::DeletedState => self.delete_state(),
        }
    }

    /// Restarts the relay, which ends its limits. Frees space on a full disk, because the relay
    /// could not start.
    pub(crate) fn end_and_restart(&mut self, signal: Signal, name: &'static str) {
        self.end_and(signal, name, |_| {});
    }

    fn end_and(&mut self, signal: Signal, name: &'static str, act: impl FnOnce(&mut Self)) {
        self.note(name);
        let mut relay = self.relay.take().unwrap();
        relay.process.signal(signal);
        let status = relay.process.wait();
        relay.process.leave_log(false);
        assert_eq!(status.success(), signal == Signal::TERM, "{status}");
        self.lacks.forget(|_| true);
        self.disk.free();
        self.wait(0..300);
        act(self);
        let ports = [relay.port(), relay.secure_port()];
        let machine = (&self.clock, &self.names);
        self.relay = Some(start_relay(ports, &self.dir, &self.arguments, machine));
    }

    /// Damages one row of the database before the next start, which affects only its host.
    fn damage_row(&mut self) {
        self.state.play();
        self.end_and(Signal::KILL, "SIGKILL", |scene| {
            if scene.state.damage_row() {
                scene.note("row of the state damaged");
            }
        });
        self.state.play();
    }

    /// Deletes the database of the running relay, and causes no other faults until the relay has
    /// written it again.
    fn delete_state(&mut self) {
        self.mend_relay();
        self.note("state deleted");
        self.state.delete();
    }

    fn fill_disk(&mut self) {
        let time = self.random.millis(200..1500);
        if self.disk.is_mounted() && self.lacks.hold(Lack::Disk, time) {
            self.note("disk full");
            self.disk.fill();
        }
    }

    /// Limits a resource of the running relay for some time.
    fn limit(&mut self, resource: Resource, current: u64, name: &'static str) {
        let time = self.random.millis(200..1000);
        let before = self.relay().limit(resource, Some(current));
        if before != Some(current) && self.lacks.hold(Lack::Limit(resource, before), time) {
            self.note(name);
        }
    }

    /// Stops reading the log for some time.
    fn leave_log(&mut self) {
        let time = self.random.millis(1000..8000);
        if self.lacks.hold(Lack::Reader, time) {
            self.note("log unread");
            self.relay().process.leave_log(true);
        }
    }

    fn end_lack(&mut self, lack: Lack) {
        match lack {
            Lack::Reader => self.relay().process.leave_log(false),
            Lack::Disk => self.disk.free(),
            Lack::Limit(resource, before) => drop(self.relay().limit(resource, before)),
        }
    }

    /// Sets the relay's wall clock back or forward.
    fn jump(&mut self) {
        self.note("clock jump");
        let seconds = i64::try_from(self.random.below(2 * WRONG)).unwrap();
        self.clock.set(seconds - i64::try_from(WRONG).unwrap());
    }

    pub(crate) fn mend_relay(&mut self) {
        while let Some(lack) = self.lacks.take_any() {
            self.end_lack(lack);
        }
    }

    pub(crate) fn end_relay(&mut self) {
        self.mend_relay();
        let status = self.relay().process.terminate();
        assert!(status.success(), "{status}");
    }

    /// Checks the invariant.
    pub(crate) fn check(&self, tally: &Tally, hosts: &[(u32, u32)], outputs: Option<&Proxy>) {
        self.check_arrivals(tally, hosts, outputs);
        assert_eq!(tally.out_of_order(), [], "out of order");
    }

    /// The same for receivers that accept messages out of order.
    pub(crate) fn check_arrivals(
        &self,
        tally: &Tally,
        hosts: &[(u32, u32)],
        outputs: Option<&Proxy>,
    ) {
        let lost: usize = hosts
            .iter()
            .map(|&(host, last)| tally.missing(host, last).len())
            .sum();
        self.report(tally, lost, outputs);
        assert_eq!(tally.errors(), Vec::<String>::new(), "bad messages");
        for &(host, last) in hosts {
            let missing = tally.missing(host, last);
            assert!(
                missing.is_empty(),
                "host {host}: acknowledged, yet missing: {missing:?}"
            );
        }
        assert!(self.memory < MEMORY, "the relay took {} kB", self.memory);
    }

    /// Prints the totals; `scripts/soak` adds up the lines with `=`.
    fn report(&self, tally: &Tally, lost: usize, outputs: Option<&Proxy>) {
        let name = self.name;
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let ledger = &self.ledger;
        println!(
            "chaos {name}: events={} batches={} lost={lost} repeats={} seconds={}",
            count(&ledger.acknowledged),
            count(&ledger.batches),
            tally.arrivals() - tally.distinct(),
            self.began.elapsed().as_secs(),
        );
        println!(
            "chaos {name}: hosts: {} bookmarks taken up, {} exchanges failed, {} answered 503; \
             the relay's memory: {} kB at most",
            count(&ledger.resumed),
            count(&ledger.failed),
            count(&ledger.unavailable),
            self.memory,
        );
        let mut faults: BTreeMap<String, u64> = BTreeMap::new();
        let sides = [("http", &self.sources[0]), ("https", &self.sources[1])];
        let sides = sides
            .into_iter()
            .chain(outputs.map(|proxy| ("output", proxy)));
        for (side, proxy) in sides {
            for (kind, count) in proxy.struck_by_kind() {
                faults.insert(format!("{side} {kind}"), count);
            }
        }
        faults.extend(self.broken.iter().map(|(what, n)| ((*what).to_owned(), *n)));
        for (fault, count) in faults {
            println!("fault {name}: {fault}={count}");
        }
    }
}

fn arguments(dir: &TempDir, root: &Issued, output: String) -> Vec<String> {
    let server = root.issue(COLLECTOR, Use::Server, 100);
    let (certificate, key) = server.write(dir, "collector");
    use std::os::unix::fs::PermissionsExt;
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o600)).unwrap();
    let (authority, _) = root.write(dir, "root");
    let channel = "Microsoft-Windows-Sysmon/Operational".to_owned();
    let pairs = [
        // It fills the pipe of the log quickly if it is not read.
        ("--verbose", String::new()),
        // A name that does not exist, of an output that is not required.
        (
            "--output",
            "tcp://dead.name.invalid:601?required=no".to_owned(),
        ),
        // A name for which the name server does not answer.
        (
            "--output",
            "tcp://silent.name.test:601?required=no".to_owned(),
        ),
        ("--output", output),
        ("--channel", channel),
        ("--message", "xml".to_owned()),
        ("--tls-cert", certificate),
        ("--tls-key", key),
        ("--client-ca", authority),
    ];
    let pairs = pairs.into_iter();
    pairs
        .flat_map(|(flag, value)| [flag.to_owned(), value])
        .filter(|argument| !argument.is_empty())
        .collect()
}

fn start_relay(
    ports: [u16; 2],
    dir: &TempDir,
    arguments: &[String],
    machine: (&Clock, &NameServer),
) -> Relay {
    let arguments: Vec<_> = arguments.iter().map(String::as_str).collect();
    Relay::start_on_both(ports, dir, &arguments, machine)
}

/// Every other connection of a host has a fault.
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
