use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;

use super::soap::{MAX_BOOKMARK, MAX_HEADER_TEXT};
use super::soap::{emit_duration, parse_any_duration, parse_duration};
use super::source::{self, Offered, Sender};
use super::*;

const ID: Uuid = Uuid::from_u128(0xabcd_0123);
const IDENTIFIER: &str = "<e:Identifier xmlns:e=\"http://schemas.xmlsoap.org/ws/2004/08/eventing\">219C5353-5F3D-4CD7-A644-F6B69E57C1C1</e:Identifier>";
const BOOKMARK: &str = "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"149161\" IsCurrent=\"true\"/></BookmarkList>";

fn sender() -> Sender<'static> {
    Sender {
        to: "http://collector.example:5985/wsman/SubscriptionManager/WEC?a&b",
        machine: "win10.example",
        locale: "en-US",
        session: Uuid::from_u128(1),
        message: ID,
        operation: Uuid::from_u128(0xfe),
        timeout: Duration::from_secs(60),
        max_envelope_size: 512_000,
    }
}

fn event(number: usize) -> String {
    let data = "<Data Name='CommandLine'>\"C:\\x.exe\" &amp; more</Data>".repeat(20);
    format!(
        "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
         <EventRecordID>{number}</EventRecordID></System><EventData>{data}</EventData></Event>"
    )
}

fn batch(count: usize) -> (Vec<String>, String) {
    let events: Vec<_> = (0..count).map(event).collect();
    let texts = events.iter().map(String::as_str);
    let xml = source::events(&sender(), IDENTIFIER, Some(BOOKMARK), texts);
    (events, xml)
}

fn texts<'a>(message: &'a Message<'_>) -> Vec<&'a str> {
    match &message.body {
        Body::Events(events) => events.iter().map(|event| event.xml.as_ref()).collect(),
        other => panic!("{other:?}"),
    }
}

/// An envelope around `body`, with an Events action and extra headers.
fn envelope(headers: &str, body: &str) -> String {
    let text = source::events(&sender(), IDENTIFIER, None, []);
    text.replace("<w:AckRequested/>", headers)
        .replace("<w:Events></w:Events>", body)
}

#[test]
fn an_enumerate_is_read_with_all_its_headers() {
    let text = source::enumerate(&sender());
    let Message { header, body } = parse(&text).unwrap();
    let portion = Portion {
        elements: Some(32_000),
        characters: None,
    };
    assert_eq!(body, Body::Enumerate(portion));
    assert_eq!(header.action, action::ENUMERATE);
    assert_eq!(
        header.message_id,
        "uuid:00000000-0000-0000-0000-0000ABCD0123"
    );
    assert_eq!(header.to.as_deref(), Some(sender().to));
    assert_eq!(header.reply_to.as_deref(), Some(ANONYMOUS));
    assert_eq!(header.machine_id.as_deref(), Some("win10.example"));
    assert_eq!(header.operation_timeout, Some(Duration::from_secs(60)));
    assert_eq!(header.max_envelope_size, Some(512_000));
    assert_eq!(header.locale.as_deref(), Some("en-US"));
    assert!(!header.ack_requested);
    assert_eq!((header.bookmark, header.identifier), (None, None));
}

#[test]
fn a_heartbeat_names_its_subscription_and_has_no_bookmark() {
    let text = source::heartbeat(&sender(), IDENTIFIER);
    let Message { header, body } = parse(&text).unwrap();
    assert_eq!(body, Body::Heartbeat);
    let identifier = "219C5353-5F3D-4CD7-A644-F6B69E57C1C1";
    assert_eq!(header.identifier.as_deref(), Some(identifier));
    assert_eq!(header.bookmark, None);
    assert!(header.ack_requested);
}

#[test]
fn a_batch_keeps_its_bookmark_and_borrows_its_events() {
    let (events, text) = batch(50);
    let message = parse(&text).unwrap();
    assert_eq!(texts(&message), events);
    assert_eq!(message.header.bookmark.as_deref(), Some(BOOKMARK));
    let Body::Events(events) = &message.body else {
        panic!()
    };
    assert!(events.iter().all(|e| matches!(e.xml, Cow::Borrowed(_))));
}

