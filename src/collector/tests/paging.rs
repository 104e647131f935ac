//! More subscriptions than one answer can contain.

use std::time::Duration;

use super::host::Host;
use super::pair::{Pair, seconds, settings};
use crate::client::Reply;
use crate::collector::{ConnId, Settings};
use crate::protocol::wsman::source::{self, Page, Sender};
use crate::protocol::wsman::subscribe::{ContentFormat, EARLIEST, Subscription};

const OUTPUTS: &[&str] = &["tcp://receiver"];
const MANAGER: &str = "/wsman/SubscriptionManager/WEC";
const INVALID: &str = "n:InvalidEnumerationContext";
const LIMIT: &str = "w:EncodingLimit";

/// This many subscriptions, each with a query of this many characters.
fn many(count: usize, characters: usize) -> Settings {
    let subscription = |number: usize| {
        let padding = "x".repeat(characters);
        let query = format!(
            "<QueryList><Query Id=\"0\"><!--{padding}--><Select Path=\"System\">*</Select></Query>\
             </QueryList>"
        );
        Subscription::new(&format!("{number:04}"), &query, ContentFormat::Events)
    };
    Settings {
        subscriptions: (0..count).map(subscription).collect(),
        ..settings()
    }
}

fn pair(count: usize, characters: usize) -> Pair {
    Pair::with_settings(OUTPUTS, many(count, characters), 1)
}

fn names(count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{number:04}")).collect()
}

/// A source's request: Enumerate, or Pull with a context.
#[derive(Clone, Copy)]
struct Wants<'a> {
    context: Option<&'a str>,
    max_envelope_size: u32,
}

const ALL: Wants<'static> = Wants {
    context: None,
    max_envelope_size: 512_000,
};

fn after(page: &Page) -> Wants<'_> {
    Wants {
        context: page.context.as_deref(),
        ..ALL
    }
}

impl Pair {
    fn manager(&mut self, host: &Host) -> ConnId {
        self.connect_client(host, MANAGER)
    }

    #[track_caller]
    fn reply(&mut self, conn: ConnId, envelope: &str) -> Reply {
        self.call(conn, envelope);
        self.peer(conn).replies.pop().unwrap()
    }

    #[track_caller]
    fn ask(&mut self, conn: ConnId, host: &Host, wants: Wants<'_>) -> Result<Page, String> {
        let message = self.new_uuid();
        let sender = Sender {
            max_envelope_size: wants.max_envelope_size,
            ..host.sender("http://collector.example.com:5985/wsman", message)
        };
        let text = match wants.context {
            None => source::enumerate(&sender),
            Some(context) => source::pull(&sender, context),
        };
        let Reply { status, text } = self.reply(conn, &text);
        let text = text.ok_or_else(|| status.to_string())?;
        if status != 200 {
            return Err(fault(status, &text));
        }
        let page = match wants.context {
            None => source::parse_enumerate_response(&text, message),
            Some(_) => source::parse_pull_response(&text, message),
        };
        let octets = 2 * text.encode_utf16().count();
        assert!(octets <= usize::try_from(wants.max_envelope_size).unwrap());
        Ok(page.unwrap())
    }

    /// The complete list on one connection, and the number of answers.
    #[track_caller]
    fn walk(&mut self, host: &Host, max_envelope_size: u32) -> (Vec<source::Offered>, usize) {
        let conn = self.manager(host);
        let mut wants = ALL;
        wants.max_envelope_size = max_envelope_size;
        let mut page = self.ask(conn, host, wants).unwrap();
        let (mut all, mut pages) = (page.offered.clone(), 1);
        while let Some(context) = page.context.clone() {
            let context = Some(&*context);
            page = self.ask(conn, host, Wants { context, ..wants }).unwrap();
            all.append(&mut page.offered);
            pages += 1;
        }
        self.close(conn);
        (all, pages)
    }

    #[track_caller]
    fn release(&mut self, conn: ConnId, host: &Host, context: &str) -> Result<(), String> {
        let message = self.new_uuid();
        let text = source::release(&host.sender("", message), context);
        let Reply { status, text } = self.reply(conn, &text);
        let text = text.unwrap();
        if status != 200 {
            return Err(fault(status, &text));
        }
        source::check_release_response(&text, message).unwrap();
        Ok(())
    }
}

/// The subcode of a fault, which determines its status.
#[track_caller]
fn fault(status: u16, text: &str) -> String {
    let subcode = text.split("<s:Subcode><s:Value>").nth(1).expect(text);
    let subcode = subcode.split('<').next().unwrap().to_owned();
    let receiver = text.contains("<s:Value>s:Receiver</s:Value>");
    assert_eq!(status, if receiver { 500 } else { 400 });
    subcode
}

