//! Receivers that misbehave: stuck, slow, resetting, rejecting, without an address. Memory
//! stays bounded, hosts keep their events and are answered in time, and the relay recovers
//! automatically.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use crate::support::{
    Authority, Fault, Ledger, Plan, Player, Proxy, Random, Receiver, Relay, Rsyslog, StreamSink,
    SyslogNg, Talk, Tally, TempDir, free_port, numbered_event, run, wait_for, wait_for_all,
};

/// Timeout of the simulated hosts.
const TIMEOUT: Duration = Duration::from_secs(8);

#[test]
fn a_stuck_receiver_brings_503_in_time_and_recovers() {
    let dir = TempDir::new();
    let sink = StreamSink::stalled();
    let mut relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let script = "x".repeat(100_000);
    let hosts: Vec<_> = (0..8)
        .map(|number| {
            let event = numbered_event(number).replace("::ffff:192.0.2.10;", &script);
            let source = relay.source(&format!("ws-{number:02}.test"));
            (source.with_timeout(8), event)
        })
        .collect();
    let waiting = hosts.into_iter().map(|(mut source, event)| {
        thread::spawn(move || {
            let offer = source.subscribe();
            let (reply, time) =
                timed(|| source.try_deliver(&offer, std::slice::from_ref(&event), 1));
            assert_eq!(reply.unwrap().status, 503);
            assert!(time < TIMEOUT, "503 after {time:?}");
            (source, offer, event)
        })
    });
    let waiting: Vec<_> = waiting.collect();
    let hosts: Vec<_> = waiting.into_iter().map(|t| t.join().unwrap()).collect();
    assert_eq!(sink.count(), 0);
    assert_said_once(&relay, "503");
    sink.resume();
    for (mut source, offer, event) in hosts {
        wait_for("an Ack", || {
            source
                .deliver(&offer, std::slice::from_ref(&event), 1)
                .then_some(())
        });
    }
    relay.process.wait_for_log("delivers again");
}

#[test]
fn a_stuck_receiver_makes_no_memory_grow() {
    let dir = TempDir::new();
    let sink = StreamSink::stalled();
    let relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let script = "x".repeat(200_000);
    let start = |number| {
        let event = numbered_event(number).replace("::ffff:192.0.2.10;", &script);
        let source = relay.source(&format!("ws-{number:03}.test"));
        let mut source = source.with_timeout(1);
        thread::spawn(move || {
            let offer = source.subscribe();
            for _ in 0..4 {
                let reply = source.try_deliver(&offer, std::slice::from_ref(&event), 1);
                assert_eq!(reply.unwrap().status, 503);
            }
        })
    };
    let hosts: Vec<_> = (0..12).map(start).collect();
    hosts.into_iter().for_each(|host| host.join().unwrap());
    // 48 batches of 200 kB, or 400 kB as received: keeping them would be visible.
    let memory = relay.memory();
    assert!(memory < 30_000, "the relay took {memory} kB");
}

#[test]
fn a_slow_receiver_gets_everything_once() {
    let stage = Stage::start();
    stage.proxy.strike(Fault::Slow(3000));
    let hosts = stage.deliver(4, 150);
    stage.check(&hosts);
    assert_eq!(stage.tally.arrivals(), 600, "repeats");
    assert_eq!(stage.proxy.accepted(), 1, "connections");
}

#[test]
fn a_receiver_that_resets_in_mid_frame_gets_everything_in_order() {
    let stage = Stage::start();
    let mut random = Random::new(7);
    // Each connection must get further, because it repeats the replay window first.
    let mut reach = (1..=8).map(|number| number * 40_000);
    stage.proxy.plan(move || {
        reach.next().map_or(Plan::NONE, |bytes| Plan {
            fault: Fault::Reset,
            at: bytes + random.below(20_000),
        })
    });
    stage.proxy.strike(Fault::Reset);
    // Enough that events are still under way at the last reset.
    let hosts = stage.deliver(4, 600);
    stage.check(&hosts);
    assert_eq!(stage.proxy.struck(), 9, "resets");
    assert_said_once(&stage.relay, "trying again");
}

