//! Makes invisible characters visible. Names that hosts send appear in logs, tables, and on
//! the status page: they must not control a terminal, start a line of their own, or show
//! letters in another order.

use std::borrow::Cow;

/// General category Cf of Unicode 16, which the standard library does not know, and the two
/// line and paragraph separators. Ascending ranges, both ends included.
const FORMAT: [(u32, u32); 22] = [
    (0x00AD, 0x00AD),
    (0x0600, 0x0605),
    (0x061C, 0x061C),
    (0x06DD, 0x06DD),
    (0x070F, 0x070F),
    (0x0890, 0x0891),
    (0x08E2, 0x08E2),
    (0x180E, 0x180E),
    (0x200B, 0x200F),
    (0x2028, 0x202E),
    (0x2060, 0x2064),
    (0x2066, 0x206F),
    (0xFEFF, 0xFEFF),
    (0xFFF9, 0xFFFB),
    (0x1_10BD, 0x1_10BD),
    (0x1_10CD, 0x1_10CD),
    (0x1_3430, 0x1_343F),
    (0x1_BCA0, 0x1_BCA3),
    (0x1_D173, 0x1_D17A),
    (0xE_0001, 0xE_0001),
    (0xE_0020, 0xE_007F),
    // Greater than any character, so that the search needs no special case.
    (u32::MAX, u32::MAX),
];

/// Whether the character is invisible to a reader: control characters (Cc), format
/// characters (Cf), U+2028, and U+2029.
#[must_use]
pub fn is_invisible(c: char) -> bool {
    let code = u32::from(c);
    if code < 0x00AD {
        return c.is_control();
    }
    let at = FORMAT.partition_point(|(_, last)| *last < code);
    FORMAT.get(at).is_some_and(|(first, _)| *first <= code)
}

/// Replaces invisible characters by escapes such as `\n` or `\u{202e}`; borrows the text if
/// there are none.
///
/// ```
/// use wecrelay::base::visible::visible;
/// assert_eq!(visible("größer"), "größer");
/// assert_eq!(visible("web1\u{202e}moc.live"), "web1\\u{202e}moc.live");
/// ```
#[must_use]
pub fn visible(text: &str) -> Cow<'_, str> {
    if !text.contains(is_invisible) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if is_invisible(c) {
            shown.extend(c.escape_default());
        } else {
            shown.push(c);
        }
    }
    Cow::Owned(shown)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_seen_is_written_out() {
        for (text, shown) in [
            ("a\nb\tc\r", "a\\nb\\tc\\r"),
            ("\u{1b}[2J", "\\u{1b}[2J"),
            ("\u{85}\u{9b}", "\\u{85}\\u{9b}"),
            ("\u{202e}\u{2066}\u{2069}", "\\u{202e}\\u{2066}\\u{2069}"),
            ("\u{2028}\u{2029}", "\\u{2028}\\u{2029}"),
            ("a\u{200b}b\u{feff}\u{ad}", "a\\u{200b}b\\u{feff}\\u{ad}"),
            ("\u{e0041}", "\\u{e0041}"),
            ("DOM\\user$@EXAMPLE.TEST", "DOM\\user$@EXAMPLE.TEST"),
            ("日本 naïve \u{a0}😀", "日本 naïve \u{a0}😀"),
        ] {
            assert_eq!(visible(text), shown);
        }
    }

    #[test]
    fn ranges_end_where_they_should() {
        for pair in FORMAT.windows(2) {
            assert!(pair[0].0 <= pair[0].1 && pair[0].1 < pair[1].0);
        }
        for (first, last) in FORMAT
            .iter()
            .filter_map(|(first, last)| Some((char::from_u32(*first)?, char::from_u32(*last)?)))
        {
            assert!(is_invisible(first) && is_invisible(last));
        }
        for seen in [
            '\u{2010}', '\u{2027}', '\u{202f}', '\u{2065}', '\u{2070}', '\u{fffc}',
        ] {
            assert!(!is_invisible(seen), "{seen:?}");
        }
        assert_eq!(
            ('\0'..=char::MAX).filter(|c| is_invisible(*c)).count(),
            170 + 65 + 2
        );
    }
}
