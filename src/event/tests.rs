use super::*;
use crate::base::xml::scan;

const HEAD: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>";

/// An event with this after `System`.
fn with_body(body: &str) -> String {
    format!("{HEAD}<EventID>1</EventID></System>{body}</Event>")
}

fn logon() -> String {
    format!(
        "{HEAD}<Provider Name='Microsoft-Windows-Security-Auditing' \
         Guid='{{54849625-5478-4994-a5ba-3e3b0328c30d}}'/><EventID>4624</EventID>\
         <Version>2</Version><Level>0</Level><Task>12544</Task><Opcode>0</Opcode>\
         <Keywords>0x8020000000000000</Keywords>\
         <TimeCreated SystemTime='2024-03-14T13:54:16.6138329Z'/>\
         <EventRecordID>1444</EventRecordID>\
         <Correlation ActivityID='{{b073a4bf-7611-0000-bca5-73b01176da01}}'/>\
         <Execution ProcessID='780' ThreadID='8372'/><Channel>Security</Channel>\
         <Computer>ws1.example</Computer><Security UserID='S-1-5-18'/></System>\
         <EventData Name='Logon'><Data Name='User'>k &amp; l\r\nm</Data><Data Name='Line Number'>5</Data>\
         <Data>loose</Data><Data/><Binary>00FF</Binary></EventData>\
         <RenderingInfo Culture='en-US'><Message>Logged on.&#13;&#10;\tFine. </Message>\
         <Level>Information</Level><Task></Task><Opcode>Info</Opcode><Channel>Security</Channel>\
         <Provider>Security auditing.</Provider><Keywords><Keyword>Audit Success</Keyword>\
         <Keyword/></Keywords></RenderingInfo></Event>"
    )
}

/// Events of all shapes, made.
fn samples() -> Vec<String> {
    let bodies = [
        "",
        "<EventData/>",
        "<EventData></EventData>",
        "<EventData><Data>a</Data><Data></Data><Data>%%1833 </Data><Binary>31</Binary></EventData>",
        "<EventData><Data Name='d'>1</Data><Data Name='d'>2</Data></EventData>",
        "<EventData><Data Name='cr'>a\rb&#13;c\r\n&#xA;d</Data></EventData>",
        "<EventData><Data Name='é ]&gt;'>&lt;&gt;&quot;&apos;&amp;&#x1F600;日本</Data></EventData>",
        "<EventData><ComplexData Name='list'><Data Name='a'>1</Data><Data>2</Data></ComplexData></EventData>",
        "<UserData><Outer xmlns='urn:o' v='2'><In f='x'><Deep>y</Deep><Deep/></In></Outer></UserData>",
        "<UserData><Flat xmlns:auto-ns3='urn:a' xmlns='urn:f'><In>a &amp; b</In><In/><O>&#13;&#10;\tx</O>\
         </Flat></UserData><RenderingInfo><Message/><Keywords/></RenderingInfo>",
        "<UserData><Flat><In_2>\t[x] ]] \u{ff01}</In_2></Flat></UserData>",
        "<UserData><Flat xmlns='http://www.w3.org/2000/xmlns/'><In>1</In></Flat></UserData>",
        "<UserData><Flat xmlns='http://www.w3.org/XML/1998/namespace'><In>1</In></Flat></UserData>",
        "<UserData><Flat xmlns='http://www.w3.org/1999/xhtml'><In>1</In></Flat></UserData>",
        "<UserData><Flat>alone</Flat></UserData>",
        "<UserData><Flat/></UserData>",
        "<BinaryEventData>4D5A</BinaryEventData>",
        "<ProcessingErrorData><ErrorCode>15003</ErrorCode></ProcessingErrorData>",
        "<RenderingInfo Culture='de-DE'><Message>Nur Text</Message></RenderingInfo>",
        "<RenderingInfo Culture='de-DE'/>",
    ];
    bodies
        .iter()
        .map(|body| with_body(body))
        .chain([logon()])
        .collect()
}

fn data<'e>(event: &'e Event<'_>) -> Vec<(&'e str, &'e str)> {
    event
        .data
        .iter()
        .map(|(name, value)| (name.as_ref(), value.as_ref()))
        .collect()
}

