//! An event as a record of Kafka.
//!
//! | part | from |
//! |---|---|
//! | key | the host, so that its events stay in one partition, in order |
//! | value | a message as `header=` and `message=` say: one JSON object by default |
//! | headers | `host`, `channel`, `provider`, `event_id`, `record_id`, `subscription`, `uid` |

use super::Head;
use crate::event::Event;
use crate::protocol::kafka::{push_record, record_parts};
use crate::syslog::{self, Line, Mapping, Sender, Style};

/// Appends the record of an event; `write` appends the value.
pub(super) fn push_event<T>(
    out: &mut Vec<u8>,
    head: &Head<'_>,
    event: &Event<'_>,
    write: impl FnOnce(&mut Vec<u8>) -> T,
) -> T {
    let headers = [
        ("host", head.host.as_bytes()),
        ("channel", head.channel.as_bytes()),
        ("provider", event.provider.as_bytes()),
        ("event_id", event.event_id.as_bytes()),
        ("record_id", head.record_id.as_bytes()),
        ("subscription", head.subscription.as_bytes()),
        ("uid", head.uid.as_bytes()),
    ];
    push_record(out, head.host.as_bytes(), &headers, write)
}

/// Appends the record of a line of our own log.
pub(super) fn push_own(
    out: &mut Vec<u8>,
    mapping: &Mapping,
    sender: &Sender,
    line: &Line,
    style: &Style,
) {
    let host = sender.hostname.as_bytes();
    push_record(
        out,
        host,
        &[("host", host), ("software", b"wecrelay")],
        |out| {
            syslog::write_own(mapping, sender, line, style, out);
        },
    );
}

/// The value of a record.
pub(super) fn value(payload: &[u8]) -> &[u8] {
    record_parts(payload).map_or(payload, |(_, value)| value)
}
