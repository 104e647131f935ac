//! The relay as a process: signals, its state folder, exhausted system resources, and many
//! hosts at the same time.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::sync::{Arc, Barrier};

use rustix::process::{Resource, Signal};

use crate::support::{
    Offer, Relay, Source, StreamSink, TempDir, lines_of, numbered_event, read_reply, run,
    send_samples, wait_for,
};

const MACHINE: &str = "ws-07.example.test";

#[test]
fn sighup_goes_on_in_a_new_file_after_a_rotation() {
    let dir = TempDir::new();
    let (mut relay, path) = writing_to_a_file(&dir);
    let (mut source, offer) = subscribed(&relay);
    let kept = dir.file("out.1");
    deliver(&mut source, &offer, 0..5);
    std::fs::rename(&path, &kept).unwrap();
    // Until SIGHUP, it writes to the open file.
    deliver(&mut source, &offer, 5..10);
    assert_eq!(numbers(&kept), (0..10).collect());
    relay.process.signal(Signal::HUP);
    relay.process.wait_for_log("out reopened");
    deliver(&mut source, &offer, 10..15);
    assert_eq!(numbers(&kept), (0..10).collect());
    assert_eq!(numbers(&path), (10..15).collect());
}

#[test]
fn sighup_loses_nothing_and_repeats_nothing_while_events_come() {
    const ROTATIONS: usize = 20;
    let dir = TempDir::new();
    let (relay, path) = writing_to_a_file(&dir);
    let (mut source, offer) = subscribed(&relay);
    let sending = std::thread::spawn(move || {
        for start in (0..2000).step_by(10) {
            deliver(&mut source, &offer, start..start + 10);
        }
    });
    let mut files = vec![path.clone()];
    for number in 0..ROTATIONS {
        let kept = dir.file(&format!("out.{number}"));
        std::fs::rename(&path, &kept).unwrap();
        relay.process.signal(Signal::HUP);
        wait_for("the new file", || std::fs::metadata(&path).ok());
        files.push(kept);
    }
    sending.join().unwrap();
    let texts: Vec<_> = files
        .iter()
        .map(|file| std::fs::read(file).unwrap())
        .collect();
    let lines = texts.iter().flat_map(|text| lines_of(text));
    let mut sequences: Vec<_> = lines.map(|line| line.sequence()).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (0..2000).collect::<Vec<_>>());
}

#[test]
fn sighup_with_a_bad_file_keeps_the_old_one_and_says_why() {
    let dir = TempDir::new();
    let users = dir.file("users");
    std::fs::write(&users, "# nobody yet\n").unwrap();
    let output = format!("file:{}", dir.file("out"));
    let mut relay = Relay::start(&dir, &["--output", &output, "--users", &users]);
    std::fs::write(&users, "no line of an account\n").unwrap();
    relay.process.signal(Signal::HUP);
    let line = relay.process.wait_for_log("not reloaded");
    assert!(line.contains(&users), "{line}");
    send_samples(&relay);
    std::fs::write(&users, "# mended\n").unwrap();
    relay.process.signal(Signal::HUP);
    relay.process.wait_for_log(" reloaded");
}

#[test]
fn a_state_folder_in_use_keeps_a_second_relay_out() {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &[]);
    let state = dir.file("state");
    let arguments = ["--listen", "http://127.0.0.1:0", "--anonymous", "127.0.0.1"];
    let output = run(&[&arguments[..], &["--state", &state]].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("--state") && text.contains(&state), "{text}");
    assert!(!text.contains("listening on"), "{text}");
    send_samples(&relay);
    // The lock of a killed relay is released.
    relay.process.kill();
    send_samples(&Relay::start(&dir, &[]));
}

