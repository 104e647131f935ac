//! Time as an argument, and the two scales on which it is counted: Unix seconds for
//! everything that is stored or reported, and Windows' own for what goes over the wire.

use std::fmt;
use std::num::NonZeroU64;
use std::ops::Add;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

/// The time at which an input is handled. Only the event loop reads the clocks, so that a
/// run can be replayed.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// For deadlines; never goes back.
    pub monotonic: Instant,
    /// For what others see: dates, time stamps, ticket lifetimes. An administrator or NTP
    /// may set it back.
    pub wall: SystemTime,
}

impl Add<Duration> for Now {
    type Output = Self;

    fn add(self, later: Duration) -> Self {
        Self {
            monotonic: self.monotonic + later,
            wall: self.wall + later,
        }
    }
}

/// Seconds since 1970-01-01 UTC, as stored state, reports, and metrics keep times. A
/// duration in seconds, such as an age, stays a `u64`.
///
/// Holds one more than the number, so that an `Option` needs no further space: each host has
/// several. The largest `u64` therefore becomes the second largest.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(from = "u64", into = "u64")]
pub struct UnixSeconds(NonZeroU64);

impl UnixSeconds {
    /// The moment so many seconds after 1970-01-01.
    #[must_use]
    pub const fn new(seconds: u64) -> Self {
        Self(NonZeroU64::MIN.saturating_add(seconds))
    }

    /// For formats that need a plain number.
    #[must_use]
    pub const fn get(self) -> u64 {
        self.0.get() - 1
    }

    /// Seconds from `earlier` until this time; 0 if `earlier` is in fact later, as after a
    /// clock was set back.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.get().saturating_sub(earlier.get())
    }

    /// Seconds between the two, whichever is earlier.
    #[must_use]
    pub const fn abs_diff(self, other: Self) -> u64 {
        self.get().abs_diff(other.get())
    }

    /// That many seconds earlier, but not before 1970.
    #[must_use]
    pub const fn saturating_sub(self, seconds: u64) -> Self {
        Self::new(self.get().saturating_sub(seconds))
    }

    /// That many seconds later; stops at the largest value.
    #[must_use]
    pub const fn saturating_add(self, seconds: u64) -> Self {
        Self::new(self.get().saturating_add(seconds))
    }

    /// That many seconds later, or earlier if `seconds` is negative.
    #[must_use]
    pub const fn saturating_add_signed(self, seconds: i64) -> Self {
        Self::new(self.get().saturating_add_signed(seconds))
    }
}

impl Default for UnixSeconds {
    fn default() -> Self {
        Self::new(0)
    }
}

impl From<u64> for UnixSeconds {
    fn from(seconds: u64) -> Self {
        Self::new(seconds)
    }
}

impl From<UnixSeconds> for u64 {
    fn from(time: UnixSeconds) -> Self {
        time.get()
    }
}

impl From<SystemTime> for UnixSeconds {
    /// Truncates to whole seconds; a time before 1970 becomes 1970.
    fn from(wall: SystemTime) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self::new(since.as_secs())
    }
}

impl fmt::Debug for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("UnixSeconds").field(&self.get()).finish()
    }
}

impl fmt::Display for UnixSeconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.get().fmt(f)
    }
}

/// Windows' time: 100 ns ticks since 1601-01-01 UTC (FILETIME, MS-DTYP 2.3.3).
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct FileTime(u64);

impl FileTime {
    /// Number of ticks in a second.
    pub const TICKS_PER_SECOND: u64 = 10_000_000;
    /// 1970-01-01, the start of Unix time.
    pub const UNIX_EPOCH: Self = Self(116_444_736_000_000_000);

    /// The time that many ticks of 100 ns after 1601-01-01.
    #[must_use]
    pub const fn new(ticks: u64) -> Self {
        Self(ticks)
    }

    /// Ticks of 100 ns since 1601-01-01.
    #[must_use]
    pub const fn ticks(self) -> u64 {
        self.0
    }

    /// The byte order of NTLM and PAC messages.
    #[must_use]
    pub const fn to_le_bytes(self) -> [u8; 8] {
        self.0.to_le_bytes()
    }

