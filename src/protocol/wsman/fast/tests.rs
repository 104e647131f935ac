use std::time::Duration;

use uuid::Uuid;

use super::super::parse_generally;
use super::super::source::{self, Sender};
use super::*;

const REFERENCE: &str = "<e:Identifier xmlns:e=\"http://schemas.xmlsoap.org/ws/2004/08/eventing\">\
     219C5353-5F3D-4CD7-A644-F6B69E57C1C1</e:Identifier>";
const BOOKMARK: &str = "<BookmarkList><Bookmark Channel=\"Microsoft-Windows-Sysmon/Operational\" \
     RecordId=\"1\"/><Bookmark Channel=\"Security\" RecordId=\"77\" IsCurrent=\"true\"/>\
     </BookmarkList>";

fn sender() -> Sender<'static> {
    Sender {
        to: "https://relay.example.test:5986/wsman/subscriptions/1",
        machine: "ws1.example.test",
        locale: "en-US",
        session: Uuid::nil(),
        message: Uuid::from_u128(7),
        operation: Uuid::from_u128(8),
        timeout: Duration::from_secs(60),
        max_envelope_size: 512_000,
    }
}

fn batch(events: &[&str]) -> String {
    source::events(&sender(), REFERENCE, Some(BOOKMARK), events.iter().copied())
}

/// Whether the fast reader takes it; panics if the general one then differs.
fn is_fast(text: &str) -> bool {
    let read_unknown = read(text, false);
    if !text.contains(char::is_control) && !has_forbidden(text) {
        assert_eq!(read(text, true), read_unknown, "{text}");
    }
    let Some(message) = read_unknown else {
        return false;
    };
    assert_eq!(Ok(message), parse_generally(text), "{text}");
    true
}

#[test]
fn what_windows_delivers_is_read_fast() {
    let long = format!("<Event>{}</Event>", "é".repeat(300));
    assert!(is_fast(&batch(&["<Event/>", &long, " <Event>2</Event> "])));
    assert!(is_fast(&batch(&[])));
    assert!(is_fast(&batch(&[&*long; 9])));
    let heartbeat = source::heartbeat(&sender(), REFERENCE);
    assert!(is_fast(&heartbeat));
    let with_event = batch(&["<Event/>"]).replace("wsman/Events<", "wsman/Heartbeat<");
    assert!(is_fast(&with_event));
    for other in [
        source::enumerate(&sender()),
        batch(&["<Event>\u{1}</Event>"]),
        batch(&["<Event>]]></Event>"]),
        batch(&["", "<Event/>"]),
        batch(&vec!["<Event/>"; MOST + 1]),
        heartbeat.replace("ws1", "ws&amp;1"),
        heartbeat.replace("ws1", &"w".repeat(MAX_HEADER_TEXT + 1)),
        heartbeat.replace("PT60.000S", "soon"),
        heartbeat.replace("<a:MessageID>", "<a:MessageID></a:MessageID><a:MessageID>"),
        heartbeat.replace("<s:Body>", "<s:Body> "),
        format!("{heartbeat}<!-- -->"),
    ] {
        assert!(!is_fast(&other), "{other}");
    }
}

#[test]
fn prefixes_may_be_declared_in_any_order_with_others() {
    let text = source::heartbeat(&sender(), REFERENCE);
    let (_, rest) = text.split_once('>').unwrap();
    let with = |declarations: &[String]| format!("<s:Envelope{}>{rest}", declarations.concat());
    let mut all: Vec<_> = PREFIXES
        .iter()
        .map(|(start, uri)| format!("{start}{uri}\""))
        .collect();
    all.push(" xml:lang=\"en-US\"".to_owned());
    for place in 0..all.len() {
        let mut some = all.clone();
        some.rotate_left(place);
        assert!(is_fast(&with(&some)));
        let gone = some.remove(0);
        let is_used = all.iter().position(|one| *one == gone).unwrap() < USED;
        assert_eq!(is_fast(&with(&some)), !is_used, "without {gone}");
        some.push(some[0].clone());
        assert!(!is_fast(&with(&some)), "twice {}", some[0]);
    }
    for other in [
        " xmlns:w=\"urn:w\"",
        " xmlns=\"urn:w\"",
        " xmlns:x=\"urn:x\"",
        " a=\"\"",
    ] {
        let mut some = all.clone();
        some.push(other.to_owned());
        assert!(!is_fast(&with(&some)), "{other}");
    }
}

#[test]
fn an_identifier_may_use_a_prefix_of_the_envelope() {
    let text = source::heartbeat(&sender(), "<e:Identifier>219C5353</e:Identifier>");
    assert!(is_fast(&text));
    let declaration = format!("{}{}\"", PREFIXES[USED].0, ns::EVENTING);
    assert!(!is_fast(&text.replace(&declaration, "")));
}

#[test]
fn both_readers_agree_on_any_change() {
    let texts = [
        batch(&["<Event/>", &format!("<Event>{}</Event>", "x".repeat(260))]),
        source::heartbeat(&sender(), REFERENCE),
    ];
    let pieces = [
        "",
        " ",
        "\n",
        "<",
        ">",
        "&",
        "&lt;",
        "\"",
        "'",
        "]",
        "]]>",
        "/",
        "é",
        "\u{ffff}",
        "\u{5}",
        "<!---->",
        "<a:To>x</a:To>",
    ];
    for text in texts {
        let mut fast = 0;
        for at in 0..text.len() {
            let piece = pieces[at % pieces.len()];
            let (before, after) = text.split_at(at);
            fast += usize::from(is_fast(&[before, piece, after].concat()));
            fast += usize::from(is_fast(&[before, piece, &after[1..]].concat()));
            fast += usize::from(is_fast(before));
        }
        // What stands in texts may change.
        assert!(fast > 100, "{fast}");
    }
}

#[test]
fn headers_may_come_in_any_order_and_be_missing() {
    let text = source::heartbeat(&sender(), REFERENCE);
    let start = text.find("<s:Header>").unwrap() + "<s:Header>".len();
    let end = text.find("</s:Header>").unwrap();
    let header = &text[start..end];
    // Elements in the order in which they end; one of them has another in it.
    let mut elements = vec![REFERENCE.to_owned(), "<w:AckRequested/>".to_owned()];
    let rest = header.strip_suffix(&elements.concat()).unwrap();
    for close in ["</a:To>", "</m:MachineID>", "</a:ReplyTo>", "</a:Action>"] {
        let at = rest.find(close).unwrap() + close.len();
        let from = rest[..at].rfind("><").map_or(0, |from| from + 1);
        let from = if close == "</a:ReplyTo>" {
            rest.find("<a:ReplyTo>").unwrap()
        } else {
            from
        };
        elements.push(rest[from..at].to_owned());
    }
    elements.push("<a:MessageID>uuid:1</a:MessageID>".to_owned());
    let with = |elements: &[String]| [&text[..start], &elements.concat(), &text[end..]].concat();
    for left_out in 0..elements.len() {
        let mut some = elements.clone();
        some.rotate_left(left_out);
        assert!(is_fast(&with(&some)));
        let gone = some.remove(0);
        let needed = gone.contains("Action>") || gone.contains("MessageID>");
        assert_eq!(is_fast(&with(&some)), !needed, "without {gone}");
        some.push(some[0].clone());
        let repeats = some[0].contains("AckRequested");
        assert!(
            needed || is_fast(&with(&some)) == repeats,
            "twice {}",
            some[0]
        );
    }
}
