//! The limits of receivers: sizes, counts, and names of structured data, times, and escapes.

use std::collections::HashSet;

use super::super::limits::{MAX_DATA, MAX_PARAMS, MAX_VALUE};
use super::*;

fn data(pairs: &[(&str, &str)]) -> String {
    let pairs = pairs
        .iter()
        .map(|(name, value)| format!("<Data Name='{name}'>{value}</Data>"));
    format!("<EventData>{}</EventData>", pairs.collect::<String>())
}

/// Writes the message, and checks that it is within the limits.
fn bounded(kind: MessageKind, xml: &str) -> Parsed {
    let message = write_as(kind, xml, &Style::default());
    check(&message);
    read(&message)
}

/// Panics if structured data exceeds the limits of receivers.
fn check(message: &[u8]) {
    let parsed = read(message);
    let msg = parsed.msg.as_ref().map_or(0, |msg| msg.len() + 1);
    let structured = message.iter().position(|&byte| byte == b'[').unwrap();
    assert!(message.len() - structured - msg < 65_000);
    let mut count = 0;
    for element in &parsed.elements {
        let mut names = HashSet::new();
        for (name, value) in &element.params {
            count += 1;
            assert!(!name.contains('.') && name.len() <= 32, "{name}");
            assert!(names.insert(name.to_ascii_lowercase()), "{name} twice");
            let escaped = value.matches(['"', '\\', ']']).count();
            assert!(value.len() + escaped < 32_000, "{name}");
        }
    }
    assert!(count <= 240, "{count} parameters");
}

#[test]
fn a_value_is_whole_up_to_the_limit_and_cut_beyond() {
    for (length, cut) in [(MAX_VALUE, false), (MAX_VALUE + 1, true), (60_000, true)] {
        let value = "c".repeat(length);
        let xml = event(SYSTEM, &data(&[("Script", &value), ("Path", "p")]));
        for kind in KINDS {
            let parsed = bounded(kind, &xml);
            let seen = parsed.values("data@32473", "Script")[0].len();
            assert_eq!(seen, length.min(MAX_VALUE));
            assert_eq!(parsed.values("data@32473", "Path"), ["p"]);
            assert_eq!(parsed.fact("Truncated"), cut.then_some("Script"));
            assert!(parsed.msg.unwrap().contains(&value), "{kind:?}");
        }
    }
}

#[test]
fn escapes_and_characters_are_not_split_by_the_cut() {
    for unit in ["\\", "]", "é", "字", "\u{1f980}", "a\\", "\n"] {
        let value = unit.repeat(40_000 / unit.len());
        let xml = event(SYSTEM, &data(&[("a", &value)]));
        for control in CONTROLS {
            let message = write_as(MessageKind::Json, &xml, &style(control, None));
            check(&message);
            let parsed = read(&message);
            assert_eq!(parsed.fact("Truncated"), Some("a"));
            let kept = parsed.values("data@32473", "a")[0].to_owned();
            let whole = match control {
                ControlCharacters::Keep => value.clone(),
                ControlCharacters::Escape => visible(&value),
            };
            assert!(whole.starts_with(&kept) && kept.len() > 15_000, "{unit:?}");
        }
    }
}