#[test]
fn all_fields_are_read() {
    let xml = logon();
    for event in [
        fast::read(&xml, &mut Room::default()).unwrap(),
        general::read(&xml).unwrap(),
    ] {
        assert_eq!(event.provider, "Microsoft-Windows-Security-Auditing");
        assert_eq!(
            event.provider_guid,
            "{54849625-5478-4994-a5ba-3e3b0328c30d}"
        );
        assert_eq!(
            (&*event.event_id, &*event.version, &*event.level),
            ("4624", "2", "0")
        );
        assert_eq!((&*event.task, &*event.opcode), ("12544", "0"));
        assert_eq!(event.keyword_bits(), Some(0x8020_0000_0000_0000));
        assert_eq!(event.time_created, "2024-03-14T13:54:16.6138329Z");
        assert_eq!((&*event.record_id, &*event.channel), ("1444", "Security"));
        assert_eq!(event.activity_id, "{b073a4bf-7611-0000-bca5-73b01176da01}");
        assert_eq!((&*event.process_id, &*event.thread_id), ("780", "8372"));
        assert_eq!(
            (&*event.computer, &*event.user_id),
            ("ws1.example", "S-1-5-18")
        );
        assert_eq!(event.data_name, "Logon");
        let expected = [
            ("User", "k & l\nm"),
            ("Line Number", "5"),
            ("Data3", "loose"),
            ("Data4", ""),
            ("Binary", "00FF"),
        ];
        assert_eq!(data(&event), expected);
        let rendering = event.rendering.as_ref().unwrap();
        assert_eq!(rendering.culture, "en-US");
        assert_eq!(rendering.message, "Logged on.\r\n\tFine. ");
        assert_eq!((&*rendering.level, &*rendering.task), ("Information", ""));
        assert_eq!(
            (&*rendering.opcode, &*rendering.channel),
            ("Info", "Security")
        );
        assert_eq!(rendering.provider, "Security auditing.");
        assert_eq!(rendering.keywords, ["Audit Success"]);
        assert_eq!(event.repaired, None);
        assert!(event.extra.is_empty() && !event.is_bookmark_event());
    }
}

#[test]
fn the_readers_agree_on_samples_and_their_mutations() {
    let mut accepted = 0;
    for sample in samples() {
        accepted += usize::from(agree(&sample));
        for at in (0..sample.len()).filter(|&at| sample.is_char_boundary(at)) {
            agree(&sample[..at]);
            agree(&sample[at..]);
            for put in [
                "<", "&", "'", " ", "\r", ">", "\u{1}", "]]>", "&#13;", "é", "/", "",
            ] {
                let next = sample[at..].chars().next().map_or(0, char::len_utf8);
                agree(&[&sample[..at], put, &sample[at + next..]].concat());
                agree(&[&sample[..at], put, &sample[at..]].concat());
            }
        }
    }
    assert!(accepted > 7, "the fast reader took only {accepted}");
}

/// Whether the fast reader takes it; panics if the general one then differs.
fn agree(xml: &str) -> bool {
    let Some(event) = fast::read(xml, &mut Room::default()) else {
        return false;
    };
    assert_eq!(event, general::read(xml).unwrap(), "{xml}");
    true
}

#[test]
fn user_data_gives_leaves_and_attributes() {
    let xml = with_body(
        "<UserData><Outer xmlns='http://example.net/outer' version='2'><Inner flag='x'>\
         <Deep>value</Deep><Deep/></Inner><o:Other xmlns:o='urn:o' o:attr='1'>mixed</o:Other>\
         <Leaf/></Outer></UserData>",
    );
    let expected = [
        ("Outer_version", "2"),
        ("Inner_flag", "x"),
        ("Deep", "value"),
        ("Deep", ""),
        ("Other_attr", "1"),
        ("Other", "mixed"),
        ("Leaf", ""),
    ];
    let event = parse(&xml).unwrap();
    assert_eq!(data(&event), expected);
    assert_eq!(event.user_data_name, "Outer");
}

