//! Numbers, ages and texts of hosts, as people read them.

use crate::base::visible::visible;

/// A number of things.
pub(super) fn count(number: usize, what: &str) -> String {
    match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    }
}

/// Seconds in the largest unit that fits.
pub(super) fn age(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds}s"),
        120..7200 => format!("{}m", seconds / 60),
        7200..172_800 => format!("{}h", seconds / 3600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// What a host says of itself must not control a terminal.
pub(super) fn plain(text: &str) -> String {
    visible(text).into_owned()
}
