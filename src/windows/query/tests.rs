use super::xpath::Expression;
use super::*;

fn query(clauses: &str) -> String {
    format!("<QueryList><Query Id=\"0\" Path=\"Security\">{clauses}</Query></QueryList>")
}

fn select(expression: &str) -> String {
    query(&format!(
        "<Select Path=\"Security\">{}</Select>",
        expression.replace('<', "&lt;")
    ))
}

fn whats(query: &str) -> Vec<String> {
    lint(query).into_iter().map(|found| found.what).collect()
}

#[test]
fn what_windows_takes_is_read_and_written_the_same() {
    for text in [
        "*",
        "*[System[EventID=4624]]",
        "*[System[(EventID=1 or EventID=2) and Level<=3]]",
        "*[System[Provider[@Name='A' or @Name=\"it's\"] and band(Keywords,13510798882111488)]]",
        "*[System[TimeCreated[timediff(@SystemTime)<=86400000]]]",
        "Event[System[EventID=4688] and EventData[Data[@Name='Image']='C:\\x y.exe']]",
        "*[EventData[Data='x']] or *[UserData/*/Name=0x1F]",
        "*[System/EventID=7036]",
        "*[EventData[Data[@Name='A']!='-' and Data[@Name='B']!='-']]",
        "*[EventData[Data[1]='S-1-5-18']]",
        "*[EventData[Data='\\\\*\\IPC$']]",
        "*[EventData/Data[12]='x']",
        "*[EventData[@Name='Audit' and Binary='00']]",
        "*[UserData[EventXML[Param[2]='x']]]",
        "*[System[Level='2' and Keywords='0x8010000000000000']]",
    ] {
        let expression = Expression::parse(text).unwrap();
        assert_eq!(expression.to_string(), text);
        assert_eq!(lint(&select(text)), [], "{text}");
    }
    let spaced = Expression::parse(" * [ System [ ( EventID = 1 ) or EventID = 2 ] ] ").unwrap();
    assert_eq!(spaced.to_string(), "*[System[EventID=1 or EventID=2]]");
}

#[test]
fn parentheses_that_matter_stay() {
    let text = "*[System[(EventID=1 or EventID=2) and (Level=1 or Level=2) and Task=3]]";
    assert_eq!(Expression::parse(text).unwrap().to_string(), text);
}

#[test]
fn what_windows_does_not_have_is_named_with_its_place() {
    let refused = |text: &str| {
        let error = Expression::parse(text).unwrap_err();
        format!("{}: {}", error.column, error.what)
    };
    for (text, says) in [
        (
            "*[contains(Data,'x')]",
            "3: Windows has no function contains(); it has band, timediff, position",
        ),
        ("*[not(System)]", "3: Windows has no function not()"),
        (
            "*[System[EventID==1]]",
            "'=' is not allowed here (= occurs once)",
        ),
        ("*[System[EventID=1 && Level=1]]", "(write: and)"),
        ("*[System[EventID=1 || Level=1]]", "(write: or)"),
        (
            "*[System[EventID=1 OR EventID=2]]",
            "(and, or must be lowercase)",
        ),
        ("*[System[EventID=1]", "\"]\" is missing at the end"),
        ("*[System[EventID=1]]]", "21: ']' is not allowed here"),
        ("*[System[EventID=]]", "']' is not allowed here"),
        ("*[Data='x]", "the quote ' is not closed"),
        (
            "//Event",
            "'/' is not allowed here (only children by name and @attributes can be named)",
        ),
        ("*[System[Level&lt;=3]]", "escaped twice"),
        ("", "something is missing at the end"),
        ("*[]", "']' is not allowed here"),
        ("*[5]", "a value without a comparison"),
        ("*[EventData[Data[0]='x']]", "a value without a comparison"),
        (
            "*[EventData[Data[1.5]='x']]",
            "a value without a comparison",
        ),
        (
            "*[EventData[Data['x']='y']]",
            "a value without a comparison",
        ),
    ] {
        let said = refused(text);
        assert!(said.contains(says), "{text}: {said}");
    }
    let deep = "(".repeat(100_000);
    assert!(refused(&deep).contains("nested deeper than 32"));
}

