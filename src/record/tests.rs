use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use super::*;
use crate::event;
use crate::protocol::otlp::wire::{Fields, Value};

const XML: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
    <Provider Name='Prov' Guid='{a}'/><EventID>4624</EventID><Level>2</Level>\
    <TimeCreated SystemTime='2026-01-02T03:04:05.123456789Z'/><EventRecordID>18446744073709551615\
    </EventRecordID><Channel>Security</Channel><Computer>ws1.example</Computer></System>\
    <EventData><Data Name='A'>1</Data><Data Name='B'>two</Data><Data Name='A'>é</Data>\
    </EventData></Event>";

fn origin() -> Origin<'static> {
    Origin {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        machine_id: "machine",
        identity: "WS1$",
        account_sid: "",
        auth: "ntlm",
        subscription: "all",
        computer_mismatch: "",
        repaired: false,
        received: SystemTime::UNIX_EPOCH + Duration::from_secs(9),
    }
}

fn written(xml: &str) -> Vec<u8> {
    let mut out = Vec::new();
    write_event(
        Kind::Otlp,
        &Mapping::default(),
        xml,
        &event::parse(xml),
        &origin(),
        &Style::default(),
        &mut out,
    );
    out
}

fn fields(message: &[u8]) -> Vec<(u32, Value<'_>)> {
    Fields::new(message).map(Option::unwrap).collect()
}

fn bytes<'a>(fields: &[(u32, Value<'a>)], number: u32) -> &'a [u8] {
    let value = fields.iter().find(|(field, _)| *field == number);
    match value {
        Some((_, Value::Bytes(bytes))) => bytes,
        other => panic!("{other:?}"),
    }
}

/// An `AnyValue` in words.
fn shown(value: &[u8]) -> String {
    match fields(value)[..] {
        [(1, Value::Bytes(text))] => std::str::from_utf8(text).unwrap().to_owned(),
        [(3, Value::Integer(number))] => format!("#{number}"),
        [(5, Value::Bytes(array))] => {
            let values = fields(array).into_iter().map(|(_, value)| match value {
                Value::Bytes(value) => shown(value),
                other => panic!("{other:?}"),
            });
            format!("{:?}", values.collect::<Vec<_>>())
        }
        ref other => panic!("{other:?}"),
    }
}

/// The attributes of a record, each once.
fn attributes(payload: &[u8]) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for (field, value) in fields(payload) {
        if let (6, Value::Bytes(pair)) = (field, value) {
            let pair = fields(pair);
            let key = String::from_utf8(bytes(&pair, 1).to_vec()).unwrap();
            let old = found.insert(key, shown(bytes(&pair, 2)));
            assert_eq!(old, None, "a name stands once");
        }
    }
    found
}

#[test]
fn an_event_is_a_log_record() {
    let out = written(XML);
    let record = parse(&out).unwrap();
    assert_eq!(record.head.host, "ws1.example");
    assert_eq!(record.head.channel, "Security");
    assert_eq!(record.head.subscription, "all");
    let all = fields(record.payload);
    let time = 1_767_323_045_123_456_789;
    assert!(all.contains(&(1, Value::Fixed64(time))), "{all:?}");
    assert!(all.contains(&(11, Value::Fixed64(9_000_000_000))));
    assert!(all.contains(&(2, Value::Integer(17))));
    assert_eq!(bytes(&all, 3), b"Error");
    assert_eq!(shown(bytes(&all, 5)), "Prov 4624 A=1 B=two A=é");
    let found = attributes(record.payload);
    let expected = [
        ("log.record.uid", record.head.uid),
        ("source.address", "192.0.2.1"),
        ("wecrelay.auth", "ntlm"),
        ("wecrelay.identity", "WS1$"),
        ("wecrelay.machine_id", "machine"),
        ("wecrelay.subscription", "all"),
        ("winlog.channel", "Security"),
        ("winlog.computer_name", "ws1.example"),
        ("winlog.event_data.A", "[\"1\", \"é\"]"),
        ("winlog.event_data.B", "two"),
        ("winlog.event_id", "#4624"),
        ("winlog.level_value", "#2"),
        ("winlog.provider_guid", "{a}"),
        ("winlog.provider_name", "Prov"),
        ("winlog.record_id", "18446744073709551615"),
        ("winlog.time_created", "2026-01-02T03:04:05.123456789Z"),
    ];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(found, BTreeMap::from(expected));
}

#[test]
fn what_is_no_event_goes_out_as_it_came() {
    let out = written("no xml");
    let record = parse(&out).unwrap();
    assert_eq!(record.head.host, "machine");
    let all = fields(record.payload);
    assert!(all.contains(&(1, Value::Fixed64(9_000_000_000))));
    assert_eq!(shown(bytes(&all, 5)), "no xml");
    assert!(attributes(record.payload).contains_key("wecrelay.malformed"));
}

#[test]
fn many_values_of_few_names_stay_together() {
    let data: String = (0..100)
        .map(|number| format!("<Data Name='N{}'>{number}</Data>", number % 60))
        .collect();
    let xml = XML.replace("<Data Name='B'>two</Data>", &data);
    let out = written(&xml);
    let found = attributes(parse(&out).unwrap().payload);
    assert_eq!(found["winlog.event_data.N3"], "[\"3\", \"63\"]");
    assert_eq!(found["winlog.event_data.N59"], "59");
    assert_eq!(found["winlog.event_data.A"], "[\"1\", \"é\"]");
}

#[test]
fn a_record_has_the_name_of_its_event() {
    let out = written(XML);
    let name = name(&out);
    assert_eq!(name.computer, "ws1.example");
    assert_eq!(name.record_id, "18446744073709551615");
    assert_eq!(parse(b"<14>1 - - - - - -"), None);
    for cut in 0..out.len().min(60) {
        let _ = parse(&out[..cut]);
    }
    let long = XML.replace("ws1.example", &"é".repeat(3000));
    let out = written(&long);
    assert_eq!(parse(&out).unwrap().head.host.len(), TEXT_MAX);
}

#[test]
fn a_line_of_our_own_is_a_record() {
    let sender = Sender {
        hostname: "relay".to_owned(),
        process: 7,
    };
    let line = Line {
        severity: syslog::Severity::Warning,
        time: SystemTime::UNIX_EPOCH + Duration::from_nanos(5),
        text: "a line".to_owned(),
    };
    let mut out = Vec::new();
    write_own(
        Kind::Otlp,
        &Mapping::default(),
        &sender,
        &line,
        &Style::default(),
        &mut out,
    );
    let record = parse(&out).unwrap();
    assert_eq!(record.head.host, "relay");
    let all = fields(record.payload);
    assert!(all.contains(&(1, Value::Fixed64(5))));
    assert!(all.contains(&(2, Value::Integer(13))));
    assert_eq!(shown(bytes(&all, 5)), "a line");
    assert_eq!(attributes(record.payload)["process.pid"], "#7");
}
