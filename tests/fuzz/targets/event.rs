//! Any text as an event: both readers agree, every message conforms to the grammar and its
//! maximum size, and contains every value.
#![no_main]

#[allow(dead_code, unreachable_pub)]
#[path = "../../support/rfc5424.rs"]
mod rfc5424;

use libfuzzer_sys::fuzz_target;
use wecrelay::event::{self, Event};
use wecrelay::record::{self, Kind};
use wecrelay::syslog::framing::{Framing, write_frame};
use wecrelay::syslog::{
    ControlCharacters, Header, MIN_LENGTH, Mapping, MessageKind, Origin, Style, write_message,
};

use rfc5424::read_line;

const KINDS: [MessageKind; 8] = [
    MessageKind::Text,
    MessageKind::Xml,
    MessageKind::Json,
    MessageKind::Ecs,
    MessageKind::Nxlog,
    MessageKind::Snare,
    MessageKind::Cef,
    MessageKind::Leef,
];
const FRAMINGS: [Framing; 3] = [Framing::Datagram, Framing::OctetCounting, Framing::LineFeed];

type Parsed<'a> = Result<Event<'a>, event::Malformed>;

fuzz_target!(|text: &str| {
    // The text before a NUL is the host's claimed name.
    let (claim, xml) = text.split_once('\0').unwrap_or(("ws1.example", text));
    let event = event::parse(xml);
    readers_agree(xml, &event);
    records_are_whole(xml, &event, claim);
    let hash = xml.bytes().fold(7, mix);
    let chances = (0..).step_by(7).map(|bits| hash.rotate_right(bits));
    for (kind, chance) in KINDS.into_iter().zip(chances) {
        for framing in FRAMINGS {
            let (whole, truncated) = write(kind, xml, &event, claim, None, framing);
            assert_eq!(truncated, 0);
            check(&whole, &event, kind, framing);
            // Testing every maximum in every form would take too long.
            if FRAMINGS.get(chance % 3) == Some(&framing) {
                let maxima = [0, whole.len() - chance % 2, chance % (whole.len() + 9)];
                for max in maxima {
                    let cut = write(kind, xml, &event, claim, Some(max), framing);
                    check_cut(cut, &whole, max, event.is_ok() && is_json(kind));
                }
            }
        }
    }
});

fn mix(sum: usize, byte: u8) -> usize {
    sum.wrapping_mul(31) ^ usize::from(byte)
}

/// The strict reader does not support comments, so a comment selects the general reader.
fn readers_agree(xml: &str, event: &Parsed<'_>) {
    let Ok(event) = event else { return };
    if event.repaired.is_none() {
        let commented = format!("{xml}<!---->");
        assert_eq!(&event::parse(&commented).unwrap(), event);
    }
}

/// As a record, an event is a line of JSON with its values and its own name.
fn records_are_whole(xml: &str, event: &Parsed<'_>, claim: &str) {
    let (mapping, origin) = (Mapping::default(), origin(claim));
    for kind in [Kind::Otlp, Kind::Kafka] {
        let style = Style {
            message: MessageKind::Json,
            header: Header::None,
            ..Style::default()
        };
        let mut out = Vec::new();
        record::write_event(kind, &mapping, xml, event, &origin, &style, &mut out);
        let record = record::parse(&out).unwrap();
        assert_eq!(
            (record.kind, record.head.subscription),
            (kind, front(claim))
        );
        let mut line = Vec::new();
        record::push_line(&out, &mut line);
        assert_eq!(line.pop(), Some(b'\n'));
        let line: serde_json::Value = serde_json::from_slice(&line).unwrap();
        if kind == Kind::Otlp
            && let Ok(event) = event
        {
            let text = line.to_string();
            for (_, value) in &event.data {
                let value = serde_json::to_string(value).unwrap();
                assert!(value == "\"\"" || text.contains(&value), "{value}");
            }
        }
    }
}

/// The part of a text that fits into the head of a record.
fn front(text: &str) -> &str {
    let longest = text.len().min(1024);
    (0..=longest).rev().find_map(|end| text.get(..end)).unwrap()
}

fn origin(claim: &str) -> Origin<'_> {
    Origin {
        account_sid: "S-1-5-21-1-2-3-1104",
        address: [192, 0, 2, 7].into(),
        machine_id: claim,
        identity: claim,
        auth: "ntlm",
        subscription: claim,
        computer_mismatch: "",
        repaired: false,
        received: std::time::SystemTime::UNIX_EPOCH,
    }
}

