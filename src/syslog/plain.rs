//! Messages without structured data: a header, and `MSG`.

use super::civil::Moment;
use super::cut::{MIN_LENGTH, cut_characters};
use super::message::{MAX_HOSTNAME, Message, push_word};
use super::truncate::push_content_within;
use super::{Header, MessageKind, Written};
use crate::base::pieces::Pieces;
use crate::base::wire::trim;

/// Maximum length of TAG (RFC 3164 4.1.3).
const MAX_TAG: usize = 32;

/// Appends one message; its `MSG` is truncated if the message would exceed `style.max`
/// bytes.
pub(super) fn push(message: &Message<'_, '_>, out: &mut Vec<u8>) -> Written {
    let start = out.len();
    push_header(message, out);
    let content = out.len();
    message.push_content(out);
    let length = out.len().saturating_sub(start);
    if out.len() == content {
        // No blank precedes an empty MSG.
        let header = out.get(start..).unwrap_or_default();
        let blanks = header
            .iter()
            .rev()
            .take_while(|&&byte| byte == b' ')
            .count();
        out.truncate(content.saturating_sub(blanks));
    }
    match message.style.max.map(|max| max.max(MIN_LENGTH)) {
        Some(max) if length > max => {
            let whole = out.split_off(content);
            let room = max.saturating_sub(content.saturating_sub(start));
            push_content_within(message, &whole, room, out);
            if out.len() == content {
                push_remains(message, &whole, room, out);
            }
            let kept = out.len().saturating_sub(start);
            Written {
                truncated: length.saturating_sub(kept),
            }
        }
        _ => Written::default(),
    }
}

/// Appends what is left of content that does not fit even with empty values: a JSON object with
/// `Uid` only, or the start of another layout.
fn push_remains(message: &Message<'_, '_>, whole: &[u8], room: usize, out: &mut Vec<u8>) {
    match message.style.message {
        MessageKind::Json | MessageKind::Ecs | MessageKind::Nxlog => {
            out.extend_from_slice(b"{\"Uid\":\"");
            out.extend_from_slice(message.uid.as_str().as_bytes());
            out.extend_from_slice(b"\",\"Truncated\":[\"*\"]}");
        }
        _ => out.extend_from_slice(cut_characters(whole, room)),
    }
}

fn push_header(message: &Message<'_, '_>, out: &mut Vec<u8>) {
    match message.style.header {
        Header::None => {}
        Header::Rfc3164 => push_rfc3164(message, out),
        Header::Rfc5424 => {
            let mut pieces = Pieces::new(out);
            message.push_header(&mut pieces);
            pieces.flush();
            out.push(b'-');
            message.start_msg(out);
        }
    }
}

fn push_rfc3164(message: &Message<'_, '_>, out: &mut Vec<u8>) {
    message.push_priority(out);
    Moment::of(message).push_rfc3164(out);
    out.push(b' ');
    push_word(out, message.computer(), MAX_HOSTNAME);
    out.push(b' ');
    match message.style.message {
        // These layouts begin with a word of their own, which receivers parse as TAG.
        MessageKind::Snare | MessageKind::Cef | MessageKind::Leef => {}
        _ => push_tag(message, out),
    }
}

/// Appends `provider[process]: `. The provider has only ASCII letters, digits, `-`, and `_`, since
/// some receivers end TAG at any other character; the process id is omitted unless it has 1 to 10
/// digits.
fn push_tag(message: &Message<'_, '_>, out: &mut Vec<u8>) {
    let event = message.facts();
    let provider = match trim(&event.provider) {
        "" => "-",
        provider => provider,
    };
    let fit = |c: char| c.is_ascii_alphanumeric() || c == '-';
    let byte = |c| u8::try_from(c).ok().filter(|_| fit(c)).unwrap_or(b'_');
    out.extend(provider.chars().take(MAX_TAG).map(byte));
    let process = &event.process_id;
    if (1..=10).contains(&process.len()) && process.bytes().all(|byte| byte.is_ascii_digit()) {
        out.push(b'[');
        out.extend_from_slice(process.as_bytes());
        out.push(b']');
    }
    out.extend_from_slice(b": ");
}
