use std::collections::HashMap;
use std::net::IpAddr;
use std::time::{Duration, SystemTime};

use serde_json::Value as Json;

use crate::event::{Event, NAMESPACE, parse};
use crate::syslog::*;

const LAYOUTS: [MessageKind; 5] = [
    MessageKind::Ecs,
    MessageKind::Nxlog,
    MessageKind::Snare,
    MessageKind::Cef,
    MessageKind::Leef,
];
const SYSTEM: &str = "<Provider Name='Microsoft-Windows-Security-Auditing' Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/>\
    <EventID>4624</EventID><Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode>\
    <Keywords>0x8020000000000000</Keywords><TimeCreated SystemTime='2024-03-14T13:54:16.6138329Z'/>\
    <EventRecordID>1444</EventRecordID><Correlation ActivityID='{a}'/><Execution ProcessID='780' ThreadID='8372'/>\
    <Channel>Security</Channel><Computer>ws1.example</Computer><Security UserID='S-1-5-18'/>";
const DATA: &str = "<EventData><Data Name='SubjectUserName'>WS1$</Data><Data Name='TargetUserName'>alice</Data>\
    <Data Name='TargetDomainName'>EXAMPLE</Data><Data Name='IpAddress'>192.0.2.44</Data>\
    <Data Name='IpPort'>50123</Data><Data Name='LogonType'>3</Data><Data>unnamed</Data></EventData>";
const RENDERING: &str = "<RenderingInfo Culture='en-US'><Message>An account was successfully logged on.\r\n\r\n\
    Subject:\r\n\tAccount Name:\t\tWS1$</Message><Level>Information</Level><Task>Logon</Task><Opcode>Info</Opcode>\
    <Keywords><Keyword>Audit Success</Keyword></Keywords></RenderingInfo>";

fn xml(system: &str, body: &str) -> String {
    format!("<Event xmlns='{NAMESPACE}'><System>{system}</System>{body}</Event>")
}

fn style(message: MessageKind) -> Style {
    Style {
        message,
        header: message.default_header(),
        data: message.default_data(),
        ..Style::default()
    }
}

fn write(style: &Style, xml: &str) -> (String, usize) {
    let origin = Origin {
        address: IpAddr::from([192, 0, 2, 7]),
        machine_id: "ws1.example",
        identity: "EXAMPLE\\ws1$",
        account_sid: "",
        auth: "ntlm",
        subscription: "all",
        computer_mismatch: "",
        repaired: false,
        received: SystemTime::UNIX_EPOCH + Duration::from_micros(1_767_323_045_123_456),
    };
    let mut out = Vec::new();
    let written = write_message(
        &Mapping::default(),
        xml,
        &parse(xml),
        &origin,
        style,
        &mut out,
    );
    (String::from_utf8(out).unwrap(), written.truncated)
}

/// The content of a message in the default style of its layout.
fn content(kind: MessageKind, xml: &str) -> String {
    let style = Style {
        header: Header::None,
        ..style(kind)
    };
    write(&style, xml).0
}

/// Keys and values of CEF, parsed by its rules.
fn read_cef(line: &str) -> (Vec<String>, Vec<(String, String)>) {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while fields.len() < 8 {
        match characters.next().unwrap() {
            '\\' => fields.last_mut().unwrap().extend(characters.next()),
            '|' => fields.push(String::new()),
            c => fields.last_mut().unwrap().push(c),
        }
    }
    let rest: Vec<char> = characters.collect();
    let mut pairs: Vec<(String, String)> = Vec::new();
    // An unescaped equals sign ends a key, which begins after the blank before it.
    let mut text = String::new();
    let mut at = 0;
    while let Some(c) = rest.get(at) {
        at += 1;
        match c {
            '\\' => {
                text.push(match rest[at] {
                    'n' => '\n',
                    'r' => '\r',
                    c => c,
                });
                at += 1;
            }
            '=' => {
                let (value, key) = text.rsplit_once(' ').unwrap_or(("", &text));
                if let Some(last) = pairs.last_mut() {
                    value.clone_into(&mut last.1);
                }
                pairs.push((key.to_owned(), String::new()));
                text.clear();
            }
            c => text.push(*c),
        }
    }
    pairs.last_mut().unwrap().1 = text;
    (fields, pairs)
}

fn read_leef(line: &str) -> Vec<(String, String)> {
    let mut fields = line.splitn(6, '|');
    let rest = fields.nth(5).unwrap();
    let pairs = rest.split('\t').map(|field| field.split_once('=').unwrap());
    pairs
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect()
}

fn blanked(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect()
}