#[test]
fn data_of_other_kinds_is_kept() {
    let cases = [
        (
            "<BinaryEventData>4D5A</BinaryEventData>",
            vec![("BinaryEventData", "4D5A")],
        ),
        (
            "<ProcessingErrorData><ErrorCode>15003</ErrorCode><EventPayload>00</EventPayload></ProcessingErrorData>",
            vec![("ErrorCode", "15003"), ("EventPayload", "00")],
        ),
        (
            "<DebugData><Component>c</Component></DebugData>",
            vec![("Component", "c")],
        ),
        (
            "<EventData><ComplexData Name='list'><Data Name='a'>1</Data><Data>2</Data></ComplexData></EventData>",
            vec![("list", ""), ("a", "1"), ("Data2", "2")],
        ),
        (
            "<EventData><Data Name='a' Type='win:Int'><![CDATA[<x>]]> y</Data></EventData>",
            vec![("a_Type", "win:Int"), ("a", "<x> y")],
        ),
    ];
    for (body, expected) in cases {
        assert_eq!(data(&parse(&with_body(body)).unwrap()), expected);
    }
}

#[test]
fn unknown_facts_of_system_are_kept() {
    let xml = format!(
        "{HEAD}<EventID>1</EventID><Execution ProcessID='4' SessionID='2'/><New>x</New></System></Event>"
    );
    let event = parse(&xml).unwrap();
    assert_eq!(event.process_id, "4");
    let extra: Vec<_> = event
        .extra
        .iter()
        .map(|(name, value)| (&**name, &**value))
        .collect();
    assert_eq!(extra, [("SessionID", "2"), ("New", "x")]);
}

#[test]
fn indented_and_prefixed_xml_is_read() {
    let xml = "<?xml version='1.0'?>\n<e:Event xmlns:e=\"http://schemas.microsoft.com/win/2004/08/events/event\">\n  \
               <e:System>\n <e:EventID>\n 7 </e:EventID> <e:Computer> a </e:Computer>\n</e:System>\n</e:Event>\n";
    let event = parse(xml).unwrap();
    assert_eq!((&*event.event_id, &*event.computer), ("7", "a"));
    let bare = "<Event><System><EventID>7</EventID></System></Event>";
    assert_eq!(parse(bare).unwrap().event_id, "7");
}

#[test]
fn event_111_is_the_bookmark_event() {
    let xml = format!(
        "{HEAD}<Provider Name='Microsoft-Windows-EventForwarder'/><EventID>111</EventID>\
         <TimeCreated SystemTime='2023-02-14T09:14:23.175Z'/><Computer>w</Computer></System>\
         <SubscriptionBookmarkEvent><SubscriptionId></SubscriptionId></SubscriptionBookmarkEvent></Event>"
    );
    assert!(parse(&xml).unwrap().is_bookmark_event());
    let other = xml.replace("111", "112");
    assert!(!parse(&other).unwrap().is_bookmark_event());
}

#[test]
fn forbidden_characters_are_replaced() {
    let raw = ["\0", "\u{4}", "\u{B}", "\u{1F}", "\u{FFFE}", "\u{FFFF}"];
    let references = [
        "&#0;",
        "&#x5;",
        "&#x1F;",
        "&#11;",
        "&#xD800;",
        "&#xDFFF;",
        "&#55296;",
        "&#xFFFE;",
        "&#xFFFF;",
        "&#x110000;",
        "&#99999999999;",
        "&#x000000000000000000000D800;",
    ];
    for bad in raw.into_iter().chain(references) {
        let xml = with_body(&format!(
            "<EventData><Data Name='n{bad}'>a{bad}b&#x41;</Data></EventData>"
        ));
        let event = parse(&xml).unwrap();
        assert_eq!(data(&event), [("n\u{FFFD}", "a\u{FFFD}bA")], "{bad:?}");
        let repaired = event.repaired.unwrap();
        assert_eq!(repaired.reason, FORBIDDEN);
        assert_eq!(repaired.xml, xml.replace(bad, "\u{FFFD}"));
    }
}

#[test]
fn what_looks_like_a_reference_is_none_in_cdata_and_comments() {
    let xml = with_body("<EventData><!-- &#0; --><Data><![CDATA[&#x5;]]></Data></EventData>");
    let event = parse(&xml).unwrap();
    assert_eq!(data(&event), [("Data1", "&#x5;")]);
    assert_eq!(event.repaired, None);
    let event = with_body("<EventData><Data>\u{1}<![CDATA[&#x5;]]></Data></EventData>");
    assert_eq!(data(&parse(&event).unwrap()), [("Data1", "\u{FFFD}&#x5;")]);
}

