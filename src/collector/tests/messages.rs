//! The messages of sources, and the answers to them.

use super::host::{Host, bookmark_event};
use super::pair::{Pair, seconds};
use crate::client::Reply;
use crate::collector::ConnId;
use crate::connection::RefusalKind;
use crate::protocol::wsman::source;

const MACHINE: &str = "a.example.com";
const HEARTBEAT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Heartbeat";

fn pair() -> (Pair, Host) {
    let mut pair = Pair::new(&["tcp://receiver"]);
    let host = pair.host(MACHINE);
    (pair, host)
}

/// Sends an envelope on a new connection to `path`.
fn say(pair: &mut Pair, host: &Host, path: &str, envelope: &str) -> (ConnId, Reply) {
    let conn = pair.connect_client(host, path);
    pair.call(conn, envelope);
    let reply = pair.peer(conn).replies.pop().unwrap();
    (conn, reply)
}

fn heartbeat(pair: &mut Pair, host: &Host, reference: &str) -> String {
    let message = pair.new_uuid();
    source::heartbeat(&host.sender("", message), reference)
}

#[test]
fn an_unknown_subscription_is_not_found() {
    let (mut pair, host) = pair();
    let id = "00000000-0000-0000-0000-000000000001";
    let text = heartbeat(&mut pair, &host, "");
    let path = format!("/wsman/subscriptions/{id}");
    let (conn, reply) = say(&mut pair, &host, &path, &text);
    assert_eq!((reply.status, reply.text), (404, None));
    let message = pair.new_uuid();
    let event = host.event(1);
    let text = source::events(&host.sender("", message), "", None, [&*event]);
    pair.call(conn, &text);
    assert_eq!(pair.peer(conn).replies.pop().unwrap().status, 404);
    assert_eq!(pair.outputs[0].records(), [0; 0]);
    assert_eq!(pair.collector.counters().refusals[&RefusalKind::Soap], 2);
}

#[test]
fn the_identifier_tells_which_subscription_is_meant_or_the_path_where_there_is_none() {
    let (mut pair, host) = pair();
    let reference = host.reference().to_owned();
    let text = heartbeat(&mut pair, &host, &reference);
    assert_eq!(say(&mut pair, &host, "/other", &text).1.status, 200);
    let text = heartbeat(&mut pair, &host, "");
    let path = host.offered.as_ref().unwrap().notify_to.clone();
    let path = path.trim_start_matches("http://collector.example.com:5985");
    assert_eq!(say(&mut pair, &host, path, &text).1.status, 200);
    let id = host
        .offered
        .as_ref()
        .unwrap()
        .notify_to
        .rsplit('/')
        .next()
        .unwrap();
    for other in ["00000000-0000-0000-0000-000000000001", "nothing"] {
        let reference = reference.replace(&id.to_uppercase(), other);
        let text = heartbeat(&mut pair, &host, &reference);
        assert!(text.contains(other), "{text}");
        assert_eq!(say(&mut pair, &host, path, &text).1.status, 404, "{other}");
    }
    assert_eq!(pair.collector.counters().heartbeats, 2);
}

#[test]
fn an_unknown_action_is_answered_with_a_fault_and_the_connection_goes_on() {
    let (mut pair, host) = pair();
    let reference = host.reference().to_owned();
    let text = heartbeat(&mut pair, &host, &reference);
    let strange = text.replace(HEARTBEAT, "http://example.com/Strange");
    let (conn, reply) = say(&mut pair, &host, "/wsman", &strange);
    let fault = reply.text.unwrap();
    assert!(fault.contains("ActionNotSupported"), "{fault}");
    assert_ne!(reply.status, 200);
    pair.call(conn, &text);
    assert_eq!(pair.peer(conn).replies.pop().unwrap().status, 200);
}

#[test]
fn an_envelope_that_is_no_xml_is_answered_with_a_fault_and_the_connection_goes_on() {
    let (mut pair, host) = pair();
    let reference = host.reference().to_owned();
    let text = heartbeat(&mut pair, &host, &reference);
    let (conn, _) = say(&mut pair, &host, "/wsman", &text);
    for bad in ["<s:Envelope", "plain text", "<!DOCTYPE a><a/>", "<a></b>"] {
        pair.call(conn, bad);
        let reply = pair.peer(conn).replies.pop().unwrap();
        assert!(reply.status >= 400, "{bad}: {reply:?}");
        assert!(reply.text.unwrap().contains("Fault"), "{bad}");
    }
    pair.call(conn, &text);
    assert_eq!(pair.peer(conn).replies.pop().unwrap().status, 200);
}

