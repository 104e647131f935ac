//! Subscription files: an accepted file can be offered, and a source parses it as intended.
#![no_main]

use libfuzzer_sys::fuzz_target;
use uuid::Uuid;
use wecrelay::files::subscriptions::{self, Parsed};
use wecrelay::protocol::wsman::{Fit, Header, Offer, Page, Policy, Portion, Profile, source};

fuzz_target!(|text: &str| {
    let Ok(Parsed { subscription, .. }) = subscriptions::parse(text, "fuzz.xml") else {
        return;
    };
    let policy = Policy {
        profiles: vec![Profile::HttpSpnegoKerberos],
    };
    let url = "http://collector.example.test:5985/wsman/subscriptions/1";
    let header = Header {
        message_id: format!("uuid:{}", Uuid::nil()),
        max_envelope_size: Some(u32::MAX),
        ..Header::default()
    };
    let offer = Offer {
        subscription: &subscription,
        url,
        policy: &policy,
        bookmark: None,
    };
    let mut page = Page::new(&header, Portion::default(), Uuid::nil()).unwrap();
    assert_eq!(page.push(&offer, &mut Uuid::nil), Fit::Taken);
    let answer = page.finish(None);
    let read = source::parse_enumerate_response(&answer, Uuid::nil()).unwrap();
    let [offered] = &read.offered[..] else {
        panic!("{} subscriptions", read.offered.len());
    };
    assert_eq!(offered.name, *subscription.name);
    assert_eq!(offered.content_format, subscription.content_format);
    assert_eq!(offered.notify_to, url);
    assert_eq!(offered.max_elements, subscription.max_elements);
    assert_eq!(offered.heartbeat, Some(subscription.heartbeat));
    assert_eq!(offered.max_time, Some(subscription.max_time));
    assert_eq!(offered.query, subscription.query);
});
