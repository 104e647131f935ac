use super::outline::MIN_CUT;
use super::*;

const LIMITS: Limits = Limits {
    nodes: 1000,
    reserved: 4000,
    ..Limits::FILE
};

fn scan(text: &str) -> Result<(), Error> {
    parse(text, &LIMITS).map(|_| ())
}

fn nested(depth: usize) -> String {
    "<a>".repeat(depth) + &"</a>".repeat(depth)
}

#[test]
fn depth_is_limited_on_both_sides() {
    let most = LIMITS.depth;
    assert_eq!(scan(&nested(most)), Ok(()));
    let offset = 3 * most;
    let error = Error::Depth { offset, most };
    assert_eq!(scan(&nested(most + 1)), Err(error.clone()));
    assert_eq!(scan(&"<a>".repeat(1 << 20)), Err(error));
    let flat = format!("<r>{}</r>", "<a><b/></a>".repeat(400));
    assert_eq!(scan(&flat), Ok(()));
}

#[test]
fn attributes_are_limited_on_both_sides_also_in_a_tag_without_end() {
    let element = |count: usize| {
        let attributes: String = (0..count).map(|i| format!(" a{i}='>'")).collect();
        format!("<r><a{attributes}/></r>")
    };
    let most = LIMITS.attributes;
    assert_eq!(scan(&element(most)), Ok(()));
    let error = Error::Attributes { offset: 3, most };
    let many = element(most + 1);
    assert_eq!(scan(&many), Err(error.clone()));
    assert_eq!(scan(many.strip_suffix("/></r>").unwrap()), Err(error));
}

#[test]
fn namespaces_in_scope_are_limited_on_both_sides() {
    let element = |count: usize| {
        let attributes: String = (0..count).map(|i| format!(" xmlns:n{i}='u'")).collect();
        format!("<r xmlns='u'><a{attributes}/><a xmlns='v'/><a b='xmlns'/></r>")
    };
    let most = LIMITS.namespaces;
    assert_eq!(scan(&element(most - 1)), Ok(()));
    let error = Error::Namespaces { offset: 13, most };
    let many = element(most);
    assert_eq!(scan(&many), Err(error.clone()));
    assert_eq!(scan(many.split("/>").next().unwrap()), Err(error));
}

#[test]
fn different_namespaces_are_limited_on_both_sides() {
    let limits = Limits {
        nodes: 10_000,
        reserved: 10_000,
        ..LIMITS
    };
    let text = |count: usize| {
        let elements = (0..count).map(|i| format!("<a xmlns='u{i}'/>"));
        format!("<r>{}</r>", elements.collect::<String>())
    };
    assert!(parse(&text(1024), &limits).is_ok());
    let error = parse(&text(1025), &limits).unwrap_err();
    assert!(matches!(error, Error::Namespaces { .. }), "{error}");
    // As many of one kind as there is room for.
    let same = format!("<r>{}</r>", "<a xmlns='u'/>".repeat(4000));
    assert!(parse(&same, &limits).is_ok());
}

#[test]
fn comparisons_are_limited_by_the_size() {
    let limits = Limits {
        nodes: 1 << 20,
        reserved: 1 << 20,
        ..LIMITS
    };
    let attributes: String = (0..40).map(|i| format!(" a{i}=''")).collect();
    let text = |count: usize| format!("<r>{}</r>", format!("<a{attributes}/>").repeat(count));
    // Each costs 800 comparisons, and brings 2 for each of its some 275 bytes.
    assert!(parse(&text(300), &limits).is_ok());
    let error = parse(&text(500), &limits).unwrap_err();
    assert!(matches!(error, Error::Dense { .. }), "{error}");
    let spaced = text(500).replace("=''", "='                              '");
    assert!(parse(&spaced, &limits).is_ok());
}

#[test]
fn nodes_are_limited_on_both_sides() {
    let most = LIMITS.nodes;
    let text = |count: usize| format!("<r>{}</r>", "<a b=''/>".repeat(count));
    assert_eq!(scan(&text(most / 2 - 1)), Ok(()));
    assert_eq!(scan(&text(most / 2)), Err(Error::Nodes { most }));
    for piece in ["<!---->", "<?p?>", "<![CDATA[]]>"] {
        let text = |count: usize| format!("<r>{}</r>", piece.repeat(count));
        assert_eq!(scan(&text(most - 1)), Ok(()), "{piece}");
        assert_eq!(scan(&text(most)), Err(Error::Nodes { most }), "{piece}");
    }
}

