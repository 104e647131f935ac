use super::*;
use crate::base::clock::FileTime;

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
        facts.note(channel, *id, Some(FileTime::new(*time)));
    }
    facts
}

fn stored(positions: &[(&str, u64)]) -> Stored {
    Stored::new(&bookmark(positions), &BatchFacts::new())
}

fn weak(positions: &[(&str, u64)]) -> Stored {
    let mut with_111 = BatchFacts::new();
    with_111.note_bookmark_event();
    Stored::new(&bookmark(positions), &with_111)
}

const PROVED: Rules = Rules {
    is_proved: true,
    reads_existing: false,
};
const ANONYMOUS: Rules = Rules {
    is_proved: false,
    reads_existing: false,
};

fn went_back(channel: &str, stored: u64, incoming: u64) -> Reason {
    let channel = channel.to_owned();
    Reason::WentBack {
        channel,
        stored,
        incoming,
    }
}

fn beyond(channel: &str, incoming: u64, now: u64) -> Reason {
    let channel = channel.to_owned();
    Reason::Beyond {
        channel,
        incoming,
        now,
    }
}

/// The positions after a bookmark, and why not all of it was taken.
fn judged(
    before: &Stored,
    incoming: &Bookmark,
    facts: &BatchFacts,
    rules: Rules,
) -> (Vec<(String, u64)>, Vec<Reason>) {
    let Judgement { stored, refused } = judge(Some(before), incoming, facts, rules);
    let stored = stored.unwrap_or_else(|| before.clone());
    let mut positions: Vec<_> = stored
        .held()
        .iter()
        .map(|held| (held.position.channel.clone(), held.position.record))
        .collect();
    positions.sort();
    (positions, refused)
}

fn at(positions: &[(&str, u64)]) -> Vec<(String, u64)> {
    let positions = positions.iter();
    positions
        .map(|(channel, record)| ((*channel).to_owned(), *record))
        .collect()
}

#[test]
fn a_bookmark_is_read_and_written_in_one_form() {
    let parsed = Bookmark::parse(GOOD).unwrap();
    assert_eq!(parsed.to_xml(), GOOD);
    assert_eq!(parsed.position("X"), Some(149_161));
    assert_eq!(parsed.current_channel(), Some("X"));
    assert!(!parsed.is_backward());
    assert!(backward(1).is_backward());
    assert!(backward(1).to_xml().contains(" Direction=\"backward\""));
    for other in [
        format!("\r\n {GOOD}\n"),
        format!("<?xml version='1.0'?>{GOOD}<!-- x -->"),
        "<BookmarkList a='b'><!-- x --> <Bookmark IsCurrent='TRUE' RecordId=' 149161 '\n Channel='X'>\
         <a/></Bookmark>text<Other/></BookmarkList>"
            .to_owned(),
        "<x:BookmarkList xmlns:x='y'><x:Bookmark Channel='X' RecordId='149161' IsCurrent='true'/>\
         </x:BookmarkList>"
            .to_owned(),
    ] {
        assert_eq!(Bookmark::parse(&other).unwrap().to_xml(), GOOD, "{other}");
    }
}