#[test]
fn the_reasons_of_an_end_are_read() {
    let reason = "Windows Event Forward Plugin failed to read events.";
    let text = source::subscription_end(&sender(), IDENTIFIER, 5004, reason);
    let message = parse(&text).unwrap();
    let expected = SubscriptionEnd {
        status: "http://schemas.xmlsoap.org/ws/2004/08/eventing/SourceCancelling".into(),
        code: Some(5004),
        message: reason.into(),
    };
    assert_eq!(message.body, Body::SubscriptionEnd(expected));
    assert_eq!(parse(&source::end(ID, ID)).unwrap().body, Body::End);
}

#[test]
fn names_are_matched_by_uri_not_by_prefix() {
    let (events, text) = batch(2);
    let mut text = text
        .replace("xmlns:s=", "xmlns:SOAP=")
        .replace("xmlns:w=", "xmlns:z=");
    for tag in ["Envelope", "Header", "Body"] {
        text = text.replace(&format!("s:{tag}>"), &format!("SOAP:{tag}>"));
    }
    let text = text
        .replace("<s:Envelope", "<SOAP:Envelope")
        .replace("s:must", "SOAP:must")
        .replace("<w:", "<z:")
        .replace("</w:", "</z:");
    assert_eq!(texts(&parse(&text).unwrap()), events);
    let foreign = text.replace("http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd", "urn:x");
    assert_eq!(texts(&parse(&foreign).unwrap()), events);
}

#[test]
fn white_space_around_headers_and_events_is_trimmed() {
    let (events, text) = batch(2);
    let text = text
        .replace("win10.example<", "\r\n\t win10.example \r\n<")
        .replace("C1C1<", "C1C1\n  <")
        .replace("><![CDATA[", ">\n\t<![CDATA[")
        .replace("]]><", "]]>\n\t<")
        .replace("<BookmarkList>", "\n\t<BookmarkList>");
    let message = parse(&text).unwrap();
    assert_eq!(texts(&message), events);
    assert_eq!(message.header.machine_id.as_deref(), Some("win10.example"));
    assert_eq!(message.header.bookmark.as_deref(), Some(BOOKMARK));
    let identifier = message.header.identifier.unwrap();
    assert_eq!(identifier, "219C5353-5F3D-4CD7-A644-F6B69E57C1C1");
}

#[test]
fn inline_events_stand_alone() {
    let item = |event: &str| format!("<w:Event Action=\"x\">{event}</w:Event>");
    let own = event(1);
    let inherited = "<Event a='1'><w:Data p:b=''><![CDATA[<]]></w:Data></Event>";
    let body = format!("<w:Events>{}{}</w:Events>", item(&own), item(inherited));
    let text = envelope("", &body);
    let message = parse(&text).unwrap();
    let [first, second] = texts(&message)[..] else {
        panic!()
    };
    assert_eq!(first, own);
    let document = crate::base::xml::parse(second, &crate::base::xml::Limits::FILE).unwrap();
    let data = document.root_element().first_element_child().unwrap();
    assert!(data.has_tag_name((ns::WSMAN, "Data")));
    assert!(data.has_attribute((ns::WSMAN_MS, "b")));
    assert_eq!(crate::base::xml::text(data), "<");
}

#[test]
fn an_inherited_default_namespace_goes_with_the_bookmark() {
    let text = envelope(
        "<w:Bookmark xmlns=\"urn:b\"><BookmarkList/></w:Bookmark>",
        "<w:Events/>",
    );
    let bookmark = parse(&text).unwrap().header.bookmark;
    assert_eq!(bookmark.as_deref(), Some("<BookmarkList xmlns=\"urn:b\"/>"));
}

