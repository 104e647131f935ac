//! How a relay stops while others serve its hosts: SIGTERM, `/readyz`, one port for several.

use std::io::Read;
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::support::{
    Haproxy, Ledger, Player, Postgres, Random, Receiver, Relay, Tally, TempDir, numbered_event,
    run, wait_for, wait_for_all, wait_for_long,
};

const MACHINE: &str = "ws-07.example.test";

/// A relay that waits this long for load balancers.
fn start(dir: &TempDir, delay: &str) -> (Relay, u16) {
    let output = format!("file:{}", dir.file("out"));
    let arguments = [
        "--output",
        &output,
        "--allow-unencrypted",
        "--channel",
        "System",
        "--metrics",
        "127.0.0.1:0",
        "--drain-delay",
        delay,
    ];
    let mut relay = Relay::start(dir, &arguments);
    let port = relay.metrics_port();
    (relay, port)
}

#[test]
fn balancers_are_told_before_anybody_is_refused() {
    let dir = TempDir::new();
    let (mut relay, metrics) = start(&dir, "5s");
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    assert!(source.deliver(&offer, &[numbered_event(1)], 1));
    assert!(Relay::get(metrics, "/readyz").starts_with("HTTP/1.1 200"));
    // A connection without a pending request.
    let mut idle = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    let began = Instant::now();
    relay.process.signal(Signal::TERM);
    let answer = wait_for("503", || {
        let answer = Relay::get(metrics, "/readyz");
        answer.starts_with("HTTP/1.1 503").then_some(answer)
    });
    assert!(answer.contains("the relay is stopping"), "{answer}");
    assert!(Relay::get(metrics, "/healthz").starts_with("HTTP/1.1 200"));
    // Hosts that still connect are served.
    assert!(source.deliver(&offer, &[numbered_event(2)], 2));
    assert_eq!(relay.source(MACHINE).subscribe().record, Some(2));
    assert_eq!(idle.read(&mut [0; 1]).unwrap(), 0, "closed");
    assert!(relay.process.wait().success());
    let took = began.elapsed();
    assert!(took > Duration::from_millis(4900), "ended after {took:?}");
    assert!(TcpStream::connect(("127.0.0.1", relay.port())).is_err());
}

#[test]
fn who_is_in_a_hurry_need_not_wait_for_balancers() {
    for (first, second) in [(Signal::TERM, Some(Signal::TERM)), (Signal::INT, None)] {
        let dir = TempDir::new();
        let (mut relay, metrics) = start(&dir, "10m");
        relay.process.signal(first);
        if let Some(second) = second {
            wait_for("503", || {
                let answer = Relay::get(metrics, "/readyz");
                answer.starts_with("HTTP/1.1 503").then_some(())
            });
            relay.process.signal(second);
        }
        assert!(relay.process.wait().success());
    }
}