#[test]
fn allowed_references_are_no_damage() {
    for good in [
        "&#9;",
        "&#10;",
        "&#xD;",
        "&#x85;",
        "&#xFFFD;",
        "&#x1FFFE;",
        "&#x10FFFF;",
        "&#0000065;",
    ] {
        // Twice the same name: not for the fast reader alone.
        for body in [
            "<EventData><Data>{}</Data></EventData>",
            "<UserData><a>{}</a></UserData>",
        ] {
            let xml = with_body(&body.replace("{}", good));
            assert_eq!(parse(&xml).unwrap().repaired, None, "{good}");
        }
    }
}

#[test]
fn an_event_cut_off_in_rendering_info_loses_only_that() {
    let whole = logon();
    let start = whole.find("<RenderingInfo").unwrap();
    for end in start + "<RenderingInfo".len()..whole.len() {
        let event = parse(&whole[..end]).unwrap();
        assert_eq!(event.data.len(), 5, "cut at {end}");
        assert_eq!(
            event.repaired.unwrap().reason,
            "cut off within RenderingInfo"
        );
    }
    let both = whole[..whole.len() - 9].replace("loose", "\u{1}");
    assert!(
        parse(&both)
            .unwrap()
            .repaired
            .unwrap()
            .reason
            .starts_with("characters")
    );
}

#[test]
fn what_is_no_event_is_an_error_with_a_reason() {
    let no_end = with_body("").replace("</Event>", "");
    let cases = [
        ("", "the document does not have a root node"),
        ("<Events/>", "root element is not Event"),
        (&no_end, "the root node was opened but never closed"),
        (
            "<!DOCTYPE a><Event/>",
            "document type declaration at byte 0",
        ),
    ];
    for (xml, reason) in cases {
        assert_eq!(parse(xml).unwrap_err().to_string(), reason, "{xml}");
    }
}

#[test]
fn elements_may_be_nested_up_to_the_limit() {
    let nested = |levels: usize| {
        let body = ["<a b='/>'>".repeat(levels), "</a>".repeat(levels)].concat();
        with_body(&format!(
            "<!-- <a><a> --><UserData><![CDATA[<a>]]>{body}</UserData>"
        ))
    };
    assert!(parse(&nested(LIMITS.depth - 2)).is_ok());
    let error = parse(&nested(LIMITS.depth - 1)).unwrap_err().reason;
    assert!(
        matches!(error, Error::Xml(xml::Error::Depth { offset, .. }) if offset > 600),
        "{error}"
    );
}

#[test]
fn nodes_are_counted() {
    let with = |count: usize, pad: usize| {
        let body = ["<a/>".repeat(count), " ".repeat(pad)].concat();
        with_body(&format!("<UserData>{body}</UserData>"))
    };
    for pad in [0, 500_000] {
        // The length adds to the limit, and each element of four bytes to the length.
        let most = LIMITS.most_nodes(with(0, pad).len()) * 64 / 60;
        assert!(parse(&with(most - 100, pad)).is_ok(), "{pad}");
        let error = parse(&with(most + 100, pad)).expect_err("too many");
        let Error::Xml(xml::Error::Nodes { .. }) = error.reason else {
            panic!("{error}");
        };
        assert_eq!(error.system.event_id, "1");
    }
}

/// Genuine events have at most a few hundred values.
#[test]
fn many_short_values_are_read() {
    let long = format!("<Data Name='Parameter'>{}</Data>", "v".repeat(60));
    for (data, count) in [
        ("<v>1</v>", 1500),
        ("<Data>v</Data>", 1500),
        ("<Data Name='abc'>v</Data>", 850),
        (&long, 2400),
    ] {
        let event = with_body(&format!("<EventData>{}</EventData>", data.repeat(count)));
        assert_eq!(parse(&event).unwrap().data.len(), count, "{data}");
    }
}

#[test]
fn no_prefix_or_suffix_panics() {
    for sample in samples() {
        for at in (0..sample.len()).filter(|&at| sample.is_char_boundary(at)) {
            let _ = parse(&sample[..at]);
            let _ = parse(&sample[at..]);
        }
    }
}

