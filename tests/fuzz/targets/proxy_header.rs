//! PROXY headers: splits and following data do not matter, and a rejected header stays rejected.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::proxy::{self, Header, MAX_HEADER};

fuzz_target!(|data: &[u8]| {
    let whole = Header::parse(data);
    for cut in 0..data.len().min(MAX_HEADER) {
        let Some(front) = data.get(..cut) else { return };
        match Header::parse(front) {
            Ok(None) => assert!(front.is_empty() || proxy::is_start(front)),
            told => assert_eq!(told, whole, "cut at {cut}"),
        }
    }
    let Ok(Some(header)) = whole else { return };
    assert!(header.size <= data.len().min(MAX_HEADER));
    let short = data.get(..header.size - 1).unwrap_or_default();
    assert_eq!(Header::parse(short), Ok(None));
    let Some(source) = header.source else { return };
    let family = if source.is_ipv4() { 4 } else { 6 };
    let text = format!("PROXY TCP{family} {source} {source} 0 65535\r\n");
    let again = Header::parse(text.as_bytes()).expect("a header");
    assert_eq!(again.and_then(|header| header.source), Some(source));
});
