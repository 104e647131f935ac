mod bears;
mod own_log;
mod reader;

use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use super::*;
use crate::event::{self, Event, parse};
use reader::Parsed;

const KINDS: [MessageKind; 3] = [MessageKind::Text, MessageKind::Xml, MessageKind::Json];
const CONTROLS: [ControlCharacters; 2] = [ControlCharacters::Keep, ControlCharacters::Escape];
const SYSTEM: &str = "<Provider Name='Prov' Guid='{g}'/><EventID Qualifiers='3'>4625</EventID>\
    <Version>1</Version><Level>0</Level><Task>12</Task><Opcode>7</Opcode>\
    <Keywords>0x8010000000000000</Keywords><TimeCreated SystemTime='2024-03-14T13:54:16.6138329Z'/>\
    <EventRecordID>1444</EventRecordID><Correlation ActivityID='{a}' RelatedActivityID='{r}'/>\
    <Execution ProcessID='780' ThreadID='8372' SessionID='1'/><Channel>Security</Channel>\
    <Computer>ws1.example</Computer><Security UserID='S-1-5-18'/>";
const RENDERING: &str = "<RenderingInfo Culture='en-US'><Message>Failed.&#13;&#10;\tWhy: \"no\"]\r\n\u{85}end</Message>\
    <Level>Information</Level><Task>Logon</Task><Opcode>Info</Opcode><Channel>Security</Channel>\
    <Provider>Auditing.</Provider><Keywords><Keyword>Audit Failure</Keyword><Keyword>X</Keyword></Keywords></RenderingInfo>";
const DATA: &str = "<EventData Name='Fail'><Data Name='User'>k\\l \"x\" [y]</Data><Data Name='Line Number'>5</Data>\
    <Data Name='User'>again</Data><Data>\n1: (a\r\n\tb)\n\n</Data><Data Name='日本'>日本語テキスト😀</Data><Data/>\
    <Data Name='ThisNameIsLongerThanThirtyTwoCharacters'>&#x7F;é\u{85}\\</Data><Data Name='a=b]\"c'>]]&gt;</Data></EventData>";

fn event(system: &str, body: &str) -> String {
    format!(
        "<Event xmlns='{}'><System>{system}</System>{body}</Event>",
        event::NAMESPACE
    )
}

fn samples() -> Vec<String> {
    let long = format!(
        "<EventData><Data Name='Script'>{}</Data><Data Name='s'>b</Data></EventData>",
        "a\\é]".repeat(700)
    );
    let many: String = (0..90)
        .map(|n| format!("<Data Name='n{}'>{n}</Data>", n % 60))
        .collect();
    let odd = format!(
        "<Provider Name='Service Control Manager ä{}'/><Computer>a b{}</Computer>\
        <Execution ProcessID='{}'/><TimeCreated SystemTime='2024-02-30T00:00:00Z'/>",
        "x".repeat(60),
        "c".repeat(300),
        "9".repeat(200)
    );
    vec![
        event(SYSTEM, &[DATA, RENDERING].concat()),
        event(SYSTEM, DATA),
        event(SYSTEM, RENDERING),
        event(SYSTEM, &long),
        event(SYSTEM, &format!("<EventData>{many}</EventData>")),
        event(&odd, DATA),
        event("", ""),
        event(
            SYSTEM,
            "<UserData><o:X xmlns:o='urn:x'\n a='1\n2'><![CDATA[x\n]]>\n<Y>1\r2</Y><!-- \n --></o:X></UserData>",
        ),
        format!(
            "<?xml version='1.0'?>\n{}",
            event(SYSTEM, "<EventData><Data>\u{1}&#x5;</Data></EventData>")
        ),
        event(SYSTEM, &DATA.replace("again", "<bad>\n\0\u{9B}]\\")),
        "<Event>cut \"] off \\".to_owned(),
    ]
}

fn origin() -> Origin<'static> {
    Origin {
        address: IpAddr::from([192, 0, 2, 7]),
        machine_id: "ws1.example",
        identity: "EXAMPLE\\ws1$",
        account_sid: "",
        auth: "ntlm",
        subscription: "all",
        computer_mismatch: "",
        repaired: false,
        received: SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_323_045_123_456),
    }
}