/// The keys of a list, each of which must occur once.
fn map(pairs: Vec<(String, String)>) -> HashMap<String, String> {
    let mut map = HashMap::new();
    for (key, value) in pairs {
        assert!(map.insert(key.clone(), value).is_none(), "{key} twice");
    }
    map
}

#[test]
fn ecs_has_the_fields_of_winlogbeat() {
    let json: Json = serde_json::from_str(&content(
        MessageKind::Ecs,
        &xml(SYSTEM, &[DATA, RENDERING].concat()),
    ))
    .unwrap();
    let expected = serde_json::json!({
        "@timestamp": "2024-03-14T13:54:16.613832Z",
        "event": {"kind": "event", "code": "4624", "provider": "Microsoft-Windows-Security-Auditing",
            "action": "Logon", "outcome": "success", "created": "2026-01-02T03:04:05.123456Z",
            "id": json["event"]["id"]},
        "host": {"name": "ws1.example"},
        "log": {"level": "information"},
        "message": "An account was successfully logged on.\n\nSubject:\n\tAccount Name:\t\tWS1$",
        "winlog": {"api": "wineventlog", "channel": "Security", "computer_name": "ws1.example",
            "event_id": "4624", "record_id": 1444, "provider_name": "Microsoft-Windows-Security-Auditing",
            "provider_guid": "{54849625-5478-4994-A5BA-3E3B0328C30D}", "version": 2, "task": "Logon",
            "opcode": "Info", "keywords": ["Audit Success"], "activity_id": "{a}",
            "process": {"pid": 780, "thread": {"id": 8372}},
            "user": {"identifier": "S-1-5-18", "name": "SYSTEM", "domain": "NT AUTHORITY"},
            "event_data": {"SubjectUserName": "WS1$", "TargetUserName": "alice",
                "TargetDomainName": "EXAMPLE", "IpAddress": "192.0.2.44", "IpPort": "50123",
                "LogonType": "3", "param7": "unnamed"}},
        "Collector": json["Collector"],
    });
    assert_eq!(json, expected);
    assert_eq!(json["Collector"]["Identity"], "EXAMPLE\\ws1$");
}

#[test]
fn ecs_names_what_the_host_did_not_render() {
    let user = "<UserData><RuleAndFileData xmlns='urn:x'><PolicyName>EXE</PolicyName><Empty/></RuleAndFileData></UserData>";
    let system = SYSTEM
        .replace("<Level>0", "<Level>2")
        .replace("0x8020000000000000", "0x8080000000000000");
    let json: Json = serde_json::from_str(&content(MessageKind::Ecs, &xml(&system, user))).unwrap();
    assert_eq!(json["log"]["level"], "error");
    assert_eq!(json["winlog"]["opcode"], "Info");
    assert_eq!(json["winlog"]["task"], "12544");
    assert_eq!(json["winlog"]["keywords"], serde_json::json!(["Classic"]));
    let expected = serde_json::json!({"PolicyName": "EXE", "xml_name": "RuleAndFileData"});
    assert_eq!(json["winlog"]["user_data"], expected);
    assert_eq!(json["winlog"].get("event_data"), None);
    assert_eq!(json["event"].get("outcome"), None);
    assert_eq!(json.get("message"), None);
}

#[test]
fn nxlog_is_flat_and_no_value_takes_a_field_of_ours() {
    let odd =
        "<EventData><Data Name='Hostname'>evil</Data><Data Name='LogonType'>3</Data></EventData>";
    let json: Json = serde_json::from_str(&content(
        MessageKind::Nxlog,
        &xml(SYSTEM, &[odd, RENDERING].concat()),
    ))
    .unwrap();
    let expected = [
        ("EventTime", "2024-03-14T13:54:16.613832Z"),
        ("EventReceivedTime", "2026-01-02T03:04:05.123456Z"),
        ("Hostname", "ws1.example"),
        ("Hostname_2", "evil"),
        ("Keywords", "9232379236109516800"),
        ("EventType", "AUDIT_SUCCESS"),
        ("Severity", "INFO"),
        ("SourceName", "Microsoft-Windows-Security-Auditing"),
        ("Channel", "Security"),
        ("UserID", "S-1-5-18"),
        ("AccountName", "SYSTEM"),
        ("Category", "Logon"),
        ("Opcode", "Info"),
        ("LogonType", "3"),
    ];
    for (name, value) in expected {
        assert_eq!(json[name], value, "{name}");
    }
    let numbers = [
        ("EventID", 4624),
        ("SeverityValue", 2),
        ("Task", 12544),
        ("OpcodeValue", 0),
        ("RecordNumber", 1444),
    ];
    for (name, value) in numbers {
        assert_eq!(json[name], value, "{name}");
    }
}

