//! Any bytes as an envelope: events are parts of it or cleaned copies, answers to it are
//! XML that a source can parse, and sent events arrive unchanged.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use uuid::Uuid;
use wecrelay::base::clock::UnixSeconds;
use wecrelay::base::wire::{self, Charset};
use wecrelay::bookmark::Bookmark;
use wecrelay::protocol::wsman::source::{self, Sender};
use wecrelay::protocol::wsman::subscribe::ContentFormat;
use wecrelay::protocol::wsman::xml::Skeleton;
use wecrelay::protocol::wsman::{
    self, Body, Context, Fault, Fit, Header, ListDigest, Message, Offer, Page, Policy, Portion,
    Profile, Subcode, Subscription, pages, text,
};

fuzz_target!(|data: &[u8]| {
    let (text, _) = wire::decode_text(data, Charset::Utf8);
    frames_do_not_matter(&text);
    readers_agree(&text);
    if let Ok(Message { header, body }) = wsman::parse(&text) {
        if let Body::Events(events) = &body {
            let events: Vec<_> = events.iter().map(|event| &event.xml).collect();
            events.iter().for_each(|event| check_event(event, &text));
            arrive(
                &events
                    .iter()
                    .map(|event| event.as_ref())
                    .collect::<Vec<_>>(),
            );
        }
        let portion = match body {
            Body::Enumerate(portion) => portion,
            Body::Pull(context, portion) => {
                context.iter().for_each(check_context);
                portion
            }
            Body::Release(context) => {
                context.iter().for_each(check_context);
                relates(&pages::release_response(&header, Uuid::nil()), &header);
                Portion::default()
            }
            _ => Portion::default(),
        };
        answer(&header, portion);
    }
    if let Some(context) = Context::parse(&text) {
        assert_eq!(context.to_text(), text, "two texts for one context");
        check_context(&context);
    }
    arrive(&[&clean(&text)]);
});

/// The fast reader does not support comments, so a comment selects the general reader.
fn readers_agree(text: &str) {
    if let Ok(message) = wsman::parse(text) {
        assert_eq!(wsman::parse(&format!("{text}<!---->")), Ok(message));
    }
}

/// Identical frames are read together; with a space in every other frame, none are.
fn frames_do_not_matter(text: &str) {
    const SECTION: &str = "\"><![CDATA[";
    let mut pieces = text.split(SECTION);
    let mut others = pieces.next().unwrap_or_default().to_owned();
    for (number, piece) in pieces.enumerate() {
        let space = if number % 2 == 0 { "" } else { " " };
        others.extend(["\"", space, &SECTION[1..], piece]);
    }
    // Text can look like a frame, so ignore spaces.
    let events = |text: &str| -> Option<Vec<(String, bool)>> {
        let Ok(Body::Events(events)) = wsman::parse(text).map(|message| message.body) else {
            return None;
        };
        let plain = |event: wsman::RawEvent<'_>| (event.xml.replace(' ', ""), event.repaired);
        Some(events.into_iter().map(plain).collect())
    };
    assert_eq!(events(text), events(&others));
}

fn check_event(event: &Cow<'_, str>, text: &str) {
    assert!(!text::has_forbidden(event));
    if let Cow::Borrowed(event) = event {
        let envelope = text.as_bytes().as_ptr_range();
        let part = event.as_bytes().as_ptr_range();
        assert!(envelope.start <= part.start && part.end <= envelope.end);
    }
}

fn clean(text: &str) -> String {
    let cleaned = if text::has_forbidden(text) {
        Cow::Owned(text.replace(text::is_forbidden, "\u{fffd}"))
    } else {
        Cow::Borrowed(text)
    };
    text::trim(&cleaned).to_owned()
}

