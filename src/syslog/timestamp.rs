//! `SystemTime` of Windows as TIMESTAMP (RFC 5424 6.2.3).

/// The first year that rsyslog does not accept.
const END: u16 = 2100;
/// Length of `YYYY-MM-DDThh:mm:ss`.
const SECONDS: usize = 19;
/// Maximum number of digits of a fraction in TIMESTAMP.
const MAX_FRACTION: usize = 6;

/// The part of a `SystemTime` that precedes the `Z` of a TIMESTAMP; the fraction, of up to
/// 9 digits, is cut to 6. `None` unless it is an existing moment, in UTC, from year 1 on
/// and before 2100 (rsyslog parses a line with a later one incorrectly), and not a leap
/// second.
pub(super) fn without_zone(time: &str) -> Option<&str> {
    let time = time.strip_suffix('Z')?;
    let (seconds, fraction) = time.split_at_checked(SECONDS)?;
    is_moment(seconds.as_bytes()).then_some(())?;
    if fraction.is_empty() {
        return Some(seconds);
    }
    let fraction = fraction.strip_prefix('.')?;
    let digits = fraction.bytes().all(|byte| byte.is_ascii_digit());
    if !digits || !(1..=9).contains(&fraction.len()) {
        return None;
    }
    time.get(..SECONDS + 1 + fraction.len().min(MAX_FRACTION))
}

/// Whether this is `YYYY-MM-DDThh:mm:ss` and exists.
fn is_moment(text: &[u8]) -> bool {
    let &[
        y1,
        y2,
        y3,
        y4,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        n1,
        n2,
        b':',
        s1,
        s2,
    ] = text
    else {
        return false;
    };
    let (Some(century), Some(year)) = (two_digits(y1, y2), two_digits(y3, y4)) else {
        return false;
    };
    let year = u16::from(century) * 100 + u16::from(year);
    let month = two_digits(m1, m2).unwrap_or(0);
    let in_range = |digits: Option<u8>, limit: u8| digits.is_some_and(|number| number < limit);
    let day = two_digits(d1, d2).unwrap_or(0);
    (1..END).contains(&year)
        && (1..=days_in(year, month)).contains(&day)
        && in_range(two_digits(h1, h2), 24)
        && in_range(two_digits(n1, n2), 60)
        && in_range(two_digits(s1, s2), 60)
}

fn two_digits(tens: u8, ones: u8) -> Option<u8> {
    let digits = tens.is_ascii_digit() && ones.is_ascii_digit();
    digits.then(|| (tens - b'0') * 10 + (ones - b'0'))
}

/// Days of a month; 0 for a month that does not exist.
fn days_in(year: u16, month: u8) -> u8 {
    let leap = year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fractions_are_cut_to_six_digits() {
        let cases = [
            ("2024-03-14T13:54:16.6138329Z", "2024-03-14T13:54:16.613832"),
            (
                "2020-03-26T23:13:54.861894100Z",
                "2020-03-26T23:13:54.861894",
            ),
            ("2023-02-14T09:14:23.175Z", "2023-02-14T09:14:23.175"),
            ("2020-04-11T14:24:57Z", "2020-04-11T14:24:57"),
            ("2024-02-29T00:00:00.0Z", "2024-02-29T00:00:00.0"),
            ("2000-02-29T23:59:59Z", "2000-02-29T23:59:59"),
            ("2099-12-31T23:59:59Z", "2099-12-31T23:59:59"),
            ("1601-01-01T00:00:00.0000000Z", "1601-01-01T00:00:00.000000"),
        ];
        for (time, expected) in cases {
            assert_eq!(without_zone(time), Some(expected));
        }
    }

    #[test]
    fn times_that_do_not_exist_are_refused() {
        let bad = [
            "",
            "Z",
            "2024-03-14T13:54:16",
            "2024-03-14T13:54:16.Z",
            "2024-03-14T13:54:16.1234567890Z",
            "2024-03-14T13:54:16.12a4Z",
            "2024-03-14t13:54:16Z",
            "2024-03-14T13:54:16z",
            "2024-03-14 13:54:16Z",
            "2024-03-14T24:00:00Z",
            "2024-03-14T13:60:00Z",
            "2016-12-31T23:59:60Z",
            "2023-02-29T00:00:00Z",
            "1900-02-29T00:00:00Z",
            "2024-04-31T00:00:00Z",
            "2024-00-10T00:00:00Z",
            "2024-13-10T00:00:00Z",
            "2024-01-00T00:00:00Z",
            "0000-01-01T00:00:00Z",
            "2100-01-01T00:00:00Z",
            "+024-01-01T00:00:00Z",
            "2024-03-14T13:54:16+01:00",
            "2024-03-14T13:54:16+01:00Z",
            "2024-03-14T13:54:16,5Z",
            "2024-03-14T13:54:1éZ",
        ];
        for time in bad {
            assert_eq!(without_zone(time), None, "{time}");
        }
    }
}
