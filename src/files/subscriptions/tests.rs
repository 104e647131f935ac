use std::time::{Duration, UNIX_EPOCH};

use parse::MAX_NAME;

use super::*;
use crate::protocol::wsman::ContentFormat;
use crate::protocol::wsman::subscribe::MAX_ENVELOPE_SIZE;

const QUERY: &str = r#"<QueryList>
      <!-- logons -->
      <Query Id="0" Path="Security">
        <Select>*[System[(EventID &gt;= 4624)]]</Select>
        <Suppress Path="Security">*[System[(EventID=4634)]]</Suppress>
      </Query>
    </QueryList>"#;

/// A file in the shape of an export, all elements in it.
fn full() -> String {
    format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<Subscription xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
  <SubscriptionId>Logons</SubscriptionId>
  <SubscriptionType>SourceInitiated</SubscriptionType>
  <Description>Who logs on</Description>
  <Enabled>true</Enabled>
  <Uri>http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</Uri>
  <!-- Normal, Custom, MinLatency, MinBandwidth -->
  <ConfigurationMode>Custom</ConfigurationMode>
  <Delivery Mode="Push">
    <Batching>
      <MaxItems>20</MaxItems>
      <MaxLatencyTime>30000</MaxLatencyTime>
    </Batching>
    <PushSettings>
      <Heartbeat Interval="1800000"/>
    </PushSettings>
  </Delivery>
  <Expires>2040-01-01T00:00:00.000Z</Expires>
  <Query><![CDATA[
    {QUERY}
  ]]></Query>
  <ReadExistingEvents>true</ReadExistingEvents>
  <TransportName>HTTP</TransportName>
  <ContentFormat>Events</ContentFormat>
  <Locale Language="de-DE"/>
  <LogFile>ForwardedEvents</LogFile>
  <PublisherName>Microsoft-Windows-EventCollector</PublisherName>
  <AllowedSourceNonDomainComputers>
    <AllowedIssuerCAList><IssuerCA>4AB167DF00112233445566778899AABBCCDDEEFF</IssuerCA></AllowedIssuerCAList>
    <AllowedSubjectList><Subject>*.example</Subject><Subject>a</Subject></AllowedSubjectList>
    <DeniedSubjectList><Subject>bad.example</Subject></DeniedSubjectList>
  </AllowedSourceNonDomainComputers>
  <AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)</AllowedSourceDomainComputers>
</Subscription>
"#
    )
}

/// The least that a file must say, with more inside.
fn least(more: &str) -> String {
    format!(
        r#"<Subscription xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
<SubscriptionId>Least</SubscriptionId><SubscriptionType>SourceInitiated</SubscriptionType>
<Query><QueryList><Query><Select Path="System">*</Select></Query></QueryList></Query>{more}
</Subscription>"#
    )
}

fn ok(text: &str) -> Parsed {
    parse(text, "a.xml").unwrap()
}

fn refusal(text: &str) -> String {
    parse(text, "a.xml").unwrap_err().to_string()
}

#[test]
fn an_export_of_windows_is_read_whole() {
    let Parsed {
        subscription,
        notices,
    } = ok(&full());
    let expected = Subscription {
        description: Some("Who logs on".into()),
        heartbeat: Duration::from_secs(1800),
        max_time: Duration::from_secs(30),
        max_elements: Some(20),
        read_existing: true,
        locale: Some("de-DE".into()),
        expires: Some(UNIX_EPOCH + Duration::from_secs(2_208_988_800)),
        access: crate::protocol::wsman::Access {
            domain_computers: Some("O:NSG:NSD:(A;;GA;;;DC)".parse().unwrap()),
            allowed_subjects: vec!["*.example".into(), "a".into()],
            denied_subjects: vec!["bad.example".into()],
            allowed_issuers: vec!["4AB167DF00112233445566778899AABBCCDDEEFF".into()],
        },
        ..Subscription::new("Logons", QUERY, ContentFormat::Events)
    };
    assert_eq!(subscription, expected);
    assert_eq!(subscription.max_envelope_size, MAX_ENVELOPE_SIZE);
    assert_eq!(notices, Vec::<String>::new());
}

