use super::*;

fn parse(url: &str) -> Settings {
    Settings::parse(url).unwrap_or_else(|error| panic!("{url}: {error}"))
}

fn refusal(url: &str) -> String {
    match Settings::parse(url) {
        Ok(settings) => panic!("{url} gave {settings:?}"),
        Err(error) => error.to_string(),
    }
}

fn tcp(host: &str, port: u16) -> Target {
    let host = host.to_owned();
    Target::Tcp { host, port }
}

#[test]
fn each_kind_has_its_defaults() {
    let defaults = [
        ("udp://h", Framing::Datagram, Some(UDP_MAX), 0),
        ("tcp://h", Framing::OctetCounting, None, REPLAY),
        ("tls://h", Framing::OctetCounting, None, REPLAY),
        ("relp://h", Framing::Datagram, Some(131_072), 0),
        ("relp+tls://h", Framing::Datagram, Some(131_072), 0),
        ("unix:/p", Framing::Datagram, Some(UNIX_DATAGRAM_MAX), 0),
        ("unix:/p?type=stream", Framing::LineFeed, None, 0),
        ("file:/p", Framing::LineFeed, None, 0),
        ("stdout:", Framing::LineFeed, None, 0),
    ];
    for (url, framing, max, replay) in defaults {
        let settings = parse(url);
        assert_eq!(settings.framing, framing, "{url}");
        assert_eq!(settings.max, max, "{url}");
        assert_eq!(settings.replay, replay, "{url}");
        assert!(settings.required, "{url}");
        assert_eq!(settings.label, url);
    }
}

#[test]
fn hosts_and_ports_are_read() {
    let udp = |host: &str, port| Target::Udp {
        host: host.to_owned(),
        port,
    };
    assert_eq!(parse("udp://192.0.2.1").target, udp("192.0.2.1", 514));
    assert_eq!(parse("UDP://192.0.2.1:1").target, udp("192.0.2.1", 1));
    assert_eq!(parse("tcp://log.example").target, tcp("log.example", 601));
    assert_eq!(parse("tcp://h:65535/").target, tcp("h", 65535));
    let relp = |port| Target::Relp {
        host: "h".to_owned(),
        port,
    };
    assert_eq!(parse("relp://h").target, relp(2514));
    assert_eq!(parse("RELP+tls://h:20514").target, relp(20514));
    assert_eq!(parse("tcp://[2001:db8::1]").target, tcp("2001:db8::1", 601));
    assert_eq!(parse("tcp://[::1]:6").target, tcp("::1", 6));
    assert_eq!(
        parse("tcp://[fe80::1%eth0]").target,
        tcp("fe80::1%eth0", 601)
    );
}

#[test]
fn paths_are_read() {
    let unix = |path: &str, stream| Target::Unix {
        path: path.into(),
        stream,
    };
    let file = |path: &str, sync| Target::File {
        path: path.into(),
        sync,
    };
    assert_eq!(parse("unix:/dev/log").target, unix("/dev/log", false));
    assert_eq!(parse("unix:///dev/log").target, unix("/dev/log", false));
    assert_eq!(parse("unix:s?type=stream").target, unix("s", true));
    assert_eq!(parse("file:a/b c").target, file("a/b c", false));
    assert_eq!(parse("file:/a?sync=yes").target, file("/a", true));
    assert_eq!(parse("stdout:").target, Target::Stdout);
}

#[test]
fn settings_are_read_in_any_order() {
    let settings = parse("tcp://h?replay=0&framing=lf&required=no&max=2K");
    assert_eq!(settings.framing, Framing::LineFeed);
    assert_eq!(settings.max, Some(2048));
    assert!(!settings.required);
    assert_eq!(settings.replay, 0);
    let before = parse("unix:/s?framing=octet&type=stream");
    assert_eq!(before.framing, Framing::OctetCounting);
    assert_eq!(parse("tcp://h?max=1M").max, Some(1_048_576));
    assert_eq!(parse("tcp://h?").target, tcp("h", 601));
}

#[test]
fn max_is_bounded_from_both_sides() {
    assert_eq!(parse("stdout:?max=480").max, Some(LEAST_MAX));
    assert_eq!(
        refusal("stdout:?max=479"),
        "max= must be at least 480 bytes"
    );
    assert_eq!(parse("udp://h?max=65507").max, Some(UDP_MAX));
    assert_eq!(
        refusal("udp://h?max=65508"),
        "max= can be at most 65507 bytes"
    );
    assert_eq!(parse("relp://h?max=999999999").max, Some(999_999_999));
    assert_eq!(
        refusal("relp+tls://h?max=1000000000"),
        "max= can be at most 999999999 bytes"
    );
}

#[test]
fn replay_is_bounded() {
    assert_eq!(parse("tcp://h?replay=1024M").replay, MOST_REPLAY);
    let over = refusal("tcp://h?replay=1073741825");
    assert_eq!(over, "replay= can be at most 1073741824 bytes");
}

