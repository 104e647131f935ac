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
