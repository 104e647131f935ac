//! The time of an event as a comparable number.

use std::ops::RangeInclusive;

use crate::base::clock::FileTime;

/// The time in `TimeCreated/@SystemTime`; `None` if it is not
/// `YYYY-MM-DDThh:mm:ss[.fraction]Z`.
///
/// ```
/// use wecrelay::base::clock::FileTime;
/// use wecrelay::bookmark::event_time;
/// assert_eq!(event_time("1970-01-01T00:00:00Z"), Some(FileTime::UNIX_EPOCH));
/// assert_eq!(event_time("yesterday"), None);
/// ```
#[must_use]
pub fn event_time(text: &str) -> Option<FileTime> {
    let (date, rest) = text.as_bytes().split_first_chunk()?;
    let (time, rest) = rest.split_first_chunk()?;
    let ticks = fraction_ticks(rest.strip_suffix(b"Z")?)?;
    let seconds = days(*date)? * 86_400 + second_of_day(*time)?;
    Some(FileTime::new(seconds * FileTime::TICKS_PER_SECOND + ticks))
}

fn days(date: [u8; 10]) -> Option<u64> {
    let [y0, y1, y2, y3, b'-', m0, m1, b'-', d0, d1] = date else {
        return None;
    };
    let year = number(&[y0, y1, y2, y3], 1601..=9999)?;
    let month = number(&[m0, m1], 1..=12)?;
    let day = number(&[d0, d1], 1..=31)?;
    // Years start in March, so that the leap day is the last day of the year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let to_year = year * 365 + year / 4 - year / 100 + year / 400;
    // 1601-01-01 is day 584694, counted from 0000-03-01.
    (to_year + (month * 153 + 2) / 5 + day - 1).checked_sub(584_694)
}

fn second_of_day(time: [u8; 9]) -> Option<u64> {
    let [b'T', h0, h1, b':', m0, m1, b':', s0, s1] = time else {
        return None;
    };
    let hour = number(&[h0, h1], 0..=23)?;
    let minute = number(&[m0, m1], 0..=59)?;
    let second = number(&[s0, s1], 0..=60)?;
    Some((hour * 60 + minute) * 60 + second)
}

/// `.1234567` in ticks of 100 ns. Further digits are dropped; a dot needs at least one
/// digit.
fn fraction_ticks(fraction: &[u8]) -> Option<u64> {
    let Some((b'.', digits)) = fraction.split_first() else {
        return fraction.is_empty().then_some(0);
    };
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let digits = digits.iter().chain(std::iter::repeat(&b'0')).take(7);
    Some(digits.fold(0, |ticks, digit| ticks * 10 + u64::from(digit - b'0')))
}

fn number(digits: &[u8], range: RangeInclusive<u64>) -> Option<u64> {
    let mut number = 0;
    for digit in digits {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number = number * 10 + u64::from(digit);
    }
    range.contains(&number).then_some(number)
}
