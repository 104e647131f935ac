//! Where to truncate: at whole characters and escapes, and the longest values first.

/// The smallest permitted maximum length of a message in bytes; smaller limits count as this. Every
/// receiver accepts messages of this length (RFC 5424 6.1).
pub const MIN_LENGTH: usize = 480;

/// The start of the parameter that lists what is missing.
pub(super) const TRUNCATED: &[u8] = b" Truncated=\"";

/// The length to which values must be truncated so that together they have at most `room` bytes,
/// while short ones stay whole; `usize::MAX` if all of them fit.
pub(super) fn fair_length(mut lengths: Vec<usize>, room: usize) -> usize {
    lengths.sort_unstable();
    let mut left = room;
    let mut count = lengths.len();
    for length in lengths {
        let share = left / count.max(1);
        if length > share {
            return share;
        }
        left = left.saturating_sub(length);
        count = count.saturating_sub(1);
    }
    usize::MAX
}

/// At most `length` bytes of UTF-8, in whole characters.
pub(super) fn cut_characters(text: &[u8], length: usize) -> &[u8] {
    let mut end = length.min(text.len());
    // Bytes of the form 10xxxxxx continue a character.
    while text.get(end).is_some_and(|byte| byte & 0xC0 == 0x80) {
        end = end.saturating_sub(1);
    }
    text.get(..end).unwrap_or_default()
}

/// At most `length` bytes of an escaped value, in whole escapes.
pub(super) fn cut(value: &[u8], length: usize) -> &[u8] {
    if value.len() <= length {
        return value;
    }
    let kept = cut_characters(value, length);
    let backslashes = kept.iter().rev().take_while(|&&byte| byte == b'\\').count();
    kept.get(..kept.len() - backslashes % 2).unwrap_or_default()
}
