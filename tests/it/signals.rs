//! SIGHUP applies new files completely or not at all; SIGTERM finishes batches in flight,
//! within a time limit.

use std::io::Write;
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    Ledger, Offer, Player, Random, Receiver, Relay, StreamSink, Tally, TempDir, numbered_event,
    wait_for,
};

const MACHINE: &str = "ws-07.example.test";
/// The log (-v) of a batch that has arrived.
const BATCH: &str = "wsman/1/wsman/Events";
const KEPT: &str = "not reloaded, nothing has changed";

#[test]
fn sighup_takes_a_changed_subscription() {
    let stage = Stage::start();
    let before = stage.offer();
    stage.subscribe_to("System", "*[System[Level=1]]");
    stage.reload("reloaded");
    let after = stage.offer();
    assert_eq!(after.name, before.name);
    assert_ne!(after.version, before.version, "the host would not look");
    stage.reload("reloaded");
    assert_eq!(stage.offer(), after, "nothing has changed since");
}

#[test]
fn a_channel_added_on_sighup_is_warned_of_once() {
    let stage = Stage::start();
    stage.subscribe_to("Application", "*[System[Level=1]]");
    let line = stage.reload("whole history");
    assert!(line.contains("\"Application\""), "{line}");
    stage.reload("reloaded");
    assert_eq!(
        stage.relay.process.log().matches("whole history").count(),
        1
    );
}

#[test]
fn a_bad_subscription_file_keeps_the_old_ones_and_says_why() {
    let stage = Stage::start();
    let before = stage.offer();
    for bad in ["<Subscription", "", "<Query/>", "\u{0}"] {
        std::fs::write(stage.dir.file("subscription.xml"), bad).unwrap();
        let line = stage.reload(KEPT);
        assert!(line.contains("subscription.xml"), "{line}");
        assert_eq!(stage.offer(), before);
    }
    std::fs::remove_file(stage.dir.file("subscription.xml")).unwrap();
    stage.reload(KEPT);
    assert_eq!(stage.offer(), before);
}

#[test]
fn accounts_are_taken_and_dropped() {
    let stage = Stage::start();
    assert!(stage.logs_on("alice"));
    assert!(!stage.logs_on("bob"));
    stage.allow(&["bob"]);
    stage.reload("reloaded");
    assert!(!stage.logs_on("alice"));
    assert!(stage.logs_on("bob"));
}

#[test]
fn one_bad_file_keeps_all_old_ones() {
    let stage = Stage::start();
    let before = stage.offer();
    stage.subscribe_to("System", "*[System[Level=1]]");
    std::fs::write(stage.dir.file("users"), "no account\n").unwrap();
    let line = stage.reload(KEPT);
    assert!(line.contains("users") && line.contains('1'), "{line}");
    assert_eq!(stage.offer(), before, "half of it was taken");
    assert!(stage.logs_on("alice"));
}

#[test]
fn a_batch_in_flight_survives_sighup() {
    let dir = TempDir::new();
    let sink = StreamSink::stalled();
    let mut relay = Relay::start(
        &dir,
        &["-v", "--output", &sink.url(), "--allow-unencrypted"],
    );
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    let event = large_event(7);
    let waiting = thread::spawn(move || source.deliver(&offer, &[event], 7));
    relay.process.wait_for_log(BATCH);
    relay.process.signal(Signal::HUP);
    wait_for("the reload", || {
        relay.process.log().contains("reloaded").then_some(())
    });
    assert!(!waiting.is_finished());
    sink.resume();
    assert!(waiting.join().unwrap(), "not acknowledged");
    assert_eq!(sink.wait_for(1)[0].sequence(), 7);
}

