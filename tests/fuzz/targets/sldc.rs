//! Any bytes as an SLDC record, and any bytes compressed and expanded again.
#![no_main]

#[path = "../../../src/protocol/sldc/ring.rs"]
mod ring;

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::sldc::{self, Error};

/// Size of the history buffer of the simple decoder.
const HISTORY: usize = 1024;

/// Limit of the expanded size of a record.
const CAP: usize = 1 << 16;

fuzz_target!(|data: &[u8]| {
    agrees(data);
    if let Ok(text) = sldc::decode(data, CAP) {
        assert!(text.len() <= CAP, "more than the cap");
        let exact = sldc::decode(data, text.len());
        assert_eq!(exact.as_deref(), Ok(&*text), "a cap of just the length");
        if let Some(less) = text.len().checked_sub(1) {
            assert_eq!(sldc::decode(data, less), Err(Error::TooLong { cap: less }));
        }
        comes_back(&text);
    }
    comes_back(data);
});

fn comes_back(text: &[u8]) {
    let packed = sldc::encode(text);
    assert!(!sldc::is_plain(&packed), "a record taken for plain text");
    assert_eq!(sldc::decode(&packed, text.len()).as_deref(), Ok(text));
}

/// The result is the same as with a simple decoder, which does not require an initial scheme.
fn agrees(data: &[u8]) {
    match (sldc::decode(data, CAP), ring::decode(data, CAP)) {
        (Err(Error::NoScheme { .. }), _) => {}
        (Ok(text), plain) => assert_eq!(Ok(text), plain),
        (Err(error), plain) => assert!(plain.is_err(), "only the plain decoder reads it: {error}"),
    }
}