#[test]
fn all_structured_data_stays_under_its_limit() {
    let value = "v".repeat(30_000);
    let pairs = [
        ("a", &*value),
        ("b", &*value),
        ("c", &*value),
        ("d", "short"),
    ];
    let xml = event(SYSTEM, &data(&pairs));
    let parsed = bounded(MessageKind::Text, &xml);
    assert_eq!(parsed.fact("Truncated"), Some("a b c"));
    assert_eq!(parsed.values("data@32473", "d"), ["short"]);
    assert!(parsed.values("data@32473", "a")[0].len() > 15_000);
    assert_eq!(parsed.msg.unwrap().matches(&value).count(), 3);
    // On both sides of the limit: one byte too many causes the notice.
    let with = |length: usize| {
        let last = "w".repeat(length);
        event(SYSTEM, &data(&[("a", &value), ("b", &value), ("c", &last)]))
    };
    let is_whole = |length| {
        let parsed = bounded(MessageKind::Xml, &with(length));
        parsed.fact("Truncated").is_none()
    };
    let (mut good, mut bad) = (1, 10_000);
    while bad - good > 1 {
        let middle = (good + bad) / 2;
        *(if is_whole(middle) {
            &mut good
        } else {
            &mut bad
        }) = middle;
    }
    let whole = write_as(MessageKind::Xml, &with(good), &Style::default());
    let msg = read(&whole).msg.unwrap().len();
    assert!(whole.len() - msg > MAX_DATA - 2500, "{}", whole.len() - msg);
}

#[test]
fn parameters_are_counted() {
    let numbered = |count: usize| {
        let values = (0..count).map(|n| format!("<Data Name='v{n}'>x{n}</Data>"));
        event(
            SYSTEM,
            &format!("<EventData>{}</EventData>", values.collect::<String>()),
        )
    };
    let params = |parsed: &Parsed| -> usize {
        parsed
            .elements
            .iter()
            .map(|element| element.params.len())
            .sum()
    };
    let others = params(&written(MessageKind::Text, &event(SYSTEM, "")));
    let most = MAX_PARAMS - others - 1;
    for (count, left_out) in [(most, ""), (most + 1, "one"), (800, "many")] {
        for kind in KINDS {
            let parsed = bounded(kind, &numbered(count));
            let values = parsed.elements[2].params.len();
            assert_eq!(values, count.min(most));
            let truncated = parsed.fact("Truncated").unwrap_or_default();
            match left_out {
                "" => assert_eq!(truncated, ""),
                "one" => assert_eq!(truncated, format!("v{most}")),
                _ => assert!(
                    truncated.starts_with(&format!("v{most} ")) && truncated.contains(" +"),
                    "{truncated}"
                ),
            }
            let msg = parsed.msg.unwrap();
            assert!(msg.contains(&format!("x{}", count - 1)), "{kind:?} {msg}");
        }
    }
}

#[test]
fn many_facts_leave_room_for_values() {
    let facts: String = (0..500)
        .map(|n| format!("<Extra{n}>{n}</Extra{n}>"))
        .collect();
    let values: String = (0..300)
        .map(|n| format!("<Data Name='v{n}'>{n}</Data>"))
        .collect();
    let xml = event(
        &[SYSTEM, &facts].concat(),
        &format!("<EventData>{values}</EventData>"),
    );
    let parsed = bounded(MessageKind::Text, &xml);
    assert_eq!(parsed.elements[2].params.len(), 100);
    assert_eq!(parsed.fact("Extra0"), Some("0"));
    assert!(parsed.msg.unwrap().ends_with(" Extra499=499"));
    let long = "p".repeat(100_000);
    let xml = event(
        &format!("<Provider Name='{long}'/><Extra>{long}</Extra>"),
        DATA,
    );
    let parsed = bounded(MessageKind::Text, &xml);
    assert_eq!(parsed.fact("Truncated"), Some("Provider Extra"));
    assert!(parsed.msg.unwrap().ends_with(&format!(" Extra={long}")));
    assert_eq!(parsed.elements[2].params.len(), 8);
}

#[test]
fn a_rendered_text_gets_what_it_lacks() {
    let script = "s\n".repeat(20_000);
    let rendering = |text: &str| {
        format!("<RenderingInfo Culture='en-US'><Message>{text}</Message></RenderingInfo>")
    };
    let pairs = data(&[("Script", &script), ("Path", "p")]);
    let lacking = event(SYSTEM, &[&*pairs, &rendering("A script ran.")].concat());
    let msg = bounded(MessageKind::Text, &lacking).msg.unwrap();
    assert_eq!(msg, format!("A script ran. Script={script}"));
    let having = event(
        SYSTEM,
        &[&*pairs, &rendering(&format!("Ran: {script}!"))].concat(),
    );
    let msg = bounded(MessageKind::Text, &having).msg.unwrap();
    assert_eq!(msg, format!("Ran: {script}!"));
    let line = write_as(
        MessageKind::Text,
        &lacking,
        &style(ControlCharacters::Escape, None),
    );
    let msg = read(&line).msg.unwrap();
    assert_eq!(undone(&msg), format!("A script ran. Script={script}"));
}