#[test]
fn no_event_is_lost_when_files_are_rotated() {
    const EVENTS: u32 = 600;
    let dir = TempDir::new();
    let out = dir.file("out");
    let relay = Relay::start(&dir, &["--output", &format!("file:{out}")]);
    let mut host = Player::new(1, relay.port(), Random::new(3), Duration::from_secs(10));
    let sending = thread::spawn(move || {
        host.deliver_all(EVENTS, &Ledger::default(), &AtomicBool::new(false));
    });
    let mut rotated = 0;
    while !sending.is_finished() {
        if std::fs::metadata(&out).is_ok_and(|file| file.len() > 0) {
            std::fs::rename(&out, dir.file(&format!("out.{rotated}"))).unwrap();
            rotated += 1;
            relay.process.signal(Signal::HUP);
        }
        thread::sleep(Duration::from_millis(20));
    }
    sending.join().unwrap();
    assert!(rotated > 1);
    let rotated = (0..rotated).map(|number| dir.file(&format!("out.{number}")));
    let tally = Tally::default();
    for file in rotated.chain([out]) {
        let connection = tally.open();
        let text = std::fs::read(file).unwrap_or_default();
        for line in text.split(|&byte| byte == b'\n').filter(|l| !l.is_empty()) {
            tally.note(connection, line);
        }
    }
    assert_eq!(tally.errors(), Vec::<String>::new());
    assert!(tally.missing(1, EVENTS).is_empty());
    assert_eq!((tally.arrivals(), tally.out_of_order()), (600, vec![]));
}

#[test]
fn sigterm_under_load_loses_and_repeats_nothing() {
    let tally = Arc::<Tally>::default();
    let receiver = Receiver::start(&tally);
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &["--output", &receiver.url()]);
    let (stop, ledger) = (Arc::new(AtomicBool::new(false)), Arc::<Ledger>::default());
    let start = |number| {
        let random = Random::new(u64::from(number));
        let mut host = Player::new(number, relay.port(), random, Duration::from_secs(10));
        let (stop, ledger) = (Arc::clone(&stop), Arc::clone(&ledger));
        thread::spawn(move || {
            host.deliver_all(1_000_000, &ledger, &stop);
            (number, host.acknowledged)
        })
    };
    let hosts: Vec<_> = (1..=8).map(start).collect();
    wait_for("load", || {
        (ledger.acknowledged.load(Ordering::Relaxed) > 300).then_some(())
    });
    relay.process.signal(Signal::TERM);
    let status = relay.process.wait();
    stop.store(true, Ordering::SeqCst);
    assert_eq!(status.code(), Some(0));
    assert!(TcpStream::connect(("127.0.0.1", relay.port())).is_err());
    for host in hosts {
        let (number, last) = host.join().unwrap();
        wait_for("what was acknowledged", || {
            tally.missing(number, last).is_empty().then_some(())
        });
    }
    assert_eq!(tally.errors(), Vec::<String>::new());
    assert_eq!(tally.out_of_order(), []);
    assert_eq!(tally.arrivals(), tally.distinct(), "repeats");
}

/// A relay with one batch in flight to a receiver that accepts nothing.
struct Stuck {
    relay: Relay,
    /// Whether the batch was acknowledged.
    waiting: thread::JoinHandle<bool>,
    _sink: StreamSink,
    _dir: TempDir,
}

impl Stuck {
    fn start() -> Self {
        let dir = TempDir::new();
        let sink = StreamSink::stalled();
        let mut relay = Relay::start(
            &dir,
            &["-v", "--output", &sink.url(), "--allow-unencrypted"],
        );
        let mut source = relay.source(MACHINE);
        let offer = source.subscribe();
        let waiting = thread::spawn(move || source.deliver(&offer, &[large_event(7)], 7));
        relay.process.wait_for_log(BATCH);
        Self {
            relay,
            waiting,
            _sink: sink,
            _dir: dir,
        }
    }
}

#[test]
fn sigterm_ends_in_time_though_the_receiver_is_stuck() {
    let mut stuck = Stuck::start();
    let began = Instant::now();
    assert_eq!(stuck.relay.process.terminate().code(), Some(0));
    let time = began.elapsed();
    assert!(time > Duration::from_secs(8), "ended after {time:?}");
    assert!(time < Duration::from_secs(14), "ended after {time:?}");
    assert!(
        !stuck.waiting.join().unwrap(),
        "acknowledged, yet not delivered"
    );
}

#[test]
fn a_second_sigterm_ends_at_once() {
    let mut stuck = Stuck::start();
    let began = Instant::now();
    stuck.relay.process.signal(Signal::TERM);
    stuck.relay.process.wait_for_log("stopping");
    assert_eq!(stuck.relay.process.terminate().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(5));
    assert!(
        !stuck.waiting.join().unwrap(),
        "acknowledged, yet not delivered"
    );
}