fn style(control: ControlCharacters, max: Option<usize>) -> Style {
    Style {
        control,
        max,
        ..Style::default()
    }
}

fn write(
    kind: MessageKind,
    xml: &str,
    max: Option<usize>,
    control: ControlCharacters,
) -> (Vec<u8>, usize) {
    let style = Style {
        message: kind,
        ..style(control, max)
    };
    write_with(&Mapping::default(), xml, &style)
}

fn write_with(mapping: &Mapping, xml: &str, style: &Style) -> (Vec<u8>, usize) {
    let mut out = b"before".to_vec();
    let written = write_message(mapping, xml, &parse(xml), &origin(), style, &mut out);
    (out.split_off(6), written.truncated)
}

/// The message in this style, with default settings otherwise.
fn write_as(kind: MessageKind, xml: &str, style: &Style) -> Vec<u8> {
    let style = Style {
        message: kind,
        ..*style
    };
    let mut out = Vec::new();
    write_message(
        &Mapping::default(),
        xml,
        &parse(xml),
        &origin(),
        &style,
        &mut out,
    );
    out
}

fn read(message: &[u8]) -> Parsed {
    reader::read(message)
        .unwrap_or_else(|why| panic!("{why}: {}", String::from_utf8_lossy(message)))
}

fn written(kind: MessageKind, xml: &str) -> Parsed {
    read(&write(kind, xml, None, ControlCharacters::Keep).0)
}

/// What a receiver decodes from a value or MSG after [`ControlCharacters::Escape`].
fn visible(text: &str) -> String {
    let escape = |c: char| match c {
        '\n' => "\\n".to_owned(),
        '\r' => "\\r".to_owned(),
        '\t' => "\\t".to_owned(),
        '\\' => "\\\\".to_owned(),
        c if c.is_control() => format!("\\u{:04x}", u32::from(c)),
        c => c.to_string(),
    };
    text.chars().map(escape).collect()
}

#[test]
fn the_account_of_a_domain_goes_along() {
    let mut out = Vec::new();
    let origin = Origin {
        account_sid: "S-1-5-21-1-2-3-1102",
        ..origin()
    };
    let xml = event(SYSTEM, "");
    let keep = ControlCharacters::Keep;
    let style = Style {
        message: MessageKind::Json,
        ..style(keep, None)
    };
    write_message(
        &Mapping::default(),
        &xml,
        &parse(&xml),
        &origin,
        &style,
        &mut out,
    );
    let line = String::from_utf8(out).unwrap();
    let fact = " Identity=\"EXAMPLE\\\\ws1$\" AccountSid=\"S-1-5-21-1-2-3-1102\" Auth=";
    assert!(line.contains(fact), "{line}");
    let member = ",\"AccountSid\":\"S-1-5-21-1-2-3-1102\",\"Auth\":";
    assert!(line.contains(member), "{line}");
}

#[test]
fn a_whole_line_is_as_documented() {
    let xml = event(SYSTEM, "<EventData><Data Name='User'>k</Data></EventData>");
    let (line, _) = write(MessageKind::Text, &xml, None, ControlCharacters::Keep);
    let uid = read(&line).fact("Uid").unwrap().to_owned();
    let expected = format!(
        "<84>1 2024-03-14T13:54:16.613832Z ws1.example Prov 780 4625 \
         [origin ip=\"192.0.2.7\" software=\"wecrelay\" swVersion=\"{}\"]\
         [event@32473 Uid=\"{uid}\" Channel=\"Security\" EventRecordID=\"1444\" \
         Provider=\"Prov\" ProcessID=\"780\" Subscription=\"all\" Identity=\"EXAMPLE\\\\ws1$\" Auth=\"ntlm\" Level=\"0\" Version=\"1\" Task=\"12\" Opcode=\"7\" \
         Keywords=\"0x8010000000000000\" Qualifiers=\"3\" ThreadID=\"8372\" UserID=\"S-1-5-18\" \
         ActivityID=\"{{a}}\" RelatedActivityID=\"{{r}}\" ProviderGuid=\"{{g}}\" SessionID=\"1\"]\
         [data@32473 User=\"k\"] Prov 4625 User=k",
        env!("CARGO_PKG_VERSION"),
    );
    assert_eq!(String::from_utf8(line).unwrap(), expected);
}