#[test]
fn an_output_may_have_it_whole() {
    let value = "c".repeat(100_000);
    let pairs = [("Script", &*value), ("Script", "2"), ("a.b", "3")];
    let xml = event(SYSTEM, &data(&pairs));
    let whole = Style {
        data: StructuredData::Whole,
        ..Style::default()
    };
    let parsed = read(&write_as(MessageKind::Text, &xml, &whole));
    let expected = [("Script", value.as_str()), ("Script_2", "2"), ("a_b", "3")];
    let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
    assert_eq!(parsed.elements[2].params, expected);
    assert_eq!(parsed.fact("Truncated"), None);
}

/// An event cannot forge the parameters that a receiver relies on.
#[test]
fn whole_data_that_is_longer_than_receivers_bear_is_marked() {
    let fake = data(&[
        ("Oversize", "yes"),
        ("b", "\"] [event@32473 Oversize=\"yes\""),
    ]);
    let half = &*"h".repeat(22_000);
    let system = SYSTEM.replace("</System>", "<Oversize>yes</Oversize></System>");
    let bodies = [
        (data(&[("a", &"c".repeat(31_999))]), false),
        (data(&[("a", &"c".repeat(32_000))]), true),
        (data(&[("a", &"\n".repeat(11_000))]), true),
        (data(&["a", "b"].map(|name| (name, half))), false),
        (data(&["a", "b", "c"].map(|name| (name, half))), true),
        (fake, false),
    ];
    for (body, long) in bodies {
        let datas = [StructuredData::Whole, StructuredData::Bounded];
        for (data, max) in datas
            .map(|data| [(data, None), (data, Some(150_000))])
            .concat()
        {
            let style = Style {
                data,
                ..style(ControlCharacters::Escape, max)
            };
            let line = write_as(MessageKind::Text, &event(&system, &body), &style);
            let line = String::from_utf8(line).unwrap();
            let (structured, _) = line.split_once("] Prov 4625 ").unwrap();
            let marked = structured.contains("[event@32473 Oversize=\"yes\"");
            assert_eq!(marked, long && data == StructuredData::Whole, "{line:.600}");
        }
    }
}

#[test]
fn many_values_with_one_name_take_linear_time() {
    let value = "x".repeat(110);
    let values = format!("<Data Name='same'>{value}</Data>").repeat(7_000);
    let xml = event(SYSTEM, &format!("<EventData>{values}</EventData>"));
    let whole = Style {
        data: StructuredData::Whole,
        ..Style::default()
    };
    let parsed = read(&write_as(MessageKind::Text, &xml, &whole));
    let names: HashSet<_> = parsed.elements[2]
        .params
        .iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(names.len(), 7_000);
}

#[test]
fn both_cuts_are_told_and_msg_stays_whole_if_values_can_make_room() {
    let value = "v".repeat(40_000);
    let xml = event(SYSTEM, &data(&[("Script", &value), ("Path", "p")]));
    let (message, truncated) = write(
        MessageKind::Text,
        &xml,
        Some(65_507),
        ControlCharacters::Keep,
    );
    assert!(message.len() <= 65_507 && truncated == 0);
    check(&message);
    let parsed = read(&message);
    assert!(parsed.msg.as_ref().unwrap().contains(&value));
    assert!(parsed.values("data@32473", "Script")[0].len() > 20_000);
    let (message, truncated) = write(
        MessageKind::Text,
        &xml,
        Some(20_000),
        ControlCharacters::Keep,
    );
    assert!(message.len() <= 20_000 && truncated > 0);
    let said = format!("{truncated} Script");
    assert_eq!(read(&message).fact("Truncated"), Some(said.as_str()));
    for max in MIN_LENGTH..1500 {
        let (message, truncated) =
            write(MessageKind::Text, &xml, Some(max), ControlCharacters::Keep);
        assert!(message.len() <= max);
        let said = read(&message).fact("Truncated").unwrap().to_owned();
        assert_eq!(said.split(' ').next(), Some(&*truncated.to_string()));
    }
}