#[test]
fn segments_put_together_are_the_text() {
    for sample in samples() {
        let joined: String = scan::segments(&sample)
            .map(|segment| match segment {
                scan::Segment::Text(text)
                | scan::Segment::Tag(text)
                | scan::Segment::CData(text)
                | scan::Segment::Other(text) => text,
            })
            .collect();
        assert_eq!(joined, sample);
    }
}

/// Shapes that cost a reader without a gate seconds, each with a whole `System`.
fn bombs() -> Vec<String> {
    let system = "<System><Provider Name='P'/><EventID>7</EventID><EventRecordID>9</EventRecordID>\
                  <TimeCreated SystemTime='2024-01-02T03:04:05.6Z'/><Channel>C</Channel>\
                  <Computer>ws1</Computer></System>";
    let many =
        |count: usize, one: &dyn Fn(usize) -> String| (0..count).map(one).collect::<String>();
    let namespaces = many(2000, &|i| format!(" xmlns:n{i:x}='u{i:x}'"));
    let attributes = many(80_000, &|i| format!(" a{i:x}=''"));
    let in_scope = many(31, &|i| format!(" xmlns:n{i:x}='u'"));
    let children = "<a xmlns:z='u'/>".repeat(20_000);
    let different = many(20_000, &|i| format!("<a xmlns='{i:x}'/>"));
    let dense = format!("<a{}/>", many(60, &|i| format!(" a{i:x}=''"))).repeat(900);
    vec![
        format!("<Event{namespaces}>{system}{children}</Event>"),
        format!("<Event{attributes}>{system}</Event>"),
        format!("<Event>{system}<UserData><a{attributes}/></UserData></Event>"),
        format!("<Event>{system}<UserData><a{attributes}"),
        format!("<Event{in_scope}>{system}{children}</Event>"),
        format!("<Event>{system}{different}</Event>"),
        format!("<Event>{system}<UserData>{dense}</UserData></Event>"),
        format!(
            "<e:Event xmlns:e='x'>{}{}</e:Event>",
            system.replace('<', "<e:").replace("<e:/", "</e:"),
            "<a/>".repeat(70_000)
        ),
        format!("<Event>{system}{}</Event>", "<a>".repeat(1000)),
        format!(
            "<Event>{system}<EventData><Data>{}</Data></EventData></Event>",
            "x".repeat(MAX_TEXT)
        ),
    ]
}

#[test]
fn over_a_limit_system_still_tells_what_it_says() {
    for bomb in bombs() {
        let start: String = bomb.chars().take(60).collect();
        let malformed = parse(&bomb).expect_err(&start);
        let is_limit = match &malformed.reason {
            Error::Xml(error) => error.is_limit(),
            Error::TooLong { length } => *length == bomb.len(),
            _ => false,
        };
        assert!(is_limit, "{malformed}: {start}");
        let event = malformed.system;
        assert_eq!(
            [
                &event.provider,
                &event.event_id,
                &event.record_id,
                &event.time_created,
                &event.channel,
                &event.computer
            ],
            ["P", "7", "9", "2024-01-02T03:04:05.6Z", "C", "ws1"],
            "{start}"
        );
        assert!(event.data.is_empty() && event.rendering.is_none());
    }
}

#[test]
fn a_system_that_is_not_whole_tells_nothing() {
    let whole = with_body("<EventData><Data>&nothing;</Data></EventData>");
    let end = whole.find("</System>").unwrap() + "</System>".len();
    for cut in 0..whole.len() {
        let system = parse(&whole[..cut]).unwrap_err().system;
        assert_eq!(system.event_id == "1", cut >= end, "cut at {cut}");
    }
    let forbidden = whole.replace("<EventID>", "<Channel>a\u{1}</Channel><EventID>");
    assert_eq!(parse(&forbidden).unwrap_err().system.channel, "a\u{fffd}");
    for other in [
        whole.replace("Event xmlns", "Evnt xmlns"),
        whole
            .replace("<System>", "<More><System>")
            .replace("</System>", "</System></More>"),
        whole
            .replace("<System>", "<!--<System>")
            .replace("</System>", "</System>-->"),
        whole.replace(
            "<EventID>",
            &format!("<!--{}--><EventID>", "x".repeat(64 * 1024)),
        ),
    ] {
        assert_eq!(*parse(&other).unwrap_err().system, Event::default());
    }
}

