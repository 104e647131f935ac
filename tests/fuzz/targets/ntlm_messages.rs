//! NTLM messages: a parsed message is the same after it is written and parsed again.
#![no_main]

use libfuzzer_sys::fuzz_target;
use wecrelay::base::clock::FileTime;
use wecrelay::protocol::ntlm::messages::{
    Authenticate, Challenge, Flags, Negotiate, NtResponse, message_type,
};
use wecrelay::protocol::ntlm::{Accounts, ExpectNegotiate, Rules, Server};

fuzz_target!(|data: &[u8]| {
    let (negotiate, challenge, authenticate) = (
        Negotiate::parse(data),
        Challenge::parse(data),
        Authenticate::parse(data),
    );
    let read = [negotiate.is_ok(), challenge.is_ok(), authenticate.is_ok()];
    let kind = message_type(data);
    for (number, read) in (1..).zip(read) {
        assert!(
            !read || kind == Some(number),
            "read as type {number}, is {kind:?}"
        );
    }
    if let Ok(mut message) = negotiate {
        clear(&mut message.flags, message.version.is_none());
        comes_back(&message, Negotiate::emit, Negotiate::parse);
    }
    if let Ok(mut message) = challenge {
        clear(&mut message.flags, message.version.is_none());
        if message.flags.contains(Flags::UNICODE) {
            comes_back(&message, Challenge::emit, Challenge::parse);
        }
    }
    if let Ok(mut message) = authenticate {
        clear(&mut message.flags, message.version.is_none());
        if message.flags.contains(Flags::UNICODE) && has_payload(&message) {
            comes_back(&message, Authenticate::emit, Authenticate::parse);
        }
    }
    exchange(data);
});

fn comes_back<T: PartialEq + std::fmt::Debug, E: std::fmt::Debug>(
    message: &T,
    emit: fn(&T) -> Vec<u8>,
    parse: fn(&[u8]) -> Result<T, E>,
) {
    assert_eq!(&parse(&emit(message)).unwrap(), message);
}

/// The version field is always written; the flag determines whether it is valid.
fn clear(flags: &mut Flags, without_version: bool) {
    if without_version {
        *flags = *flags & !Flags::VERSION;
    }
}

/// Whether a field determines the end of the header, as in every usable message.
fn has_payload(message: &Authenticate) -> bool {
    message.response != NtResponse::Absent
        || message.encrypted_session_key.is_some()
        || !(message.lm_response.is_empty() && message.domain.is_empty())
        || !(message.user.is_empty() && message.workstation.is_empty())
}

struct Nobody;

impl Accounts for Nobody {
    fn find(&self, _user: &str, _domain: &str) -> Option<wecrelay::protocol::ntlm::Known> {
        None
    }
}

/// The input as both messages of a source: the collector never accepts an account without proof.
fn exchange(data: &[u8]) {
    let server = Server::from_hostname("collector.example.test");
    let (first, second) = match data.iter().skip(8).position(|byte| *byte == b'N') {
        Some(at) => data.split_at(at + 8),
        None => (data, data),
    };
    let rules = Rules {
        ntlmv1: true,
        ..Rules::default()
    };
    for start in [ExpectNegotiate::sealed(), ExpectNegotiate::within_tls()] {
        let Ok((_, expect)) = start.handle(first, &server, [7; 8], FileTime::default()) else {
            continue;
        };
        assert!(
            expect.handle(second, &Nobody, &rules).is_err(),
            "let in without an account"
        );
    }
}
