use super::super::{Body, action, parse};
use super::*;

fn in_batch(events: &str) -> String {
    let (s, a, w, action) = (ns::SOAP, ns::ADDRESSING, ns::WSMAN, action::EVENTS);
    format!(
        "<s:Envelope xmlns:s='{s}' xmlns:a='{a}' xmlns:w='{w}' xmlns:e='urn:e'><s:Header>\
         <a:Action>{action}</a:Action><a:MessageID>uuid:1</a:MessageID></s:Header>\
         <s:Body><w:Events>{events}</w:Events></s:Body></s:Envelope>"
    )
}

/// One long name of a namespace would stand in each event that uses it.
#[test]
fn what_events_inherit_is_limited_on_both_sides() {
    let text = |length: usize, events: usize| {
        let name = "u".repeat(length);
        let events = "<w:Event><n:a>b</n:a></w:Event>".repeat(events);
        let frame = format!("</w:Events><w:Events xmlns:n='{name}'>{events}");
        in_batch(&frame)
    };
    // ` xmlns:n=""` is around it, and the envelope has about 1,000 bytes more.
    let most = |length: usize| (text(length, 0).len() + 64 * 1024) / (length + 11);
    for length in [1000, 10_000, 200_000] {
        let fine = most(length);
        let text_of = |count| text(length, count);
        let (events, fine) = (text_of(fine), fine);
        let Body::Events(events) = parse(&events).unwrap().body else {
            panic!();
        };
        assert_eq!(events.len(), fine);
        // Each has less text of its own than it inherits.
        let many = text_of(2 * fine + 2);
        let error = parse(&many).unwrap_err();
        assert!(matches!(error, Error::Repeated { .. }), "{error}");
    }
    let short = "<w:Event><e:a>b</e:a></w:Event>".repeat(10_000);
    assert!(parse(&in_batch(&short)).is_ok());
}

/// Every other section in a frame of its own: no element stands for others then.
fn in_two_frames(text: &str) -> String {
    let mut pieces = text.split(SECTION);
    let mut all = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in pieces.enumerate() {
        all.push_str(if number % 2 == 0 {
            SECTION
        } else {
            OTHER_SECTION
        });
        all.push_str(piece);
    }
    all
}

const SECTION: &str = "'><![CDATA[";
const OTHER_SECTION: &str = "' ><![CDATA[";

#[test]
fn events_in_equal_frames_are_those_of_different_ones() {
    let big = |n: usize| format!("<![CDATA[<Event n='{n}'>{}</Event>]]>", "x".repeat(300));
    let frame = |n: usize| format!("<w:Event Action='a'>{}</w:Event>", big(n));
    let others = [
        String::new(),
        "<!-- c -->".to_owned(),
        "<w:Event><![CDATA[short]]></w:Event>".to_owned(),
        format!("<w:Event Action='b'>{}</w:Event>", big(100)),
        format!("<w:Event Action='a'>{} </w:Event>", big(100)),
        format!("<w:Event Action='a'>loose {}</w:Event>", big(100)),
        format!("<w:Event Action='a'>{}{}</w:Event>", big(100), big(101)),
        format!("<w:Event Action='a'>{}</w:Event >", big(100)),
        format!("<w:Event Action='a'/>{}", frame(100)),
        format!("<Event Action='a'>{}</Event>", big(100)).repeat(5),
        format!("<x:Event xmlns:x='{}'>{}</x:Event>", ns::WSMAN, big(100)).repeat(5),
        format!("<e:Event a='b'>{}</e:Event>", big(100)).repeat(5),
        format!("<Event xmlns='{}'>{}</Event>", EVENT, big(100)).repeat(5),
        format!("<other><w:Event a='b'>{}</w:Event></other>", big(100)),
        format!("<w:Event>{}</w:Bad>", big(100)),
        format!("</w:Events><w:Events>{}", frame(100)),
        "<w:Event Action='a'><![CDATA[never ends</w:Event>".to_owned(),
    ];
    for other in &others {
        for (before, after) in [(0, 0), (0, 5), (1, 2), (2, 3), (3, 1), (4, 4), (5, 0)] {
            let run =
                |from: usize, count: usize| -> String { (from..from + count).map(frame).collect() };
            let text = in_batch(&[run(0, before), other.clone(), run(before, after)].concat());
            let (one, two) = (parse(&text), in_two_frames(&text));
            let two = parse(&two);
            assert_eq!(one.is_ok(), two.is_ok(), "{text}");
            if let (Ok(one), Ok(two)) = (one, two) {
                let (Body::Events(one), Body::Events(two)) = (one.body, two.body) else {
                    panic!("no events");
                };
                let plain = |events: Vec<RawEvent<'_>>| -> Vec<_> {
                    let texts = events.into_iter().map(|event| event.xml);
                    texts
                        .map(|xml| xml.replace(OTHER_SECTION, SECTION))
                        .collect()
                };
                assert_eq!(plain(one), plain(two), "{text}");
            }
        }
    }
}