#[test]
fn names_that_no_event_has_are_found_with_what_was_meant() {
    for (text, says) in [
        (
            "*[System[EventId=1]]",
            "System has no EventId (did you mean EventID?)",
        ),
        ("*[System[EventRecordId=1]]", "did you mean EventRecordID?"),
        (
            "*[Sytem[EventID=1]]",
            "an event has no Sytem (did you mean System?)",
        ),
        (
            "*[System[Provider[Name='A']]]",
            "Provider has no Name (did you mean Name?)",
        ),
        (
            "*[System[Security[@UserId='S-1-5-18']]]",
            "Security has no @UserId (did you mean UserID?)",
        ),
        (
            "System[EventID=1]",
            "an expression must begin with * or Event, not with System",
        ),
        ("*[System/Zzz=1]", "System has no Zzz"),
        (
            "*[EventData[Data[@name='TargetUserName']='bob']]",
            "Data has no @name (did you mean Name?)",
        ),
        (
            "*[EventData[data='x']]",
            "EventData has no data (did you mean Data?)",
        ),
        (
            "*[EventData[TargetUserName='bob']]",
            "EventData has no TargetUserName",
        ),
    ] {
        let found = whats(&select(text)).join("; ");
        assert!(found.contains(says), "{text}: {found}");
    }
}

#[test]
fn values_that_never_match_are_found() {
    let found = whats(&select("*[System[EventID=70000]]"));
    assert_eq!(found, ["Security: EventID=70000: event ids are 0 to 65535"]);
    let found = whats(&select("*[System[Channel='System']]"));
    assert!(found.concat().contains("selects Channel=\"System\""));
    let found = whats(&select("*[System[EventID=1 or EventID=2 or EventID=1]]"));
    assert_eq!(found, ["Security: EventID=1 occurs twice"]);
}

#[test]
fn a_value_of_the_wrong_kind_is_found_with_what_was_meant() {
    for (text, says) in [
        (
            "*[System[Level=\"Error\"]]",
            "Level=\"Error\" never matches: Level is a number (did you mean Level=2?)",
        ),
        ("*[System['warning'=Level]]", "(did you mean Level=3?)"),
        ("*[System[EventID='logon']]", "EventID is a number"),
        (
            "*[System[Execution[@ProcessID='lsass']]]",
            "@ProcessID is a number",
        ),
        (
            "*[System[Provider='x']]",
            "Provider has attributes only; write Provider[@Name=...]",
        ),
        (
            "*[System/Security='S-1-5-18']",
            "write Security[@UserID=...]",
        ),
        (
            "*[EventData[Data[@Name='TargetUserName']='adm*']]",
            "hosts do not support wildcards",
        ),
        (
            "*[EventData[Data='*\\cmd.exe']]",
            "hosts do not support wildcards",
        ),
        (
            "*[System[Provider[@Name='Microsoft-Windows-*']]]",
            "not support wildcards",
        ),
    ] {
        let found = whats(&select(text));
        assert_eq!(found.len(), 1, "{text}: {found:?}");
        assert!(found[0].contains(says), "{text}: {found:?}");
    }
}

#[test]
fn one_query_may_select_from_several_channels() {
    assert_eq!(lint(&query("<Select Path=\"System\">*</Select>")), []);
}

#[test]
fn blanks_around_a_channel_are_found() {
    for path in [" Security", "Security ", "\tSecurity"] {
        let found = whats(&query(&format!("<Select Path=\"{path}\">*</Select>")));
        assert!(
            found.concat().contains("use Path=\"Security\""),
            "{found:?}"
        );
    }
    let outer = "<QueryList><Query Path=\"Security \"><Select>*</Select></Query></QueryList>";
    assert_eq!(whats(outer).len(), 1);
}

#[test]
fn channels_that_no_host_forwards_are_found() {
    let findings = |channel: &str| whats(&query(&format!("<Select Path=\"{channel}\">*</Select>")));
    for channel in [
        "Microsoft-Windows-DNSServer/Analytical",
        "Microsoft-Windows-WMI-Activity/Trace",
        "Microsoft-Windows-WinRM/Debug",
        "Microsoft-Windows-Bits-Client/Analytic",
        "Microsoft-Windows-Kernel-PnP/Driver Diagnostic",
    ] {
        assert!(findings(channel).concat().contains("15009"), "{channel}");
    }
    for channel in [
        "Microsoft-Windows-Diagnosis-PLA/Operational",
        "Microsoft-Windows-Diagnostics-Performance/Operational",
        "Debug",
    ] {
        assert_eq!(findings(channel), Vec::<String>::new(), "{channel}");
    }
}