#[test]
fn events_in_odd_pieces_are_joined() {
    let body = "<w:Events><w:Event><![CDATA[<E>]]]]><![CDATA[></E>]]></w:Event>\
                <w:Event>&lt;E/&gt;</w:Event><w:Event/><w:Event></w:Event><w:Other/></w:Events>";
    let text = envelope("", body);
    assert_eq!(texts(&parse(&text).unwrap()), ["<E>]]></E>", "<E/>"]);
    let split = ["a]]>b", "]]>", "]]>]]>"];
    let text = source::events(&sender(), "", None, split);
    assert_eq!(texts(&parse(&text).unwrap()), split);
}

fn repaired(message: &Message<'_>) -> Vec<bool> {
    match &message.body {
        Body::Events(events) => events.iter().map(|event| event.repaired).collect(),
        _ => Vec::new(),
    }
}

#[test]
fn forbidden_characters_cost_a_character_not_the_batch() {
    let long = |bad: &str| format!("<E>{}{bad}</E>", "x".repeat(300));
    for bad in ["\u{4}", "\0", "\u{fffe}"] {
        for event in [long(bad), format!("<E>{bad}</E>")] {
            let text = source::events(&sender(), "", None, [event.as_str(), "<F/>"]);
            let expected = event.replace(bad, "\u{fffd}");
            let message = parse(&text).unwrap();
            assert_eq!(texts(&message), [&expected, "<F/>"], "{bad:?}");
            assert_eq!(repaired(&message), [true, false], "{bad:?}");
        }
    }
    // Escaped text instead of CDATA: its references are resolved with the envelope.
    let body = "<w:Events><w:Event>&lt;E&gt;&#x5;&#xd800;&lt;/E&gt;</w:Event>\
                <w:Event>&lt;E&gt;&#233;&lt;/E&gt;</w:Event></w:Events>";
    let text = envelope("", body);
    let message = parse(&text).unwrap();
    assert_eq!(texts(&message), ["<E>\u{fffd}\u{fffd}</E>", "<E>é</E>"]);
    assert_eq!(repaired(&message), [true, false]);
    let body = "<w:Events><w:Event><E>&#x5;&amp;</E></w:Event></w:Events>";
    let message = parse(&envelope("", body)).unwrap().into_owned();
    assert_eq!(texts(&message), ["<E>\u{fffd}&amp;</E>"]);
    let text = batch(1).1.replace("win10", "win\u{1}10");
    let machine = parse(&text).unwrap().header.machine_id;
    assert_eq!(machine.as_deref(), Some("win\u{fffd}10.example"));
}

#[test]
fn unusable_bookmarks_are_none() {
    let bookmark = |inner: &str| {
        let text = envelope(&format!("<w:Bookmark>{inner}</w:Bookmark>"), "<w:Events/>");
        parse(&text).unwrap().header.bookmark
    };
    assert_eq!(bookmark(""), None);
    assert_eq!(bookmark("text"), None);
    assert_eq!(bookmark("<B/><B/>"), None);
    let sized = |size: usize| format!("<B>{}</B>", "x".repeat(size - "<B></B>".len()));
    assert_eq!(bookmark(&sized(MAX_BOOKMARK)), Some(sized(MAX_BOOKMARK)));
    assert_eq!(bookmark(&sized(MAX_BOOKMARK + 1)), None);
    let backward =
        "<BookmarkList Direction=\"backward\"><Bookmark Channel='a' RecordId='1'/></BookmarkList>";
    assert_eq!(bookmark(backward).as_deref(), Some(backward));
}

#[test]
fn header_texts_are_limited_on_both_sides() {
    let text = |size: usize| source::end(ID, ID).replace("uuid:", &"u".repeat(size - 36));
    assert!(parse(&text(MAX_HEADER_TEXT)).is_ok());
    let refused = parse(&text(MAX_HEADER_TEXT + 1)).unwrap_err();
    assert_eq!(refused, Error::HeaderTooLong("MessageID"));
}