#[test]
fn a_delay_that_is_none_is_refused() {
    for wrong in ["", "10", "11m", "-1s", "never"] {
        let delay = format!("--drain-delay={wrong}");
        let ended = run(&["--anonymous", "127.0.0.1", "--channel", "System", &delay]);
        let said = String::from_utf8_lossy(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{said}");
        assert!(said.contains("from 0s to 10m"), "{said}");
    }
}

/// One of several relays on one port.
fn start_shared(port: u16, dir: &TempDir, postgres: &Postgres, output: &str, name: &str) -> Relay {
    let url = postgres.url();
    let arguments = [
        "--output",
        output,
        "--allow-unencrypted",
        "--channel",
        "Microsoft-Windows-Sysmon/Operational",
        "--store",
        &url,
        "--relay-name",
        name,
        "--reuse-port",
        "--metrics",
        "127.0.0.1:0",
    ];
    Relay::start_on(port, dir, &arguments)
}

fn events_of(relay: &mut Relay) -> u32 {
    let port = relay.metrics_port();
    let text = Relay::get(port, "/metrics");
    let line = text
        .lines()
        .find(|line| line.starts_with("wecrelay_events_total "));
    let value = line.unwrap().rsplit(' ').next().unwrap();
    value.parse::<f64>().unwrap() as u32
}

#[test]
fn relays_share_a_port_and_one_goes_on_when_the_other_leaves() {
    let (postgres, tally) = (Postgres::start(), Arc::<Tally>::default());
    let receiver = Receiver::start(&tally);
    let dirs = [TempDir::new(), TempDir::new()];
    let mut first = start_shared(0, &dirs[0], &postgres, &receiver.url(), "a");
    let port = first.port();
    let mut second = start_shared(port, &dirs[1], &postgres, &receiver.url(), "b");
    let (ledger, stop) = (Ledger::default(), AtomicBool::new(false));
    let mut host = Player::new(1, port, Random::new(5), Duration::from_secs(8));
    let mut last = 0;
    // Linux distributes connections by address and port, so each relay gets some.
    wait_for("events of both", || {
        last += 20;
        host.deliver_all(last, &ledger, &stop);
        host.hang_up();
        (events_of(&mut first) > 0 && events_of(&mut second) > 0).then_some(())
    });
    assert!(first.process.terminate().success());
    for _ in 0..10 {
        last += 20;
        host.deliver_all(last, &ledger, &stop);
        host.hang_up();
    }
    wait_for_all(&tally, &[(1, last)]);
    assert_eq!(tally.arrivals(), tally.distinct(), "repeats");

    let listen = format!("http://127.0.0.1:{port}");
    let alone = run(&["--listen", &listen, "--anonymous", "127.0.0.1"]);
    let said = String::from_utf8_lossy(&alone.stderr);
    assert_eq!(alone.status.code(), Some(2), "{said}");
    assert!(said.contains("in use"), "{said}");
    let without = run(&["--reuse-port", "--anonymous", "127.0.0.1"]);
    let said = String::from_utf8_lossy(&without.stderr);
    assert_eq!(without.status.code(), Some(2), "{said}");
    assert!(said.contains("--store"), "{said}");
}

#[test]
fn a_rolling_restart_behind_a_balancer_loses_and_repeats_nothing() {
    const HOSTS: u32 = 12;
    let (postgres, tally) = (Postgres::start(), Arc::<Tally>::default());
    let receiver = Receiver::start(&tally);
    let dirs: Vec<_> = (0..3).map(|_| TempDir::new()).collect();
    let started = |number: usize, port, metrics| {
        let (url, name) = (postgres.url(), format!("relay-{number}"));
        let (output, metrics) = (receiver.url(), format!("127.0.0.1:{metrics}"));
        let arguments = [
            "--output",
            &output,
            "--channel",
            "Microsoft-Windows-Sysmon/Operational",
            "--store",
            &url,
            "--relay-name",
            &name,
            "--metrics",
            &metrics,
            "--drain-delay",
            "3s",
        ];
        Relay::start_on(port, &dirs[number], &arguments)
    };
    let mut relays: Vec<_> = (0..3).map(|number| started(number, 0, 0)).collect();
    let ports: Vec<_> = relays
        .iter_mut()
        .map(|relay| (relay.port(), relay.metrics_port()))
        .collect();
    let balancer = Haproxy::balance_ready(&ports);
    let (stop, ledger) = (Arc::new(AtomicBool::new(false)), Arc::<Ledger>::default());
    let hosts: Vec<_> = (1..=HOSTS)
        .map(|number| {
            let random = Random::new(u64::from(number));
            let mut host = Player::new(number, balancer.port(0), random, Duration::from_secs(20));
            let (stop, ledger) = (Arc::clone(&stop), Arc::clone(&ledger));
            thread::spawn(move || {
                while !stop.load(Ordering::SeqCst) {
                    let until = host.acknowledged + 40;
                    host.deliver_all(until, &ledger, &stop);
                    host.hang_up();
                    thread::sleep(Duration::from_millis(20));
                }
                (number, host.acknowledged)
            })
        })
        .collect();
    for (number, (port, metrics)) in ports.iter().enumerate() {
        let before = ledger.acknowledged.load(Ordering::Relaxed);
        wait_for_long("more Acks", || {
            (ledger.acknowledged.load(Ordering::Relaxed) > before + 200).then_some(())
        });
        assert!(relays[number].process.terminate().success());
        relays[number] = started(number, *port, *metrics);
    }
    stop.store(true, Ordering::SeqCst);
    let hosts: Vec<_> = hosts.into_iter().map(|host| host.join().unwrap()).collect();
    wait_for_all(&tally, &hosts);
    assert_eq!(tally.errors(), [""; 0]);
    assert_eq!(tally.arrivals(), tally.distinct(), "repeats: {ledger:?}");
}

/// The lines of a unit that restrict the service.
fn sandbox(unit: &str) -> Vec<String> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("contrib/systemd")
        .join(unit);
    let text = std::fs::read_to_string(file).unwrap();
    let own = [
        "Description=",
        "Environment=",
        "ExecStart=",
        "StateDirectory=",
    ];
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    let lines = lines.filter(|line| !own.iter().any(|key| line.starts_with(key)));
    lines.map(str::to_owned).collect()
}

#[test]
fn the_units_are_right_and_confine_alike() {
    assert_eq!(sandbox("wecrelay.service"), sandbox("wecrelay@.service"));
    // As if the program were installed, and with an instance name.
    let dir = TempDir::new();
    let binary = env!("CARGO_BIN_EXE_wecrelay");
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib/systemd");
    for (unit, name) in [
        ("wecrelay.service", "wecrelay.service"),
        ("wecrelay@.service", "wecrelay@9601.service"),
    ] {
        let text = std::fs::read_to_string(folder.join(unit)).unwrap();
        let text = text.replace("/usr/bin/wecrelay", binary);
        std::fs::write(dir.file(name), text).unwrap();
        let verified = Command::new("systemd-analyze")
            .args(["verify", "--man=no", &dir.file(name)])
            .output();
        let verified = verified.expect("no systemd-analyze here: apt-get install systemd");
        let said = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<_> = said
            .lines()
            .filter(|line| line.contains("wecrelay"))
            .collect();
        assert!(ours.is_empty(), "{said}");
    }
}