#[test]
fn every_message_is_of_the_grammar() {
    for xml in samples() {
        for kind in KINDS {
            for control in CONTROLS {
                let (message, truncated) = write(kind, &xml, None, control);
                read(&message);
                assert_eq!(truncated, 0);
                let raw = message.iter().any(|byte| *byte < b' ' || *byte == 0x7F);
                let c1 = String::from_utf8(message)
                    .unwrap()
                    .chars()
                    .any(char::is_control);
                assert!(
                    control == ControlCharacters::Keep || !(raw || c1),
                    "{kind:?} {xml}"
                );
            }
        }
    }
}

#[test]
fn nothing_of_an_event_is_lost() {
    for xml in samples() {
        let Ok(event) = parse(&xml) else { continue };
        for kind in KINDS {
            let parsed = written(kind, &xml);
            let values: Vec<_> = (parsed.elements.iter())
                .filter(|element| element.id == "data@32473")
                .flat_map(|element| &element.params)
                .map(|(_, value)| value.as_str())
                .collect();
            let expected: Vec<_> = event.data.iter().map(|(_, value)| &**value).collect();
            assert_eq!(values, expected);
        }
        let (message, _) = write(MessageKind::Text, &xml, None, ControlCharacters::Escape);
        let parsed = read(&message);
        let data = parsed
            .elements
            .iter()
            .find(|element| element.id == "data@32473");
        for ((_, value), (_, seen)) in event
            .data
            .iter()
            .zip(data.iter().flat_map(|data| &data.params))
        {
            assert_eq!(*seen, visible(value));
        }
    }
}

#[test]
fn names_are_mapped() {
    let parsed = written(MessageKind::Text, &event(SYSTEM, DATA));
    let names: Vec<_> = parsed.elements[2]
        .params
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    let expected = [
        "User",
        "Line_Number",
        "User_2",
        "Data4",
        "__",
        "Data6",
        "ThisNameIsLongerThanThirtyTwoCha",
        "a_b__c",
    ];
    assert_eq!(names, expected);
}

#[test]
fn header_words_are_cleaned_cut_and_kept_aside() {
    let parsed = written(MessageKind::Text, &samples()[5]);
    assert_eq!(
        parsed.app_name.unwrap(),
        format!("Service_Control_Manager__{}", "x".repeat(23))
    );
    assert_eq!(parsed.hostname.unwrap(), format!("a_b{}", "c".repeat(252)));
    assert_eq!(parsed.procid.unwrap(), "9".repeat(128));
    assert_eq!(parsed.msgid, None);
    let parsed = written(MessageKind::Text, &samples()[5]);
    assert_eq!(parsed.fact("SystemTime"), Some("2024-02-30T00:00:00Z"));
    assert!(
        parsed
            .fact("Provider")
            .unwrap()
            .starts_with("Service Control Manager ä")
    );
    assert!(parsed.fact("Computer").unwrap().starts_with("a b"));
}

#[test]
fn rendered_names_are_facts() {
    let parsed = written(MessageKind::Text, &samples()[0]);
    assert_eq!(parsed.fact("LevelName"), Some("Information"));
    assert_eq!(parsed.fact("TaskName"), Some("Logon"));
    assert_eq!(parsed.fact("OpcodeName"), Some("Info"));
    assert_eq!(parsed.fact("KeywordNames"), Some("Audit Failure, X"));
    assert_eq!(parsed.fact("DataName"), Some("Fail"));
    assert_eq!(parsed.msg.unwrap(), "Failed.\r\n\tWhy: \"no\"]\n\u{85}end");
}

#[test]
fn text_for_lines_shows_control_characters() {
    let (message, _) = write(
        MessageKind::Text,
        &samples()[0],
        None,
        ControlCharacters::Escape,
    );
    assert_eq!(
        read(&message).msg.unwrap(),
        "Failed.\\r\\n\\tWhy: \"no\"]\\n\\u0085end"
    );
}