#[test]
fn sizes_that_are_no_numbers_are_refused() {
    let huge = "99999999999999999999999";
    for size in [
        "",
        "x",
        "K",
        "-1",
        "+500",
        "1.5K",
        "500G",
        "500KB",
        huge,
        "18446744073709551615K",
    ] {
        let text = refusal(&format!("stdout:?max={size}"));
        assert!(text.contains("such as 8192, 8K or 1M"), "{size}: {text}");
    }
}

#[test]
fn an_unknown_kind_is_refused_with_what_there_is() {
    let text = refusal("tcpp://h");
    assert!(
        text.starts_with("\"tcpp\" is not a kind of output, did you mean \"tcp:\"?"),
        "{text}"
    );
    assert!(text.contains("udp://HOST:PORT"), "{text}");
    assert!(refusal("stdout").contains("did you mean \"stdout:\"?"));
    assert!(!refusal("/var/log/events").contains("did you mean"));
    assert!(!refusal("").contains("did you mean"));
}

#[test]
fn a_secured_output_names_its_files_and_the_receiver() {
    let settings =
        parse("tls://log.example?ca=/c a.pem&cert=me.pem&key=/k=1.pem&name=Other.Example");
    assert_eq!(settings.target, tcp("log.example", 6514));
    let tls = settings.tls.unwrap();
    assert_eq!(tls.name, "Other.Example");
    assert_eq!(tls.ca, Some("/c a.pem".into()));
    assert_eq!(tls.certificate, Some("me.pem".into()));
    assert_eq!(tls.key, Some("/k=1.pem".into()));
    let name = |url: &str| parse(url).tls.unwrap().name;
    assert_eq!(name("tls://log.example:1"), "log.example");
    assert_eq!(name("relp+tls://[fe80::1%eth0]"), "fe80::1");
    assert_eq!(name("tls://h?name=[::1]"), "::1");
    assert_eq!(name("tls://h?name=::1"), "::1");
    assert_eq!(name("tls://h?name=192.0.2.1"), "192.0.2.1");
    assert_eq!(parse("tcp://h").tls, None);
    assert_eq!(parse("relp://h").tls, None);
}

#[test]
fn settings_of_a_secured_output_are_refused_where_they_mean_nothing() {
    assert!(refusal("tcp://h?ca=/ca.pem").contains("unknown setting \"ca\""));
    assert!(refusal("relp://h?cert=/c.pem").contains("unknown setting"));
    assert!(refusal("tls://h?framing=lf").contains("unknown setting"));
    assert!(refusal("relp+tls://h?replay=1M").contains("unknown setting"));
    assert!(refusal("tls://h?ca=").contains("the path of a PEM file"));
    assert!(refusal("tls://h?name=a b").contains("a host name or an address"));
    assert!(refusal("tls://h?name=h:1").contains("a host name or an address"));
    assert!(refusal("tls://h?key=/k.pem").contains("key= needs cert="));
}

#[test]
fn an_unknown_setting_is_refused_with_what_there_is() {
    let text = refusal("tcp://h?requird=no");
    assert!(text.contains("did you mean \"required=\"?"), "{text}");
    let text = refusal("udp://h?replay=1M");
    assert!(
        text.ends_with("allowed are data, drop, escape, header, max, message, only, required, sd"),
        "{text}"
    );
}

#[test]
fn each_output_chooses_what_its_messages_hold() {
    let style = |url: &str| {
        let style = Settings::parse_with(url, MessageKind::Json)
            .unwrap()
            .style();
        (style.message, style.header, style.data)
    };
    let (bounded, none) = (StructuredData::Bounded, StructuredData::None);
    let (new, old) = (Header::Rfc5424, Header::Rfc3164);
    assert_eq!(style("tcp://h"), (MessageKind::Json, new, bounded));
    assert_eq!(
        style("tcp://h?message=text"),
        (MessageKind::Text, new, bounded)
    );
    assert_eq!(style("relp://h?message=ecs"), (MessageKind::Ecs, new, none));
    assert_eq!(style("udp://h?message=cef"), (MessageKind::Cef, old, none));
    let url = "file:/f?message=leef&header=rfc5424&sd=bounded";
    assert_eq!(style(url), (MessageKind::Leef, new, bounded));
    let url = "unix:/s?message=nxlog&header=none";
    assert_eq!(style(url), (MessageKind::Nxlog, Header::None, none));
    assert_eq!(style("stdout:?sd=none"), (MessageKind::Json, new, none));
    for (url, without) in [("udp://h", false), ("udp://h?data=no", true)] {
        assert_eq!(
            Settings::parse(url).unwrap().style().without_values,
            without
        );
    }
    assert!(refusal("udp://h?data=never").contains("yes or no"));
}

#[test]
fn what_no_message_can_hold_is_refused() {
    assert!(
        refusal("tcp://h?message=gelf")
            .ends_with("allowed is text, xml, json, ecs, nxlog, snare, cef or leef")
    );
    assert!(refusal("tcp://h?header=rfc3195").ends_with("allowed is rfc5424, rfc3164 or none"));
    assert!(refusal("tcp://h?mesage=ecs").contains("did you mean \"message=\"?"));
    for url in [
        "tcp://h?header=none&sd=whole",
        "tcp://h?message=cef&sd=bounded",
        "udp://h?sd=none&header=rfc3164",
    ] {
        assert!(refusal(url).contains("sd= is for header=rfc5424"), "{url}");
    }
    for url in [
        "tcp://h?sd=none&data=no",
        "tcp://h?message=snare&data=no",
        "tcp://h?message=ecs&data=yes",
    ] {
        assert!(refusal(url).contains("data= is for messages with"), "{url}");
    }
}

