//! Every kind of output, and outputs that fail: a source sends, and receivers start late, stall,
//! and are killed. Acknowledged events must have arrived.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::support::{
    DatagramSink, Line, LineEnds, Offer, Record, Relay, Source, StreamSink, TempDir,
    assert_samples, free_port, lines_of, numbered_event, samples, send_samples, wait_for,
};

const MACHINE: &str = "ws-07.example.test";

#[test]
fn a_file_gets_every_event_as_a_line() {
    let dir = TempDir::new();
    let path = dir.file("events.log");
    let relay = Relay::start(&dir, &["--output", &format!("file:{path}")]);
    send_samples(&relay);
    assert_lines(&lines_of(&std::fs::read(&path).unwrap()), LineEnds::Escaped);
}

#[test]
fn a_synced_file_is_appended_to() {
    let dir = TempDir::new();
    let path = dir.file("events.log");
    std::fs::write(&path, "what was there\n").unwrap();
    let relay = Relay::start(&dir, &["--output", &format!("file:{path}?sync=yes")]);
    send_samples(&relay);
    let text = std::fs::read(&path).unwrap();
    let added = text.strip_prefix(b"what was there\n").unwrap();
    assert_lines(&lines_of(added), LineEnds::Escaped);
}

#[test]
fn standard_output_gets_every_event_as_a_line() {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &["--output", "stdout:"]);
    send_samples(&relay);
    wait_for("the lines", || {
        let lines = relay.process.output();
        let count = lines.iter().filter(|&&byte| byte == b'\n').count();
        (count >= samples().len()).then_some(())
    });
    assert!(relay.process.terminate().success());
    assert_lines(&lines_of(&relay.process.output()), LineEnds::Escaped);
}

#[test]
fn standard_output_is_the_default() {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &[]);
    send_samples(&relay);
    wait_for("the lines", || {
        let lines = relay.process.output();
        let count = lines.iter().filter(|&&byte| byte == b'\n').count();
        (count == samples().len()).then_some(())
    });
}

#[test]
fn a_unix_datagram_socket_gets_every_event() {
    let dir = TempDir::new();
    let path = dir.file("log");
    let sink = DatagramSink::unix(&path);
    let relay = Relay::start(&dir, &["--output", &format!("unix:{path}")]);
    send_samples(&relay);
    assert_lines(&sink.wait_for(samples().len()), LineEnds::Kept);
}

#[test]
fn a_unix_stream_socket_gets_every_event() {
    let dir = TempDir::new();
    let path = dir.file("log");
    let sink = StreamSink::unix(&path);
    let relay = Relay::start(&dir, &["--output", &format!("unix:{path}?type=stream")]);
    send_samples(&relay);
    assert_lines(&sink.wait_for(samples().len()), LineEnds::Escaped);
}

#[test]
fn several_outputs_each_get_every_event() {
    let dir = TempDir::new();
    let (tcp, lines, udp) = (StreamSink::tcp(), StreamSink::tcp(), DatagramSink::udp());
    let file = dir.file("events.log");
    let arguments = [
        "--output",
        &tcp.url(),
        "--output",
        &format!("{}?framing=lf", lines.url()),
        "--output",
        &udp.url(),
        "--output",
        &format!("file:{file}"),
    ];
    let relay = Relay::start(&dir, &arguments);
    send_samples(&relay);
    let count = samples().len();
    assert_lines(&tcp.wait_for(count), LineEnds::Kept);
    assert_lines(&lines.wait_for(count), LineEnds::Escaped);
    assert_lines(&udp.wait_for(count), LineEnds::Kept);
    assert_lines(&lines_of(&std::fs::read(&file).unwrap()), LineEnds::Escaped);
}

#[test]
fn messages_over_the_maximum_are_cut_and_say_so() {
    let dir = TempDir::new();
    let sink = StreamSink::tcp();
    let relay = Relay::start(&dir, &["--output", &format!("{}?max=700", sink.url())]);
    send_samples(&relay);
    let lines = sink.wait_for(samples().len());
    let cut: Vec<_> = lines
        .iter()
        .filter(|line| !line.value("event", "Truncated").is_empty())
        .collect();
    assert!(!cut.is_empty(), "{lines:#?}");
    assert!(cut.len() < lines.len(), "{lines:#?}");
}

#[test]
fn a_dead_output_that_is_not_required_holds_nothing_back() {
    let dir = TempDir::new();
    let dead = format!("tcp://127.0.0.1:{}?required=no", free_port());
    let file = dir.file("events.log");
    let arguments = ["--output", &dead, "--output", &format!("file:{file}")];
    let relay = Relay::start(&dir, &arguments);
    send_samples(&relay);
    assert_lines(&lines_of(&std::fs::read(&file).unwrap()), LineEnds::Escaped);
}

#[test]
fn a_receiver_that_comes_late_gets_what_was_held() {
    let dir = TempDir::new();
    let port = free_port();
    let output = format!("tcp://127.0.0.1:{port}");
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let (mut source, offer) = subscribed(&relay);
    let waiting = std::thread::spawn(move || deliver_until_acked(&mut source, &offer, 0..5));
    wait_for("a complaint about the output", || {
        relay
            .process
            .log()
            .contains(&port.to_string())
            .then_some(())
    });
    assert!(!waiting.is_finished(), "acknowledged without a receiver");
    let sink = StreamSink::tcp_on(port);
    waiting.join().unwrap();
    assert_eq!(numbers(&sink.wait_for(5)), (0..5).collect());
}