#[test]
fn malformed_envelopes_are_refused_with_a_reason() {
    let (_, good) = batch(1);
    let without = |from: &str, to: &str| parse(&good.replace(from, to)).unwrap_err();
    let no_action = without(action::EVENTS, " ");
    assert_eq!(no_action, Error::Missing("Action"));
    let id = "uuid:00000000-0000-0000-0000-0000ABCD0123";
    assert_eq!(without(id, ""), Error::Missing("MessageID"));
    let soap_11 = "http://schemas.xmlsoap.org/soap/envelope/";
    assert_eq!(without(ns::SOAP, soap_11), Error::NotEnvelope);
    assert_eq!(without("s:Body>", "s:Torso>"), Error::NotEnvelope);
    assert!(matches!(
        without("</w:Event>", ""),
        Error::Xml(crate::base::xml::Error::Malformed(_))
    ));
    assert!(matches!(
        without("<s:Envelope", "<!DOCTYPE a><s:Envelope"),
        Error::Xml(crate::base::xml::Error::Dtd { offset: 0 })
    ));
    for text in ["", "\u{feff}", "no xml", "\0", "<a>", "{\"json\": 1}"] {
        let error = parse(text).unwrap_err();
        assert!(
            matches!(error, Error::Xml(crate::base::xml::Error::Malformed(_))),
            "{text:?}"
        );
    }
    assert_eq!(parse("<a/>"), Err(Error::NotEnvelope));
    let foreign = good.replace(action::EVENTS, "urn:other");
    assert_eq!(parse(&foreign).map(|m| m.body), Ok(Body::Unknown));
    let end = source::subscription_end(&sender(), "", 1, "");
    let end = end.replace("e:SubscriptionEnd>", "e:SubscriptionStart>");
    assert_eq!(parse(&end), Err(Error::Missing("SubscriptionEnd")));
}

#[test]
fn an_envelope_cut_anywhere_is_refused() {
    let (_, text) = batch(1);
    for cut in 0..text.len() - 1 {
        assert!(parse(&text[..cut]).is_err(), "{}", &text[..cut]);
    }
}

#[test]
fn large_attributes_and_texts_pass() {
    let large = "x".repeat(1 << 20);
    let text = envelope(
        &format!("<w:Other a=\"{large}\">{large}</w:Other>"),
        "<w:Events/>",
    );
    assert!(parse(&text).is_ok());
}

#[test]
fn every_error_says_what_is_wrong() {
    let errors = [
        Error::Xml(crate::base::xml::Error::Dtd { offset: 7 }),
        Error::Unrelated {
            relates_to: "7".into(),
        },
        Error::UnexpectedAction("7".into()),
        Error::Faulted("7".into()),
    ];
    for error in errors {
        assert!(error.to_string().contains('7'), "{error}");
        assert!(!error.to_string().ends_with('.'), "{error}");
    }
}

#[test]
fn an_ack_repeats_ids_byte_for_byte() {
    let (_, text) = batch(1);
    let text = text
        .replace(
            "uuid:00000000-0000-0000-0000-0000ABCD0123",
            "uuid:aBcD &lt;&amp;>",
        )
        .replace("uuid:00000000-0000-0000-0000-0000000000FE", " op ");
    let header = parse(&text).unwrap().header;
    assert_eq!(header.message_id, "uuid:aBcD <&>");
    let expected = "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\"><s:Header><a:Action>http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack</a:Action><a:MessageID>uuid:00000000-0000-0000-0000-000000000001</a:MessageID><p:OperationID s:mustUnderstand=\"false\"> op </p:OperationID><p:SequenceId>1</p:SequenceId><a:To>http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous</a:To><a:RelatesTo>uuid:aBcD &lt;&amp;&gt;</a:RelatesTo></s:Header><s:Body></s:Body></s:Envelope>";
    assert_eq!(ack(&header, Uuid::from_u128(1)), expected);
}

#[test]
fn an_ack_is_only_good_for_its_own_message() {
    let (_, text) = batch(1);
    let header = parse(&text).unwrap().header;
    let answer = ack(&header, Uuid::from_u128(9));
    assert_eq!(source::check_ack(&answer, ID), Ok(()));
    let other = source::check_ack(&answer, Uuid::from_u128(9));
    assert!(matches!(other, Err(Error::Unrelated { .. })));
    let page = Page::new(&header, Portion::default(), Uuid::nil()).unwrap();
    let no_ack = page.finish(None);
    let refused = source::check_ack(&no_ack, ID);
    assert!(matches!(refused, Err(Error::UnexpectedAction(_))));
}