#[test]
fn a_body_that_is_not_sealed_is_forbidden() {
    let (mut pair, mut host) = pair();
    pair.heartbeat(&mut host);
    let conn = host.conn.unwrap();
    pair.peer(conn).session = None;
    pair.peer(conn).received.clear();
    let body = heartbeat(&mut pair, &host, "");
    let length = body.len();
    let head = format!(
        "POST /wsman HTTP/1.1\r\nHost: c\r\nContent-Type: application/soap+xml\r\n\
         Content-Length: {length}\r\n\r\n"
    );
    pair.send(conn, &[head.as_bytes(), body.as_bytes()].concat());
    assert_eq!(pair.peer(conn).statuses(), [403]);
    assert_eq!(pair.collector.counters().refusals[&RefusalKind::Sealing], 1);
}

#[test]
fn a_sealed_body_that_comes_twice_is_refused_and_its_events_come_once() {
    let (mut pair, mut host) = pair();
    pair.post(&mut host, 1..=1);
    let conn = host.conn.unwrap();
    pair.start_post(&mut host, 2..=2);
    let bytes = pair.peer(conn).session.as_mut().unwrap().take_outgoing();
    pair.peer(conn).session = None;
    pair.peer(conn).received.clear();
    pair.send(conn, &[&*bytes, &*bytes].concat());
    assert_eq!(pair.peer(conn).statuses(), [200, 400]);
    assert_eq!(pair.outputs[0].records(), [1, 2]);
}

#[test]
fn an_event_that_is_no_xml_goes_out_raw_and_its_batch_is_acknowledged() {
    let (mut pair, mut host) = pair();
    let events = [host.event(1), "no event at all".into(), host.event(3)];
    pair.post_of(&mut host, &events, None);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records(), [1, 0, 3]);
    let text = pair.outputs[0].text();
    assert!(text.contains("no event at all") && text.contains("Malformed="));
    let counters = pair.collector.counters();
    assert_eq!((counters.malformed, counters.events), (1, 3));
}

#[test]
fn an_event_over_a_limit_goes_out_under_its_own_name() {
    let (mut pair, mut host) = pair();
    let deep = host
        .event(2)
        .replace("</Event>", &["<a>".repeat(100), "</Event>".into()].concat());
    let first = host.event(1);
    pair.post_of(&mut host, &[first, deep], None);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].records(), [1, 2]);
    let text = pair.outputs[0].text();
    assert!(
        text.contains("Malformed=\"more than 64 levels of elements"),
        "{text}"
    );
}

/// One event of 67 kB held a release build for 29 s; `scripts/bench shapes` measures the time.
#[test]
fn an_event_over_any_limit_goes_out_as_malformed() {
    let many =
        |count: usize, one: &dyn Fn(usize) -> String| -> String { (0..count).map(one).collect() };
    let namespaces = many(2000, &|i| format!(" xmlns:n{i:x}='u{i:x}'"));
    let attributes = many(80_000, &|i| format!(" a{i:x}=''"));
    let dense = format!("<a{}/>", many(60, &|i| format!(" a{i:x}=''"))).repeat(900);
    let (mut pair, mut host) = pair();
    let shapes = [
        format!("<a{namespaces}>{}</a>", "<a xmlns:z='u'/>".repeat(2000)),
        format!("<a{attributes}/>"),
        format!("<a>{dense}</a>"),
        "<a/>".repeat(70_000),
        "<a>".repeat(1000),
    ];
    for (record, inside) in (1..).zip(&shapes) {
        let bomb = host.event(record).replace(
            "</Event>",
            &format!("<UserData>{inside}</UserData></Event>"),
        );
        let start: String = inside.chars().take(40).collect();
        pair.post_of(&mut host, &[bomb], None);
        assert_eq!(pair.answer(&host), Some(200), "{start}");
    }
    assert_eq!(pair.outputs[0].records(), [1, 2, 3, 4, 5]);
    let text = pair.outputs[0].text();
    assert_eq!(text.matches(" Malformed=\"").count(), shapes.len());
}

