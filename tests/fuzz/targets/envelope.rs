//! Any bytes as an envelope: events are parts of it or cleaned, answers to it are
//! XML that a source can read, and events that are sent arrive as they were.
#![no_main]

use std::borrow::Cow;

use libfuzzer_sys::fuzz_target;
use uuid::Uuid;
use wecrelay::bookmark::Bookmark;
use wecrelay::base::wire::{self, Charset};
use wecrelay::protocol::wsman::source::{self, Sender};
use wecrelay::protocol::wsman::subscribe::ContentFormat;
use wecrelay::protocol::wsman::xml::Skeleton;
use wecrelay::protocol::wsman::{
    self, Body, Fault, Header, Message, Offer, Policy, Profile, Subcode, Subscription, text,
};

fuzz_target!(|data: &[u8]| {
    let (text, _) = wire::decode_text(data, Charset::Utf8);
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
        answer(&header);
    }
    arrive(&[&clean(&text)]);
});

fn check_event(event: &Cow<'_, str>, text: &str) {
    assert!(!text::has_forbidden(event));
    if let Cow::Borrowed(event) = event {
        let envelope = text.as_bytes().as_ptr_range();
        let part = event.as_bytes().as_ptr_range();
        assert!(envelope.start <= part.start && part.end <= envelope.end);
    }
}

fn clean(text: &str) -> String {
    let cleaned = match text::has_forbidden(text) {
        true => Cow::Owned(text.replace(text::is_forbidden, "\u{fffd}")),
        false => Cow::Borrowed(text),
    };
    text::trim(&cleaned).to_owned()
}

/// Sent by our own source, read by our own collector.
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

fn answer(header: &Header) {
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
    let answer = wsman::enumerate_response(header, &[offer], &mut Uuid::nil);
    relates(&answer.xml, header);
    let related = Header {
        message_id: format!("uuid:{}", Uuid::nil()),
        max_envelope_size: None,
        ..header.clone()
    };
    let answer = wsman::enumerate_response(&related, &[offer], &mut Uuid::nil);
    let offered = source::parse_enumerate_response(&answer.xml, Uuid::nil()).unwrap();
    let returned = offered
        .first()
        .and_then(|offered| offered.bookmark.as_deref());
    assert_eq!(returned, offer.bookmark, "the bookmark that came back");
}

/// Well-formed, and refers to the message byte for byte.
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
