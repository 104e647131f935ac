use std::time::Duration;

use super::*;
use crate::base::clock::UnixSeconds;
use crate::base::wire::{self, Charset};
use crate::protocol::wsman::source::{self, Sender};
use crate::protocol::wsman::{
    Body, ContentFormat, ListDigest, Policy, Profile, Subscription, parse,
};

const ID: Uuid = Uuid::from_u128(7);
const URL: &str = "http://collector.example:5985/wsman/subscriptions/1";

fn sender() -> Sender<'static> {
    Sender {
        to: URL,
        machine: "win10.example",
        locale: "en-US",
        session: ID,
        message: ID,
        operation: ID,
        timeout: Duration::from_secs(60),
        max_envelope_size: 512_000,
    }
}

fn subscription(name: &str, characters: usize) -> Subscription {
    let query = format!("<QueryList><!--{}--></QueryList>", "x".repeat(characters));
    Subscription::new(name, &query, ContentFormat::Events)
}

fn offer<'a>(subscription: &'a Subscription, policy: &'a Policy) -> Offer<'a> {
    Offer {
        subscription,
        url: URL,
        policy,
        bookmark: None,
    }
}

fn policy() -> Policy {
    Policy {
        profiles: vec![Profile::HttpSpnegoKerberos],
    }
}

fn pull(limit: u32) -> Header {
    let mut header = parse(&source::pull(&sender(), "none")).unwrap().header;
    header.max_envelope_size = Some(limit);
    header
}

fn page(header: &Header, elements: Option<u32>, characters: Option<u32>) -> Page {
    let portion = Portion {
        elements,
        characters,
    };
    Page::new(header, portion, Uuid::nil()).unwrap()
}

#[test]
fn both_answers_say_whether_there_is_more() {
    let (policy, subscription) = (policy(), subscription("one", 10));
    let context = Context::new(1, 2, UnixSeconds::new(3), &ListDigest::of(&[]));
    let enumerate = parse(&source::enumerate(&sender())).unwrap().header;
    for (header, prefix) in [(&enumerate, 'w'), (&pull(512_000), 'n')] {
        for more in [None, Some(&context)] {
            let mut page = page(header, None, None);
            assert!(page.is_empty());
            let fit = page.push(&offer(&subscription, &policy), &mut Uuid::nil);
            assert_eq!((fit, page.is_empty()), (Fit::Taken, false));
            let text = page.finish(more);
            let read = match prefix {
                'w' => source::parse_enumerate_response(&text, ID).unwrap(),
                _ => source::parse_pull_response(&text, ID).unwrap(),
            };
            assert_eq!(read.offered[0].name, "one");
            assert_eq!(read.context, more.map(Context::to_text));
            let end = format!("<{prefix}:EndOfSequence/>");
            assert_eq!(text.contains(&end), more.is_none(), "{text}");
            assert!(text.contains(&format!("<{prefix}:Items>")));
        }
    }
    let empty = page(&enumerate, None, None).finish(None);
    let read = source::parse_enumerate_response(&empty, ID);
    assert_eq!(read, Ok(source::Page::default()));
    let wrong = source::parse_pull_response(&empty, ID);
    assert!(matches!(
        wrong,
        Err(crate::protocol::wsman::Error::UnexpectedAction(_))
    ));
}

#[test]
fn no_answer_is_larger_than_what_the_source_takes() {
    let policy = policy();
    // Two bytes in UTF-8, and twice two in UTF-16: no encoding may be too large.
    let mut wide = subscription("wide", 0);
    wide.query = format!(
        "<QueryList><!--{}--></QueryList>",
        "\u{4e16}\u{1f600}".repeat(2000)
    );
    let all = [subscription("a", 3000), wide, subscription("c", 5000)];
    for limit in [40_000, 60_000, 100_000, 512_000, u32::MAX] {
        let header = pull(limit);
        let mut page = page(&header, None, None);
        let mut held = 0;
        for number in 0..200 {
            match page.push(&offer(&all[number % 3], &policy), &mut Uuid::nil) {
                Fit::Taken => held += 1,
                fit => {
                    assert_eq!(fit, Fit::Full);
                    break;
                }
            }
        }
        let text = page.finish(Some(&Context::new(
            0,
            0,
            UnixSeconds::new(0),
            &ListDigest::of(&[]),
        )));
        let most = usize::try_from(limit.min(512_000)).unwrap();
        for charset in [Charset::Utf16, Charset::Utf8] {
            let size = wire::encode_text(&text, charset).len();
            assert!(size <= most, "{size} bytes of {most}");
        }
        assert!(
            wire::encode_text(&text, Charset::Utf16).len() * 2 > most,
            "half empty"
        );
        assert!(held > 0 && held < 200);
    }
}

#[test]
fn one_subscription_may_be_as_large_as_the_source_takes() {
    let (policy, large) = (policy(), subscription("large", 300_000));
    let small = subscription("small", 10);
    let (header, usual) = (pull(2_000_000), pull(512_000));
    let push = |page: &mut Page, what| page.push(&offer(what, &policy), &mut Uuid::nil);
    let mut first = page(&header, None, None);
    assert_eq!(push(&mut first, &large), Fit::Taken);
    assert_eq!(push(&mut first, &small), Fit::Full, "it comes alone");
    let mut second = page(&header, None, None);
    assert_eq!(push(&mut second, &small), Fit::Taken);
    assert_eq!(push(&mut second, &large), Fit::Full);
    let mut third = page(&usual, None, None);
    let Fit::TooLarge(octets) = push(&mut third, &large) else {
        panic!("taken");
    };
    assert!((600_000..620_000).contains(&octets), "{octets}");
    assert!(third.is_empty());
    assert_eq!(push(&mut third, &small), Fit::Taken);
}

