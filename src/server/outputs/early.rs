//! Recognizes connections that end right after the first bytes, because the receiver uses another
//! protocol.

use std::io;
use std::time::{Duration, Instant};

/// A receiver that cannot parse the first message closes the connection within this time; other
/// reasons, such as a restart, rarely fall into it.
const AT_ONCE: Duration = Duration::from_secs(2);
/// Number of bytes of a reply that identify its protocol.
const ENOUGH: usize = 16;

/// The first moments of a plain TCP connection.
#[derive(Debug, Default)]
pub(super) struct Beginning {
    first: Option<Instant>,
    heard: Vec<u8>,
}

impl Beginning {
    /// Records that something was written.
    pub(super) fn wrote(&mut self, now: Instant) {
        self.first.get_or_insert(now);
    }

    /// Records bytes from the receiver, which syslog receivers over TCP never send.
    pub(super) fn heard(&mut self, bytes: &[u8]) {
        let room = ENOUGH.saturating_sub(self.heard.len());
        self.heard.extend(bytes.iter().take(room));
    }

    /// The error that ended the connection, with the likely protocol of the receiver. `None` if
    /// nothing was written, or if the connection ended later than [`AT_ONCE`] after the first
    /// write.
    pub(super) fn explain(&self, now: Instant, error: &io::Error) -> Option<io::Error> {
        let first = self.first?;
        if now.saturating_duration_since(first) > AT_ONCE {
            return None;
        }
        let likely = match &*self.heard {
            [0x15 | 0x16, 3, ..] => "it speaks TLS: use tls://, or relp+tls:// for RELP",
            heard if heard.starts_with(b"HTTP/") => "it is a web server (HTTP): check the port",
            heard if is_relp(heard) => "it speaks RELP (rsyslog's imrelp): use relp://",
            _ => "it may speak RELP (relp://) or TLS (tls://), or not allow this address",
        };
        Some(io::Error::other(format!(
            "{error} right after the first bytes: {likely}; run wecrelay check --probe"
        )))
    }
}

/// Whether this is `0 serverclose 0`, or a number and `rsp`.
fn is_relp(heard: &[u8]) -> bool {
    let mut words = heard.split(|&byte| byte == b' ');
    let number = words
        .next()
        .is_some_and(|word| word.iter().all(u8::is_ascii_digit));
    let command = words.next().unwrap_or_default();
    number && (command.starts_with(b"serverclose") || command == b"rsp")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_end_right_after_the_first_bytes_names_the_likely_protocol() {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant has no other beginning"
        )]
        let start = Instant::now();
        let error = io::Error::other("the receiver closed the connection");
        for (answer, expected) in [
            (b"\x15\x03\x01\x00\x02\x02\x46".as_slice(), "speaks TLS"),
            (b"HTTP/1.1 400 Bad Request\r\n", "web server"),
            (b"0 serverclose 0\n", "speaks RELP"),
            (b"1 rsp 6 500 no", "speaks RELP"),
            (b"", "may speak RELP"),
            (b"hello", "may speak RELP"),
        ] {
            let mut beginning = Beginning::default();
            assert!(beginning.explain(start, &error).is_none());
            beginning.wrote(start);
            beginning.heard(answer);
            let text = beginning
                .explain(start + AT_ONCE, &error)
                .unwrap()
                .to_string();
            assert!(text.contains(expected), "{text}");
            assert!(text.starts_with("the receiver closed the connection right after"));
            let late = start + AT_ONCE + Duration::from_millis(1);
            assert!(beginning.explain(late, &error).is_none());
        }
    }
}
