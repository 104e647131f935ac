//! Times in older formats: with names of months and days, or as a number of milliseconds.

use std::io::Write as _;
use std::time::{Duration, SystemTime};

use super::message::Message;

const MONTHS: [&str; 12] = [
    "Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
];
/// The weekdays, starting with 1970-01-01.
const DAYS: [&str; 7] = ["Thu", "Fri", "Sat", "Sun", "Mon", "Tue", "Wed"];

/// A time in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    year: i64,
    /// 1 to 12.
    month: i64,
    day: i64,
    hour: i64,
    minute: i64,
    second: i64,
    millisecond: i64,
}

impl Moment {
    /// When the event happened, or else when it was received.
    pub(super) fn of(message: &Message<'_, '_>) -> Self {
        let time = message.time.and_then(Self::parse);
        time.unwrap_or_else(|| Self::at(message.origin.received))
    }

    /// This time; 1970 if it is earlier, and the end of 9999 if it is later.
    pub(super) fn at(time: SystemTime) -> Self {
        // The last second of year 9999; later times have no text.
        let last = SystemTime::UNIX_EPOCH + Duration::from_secs(253_402_300_799);
        let time = time.clamp(SystemTime::UNIX_EPOCH, last);
        let text = humantime::format_rfc3339_millis(time).to_string();
        let start = Self {
            year: 1970,
            month: 1,
            day: 1,
            hour: 0,
            minute: 0,
            second: 0,
            millisecond: 0,
        };
        Self::parse(text.trim_end_matches('Z')).unwrap_or(start)
    }

    /// Parses `YYYY-MM-DDThh:mm:ss` with an optional fraction.
    fn parse(text: &str) -> Option<Self> {
        let number = |start: usize, end: usize| text.get(start..end)?.parse::<i64>().ok();
        let fraction = text.get(20..).unwrap_or_default();
        let digits: String = fraction.chars().chain("000".chars()).take(3).collect();
        let month = number(5, 7).filter(|month| (1..=12).contains(month))?;
        Some(Self {
            year: number(0, 4)?,
            month,
            day: number(8, 10)?,
            hour: number(11, 13)?,
            minute: number(14, 16)?,
            second: number(17, 19)?,
            millisecond: digits.parse().ok()?,
        })
    }

    /// Days since 1970-01-01.
    fn days(self) -> i64 {
        // In years that start in March the leap day is the last day.
        let year = if self.month > 2 {
            self.year
        } else {
            self.year - 1
        };
        let month = (self.month + 9) % 12;
        let leap_days = year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400);
        year * 365 + leap_days + (153 * month + 2) / 5 + self.day - 719_469
    }

    fn month_name(self) -> &'static str {
        let index = usize::try_from(self.month - 1).unwrap_or(0);
        MONTHS.get(index).unwrap_or(&"Jan")
    }

    /// Milliseconds since 1970-01-01, as in CEF and LEEF.
    pub(super) fn push_milliseconds(self, out: &mut Vec<u8>) {
        let seconds = ((self.days() * 24 + self.hour) * 60 + self.minute) * 60 + self.second;
        let milliseconds = seconds * 1000 + self.millisecond;
        // Writing to a vector cannot fail.
        drop(write!(out, "{milliseconds}"));
    }

    /// `Mmm dd hh:mm:ss` (RFC 3164 4.1.2).
    pub(super) fn push_rfc3164(self, out: &mut Vec<u8>) {
        drop(write!(out, "{} {:>2} ", self.month_name(), self.day));
        self.push_clock(out);
    }

    /// `Ddd Mmm dd hh:mm:ss yyyy`, as in asctime(3).
    pub(super) fn push_asctime(self, out: &mut Vec<u8>) {
        let day = usize::try_from(self.days().rem_euclid(7)).unwrap_or(0);
        out.extend_from_slice(DAYS.get(day).unwrap_or(&"Thu").as_bytes());
        drop(write!(out, " {} {:02} ", self.month_name(), self.day));
        self.push_clock(out);
        drop(write!(out, " {}", self.year));
    }

    fn push_clock(self, out: &mut Vec<u8>) {
        let Self {
            hour,
            minute,
            second,
            ..
        } = self;
        drop(write!(out, "{hour:02}:{minute:02}:{second:02}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forms(text: &str) -> [String; 3] {
        let moment = Moment::parse(text).unwrap();
        let written = |write: fn(Moment, &mut Vec<u8>)| {
            let mut out = Vec::new();
            write(moment, &mut out);
            String::from_utf8(out).unwrap()
        };
        [
            written(Moment::push_milliseconds),
            written(Moment::push_rfc3164),
            written(Moment::push_asctime),
        ]
    }

    #[test]
    fn moments_are_those_of_date() {
        // By date(1): date -u -d TIME +%s%3N and +'%a %b %d %T %Y'.
        let cases = [
            (
                "1970-01-01T00:00:00",
                "0",
                "Jan  1 00:00:00",
                "Thu Jan 01 00:00:00 1970",
            ),
            (
                "2024-02-29T23:59:59.98",
                "1709251199980",
                "Feb 29 23:59:59",
                "Thu Feb 29 23:59:59 2024",
            ),
            (
                "2024-03-14T13:54:16.613832",
                "1710424456613",
                "Mar 14 13:54:16",
                "Thu Mar 14 13:54:16 2024",
            ),
            (
                "1601-01-01T00:00:00.0",
                "-11644473600000",
                "Jan  1 00:00:00",
                "Mon Jan 01 00:00:00 1601",
            ),
            (
                "2099-12-31T23:59:59",
                "4102444799000",
                "Dec 31 23:59:59",
                "Thu Dec 31 23:59:59 2099",
            ),
        ];
        for (text, milliseconds, header, asctime) in cases {
            assert_eq!(forms(text), [milliseconds, header, asctime], "{text}");
        }
    }
}
