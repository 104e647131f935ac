use super::time::TICKS_PER_SECOND;
use super::*;

const GOOD: &str =
    r#"<BookmarkList><Bookmark Channel="X" RecordId="149161" IsCurrent="true"/></BookmarkList>"#;

/// A bookmark of these positions; the last one is current.
fn bookmark(positions: &[(&str, u64)]) -> Bookmark {
    let item =
        |(channel, id): &(&str, u64)| format!("<Bookmark Channel='{channel}' RecordId='{id}'/>");
    let items: String = positions.iter().map(item).collect();
    Bookmark::parse(&format!("<BookmarkList>{items}</BookmarkList>")).unwrap()
}

fn backward(id: u64) -> Bookmark {
    let xml = format!(
        r#"<BookmarkList Direction="backward"><Bookmark Channel="X" RecordId="{id}" IsCurrent="true"/></BookmarkList>"#
    );
    Bookmark::parse(&xml).unwrap()
}

fn facts(events: &[(&str, u64, u64)]) -> BatchFacts {
    let mut facts = BatchFacts::new();
    for (channel, id, time) in events {
        facts.note(channel, *id, Some(*time));
    }
    facts
}

fn stored(positions: &[(&str, u64)], last_event: u64) -> Stored {
    Stored {
        bookmark: bookmark(positions),
        weak: false,
        last_event: Some(last_event),
    }
}

fn went_back(channel: &str, stored: u64, incoming: u64) -> Verdict {
    let channel = channel.to_owned();
    Verdict::KeepAside(Reason::WentBack {
        channel,
        stored,
        incoming,
    })
}

#[test]
fn a_bookmark_is_read_and_kept_verbatim() {
    let parsed = Bookmark::parse(GOOD).unwrap();
    assert_eq!(parsed.xml(), GOOD);
    assert_eq!(parsed.positions(), [("X".to_owned(), 149_161)]);
    assert_eq!(parsed.current_channel(), Some("X"));
    assert!(!parsed.is_backward());
    assert!(backward(1).is_backward());
}

#[test]
fn what_stands_around_the_list_is_dropped() {
    for around in [
        format!("\r\n {GOOD}\n"),
        format!("<?xml version='1.0'?>{GOOD}<!-- x -->"),
    ] {
        assert_eq!(Bookmark::parse(&around).unwrap().xml(), GOOD);
    }
}

#[test]
fn channels_are_compared_without_case_and_the_highest_id_counts() {
    let parsed = bookmark(&[
        ("System", 7),
        ("application", 3),
        ("SYSTEM", 9),
        ("Setup", 1),
    ]);
    assert_eq!(parsed.position("system"), Some(9));
    assert_eq!(parsed.position("Application"), Some(3));
    assert_eq!(parsed.position("Security"), None);
    assert_eq!(parsed.positions().len(), 3);
}

#[test]
fn entries_without_a_usable_position_stay_in_the_xml_only() {
    let xml = "<BookmarkList><Bookmark RecordId='1'/><Bookmark Channel='X'/><Other Channel='X' RecordId='1'/>\
               <Bookmark Channel='X' RecordId='99999999999999999999'/>text</BookmarkList>";
    let parsed = Bookmark::parse(xml).unwrap();
    assert_eq!(parsed.xml(), xml);
    assert!(parsed.positions().is_empty());
    assert!(
        Bookmark::parse("<BookmarkList/>")
            .unwrap()
            .positions()
            .is_empty()
    );
}

#[test]
fn what_is_no_bookmark_list_is_refused() {
    let wrong = Error::NotABookmarkList {
        name: "Bookmark".to_owned(),
    };
    assert_eq!(Bookmark::parse("<Bookmark/>"), Err(wrong));
    let bad = [
        "",
        "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest",
        "<BookmarkList>",
        "<BookmarkList/><BookmarkList/>",
        "<BookmarkList a='1' a='2'/>",
        "<!DOCTYPE a [<!ENTITY b 'c'>]><BookmarkList>&b;</BookmarkList>",
    ];
    for text in bad {
        assert!(
            matches!(Bookmark::parse(text), Err(Error::Xml(_))),
            "{text}"
        );
    }
}

#[test]
fn a_bookmark_cut_at_any_byte_is_refused() {
    for end in 0..GOOD.len() {
        assert!(Bookmark::parse(&GOOD[..end]).is_err(), "{end}");
    }
}