#[test]
fn names_are_unique_without_dots_in_each_element() {
    let body = "<UserData><Chain><Certificate fileRef='A.cer'/><Certificate fileRef='B.cer'/>\
                <certificate fileref='C.cer'/></Chain></UserData>";
    let parsed = bounded(MessageKind::Text, &event(SYSTEM, body));
    let names: Vec<_> = parsed.elements[2]
        .params
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "Certificate_fileRef",
            "Certificate_fileRef_2",
            "certificate_fileref_3"
        ]
    );
    let dots = data(&[("a.b", "1"), ("a_b", "2"), ("A.B", "3")]);
    let parsed = bounded(MessageKind::Text, &event(SYSTEM, &dots));
    let names: Vec<_> = parsed.elements[2]
        .params
        .iter()
        .map(|(name, _)| name.as_str())
        .collect();
    assert_eq!(names, ["a_b", "a_b_2", "A_B_3"]);
}

#[test]
fn an_event_cannot_bring_a_fact_that_is_ours() {
    let system = [SYSTEM, "<Identity>EXAMPLE\\admin</Identity><auth>kerberos</auth><ComputerMismatch>x</ComputerMismatch>\
        <Execution SessionID='9'/><Truncated>7</Truncated>"].concat();
    let parsed = bounded(MessageKind::Text, &event(&system, ""));
    assert_eq!(parsed.fact("Identity"), Some("EXAMPLE\\ws1$"));
    assert_eq!(parsed.fact("Identity_2"), Some("EXAMPLE\\admin"));
    assert_eq!(parsed.fact("auth_2"), Some("kerberos"));
    assert_eq!(parsed.fact("ComputerMismatch"), None);
    assert_eq!(parsed.fact("Truncated"), None);
    assert_eq!(parsed.fact("SessionID"), Some("1"));
    assert_eq!(parsed.fact("SessionID_2"), Some("9"));
}

#[test]
fn the_time_of_reception_stands_in_and_is_told() {
    let received = Some("2026-01-02T03:04:05.123456Z");
    let odd = SYSTEM.replace(
        "2024-03-14T13:54:16.6138329Z",
        "2018-09-06 06:02:06.5441053",
    );
    let late = SYSTEM.replace(
        "2024-03-14T13:54:16.6138329Z",
        "9999-12-31T23:59:59.9999999Z",
    );
    for (xml, system_time) in [
        (event(&odd, ""), Some("2018-09-06 06:02:06.5441053")),
        (event(&late, ""), Some("9999-12-31T23:59:59.9999999Z")),
        (event("", ""), None),
        ("<Event><System>".to_owned(), None),
    ] {
        for kind in KINDS {
            let parsed = written(kind, &xml);
            assert_eq!(parsed.timestamp.as_deref(), received);
            assert_eq!(parsed.fact("TimestampFrom"), Some("reception"));
            assert_eq!(parsed.fact("SystemTime"), system_time);
        }
        let json: serde_json::Value =
            serde_json::from_str(&written(MessageKind::Json, &xml).msg.unwrap()).unwrap();
        assert_eq!(json["TimestampFrom"], "reception");
    }
    let parsed = written(MessageKind::Json, &event(SYSTEM, ""));
    assert_eq!(parsed.fact("TimestampFrom"), None);
    assert!(!parsed.msg.unwrap().contains("TimestampFrom"));
}