#[test]
fn room_is_never_less_than_what_fits() {
    let policy = Policy {
        profiles: vec![Profile::HttpBasic],
    };
    let all: Vec<_> = (0..300).map(|n| subscription("a", n % 9 * 1000)).collect();
    for (limit, elements) in [
        (30_000, None),
        (512_000, None),
        (512_000, Some(7)),
        (u32::MAX, None),
    ] {
        let header = pull(limit);
        let mut page = page(&header, elements, None);
        let mut fit = |s| {
            let offer = Offer {
                url: "",
                ..offer(s, &policy)
            };
            page.push(&offer, &mut Uuid::nil) == Fit::Taken
        };
        let fits = all.iter().take_while(|s| fit(s)).count();
        let portion = Portion {
            elements,
            characters: None,
        };
        let mut room = room(&header, portion);
        let may = all.iter().take_while(|s| room.takes(s)).count();
        assert!(
            fits > 0 && fits <= may && may < 2 * fits + 3,
            "{fits} fit, {may} may"
        );
    }
    let (header, large) = (pull(100_000), subscription("large", 60_000));
    let mut room = room(&header, Portion::default());
    assert!(
        room.takes(&large) && room.takes(&large),
        "left out, so it takes no room"
    );
}

#[test]
fn elements_and_characters_are_counted() {
    let (policy, one) = (policy(), subscription("one", 10));
    let header = pull(512_000);
    let push = |page: &mut Page| page.push(&offer(&one, &policy), &mut Uuid::nil);
    let mut two = page(&header, Some(2), None);
    assert_eq!(
        [push(&mut two), push(&mut two), push(&mut two)],
        [Fit::Taken, Fit::Taken, Fit::Full]
    );
    let mut none = page(&header, Some(0), None);
    assert_eq!(
        [push(&mut none), push(&mut none)],
        [Fit::Taken, Fit::Full],
        "one, to go on"
    );
    let size = u32::try_from(none.items.chars().count()).unwrap();
    let mut exact = page(&header, None, Some(2 * size));
    assert_eq!(
        [push(&mut exact), push(&mut exact), push(&mut exact)],
        [Fit::Taken, Fit::Taken, Fit::Full]
    );
    assert_eq!(push(&mut page(&header, None, Some(size - 1))), Fit::TooLong);
}

#[test]
fn a_source_that_takes_too_little_gets_no_answer() {
    let page = |header: &Header| Page::new(header, Portion::default(), ID);
    assert!(page(&pull(8191)).is_none());
    assert!(page(&pull(8192)).is_some());
    let mut header = pull(8192);
    header.message_id = "x".repeat(4096);
    assert!(
        page(&header).is_none(),
        "what comes back is too large already"
    );
}

#[test]
fn requests_say_how_much_they_want() {
    let context = Context::new(5, 6, UnixSeconds::new(7), &ListDigest::of(&["a"]));
    let text = source::pull(&sender(), &context.to_text());
    let pull = |text: &str| match parse(text).unwrap().body {
        Body::Pull(context, portion) => (context, portion.elements, portion.characters),
        other => panic!("{other:?}"),
    };
    assert_eq!(pull(&text), (Some(context), Some(32_000), None));
    let elements = "<n:MaxElements>32000</n:MaxElements>";
    assert_eq!(
        pull(&text.replace(elements, "")).1,
        Some(1),
        "WS-Enumeration 3.2"
    );
    let more = "<n:MaxElements> 99999999999 </n:MaxElements><n:MaxCharacters>12</n:MaxCharacters>";
    assert_eq!(
        pull(&text.replace(elements, more)),
        (Some(context), Some(u32::MAX), Some(12))
    );
    let odd = "<n:MaxElements>-1</n:MaxElements>";
    assert_eq!(pull(&text.replace(elements, odd)).1, Some(1));
    let spaced = text.replace(&context.to_text(), &format!("\n {} ", context.to_text()));
    assert_eq!(pull(&spaced).0, Some(context));
    assert_eq!(pull(&source::pull(&sender(), "uuid:1")).0, None);
    let missing = text.replace("n:EnumerationContext", "n:Other");
    assert_eq!(
        parse(&missing),
        Err(crate::protocol::wsman::Error::Missing("EnumerationContext"))
    );
    let release = source::release(&sender(), &context.to_text());
    assert_eq!(parse(&release).unwrap().body, Body::Release(Some(context)));
    let enumerate = source::enumerate(&sender());
    let simple = enumerate.replace("<w:MaxElements>32000</w:MaxElements>", "");
    assert_eq!(
        parse(&simple).unwrap().body,
        Body::Enumerate(Portion::default())
    );
}

#[test]
fn a_survey_counts_answers_and_names_what_is_too_large() {
    let policy = policy();
    let all: Vec<_> = (0..100)
        .map(|n| subscription(&n.to_string(), 9000))
        .collect();
    let large = subscription("large", 300_000);
    let mut offers: Vec<_> = all.iter().map(|s| offer(s, &policy)).collect();
    let whole = survey(&offers);
    assert_eq!((whole.pages, whole.too_large.len()), (5, 0));
    assert!((2_300_000..2_500_000).contains(&whole.octets), "{whole:?}");
    offers.insert(3, offer(&large, &policy));
    let found = survey(&offers);
    assert_eq!((found.pages, found.octets), (whole.pages, whole.octets));
    assert!(matches!(&found.too_large[..], [(name, 600_000..)] if name == "large"));
    assert_eq!(survey(&[]).pages, 1);
}