#[test]
fn access_lists_are_checked_with_their_place() {
    let with = |sddl: &str| {
        let access = format!("<AllowedSourceDomainComputers>{sddl}</AllowedSourceDomainComputers>");
        parse(&least(&access), "a.xml")
    };
    let refusal = with("O:NSG:NSD:(A;;GA;;;XX)").unwrap_err().to_string();
    let end = "AllowedSourceDomainComputers, at character 20: \"XX\" is neither an alias such as DC \
               nor a SID such as S-1-5-21-1-2-3-1105";
    assert!(
        refusal.starts_with("a.xml:") && refusal.ends_with(end),
        "{refusal}"
    );
    for (sddl, notice) in [
        ("D:", "no host can subscribe"),
        (
            "O:NSG:NS",
            "every host can subscribe: there is no access list",
        ),
    ] {
        let notices = with(sddl).unwrap().notices;
        assert!(notices[0].ends_with(notice), "{notices:?}");
    }
    assert_eq!(
        with(" ").unwrap().subscription.access.domain_computers,
        None
    );
}

#[test]
fn an_access_list_that_would_be_passed_over_is_refused() {
    let domain =
        "<AllowedSourceDomainComputers>O:NSG:NSD:(A;;GA;;;DC)</AllowedSourceDomainComputers>";
    let issuers = "<AllowedIssuerCAList><IssuerCA>00</IssuerCA></AllowedIssuerCAList>";
    let denied = "<DeniedSubjectList><Subject>pc9.example</Subject></DeniedSubjectList>";
    let others = |inside: &str| {
        format!("<AllowedSourceNonDomainComputers>{inside}</AllowedSourceNonDomainComputers>")
    };
    let subjects =
        |inside: &str| others(&format!("<DeniedSubjectList>{inside}</DeniedSubjectList>"));
    let of_another = |list: &str| {
        let list = list.replace("<Allowed", "<x:Allowed");
        let list = list.replace("</Allowed", "</x:Allowed");
        list.replacen("Computers>", "Computers xmlns:x=\"urn:x\">", 1)
    };
    for more in [
        format!("{domain}{domain}"),
        of_another(domain),
        domain.replace("Computers", "Computer"),
        domain.replace("Allowed", "allowed"),
        domain.replace('O', "<b>O").replace(")<", ")</b><"),
        domain.replace('O', "<b/>O"),
        format!("<DeniedSourceDomainComputers>x</DeniedSourceDomainComputers>{domain}"),
        // Directly below Subscription, or beside the list where it belongs.
        denied.to_owned(),
        others(&format!("{denied}{denied}")),
        others(&denied.replace("SubjectList", "Subjects")),
        others(
            &denied
                .replace("<Denied", "<x:Denied")
                .replace("</Denied", "</x:Denied")
                .replacen("List>", "List xmlns:x=\"urn:x\">", 1),
        ),
        others("<Subject>pc9.example</Subject>"),
        others("O:NSG:NSD:(A;;GA;;;DC)"),
        others(&format!("{issuers}<IssuerCA>11</IssuerCA>")),
        of_another(&others(issuers)),
        subjects("pc9.example"),
        subjects("<Subject/>"),
        subjects("<Subject><!-- pc9.example --></Subject>"),
        subjects("<Subject>pc9<b>.example</b></Subject>"),
        subjects("<Subjekt>pc9.example</Subjekt>"),
        subjects("<Subject xmlns=\"urn:x\">pc9.example</Subject>"),
    ] {
        let refused = parse(&least(&more), "a.xml");
        let is_refused = matches!(refused, Err(Error::Value { .. }));
        assert!(is_refused, "{more}: {refused:?}");
    }
    let refused = refusal(&least(&others(&denied.replace("SubjectList", "Subjects"))));
    assert_eq!(
        refused,
        "a.xml:3: AllowedSourceNonDomainComputers is \"DeniedSubjects\": only \
         AllowedIssuerCAList, AllowedSubjectList and DeniedSubjectList are allowed there, each once"
    );
    // What wecutil prints where there are no lists.
    let empty = format!("<AllowedSourceDomainComputers/>{}", others(" "));
    assert_eq!(
        ok(&least(&empty)).subscription.access,
        crate::protocol::wsman::Access::default()
    );
}