fn write(
    kind: MessageKind,
    xml: &str,
    event: &Parsed<'_>,
    claim: &str,
    max: Option<usize>,
    framing: Framing,
) -> (Vec<u8>, usize) {
    let origin = origin(claim);
    let control = framing.control_characters();
    let style = Style {
        message: kind,
        control,
        max,
        ..Style::default()
    };
    let mut out = Vec::new();
    let written = write_frame(framing, &mut out, |out| {
        write_message(&Mapping::default(), xml, event, &origin, &style, out)
    });
    (unframe(framing, out, &style), written.truncated)
}

fn unframe(framing: Framing, mut frame: Vec<u8>, style: &Style) -> Vec<u8> {
    match framing {
        Framing::Datagram => {}
        Framing::OctetCounting => {
            let space = frame.iter().position(|byte| *byte == b' ').unwrap();
            let message = frame.split_off(space + 1);
            assert_eq!(frame, format!("{} ", message.len()).as_bytes());
            frame = message;
        }
        Framing::LineFeed => assert_eq!(frame.pop(), Some(b'\n')),
    }
    if style.control == ControlCharacters::Escape {
        let text = std::str::from_utf8(&frame).unwrap();
        // Tabs terminate fields in two layouts.
        let has_tabs = matches!(style.message, MessageKind::Snare | MessageKind::Leef);
        let is_control = |c: char| c.is_control() && !(has_tabs && c == '\t');
        assert!(!text.contains(is_control), "{text:?}");
    }
    frame
}

fn check(message: &[u8], event: &Parsed<'_>, kind: MessageKind, framing: Framing) {
    let line = read_line(message);
    let Ok(event) = event else {
        assert_eq!(line.values("event", "Malformed").len(), 1);
        return;
    };
    same_msg(&line.message, event, kind);
    bears(message, &line);
    if framing == Framing::LineFeed || !line.value("event", "Truncated").is_empty() {
        return;
    }
    let data = line
        .elements
        .iter()
        .filter(|(id, _)| id.starts_with("data@"));
    let values: Vec<_> = data
        .flat_map(|(_, values)| values)
        .map(|(_, value)| value)
        .collect();
    for (name, value) in &event.data {
        assert!(
            values.iter().any(|found| *found == value),
            "{name} is not in {values:?}"
        );
    }
}

/// Names are unique, and structured data is within the limits of receivers.
fn bears(message: &[u8], line: &rfc5424::Line) {
    let mut count = 0;
    for (_, parameters) in &line.elements {
        let mut names = std::collections::HashSet::new();
        for (name, value) in parameters {
            count += 1;
            assert!(names.insert(name.to_ascii_lowercase()), "{name} twice");
            assert!(!name.contains('.') && value.len() < 32_000);
        }
    }
    let structured = message.iter().position(|byte| *byte == b'[').unwrap();
    assert!(count <= 240 && message.len() - structured - line.message.len() < 65_001);
}

fn is_json(kind: MessageKind) -> bool {
    matches!(
        kind,
        MessageKind::Json | MessageKind::Ecs | MessageKind::Nxlog
    )
}

/// XML in MSG has the event's values, JSON is valid, and a record is one line.
fn same_msg(message: &str, event: &Event<'_>, kind: MessageKind) {
    match kind {
        MessageKind::Text => {}
        MessageKind::Json | MessageKind::Ecs | MessageKind::Nxlog => {
            serde_json::from_str::<serde_json::Value>(message).unwrap();
        }
        MessageKind::Snare | MessageKind::Cef | MessageKind::Leef => {
            let is_control = |c: char| c.is_control() && c != '\t';
            assert!(!message.contains(is_control), "{message:?}");
        }
        MessageKind::Xml => {
            let again = event::parse(message).unwrap();
            let expected = Event {
                repaired: None,
                ..event.clone()
            };
            assert_eq!(again, expected, "MSG {message:?}");
        }
    }
}

fn check_cut((message, truncated): (Vec<u8>, usize), whole: &[u8], max: usize, json: bool) {
    let max = max.max(MIN_LENGTH);
    assert!(message.len() <= max, "{} > {max}", message.len());
    let line = read_line(&message);
    // Structured data that was truncated already leaves space for MSG.
    if read_line(whole).value("event", "Truncated").is_empty() {
        assert_eq!(truncated > 0, whole.len() > max);
    }
    if truncated == 0 {
        assert!(message == whole || whole.len() > max);
    } else {
        let said = line.value("event", "Truncated");
        assert_eq!(said.split(' ').next(), Some(truncated.to_string().as_str()));
    }
    if json && !line.message.is_empty() {
        serde_json::from_str::<serde_json::Value>(&line.message).unwrap();
    }
}