#[test]
fn faults_name_subcode_reason_and_windows_error() {
    let header = parse(&batch(1).1).unwrap().header;
    let all = [
        (Subcode::AccessDenied, "w:AccessDenied", 400, "Code=\"5\""),
        (
            Subcode::SchemaValidationError,
            "w:SchemaValidationError",
            400,
            "2150858817",
        ),
        (Subcode::EncodingLimit, "w:EncodingLimit", 400, "2150858805"),
        (Subcode::InternalError, "w:InternalError", 500, "1359"),
        (
            Subcode::UnsupportedFeature,
            "w:UnsupportedFeature",
            400,
            "2150858818",
        ),
        (
            Subcode::InvalidEnumerationContext,
            "n:InvalidEnumerationContext",
            500,
            "2150858779",
        ),
        (
            Subcode::ActionNotSupported,
            "a:ActionNotSupported",
            400,
            "2150858771",
        ),
        (
            Subcode::InvalidMessageInformationHeader,
            "a:InvalidMessageInformationHeader",
            400,
            "2150858767",
        ),
        (
            Subcode::DestinationUnreachable,
            "a:DestinationUnreachable",
            400,
            "2150858770",
        ),
    ];
    for (subcode, name, status, code) in all {
        let what = Fault {
            subcode,
            reason: "a < b",
            machine: "me",
        };
        let text = fault(Some(&header), Uuid::nil(), &what);
        assert!(
            text.contains(&format!("<s:Value>{name}</s:Value>")),
            "{text}"
        );
        assert!(text.contains(code), "{text}");
        let relates = format!("<a:RelatesTo>{}</a:RelatesTo>", header.message_id);
        assert!(text.contains(&relates));
        assert_eq!(text.contains("addressing/fault"), name.starts_with("a:"));
        assert_eq!(text.contains("enumeration/fault"), name.starts_with("n:"));
        assert_eq!(text.contains("s:Receiver"), status == 500);
        // For that a source would cancel its subscription (MS-WSMV 3.1.4.1.30.2).
        assert!(!text.contains("DeliveryRefused"), "{text}");
        assert_eq!(subcode.status(), status);
        let read = source::check_ack(&text, ID);
        assert_eq!(read, Err(Error::Faulted("a < b".into())));
        assert!(!fault(None, Uuid::nil(), &what).contains("RelatesTo"));
    }
}

#[test]
fn the_usual_duration_is_read_as_any_other() {
    let usual = [
        "PT60.000S",
        "PT0S",
        "PT007.000S",
        "PT999999999S",
        "PT1000000000.000S",
    ];
    let others = [
        "PTS", "PT.000S", "PT+6S", "PT6.00S", "PT6.S", "PT60s", "PT1M", "P1DT6S", " PT6S",
    ];
    for text in usual.iter().chain(&others) {
        assert_eq!(parse_duration(text), parse_any_duration(text), "{text}");
    }
    assert!(usual.iter().all(|text| parse_duration(text).is_some()));
}

#[test]
fn durations_are_read_and_written() {
    let seconds = |s| Some(Duration::from_secs_f64(s));
    assert_eq!(parse_duration("PT60.000S"), seconds(60.0));
    assert_eq!(parse_duration("PT0.500S"), seconds(0.5));
    assert_eq!(parse_duration("P1DT2H3M4S"), seconds(93_784.0));
    assert_eq!(parse_duration("P1Y1M"), seconds(395.0 * 86_400.0));
    for bad in [
        "", "P", "PT", "60", "PT60", "P1S", "PT1M1H", "-PT1S", "PTS", "PT1e3S", "PT1.2.3S", "PT.S",
    ] {
        assert_eq!(parse_duration(bad), None, "{bad}");
    }
    let huge = format!("PT{}S", "9".repeat(400));
    assert_eq!(parse_duration(&huge), None);
    assert_eq!(
        emit_duration(Duration::from_millis(3_600_250)),
        "PT3600.250S"
    );
}