    /// Reads [`to_le_bytes`](Self::to_le_bytes) back.
    #[must_use]
    pub const fn from_le_bytes(bytes: [u8; 8]) -> Self {
        Self(u64::from_le_bytes(bytes))
    }

    /// Whole seconds since 1970; negative before that.
    #[must_use]
    pub fn unix_seconds(self) -> i64 {
        let seconds =
            |Self(ticks): Self| i64::try_from(ticks / Self::TICKS_PER_SECOND).unwrap_or(i64::MAX);
        seconds(self) - seconds(Self::UNIX_EPOCH)
    }
}

impl From<SystemTime> for FileTime {
    /// The wall clock as Windows counts it; 0 for a time before 1970.
    fn from(wall: SystemTime) -> Self {
        let since = wall.duration_since(UNIX_EPOCH).ok();
        let ticks = since.and_then(|since| u64::try_from(since.as_nanos() / 100).ok());
        Self(ticks.map_or(0, |ticks| Self::UNIX_EPOCH.0.saturating_add(ticks)))
    }
}

impl From<FileTime> for UnixSeconds {
    /// Truncates to whole seconds; a time before 1970 becomes 1970.
    fn from(time: FileTime) -> Self {
        Self::new(u64::try_from(time.unix_seconds()).unwrap_or(0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wall_time_becomes_filetime_and_seconds() {
        let wall = UNIX_EPOCH;
        assert_eq!(FileTime::from(wall), FileTime::UNIX_EPOCH);
        assert_eq!(FileTime::from(wall - Duration::from_secs(1)).ticks(), 0);
        let later = wall + Duration::from_nanos(250);
        assert_eq!(FileTime::from(later).ticks(), 116_444_736_000_000_002);
        let late = wall + Duration::from_millis(1_999);
        assert_eq!(UnixSeconds::from(late).get(), 1);
        assert_eq!(UnixSeconds::from(wall - Duration::from_secs(9)).get(), 0);
    }

    #[test]
    fn filetime_and_seconds_count_the_same_moments() {
        let second = FileTime::TICKS_PER_SECOND;
        let epoch = FileTime::UNIX_EPOCH.ticks();
        for (ticks, seconds) in [
            (0, -11_644_473_600),
            (epoch - 1, -1),
            (epoch, 0),
            (epoch + second - 1, 0),
            (epoch + 7 * second, 7),
        ] {
            let time = FileTime::new(ticks);
            assert_eq!(time.unix_seconds(), seconds, "{ticks}");
            let unix = u64::try_from(seconds).unwrap_or(0);
            assert_eq!(UnixSeconds::from(time).get(), unix, "{ticks}");
            assert_eq!(FileTime::from_le_bytes(time.to_le_bytes()), time);
        }
        // What a hostile host may write.
        assert!(FileTime::new(u64::MAX).unix_seconds() > 0);
    }

    #[test]
    fn seconds_do_not_leave_their_range() {
        let (early, late) = (UnixSeconds::new(3), UnixSeconds::new(10));
        assert_eq!((late.since(early), early.since(late)), (7, 0));
        assert_eq!((late.abs_diff(early), early.abs_diff(late)), (7, 7));
        assert_eq!(early.saturating_sub(4), UnixSeconds::default());
        let last = UnixSeconds::new(u64::MAX);
        assert_eq!(last, UnixSeconds::new(u64::MAX - 1));
        assert_eq!(size_of::<Option<UnixSeconds>>(), size_of::<u64>());
        assert_eq!(last.saturating_add(1), last);
        assert_eq!(late.saturating_add_signed(-7), early);
        assert_eq!(late.to_string(), "10");
        assert_eq!(format!("{late:?}"), "UnixSeconds(10)");
        let stored = serde_json::to_string(&[Some(late), None]).unwrap();
        assert_eq!(stored, "[10,null]");
        let read: [Option<UnixSeconds>; 2] = serde_json::from_str(&stored).unwrap();
        assert_eq!(read, [Some(late), None]);
    }
}
