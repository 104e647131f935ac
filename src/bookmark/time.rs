//! The time of an event as a number that can be compared.

/// `TimeCreated/@SystemTime` as 100 ns since 1601-01-01 UTC, the unit of
/// Windows. `None` where it is not `YYYY-MM-DDThh:mm:ss[.fraction]Z`.
///
/// ```
/// use wecrelay::bookmark::event_time;
/// assert_eq!(event_time("1970-01-01T00:00:00Z"), Some(116_444_736_000_000_000));
/// assert_eq!(event_time("yesterday"), None);
/// ```
#[must_use]
pub fn event_time(text: &str) -> Option<u64> {
    let text = text.strip_suffix('Z')?;
    let (seconds, fraction) = text.split_at_checked(19)?;
    let days = days(seconds.get(..10)?)?;
    let second = second_of_day(seconds.get(10..)?)?;
    let ticks = fraction_ticks(fraction)?;
    Some((days * 86_400 + second) * TICKS_PER_SECOND + ticks)
}

pub(super) const TICKS_PER_SECOND: u64 = 10_000_000;

fn days(date: &str) -> Option<u64> {
    let mut parts = date.split('-');
    let year = number(parts.next()?, 4, 1601..=9999)?;
    let month = number(parts.next()?, 2, 1..=12)?;
    let day = number(parts.next()?, 2, 1..=31)?;
    // Years begin in March, so that the leap day is the last of the year.
    let (year, month) = if month > 2 {
        (year, month - 3)
    } else {
        (year - 1, month + 9)
    };
    let to_year = year * 365 + year / 4 - year / 100 + year / 400;
    // 1601-01-01 is day 584694, counted from 0000-03-01.
    (to_year + (month * 153 + 2) / 5 + day - 1).checked_sub(584_694)
}

fn second_of_day(time: &str) -> Option<u64> {
    let mut parts = time.strip_prefix('T')?.split(':');
    let hour = number(parts.next()?, 2, 0..=23)?;
    let minute = number(parts.next()?, 2, 0..=59)?;
    let second = number(parts.next()?, 2, 0..=60)?;
    Some((hour * 60 + minute) * 60 + second)
}

/// `.1234567` as ticks; more digits are cut, none is zero.
fn fraction_ticks(fraction: &str) -> Option<u64> {
    if fraction.is_empty() {
        return Some(0);
    }
    let digits = fraction
        .strip_prefix('.')
        .filter(|digits| !digits.is_empty())?;
    if !digits.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = digits.bytes().chain(std::iter::repeat(b'0')).take(7);
    Some(digits.fold(0, |ticks, digit| ticks * 10 + u64::from(digit - b'0')))
}

fn number(digits: &str, length: usize, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
    let right = digits.len() == length && digits.bytes().all(|b| b.is_ascii_digit());
    let number = digits.parse().ok().filter(|_| right)?;
    range.contains(&number).then_some(number)
}
