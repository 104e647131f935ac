use super::super::text::join;
use super::*;

fn in_event(content: &str) -> String {
    format!("<a><b><c><d>{content}</d></c></b></a>")
}

#[test]
fn large_sections_leave_the_skeleton_and_come_back_from_the_source() {
    let big = "x<y".repeat(256);
    let text = in_event(&format!(
        "<![CDATA[{big}]]></d><d>2<![CDATA[{big}]]></d><d>é"
    ));
    let skeleton = Skeleton::scan(&text).unwrap();
    let document = skeleton.document().unwrap();
    let events = document.descendants().filter(|n| n.has_tag_name("d"));
    let contents: Vec<_> = events.map(|n| content(skeleton.source_of(n))).collect();
    let joined: Vec<_> = contents.iter().map(|text| join(text)).collect();
    assert_eq!(joined, [big.as_str(), &format!("2{big}"), "é"]);
    assert!(matches!(joined[0], Cow::Borrowed(_)));
    assert_eq!(skeleton.source_of(document.root_element()), text);
    assert_eq!(
        crate::xml::text(document.root_element().last_element_child().unwrap()),
        ""
    );
}

#[test]
fn a_file_keeps_its_large_sections() {
    let big = "x".repeat(1000);
    let text = in_event(&format!("<![CDATA[{big}]]>"));
    let skeleton = Skeleton::whole(&text).unwrap();
    let document = skeleton.document().unwrap();
    let event = document.descendants().find(|n| n.has_tag_name("d"));
    assert_eq!(crate::xml::text(event.unwrap()), big);
}
