//! Bookmarks by channel: the guard changes only positions that it may change, and loses no channel.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::bookmark::{BatchFacts, Bookmark, FORWARDED_EVENTS, Rules, Stored, judge};

// Lists, each with the events of its batch, in parts separated by lines of "--": a list, then
// events, one "CHANNEL RECORD" per line, "111" for the bookmark event, and the flags "proved"
// and "existing".
fuzz_target!(|text: &str| {
    let mut kept = None;
    let mut parts = text.split("\n--\n");
    while let Some(list) = parts.next() {
        let events = parts.next().unwrap_or_default();
        let has = |word| events.lines().any(|line| line == word);
        let rules = Rules {
            is_proved: has("proved"),
            reads_existing: has("existing"),
        };
        let Ok(incoming) = Bookmark::parse(list) else {
            continue;
        };
        let facts = facts(events);
        check_guard(kept.as_ref(), &incoming, &facts, rules);
        kept = judge(kept.as_ref(), &incoming, &facts, rules)
            .stored
            .or(kept);
    }
});

fn facts(events: &str) -> BatchFacts {
    let mut facts = BatchFacts::new();
    for line in events.lines() {
        match line.rsplit_once(' ') {
            Some((channel, record)) => {
                if let Ok(record) = record.parse() {
                    facts.note(channel, record, None);
                }
            }
            None if line == "111" => facts.note_bookmark_event(),
            None => {}
        }
    }
    facts
}

fn check_guard(before: Option<&Stored>, incoming: &Bookmark, facts: &BatchFacts, rules: Rules) {
    let judgement = judge(before, incoming, facts, rules);
    let Some(after) = &judgement.stored else {
        return;
    };
    assert_eq!(Stored::parse(&after.to_xml(), false).as_ref(), Ok(after));
    if let Some(offer) = after
        .offer(false)
        .and_then(|offer| Bookmark::parse(&offer).ok())
    {
        assert_eq!(offer.positions().len(), after.held().len());
    }
    for held in before.map(Stored::held).unwrap_or_default() {
        let channel = &held.position.channel;
        let known = held.position.record;
        let now = after.position(channel).expect("a channel got lost");
        let runs = facts
            .channels()
            .find(|(name, _)| name.eq_ignore_ascii_case(channel));
        let runs = runs.map(|(_, runs)| runs);
        let is_read = runs.is_some_and(|runs| (runs.least..=runs.most).contains(&now));
        if now < known {
            assert!(held.is_weak || is_read, "{channel} went back to {now}");
        }
        if now > known && !rules.is_proved && !channel.eq_ignore_ascii_case(FORWARDED_EVENTS) {
            assert!(
                runs.is_some_and(|runs| now <= runs.most),
                "{channel} went to {now}"
            );
        }
        if !rules.is_proved && !facts.has_events() {
            assert_eq!(now, known, "nothing moves nothing");
        }
    }
    // A bookmark that was accepted once is accepted again.
    let again = judge(Some(after), incoming, facts, rules).stored;
    if let Some(again) = again {
        for held in again.held() {
            let now = after.position(&held.position.channel);
            assert_eq!(now, Some(held.position.record));
        }
    }
}