#[test]
fn a_setting_given_twice_is_refused() {
    assert_eq!(refusal("tcp://h?max=500&max=500"), "max= is given twice");
}

#[test]
fn what_becomes_of_refused_messages_is_for_relp() {
    let refused = |url: &str| Settings::parse(url).map(|settings| settings.refused);
    assert_eq!(refused("relp://h"), Ok(Refused::Retry));
    assert_eq!(refused("relp+tls://h?refused=retry"), Ok(Refused::Retry));
    assert_eq!(refused("relp://h?refused=drop"), Ok(Refused::Drop));
    for url in ["relp://h?refused=file:/a/b", "relp://h?refused=file:///a/b"] {
        assert_eq!(refused(url), Ok(Refused::File("/a/b".into())));
    }
    for value in ["", "file", "file:", "no", "file:a\0b"] {
        let error = refused(&format!("relp://h?refused={value}")).unwrap_err();
        let text = error.to_string();
        assert!(
            text.ends_with("allowed is retry, drop or file:PATH"),
            "{text}"
        );
    }
    assert!(refused("tcp://h?refused=drop").is_err());
}

#[test]
fn wrong_values_are_refused_with_what_is_allowed() {
    assert_eq!(
        refusal("tcp://h?framing=line"),
        "framing= cannot be \"line\"; allowed is octet or lf"
    );
    assert_eq!(
        refusal("unix:/s?type=tcp"),
        "type= cannot be \"tcp\"; allowed is datagram or stream"
    );
    assert_eq!(
        refusal("file:/s?sync"),
        "sync= cannot be \"\"; allowed is yes or no"
    );
    assert_eq!(
        refusal("file:/s?required=false"),
        "required= cannot be \"false\"; allowed is yes or no"
    );
}

#[test]
fn datagrams_have_no_framing_to_choose() {
    assert!(refusal("unix:/s?framing=lf").contains("add type=stream"));
    assert!(refusal("unix:/s?type=datagram&framing=octet").contains("add type=stream"));
}

#[test]
fn wrong_hosts_are_refused() {
    for host in [
        "",
        "a b",
        "user@h",
        "a..b",
        "-a",
        "h/path",
        "[::1",
        "[::1]x",
        "[1.2.3.4]",
        "[]",
    ] {
        let text = refusal(&format!("tcp://{host}"));
        assert!(
            text.contains("is not a host name or an IP address"),
            "{host}: {text}"
        );
    }
    assert!(refusal("tcp://::1:601").contains("in brackets"));
    assert!(refusal("tcp:h:601").contains("two slashes"));
}

#[test]
fn wrong_ports_are_refused() {
    for port in ["", "0", "65536", "-1", "+1", "x"] {
        let text = refusal(&format!("tcp://h:{port}"));
        assert!(
            text.ends_with("is not a port from 1 to 65535"),
            "{port}: {text}"
        );
    }
}

#[test]
fn wrong_paths_are_refused() {
    for url in [
        "unix:",
        "unix://host/path",
        "unix:/a\0b",
        "unix:?type=stream",
    ] {
        assert!(refusal(url).contains("as in unix:/run/events"), "{url}");
    }
    assert!(refusal("file://host/path").contains("as in file:/run/events"));
    assert!(refusal("stdout:/dev/null").contains("only settings may follow"));
}

#[test]
fn a_host_name_has_its_longest_form() {
    let label = "a".repeat(63);
    let longest = [label.as_str(); 4].join(".");
    assert!(is_host_name(&label));
    assert!(!is_host_name(&"a".repeat(64)));
    assert!(is_host_name(longest.get(..253).unwrap_or_default()));
    assert!(!is_host_name(longest.get(..254).unwrap_or_default()));
}

#[test]
fn no_url_cut_anywhere_panics() {
    let url = "unix:///run/[::1]:65535?framing=octet&max=8K&type=stream&required=no";
    for end in 0..url.len() {
        let _ = Settings::parse(&url[..end]);
        let _ = Settings::parse(&url[end..]);
        let _ = Authority::parse(&url[end..]);
    }
}

#[test]
fn each_kind_of_output_takes_rules() {
    let urls = [
        "udp://h",
        "tcp://h",
        "tls://h",
        "relp://h",
        "relp+tls://h",
        "unix:/s",
        "file:/f",
        "stdout:",
        "otlp+http://h",
        "otlp+https://h",
        "kafka://h/t",
        "kafka+tls://h/t",
    ];
    for url in urls {
        let settings = parse(&format!(
            "{url}?only=channel:Security&drop=id:1&drop=id:2-3"
        ));
        let expected = ["only=channel:Security", "drop=id:1", "drop=id:2-3"];
        assert_eq!(settings.filter.reasons(), expected, "{url}");
    }
}