fn subscription() -> Subscription {
    let query = "<QueryList><Query Id=\"0\"><Select Path=\"Security\">*[System[EventID &gt; 1]]</Select></Query></QueryList>";
    Subscription {
        locale: Some("en-US".into()),
        max_elements: Some(20),
        ..Subscription::new("Logons & \"more\"", query, ContentFormat::RenderedText)
    }
}

fn mutual() -> Policy {
    let issuer_thumbprints = vec!["4AB167DF".into(), "96509772".into()];
    Policy {
        profiles: vec![Profile::HttpsMutual { issuer_thumbprints }],
    }
}

const URL: &str = "http://collector.example:5985/wsman/subscriptions/1";

fn offers(subscription: &Subscription, bookmark: Option<&str>) -> Vec<Offered> {
    let policy = Policy {
        profiles: vec![Profile::HttpSpnegoKerberos],
    };
    let offer = Offer {
        subscription,
        url: URL,
        policy: &policy,
        bookmark,
    };
    let header = parse(&source::enumerate(&sender())).unwrap().header;
    let mut next = 0;
    let mut new_id = || {
        next += 1;
        Uuid::from_u128(next)
    };
    let mut page = Page::new(&header, Portion::default(), new_id()).unwrap();
    for _ in 0..2 {
        assert_eq!(page.push(&offer, &mut new_id), Fit::Taken);
    }
    let read = source::parse_enumerate_response(&page.finish(None), ID).unwrap();
    assert_eq!(read.context, None);
    let mut offers = read.offered;
    assert_eq!(offers.pop().as_ref(), offers.first());
    assert_eq!(next, 5);
    offers
}

#[test]
fn a_source_reads_what_the_subscription_says() {
    let subscription = subscription();
    let [offer] = &offers(&subscription, Some(BOOKMARK))[..] else {
        panic!()
    };
    assert_eq!(offer.name, *subscription.name);
    assert_eq!(offer.notify_to, URL);
    assert_eq!(offer.query, subscription.query);
    assert_eq!(offer.bookmark.as_deref(), Some(BOOKMARK));
    assert_eq!(offer.content_format, ContentFormat::RenderedText);
    assert!(offer.compression);
    assert_eq!(offer.max_elements, Some(20));
    assert_eq!(offer.max_envelope_size, Some(512_000));
    assert_eq!(offer.max_time, Some(Duration::from_secs(900)));
    assert_eq!(offer.heartbeat, Some(Duration::from_secs(900)));
    let beat = source::heartbeat(&sender(), &offer.reference);
    let identifier = parse(&beat).unwrap().header.identifier;
    assert_eq!(identifier, Some(format!("{:X}", subscription.id())));
}

#[test]
fn history_is_only_asked_for_where_no_bookmark_is_kept() {
    let mut subscription = subscription();
    assert_eq!(offers(&subscription, None)[0].bookmark, None);
    subscription.read_existing = true;
    let earliest = subscribe::EARLIEST;
    assert_eq!(
        offers(&subscription, None)[0].bookmark.as_deref(),
        Some(earliest)
    );
    let kept = offers(&subscription, Some(BOOKMARK));
    assert_eq!(kept[0].bookmark.as_deref(), Some(BOOKMARK));
}

