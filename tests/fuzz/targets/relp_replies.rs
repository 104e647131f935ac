//! Replies of a RELP receiver: splits do not matter, each message gets at most one answer,
//! and no message is delivered that the receiver has not confirmed.
#![no_main]

use std::time::Instant;

use libfuzzer_sys::fuzz_target;
use wecrelay::protocol::relp::{Answer, Client, Error, parse};

/// Messages in flight, with their transaction numbers as keys; `open` is the first transaction.
const KEYS: std::ops::Range<u64> = 2..22;

fuzz_target!(|data: &[u8]| {
    let (answers, result) = play(data, data.len().max(1));
    for size in [1, 3, 64] {
        assert_eq!(play(data, size), (answers.clone(), result.clone()));
    }
    let mut answered = Vec::new();
    for answer in answers {
        let (Answer::Accepted(key) | Answer::Refused(key, _)) = answer else {
            continue;
        };
        assert!(KEYS.contains(&key) && !answered.contains(&key));
        answered.push(key);
        let confirmed = confirms(data, key);
        assert_eq!(confirmed, answer == Answer::Accepted(key), "{key}");
    }
});

/// Whether the first answer to the transaction is positive.
fn confirms(mut data: &[u8], transaction: u64) -> bool {
    while let Ok(Some((frame, length))) = parse(data) {
        if u64::from(frame.transaction) == transaction && frame.command == b"rsp" {
            return frame.data.starts_with(b"200");
        }
        data = &data[length..];
    }
    false
}

/// A session in which the receiver sends `data` in pieces of this size, after the answer to
/// `open`.
fn play(data: &[u8], size: usize) -> (Vec<Answer>, Result<(), Error>) {
    let mut client = Client::new();
    let mut answers = Vec::new();
    let first = match parse(data) {
        Ok(Some((_, length))) => length,
        _ => data.len(),
    };
    let mut result = client.handle(&data[..first], &mut answers);
    if client.has_room() {
        let now = Instant::now();
        KEYS.for_each(|key| client.send(key, now, b"<13>1 - - - - - -"));
    }
    for piece in data[first..].chunks(size) {
        result = result.and_then(|()| client.handle(piece, &mut answers));
    }
    check_waiting(&client, &answers);
    check_frames(client.outgoing());
    (answers, result)
}

/// Answered messages no longer wait, and all others still do.
fn check_waiting(client: &Client, answers: &[Answer]) {
    let is_of = |answer: &Answer, key: u64| matches!(answer, Answer::Accepted(k) | Answer::Refused(k, _) if *k == key);
    for key in client.waiting() {
        assert!(KEYS.contains(&key));
        assert!(!answers.iter().any(|answer| is_of(answer, key)), "{key}");
    }
}

/// The written data consists of frames with consecutive numbers.
fn check_frames(mut written: &[u8]) {
    for number in 1.. {
        let Some((frame, length)) = parse(written).expect("our own frames") else {
            break;
        };
        assert_eq!(frame.transaction, number);
        written = &written[length..];
    }
    assert!(written.is_empty());
}
