use super::*;
use crate::base::xml::{self, Limits};

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
        ("a<!-- <b> -->c<?p i?>d<?p >?>", "acd"),
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
    let document = xml::parse(&xml, &Limits::FILE).unwrap();
    let expected = text.replace(['\n', '\t'], "");
    assert_eq!(xml::text(document.root_element()), expected);
    assert_eq!(
        document.root_element().attribute("a"),
        Some(expected.as_str())
    );
    assert_eq!(Escaped("\u{4}").to_string(), "\u{fffd}");
}
