//! Formats numbers, ages, and texts of hosts for people.

use crate::base::visible::visible;

/// A number with its noun, with a plural `s` except for 1.
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// An age in seconds as text, in the largest unit of which there are at least two.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// Escapes control characters, because texts of hosts must not be able to control the
/// terminal.
pub(super) fn plain(text: &str) -> String {
    visible(text).into_owned()
}