#[test]
fn sighup_reads_the_configuration_file_anew() {
    let dir = TempDir::new();
    let file = dir.file("wecrelay.toml");
    let write = |text: &str| std::fs::write(&file, text).unwrap();
    write("channel = 'System'\nusers = 'users'\noutput = 'file:out'\nallow-unencrypted = true\n");
    write_users(&dir, &["alice"]);
    let relay = Relay::start(&dir, &["--config", &file]);
    let stage = Stage { dir, relay };
    let before = stage.offer();
    assert!(stage.logs_on("alice"));

    write("chanel = 'Security'\n");
    let line = stage.reload(KEPT);
    assert!(line.contains("wecrelay.toml:1: "), "{line}");
    assert_eq!(stage.offer(), before);

    write_users(&stage.dir, &["bob"]);
    write(
        "channel = ['System', 'Setup']\nusers = 'users'\noutput = 'file:other'\n\
         metrics = '127.0.0.1:1'\nallow-unencrypted = true\n",
    );
    let line = stage.reload("requires a restart");
    assert!(line.contains("metrics, output changed"), "{line}");
    wait_for("the reload", || {
        stage.relay.process.log().contains("reloaded").then_some(())
    });
    wait_for("the new channel", || {
        (stage.offer().version != before.version).then_some(())
    });
    assert!(stage.logs_on("bob") && !stage.logs_on("alice"));
    assert!(!std::path::Path::new(&stage.dir.file("other")).exists());
    assert!(std::path::Path::new(&stage.dir.file("out")).exists());
}

/// An event larger than a stalled receiver accepts.
fn large_event(number: usize) -> String {
    numbered_event(number).replace("::ffff:192.0.2.10;", &"x".repeat(300_000))
}

/// A relay with a subscription file and an account file.
struct Stage {
    dir: TempDir,
    relay: Relay,
}

impl Stage {
    fn start() -> Self {
        let dir = TempDir::new();
        write_subscription(&dir, "System", "*");
        write_users(&dir, &["alice"]);
        let (subscription, users) = (dir.file("subscription.xml"), dir.file("users"));
        let out = format!("file:{}", dir.file("out"));
        let relay = Relay::start(
            &dir,
            &[
                "--output",
                &out,
                "--subscription",
                &subscription,
                "--users",
                &users,
                "--allow-unencrypted",
            ],
        );
        Self { dir, relay }
    }

    fn offer(&self) -> Offer {
        self.relay.source(MACHINE).subscribe()
    }

    fn subscribe_to(&self, channel: &str, query: &str) {
        write_subscription(&self.dir, channel, query);
    }

    fn allow(&self, users: &[&str]) {
        write_users(&self.dir, users);
    }

    /// Sends SIGHUP; returns the log line with the result.
    fn reload(&self, expected: &str) -> String {
        let before = self.relay.process.log().len();
        self.relay.process.signal(Signal::HUP);
        wait_for(expected, || {
            let log = self.relay.process.log();
            let mut lines = log[before..].lines();
            lines
                .find(|line| line.contains(expected))
                .map(str::to_owned)
        })
    }

    fn logs_on(&self, user: &str) -> bool {
        let mut child = command(&["send", &self.relay.url(), "--user", user]);
        let _ = writeln!(child.stdin.take().unwrap(), "secret of {user}");
        child.wait().unwrap().success()
    }
}

fn command(arguments: &[&str]) -> std::process::Child {
    Command::new(env!("CARGO_BIN_EXE_wecrelay"))
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

fn write_users(dir: &TempDir, users: &[&str]) {
    let mut text = Vec::new();
    for user in users {
        let mut child = command(&["passwd", user]);
        writeln!(child.stdin.take().unwrap(), "secret of {user}").unwrap();
        text.extend(child.wait_with_output().unwrap().stdout);
    }
    std::fs::write(dir.file("users"), text).unwrap();
}

fn write_subscription(dir: &TempDir, channel: &str, query: &str) {
    let text = format!(
        r#"<Subscription xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
  <SubscriptionId>Reloaded</SubscriptionId>
  <SubscriptionType>SourceInitiated</SubscriptionType>
  <Enabled>true</Enabled>
  <Uri>http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</Uri>
  <Query><![CDATA[<QueryList><Query Id="0"><Select Path="{channel}">{query}</Select></Query></QueryList>]]></Query>
  <ContentFormat>Events</ContentFormat>
</Subscription>"#
    );
    std::fs::write(dir.file("subscription.xml"), text).unwrap();
}