#[test]
fn a_longer_text_may_have_more_nodes() {
    let limits = Limits {
        bytes_per_node: 8,
        ..LIMITS
    };
    let text = |count: usize| format!("<r>{}</r>", "<a/>".repeat(count));
    assert!(parse(&text(1990), &limits).is_ok());
    let error = Error::Nodes { most: 2005 };
    assert_eq!(parse(&text(2010), &limits).err(), Some(error));
    // Sections and what is between them count alike.
    let text = |count: usize| format!("<r>{}</r>", "<a><![CDATA[]]></a>".repeat(count));
    assert!(Outline::scan(&text(1200), &limits, 2).is_ok());
    assert!(Outline::scan(&text(1200), &LIMITS, 2).is_err());
}

#[test]
fn an_attribute_that_names_its_element_is_not_counted() {
    let limits = Limits {
        naming: "Name",
        ..LIMITS
    };
    let text = |element: &str| format!("<r>{}</r>", element.repeat(limits.nodes - 1));
    for element in ["<a Name='b'/>", "<a\n\tName = \"=\"/>"] {
        assert!(parse(&text(element), &limits).is_ok(), "{element}");
        assert!(parse(&text(element), &LIMITS).is_err(), "{element}");
    }
    for element in [
        "<a name='b'/>",
        "<a aName='b'/>",
        "<Name b='Name'/>",
        "<a Names='b'/>",
    ] {
        assert!(parse(&text(element), &limits).is_err(), "{element}");
    }
    let other = format!(
        "<r>{}</r>",
        "<a b='c' Name='d'/>".repeat(limits.nodes / 2 - 1)
    );
    assert!(parse(&other, &limits).is_ok());
}

#[test]
fn what_the_reader_reserves_is_limited_on_both_sides_but_not_in_cut_sections() {
    let most = LIMITS.reserved;
    let text = |count: usize| format!("<r>{}</r>", "=".repeat(count));
    assert_eq!(scan(&text(most - 2)), Ok(()));
    assert_eq!(scan(&text(most - 1)), Err(Error::Nodes { most }));
    let section = format!("<r><![CDATA[{}]]></r>", "<".repeat(most));
    assert!(Outline::scan(&section, &LIMITS, 1).is_ok());
    assert!(Outline::scan(&section, &LIMITS, 2).is_err());
    let outline = Outline::scan(&section, &LIMITS, 1).unwrap();
    assert_eq!(outline.text, "<r><![CDATA[]]></r>");
    assert!(MIN_CUT < most);
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
    let whole = "<r><!--c--><?p i?><e f='>' g=\"'\"/>t&amp;<![CDATA[x]]></r>";
    assert_eq!(scan(whole), Ok(()));
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
        "<a\"'",
    ] {
        assert!(scan(text).is_err(), "{text}");
    }
}

#[test]
fn all_text_of_an_element_counts() {
    let texts = [
        ("<a/>", ""),
        ("<a>1</a>", "1"),
        ("<a><!-- c -->1</a>", "1"),
        ("<a>1<!-- c -->2<?p i?>3<![CDATA[<]]>4</a>", "123<4"),
        ("<a>1<b>2</b>3</a>", "13"),
    ];
    for (xml, expected) in texts {
        let document = parse(xml, &LIMITS).unwrap();
        assert_eq!(text(document.root_element()), expected, "{xml}");
    }
    let document = parse("<a> <!-- c -->\n 1 <!-- c --> </a>", &LIMITS).unwrap();
    assert_eq!(trimmed_text(document.root_element()), "1");
}

#[test]
fn an_error_has_a_line() {
    let line = |text: &str| parse(text, &LIMITS).unwrap_err().line(text);
    assert_eq!(line("<a>\n<!DOCTYPE b>"), 2);
    assert_eq!(line("<a>\n\n</b>"), 3);
    assert_eq!(line(&format!("<a>\n{}", nested(100))), 2);
}

/// Each pair of quotes is an attribute for the scanner: a million of them took 90 ms.
#[test]
fn a_tag_is_given_up_at_the_limit_of_attributes() {
    let quotes = "<a ".to_owned() + &"''".repeat(500_000) + "/>";
    assert!(matches!(
        parse(&quotes, &Limits::FILE).unwrap_err(),
        Error::Attributes { offset: 0, .. }
    ));
    let mut walked = 0;
    let length = walk_tag(quotes.as_bytes(), |_| {
        walked += 1;
        walked < 10
    });
    assert_eq!((length, walked), (None, 10));
}