#[test]
fn a_body_that_is_no_batch_gets_a_fault_and_moves_no_bookmark() {
    let (mut pair, mut host) = pair();
    pair.post(&mut host, 1..=1);
    let before = host.handed_back();
    let reference = host.reference().to_owned();
    for (with, expected) in [("", 400), ("<w:Items><w:Event>x</w:Event></w:Items>", 400)] {
        let message = pair.new_uuid();
        let bookmark = super::host::bookmark(9);
        let text = source::events(&host.sender("", message), &reference, Some(&bookmark), []);
        let text = text.replace("<w:Events></w:Events>", with);
        let (_, reply) = say(&mut pair, &host, "/wsman", &text);
        assert_eq!(reply.status, expected);
        let fault = reply.text.unwrap();
        assert!(fault.contains("w:SchemaValidationError"), "{fault}");
        pair.enumerate(&mut host);
        assert_eq!(host.handed_back(), before.or(Some(1)));
    }
    assert_eq!(pair.outputs[0].records(), [1]);
}

#[test]
fn a_batch_over_a_limit_gets_a_fault_that_names_the_remedy() {
    let (mut pair, mut host) = pair();
    let reference = host.reference().to_owned();
    let message = pair.new_uuid();
    let events = std::iter::repeat_n("x", 16_385);
    let text = source::events(&host.sender("", message), &reference, None, events);
    let (_, reply) = say(&mut pair, &host, "/wsman", &text);
    let fault = reply.text.unwrap();
    assert!(
        fault.contains("w:EncodingLimit") && fault.contains("16385 events"),
        "{fault}"
    );
    assert!(fault.contains("MaxItems"), "{fault}");
    pair.post(&mut host, 1..=1);
    assert_eq!(pair.outputs[0].records(), [1]);
}

#[test]
fn a_batch_without_events_is_acknowledged() {
    let (mut pair, mut host) = pair();
    pair.post_of(&mut host, &[], None);
    assert_eq!(pair.answer(&host), Some(200));
    assert_eq!(pair.outputs[0].text(), "");
}

#[test]
fn an_end_and_the_end_of_a_subscription_are_answered_without_a_body() {
    let (mut pair, host) = pair();
    let (message, other) = (pair.new_uuid(), pair.new_uuid());
    let reference = host.reference();
    let text = source::subscription_end(&host.sender("", message), reference, 5004, "why");
    let (conn, reply) = say(&mut pair, &host, "/wsman", &text);
    assert_eq!((reply.status, reply.text), (204, None));
    pair.call(conn, &source::end(other, message));
    let reply = pair.peer(conn).replies.pop().unwrap();
    assert_eq!((reply.status, reply.text), (204, None));
}

#[test]
fn a_source_that_enumerates_and_sends_nothing_is_counted_once() {
    let (mut pair, mut host) = pair();
    pair.advance(seconds(280));
    assert_eq!(pair.collector.counters().silent_sources, 0);
    pair.advance(seconds(30));
    assert_eq!(pair.collector.counters().silent_sources, 1);
    pair.enumerate(&mut host);
    pair.advance(seconds(1000));
    assert_eq!(pair.collector.counters().silent_sources, 1);
}

#[test]
fn a_source_that_lives_is_not_called_silent() {
    let (mut pair, mut host) = pair();
    pair.heartbeat(&mut host);
    let mut other = pair.host("b.example.com");
    let events = [bookmark_event("b.example.com")];
    pair.post_of(&mut other, &events, None);
    pair.advance(seconds(3000));
    assert_eq!(pair.collector.counters().silent_sources, 0);
}

#[test]
fn a_source_that_goes_on_from_a_bookmark_has_time_until_its_heartbeat() {
    let (mut pair, mut host) = pair();
    pair.post(&mut host, 1..=1);
    pair.restart();
    pair.host(MACHINE);
    pair.advance(seconds(900));
    assert_eq!(pair.collector.counters().silent_sources, 0);
    pair.advance(seconds(80));
    assert_eq!(pair.collector.counters().silent_sources, 1);
}
