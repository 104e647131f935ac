//! How messages are separated on a transport.

use memchr::memchr;

use super::{ControlCharacters, Escape, Style, escape, push_number};
use crate::base::wire::few_digits;

/// The framing of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// One message in each datagram (RFC 5426), or a protocol with its own framing, such as
    /// RELP: nothing is added.
    Datagram,
    /// `MSG-LEN SP MSG` (RFC 6587 3.4.1, RFC 5425 4.3).
    OctetCounting,
    /// A line feed after each message (RFC 6587 3.4.2).
    LineFeed,
}

impl Framing {
    /// How control characters must be written so that a message stays one message.
    #[must_use]
    pub fn control_characters(self) -> ControlCharacters {
        match self {
            Self::Datagram | Self::OctetCounting => ControlCharacters::Keep,
            Self::LineFeed => ControlCharacters::Escape,
        }
    }
}

/// Appends `message` as one frame. Line feeds in a message for [`Framing::LineFeed`] become
/// spaces; writers should not produce any.
pub fn frame(framing: Framing, message: &[u8], out: &mut Vec<u8>) {
    write_frame(framing, out, |out| out.extend_from_slice(message));
}

/// Appends as one frame what `write` appends, without a second buffer, and
/// returns its result.
///
/// ```
/// use wecrelay::syslog::framing::{Framing, write_frame};
/// let mut out = Vec::new();
/// write_frame(Framing::OctetCounting, &mut out, |out| out.extend_from_slice(b"<6>1"));
/// assert_eq!(out, b"4 <6>1");
/// ```
pub fn write_frame<T>(
    framing: Framing,
    out: &mut Vec<u8>,
    write: impl FnOnce(&mut Vec<u8>) -> T,
) -> T {
    let start = out.len();
    if framing == Framing::OctetCounting {
        out.extend_from_slice(USUAL_LENGTH);
    }
    let result = write(out);
    match framing {
        Framing::Datagram => {}
        Framing::OctetCounting => set_length(out, start),
        Framing::LineFeed => end_line(out, start),
    }
    result
}

/// Appends a message that was written for [`Framing::Datagram`] as one line.
///
/// ```
/// let mut out = Vec::new();
/// wecrelay::syslog::framing::push_line(b"<6>1 a\nb", &mut out);
/// assert_eq!(out, b"<6>1 a\\nb\n");
/// ```
pub fn push_line(message: &[u8], out: &mut Vec<u8>) {
    let text = String::from_utf8_lossy(message);
    // Backslashes are left alone: structured data has its own.
    let style = Style {
        control: ControlCharacters::Escape,
        escape: Escape::Version01,
        ..Style::default()
    };
    write_frame(Framing::LineFeed, out, |out| {
        escape::push_text(out, &text, &style);
    });
}

/// Most messages have 1000 to 9999 octets; with room for four digits they need not be
/// moved.
const USUAL_LENGTH: &[u8] = b"0000 ";

/// Writes the length of the message into the place reserved at `start`.
fn set_length(out: &mut Vec<u8>, start: usize) {
    let message = start.saturating_add(USUAL_LENGTH.len());
    let length = out.len().saturating_sub(message);
    let length = u64::try_from(length).unwrap_or(u64::MAX);
    let place = out.get_mut(start..).and_then(<[u8]>::first_chunk_mut);
    if let (Some((digits, 4)), Some(place)) = (few_digits(length), place) {
        let [a, b, c, d, ..] = digits;
        *place = [a, b, c, d];
    } else {
        let mut prefix = Vec::new();
        push_number(&mut prefix, length);
        prefix.push(b' ');
        drop(out.splice(start..message, prefix));
    }
}

fn end_line(out: &mut Vec<u8>, start: usize) {
    let mut rest = out.get_mut(start..).unwrap_or_default();
    while let Some(at) = memchr(b'\n', rest) {
        let (_, tail) = rest.split_at_mut(at);
        let Some((line_feed, after)) = tail.split_first_mut() else {
            break;
        };
        *line_feed = b' ';
        rest = after;
    }
    out.push(b'\n');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn framed(framing: Framing, messages: &[&str]) -> String {
        let mut out = b"before".to_vec();
        messages
            .iter()
            .for_each(|message| frame(framing, message.as_bytes(), &mut out));
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn octets_are_counted_not_characters() {
        let long = "x".repeat(1000);
        assert_eq!(
            framed(Framing::OctetCounting, &["é\n", "abc"]),
            "before3 é\n3 abc"
        );
        assert_eq!(
            framed(Framing::OctetCounting, &[&long]),
            format!("before1000 {long}")
        );
    }

    #[test]
    fn a_line_ends_once() {
        assert_eq!(framed(Framing::LineFeed, &["a", "b"]), "beforea\nb\n");
        assert_eq!(framed(Framing::LineFeed, &["\na\n\nb\n"]), "before a  b \n");
    }

    #[test]
    fn a_datagram_is_the_message() {
        assert_eq!(framed(Framing::Datagram, &["a\n"]), "beforea\n");
    }

    #[test]
    fn only_lines_need_escapes() {
        assert_eq!(
            Framing::LineFeed.control_characters(),
            ControlCharacters::Escape
        );
        assert_eq!(
            Framing::OctetCounting.control_characters(),
            ControlCharacters::Keep
        );
        assert_eq!(
            Framing::Datagram.control_characters(),
            ControlCharacters::Keep
        );
    }
}