#[test]
fn a_receiver_that_takes_and_drops_connections_is_said_once() {
    let stage = Stage::start();
    stage.proxy.plan(|| Plan {
        fault: Fault::Cut,
        at: 0,
    });
    stage.proxy.strike(Fault::Cut);
    wait_for("attempts", || (stage.proxy.accepted() > 4).then_some(()));
    assert_said_once(&stage.relay, "trying again");
    stage.proxy.calm();
    let hosts = stage.deliver(2, 50);
    stage.check(&hosts);
    wait_for_log(&stage.relay, "open again");
    assert_said_once(&stage.relay, "trying again");
}

#[test]
fn a_receiver_that_refuses_is_said_once_and_tried_until_it_is_there() {
    let dir = TempDir::new();
    let port = free_port();
    let output = format!("tcp://127.0.0.1:{port}");
    let relay = Relay::start(&dir, &["--output", &output]);
    let mut host = Player::new(1, relay.port(), Random::new(1), TIMEOUT);
    assert_unavailable_in_time(&mut host);
    assert_said_once(&relay, "Connection refused");
    let sink = StreamSink::tcp_on(port);
    let never = AtomicBool::new(false);
    host.deliver_all(50, &Ledger::default(), &never);
    let lines = sink.wait_for(50);
    assert_eq!(lines.len(), 50, "repeats");
    wait_for_log(&relay, "open again");
}

#[test]
fn a_trouble_that_gets_another_cause_tells_that_too_once() {
    let dir = TempDir::new();
    let port = free_port();
    let output = format!("tls://127.0.0.1:{port}");
    let relay = Relay::start(&dir, &["--output", &output]);
    wait_for_log(&relay, "Connection refused");
    let authority = Authority::new("theirs");
    let tally = Arc::<Tally>::default();
    let receiver = Receiver::start_tls_on(port, &tally, &authority.issue(&["127.0.0.1"]));
    wait_for_log(&relay, "still failing");
    wait_for("attempts", || (receiver.accepted() > 3).then_some(()));
    assert_said_once(&relay, "trying again");
    assert_said_once(&relay, "name the authority's certificate with ?ca=");
}

#[test]
fn a_name_without_an_address_is_said_once_and_holds_back() {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--output", "tcp://receiver.invalid:601"]);
    let mut host = Player::new(1, relay.port(), Random::new(1), TIMEOUT);
    assert_unavailable_in_time(&mut host);
    assert_said_once(&relay, "receiver.invalid");
    wait_for_log(&relay, "hosts wait");
}

/// A host's batch is answered 503 before the host's timeout.
#[track_caller]
fn assert_unavailable_in_time(host: &mut Player) {
    let ledger = Ledger::default();
    wait_for("a 503", || {
        let (talk, time) = timed(|| host.step(20, &ledger));
        assert!(time < TIMEOUT, "answered after {time:?}");
        assert_ne!(talk, Talk::Failed);
        (talk == Talk::Unavailable).then_some(())
    });
    assert_eq!(host.acknowledged, 0);
}

fn timed<T>(act: impl FnOnce() -> T) -> (T, Duration) {
    let began = Instant::now();
    let value = act();
    (value, began.elapsed())
}

#[track_caller]
fn assert_said_once(relay: &Relay, text: &str) {
    wait_for_log(relay, text);
    let log = relay.process.log();
    assert_eq!(said(&log, text), 1, "{text:?} in {log}");
}

#[track_caller]
fn wait_for_log(relay: &Relay, text: &str) {
    wait_for(text, || relay.process.log().contains(text).then_some(()));
}

/// Number of log lines with this text, except the one that lists the outputs.
fn said(log: &str, text: &str) -> usize {
    let lines = log.lines().filter(|line| !line.contains("wecrelay "));
    lines.filter(|line| line.contains(text)).count()
}

/// A relay, a proxy behind it, and a receiver behind that.
struct Stage {
    _dir: TempDir,
    tally: Arc<Tally>,
    _receiver: Receiver,
    proxy: Proxy,
    relay: Relay,
}