#[test]
fn nothing_is_acknowledged_while_the_receiver_stalls() {
    let dir = TempDir::new();
    let sink = StreamSink::stalled();
    let relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let (mut source, offer) = subscribed(&relay);
    // More than fits into the receiver's buffer.
    let script = "x".repeat(100_000);
    let waiting = std::thread::spawn(move || {
        for number in 0..5 {
            let event = numbered_event(number).replace("::ffff:192.0.2.10;", &script);
            wait_for("an Ack", || {
                source
                    .deliver(&offer, std::slice::from_ref(&event), 1)
                    .then_some(())
            });
        }
    });
    wait_for("a connection", || (sink.connections() > 0).then_some(()));
    assert_never(|| waiting.is_finished());
    assert_eq!(sink.count(), 0);
    sink.resume();
    waiting.join().unwrap();
    assert_eq!(numbers(&sink.wait_for(5)), (0..5).collect());
}

#[test]
fn nothing_is_lost_when_the_receiver_is_killed_in_mid_stream() {
    const ROUNDS: usize = 4;
    const ROUND: usize = 200;
    let dir = TempDir::new();
    let mut sink = StreamSink::tcp();
    let port = sink.port();
    let relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let (mut source, offer) = subscribed(&relay);
    let mut arrived = BTreeSet::new();
    let sending = std::thread::spawn(move || {
        for start in (0..ROUNDS * ROUND).step_by(10) {
            deliver_until_acked(&mut source, &offer, start..start + 10);
        }
    });
    for round in 1..ROUNDS {
        sink.wait_for(round * ROUND / 2);
        // Data that it has not read by now is lost when it is killed.
        sink.stall();
        arrived.extend(numbers(&sink.kill()));
        sink = StreamSink::tcp_on(port);
    }
    sending.join().unwrap();
    wait_for("every acknowledged event", || {
        arrived.extend(numbers(&sink.lines()));
        (arrived.len() == ROUNDS * ROUND).then_some(())
    });
}

#[test]
fn the_replay_window_repeats_what_a_killed_receiver_had_not_read() {
    let dir = TempDir::new();
    let sink = StreamSink::tcp();
    let port = sink.port();
    let relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let (mut source, offer) = subscribed(&relay);
    deliver_until_acked(&mut source, &offer, 0..5);
    sink.wait_for(5);
    // The receiver's kernel accepts the second batch, but the receiver never reads it.
    sink.stall();
    deliver_until_acked(&mut source, &offer, 5..10);
    let before = numbers(&sink.kill());
    assert_eq!(before, (0..5).collect());
    let sink = StreamSink::tcp_on(port);
    deliver_until_acked(&mut source, &offer, 10..15);
    let after = wait_for("the repeats", || {
        let after = numbers(&sink.lines());
        after.contains(&14).then_some(after)
    });
    assert!(after.is_superset(&(5..15).collect()), "{after:?}");
}

#[test]
fn sigterm_ends_an_idle_relay_with_status_0() {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &[]);
    assert_eq!(relay.process.terminate().code(), Some(0));
}

#[test]
fn sigterm_finishes_the_batch_in_flight() {
    let dir = TempDir::new();
    let sink = StreamSink::stalled();
    let mut relay = Relay::start(&dir, &["--output", &sink.url(), "--allow-unencrypted"]);
    let (mut source, offer) = subscribed(&relay);
    let script = "x".repeat(200_000);
    let event = numbered_event(7).replace("::ffff:192.0.2.10;", &script);
    let waiting = std::thread::spawn(move || source.deliver(&offer, &[event], 7));
    wait_for("a connection", || (sink.connections() > 0).then_some(()));
    relay.process.signal(Signal::TERM);
    sink.resume();
    assert_eq!(relay.process.wait().code(), Some(0));
    // Acknowledged and delivered, or neither; if SIGTERM was first, the source sends it again.
    let acknowledged = waiting.join().unwrap();
    if acknowledged {
        assert_eq!(numbers(&sink.wait_for(1)), [7].into());
    }
}

fn subscribed(relay: &Relay) -> (Source, Offer) {
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    (source, offer)
}

/// As Windows does: sends the same batch until it is acknowledged.
fn deliver_until_acked(source: &mut Source, offer: &Offer, numbers: std::ops::Range<usize>) {
    let record = u64::try_from(numbers.end).unwrap();
    let events: Vec<String> = numbers.map(numbered_event).collect();
    wait_for("an Ack", || {
        source.deliver(offer, &events, record).then_some(())
    });
}

/// Checks that `happens` stays false for a moment (with a fault, it would be true immediately).
#[track_caller]
fn assert_never(mut happens: impl FnMut() -> bool) {
    let end = std::time::Instant::now() + std::time::Duration::from_millis(700);
    while std::time::Instant::now() < end {
        assert!(!happens());
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
}

fn numbers(lines: &[Line]) -> BTreeSet<usize> {
    lines.iter().map(Line::sequence).collect()
}

#[track_caller]
fn assert_lines(lines: &[Line], line_ends: LineEnds) {
    let records: Vec<Record> = lines.iter().map(Record::from).collect();
    assert_samples(&records, line_ends);
    for sample in samples() {
        let line = lines
            .iter()
            .find(|line| line.message_id == sample.message_id);
        let timestamp = &line.unwrap().timestamp;
        assert_eq!(canonical(timestamp), canonical(sample.timestamp));
    }
}

/// A timestamp without trailing zeros in its fraction.
fn canonical(timestamp: &str) -> &str {
    let timestamp = timestamp.trim_end_matches('Z');
    timestamp.trim_end_matches('0').trim_end_matches('.')
}
