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
        crate::base::xml::text(document.root_element().last_element_child().unwrap()),
        ""
    );
}

#[test]
fn a_large_section_that_is_alone_is_found_without_a_search() {
    let big = "x<y ]] > ".repeat(100);
    let section = format!("<![CDATA[{big}]]>");
    let others = [
        "<![CDATA[short]]>".to_owned(),
        format!("2{section}"),
        format!("{section} "),
        format!("{section}{section}"),
        format!("<!-- c -->{section}"),
        format!("{section}<!-- c -->"),
        format!("<e/>{section}"),
        format!("{section}<e/>"),
        format!("<e>{section}</e>"),
    ];
    for other in others {
        let text = in_event(&format!(
            "{section}</d><d>{other}</d><d a='>'>{section}</d><d>{other}"
        ));
        let skeleton = Skeleton::scan(&text).unwrap();
        let document = skeleton.document().unwrap();
        let events = document.descendants().filter(|n| n.has_tag_name("d"));
        let only = |node| {
            skeleton
                .sections(node)
                .map(|mut texts| texts.next().unwrap())
        };
        let found: Vec<_> = events.map(only).collect();
        let big = Some(big.as_str());
        assert_eq!(found, [big, None, big, None], "{other}");
        assert!(skeleton.sections(document.root_element()).is_none());
    }
}

#[test]
fn one_element_stands_for_those_like_it() {
    let big = |n: usize| format!("{n}{}", "x".repeat(300));
    let open = "</d><d a='>'><![CDATA[";
    let texts: Vec<_> = (0..9).map(big).collect();
    let middle = texts.join(&format!("]]>{open}"));
    let text = in_event(&format!("<![CDATA[{middle}]]>{open}{}]]> ", big(9)));
    let skeleton = Skeleton::scan(&text).unwrap();
    let document = skeleton.document().unwrap();
    let nodes = document.descendants().filter(|n| n.has_tag_name("d"));
    let nodes: Vec<_> = nodes.collect();
    let [first, others, last] = nodes[..] else {
        panic!("{} elements", nodes.len());
    };
    let sections = |node| skeleton.sections(node).unwrap().collect::<Vec<_>>();
    assert_eq!(sections(first), texts[..1]);
    assert_eq!(sections(others), texts[1..]);
    assert!(skeleton.sections(last).is_none());
    let alone = skeleton.each_standalone(others, &mut skeleton.room());
    let alone = alone.unwrap();
    assert_eq!(alone.len(), 8);
    assert_eq!(alone[3], format!("<d a='>'><![CDATA[{}]]></d>", texts[4]));
    assert_eq!(
        content(skeleton.source_of(last)),
        format!("<![CDATA[{}]]> ", big(9))
    );
}

#[test]
fn a_file_keeps_its_large_sections() {
    let big = "x".repeat(1000);
    let text = in_event(&format!("<![CDATA[{big}]]>"));
    let skeleton = Skeleton::whole(&text).unwrap();
    let document = skeleton.document().unwrap();
    let event = document.descendants().find(|n| n.has_tag_name("d"));
    assert_eq!(crate::base::xml::text(event.unwrap()), big);
}

/// The element `f` of a document, made to stand alone.
fn alone(document: &str) -> String {
    let skeleton = Skeleton::scan(document).unwrap();
    let tree = skeleton.document().unwrap();
    let node = tree.descendants().find(|n| n.tag_name().name() == "f");
    let alone = skeleton.standalone(node.unwrap()).into_owned();
    crate::base::xml::parse(&alone, &LIMITS).unwrap();
    alone
}

#[test]
fn a_fragment_gets_the_namespaces_that_its_names_use_and_no_others() {
    let within = |fragment: &str| alone(&format!("<r xmlns:n='N' xmlns:p='P'>{fragment}</r>"));
    for (fragment, declared) in [
        ("<f/>", ""),
        ("<n:f/>", " xmlns:n=\"N\""),
        ("<f n:a='1'/>", " xmlns:n=\"N\""),
        (
            "<f><p:g/><n:g p:a='x'/></f>",
            " xmlns:n=\"N\" xmlns:p=\"P\"",
        ),
        // Text, values, comments and other names that look like it.
        (
            "<f a='ur:n:x' b='$n:'>n:<!-- n: --><![CDATA[<n:g/>]]><x:g xmlns:x='n:'/></f>",
            "",
        ),
        ("<f a=' xmlns:n=' n:b='1'/>", " xmlns:n=\"N\""),
        // What it declares itself, at its root, within, and only there.
        ("<n:f xmlns:n='N'/>", ""),
        ("<f><g xmlns:n='N' n:a=''><n:h/></g></f>", ""),
        ("<f><g xmlns:n = 'N'/><n:h/></f>", " xmlns:n=\"N\""),
    ] {
        let name = fragment.find([' ', '/', '>']).unwrap();
        let (start, rest) = fragment.split_at(name);
        assert_eq!(
            within(fragment),
            format!("{start}{declared}{rest}"),
            "{fragment}"
        );
        assert_eq!(within(&within(fragment)), within(fragment), "a fixed point");
    }
}

#[test]
fn a_default_namespace_goes_along_where_a_name_is_in_it() {
    let within = |fragment: &str| alone(&format!("<r xmlns='D' xmlns:n='N'>{fragment}</r>"));
    assert_eq!(within("<f/>"), "<f xmlns=\"D\"/>");
    assert_eq!(within("<f xmlns=''><g/></f>"), "<f xmlns=''><g/></f>");
    assert_eq!(within("<n:f/>"), "<n:f xmlns:n=\"N\"/>");
    assert_eq!(
        within("<n:f><g/></n:f>"),
        "<n:f xmlns=\"D\" xmlns:n=\"N\"><g/></n:f>"
    );
}