impl Stage {
    fn start() -> Self {
        let tally = Arc::<Tally>::default();
        let receiver = Receiver::start(&tally);
        let proxy = Proxy::to(receiver.port());
        let dir = TempDir::new();
        let output = format!("tcp://127.0.0.1:{}", proxy.port());
        let relay = Relay::start(&dir, &["--output", &output]);
        wait_for("a connection", || (proxy.accepted() > 0).then_some(()));
        Self {
            _dir: dir,
            tally,
            _receiver: receiver,
            proxy,
            relay,
        }
    }

    /// Delivers `events` events from `hosts` hosts; returns what was acknowledged.
    fn deliver(&self, hosts: u32, events: u32) -> Vec<(u32, u32)> {
        let start = |number| {
            let random = Random::new(u64::from(number));
            let mut host = Player::new(number, self.relay.port(), random, TIMEOUT);
            thread::spawn(move || {
                let never = AtomicBool::new(false);
                host.deliver_all(events, &Ledger::default(), &never);
                (number, events)
            })
        };
        let hosts: Vec<_> = (1..=hosts).map(start).collect();
        hosts.into_iter().map(|host| host.join().unwrap()).collect()
    }

    fn check(&self, hosts: &[(u32, u32)]) {
        wait_for_all(&self.tally, hosts);
        assert_eq!(self.tally.errors(), Vec::<String>::new());
        assert_eq!(self.tally.out_of_order(), []);
    }
}

/// Whether `check --probe` succeeds for an output, and its report.
fn probed(output: &str) -> (bool, String) {
    let dir = TempDir::new();
    let state = dir.file("state");
    let arguments = [
        "check",
        "--probe",
        "--anonymous",
        "127.0.0.0/8",
        "--state",
        &state,
    ];
    let output = run(&[
        arguments.as_slice(),
        &["--listen", "http://127.0.0.1:0", "--output", output],
    ]
    .concat());
    let text = [output.stdout, output.stderr].concat();
    (
        output.status.success(),
        String::from_utf8_lossy(&text).into_owned(),
    )
}

#[test]
fn a_probe_tells_which_protocol_a_port_speaks() {
    let (relp, plain) = (Rsyslog::relp(), Rsyslog::start());
    let (authority, syslog_ng) = (Authority::new("theirs"), SyslogNg::octet_counting());
    let tls = SyslogNg::tls(&authority, &authority.issue(&["127.0.0.1"]));
    for (scheme, port, content, said) in [
        (
            "tcp",
            relp.port(),
            false,
            "speaks RELP (rsyslog's imrelp): use relp://",
        ),
        ("tcp", tls.port(), false, "speaks TLS: use tls://"),
        ("tcp", plain.port(), true, "it waits for messages"),
        ("tcp", syslog_ng.port(), true, "it waits for messages"),
        ("relp", plain.port(), false, "use tcp://"),
        ("relp", relp.port(), true, "RELP: "),
    ] {
        let (success, text) = probed(&format!("{scheme}://127.0.0.1:{port}"));
        assert!(text.contains(said), "{scheme}: {text}");
        assert_eq!(success, content, "{scheme}: {text}");
    }
    // No part of a probe is a message there.
    let mut records = Vec::new();
    plain.each_record(|record| records.push(record));
    syslog_ng.each_record(|record| records.push(record));
    assert!(records.is_empty(), "{records:?}");
}

#[test]
fn an_end_after_the_first_bytes_names_relp() {
    let (dir, server) = (TempDir::new(), Rsyslog::relp());
    let output = format!("tcp://127.0.0.1:{}", server.port());
    let relay = Relay::start(&dir, &["--output", &output]);
    let mut host = Player::new(1, relay.port(), Random::new(1), TIMEOUT);
    let said = wait_for("an end", || {
        host.step(1, &Ledger::default());
        let log = relay.process.log();
        let (_, said) = log.split_once("right after the first bytes: ")?;
        Some(said.to_owned())
    });
    assert!(said.starts_with("it ") && said.contains("RELP"), "{said}");
}