#[test]
fn the_version_changes_with_what_the_source_sees_and_nothing_else() {
    let base = subscription();
    let policy = mutual();
    let version = |s: &Subscription| s.version(URL, &policy);
    let original = version(&base);
    assert_eq!(original.to_string(), "36e22b09-245a-5cb6-ae1c-2a60973de40d");
    let same = Subscription {
        description: Some("other".into()),
        read_existing: true,
        ..base.clone()
    };
    assert_eq!(version(&same), original);
    let second = Duration::from_secs(1);
    let changed = [
        Subscription {
            name: "x".into(),
            ..base.clone()
        },
        Subscription {
            query: "x".into(),
            ..base.clone()
        },
        Subscription {
            heartbeat: second,
            ..base.clone()
        },
        Subscription {
            max_time: second,
            ..base.clone()
        },
        Subscription {
            max_elements: None,
            ..base.clone()
        },
        Subscription {
            max_envelope_size: 1,
            ..base.clone()
        },
        Subscription {
            retry_count: 1,
            ..base.clone()
        },
        Subscription {
            retry_interval: second,
            ..base.clone()
        },
        Subscription {
            content_format: ContentFormat::Events,
            ..base.clone()
        },
        Subscription {
            locale: None,
            ..base.clone()
        },
    ];
    let mut versions: Vec<_> = changed.iter().map(version).collect();
    versions.extend([original, base.version("http://other/", &policy)]);
    versions.push(base.version(URL, &Policy::default()));
    let count = versions.len();
    versions.sort_unstable();
    versions.dedup();
    assert_eq!(versions.len(), count);
}

#[test]
fn ids_hang_on_the_name_alone() {
    let other = Subscription {
        query: "x".into(),
        ..subscription()
    };
    assert_eq!(other.id(), subscription().id());
    let quick = Subscription::quick(&[], ContentFormat::Events);
    let two = Subscription::quick(&["A&B".into(), " C ".into()], ContentFormat::Events);
    assert_eq!(quick.id(), two.id());
    let query = "<QueryList><Query Id=\"0\"><Select Path=\"A&amp;B\">*</Select><Select Path=\"C\">*</Select></Query></QueryList>";
    assert_eq!(two.query, query);
    for channel in DEFAULT_CHANNELS {
        assert!(quick.query.contains(&format!("Path=\"{channel}\"")));
    }
}

#[test]
fn each_issuer_is_an_alternative() {
    let mut out = String::new();
    for profile in mutual().profiles {
        profile.push_to(&mut out);
    }
    let all = |thumbprint: &str| {
        format!(
            "<c:All><auth:Authentication Profile=\"http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual\"><auth:ClientCertificate><auth:Thumbprint Role=\"issuer\">{thumbprint}</auth:Thumbprint></auth:ClientCertificate></auth:Authentication></c:All>"
        )
    };
    assert_eq!(out, all("4AB167DF") + &all("96509772"));
}

#[test]
fn no_mutation_of_an_envelope_panics() {
    let (_, text) = batch(1);
    let inline = envelope(
        "",
        &format!("<w:Events><w:Event>{}</w:Event></w:Events>", event(1)),
    );
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        usize::try_from(state >> 33).unwrap() % below
    };
    let pieces = [
        "<",
        ">",
        "\"",
        "'",
        "&",
        "]]>",
        "<![CDATA[",
        "<!--",
        "</",
        "/>",
        "\0",
        "é",
        "&#x5;",
        ":",
    ];
    for round in 0..1500 {
        let mut bytes = [&text, &inline][round % 2].clone().into_bytes();
        for _ in 0..1 + random(3) {
            let at = random(bytes.len());
            let end = (at + random(40)).min(bytes.len());
            let piece = pieces[random(pieces.len())].bytes();
            bytes.splice(at..end, piece);
        }
        let text = String::from_utf8_lossy(&bytes);
        let _ = parse(&text);
        let _ = source::parse_enumerate_response(&text, ID);
    }
}

#[test]
fn certificate_lists_decide_by_issuer_and_subject() {
    let access = |issuers: &[&str], allowed: &[&str], denied: &[&str]| {
        let list = |names: &[&str]| names.iter().map(ToString::to_string).collect();
        Access {
            domain_computers: None,
            allowed_subjects: list(allowed),
            denied_subjects: list(denied),
            allowed_issuers: list(issuers),
        }
    };
    let open = access(&[], &[], &[]);
    assert!(open.lets_in("any", "AB") && !open.needs_certificate());
    let listed = access(&["ab", "cd"], &["*.Example.com", "ws-?"], &["bad*"]);
    assert!(listed.needs_certificate());
    for (subject, issuer, expected) in [
        ("a.example.COM", "AB", true),
        ("a.example.com", "EF", false),
        ("WS-1", "CD", true),
        ("ws-12", "CD", false),
        ("bad.example.com", "AB", false),
        ("example.com", "AB", false),
    ] {
        assert_eq!(
            listed.lets_in(subject, issuer),
            expected,
            "{subject} of {issuer}"
        );
    }
    // As certlm.msc shows it, with the mark that copying takes along.
    let pasted = access(&["\u{200e}ab 0c d1"], &[], &[]);
    assert!(pasted.lets_in("any", "AB0CD1") && !pasted.lets_in("any", "AB0CD2"));
    assert!(!access(&["-"], &[], &[]).lets_in("any", ""));
    // Stars do not make a match slow.
    let stars = access(&[], &[&"*a".repeat(50)], &[]);
    assert!(!stars.lets_in(&"a".repeat(49), "AB") && stars.lets_in(&"ba".repeat(50), "AB"));
}