#[test]
fn an_issuer_that_is_no_thumbprint_is_told() {
    let notices = |issuer: &str| {
        let issuer = format!(
            "<AllowedSourceNonDomainComputers><AllowedIssuerCAList><IssuerCA>{issuer}</IssuerCA>\
             </AllowedIssuerCAList></AllowedSourceNonDomainComputers>"
        );
        ok(&least(&issuer)).notices
    };
    let digits = "4AB167DF00112233445566778899AABBCCDDEEFF";
    // With the invisible character that Windows' dialog puts before it.
    for pasted in [
        digits,
        "\u{200e}4a b1 67 df 00 11 22 33 44 55 66 77 88 99 aa bb cc dd ee ff",
    ] {
        assert_eq!(notices(pasted), Vec::<String>::new(), "{pasted}");
    }
    for pasted in ["CN=CA", &digits[1..], &format!("{digits}{}", &digits[..24])] {
        let told = notices(pasted);
        assert!(
            told[0].contains("matches no certificate"),
            "{pasted}: {told:?}"
        );
    }
}

#[test]
fn what_elements_would_hide_of_a_text_is_refused() {
    for (from, to, expected) in [
        (
            "<Enabled>true",
            "<Enabled><b>false</b>",
            "a.xml:6: Enabled is \"b\": only text is allowed there",
        ),
        (
            "Logons<",
            "Logons<i/><",
            "a.xml:3: SubscriptionId is \"i\": only text is allowed there",
        ),
    ] {
        assert_eq!(refusal(&full().replacen(from, to, 1)), expected);
    }
    let expected = "a.xml:3: Query is \"QueryList\": one QueryList is allowed there";
    assert_eq!(
        refusal(&least("").replace("</QueryList></Query>", "</QueryList><QueryList/></Query>")),
        expected
    );
    let other = least("<x:Enabled xmlns:x=\"urn:x\">false</x:Enabled>");
    assert_eq!(
        ok(&other).notices,
        ["a.xml:3: Enabled is of another namespace: ignored"]
    );
}

#[test]
fn what_is_not_said_is_as_windows_has_it() {
    let Parsed {
        subscription,
        notices,
    } = ok(&least(""));
    let query = "<QueryList><Query><Select Path=\"System\">*</Select></Query></QueryList>";
    let expected = Subscription {
        max_elements: Some(5),
        ..Subscription::new("Least", query, ContentFormat::RenderedText)
    };
    assert_eq!(subscription, expected);
    assert_eq!(notices, Vec::<String>::new());
}

#[test]
fn modes_have_the_values_of_windows() {
    for (mode, most, time, heartbeat) in [
        ("Normal", Some(5), 900, 900),
        ("MinLatency", None, 30, 3600),
        ("minbandwidth", None, 21_600, 21_600),
        ("Custom", None, 900, 900),
    ] {
        let text = least(&format!("<ConfigurationMode>{mode}</ConfigurationMode>"));
        let read = ok(&text).subscription;
        assert_eq!(
            read.max_elements,
            most.filter(|_| mode != "Custom"),
            "{mode}"
        );
        assert_eq!(read.max_time, Duration::from_secs(time), "{mode}");
        assert_eq!(read.heartbeat, Duration::from_secs(heartbeat), "{mode}");
    }
}

#[test]
fn a_mode_wins_over_values_and_says_so() {
    let text = full().replace(">Custom<", ">MinLatency<");
    let parsed = ok(&text);
    assert_eq!(parsed.subscription.max_elements, None);
    assert!(parsed.notices[0].starts_with("a.xml:10: values under Delivery are ignored"));
    let same = least(
        r#"<ConfigurationMode>MinLatency</ConfigurationMode><Delivery Mode="Push"><Batching>
        <MaxLatencyTime>30000</MaxLatencyTime></Batching></Delivery>"#,
    );
    assert_eq!(ok(&same).notices, Vec::<String>::new());
    let no_mode = full().replace("<ConfigurationMode>Custom</ConfigurationMode>", "");
    assert_eq!(ok(&no_mode).subscription.max_elements, Some(20));
}

