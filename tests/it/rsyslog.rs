//! A real rsyslogd behind the relay: a source sends the sample events, and rsyslog's own
//! parsers must find the contents of each event.

use crate::support::{LineEnds, Relay, Rsyslog, TempDir, numbered_event, send_samples};

#[test]
fn rsyslog_gets_every_event_once_in_octet_counted_frames() {
    let rsyslog = Rsyslog::start();
    let output = format!("tcp://127.0.0.1:{}", rsyslog.port());
    rsyslog.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn rsyslog_gets_every_event_once_in_lines() {
    let rsyslog = Rsyslog::start();
    let output = format!("tcp://127.0.0.1:{}?framing=lf", rsyslog.port());
    rsyslog.check_samples(&["--output", &output], LineEnds::Escaped);
}

#[test]
fn rsyslog_gets_every_event_once_in_datagrams() {
    let rsyslog = Rsyslog::start();
    let output = format!("udp://127.0.0.1:{}", rsyslog.port());
    rsyslog.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn rsyslog_gets_json_messages_that_parse() {
    let (rsyslog, dir) = (Rsyslog::start(), TempDir::new());
    let output = format!("tcp://127.0.0.1:{}", rsyslog.port());
    let relay = Relay::start(&dir, &["--output", &output, "--message", "json"]);
    send_samples(&relay);
    let records = rsyslog.wait_for(crate::support::samples().len());
    for record in records {
        let message: serde_json::Value = serde_json::from_str(&record.message).unwrap();
        assert!(message.is_object(), "{record:?}");
    }
}

#[test]
fn nothing_is_lost_when_rsyslog_is_killed_in_mid_stream() {
    const BATCHES: usize = 60;
    const BATCH: usize = 10;
    let (mut rsyslog, dir) = (Rsyslog::start(), TempDir::new());
    let output = format!("tcp://127.0.0.1:{}", rsyslog.port());
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let mut source = relay.source("ws-07.example.test");
    let offer = source.subscribe();
    for batch in 0..BATCHES {
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        let events: Vec<String> = numbers.map(numbered_event).collect();
        if batch % 20 == 10 {
            rsyslog.kill_and_restart();
        }
        crate::support::wait_for("an Ack", || {
            source.deliver(&offer, &events, 1).then_some(())
        });
    }
    rsyslog.wait_until("every acknowledged event", |records| {
        let arrived: std::collections::HashSet<_> = records
            .iter()
            .filter_map(|record| record.value("data", "Sequence")?.parse::<usize>().ok())
            .collect();
        (0..BATCHES * BATCH).all(|number| arrived.contains(&number))
    });
}