#[test]
fn the_length_limit_holds_from_both_sides() {
    let frame = "<BookmarkList></BookmarkList>".len();
    let of = |length: usize| {
        format!(
            "<BookmarkList>{}</BookmarkList>",
            " ".repeat(length - frame)
        )
    };
    assert!(Bookmark::parse(&of(MAX_BOOKMARK_BYTES)).is_ok());
    let length = MAX_BOOKMARK_BYTES + 1;
    assert_eq!(Bookmark::parse(&of(length)), Err(Error::TooLong { length }));
}

#[test]
fn deep_nesting_does_no_harm() {
    let depth = 4_000;
    let inner = format!("{}{}", "<a>".repeat(depth), "</a>".repeat(depth));
    let deep = format!("<BookmarkList>{inner}</BookmarkList>");
    for deep in [deep, "<a>".repeat(MAX_BOOKMARK_BYTES / 3)] {
        let error = Bookmark::parse(&deep).unwrap_err();
        assert!(
            matches!(error, Error::Xml(xml::Error::Depth { .. })),
            "{error}"
        );
    }
}

#[test]
fn the_first_bookmark_is_stored_whatever_it_is() {
    let mut with_111 = BatchFacts::new();
    with_111.note_bookmark_event();
    for (incoming, facts, weak) in [
        (bookmark(&[("X", 1)]), BatchFacts::new(), false),
        (backward(1), BatchFacts::new(), true),
        (bookmark(&[("X", 1)]), with_111, true),
    ] {
        assert_eq!(judge(None, &incoming, &facts), Verdict::First);
        assert_eq!(Stored::new(incoming, &facts, None).weak, weak);
    }
}

#[test]
fn a_backward_bookmark_never_replaces_one() {
    let aside = Verdict::KeepAside(Reason::Backward);
    let good = stored(&[("X", 100)], 5);
    let weak = Stored {
        weak: true,
        ..good.clone()
    };
    let events = facts(&[("X", 200, 9)]);
    assert_eq!(judge(Some(&good), &backward(200), &events), aside);
    assert_eq!(judge(Some(&weak), &backward(200), &events), aside);
}

#[test]
fn a_bookmark_with_event_111_never_replaces_one() {
    let mut events = facts(&[("X", 200, 9)]);
    events.note_bookmark_event();
    let verdict = judge(
        Some(&stored(&[("X", 100)], 5)),
        &bookmark(&[("X", 200)]),
        &events,
    );
    assert_eq!(verdict, Verdict::KeepAside(Reason::BookmarkEvent));
}

#[test]
fn any_normal_bookmark_replaces_a_weak_one() {
    let weak = Stored {
        weak: true,
        ..stored(&[("X", 100)], 5)
    };
    assert_eq!(
        judge(Some(&weak), &bookmark(&[("X", 51)]), &BatchFacts::new()),
        Verdict::Replace
    );
}

#[test]
fn a_bookmark_that_goes_on_or_stands_still_replaces() {
    let before = stored(&[("A", 10), ("B", 20)], 5);
    let none = BatchFacts::new();
    for positions in [
        &[("A", 11), ("B", 20)][..],
        &[("a", 10), ("b", 20)],
        &[("A", 10), ("C", 1)],
        &[],
    ] {
        assert_eq!(
            judge(Some(&before), &bookmark(positions), &none),
            Verdict::Replace
        );
    }
}

#[test]
fn a_bookmark_that_goes_back_in_any_channel_is_kept_aside() {
    let before = stored(&[("A", 10), ("B", 20)], 5);
    let none = BatchFacts::new();
    let verdict = judge(Some(&before), &bookmark(&[("A", 500), ("b", 19)]), &none);
    assert_eq!(verdict, went_back("b", 20, 19));
}

#[test]
fn record_ids_go_back_where_the_events_of_the_batch_do() {
    let before = stored(&[("A", 10), ("B", 20)], 5);
    let incoming = bookmark(&[("A", 10), ("B", 3)]);
    let judged = |facts: &BatchFacts| judge(Some(&before), &incoming, facts);
    for events in [[("B", 2, 4), ("b", 3, 5)], [("B", 9, 4), ("B", 3, 1)]] {
        assert_eq!(judged(&facts(&events)), Verdict::Replace, "{events:?}");
    }
    // Another channel's events, or the bookmark of some other batch.
    for events in [[("A", 3, 9)], [("B", 4, 9)], [("B", 2, 9)]] {
        assert_eq!(judged(&facts(&events)), went_back("B", 20, 3), "{events:?}");
    }
}