#[test]
fn texts_are_read_up_to_the_limit() {
    let of = |length: usize| {
        let frame = with_body("<EventData><Data></Data></EventData>").len();
        with_body(&format!(
            "<EventData><Data>{}</Data></EventData>",
            "x".repeat(length - frame)
        ))
    };
    assert!(parse(&of(MAX_TEXT)).is_ok());
    let length = MAX_TEXT + 1;
    assert_eq!(
        parse(&of(length)).unwrap_err().reason,
        Error::TooLong { length }
    );
}

#[test]
fn long_names_are_not_repeated_for_many_attributes() {
    let attributes: String = ('a'..='z').map(|c| format!(" {c}='1'")).collect();
    let named = |length: usize, count: usize| {
        let name = "n".repeat(length);
        let data = format!("<Data Name='{name}'{attributes}/>").repeat(count);
        let user = format!("<{name}{attributes}/>").repeat(count);
        [
            with_body(&format!("<EventData>{data}</EventData>")),
            with_body(&format!("<UserData><u>{user}</u></UserData>")),
        ]
    };
    let lengths =
        |event: &Event<'_>| -> usize { event.data.iter().map(|(name, _)| name.len()).sum() };
    for xml in [named(10, 50), named(256, 5), named(1500, 1)].as_flattened() {
        let event = parse(xml).unwrap();
        assert!(lengths(&event) <= 65_536 + 3 * xml.len());
    }
    for xml in [named(700, 100), named(256, 64), named(5000, 1)].as_flattened() {
        let most = 65_536 + 2 * xml.len();
        let reason = parse(xml).unwrap_err().reason;
        assert_eq!(reason, Error::LongNames { most });
    }
    // No attribute repeats it.
    let name = "n".repeat(100_000);
    let alone = with_body(&format!(
        "<EventData><Data Name='{name}'>v</Data></EventData>"
    ));
    assert!(parse(&alone).is_ok());
}

#[test]
fn both_readers_take_as_many_elements_as_the_fast_one_may() {
    let data = |count: usize| {
        format!(
            "<EventData>{}</EventData>",
            "<Data Name='a'/>".repeat(count)
        )
    };
    let user = |count: usize| format!("<UserData><a>{}</a></UserData>", "<b/>".repeat(count));
    let keywords = |count: usize| {
        let all = "<Keyword/>".repeat(count);
        format!("<RenderingInfo><Keywords>{all}</Keywords></RenderingInfo>")
    };
    let both = |count: usize| data(count) + &keywords(count);
    let bodies: [&dyn Fn(usize) -> String; 4] = [&data, &user, &keywords, &both];
    for (number, body) in bodies.into_iter().enumerate() {
        let (mut least, mut most) = (0, 10_000);
        while most - least > 1 {
            let count = usize::midpoint(least, most);
            if agree(&with_body(&body(count))) {
                least = count;
            } else {
                most = count;
            }
        }
        assert!(least > 300, "{number}: {least}");
    }
}

/// Each is looked at by itself: by the rest of the text it took half a minute.
#[test]
fn a_text_of_nothing_but_forbidden_references_is_repaired() {
    let count = MAX_TEXT / "&#1;".len() - 100;
    let references = "&#1;".repeat(count);
    let xml = with_body(&format!("<EventData><Data>{references}</Data></EventData>"));
    let event = parse(&xml).unwrap();
    assert_eq!(event.data[0].1.chars().count(), count);
    assert!(event.data[0].1.chars().all(|c| c == '\u{FFFD}'));
}

#[test]
fn events_share_the_memory_of_their_values() {
    let data = "<Data Name='a'>1</Data>".repeat(40);
    let xml = format!(
        "<Event xmlns='{NAMESPACE}'><System></System><EventData>{data}</EventData></Event>"
    );
    let mut room = Room::default();
    let first = parse_into(&xml, &mut room).unwrap();
    let (at, values) = (first.data.as_ptr().addr(), first.data.clone());
    room.reuse(first);
    let second = parse_into(&xml, &mut room).unwrap();
    assert_eq!((second.data.as_ptr().addr(), &second.data), (at, &values));
}
