//! Bookmarks: reading one again changes nothing, and the guard never loses one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::bookmark::{BatchFacts, Bookmark, Stored, Verdict, event_time, judge};

fuzz_target!(|text: &str| {
    let _ = event_time(text);
    let Ok(bookmark) = Bookmark::parse(text) else {
        return;
    };
    assert!(text.contains(bookmark.xml()));
    assert_eq!(Bookmark::parse(bookmark.xml()).as_ref(), Ok(&bookmark));
    for (channel, id) in bookmark.positions() {
        assert_eq!(bookmark.position(channel), Some(*id));
    }
    let facts = BatchFacts::new();
    assert!(matches!(judge(None, &bookmark, &facts), Verdict::First));
    let stored = Stored::new(bookmark.clone(), &facts, None);
    let verdict = judge(Some(&stored), &bookmark, &facts);
    assert_eq!(
        matches!(verdict, Verdict::Replace),
        !bookmark.is_backward(),
        "{verdict:?}"
    );
});