#[test]
fn text_without_rendering_is_values() {
    let message = "<RenderingInfo Culture='en-US'><Message> </Message></RenderingInfo>";
    let body = [
        "<EventData><Data Name='a'>1\n2</Data><Data/></EventData>",
        message,
    ]
    .concat();
    let xml = event(SYSTEM, &body);
    let parsed = written(MessageKind::Text, &xml);
    assert_eq!(parsed.msg.unwrap(), "Prov 4625 a=1\n2 Data2=");
    let (line, _) = write(MessageKind::Text, &xml, None, ControlCharacters::Escape);
    assert_eq!(read(&line).msg.unwrap(), "Prov 4625 a=1\\n2 Data2=");
    assert_eq!(written(MessageKind::Text, &event("", "")).msg, None);
}

#[test]
fn xml_has_equal_values_and_is_one_line_where_it_must() {
    for xml in samples() {
        let Ok(expected) = parse(&xml) else { continue };
        for control in CONTROLS {
            let (message, _) = write(MessageKind::Xml, &xml, None, control);
            let msg = read(&message).msg.unwrap();
            let lines = control == ControlCharacters::Keep;
            assert!(lines || !msg.contains(['\n', '\r']));
            assert!(!lines || !msg.contains("&#10;"), "{msg}");
            let again = parse(&msg).unwrap_or_else(|error| panic!("{error}: {msg}"));
            assert_eq!(
                Event {
                    repaired: None,
                    ..again
                },
                Event {
                    repaired: None,
                    ..expected.clone()
                }
            );
        }
    }
}

#[test]
fn xml_has_raw_line_ends_where_the_framing_lets_it() {
    let body = "<EventData><Data Name='a&#10;b'>\té&#13;&#10;c\nd&#xA;&#xa;&amp;#10;&#x0A;</Data>\
                <Data>x</Data></EventData>";
    let raw = "<EventData><Data Name='a&#10;b'>\té&#13;\nc\nd\n\n&amp;#10;&#x0A;</Data>\
               <Data>x</Data></EventData>";
    let xml = event(SYSTEM, body);
    assert_eq!(
        written(MessageKind::Xml, &xml).msg.unwrap(),
        event(SYSTEM, raw)
    );
    let plain = event(
        SYSTEM,
        "<EventData><Data>\té &amp; &#13;</Data></EventData>",
    );
    assert_eq!(written(MessageKind::Xml, &plain).msg.unwrap(), plain);
    // In a CDATA section it is not a reference; then all references stay unchanged.
    let data = "<EventData><Data>a&#10;b</Data><Data><![CDATA[<a>&#10;]]></Data></EventData>";
    let xml = event(SYSTEM, data);
    assert_eq!(written(MessageKind::Xml, &xml).msg.unwrap(), xml);
}

#[test]
fn on_one_line_line_ends_outside_and_within_tags_become_spaces() {
    let xml = "<?xml version='1.0'?>\n<Event\r\n\ta='b\nc'>\r\n<System/><![CDATA[1\n2]]></Event>\n<!--\n-->\n";
    let expected = "<?xml version='1.0'?> <Event \ta='b c'>&#10;<System/>\
                    <![CDATA[1]]>&#10;<![CDATA[2]]></Event> <!-- -->";
    let old = Style {
        escape: Escape::Version01,
        ..Style::default()
    };
    assert_eq!(
        read(&write_as(MessageKind::Xml, xml, &old)).msg.unwrap(),
        expected
    );
    let (line, _) = write(MessageKind::Xml, xml, None, ControlCharacters::Escape);
    let expected = expected.replace("\ta=", " a=");
    assert_eq!(read(&line).msg.unwrap(), expected);
}

#[test]
fn json_has_everything() {
    for control in CONTROLS {
        let (message, _) = write(MessageKind::Json, &samples()[0], None, control);
        let json: serde_json::Value = serde_json::from_str(&read(&message).msg.unwrap()).unwrap();
        assert_eq!(json["EventID"], 4625);
        assert_eq!(json["EventRecordID"], 1444);
        assert_eq!(json["Provider"], "Prov");
        assert_eq!(json["Keywords"], "0x8010000000000000");
        assert_eq!(json["TimeCreated"], "2024-03-14T13:54:16.6138329Z");
        assert_eq!(json["System"]["SessionID"], "1");
        assert_eq!(
            json["EventData"]["User"],
            serde_json::json!(["k\\l \"x\" [y]", "again"])
        );
        assert_eq!(json["EventData"]["Data4"], "\n1: (a\n\tb)\n\n");
        assert_eq!(
            json["EventData"]["ThisNameIsLongerThanThirtyTwoCharacters"],
            "\u{7F}é\u{85}\\"
        );
        assert_eq!(json["Message"], "Failed.\r\n\tWhy: \"no\"]\n\u{85}end");
        assert_eq!(
            json["KeywordNames"],
            serde_json::json!(["Audit Failure", "X"])
        );
        assert_eq!(json["Collector"]["Address"], "192.0.2.7");
        assert_eq!(json["Collector"]["Identity"], "EXAMPLE\\ws1$");
    }
}