fn list(offered: &[source::Offered]) -> Vec<String> {
    offered.iter().map(|offered| offered.name.clone()).collect()
}

#[test]
fn a_thousand_subscriptions_come_in_order_each_once() {
    let mut pair = pair(1000, 4000);
    let host = Host::new("a.example.com");
    let (offered, pages) = pair.walk(&host, 512_000);
    assert_eq!(list(&offered), names(1000));
    assert_eq!(pages, 28);
    assert_eq!(pair.collector.counters().enumerations, 1);
    let (again, more) = pair.walk(&host, 160_000);
    let versions = |all: &[source::Offered]| -> Vec<_> {
        all.iter().map(|offered| offered.version.clone()).collect()
    };
    assert_eq!(versions(&again), versions(&offered));
    assert_eq!(more, 91);
}

#[test]
fn each_answer_may_come_from_another_connection_or_relay() {
    let mut relays = [pair(200, 4000), pair(200, 4000)];
    relays[1].collector = {
        let (now, settings) = (relays[1].now, many(200, 4000));
        let urls = vec![crate::output::Settings::parse(OUTPUTS[0]).unwrap()];
        crate::collector::Collector::new(now, settings, urls, [9; 32])
    };
    let host = Host::with_password("a.example.com", "password");
    let mut page = Page::default();
    let mut all = Vec::new();
    for turn in 0..100 {
        let relay = &mut relays[turn % 2];
        let conn = relay.manager(&host);
        let next = relay.ask(conn, &host, after(&page)).unwrap();
        all.extend(list(&next.offered));
        page = next;
        relay.close(conn);
        if page.context.is_none() {
            break;
        }
    }
    assert_eq!(all, names(200));
}

#[test]
fn a_context_that_is_over_is_no_empty_list() {
    let mut pair = pair(100, 4000);
    let host = Host::new("a.example.com");
    let conn = pair.manager(&host);
    let first = pair.ask(conn, &host, ALL).unwrap();
    let second = pair.ask(conn, &host, after(&first)).unwrap();
    let repeated = pair.ask(conn, &host, after(&first)).unwrap();
    let versions = |page: &Page| -> Vec<_> {
        let versions = page.offered.iter().map(|offered| offered.version.clone());
        versions.collect()
    };
    assert_eq!(
        versions(&repeated),
        versions(&second),
        "an answer that was lost"
    );
    let mut last = second;
    while let Some(context) = last.context.clone() {
        let context = Some(&*context);
        let next = pair.ask(conn, &host, Wants { context, ..ALL }).unwrap();
        if next.context.is_none() {
            break;
        }
        last = next;
    }
    assert_eq!(
        pair.ask(conn, &host, after(&last)),
        Err(INVALID.into()),
        "at its end"
    );
    for unknown in ["", "uuid:1", "AQ"] {
        let context = Some(unknown);
        let answer = pair.ask(conn, &host, Wants { context, ..ALL });
        assert_eq!(answer, Err(INVALID.into()), "{unknown:?}");
    }
    let begun = pair.ask(conn, &host, ALL).unwrap();
    let context = begun.context.clone().unwrap();
    assert_eq!(pair.release(conn, &host, &context), Ok(()));
    assert_eq!(
        pair.ask(conn, &host, after(&begun)),
        Err(INVALID.into()),
        "released"
    );
    assert_eq!(pair.release(conn, &host, &context), Err(INVALID.into()));
    assert_eq!(
        pair.ask(conn, &host, ALL).map(|page| page.offered.len()),
        Ok(first.offered.len())
    );
}

#[test]
fn a_context_lives_for_a_minute() {
    let mut pair = pair(100, 4000);
    let host = Host::new("a.example.com");
    let conn = pair.manager(&host);
    let first = pair.ask(conn, &host, ALL).unwrap();
    pair.advance(seconds(59));
    let second = pair.ask(conn, &host, after(&first)).unwrap();
    pair.advance(seconds(59));
    assert!(
        pair.ask(conn, &host, after(&second)).is_ok(),
        "counted from the last answer"
    );
    assert_eq!(pair.ask(conn, &host, after(&first)), Err(INVALID.into()));
    // A change of the clock in the meantime only makes the enumeration start over.
    let begun = pair.ask(conn, &host, ALL).unwrap();
    pair.now.wall -= Duration::from_secs(3600);
    assert_eq!(pair.ask(conn, &host, after(&begun)), Err(INVALID.into()));
    assert!(pair.ask(conn, &host, ALL).is_ok());
}