#[test]
fn the_provider_the_process_and_rendered_names_are_facts() {
    let system = "<Provider Name='Service Control Manager'/><Execution ProcessID='644'/>";
    let rendering = "<RenderingInfo Culture='de-DE'><Message>Text</Message><Channel>Sicherheit</Channel>\
                     <Provider>Anzeigename</Provider></RenderingInfo>";
    let body = [
        "<UserData><RuleAndFileData xmlns='urn:x'><Fqbn>f</Fqbn></RuleAndFileData></UserData>",
        rendering,
    ]
    .concat();
    let parsed = written(MessageKind::Json, &event(system, &body));
    let json: serde_json::Value = serde_json::from_str(parsed.msg.as_ref().unwrap()).unwrap();
    for (name, value) in [
        ("Provider", "Service Control Manager"),
        ("ProcessID", "644"),
        ("UserDataName", "RuleAndFileData"),
        ("ProviderName", "Anzeigename"),
        ("ChannelName", "Sicherheit"),
        ("Culture", "de-DE"),
    ] {
        assert_eq!(parsed.fact(name), Some(value));
        let member = &json[name];
        let member = member
            .as_str()
            .map_or_else(|| member.to_string(), str::to_owned);
        assert_eq!(member, value);
    }
}

/// Reverses the escapes of a line.
fn undone(line: &str) -> String {
    let mut text = String::new();
    let mut characters = line.chars();
    while let Some(c) = characters.next() {
        text.push(match (c, c == '\\') {
            (c, false) => c,
            _ => match characters.next().unwrap() {
                'n' => '\n',
                'r' => '\r',
                't' => '\t',
                'u' => {
                    let code: String = characters.by_ref().take(4).collect();
                    char::from_u32(u32::from_str_radix(&code, 16).unwrap()).unwrap()
                }
                c => {
                    assert_eq!(c, '\\', "unknown escape in {line:?}");
                    c
                }
            },
        });
    }
    text
}

#[test]
fn escapes_of_values_and_text_can_be_undone() {
    let odd = [
        "C:\\new\\test",
        "C:\new\test",
        "\\",
        "\\\n",
        "\\\\n",
        "\\u0041",
        "\r\n",
        "\\r\n",
        "\n\\",
        "a\u{1f}\u{7f}\u{85}\u{9f}b",
        "\\\\server\\share",
        "é\\字",
    ];
    for text in odd {
        let value = text.replace('\r', "&#13;").replace('\u{1f}', "");
        let xml = event(SYSTEM, &data(&[("p", &value)]));
        let line = write_as(
            MessageKind::Text,
            &xml,
            &style(ControlCharacters::Escape, None),
        );
        let (parsed, text) = (read(&line), text.replace('\u{1f}', ""));
        assert_eq!(undone(parsed.values("data@32473", "p")[0]), text);
        assert_eq!(undone(&parsed.msg.unwrap()), format!("Prov 4625 p={text}"));
        let broken = format!("<Event>{text}");
        let line = write_as(
            MessageKind::Text,
            &broken,
            &style(ControlCharacters::Escape, None),
        );
        assert_eq!(undone(&read(&line).msg.unwrap()), broken);
    }
}