#[test]
fn json_groups_many_names_as_few() {
    let json = written(MessageKind::Json, &samples()[4]).msg.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["EventData"]["n0"], serde_json::json!(["0", "60"]));
    assert_eq!(json["EventData"]["n59"], "59");
    assert_eq!(json["EventData"].as_object().unwrap().len(), 60);
}

#[test]
fn json_numbers_are_numbers_only_if_they_are() {
    for (text, expected) in [
        ("7", "7"),
        ("0", "0"),
        ("18446744073709551615", "18446744073709551615"),
        ("18446744073709551616", "\"18446744073709551616\""),
        ("007", "\"007\""),
        ("-1", "\"-1\""),
        ("x", "\"x\""),
    ] {
        let xml = event(&format!("<EventID>{text}</EventID>"), "");
        let msg = written(MessageKind::Json, &xml).msg.unwrap();
        assert!(msg.contains(&format!("\"EventID\":{expected},")), "{msg}");
    }
}

#[test]
fn an_unreadable_event_goes_out_with_its_text() {
    let xml = "<Event>cut \"] off \\";
    for kind in [MessageKind::Text, MessageKind::Xml] {
        let parsed = written(kind, xml);
        assert_eq!(parsed.msg.as_deref(), Some(xml));
        assert_eq!(
            parsed.fact("Malformed"),
            Some("the root node was opened but never closed")
        );
        assert_eq!(
            (parsed.priority, parsed.hostname.as_deref()),
            (14, Some("ws1.example"))
        );
        assert_eq!(parsed.fact("Identity"), Some("EXAMPLE\\ws1$"));
    }
    let json = written(MessageKind::Json, xml).msg.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["Raw"], xml);
}

#[test]
fn a_repair_is_noted() {
    let parsed = written(MessageKind::Text, &samples()[8]);
    assert_eq!(parsed.fact("Repaired"), Some("characters that XML forbids"));
}

#[test]
fn messages_are_cut_to_any_maximum() {
    for (place, xml) in samples().into_iter().enumerate() {
        for kind in KINDS {
            for control in CONTROLS {
                let (whole, _) = write(kind, &xml, None, control);
                // Every length for some kinds only, since truncating JSON formats it many times.
                let every = place < 2 && kind != MessageKind::Json;
                let often = if every { usize::MAX } else { 50 };
                let step = 1 + whole.len() / often;
                for max in (MIN_LENGTH..whole.len()).step_by(step) {
                    let (message, truncated) = write(kind, &xml, Some(max), control);
                    assert!(message.len() <= max, "{} > {max}", message.len());
                    let parsed = read(&message);
                    assert_eq!(
                        parsed.fact("Truncated"),
                        Some(truncated.to_string().as_str())
                    );
                    let noted = format!(" Truncated=\"{truncated}\"").len();
                    assert_eq!(message.len() - noted + truncated, whole.len());
                    if let (MessageKind::Json, Some(msg)) = (kind, &parsed.msg) {
                        serde_json::from_str::<serde_json::Value>(msg).unwrap();
                    }
                }
                let (same, truncated) =
                    write(kind, &xml, Some(whole.len().max(MIN_LENGTH)), control);
                assert_eq!((same, truncated), (whole, 0));
            }
        }
    }
}

