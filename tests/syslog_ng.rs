//! A real syslog-ng behind the relay: a source sends the sample events, and what
//! syslog-ng's own parsers make of each must be what the event held.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::disallowed_methods,
    reason = "test code may panic and use the clock and sockets"
)]

mod support;

use support::{
    LineEnds, Relay, Server, SyslogNg, TempDir, assert_samples, numbered_file, send, send_samples,
};

#[test]
fn syslog_ng_gets_every_event_once_in_octet_counted_frames() {
    let server = SyslogNg::octet_counting();
    let output = format!("tcp://127.0.0.1:{}", server.port());
    check_samples(&server, &output, LineEnds::Kept);
}

#[test]
fn syslog_ng_gets_every_event_once_in_lines() {
    let server = SyslogNg::lines();
    let output = format!("tcp://127.0.0.1:{}?framing=lf", server.port());
    check_samples(&server, &output, LineEnds::Escaped);
}

#[test]
fn syslog_ng_gets_every_event_once_in_datagrams() {
    let server = SyslogNg::udp();
    let output = format!("udp://127.0.0.1:{}", server.port());
    check_samples(&server, &output, LineEnds::Kept);
}

/// Sends the samples, then one event more to see that nothing comes twice before it.
fn check_samples(server: &Server, output: &str, line_ends: LineEnds) {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--output", output]);
    send_samples(&relay);
    let count = support::samples().len();
    server.wait_for(count);
    send(&relay, &numbered_file(&dir, 1), 1, "ws-07.example.test");
    let mut records = server.wait_for(count + 1);
    let last = records.pop().unwrap();
    assert_eq!(last.value("data", "Sequence"), Some("0"), "{last:?}");
    assert_samples(&records, line_ends);
}