#[test]
fn json_and_xml_have_no_escapes_of_ours() {
    let xml = event(SYSTEM, &data(&[("p", "C:\\new\ntest")]));
    let escape = style(ControlCharacters::Escape, None);
    let json = read(&write_as(MessageKind::Json, &xml, &escape))
        .msg
        .unwrap();
    assert!(json.contains(r#""p":"C:\\new\ntest""#), "{json}");
    let msg = read(&write_as(MessageKind::Xml, &xml, &escape))
        .msg
        .unwrap();
    assert!(msg.contains(">C:\\new&#10;test<"), "{msg}");
    let msg = read(&write_as(
        MessageKind::Xml,
        "<Event>C:\\new\n\u{85}",
        &escape,
    ))
    .msg
    .unwrap();
    assert_eq!(msg, "<Event>C:\\new&#10;&#133;");
}

#[test]
fn the_form_of_version_0_1_is_kept_on_demand() {
    let rendered =
        "<RenderingInfo Culture='x'><Message>C:\\new&#13;&#10;\ttest</Message></RenderingInfo>";
    let values = data(&[("p", "C:\\new\ntest")]);
    for (body, kind, control, expected) in [
        (
            rendered,
            MessageKind::Text,
            ControlCharacters::Escape,
            "C:\\new\\n\\ttest",
        ),
        (
            rendered,
            MessageKind::Text,
            ControlCharacters::Keep,
            "C:\\new\r\n\ttest",
        ),
        (
            &values,
            MessageKind::Text,
            ControlCharacters::Keep,
            "Prov 4625 p=C:\\new\\ntest",
        ),
        (
            &values,
            MessageKind::Text,
            ControlCharacters::Escape,
            "Prov 4625 p=C:\\new\\ntest",
        ),
    ] {
        let style = Style {
            escape: Escape::Version01,
            control,
            ..Style::default()
        };
        let parsed = read(&write_as(kind, &event(SYSTEM, body), &style));
        assert_eq!(parsed.msg.as_deref(), Some(expected));
        let value = match control {
            ControlCharacters::Escape => "C:\\new\\ntest",
            ControlCharacters::Keep => "C:\\new\ntest",
        };
        let held = parsed.values("data@32473", "p");
        assert!(held.iter().all(|held| *held == value), "{held:?}");
    }
    let style = Style {
        escape: Escape::Version01,
        ..Style::default()
    };
    let msg = read(&write_as(MessageKind::Xml, &event(SYSTEM, &values), &style))
        .msg
        .unwrap();
    assert!(msg.contains(">C:\\new&#10;test<"), "{msg}");
}

#[test]
fn json_names_what_the_maximum_cut() {
    let (long, message) = ("\n\"é".repeat(20_000), "m".repeat(30_000));
    let pairs = [("Short", "s"), ("Script", &*long), ("Other", "o")];
    let rendered =
        format!("<RenderingInfo Culture='x'><Message>{message}</Message></RenderingInfo>");
    let body = [data(&pairs), rendered].concat();
    let xml = event(SYSTEM, &body);
    for control in CONTROLS {
        for max in [45_000, 65_000, 120_000] {
            let line = write_as(MessageKind::Json, &xml, &style(control, Some(max)));
            assert!(line.len() <= max && line.len() > max / 2, "{}", line.len());
            let json = read(&line).msg.unwrap();
            let json: serde_json::Value = serde_json::from_str(&json).unwrap();
            let cut: &[_] = match max {
                120_000 => &["Script"],
                _ => &["Script", "Message"],
            };
            assert_eq!(json["Truncated"], serde_json::json!(cut), "{max}");
            let text = |at: &str| json.pointer(at).unwrap().as_str().unwrap().to_owned();
            assert_eq!(text("/EventData/Short"), "s");
            assert_eq!(text("/EventData/Other"), "o");
            assert!(long.starts_with(&text("/EventData/Script")));
            assert!(message.starts_with(&text("/Message")));
        }
    }
    let whole = write_as(MessageKind::Json, &xml, &Style::default());
    assert!(!read(&whole).msg.unwrap().contains("\"Truncated\""));
}

#[test]
fn json_counts_the_names_that_it_has_no_room_for() {
    let names: Vec<_> = (0..150).map(|i| format!("Name{i:03}")).collect();
    let value = "v".repeat(100);
    let pairs: Vec<_> = names.iter().map(|name| (&**name, &*value)).collect();
    let xml = event(SYSTEM, &data(&pairs));
    let whole = write_as(MessageKind::Json, &xml, &Style::default());
    let max = whole.len() - 5_000;
    let line = write_as(
        MessageKind::Json,
        &xml,
        &style(ControlCharacters::Keep, Some(max)),
    );
    let json = read(&line).msg.unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    let said = json["Truncated"].as_array().unwrap();
    let (more, named) = said.split_last().unwrap();
    let more: usize = more
        .as_str()
        .unwrap()
        .strip_prefix('+')
        .unwrap()
        .parse()
        .unwrap();
    assert!(named.len() > 10 && named.len() + more == 150, "{said:?}");
    assert_eq!(named[0], "Name000");
}

#[test]
fn what_was_replaced_is_marked_in_every_kind() {
    let bad = ["\u{1}", "&#1;", "&#xD800;", "&#x110000;", "&#xFFFE;"];
    for bad in bad {
        let xml = event(SYSTEM, &data(&[("a", &format!("x{bad}y"))]));
        for kind in KINDS {
            let parsed = written(kind, &xml);
            assert_eq!(parsed.fact("Repaired"), Some(event::FORBIDDEN), "{bad:?}");
            assert_eq!(parsed.values("data@32473", "a"), ["x\u{fffd}y"]);
            let msg = parsed.msg.unwrap();
            assert!(msg.contains("x\u{fffd}y") && !msg.contains(bad), "{msg}");
            assert!(kind != MessageKind::Json || msg.contains("\"Repaired\":"));
        }
    }
    // The text in which characters were replaced before the event was parsed.
    let cut = event(SYSTEM, "<RenderingInfo>\u{fffd}").replace("</Event>", "");
    let whole = event(SYSTEM, &data(&[("a", "\u{fffd}")]));
    let both = "characters that XML forbids, cut off within RenderingInfo";
    for (xml, reason) in [
        (whole.as_str(), event::FORBIDDEN),
        (&cut, both),
        ("<Event>\u{fffd}", event::FORBIDDEN),
    ] {
        let origin = Origin {
            repaired: true,
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
        assert_eq!(read(&out).fact("Repaired"), Some(reason));
    }
}

#[test]
fn events_without_a_record_id_are_told_apart_by_their_text() {
    let uid = |value: &str| {
        let system = SYSTEM.replace("<EventRecordID>1444</EventRecordID>", "");
        let xml = event(&system, &data(&[("a", value)]));
        written(MessageKind::Text, &xml)
            .fact("Uid")
            .unwrap()
            .to_owned()
    };
    assert_eq!(uid("first"), uid("first"));
    assert_ne!(uid("first"), uid("second"));
}

/// Texts that consist of escaped characters only cost most. Each is processed a few times at most,
/// however it is truncated, so that 1 MiB takes far less than 20 ms.
#[test]
fn dense_texts_are_gone_through_a_few_times_only() {
    use super::super::escape::walked;
    let shapes = ["\n", "\u{85}", "\"", "\\", "&quot;", "a\\", "é\n"];
    for shape in shapes {
        let text = shape.repeat(120_000 / shape.len());
        let one = data(&[("a", &text)]);
        let few = ["a", "b", "c", "d", "e", "f", "g", "h"];
        let parts = few.map(|name| (name, &text[..shape.len() * (15_000 / shape.len())]));
        let rendered = format!("<RenderingInfo><Message>{text}</Message></RenderingInfo>");
        let bodies = [one, data(&parts), rendered, format!("<EventData>{text}")];
        for (body, kind) in bodies.iter().flat_map(|b| KINDS.map(|kind| (b, kind))) {
            for control in CONTROLS {
                for max in [None, Some(45_000), Some(110_000)] {
                    walked::take();
                    write_as(kind, &event(SYSTEM, body), &style(control, max));
                    let most = 65_000 + text.len() * if max.is_some() { 5 } else { 2 };
                    let walked = walked::take();
                    assert!(
                        walked < most,
                        "{shape:?} {kind:?} {control:?} {max:?}: {walked}"
                    );
                }
            }
        }
    }
}