#[test]
fn msg_is_cut_before_values_and_values_before_facts() {
    let (whole, _) = write(
        MessageKind::Text,
        &samples()[0],
        None,
        ControlCharacters::Keep,
    );
    let full = read(&whole);
    let msg = full.msg.as_ref().unwrap().len();
    let (message, _) = write(
        MessageKind::Text,
        &samples()[0],
        Some(whole.len() - 1),
        ControlCharacters::Keep,
    );
    let parsed = read(&message);
    assert_eq!(parsed.elements[2].params, full.elements[2].params);
    assert!(full.msg.unwrap().starts_with(&parsed.msg.unwrap()));

    let without_msg = whole.len() - msg;
    let (message, _) = write(
        MessageKind::Text,
        &samples()[0],
        Some(without_msg),
        ControlCharacters::Keep,
    );
    let parsed = read(&message);
    assert_eq!(parsed.msg, None);
    assert_eq!(parsed.elements[2].params.len(), 8);
    assert_eq!(parsed.values("data@32473", "Line_Number"), ["5"]);
    assert_eq!(
        parsed.elements[1].params.len(),
        full.elements[1].params.len() + 1
    );

    let (message, _) = write(
        MessageKind::Text,
        &samples()[0],
        Some(0),
        ControlCharacters::Keep,
    );
    let parsed = read(&message);
    assert_eq!(parsed.fact("EventRecordID"), Some("1444"));
    assert!(parsed.fact("KeywordNames").is_none());
}

#[test]
fn the_byte_order_mark_is_whole_or_absent() {
    let mapping = Mapping {
        bom: true,
        ..Mapping::default()
    };
    let xml = &samples()[2];
    let (whole, _) = write_with(&mapping, xml, &style(ControlCharacters::Keep, None));
    assert!(read(&whole).msg.unwrap().starts_with("\u{FEFF}Failed"));
    for max in whole.len() - 60..whole.len() {
        let (message, _) = write_with(&mapping, xml, &style(ControlCharacters::Keep, Some(max)));
        let msg = read(&message).msg;
        assert!(msg.is_none_or(|msg| msg.starts_with('\u{FEFF}') && msg.len() > 3));
    }
}

#[test]
fn a_uid_names_one_event_of_one_machine() {
    let uid = |xml: &str, machine_id: &str| {
        let origin = Origin {
            machine_id,
            ..origin()
        };
        let mut out = Vec::new();
        write_message(
            &Mapping::default(),
            xml,
            &parse(xml),
            &origin,
            &Style::default(),
            &mut out,
        );
        read(&out).fact("Uid").unwrap().to_owned()
    };
    let xml = event(SYSTEM, "");
    let first = uid(&xml, "a");
    // Computed with another implementation of RFC 9562 5.5.
    assert_eq!(first, "652b78f6-a7fa-51b8-be7a-ce19d25525ec");
    assert_eq!(uid(&event(SYSTEM, DATA), "a"), first);
    for other in [
        uid(&xml, "b"),
        uid(&xml.replace("1444", "1445"), "a"),
        uid(&xml.replace("Security<", "System<"), "a"),
        uid(&xml.replace("6138329", "6138330"), "a"),
        uid("<broken", "a"),
        uid("<broken>", "a"),
    ] {
        assert_ne!(other, first);
    }
}

#[test]
fn levels_and_keywords_give_the_severity() {
    let cases = [
        ("1", "", 2),
        ("2", "", 3),
        ("3", "", 4),
        ("4", "", 6),
        ("5", "", 7),
        ("0", "", 6),
        ("", "", 6),
        ("200", "", 6),
        ("0", "0x8010000000000000", 4),
        ("0", "0x8020000000000000", 5),
        ("0", "0x8030000000000000", 4),
        ("4", "0x8010000000000000", 6),
        ("0", "junk", 6),
    ];
    for (level, keywords, expected) in cases {
        let event = Event {
            level: level.into(),
            keywords: keywords.into(),
            ..Event::default()
        };
        assert_eq!(Severity::of(&event).code(), expected, "{level} {keywords}");
    }
}

#[test]
fn facilities_have_names_and_numbers() {
    assert_eq!(Facility::from_name("kern").map(Facility::code), Some(0));
    assert_eq!(Facility::from_name("AuthPriv"), Some(Facility::AUTHPRIV));
    assert_eq!(Facility::from_name("local7").map(Facility::code), Some(23));
    assert_eq!(Facility::from_name("23").unwrap().to_string(), "local7");
    for bad in ["", "24", "256", "-1", "+1", "local8", "auto"] {
        assert_eq!(Facility::from_name(bad), None, "{bad}");
    }
}

