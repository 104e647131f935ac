//! The result of decoding any bytes does not depend on how they are split.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::http::request::{Decoder, Progress};
use wecrelay::protocol::http::{Error, Limits, Request};

/// Small limits, so that inputs reach them.
const LIMITS: Limits = Limits {
    head: 512,
    body: 1024,
    headers: 8,
};

fuzz_target!(|data: &[u8]| {
    let whole = decode([data]);
    let (first, second) = places(data);
    let (front, back) = data.split_at(second);
    let (front, middle) = front.split_at(first);
    assert_eq!(
        whole,
        decode([front, middle, back]),
        "cut at {first} and {second}"
    );
    assert_eq!(whole, decode(data.chunks(1)), "byte by byte");
});

/// All requests, and the error that ends them.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Request>, Option<Error>) {
    let mut decoder = Decoder::new(LIMITS);
    let mut requests = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.poll() {
                Ok(Some(request)) => {
                    // A unit of UTF-16 becomes at most three bytes.
                    assert!(request.body.held() <= LIMITS.body / 2 * 3);
                    assert!(request.head.headers.len() <= LIMITS.headers);
                    requests.push(request);
                }
                Ok(None) => break,
                Err(error) => {
                    assert_eq!(decoder.poll(), Err(error), "an error is final");
                    assert_eq!(decoder.buffered(), 0);
                    assert!((400..600).contains(&error.status()));
                    return (requests, Some(error));
                }
            }
        }
        if decoder.progress() == Progress::Idle {
            assert_eq!(decoder.buffered(), 0);
        }
    }
    (requests, None)
}

/// Two positions to split at, in order, which depend only on the data.
fn places(data: &[u8]) -> (usize, usize) {
    let mix = |sum: usize, byte: &u8| (sum ^ usize::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    let hash = data.iter().fold(0xcbf2, mix);
    let (a, b) = (hash % (data.len() + 1), (hash >> 24) % (data.len() + 1));
    (a.min(b), a.max(b))
}