#[test]
fn snare_is_as_the_agent_writes_it() {
    let line = write(
        &style(MessageKind::Snare),
        &xml(SYSTEM, &[DATA, RENDERING].concat()),
    )
    .0;
    let expected = "<85>Mar 14 13:54:16 ws1.example MSWinEventLog\t1\tSecurity\t1444\tThu Mar 14 13:54:16 2024\t\
        4624\tMicrosoft-Windows-Security-Auditing\tNT AUTHORITY\\SYSTEM\tUser\tSuccess Audit\tws1.example\tLogon\t\t\
        An account was successfully logged on.    Subject:   Account Name:  WS1$\t1444";
    assert_eq!(line, expected);
}

#[test]
fn cef_is_as_its_standard_says() {
    let line = write(
        &style(MessageKind::Cef),
        &xml(SYSTEM, &[DATA, RENDERING].concat()),
    )
    .0;
    let (header, _) = line.split_once(" rt=").map_or((&*line, ""), |parts| parts);
    let start = format!(
        "<85>Mar 14 13:54:16 ws1.example CEF:0|Microsoft|Microsoft Windows|{}|\
         Microsoft-Windows-Security-Auditing:4624|An account was successfully logged on.|3|rt=1710424456613 ",
        env!("CARGO_PKG_VERSION")
    );
    assert!(line.starts_with(&start), "{header}");
    let pairs = map(read_cef(line.split_once("ws1.example ").unwrap().1).1);
    let expected = [
        ("externalId", "4624"),
        ("cat", "Security"),
        ("dvchost", "ws1.example"),
        ("outcome", "success"),
        ("suser", "WS1$"),
        ("duser", "alice"),
        ("src", "192.0.2.44"),
        ("spt", "50123"),
        ("LogonType", "3"),
        ("Data7", "unnamed"),
        ("Identity", "EXAMPLE\\ws1$"),
        (
            "msg",
            "An account was successfully logged on.\n\nSubject:\n Account Name:  WS1$",
        ),
    ];
    for (key, value) in expected {
        assert_eq!(pairs[key], value, "{key}");
    }
}

#[test]
fn leef_is_as_its_guide_says() {
    let line = write(
        &style(MessageKind::Leef),
        &xml(SYSTEM, &[DATA, RENDERING].concat()),
    )
    .0;
    let start = format!(
        "<85>Mar 14 13:54:16 ws1.example LEEF:1.0|Microsoft|Windows|{}|4624|devTime=1710424456613\t\
         cat=Security\tsev=3\tidentHostName=ws1.example\t",
        env!("CARGO_PKG_VERSION")
    );
    assert!(line.starts_with(&start), "{line}");
    let pairs = map(read_leef(&line));
    for (key, value) in [
        ("usrName", "alice"),
        ("src", "192.0.2.44"),
        ("srcPort", "50123"),
        ("SubjectUserName", "WS1$"),
    ] {
        assert_eq!(pairs[key], value, "{key}");
    }
}

/// What CEF and LEEF contain of an event with this value.
fn keys_of(name: &str, value: &str) -> [HashMap<String, String>; 2] {
    let data = format!("<EventData><Data Name='{name}'>{value}</Data></EventData>");
    let xml = xml(SYSTEM, &data);
    [
        map(read_cef(&content(MessageKind::Cef, &xml)).1),
        map(read_leef(&content(MessageKind::Leef, &xml))),
    ]
}

/// CEF's `src` is an IPv4 address; Windows writes some IPv4 addresses as IPv6 addresses.
#[test]
fn an_address_has_the_key_of_its_family() {
    for (value, key, address) in [
        ("192.0.2.44", "src", "192.0.2.44"),
        ("::ffff:192.0.2.44", "src", "192.0.2.44"),
        ("2001:db8::1", "c6a2", "2001:db8::1"),
        ("LOCAL", "IpAddress", "LOCAL"),
        ("-", "IpAddress", "-"),
    ] {
        let [cef, leef] = keys_of("IpAddress", value);
        let found: Vec<_> = ["src", "c6a2", "IpAddress"]
            .iter()
            .filter_map(|key| Some((*key, cef.get(*key)?.as_str())))
            .collect();
        assert_eq!(found, [(key, address)], "{value}");
        assert_eq!(cef.contains_key("c6a2Label"), key == "c6a2", "{value}");
        let key = if key == "IpAddress" { key } else { "src" };
        assert_eq!(leef[key], address, "{value}");
    }
}