#[test]
fn the_facility_goes_by_channel_or_is_fixed() {
    let fixed = Mapping {
        facility: FacilityRule::Fixed(Facility::from_name("local4").unwrap()),
        ..Mapping::default()
    };
    let other = SYSTEM.replace("Security<", "System<");
    let priority = |mapping: &Mapping, system: &str| {
        read(&write_with(mapping, &event(system, ""), &Style::default()).0).priority
    };
    assert_eq!(priority(&Mapping::default(), SYSTEM), 84);
    assert_eq!(priority(&Mapping::default(), &other), 12);
    assert_eq!(priority(&fixed, SYSTEM), 164);
}

#[test]
fn addresses_and_enterprise_numbers_are_written_as_usual() {
    let mapping = Mapping {
        enterprise: u32::MAX,
        ..Mapping::default()
    };
    let error = parse("");
    for (address, expected) in [
        ("::ffff:192.0.2.255", "192.0.2.255"),
        ("2001:db8::1", "2001:db8::1"),
    ] {
        let origin = Origin {
            address: address.parse().unwrap(),
            ..origin()
        };
        let mut out = Vec::new();
        write_message(&mapping, "", &error, &origin, &Style::default(), &mut out);
        let parsed = read(&out);
        assert_eq!(parsed.values("origin", "ip"), [expected]);
        assert_eq!(parsed.elements[1].id, "event@4294967295");
    }
}

#[test]
fn a_malformed_event_has_what_its_system_tells() {
    let xml = event(SYSTEM, "<UserData>&nothing;</UserData>");
    let malformed = parse(&xml);
    assert!(malformed.is_err());
    let write = |kind| {
        let style = Style {
            message: kind,
            ..style(ControlCharacters::Keep, None)
        };
        let mut out = Vec::new();
        write_message(
            &Mapping::default(),
            &xml,
            &malformed,
            &origin(),
            &style,
            &mut out,
        );
        out
    };
    let line = read(&write(MessageKind::Text));
    let whole = event(SYSTEM, "");
    let whole = parse(&whole).unwrap();
    assert!(line.fact("Malformed").is_some());
    assert_eq!(line.fact("Channel"), Some(&*whole.channel));
    assert_eq!(line.fact("EventRecordID"), Some(&*whole.record_id));
    let text = String::from_utf8(write(MessageKind::Text)).unwrap();
    let expected = format!(
        " {} {} {} {} ",
        whole.computer, whole.provider, whole.process_id, whole.event_id
    );
    assert!(text.contains(&expected), "{text}");
    assert_eq!(line.msg.as_deref(), Some(&*xml));
    let json: serde_json::Value =
        serde_json::from_str(&read(&write(MessageKind::Json)).msg.unwrap()).unwrap();
    assert_eq!(json["Computer"], *whole.computer);
    assert_eq!(json["Raw"], *xml);
    assert!(json["Malformed"].is_string());
}

#[test]
fn values_can_be_left_out_of_structured_data() {
    let many: String = (0..300)
        .map(|n| format!("<Data Name='v{n}'>x</Data>"))
        .collect();
    let long = format!("<Data Name='long'>{}</Data>", "y".repeat(40_000));
    for data in [
        "<Data Name='a'>1</Data><Data Name='a'>2</Data>",
        &many,
        &long,
    ] {
        let xml = event(SYSTEM, &format!("<EventData>{data}</EventData>"));
        let parsed = parse(&xml);
        let write = |without_values| {
            let style = Style {
                without_values,
                message: MessageKind::Xml,
                ..Style::default()
            };
            let (mapping, mut out) = (Mapping::default(), Vec::new());
            write_message(&mapping, &xml, &parsed, &origin(), &style, &mut out);
            read(&out)
        };
        let (with, without) = (write(false), write(true));
        let ids = |line: &Parsed| -> Vec<_> {
            let elements = line.elements.iter();
            elements.map(|element| element.id.clone()).collect()
        };
        assert_eq!(ids(&without), ["origin", "event@32473"]);
        assert_eq!(ids(&with)[..2], ids(&without));
        assert_eq!(without.msg, with.msg);
        assert_eq!(without.fact("Truncated"), None);
        assert_eq!(without.fact("Uid"), with.fact("Uid"));
    }
}