/// Sent by wecrelay's source, read by its collector.
fn arrive(events: &[&str]) {
    let events: Vec<_> = events.iter().filter(|event| !event.is_empty()).collect();
    let sender = sender();
    let sent = source::events(&sender, "", None, events.iter().map(|event| **event));
    let Body::Events(arrived) = wsman::parse(&sent).unwrap().body else {
        panic!("no batch of events");
    };
    let arrived: Vec<_> = arrived.iter().map(|event| &event.xml).collect();
    assert_eq!(arrived, events);
}

fn sender() -> Sender<'static> {
    Sender {
        to: "http://collector.example.test:5985/wsman",
        machine: "ws1.example.test",
        locale: "en-US",
        session: Uuid::nil(),
        message: Uuid::nil(),
        operation: Uuid::nil(),
        timeout: std::time::Duration::from_secs(60),
        max_envelope_size: 512_000,
    }
}

/// A context that a source invented is not a position in any list, and is returned unchanged.
fn check_context(context: &Context) {
    assert!(!context.is_in(&ListDigest::of(&["ws1.example.test"])));
    assert_eq!(Context::parse(&context.to_text()), Some(*context));
}

fn answer(header: &Header, portion: Portion) {
    let fault = Fault {
        subcode: Subcode::SchemaValidationError,
        reason: &header.action,
        machine: header.machine_id.as_deref().unwrap_or_default(),
    };
    for answer in [
        wsman::ack(header, Uuid::nil()),
        wsman::fault(Some(header), Uuid::nil(), &fault),
    ] {
        relates(&answer, header);
    }
    let bookmark = header
        .bookmark
        .as_deref()
        .and_then(|xml| Bookmark::parse(xml).ok())
        .map(|bookmark| bookmark.to_xml());
    let subscription = Subscription::quick(&[], ContentFormat::Events);
    let offer = Offer {
        subscription: &subscription,
        url: "http://collector.example.test:5985/wsman/subscriptions/1",
        policy: &Policy {
            profiles: vec![Profile::HttpSpnegoKerberos],
        },
        bookmark: bookmark.as_deref(),
    };
    let place = Context::new(1, 2, UnixSeconds::new(3), &ListDigest::of(&[]));
    if let Some(mut page) = Page::new(header, portion, Uuid::nil()) {
        for _ in 0..3 {
            page.push(&offer, &mut Uuid::nil);
        }
        let answer = page.finish(Some(&place));
        relates(&answer, header);
        let most = header.max_envelope_size.unwrap_or(512_000);
        for charset in [Charset::Utf8, Charset::Utf16] {
            let size = wire::encode_text(&answer, charset).len();
            assert!(
                u32::try_from(size).unwrap() <= most,
                "{size} bytes of {most}"
            );
        }
    }
    let related = Header {
        message_id: format!("uuid:{}", Uuid::nil()),
        max_envelope_size: None,
        ..header.clone()
    };
    let mut page = Page::new(&related, Portion::default(), Uuid::nil()).unwrap();
    assert_eq!(page.push(&offer, &mut Uuid::nil), Fit::Taken);
    let answer = page.finish(Some(&place));
    let read = if header.action == wsman::action::PULL {
        source::parse_pull_response(&answer, Uuid::nil())
    } else {
        source::parse_enumerate_response(&answer, Uuid::nil())
    };
    let read = read.unwrap();
    assert_eq!(read.context, Some(place.to_text()));
    let returned = read.offered.first();
    let returned = returned.and_then(|offered| offered.bookmark.as_deref());
    assert_eq!(returned, offer.bookmark, "the bookmark that came back");
}

/// The answer is well-formed, and refers to the message exactly.
fn relates(answer: &str, header: &Header) {
    let skeleton = Skeleton::scan(answer).unwrap();
    let document = skeleton.document().unwrap();
    let mut nodes = document.descendants();
    let node = nodes.find(|node| node.tag_name().name() == "RelatesTo");
    assert_eq!(
        node.map(wecrelay::base::xml::text).as_deref(),
        Some(&*header.message_id)
    );
}