#[test]
fn a_list_that_has_changed_is_begun_anew() {
    let mut pair = pair(100, 4000);
    let host = Host::new("a.example.com");
    let conn = pair.manager(&host);
    let first = pair.ask(conn, &host, ALL).unwrap();
    pair.collector.replace_settings(many(100, 4000));
    assert!(
        pair.ask(conn, &host, after(&first)).is_ok(),
        "nothing has changed"
    );
    let mut changed = many(100, 4000);
    changed.subscriptions[99].query.push(' ');
    pair.collector.replace_settings(changed);
    assert_eq!(pair.ask(conn, &host, after(&first)), Err(INVALID.into()));
    pair.collector.replace_settings(many(101, 4000));
    let (offered, _) = pair.walk(&host, 512_000);
    assert_eq!(list(&offered), names(101));
}

#[test]
fn the_context_of_another_host_is_none() {
    let mut pair = pair(100, 4000);
    let hosts = [
        Host::new("a.example.com"),
        Host::new("b.example.com"),
        Host::with_password("a.example.com", "password"),
    ];
    let conns = [0, 1, 2].map(|index: usize| pair.manager(&hosts[index]));
    let first = pair.ask(conns[0], &hosts[0], ALL).unwrap();
    for index in 1..3 {
        let answer = pair.ask(conns[index], &hosts[index], after(&first));
        assert_eq!(answer, Err(INVALID.into()));
        let released = pair.release(conns[index], &hosts[index], first.context.as_ref().unwrap());
        assert_eq!(released, Err(INVALID.into()));
    }
    assert!(pair.ask(conns[0], &hosts[0], after(&first)).is_ok());
}

/// One position for each of this many channels.
fn wide_bookmark(channels: usize, record: u64) -> String {
    let channel = |number| {
        format!("<Bookmark Channel=\"Channel-{number:040}/Operational\" RecordId=\"{record}\"/>")
    };
    let positions: String = (0..channels).map(channel).collect();
    format!("<BookmarkList>{positions}</BookmarkList>")
}

#[test]
fn bookmarks_that_grow_take_no_subscription_away() {
    let mut pair = pair(30, 4000);
    let mut host = Host::with_password("a.example.com", "password");
    let (offered, pages) = pair.walk(&host, 512_000);
    assert_eq!((offered.len(), pages), (30, 1));
    for subscription in offered {
        host.offered = Some(subscription);
        pair.hang_up(&mut host);
        let event = host.event(1);
        pair.post_of(&mut host, &[event], Some(&wide_bookmark(250, 1)));
        assert_eq!(pair.answer(&host), Some(200));
    }
    let (offered, pages) = pair.walk(&host, 512_000);
    assert_eq!((list(&offered), pages), (names(30), 5));
    let mut bookmarks = offered
        .iter()
        .filter_map(|offered| offered.bookmark.as_ref());
    assert!(bookmarks.all(|bookmark| bookmark.len() > 20_000));
}

#[test]
fn a_bookmark_that_no_answer_holds_does_not_end_its_subscription() {
    let mut pair = pair(2, 20_000);
    let mut host = Host::with_password("a.example.com", "password");
    let (offered, _) = pair.walk(&host, 64_000);
    let version = offered[0].version.clone();
    host.offered = offered.into_iter().next();
    let event = host.event(1);
    pair.post_of(&mut host, &[event], Some(&wide_bookmark(200, 1)));
    assert_eq!(pair.answer(&host), Some(200));
    let (offered, pages) = pair.walk(&host, 64_000);
    assert_eq!((list(&offered), pages), (names(2), 2));
    // A source with a bookmark of its own continues, since the version is the same; one without
    // gets repeats.
    assert_eq!(offered[0].version, version);
    assert_eq!(offered[0].bookmark.as_deref(), Some(EARLIEST));
}

#[test]
fn what_is_too_large_is_told_and_takes_nothing_else_along() {
    let mut settings = many(60, 4000);
    settings.subscriptions[20]
        .query
        .push_str(&" ".repeat(300_000));
    let mut pair = Pair::with_settings(OUTPUTS, settings, 1);
    let host = Host::new("a.example.com");
    let (offered, _) = pair.walk(&host, 512_000);
    let mut wanted = names(60);
    wanted.remove(20);
    assert_eq!(list(&offered), wanted);
    let is_told = |pair: &Pair| {
        let mut refusals = pair.collector.refusals();
        refusals.any(|refusal| refusal.reason.contains("\"0020\""))
    };
    assert!(is_told(&pair));
    let (offered, _) = pair.walk(&host, 1_000_000);
    assert_eq!(list(&offered), names(60), "it depends on the host");
}

#[test]
fn an_error_is_never_an_empty_list() {
    let mut pair = pair(3, 40_000);
    let host = Host::new("a.example.com");
    let conn = pair.manager(&host);
    for max_envelope_size in [8191, 8192, 60_000] {
        let wants = Wants {
            max_envelope_size,
            ..ALL
        };
        assert_eq!(pair.ask(conn, &host, wants), Err(LIMIT.into()));
    }
}