#[test]
fn the_last_event_time_follows_batches_and_outlives_untimed_ones() {
    let first = Stored::new(bookmark(&[]), &facts(&[("A", 1, 7), ("B", 1, 9)]), None);
    assert_eq!(first.last_event, Some(9));
    let second = Stored::new(bookmark(&[]), &facts(&[("A", 2, 8)]), Some(&first));
    assert_eq!(second.last_event, Some(8));
    let third = Stored::new(bookmark(&[]), &BatchFacts::new(), Some(&second));
    assert_eq!(third.last_event, Some(8));
}

#[test]
fn keys_fold_the_machine_and_part_anonymous_from_authenticated() {
    let subscription = Uuid::from_u128(1);
    let key = |machine: &str| Key::authenticated(subscription, "ACME\\host$", machine).unwrap();
    assert_eq!(key("Host.Example"), key("HOST.example"));
    let anonymous = Key::anonymous(subscription, "host.example").unwrap();
    assert_ne!(key("host.example"), anonymous);
    assert_ne!(
        Key::authenticated(subscription, "", "host.example").unwrap(),
        anonymous
    );
    assert_eq!(anonymous.identity(), None);
}

#[test]
fn an_anonymous_source_must_name_its_machine() {
    let subscription = Uuid::from_u128(1);
    assert_eq!(Key::anonymous(subscription, " "), Err(Error::NoMachineId));
    assert!(Key::authenticated(subscription, "host$", "").is_ok());
}

#[test]
fn the_machine_id_limit_holds_from_both_sides() {
    let of = |length: usize| Key::anonymous(Uuid::from_u128(1), &"a".repeat(length));
    assert!(of(MAX_MACHINE_ID_BYTES).is_ok());
    let length = MAX_MACHINE_ID_BYTES + 1;
    assert_eq!(of(length), Err(Error::MachineIdTooLong { length }));
}

#[test]
fn event_times_are_in_windows_ticks() {
    let unix = 116_444_736_000_000_000;
    for (text, ticks) in [
        ("1601-01-01T00:00:00Z", 0),
        ("1970-01-01T00:00:00.0000001Z", unix + 1),
        ("1970-01-01T00:00:00.1234567899Z", unix + 1_234_567),
        (
            "2000-02-29T23:59:59Z",
            unix + 951_868_799 * TICKS_PER_SECOND,
        ),
        (
            "2000-03-01T00:00:00.000Z",
            unix + 951_868_800 * TICKS_PER_SECOND,
        ),
        (
            "2023-02-14T09:14:23.175Z",
            unix + 1_676_366_063 * TICKS_PER_SECOND + 1_750_000,
        ),
    ] {
        assert_eq!(event_time(text), Some(ticks), "{text}");
    }
}

#[test]
fn what_is_no_event_time_is_none() {
    let good = "2023-02-14T09:14:23.175Z";
    for end in 0..good.len() {
        assert_eq!(event_time(&good[..end]), None, "{end}");
    }
    for text in [
        "1600-12-31T00:00:00Z",
        "2023-13-14T09:14:23Z",
        "2023-02-32T09:14:23Z",
        "2023-02-14T24:14:23Z",
        "2023-02-14T09:60:23Z",
        "2023-02-14T09:14:61Z",
        "2023-02-14T09:14:23.Z",
        "2023-02-14T09:14:23.1x5Z",
        "2023-02-14 09:14:23Z",
        "2023-2-014T09:14:23Z",
        "+023-02-14T09:14:23Z",
        "2023-02-14T09:14:2é.17Z",
    ] {
        assert_eq!(event_time(text), None, "{text}");
    }
}

#[test]
fn errors_and_reasons_say_what_was_wrong() {
    let reason = Reason::WentBack {
        channel: "Security".to_owned(),
        stored: 9,
        incoming: 3,
    };
    assert_eq!(
        reason.to_string(),
        "record id of \"Security\" went back from 9 to 3"
    );
    let error = Bookmark::parse("<a/>").unwrap_err();
    assert_eq!(
        error.to_string(),
        "bookmark begins with \"a\" and not with BookmarkList"
    );
}

#[test]
fn the_spelling_of_an_identity_makes_no_other_source() {
    let key = |identity| Key::authenticated(Uuid::nil(), identity, "WIN10").unwrap();
    assert_eq!(key("WINDOMAIN\\WIN10$"), key("windomain\\Win10$"));
    assert_ne!(key("WINDOMAIN\\WIN10$"), key("WIN10$"));
}
