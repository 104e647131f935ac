//! The value of `--facility`.

use super::Error;

/// Facility names in the order of their numbers (RFC 5424 6.2.1; names as in syslog.conf).
pub(super) const NAMES: [&str; 24] = [
    "kern", "user", "mail", "daemon", "auth", "syslog", "lpr", "news", "uucp", "cron", "authpriv",
    "ftp", "ntp", "audit", "alert", "clock", "local0", "local1", "local2", "local3", "local4",
    "local5", "local6", "local7",
];

/// The facility of PRI.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Facility {
    /// By the event's channel.
    Auto,
    /// This number, 0 to 23, for all.
    Fixed(u8),
}

impl Facility {
    /// Reads `auto`, a name or a number.
    ///
    /// # Errors
    /// [`Error::Facility`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let number = || {
            text.parse::<usize>()
                .ok()
                .filter(|_| !text.starts_with('+'))
        };
        NAMES
            .iter()
            .position(|name| *name == text)
            .or_else(number)
            .filter(|number| *number < NAMES.len())
            .and_then(|number| u8::try_from(number).ok())
            .map(Self::Fixed)
            .ok_or_else(|| Error::Facility(text.to_owned()))
    }
}
