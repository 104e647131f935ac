//! Answers of a helper: splits do not matter, only a complete positive answer with a key
//! authenticates, and no value can add a line to a request.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::auth::Verdict;
use wecrelay::auth::ntlm_helper::protocol::{Answer, Decoder, Error, emit};
use wecrelay::protocol::ntlm::Question;

/// Answers with their keys, and the error that ended them.
fn decode(pieces: &[&[u8]]) -> (Vec<String>, Option<Error>) {
    let mut decoder = Decoder::default();
    let mut answers = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        loop {
            match decoder.poll() {
                Ok(Some(answer)) => answers.push(shown(answer)),
                Ok(None) => break,
                Err(error) => return (answers, Some(error)),
            }
        }
    }
    (answers, None)
}

fn shown(answer: Answer) -> String {
    let key = match &answer {
        Answer::Authenticated(key) => key.as_ref().map(|key| *key.as_bytes()),
        _ => None,
    };
    let text = format!("{answer:?}, key {key:?}");
    let proven = matches!(answer.verdict(), Verdict::Proven(_));
    assert_eq!(proven, key.is_some_and(|key| key != [0; 16]));
    text
}

fuzz_target!(|data: &[u8]| {
    let whole = decode(&[data]);
    let cut = data
        .first()
        .map_or(0, |byte| usize::from(*byte) % data.len());
    let (front, back) = data.split_at(cut);
    assert_eq!(decode(&[front, back]), whole);
    let bytes: Vec<_> = data.chunks(1).collect();
    assert_eq!(decode(&bytes), whole);

    let name = String::from_utf8_lossy(data);
    let question = Question {
        user: name.to_string(),
        domain: name.to_string(),
        challenge: [7; 8],
        response: data.to_vec(),
    };
    let lines = emit(&question);
    let count = if name.is_empty() { 4 } else { 6 };
    assert_eq!(lines.iter().filter(|byte| **byte == b'\n').count(), count);
    assert!(lines.is_ascii() && lines.ends_with(b"\n.\n"));
});