#[test]
fn what_is_written_is_read_to_the_same_value() {
    let names = ["a", "Ä/Ö", "a&b<c>\"d\"'e'", "tab\tline\nend\r"];
    let escaped = |name: &str| {
        let name = name.replace('&', "&amp;").replace('<', "&lt;");
        let name = name.replace('"', "&quot;").replace('\t', "&#9;");
        name.replace('\n', "&#10;").replace('\r', "&#13;")
    };
    for current in 0..=names.len() {
        let items = names.iter().enumerate().map(|(at, name)| {
            let name = escaped(name);
            let is_current = at == current;
            format!("<Bookmark Channel=\"{name}\" RecordId=\"{at}\" IsCurrent=\"{is_current}\"/>")
        });
        let xml = format!("<BookmarkList>{}</BookmarkList>", items.collect::<String>());
        let read = Bookmark::parse(&xml).unwrap();
        assert_eq!(read.position(names[3]), Some(3));
        let written = read.to_xml();
        assert_eq!(Bookmark::parse(&written).unwrap(), read);
        assert_eq!(Bookmark::parse(&written).unwrap().to_xml(), written);
        let stored = judge(None, &read, &BatchFacts::new(), PROVED)
            .stored
            .unwrap();
        assert_eq!(stored.offer(false), Some(written));
        assert_eq!(Stored::parse(&stored.to_xml(), false), Ok(stored));
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
fn entries_without_a_usable_position_are_dropped() {
    let xml = "<BookmarkList><Bookmark RecordId='1'/><Bookmark Channel='X'/><Other Channel='X' RecordId='1'/>\
               <Bookmark Channel='X' RecordId='99999999999999999999'/><Bookmark Channel=' ' RecordId='1'/>\
               text</BookmarkList>";
    let parsed = Bookmark::parse(xml).unwrap();
    assert!(parsed.positions().is_empty());
    let judgement = judge(None, &parsed, &BatchFacts::new(), PROVED);
    assert_eq!(judgement.stored, None, "an empty list would replay all");
}

#[test]
fn the_limits_of_channels_hold_from_both_sides() {
    let of = |count: usize, length: usize| {
        let name = "x".repeat(length - 3);
        let item = |at| format!("<Bookmark Channel='{name}{at:03}' RecordId='1'/>");
        let items: String = (0..count).map(item).collect();
        Bookmark::parse(&format!("<BookmarkList>{items}</BookmarkList>"))
    };
    assert_eq!(
        of(MAX_CHANNELS, 10).unwrap().positions().len(),
        MAX_CHANNELS
    );
    let count = MAX_CHANNELS + 1;
    assert_eq!(of(count, 10), Err(Error::TooManyChannels { count }));
    assert!(of(1, MAX_CHANNEL_CHARS).is_ok());
    let length = MAX_CHANNEL_CHARS + 1;
    assert_eq!(of(1, length), Err(Error::ChannelTooLong { length }));
}

#[test]
fn what_is_kept_of_a_host_never_outgrows_what_it_may_send() {
    let mut kept = stored(&[("first", 1)]);
    for round in 0..40 {
        let names: Vec<_> = (0..10).map(|i| format!("{round}-{i}")).collect();
        let incoming: Vec<_> = names.iter().map(|name| (name.as_str(), 1)).collect();
        let judgement = judge(
            Some(&kept),
            &bookmark(&incoming),
            &BatchFacts::new(),
            PROVED,
        );
        let is_full = kept.held().len() == MAX_CHANNELS;
        let is_refused = judgement.refused.iter();
        let mut is_refused = is_refused.map(|r| matches!(r, Reason::TooManyChannels { .. }));
        assert!(!is_full || is_refused.all(|is| is) && judgement.refused.len() == 10);
        kept = judgement.stored.unwrap_or(kept);
    }
    assert_eq!(kept.held().len(), MAX_CHANNELS);
    assert_eq!(kept.position("first"), Some(1));
    let long = "y".repeat(MAX_CHANNEL_CHARS);
    let mut kept = Stored::default();
    for round in 0..MAX_CHANNELS {
        let name = format!("{round}{long}")
            .chars()
            .take(MAX_CHANNEL_CHARS)
            .collect::<String>();
        let incoming = bookmark(&[(&name, 1)]);
        kept = judge(Some(&kept), &incoming, &BatchFacts::new(), PROVED)
            .stored
            .unwrap_or(kept);
    }
    let length = kept.offer(false).unwrap().len();
    assert!(
        (MAX_BOOKMARK_BYTES / 2..=MAX_BOOKMARK_BYTES).contains(&length),
        "{length}"
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
            matches!(error, Error::Xml(crate::base::xml::Error::Depth { .. })),
            "{error}"
        );
    }
}

#[test]
fn the_first_bookmark_is_stored_whatever_it_is() {
    let mut with_111 = BatchFacts::new();
    with_111.note_bookmark_event();
    for rules in [PROVED, ANONYMOUS] {
        for (incoming, facts, is_weak) in [
            (bookmark(&[("X", 1)]), BatchFacts::new(), false),
            (backward(1), BatchFacts::new(), true),
            (bookmark(&[("X", 1)]), with_111.clone(), true),
        ] {
            let Judgement { stored, refused } = judge(None, &incoming, &facts, rules);
            assert_eq!(
                (stored.unwrap().held()[0].is_weak, refused.len()),
                (is_weak, 0)
            );
        }
    }
}

#[test]
fn where_existing_events_are_read_event_111_says_nothing() {
    let rules = Rules {
        reads_existing: true,
        ..PROVED
    };
    let mut with_111 = BatchFacts::new();
    with_111.note_bookmark_event();
    for (incoming, facts, reason) in [
        (backward(7), BatchFacts::new(), Reason::Backward),
        (bookmark(&[("X", 7)]), with_111, Reason::BookmarkEvent),
    ] {
        let judgement = judge(None, &incoming, &facts, rules);
        assert_eq!((judgement.stored, judgement.refused), (None, vec![reason]));
    }
    // Nor what was stored while the subscription said otherwise.
    let before = weak(&[("X", 7)]);
    assert_eq!(before.offer(true), None);
    assert!(before.offer(false).unwrap().contains("RecordId=\"7\""));
    let incoming = bookmark(&[("Y", 1)]);
    let mixed = judge(Some(&before), &incoming, &BatchFacts::new(), rules)
        .stored
        .unwrap();
    let offered = Bookmark::parse(&mixed.offer(true).unwrap()).unwrap();
    assert_eq!(
        (offered.position("X"), offered.position("Y")),
        (None, Some(1))
    );
}

#[test]
fn a_position_of_event_111_never_replaces_a_known_one() {
    let mut with_111 = facts(&[("X", 200, 9)]);
    with_111.note_bookmark_event();
    for before in [stored(&[("X", 100)]), weak(&[("X", 100)])] {
        for (incoming, facts, reason) in [
            (backward(200), facts(&[("X", 200, 9)]), Reason::Backward),
            (
                bookmark(&[("X", 200)]),
                with_111.clone(),
                Reason::BookmarkEvent,
            ),
        ] {
            let found = judged(&before, &incoming, &facts, PROVED);
            assert_eq!(found, (at(&[("X", 100)]), vec![reason]));
        }
    }
    // What says again what is known is no trouble.
    let found = judged(
        &stored(&[("X", 200)]),
        &bookmark(&[("X", 200)]),
        &with_111,
        PROVED,
    );
    assert_eq!(found, (at(&[("X", 200)]), vec![]));
}

#[test]
fn any_normal_position_replaces_a_weak_one() {
    let before = weak(&[("X", 100)]);
    let incoming = bookmark(&[("X", 51)]);
    let found = judged(&before, &incoming, &BatchFacts::new(), PROVED);
    assert_eq!(found, (at(&[("X", 51)]), vec![]));
    let found = judged(&before, &incoming, &facts(&[("X", 51, 1)]), ANONYMOUS);
    assert_eq!(found, (at(&[("X", 51)]), vec![]));
}

#[test]
fn what_goes_on_or_stands_still_replaces_and_no_channel_gets_lost() {
    let before = stored(&[("A", 10), ("B", 20)]);
    let none = BatchFacts::new();
    for (incoming, after) in [
        (&[("A", 11), ("B", 20)][..], &[("A", 11), ("B", 20)][..]),
        (&[("a", 10), ("b", 20)], &[("a", 10), ("b", 20)]),
        (&[("A", 10), ("C", 1)], &[("A", 10), ("B", 20), ("C", 1)]),
        (&[], &[("A", 10), ("B", 20)]),
    ] {
        let found = judged(&before, &bookmark(incoming), &none, PROVED);
        assert_eq!(found, (at(after), vec![]), "{incoming:?}");
    }
}

#[test]
fn a_channel_that_goes_back_freezes_only_itself() {
    let before = stored(&[("A", 10), ("B", 20), ("C", 30)]);
    let incoming = bookmark(&[("A", 500), ("b", 19), ("C", 31)]);
    let found = judged(&before, &incoming, &BatchFacts::new(), PROVED);
    let after = at(&[("A", 500), ("B", 20), ("C", 31)]);
    assert_eq!(found, (after, vec![went_back("b", 20, 19)]));
}

#[test]
fn record_ids_go_back_where_the_events_of_the_batch_do() {
    let before = stored(&[("A", 10), ("B", 20)]);
    let incoming = bookmark(&[("A", 10), ("B", 3)]);
    for rules in [PROVED, ANONYMOUS] {
        for events in [[("B", 2, 4), ("b", 3, 5)], [("B", 9, 4), ("B", 3, 1)]] {
            let found = judged(&before, &incoming, &facts(&events), rules);
            assert_eq!(found, (at(&[("A", 10), ("B", 3)]), vec![]), "{events:?}");
        }
        // Another channel's events, or the bookmark of some other batch.
        for events in [[("A", 3, 9)], [("B", 4, 9)], [("B", 2, 9)]] {
            let found = judged(&before, &incoming, &facts(&events), rules);
            let after = at(&[("A", 10), ("B", 20)]);
            assert_eq!(found, (after, vec![went_back("B", 20, 3)]), "{events:?}");
        }
    }
}

#[test]
fn without_an_identity_a_known_position_goes_as_far_as_the_events() {
    let before = stored(&[("A", 10), ("B", 20)]);
    let found = |incoming: &[(&str, u64)], events: &[(&str, u64, u64)]| {
        judged(&before, &bookmark(incoming), &facts(events), ANONYMOUS)
    };
    // All of it, some of it, none of it.
    let events = [("A", 11, 1), ("A", 12, 1)];
    assert_eq!(
        found(&[("A", 12)], &events),
        (at(&[("A", 12), ("B", 20)]), vec![])
    );
    let moved = found(&[("A", 99), ("B", 20)], &events);
    assert_eq!(
        moved,
        (at(&[("A", 12), ("B", 20)]), vec![beyond("A", 99, 12)])
    );
    let moved = found(&[("A", 12), ("B", 99)], &events);
    assert_eq!(
        moved,
        (at(&[("A", 12), ("B", 20)]), vec![beyond("B", 99, 20)])
    );
    // A batch without events moves nothing, and says nothing by what is known.
    let moved = found(&[("A", 9_999_999_999)], &[]);
    assert_eq!(
        moved,
        (
            at(&[("A", 10), ("B", 20)]),
            vec![beyond("A", 9_999_999_999, 10)]
        )
    );
    assert_eq!(
        found(&[("A", 10), ("B", 20)], &[]),
        (at(&[("A", 10), ("B", 20)]), vec![])
    );
    // What is not known is taken, so that no channel is missing in the list.
    let (positions, refused) = found(&[("A", 12), ("C", 7)], &events);
    assert_eq!(
        (positions, refused),
        (at(&[("A", 12), ("B", 20), ("C", 7)]), vec![])
    );
    // Whoever proved who it is may say where it stands.
    let proved = judged(&before, &bookmark(&[("A", 99)]), &facts(&[]), PROVED);
    assert_eq!(proved, (at(&[("A", 99), ("B", 20)]), vec![]));
}

#[test]
fn an_empty_batch_without_identity_moves_no_weak_position_either() {
    let before = weak(&[("X", 100)]);
    let none = BatchFacts::new();
    for record in [51, 100, 300] {
        let incoming = bookmark(&[("X", record)]);
        let Judgement { stored, refused } = judge(Some(&before), &incoming, &none, ANONYMOUS);
        assert_eq!(stored, None);
        assert_eq!(refused.len(), usize::from(record != 100));
    }
}

#[test]
fn the_log_of_forwarded_events_is_moved_by_events_of_other_logs() {
    let before = stored(&[("ForwardedEvents", 10), ("Security", 5)]);
    let incoming = bookmark(&[("forwardedevents", 90), ("Security", 5)]);
    let events = facts(&[("Security", 3, 1), ("Application", 70_000, 1)]);
    let found = judged(&before, &incoming, &events, ANONYMOUS);
    assert_eq!(
        found,
        (at(&[("Security", 5), ("forwardedevents", 90)]), vec![])
    );
    // Not even that by nothing.
    let (_, refused) = judged(&before, &incoming, &BatchFacts::new(), ANONYMOUS);
    assert_eq!(refused, [beyond("forwardedevents", 90, 10)]);
}

#[test]
fn a_list_of_version_0_1_is_read_as_it_was() {
    let before =
        r#"<BookmarkList Direction="backward"><Bookmark Channel="X" RecordId="7"/></BookmarkList>"#;
    assert!(Stored::parse(before, true).unwrap().held()[0].is_weak);
    assert_eq!(
        Stored::parse(GOOD, false).unwrap().read_up_to("x"),
        Some(149_161)
    );
    assert!(Stored::parse("<Bookm", false).is_err());
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
    const TICKS_PER_SECOND: u64 = FileTime::TICKS_PER_SECOND;
    let unix = FileTime::UNIX_EPOCH.ticks();
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
        assert_eq!(event_time(text), Some(FileTime::new(ticks)), "{text}");
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

/// Whether the fast reader takes it; panics if the general one then differs.
fn is_fast(text: &str) -> bool {
    let Some((entries, backward)) = fast::read(text) else {
        return false;
    };
    let mut all = Vec::new();
    let general = list::read_generally(text, &mut |entry| all.push(entry));
    assert_eq!((general, all), (Ok(backward), entries), "{text}");
    true
}

const USUAL: &str = "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"77\" \
     IsCurrent=\"true\"/><Bookmark Channel=\"A/é\" RecordId=\"0\"/></BookmarkList>";

#[test]
fn what_windows_sends_is_read_fast() {
    assert!(is_fast(USUAL));
    assert!(is_fast("<BookmarkList></BookmarkList>"));
    assert!(is_fast(
        &USUAL
            .replace("List>", "List Direction=\"backward\">")
            .replace("</BookmarkList Direction=\"backward\">", "</BookmarkList>")
    ));
    assert!(is_fast(
        &USUAL.replace("\"true\"/>", "\"false\" Weak=\"true\"/>")
    ));
    for other in [
        USUAL.replace("77", "x"),
        USUAL.replace("Security", "&amp;"),
        USUAL.replace("Security", " "),
        USUAL.replace('"', "'"),
        USUAL.replace("<Bookmark ", "<Bookmark  "),
        format!("{USUAL} "),
        format!(" {USUAL}"),
    ] {
        assert!(!is_fast(&other), "{other}");
    }
}

#[test]
fn both_readers_agree_on_any_change() {
    let pieces = [
        "",
        " ",
        "\n",
        "<",
        "&",
        "\"",
        "0",
        "-1",
        "+1",
        "\u{ffff}",
        "TRUE",
        " Weak=\"true\"",
    ];
    for at in 0..=USUAL.len() {
        for gone in 0..3 {
            for piece in pieces {
                let parts = (USUAL.get(..at), USUAL.get(at + gone..));
                if let (Some(before), Some(after)) = parts {
                    is_fast(&format!("{before}{piece}{after}"));
                }
            }
        }
    }
}