/// Bodies of other clients; an Ack says that all in them is delivered.
#[test]
fn whatever_a_batch_is_made_of_is_delivered() {
    let large = format!("<Event>{}</Event>", "x".repeat(300));
    let cdata = format!("<w:Event><![CDATA[{large}]]></w:Event>");
    let system = "<Event><System/></Event>";
    let schema = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'>x</Event>";
    let cases: [(String, Vec<&str>); 12] = [
        (
            format!("<w:Events>{cdata}</w:Events><w:Events>{cdata}</w:Events>"),
            vec![&large, &large],
        ),
        (cdata.clone(), vec![&large]),
        (
            format!("<Events>{}</Events>", cdata.replace("w:", "")),
            vec![&large],
        ),
        (
            format!(
                "<x:Events xmlns:x='x'>{}</x:Events>",
                cdata.replace("w:", "x:")
            ),
            vec![&large],
        ),
        (
            format!("<w:Events>{system}{schema}</w:Events>"),
            vec![system, schema],
        ),
        (
            format!("<w:Events><w:Event>{system}<![CDATA[{large}]]></w:Event></w:Events>"),
            vec![system, &large],
        ),
        (
            format!("<w:Events><w:Event>a&lt;<!-- c -->{system}b</w:Event></w:Events>"),
            vec![system, "a<", "b"],
        ),
        (
            format!("<w:Events><More>1</More>{cdata}</w:Events>"),
            vec!["<More>1</More>", &large],
        ),
        (
            format!("<w:Events>&lt;E/&gt;{cdata}</w:Events>"),
            vec!["<E/>", &large],
        ),
        (
            format!("<w:Events><![CDATA[{large}]]></w:Events>"),
            vec![&large],
        ),
        ("<w:Events/>".into(), vec![]),
        (
            " <!-- c --> <w:Events> <!-- c --><?p i?> </w:Events>\n".into(),
            vec![],
        ),
    ];
    for (body, expected) in cases {
        let text = envelope("", &body);
        assert_eq!(texts(&parse(&text).unwrap()), expected, "{body}");
        let heartbeat = text.replace(action::EVENTS, action::HEARTBEAT);
        let message = parse(&heartbeat).unwrap();
        match expected[..] {
            [] => assert_eq!(message.body, Body::Heartbeat, "{body}"),
            _ => assert_eq!(texts(&message), expected, "{body}"),
        }
    }
}

#[test]
fn a_body_that_is_no_batch_is_refused() {
    let refused = |body: &str| parse(&envelope("", body)).unwrap_err();
    for nothing in ["", " ", "<!-- c -->"] {
        assert_eq!(refused(nothing), Error::Missing("w:Events"), "{nothing}");
    }
    let other = "<w:Items><w:Event>x</w:Event></w:Items>";
    assert_eq!(refused(other), Error::NoBatch("Items".into()));
    assert_eq!(
        refused(&format!("<w:Events/>{other}")),
        Error::NoBatch("Items".into())
    );
    assert_eq!(refused("text"), Error::NoBatch(String::new()));
    let twice = "<w:Events/></s:Body><s:Body><w:Events><w:Event>x</w:Event></w:Events>";
    assert_eq!(refused(twice), Error::NotEnvelope);
}