#[test]
fn elements_without_effect_are_named_in_one_line() {
    let text = least(
        "<TransportName>https</TransportName><TransportPort>5986</TransportPort>\
         <LogFile>WEC1</LogFile><Uri>urn:x</Uri><HostName/>",
    );
    let notices = ok(&text).notices;
    assert_eq!(notices.len(), 1);
    for name in ["TransportName (", "TransportPort (", "LogFile (", "Uri ("] {
        assert!(notices[0].contains(name), "{}", notices[0]);
    }
}

#[test]
fn unknown_and_repeated_elements_are_notices() {
    let text = least("\n<Colour>red</Colour><Enabled>true</Enabled><Enabled>false</Enabled>");
    let parsed = ok(&text);
    assert!(parsed.subscription.enabled);
    let expected = [
        "a.xml:4: Colour is unknown: ignored",
        "a.xml:4: Enabled is repeated: only the first one is used",
    ];
    assert_eq!(parsed.notices, expected);
}

#[test]
fn wrong_values_name_line_element_and_what_is_allowed() {
    for (from, to, expected) in [
        (
            "SourceInitiated",
            "CollectorInitiated",
            "a.xml:4: SubscriptionType is \"CollectorInitiated\": must be SourceInitiated",
        ),
        (
            ">Logons<",
            "> <",
            "a.xml:3: SubscriptionId is \"\": must name",
        ),
        (
            "<Enabled>true",
            "<Enabled>yes",
            "a.xml:6: Enabled is \"yes\": must be true or false",
        ),
        (
            ">Custom<",
            ">Fast<",
            "a.xml:9: ConfigurationMode is \"Fast\": must be Normal,",
        ),
        (
            "\"Push\"",
            "\"Pull\"",
            "a.xml:10: Delivery@Mode is \"Pull\": must be Push",
        ),
        (
            ">20<",
            ">0<",
            "a.xml:12: MaxItems is \"0\": must be a number",
        ),
        (
            ">30000<",
            ">soon<",
            "a.xml:13: MaxLatencyTime is \"soon\": must be milliseconds",
        ),
        (
            "1800000",
            "-1",
            "a.xml:16: Heartbeat@Interval is \"-1\": must be milliseconds",
        ),
        (
            "2040-",
            "40-",
            "a.xml:19: Expires is \"40-01-01T00:00:00.000Z\": must be a time",
        ),
        (
            ">true</Read",
            ">maybe</Read",
            "a.xml:29: ReadExistingEvents is \"maybe\"",
        ),
        (
            ">Events<",
            ">JSON<",
            "a.xml:31: ContentFormat is \"JSON\": must be Events or",
        ),
        ("/2006/03/", "/2007/03/", "a.xml:2: the root element is"),
    ] {
        let text = full().replace(from, to);
        let refusal = refusal(&text);
        assert!(refusal.starts_with(expected), "{refusal}");
    }
}

#[test]
fn intervals_and_names_are_limited_on_both_sides() {
    for (value, is_fine) in [
        ("99", false),
        ("100", true),
        ("4294967295", true),
        ("4294967296", false),
    ] {
        let text = full().replace(">30000<", &format!(">{value}<"));
        assert_eq!(parse(&text, "a").is_ok(), is_fine, "{value}");
    }
    for (length, is_fine) in [(MAX_NAME, true), (MAX_NAME + 1, false)] {
        let text = full().replace(">Logons<", &format!(">{}<", "ä".repeat(length)));
        assert_eq!(parse(&text, "a").is_ok(), is_fine, "{length}");
    }
}

