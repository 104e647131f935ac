//! Bookmarks: parsing a written or stored bookmark returns the same value.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::bookmark::{
    BatchFacts, Bookmark, Error, Judgement, MAX_BOOKMARK_BYTES, Rules, Stored, event_time, judge,
};

fuzz_target!(|text: &str| {
    let _ = event_time(text);
    let Ok(bookmark) = Bookmark::parse(text) else {
        return;
    };
    let written = bookmark.to_xml();
    match Bookmark::parse(&written) {
        Ok(again) => {
            assert_eq!(again, bookmark);
            assert_eq!(again.to_xml(), written);
        }
        Err(error) => {
            assert!(matches!(error, Error::TooLong { .. }), "{error}");
            assert!(written.len() > MAX_BOOKMARK_BYTES);
        }
    }
    for position in bookmark.positions() {
        assert_eq!(bookmark.position(&position.channel), Some(position.record));
    }
    let rules = Rules {
        is_proved: true,
        reads_existing: false,
    };
    let Judgement { stored, refused } = judge(None, &bookmark, &BatchFacts::new(), rules);
    assert_eq!(
        stored.is_none(),
        bookmark.positions().is_empty() || !refused.is_empty()
    );
    if let Some(stored) = stored {
        assert_eq!(Stored::parse(&stored.to_xml(), false).as_ref(), Ok(&stored));
        let direction = " Direction=\"backward\"";
        assert_eq!(
            stored.offer(false),
            Some(written.replacen(direction, "", 1))
        );
    }
});