#[test]
fn no_value_has_a_key_that_receivers_know_by_its_name() {
    for name in [
        "type",
        "in",
        "cn1",
        "cs6Label",
        "c6a2Label",
        "fname",
        "reason",
        "Uid",
    ] {
        let [cef, _] = keys_of(name, "x");
        assert_eq!(cef[&format!("{name}_2")], "x", "{name}");
        assert_ne!(cef.get(name).map(String::as_str), Some("x"), "{name}");
    }
    for name in [
        "srcMAC",
        "isLoginEvent",
        "identSrc",
        "url",
        "usrName",
        "Uid",
    ] {
        let [_, leef] = keys_of(name, "x");
        assert_eq!(leef[&format!("{name}_2")], "x", "{name}");
    }
}

/// Values that try to end their field, and names that try to replace another field.
fn hostile() -> Vec<(String, String)> {
    let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
    vec![
        pair("a", "tab\there\nline\r\nends\r"),
        pair("pipes", "a|b|c\\|d"),
        pair("equals", "x=1 y=2 msg=3 src=10.0.0.1"),
        pair("slash", "C:\\dir\\new\\"),
        pair("quote", "\"q\" 'q' ]}"),
        pair("control", "\u{85}\u{7f}é\u{9b}"),
        pair("src", "10.0.0.1"),
        pair("devTime", "0"),
        pair("message", "m"),
        pair("Message", "M"),
        pair("winlog", "w"),
        pair("IpAddress", "not an address = no"),
        pair("name with = | \t", "n"),
        pair("dup", "one"),
        pair("dup", "two"),
        pair("long", &"é|=\\".repeat(20_000)),
    ]
}

fn hostile_xml() -> String {
    let escape = |text: &str| {
        let special = |c: char| match c {
            '<' | '&' | '\'' | '"' => format!("&#{};", u32::from(c)),
            c if c.is_control() => format!("&#{};", u32::from(c)),
            c => c.to_string(),
        };
        text.chars().map(special).collect::<String>()
    };
    let data = |(name, value): &(String, String)| {
        format!("<Data Name='{}'>{}</Data>", escape(name), escape(value))
    };
    let data: String = hostile().iter().map(data).collect();
    let system = SYSTEM.replace("Windows-Security", "|\\=Windows\tX");
    xml(&system, &format!("<EventData>{data}</EventData>"))
}

#[test]
fn hostile_values_come_back_and_end_nothing() {
    let xml = hostile_xml();
    let event = parse(&xml).unwrap();
    assert_eq!(event.data.len(), hostile().len());
    for kind in LAYOUTS {
        for control in [ControlCharacters::Keep, ControlCharacters::Escape] {
            let style = Style {
                control,
                header: Header::None,
                ..style(kind)
            };
            let text = write(&style, &xml).0;
            let is_stray =
                |c: char| c.is_control() && c != '\t' && control == ControlCharacters::Escape;
            assert!(
                !text.contains(is_stray) && !text.contains(['\n', '\r']),
                "{kind:?}"
            );
            check_values(kind, &text, &event);
        }
    }
}

fn check_values(kind: MessageKind, text: &str, event: &Event<'_>) {
    match kind {
        MessageKind::Ecs | MessageKind::Nxlog => {
            let json: Json = serde_json::from_str(text).unwrap();
            let object = if kind == MessageKind::Ecs {
                &json["winlog"]["event_data"]
            } else {
                &json
            };
            for (name, value) in &event.data {
                let name = if kind == MessageKind::Nxlog && name == "Message" {
                    "Message_2"
                } else {
                    name
                };
                let found = &object[name];
                let is_there = found == &**value
                    || found
                        .as_array()
                        .is_some_and(|all| all.contains(&Json::from(&**value)));
                assert!(is_there, "{kind:?}: {name}");
            }
        }
        MessageKind::Snare => {
            let fields: Vec<_> = text.split('\t').collect();
            assert_eq!(fields.len(), 15);
            for (name, value) in &event.data {
                let pair = format!("   {}:  {}", blanked(name), blanked(value));
                assert!(fields[13].contains(&pair), "{pair}");
            }
        }
        _ => {
            let pairs = if kind == MessageKind::Cef {
                read_cef(text).1
            } else {
                read_leef(text)
            };
            let pairs = map(pairs);
            for (name, value) in &event.data {
                let value = match kind {
                    MessageKind::Cef => blanked(&value.replace('\n', "N").replace('\r', "R"))
                        .replace('N', "\n")
                        .replace('R', "\r"),
                    _ => blanked(value),
                };
                assert!(
                    pairs.values().any(|found| *found == value),
                    "{kind:?}: {name}: {value:?}"
                );
            }
            // A value that the event names `src` is not the address of the source.
            assert!(!pairs.contains_key("src") || pairs["src"] != "10.0.0.1");
            assert!(kind != MessageKind::Leef || pairs["devTime"] != "0");
        }
    }
}

