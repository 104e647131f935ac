use super::super::text::join;
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
