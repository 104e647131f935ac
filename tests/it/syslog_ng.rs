//! A real syslog-ng behind the relay: a source sends the sample events, and syslog-ng's own
//! parsers must find the contents of each event.

use crate::support::{LineEnds, SyslogNg};

#[test]
fn syslog_ng_gets_every_event_once_in_octet_counted_frames() {
    let server = SyslogNg::octet_counting();
    let output = format!("tcp://127.0.0.1:{}", server.port());
    server.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn syslog_ng_gets_every_event_once_in_lines() {
    let server = SyslogNg::lines();
    let output = format!("tcp://127.0.0.1:{}?framing=lf", server.port());
    server.check_samples(&["--output", &output], LineEnds::Escaped);
}

#[test]
fn syslog_ng_gets_every_event_once_in_datagrams() {
    let server = SyslogNg::udp();
    let output = format!("udp://127.0.0.1:{}", server.port());
    server.check_samples(&["--output", &output], LineEnds::Kept);
}