#[test]
fn paths_that_name_no_channel_are_found() {
    for (path, expected) in [
        ("Microsoft-Windows-*", "wildcards"),
        ("Microsoft-Windows-?-Client/Operational", "wildcards"),
        ("file://C:\\logs\\saved.evtx", "names a file"),
        ("FILE://saved.evtx", "names a file"),
        ("Sec&#9;urity", "control character"),
    ] {
        let found = whats(&query(&format!("<Select Path=\"{path}\">*</Select>")));
        assert!(found.concat().contains(expected), "{path}: {found:?}");
    }
    for path in ["Filé", "File Replication Service", "Security"] {
        let found = whats(&query(&format!("<Select Path=\"{path}\">*</Select>")));
        assert_eq!(found, Vec::<String>::new(), "{path}");
    }
}

#[test]
fn an_expression_over_the_limit_comes_back_split_and_fitting() {
    let ids: Vec<String> = (0..45).map(|n| format!("EventID={}", 4000 + n)).collect();
    let text = format!("*[System[Level<=4 and ({})]]", ids.join(" or "));
    let findings = lint(&select(&text));
    let [finding] = findings.as_slice() else {
        panic!("{findings:?}");
    };
    assert!(finding.what.contains("46 comparisons in one expression"));
    let instead = finding.instead.as_deref().unwrap();
    assert_eq!(instead.lines().count(), 3);
    assert_eq!(lint(&query(instead)), []);
    for id in ids {
        assert_eq!(instead.matches(&id).count(), 1, "{id}");
    }
    assert_eq!(instead.matches("Level&lt;=4 and (").count(), 3);
}

#[test]
fn the_limit_itself_is_taken() {
    let ids = |count: usize| {
        let ids: Vec<String> = (0..count).map(|n| format!("EventID={n}")).collect();
        select(&format!("*[System[{}]]", ids.join(" or ")))
    };
    assert_eq!(lint(&ids(MAX_COMPARISONS)), []);
    assert_eq!(lint(&ids(MAX_COMPARISONS + 1)).len(), 1);
}

#[test]
fn ranges_are_not_torn_apart() {
    let ranges: Vec<String> = (0..15)
        .map(|n| format!("(EventID>={n}0 and EventID<={n}5)"))
        .collect();
    let findings = lint(&select(&format!("*[System[{}]]", ranges.join(" or "))));
    let instead = findings[0].instead.as_deref().unwrap();
    assert_eq!(instead.lines().count(), 2);
    assert_eq!(lint(&query(instead)), []);
}

#[test]
fn what_no_host_would_take_is_not_proposed() {
    let ids: Vec<String> = (0..2000).map(|n| format!("EventID={n}")).collect();
    let beside = vec!["EventData/Data"; 1000].join(" and ");
    let text = format!("*[System[{}] and {beside}]", ids.join(" or "));
    let findings = lint(&select(&text));
    assert!(
        findings[0].what.contains("2000 comparisons"),
        "{findings:?}"
    );
    assert_eq!(findings[0].instead, None);
}

#[test]
fn what_cannot_be_split_is_said_without_a_split() {
    let ands: Vec<String> = (0..30).map(|n| format!("Task!={n}")).collect();
    let findings = lint(&select(&format!("*[System[{}]]", ands.join(" and "))));
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].instead, None);
}

#[test]
fn channels_that_do_not_fit_each_other_are_found() {
    let found = whats(&query("<Suppress Path=\"Security\">*</Suppress>"));
    assert!(
        found[0].contains("selects nothing of this channel"),
        "{found:?}"
    );
    let many: String = (0..=MAX_CHANNELS)
        .map(|n| format!("<Query Id=\"{n}\"><Select Path=\"C{n}\">*</Select></Query>"))
        .collect();
    let found = whats(&format!("<QueryList>{many}</QueryList>"));
    assert_eq!(
        found,
        ["257 channels, but a host accepts 256 at most: split it into several subscriptions"]
    );
}

#[test]
fn a_slip_in_the_xml_is_found_with_its_line() {
    let findings = lint(
        "<QueryList>\n<Query><Select Path=\"A\">*[System[Level<3]]</Select></Query></QueryList>",
    );
    assert_eq!(findings[0].line, 2);
    assert!(findings[0].what.contains("&lt;"), "{findings:?}");
}

#[test]
fn channels_are_listed_once_whatever_their_case() {
    let query = query(
        "<Select Path=\"Security\">*</Select><Select Path=\"SECURITY\">*</Select>\
                       <Select Path=\"A\">*</Select><Suppress Path=\"B\">*</Suppress>",
    );
    assert_eq!(channels(&query), ["A", "Security"]);
}