#[test]
fn it_ends_with_an_error_when_the_reader_of_standard_output_is_gone() {
    let dir = TempDir::new();
    let mut child = Command::new(env!("CARGO_BIN_EXE_wecrelay"))
        .args(["--listen", "http://127.0.0.1:0", "--anonymous", "127.0.0.1"])
        .args(["--state", &dir.file("state"), "--output", "stdout:"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let status = wait_for("its end", || child.try_wait().unwrap());
    let mut text = String::new();
    Read::read_to_string(&mut child.stderr.take().unwrap(), &mut text).unwrap();
    assert_eq!(status.code(), Some(1), "{text}");
    assert!(text.contains("standard output was closed"), "{text}");
}

#[test]
fn a_full_disk_below_the_state_folder_holds_events_back_until_there_is_room() {
    let dir = TempDir::new();
    // The events are sent elsewhere, so only the bookmark cannot be stored.
    let sink = StreamSink::tcp();
    let mut relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let (mut source, offer) = subscribed(&relay);
    deliver(&mut source, &offer, 0..1);
    let before = relay.limit(Resource::Fsize, Some(1));
    let reply = source.try_deliver(&offer, &[numbered_event(2)], 2).unwrap();
    assert_eq!(reply.status, 503, "{}", reply.head);
    let other = relay.source(MACHINE).subscribe();
    assert_eq!(other.record, Some(1), "the bookmark before stays");
    relay.limit(Resource::Fsize, before);
    deliver(&mut source, &offer, 2..3);
    assert_eq!(relay.source(MACHINE).subscribe().record, Some(2));
    relay.process.wait_for_log("batches are answered 503");
    relay
        .process
        .wait_for_log("bookmarks are being stored again");
    let log = relay.process.log();
    assert_eq!(log.matches("wecrelay.db").count(), 1, "said once: {log}");
}

#[test]
fn a_full_disk_below_a_file_output_holds_events_back_and_leaves_whole_lines() {
    let dir = TempDir::new();
    let (relay, path) = writing_to_a_file(&dir);
    let (mut source, offer) = subscribed(&relay);
    deliver(&mut source, &offer, 0..2);
    let size = std::fs::metadata(&path).unwrap().len();
    let before = relay.limit(Resource::Fsize, Some(size + 100));
    let waiting = std::thread::spawn(move || deliver(&mut source, &offer, 2..3));
    wait_for("a complaint about the output", || {
        relay.process.log().contains("trying again").then_some(())
    });
    assert!(!waiting.is_finished(), "acknowledged though cut off");
    relay.limit(Resource::Fsize, before);
    waiting.join().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.ends_with('\n'), "{text}");
    let whole: Vec<_> = text.lines().filter(|line| line.len() > 101).collect();
    assert_eq!(whole.len(), 3, "{text}");
    assert!(whole[2].contains("Sequence=\"2\""), "{text}");
}

#[test]
fn without_file_descriptors_it_goes_on_and_accepts_when_there_are_some() {
    let dir = TempDir::new();
    let (mut relay, _) = writing_to_a_file(&dir);
    let (mut source, offer) = subscribed(&relay);
    deliver(&mut source, &offer, 0..1);
    let before = relay.limit(Resource::Nofile, Some(8));
    let (port, asked) = (relay.port(), numbered_event(1));
    let waiting = std::thread::spawn(move || {
        let mut late = Source::new(port, "ws-08.example.test");
        let offer = late.subscribe();
        assert!(late.deliver(&offer, &[asked], 1));
    });
    relay.process.wait_for_log("connections cannot be accepted");
    // Connected hosts are served during this time.
    deliver(&mut source, &offer, 2..3);
    assert!(!waiting.is_finished());
    relay.limit(Resource::Nofile, before);
    waiting.join().unwrap();
}

/// Unauthenticated clients use all available connections. Then the receiver restarts: the
/// output reconnects, monitoring is answered, and hosts can connect.
#[test]
fn strangers_with_all_connections_keep_away_neither_outputs_nor_hosts() {
    let dir = TempDir::new();
    let sink = StreamSink::tcp();
    let url = sink.url();
    let arguments = [
        "--output",
        &url,
        "--metrics",
        "127.0.0.1:0",
        "--allow-unencrypted",
    ];
    let mut relay = Relay::start_with_files(64, &dir, &arguments);
    let line = relay.process.wait_for_log("metrics on http://127.0.0.1:");
    let metrics: u16 = line.rsplit([':', '/']).nth(1).unwrap().parse().unwrap();
    let (mut source, offer) = subscribed(&relay);
    deliver(&mut source, &offer, 0..1);
    sink.wait_for(1);
    let strangers: Vec<_> = (0..200)
        .map(|_| TcpStream::connect(("127.0.0.1", relay.port())).unwrap())
        .collect();
    relay.process.wait_for_log("connections is reached");
    let port = sink.port();
    drop(sink);
    relay.process.wait_for_log("trying again");
    let sink = StreamSink::tcp_on(port);
    relay.process.wait_for_log("open again");

    let mut late = Source::new(relay.port(), "ws-08.example.test");
    let offered = late.subscribe();
    assert!(late.deliver(&offered, &[numbered_event(1)], 1));
    deliver(&mut source, &offer, 2..3);
    sink.wait_for(2);
    let value = |name: &str| -> f64 {
        let mut watching = TcpStream::connect(("127.0.0.1", metrics)).unwrap();
        let request = b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n";
        watching.write_all(request).unwrap();
        let mut text = String::new();
        watching.read_to_string(&mut text).unwrap();
        let line = text.lines().find(|line| line.starts_with(name)).unwrap();
        line.rsplit(' ').next().unwrap().parse().unwrap()
    };
    let room = value("wecrelay_connection_room");
    assert!((8.0..40.0).contains(&room), "{room}");
    assert!(value("wecrelay_connections") <= room);
    assert!(value("wecrelay_refusals_total{reason=\"room\"}") > 0.0);
    drop(strangers);
    relay
        .process
        .wait_for_log("room for connections again after");
    assert_eq!(value("wecrelay_accepting"), 1.0);
}

#[test]
fn a_hundred_hosts_at_once_each_get_their_events_through_once() {
    const HOSTS: usize = 100;
    const EVENTS: usize = 20;
    let dir = TempDir::new();
    let sink = StreamSink::tcp();
    let relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let barrier = Arc::new(Barrier::new(HOSTS));
    let hosts: Vec<_> = (0..HOSTS)
        .map(|host| {
            let mut source = relay.source(&format!("ws-{host:03}.example.test"));
            let barrier = Arc::clone(&barrier);
            std::thread::spawn(move || {
                barrier.wait();
                let offer = source.subscribe();
                for number in host * EVENTS..(host + 1) * EVENTS {
                    assert!(source.deliver(&offer, &[numbered_event(number)], 1));
                }
            })
        })
        .collect();
    hosts.into_iter().for_each(|host| host.join().unwrap());
    let lines = sink.wait_for(HOSTS * EVENTS);
    let mut sequences: Vec<_> = lines.iter().map(crate::support::Line::sequence).collect();
    sequences.sort_unstable();
    assert_eq!(sequences, (0..HOSTS * EVENTS).collect::<Vec<_>>());
}

#[test]
fn after_sigterm_nobody_gets_in_and_idle_connections_end() {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &[]);
    let mut idle = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    idle.set_read_timeout(Some(crate::support::PATIENCE))
        .unwrap();
    Write::write_all(&mut idle, b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    assert_eq!(read_reply(&mut idle).unwrap().status, 405);
    assert!(relay.process.terminate().success());
    let left = Read::read(&mut idle, &mut [0; 64]);
    assert!(matches!(left, Ok(0) | Err(_)), "{left:?}");
    let again = TcpStream::connect(("127.0.0.1", relay.port()));
    assert!(again.is_err());
}

fn writing_to_a_file(dir: &TempDir) -> (Relay, String) {
    let path = dir.file("out");
    let output = format!("file:{path}");
    let relay = Relay::start(dir, &["--output", &output, "--allow-unencrypted"]);
    (relay, path)
}

fn subscribed(relay: &Relay) -> (Source, Offer) {
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    (source, offer)
}

/// As Windows does: sends the same batch until it is acknowledged.
fn deliver(source: &mut Source, offer: &Offer, numbers: std::ops::Range<usize>) {
    let record = u64::try_from(numbers.end).unwrap();
    let events: Vec<String> = numbers.map(numbered_event).collect();
    wait_for("an Ack", || {
        source.deliver(offer, &events, record).then_some(())
    });
}

/// The numbers of the events in a file.
#[track_caller]
fn numbers(path: &str) -> BTreeSet<usize> {
    let text = std::fs::read(path).unwrap();
    lines_of(&text)
        .iter()
        .map(crate::support::Line::sequence)
        .collect()
}