#[test]
fn wrong_queries_name_their_line_in_the_file() {
    for (from, to, expected) in [
        (
            "Select>",
            "Choose>",
            "a.xml:24: Query is \"Choose\": only Select and Suppress",
        ),
        (
            " Path=\"Security\">\n",
            ">\n",
            "a.xml:24: Select is \"*[System[(EventID >= 4624)]]\": needs a Path",
        ),
        (
            "*[System[(EventID=4634)]]",
            " ",
            "a.xml:25: Suppress is \"\": needs an XPath",
        ),
        (
            "<QueryList>",
            "<QueryList xmlns='urn:x'>",
            "a.xml:21: Query is \"<QueryList xmlns='urn:x'>",
        ),
        ("Query Id", "Other Id", "a.xml:21: Query: not well-formed"),
        ("</QueryList>", "", "a.xml:21: Query: not well-formed"),
        (
            "<!-- logons -->",
            "<!DOCTYPE x>",
            "a.xml:21: Query: document type",
        ),
        (
            "<!-- logons -->",
            "<Query/><Select/>",
            "a.xml:22: QueryList is \"Select\": only Query",
        ),
        (
            "<!-- logons -->",
            "<Query Id='0'/>",
            "a.xml:23: Query@Id is \"0\": an earlier Query has the same Id",
        ),
        ("QueryList>", "List>", "a.xml:21: Query is \"<List>"),
        (QUERY, "*[System]", "a.xml:21: Query: not well-formed"),
        (
            QUERY,
            "",
            "a.xml:22: Query is \"\": must contain a QueryList",
        ),
        (
            QUERY,
            "<QueryList/>",
            "a.xml:21: QueryList is \"\": needs a Query",
        ),
        (
            QUERY,
            "<QueryList>&#x5;</QueryList>",
            "a.xml:21: Query: not well-formed",
        ),
    ] {
        let refusal = refusal(&full().replace(from, to));
        assert!(refusal.starts_with(expected), "{refusal}\n{expected}");
    }
}

#[test]
fn missing_elements_are_named() {
    let cases = [
        ("SubscriptionId", "must name the subscription"),
        ("SubscriptionType", "must be SourceInitiated"),
        ("Query", "must contain a QueryList"),
    ];
    for (element, allowed) in cases {
        let other = format!("<Not{element}>");
        let text = full()
            .replace(&format!("<{element}>"), &other)
            .replace(&format!("</{element}>"), &other.replace('<', "</"));
        // The Query of the list itself has attributes, but shares its end tag.
        let text = text.replace(
            "</NotQuery>\n    </QueryList>",
            "</Query>\n    </QueryList>",
        );
        let expected = format!("a.xml:2: {element} is missing: {allowed}");
        assert!(refusal(&text).starts_with(&expected), "{}", refusal(&text));
    }
}

#[test]
fn files_that_are_no_xml_are_refused() {
    for text in ["", "SubscriptionId: Logons", "<Subscription>", "<a><b></a>"] {
        assert!(refusal(text).starts_with("a.xml: "), "{text}");
    }
    let bomb = format!("<!DOCTYPE a>{}", least(""));
    assert!(refusal(&bomb).contains("document type declaration"));
    let whole = full();
    let end = whole.rfind("</Subscription>").unwrap();
    for cut in (0..end + 14).filter(|cut| whole.is_char_boundary(*cut)) {
        assert!(parse(&whole[..cut], "a.xml").is_err());
    }
}

/// A folder of its own for each test.
struct Folder(PathBuf);