#[test]
fn a_message_over_the_limit_keeps_its_form() {
    let long = xml(SYSTEM, &[DATA, RENDERING].concat())
        .replace("alice", &"a=\\|é".repeat(3000))
        .replace("Subject:", &"x|= ".repeat(3000));
    for (xml, kind) in [hostile_xml(), long]
        .iter()
        .flat_map(|xml| LAYOUTS.map(|kind| (xml, kind)))
    {
        for header in [Header::Rfc5424, Header::Rfc3164, Header::None] {
            for max in [480, 1500, 2000, 4096, 9000] {
                let style = Style {
                    header,
                    max: Some(max),
                    ..style(kind)
                };
                let (text, truncated) = write(&style, xml);
                assert!(
                    text.len() <= max && truncated > 0,
                    "{kind:?} {max}: {}",
                    text.len()
                );
                if max >= 4096 {
                    assert!(
                        text.len() > max - max / 8 - 200,
                        "{kind:?} {max}: {}",
                        text.len()
                    );
                }
                let start = match kind {
                    MessageKind::Ecs | MessageKind::Nxlog => "{",
                    MessageKind::Snare => "MSWinEventLog",
                    MessageKind::Cef => "CEF:0|",
                    _ => "LEEF:1.0|",
                };
                let Some(at) = text.find(start) else {
                    assert_eq!(header, Header::Rfc5424, "{text}");
                    continue;
                };
                let content = &text[at..];
                match kind {
                    MessageKind::Ecs | MessageKind::Nxlog => {
                        let json: Json = serde_json::from_str(content).unwrap();
                        assert!(json["Truncated"].is_array(), "{content}");
                    }
                    MessageKind::Cef if max >= 2000 => {
                        assert_eq!(map(read_cef(content).1)["Truncated"], "yes");
                    }
                    MessageKind::Leef if max >= 2000 => {
                        assert_eq!(map(read_leef(content))["Truncated"], "yes");
                    }
                    _ => {}
                }
            }
        }
    }
}

#[test]
fn an_event_that_cannot_be_read_goes_out_whole() {
    let broken = "<Event>cut \"off|=\\\there";
    for kind in LAYOUTS {
        let text = content(kind, broken);
        let found = match kind {
            MessageKind::Ecs => serde_json::from_str::<Json>(&text).unwrap()["message"]
                .as_str()
                .map(str::to_owned),
            MessageKind::Nxlog => serde_json::from_str::<Json>(&text).unwrap()["Raw"]
                .as_str()
                .map(str::to_owned),
            MessageKind::Snare => text.split('\t').nth(13).map(str::to_owned),
            MessageKind::Cef => map(read_cef(&text).1).remove("msg"),
            _ => map(read_leef(&text)).remove("msg"),
        };
        let expected = match kind {
            MessageKind::Ecs | MessageKind::Nxlog => broken.to_owned(),
            _ => blanked(broken),
        };
        assert_eq!(found, Some(expected), "{kind:?}");
    }
}

#[test]
fn each_header_stands_before_each_kind() {
    let xml = xml(SYSTEM, DATA);
    for (_, message) in MessageKind::NAMES {
        let text = |header, data| {
            let style = Style {
                message,
                header,
                data,
                ..Style::default()
            };
            write(&style, &xml).0
        };
        let bare = text(Header::None, StructuredData::Bounded);
        let old = text(Header::Rfc3164, StructuredData::Bounded);
        let tag = match message {
            MessageKind::Snare | MessageKind::Cef | MessageKind::Leef => "",
            _ => "Microsoft-Windows-Security-Audit[780]: ",
        };
        assert_eq!(old, format!("<85>Mar 14 13:54:16 ws1.example {tag}{bare}"));
        let new = text(Header::Rfc5424, StructuredData::None);
        let words = "<85>1 2024-03-14T13:54:16.613832Z ws1.example Microsoft-Windows-Security-Auditing 780 4624 - ";
        assert_eq!(new, format!("{words}{bare}"));
        let both = text(Header::Rfc5424, StructuredData::Bounded);
        assert!(
            both.contains("[data@32473 ") && both.ends_with(&format!("] {bare}")),
            "{both}"
        );
    }
}
