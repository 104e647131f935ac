//! Messages of the relay's own log.

use std::time::{Duration, UNIX_EPOCH};

use super::reader::{self, Parsed};
use super::*;

fn sender(hostname: &str) -> Sender {
    Sender {
        hostname: hostname.to_owned(),
        process: 4711,
    }
}

fn line(text: &str) -> Line {
    Line {
        severity: Severity::Warning,
        time: UNIX_EPOCH + Duration::from_micros(1_700_000_000_000_042),
        text: text.to_owned(),
    }
}

fn written(mapping: &Mapping, sender: &Sender, line: &Line, max: Option<usize>) -> (usize, Parsed) {
    let mut out = Vec::new();
    let style = style(ControlCharacters::Keep, max);
    write_own(mapping, sender, line, &style, &mut out);
    (out.len(), reader::read(&out).unwrap())
}

#[test]
fn a_message_of_our_own_says_who_we_are() {
    let mapping = Mapping {
        version: "1.2.3",
        ..Mapping::default()
    };
    let mut out = Vec::new();
    write_own(
        &mapping,
        &sender("relay.example"),
        &line("output x: gone"),
        &Style::default(),
        &mut out,
    );
    assert_eq!(
        String::from_utf8(out).unwrap(),
        "<28>1 2023-11-14T22:13:20.000042Z relay.example wecrelay 4711 - \
         [origin software=\"wecrelay\" swVersion=\"1.2.3\"] output x: gone"
    );
}

#[test]
fn it_has_the_header_of_the_output() {
    let written = |header| {
        let style = Style {
            header,
            ..Style::default()
        };
        let mut out = Vec::new();
        let sender = sender("relay.example");
        write_own(
            &Mapping::default(),
            &sender,
            &line("gone"),
            &style,
            &mut out,
        );
        String::from_utf8(out).unwrap()
    };
    let old = "<28>Nov 14 22:13:20 relay.example wecrelay[4711]: gone";
    assert_eq!(written(Header::Rfc3164), old);
    assert_eq!(written(Header::None), "gone");
}

#[test]
fn the_facility_and_the_byte_order_mark_are_those_of_events() {
    let mapping = Mapping {
        facility: FacilityRule::Fixed(Facility::from_name("local3").unwrap()),
        bom: true,
        ..Mapping::default()
    };
    let (_, message) = written(&mapping, &sender("relay"), &line("größer"), None);
    assert_eq!(message.priority, 19 * 8 + 4);
    assert_eq!(message.msg.as_deref(), Some("\u{feff}größer"));
}

#[test]
fn it_is_cut_between_characters() {
    let long = line(&"é".repeat(1000));
    for max in [1, 480, 481] {
        let (length, message) = written(&Mapping::default(), &sender("relay"), &long, Some(max));
        let most = max.max(MIN_LENGTH);
        assert!((most - 1..=most).contains(&length), "{length}");
        assert!(message.msg.unwrap().chars().all(|c| c == 'é'));
    }
}

#[test]
fn odd_names_of_our_host_are_words_all_the_same() {
    for (name, expected) in [
        ("", None),
        ("a b", Some("a_b")),
        ("[2001:db8::1]", Some("[2001:db8::1]")),
    ] {
        let (_, message) = written(&Mapping::default(), &sender(name), &line("x"), None);
        assert_eq!(message.hostname.as_deref(), expected);
    }
}
