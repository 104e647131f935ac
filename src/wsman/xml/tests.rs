use super::*;

fn scan(text: &str) -> Result<(), Error> {
    Skeleton::scan(text).and_then(|skeleton| skeleton.document().map(|_| ()))
}

fn nested(depth: usize) -> String {
    "<a>".repeat(depth) + &"</a>".repeat(depth)
}

fn in_event(content: &str) -> String {
    format!("<a><b><c><d>{content}</d></c></b></a>")
}

#[test]
fn depth_is_limited_on_both_sides() {
    assert_eq!(scan(&nested(MAX_DEPTH)), Ok(()));
    let offset = 3 * MAX_DEPTH;
    assert_eq!(scan(&nested(MAX_DEPTH + 1)), Err(Error::Depth { offset }));
    assert_eq!(scan(&"<a>".repeat(1 << 20)), Err(Error::Depth { offset }));
    let flat = format!("<r>{}</r>", "<a><b/></a>".repeat(1000));
    assert_eq!(scan(&flat), Ok(()));
}

#[test]
fn attributes_are_limited_on_both_sides() {
    let element = |count: usize| {
        let attributes: String = (0..count).map(|i| format!(" a{i}='>'")).collect();
        format!("<r><a{attributes}/></r>")
    };
    assert_eq!(scan(&element(MAX_ATTRIBUTES)), Ok(()));
    let offset = 3;
    let many = element(MAX_ATTRIBUTES + 1);
    assert_eq!(scan(&many), Err(Error::Attributes { offset }));
}

#[test]
fn namespaces_in_scope_are_limited_on_both_sides() {
    let element = |count: usize| {
        let attributes: String = (0..count).map(|i| format!(" xmlns:n{i}='u'")).collect();
        format!("<r xmlns='u'><a{attributes}/><a xmlns='v'/><a xmlns='w'/></r>")
    };
    assert_eq!(scan(&element(MAX_NAMESPACES - 1)), Ok(()));
    let many = element(MAX_NAMESPACES);
    assert_eq!(scan(&many), Err(Error::Namespaces { offset: 13 }));
}

#[test]
fn markup_is_limited_on_both_sides_but_not_inside_events() {
    let most = usize::try_from(MAX_MARKUP).unwrap();
    let text = |count: usize| format!("<r>{}</r>", "=".repeat(count));
    assert_eq!(scan(&text(most - 2)), Ok(()));
    assert_eq!(scan(&text(most - 1)), Err(Error::Markup));
    let event = format!("<![CDATA[{}]]>", "<".repeat(most));
    assert_eq!(scan(&in_event(&event)), Ok(()));
    assert_eq!(scan(&format!("<r>{event}</r>")), Err(Error::Markup));
}

#[test]
fn document_types_and_entities_are_refused() {
    let bomb = "<?xml version='1.0'?><!DOCTYPE r [<!ENTITY a 'b'>]><r>&a;</r>";
    assert_eq!(scan(bomb), Err(Error::Dtd { offset: 21 }));
    assert!(matches!(scan("<r>&a;</r>"), Err(Error::Malformed(_))));
    assert_eq!(scan("<r><!-- <!DOCTYPE r> --></r>"), Ok(()));
}

#[test]
fn broken_markup_is_an_error_and_nothing_worse() {
    let whole = in_event(&format!(
        "<!--c--><?p i?><e f='>' g=\"'\"/>t&amp;<![CDATA[{}]]>",
        "x".repeat(MIN_CUT)
    ));
    assert_eq!(scan(&whole), Ok(()));
    for cut in 0..whole.len() {
        assert!(scan(&whole[..cut]).is_err(), "{}", &whole[..cut]);
    }
    for text in [
        "",
        "<",
        "<!",
        "<![CDATA[",
        "<!--",
        "<?",
        "<a b='",
        "</a>",
        "<a/><b/>",
        "<>",
    ] {
        assert!(scan(text).is_err(), "{text}");
    }
}

#[test]
fn large_sections_leave_the_skeleton_and_come_back_from_the_source() {
    let big = "x<y".repeat(MIN_CUT);
    let text = in_event(&format!(
        "<![CDATA[{big}]]></d><d>2<![CDATA[{big}]]></d><d>é"
    ));
    let skeleton = Skeleton::scan(&text).unwrap();
    assert!(skeleton.text.len() < 150, "{}", skeleton.text);
    let document = skeleton.document().unwrap();
    let events = document.descendants().filter(|n| n.has_tag_name("d"));
    let contents: Vec<_> = events.map(|n| content(skeleton.source_of(n))).collect();
    let joined: Vec<_> = contents.iter().map(|text| join(text)).collect();
    assert_eq!(joined, [big.as_str(), &format!("2{big}"), "é"]);
    assert!(matches!(joined[0], Cow::Borrowed(_)));
    assert_eq!(skeleton.source_of(document.root_element()), text);
}

#[test]
fn text_joins_whatever_its_pieces() {
    for (content, expected) in [
        ("", ""),
        (" \r\n ", ""),
        ("<![CDATA[]]>", ""),
        ("\n <![CDATA[ <E/>\n]]> \n", "<E/>"),
        ("<![CDATA[a]]]]><![CDATA[>b]]>", "a]]>b"),
        (
            "&lt;E a=&quot;1&apos;&#x41;&#66;&quot;/&gt;",
            "<E a=\"1'AB\"/>",
        ),
        ("a<!-- <b> -->c<?p i?>d", "acd"),
        (
            "&#x5;&#xfffe;&#0;&#xd800;&nbsp;",
            "\u{fffd}\u{fffd}\u{fffd}\u{fffd}\u{fffd}",
        ),
        ("\u{a0}a\u{a0}", "\u{a0}a\u{a0}"),
    ] {
        assert_eq!(join(content), expected, "{content:?}");
    }
}

#[test]
fn forbidden_characters_are_found_and_replaced() {
    for bad in ["\0", "\u{4}", "\u{b}", "\u{1f}", "\u{fffe}", "\u{ffff}"] {
        let text = format!("a{bad}é");
        assert!(has_forbidden(&text), "{bad:?}");
        assert_eq!(clean(&text), "a\u{fffd}é");
    }
    for bad in [
        "&#0;",
        "&#x5;",
        "&#5;",
        "&#xFFFE;",
        "&#xd800;",
        "&#x110000;",
        "&#99999999999;",
    ] {
        assert_eq!(clean(&format!("{bad}b")), "\u{fffd}b", "{bad}");
    }
    let fine = "\t\r\n &amp; &#13;&#x10FFFF; &# &#; &#x; &#y; é\u{fffd}\u{feff}\u{7f}";
    assert!(!has_forbidden(fine));
    assert!(matches!(clean(fine), Cow::Borrowed(_)));
}

#[test]
fn escaped_text_survives_a_parser() {
    let text = "<a b=\"c\" d='e'>&amp;\r\n\t]]> é\u{1f980}";
    let xml = format!(
        "<r a=\"{0}\">{0}</r>",
        Escaped(&text.replace(['\n', '\t'], ""))
    );
    let document = Document::parse(&xml).unwrap();
    let expected = text.replace(['\n', '\t'], "");
    assert_eq!(document.root_element().text(), Some(expected.as_str()));
    assert_eq!(
        document.root_element().attribute("a"),
        Some(expected.as_str())
    );
    assert_eq!(Escaped("\u{4}").to_string(), "\u{fffd}");
}