impl Folder {
    fn new(test: &str) -> Self {
        let name = format!("wecrelay-{test}-{}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.0.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn named(name: &str) -> String {
    least("").replace(">Least<", &format!(">{name}<"))
}

fn names(loaded: &Loaded) -> Vec<&str> {
    let subscriptions = loaded.subscriptions.iter();
    subscriptions.map(|s| &*s.name).collect()
}

#[test]
fn folders_give_their_xml_files_in_order_and_any_encoding() {
    let folder = Folder::new("folder");
    let utf16 = crate::base::wire::encode_text(&named("b"), crate::base::wire::Charset::Utf16);
    folder.file("2.XML", utf16);
    folder.file("1.xml", format!("\u{feff}{}", named("a")));
    folder.file("3.txt", "not read");
    let single = folder.file("single", named("c"));
    let loaded = load(&[single, folder.0.clone()], UNIX_EPOCH).unwrap();
    assert_eq!(names(&loaded), ["c", "a", "b"]);
    assert_eq!(loaded.notices, Vec::<String>::new());
}

#[test]
fn names_that_stand_twice_are_refused_with_both_files() {
    let folder = Folder::new("twice");
    folder.file("1.xml", named("Same"));
    folder.file("2.xml", named("same").replace("</Query>\n", "</Query>"));
    let refusal = load(std::slice::from_ref(&folder.0), UNIX_EPOCH).unwrap_err();
    let text = refusal.to_string();
    assert!(
        text.contains("1.xml") && text.contains("2.xml") && text.contains("\"same\""),
        "{text}"
    );
}

#[test]
fn disabled_and_expired_subscriptions_are_left_out_with_a_notice() {
    let folder = Folder::new("expired");
    folder.file("1.xml", full());
    let disabled = least("<Enabled>false</Enabled>");
    folder.file("2.xml", disabled);
    let paths = [folder.0.clone()];
    let expiry = UNIX_EPOCH + Duration::from_secs(2_208_988_800);
    let before = load(&paths, expiry - Duration::from_secs(1)).unwrap();
    assert_eq!(names(&before), ["Logons"]);
    assert!(before.notices[0].ends_with("2.xml: subscription \"Least\" is disabled: skipped"));
    let after = load(&paths, expiry).unwrap();
    assert_eq!(names(&after), Vec::<&str>::new());
    assert!(after.notices[0].ends_with("1.xml: subscription \"Logons\" has expired: skipped"));
}

#[test]
fn what_cannot_be_read_is_named() {
    let folder = Folder::new("unreadable");
    let missing = folder.0.join("no.xml");
    let refusal = load(std::slice::from_ref(&missing), UNIX_EPOCH).unwrap_err();
    assert!(
        refusal
            .to_string()
            .starts_with(&format!("{}: cannot be read", missing.display()))
    );
    let empty = load(std::slice::from_ref(&folder.0), UNIX_EPOCH).unwrap();
    assert!(empty.notices[0].ends_with("no *.xml in this folder"));
}

#[test]
fn file_sizes_are_limited_on_both_sides() {
    let folder = Folder::new("size");
    let text = named("a");
    let most = usize::try_from(MAX_FILE).unwrap();
    let padded = |size: usize| text.clone() + &" ".repeat(size - text.len());
    let path = folder.file("a.xml", padded(most));
    assert!(load(std::slice::from_ref(&path), UNIX_EPOCH).is_ok());
    folder.file("a.xml", padded(most + 1));
    let refusal = load(&[path], UNIX_EPOCH);
    assert!(matches!(refusal, Err(Error::TooLarge { .. })));
}

#[test]
fn files_of_other_kinds_are_recognized_with_the_command_that_makes_a_subscription() {
    let listing = "Subscription Id: Foo\r\nSubscriptionType: SourceInitiated\r\n";
    let view = "<ViewerConfig><QueryConfig><QueryNode><Name>logons</Name><QueryList/>\
                </QueryNode></QueryConfig></ViewerConfig>";
    let bare = "<?xml version='1.0'?>\n<QueryList><Query Id='0'/></QueryList>";
    for (text, expected) in [
        (
            listing,
            "a.xml: this is what wecutil prints without /f:xml; run",
        ),
        ("\n SubscriptionId : x", "wecutil gs NAME /f:xml >NAME.xml"),
        (
            view,
            "a.xml: this is a custom view that Event Viewer exported;",
        ),
        (bare, "a.xml: this is a query without its subscription;"),
        (
            "<Subscriptions/>",
            "a.xml: several subscriptions in one file:",
        ),
        ("name,query\nx,y", "a.xml: this is not XML;"),
        ("", "a.xml: this is not XML;"),
    ] {
        let refusal = refusal(text);
        assert!(refusal.contains(expected), "{refusal}");
    }
}

/// The command that the message gives is followed to the letter.
#[test]
fn the_command_for_a_bare_query_makes_a_subscription_file() {
    let dir = Folder::new("wrap");
    let view = "<ViewerConfig><QueryNode><QueryList>\n<Query Id='0'><Select Path='Security'>\
                *[System[Level&lt;3]]</Select></Query></QueryList></QueryNode></ViewerConfig>";
    dir.file("FILE", view);
    let message = refusal(view);
    let (_, command) = message.split_once(": {").unwrap();
    let status = std::process::Command::new("sh")
        .args(["-c", &format!("{{{command}")])
        .current_dir(&dir.0)
        .status();
    assert!(status.unwrap().success());
    let loaded = load(&[dir.0.join("NAME.xml")], SystemTime::UNIX_EPOCH).unwrap();
    assert_eq!(loaded.subscriptions[0].name, "NAME");
    assert!(loaded.subscriptions[0].query.contains("Level&lt;3"));
}

/// Each text of a file in pieces, comments and instructions between.
#[test]
fn comments_and_instructions_do_not_end_a_text() {
    let whole = parse(&full(), "a.xml").unwrap().subscription;
    for put in ["<!-- why -->", "<?note x?>", "<![CDATA[]]>"] {
        let mut text = full();
        for value in [
            "Logons",
            "SourceInitiated",
            "Who logs on",
            "true",
            "Custom",
            "20<",
            "30000",
            "2040-01-01T00:00:00.000Z",
            "<![CDATA[\n",
            "Events<",
            "4AB167DF",
            "*.example",
            "a</Subject",
            "bad.example",
            "O:NSG:NSD:(A;;GA;;;DC)",
        ] {
            let (start, rest) = match value.strip_prefix("<![") {
                Some(_) => ("", value),
                None => value.split_at(1),
            };
            assert!(text.contains(value), "{value}");
            text = text.replace(&format!(">{value}"), &format!(">{put}{start}{put}{rest}"));
        }
        let parsed = parse(&text, "a.xml").unwrap().subscription;
        assert_eq!(parsed, whole, "{text}");
    }
}

#[test]
fn comments_in_a_query_hide_nothing_of_it() {
    let select = |inside: &str| {
        let query = format!(
            "<QueryList><Query Id=\"0\" Path=\"Security\"><Select>{inside}</Select></Query></QueryList>"
        );
        crate::windows::query::describe(&query)
    };
    let expected = ["selects from Security: *[System[EventID=4624]]"];
    for inside in [
        "<!-- logons -->*[System[EventID=4624]]",
        "*<!-- only -->[System[EventID=4624]]",
        "<?note x?>*[System[EventID=4624]]<!-- all -->",
    ] {
        assert_eq!(select(inside), expected, "{inside}");
        assert!(crate::windows::query::whole_channels(&least("")).is_empty());
    }
}

#[test]
fn long_entries_of_access_lists_are_kept() {
    let subject = format!("<![CDATA[{}]]>", "x".repeat(1000));
    let text = full().replace("bad.example", &subject);
    let access = parse(&text, "a.xml").unwrap().subscription.access;
    assert_eq!(access.denied_subjects, ["x".repeat(1000)]);
}

#[test]
fn the_encoding_that_a_file_declares_is_obeyed_or_it_is_refused() {
    let folder = Folder::new("encoding");
    let with = |encoding: &str, letter: u8| {
        let text = named("B?ro");
        let (before, after) = text.split_once('?').unwrap();
        let before = format!("<?xml version='1.0' encoding='{encoding}'?>\n{before}");
        let bytes = [before.as_bytes(), &[letter], after.as_bytes()].concat();
        load(&[folder.file("s.xml", bytes)], UNIX_EPOCH)
    };
    for (encoding, letter) in [
        ("ISO-8859-1", 0xfc),
        ("windows-1252", 0xfc),
        ("cp850", 0x81),
    ] {
        assert_eq!(
            names(&with(encoding, letter).unwrap()),
            ["Büro"],
            "{encoding}"
        );
    }
    for letter in [0xfc, 0x81] {
        let error = with("UTF-8", letter).unwrap_err().to_string();
        assert!(error.contains("s.xml: line "), "{error}");
        assert!(error.contains("save the file as UTF-8"), "{error}");
    }
}
