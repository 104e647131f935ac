//! The index of all certificates that the authority issued: `index.txt`.
//!
//! One certificate per line, with tabs between the fields: serial number, kind, names
//! separated by commas, end of validity, and time of revocation or "-". Lines that begin
//! with # are comments.

use std::fmt::{self, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use super::{Error, files};

/// How long before its end a certificate is reported as ending soon: 30 days.
pub(super) const SOON: Duration = Duration::from_secs(30 * 86_400);

const HEAD: &str = "# wecrelay ca: serial, kind, names, end, revoked; written by the program\n";

/// All certificates, oldest first, and the path of the index.
#[derive(Debug)]
pub(super) struct Index {
    path: PathBuf,
    pub(super) entries: Vec<Entry>,
}

/// The purpose of a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Server,
    Host,
}

/// An issued certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The serial number in upper-case hexadecimal.
    pub(super) serial: String,
    pub(super) kind: Kind,
    /// At least one name. The first determines the file names.
    pub(super) names: Vec<String>,
    pub(super) end: SystemTime,
    pub(super) revoked: Option<SystemTime>,
}

/// The state of a certificate at a given time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Valid,
    Soon,
    Expired,
    Revoked,
}

impl Index {
    pub(super) fn new(path: PathBuf) -> Self {
        let entries = Vec::new();
        Self { path, entries }
    }

    pub(super) fn read(path: PathBuf) -> Result<Self, Error> {
        let text = files::read(&path)?;
        let text = String::from_utf8_lossy(&text);
        let lines = text.lines().enumerate();
        let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
        let entries = lines.map(|(number, line)| {
            Entry::parse(line).ok_or_else(|| {
                let why = format!(
                    "line {} is damaged: restore the file from a copy",
                    number + 1
                );
                Error::Content(path.clone(), why)
            })
        });
        let entries = entries.collect::<Result<_, _>>()?;
        Ok(Self { path, entries })
    }

    pub(super) fn write(&self) -> Result<(), Error> {
        let mut text = HEAD.to_owned();
        for entry in &self.entries {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{entry}");
        }
        files::replace(&self.path, files::SECRET, text.as_bytes())
    }

    /// The newest certificate of this kind with this first name.
    pub(super) fn newest(&self, kind: Kind, name: &str) -> Option<&Entry> {
        let fits =
            |entry: &&Entry| entry.kind == kind && entry.names.first().is_some_and(|n| n == name);
        self.entries.iter().rev().find(fits)
    }
}

impl Entry {
    fn parse(line: &str) -> Option<Self> {
        let mut fields = line.split('\t');
        let serial = fields.next().filter(|text| is_serial(text))?.to_owned();
        let kind = match fields.next()? {
            "server" => Kind::Server,
            "host" => Kind::Host,
            _ => return None,
        };
        let names: Vec<_> = fields.next()?.split(',').map(str::to_owned).collect();
        let end = humantime::parse_rfc3339(fields.next()?).ok()?;
        let revoked = match fields.next()? {
            "-" => None,
            at => Some(humantime::parse_rfc3339(at).ok()?),
        };
        let whole = fields.next().is_none() && names.iter().all(|name| !name.is_empty());
        whole.then_some(Self {
            serial,
            kind,
            names,
            end,
            revoked,
        })
    }

    pub(super) fn state(&self, now: SystemTime) -> State {
        match self {
            Self {
                revoked: Some(_), ..
            } => State::Revoked,
            Self { end, .. } if *end <= now => State::Expired,
            Self { end, .. } if *end <= now + SOON => State::Soon,
            _ => State::Valid,
        }
    }

    /// Whether it is accepted now: neither expired nor revoked.
    pub(super) fn is_live(&self, now: SystemTime) -> bool {
        matches!(self.state(now), State::Valid | State::Soon)
    }
}

fn is_serial(text: &str) -> bool {
    !text.is_empty() && text.len() <= 40 && text.chars().all(|c| c.is_ascii_hexdigit())
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { serial, kind, .. } = self;
        let names = self.names.join(",");
        let end = humantime::format_rfc3339_seconds(self.end);
        write!(f, "{serial}\t{kind}\t{names}\t{end}\t")?;
        match self.revoked {
            Some(at) => write!(f, "{}", humantime::format_rfc3339_seconds(at)),
            None => f.write_str("-"),
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Server => "server",
            Self::Host => "host",
        })
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Valid => "valid",
            Self::Soon => "ends soon",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            serial: "0AFF".to_owned(),
            kind: Kind::Server,
            names: vec!["c.example.com".to_owned(), "192.0.2.1".to_owned()],
            end: SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000),
            revoked: None,
        }
    }

    #[test]
    fn what_is_written_is_read_again() {
        let revoked = Entry {
            revoked: Some(SystemTime::UNIX_EPOCH),
            ..entry()
        };
        for entry in [entry(), revoked] {
            assert_eq!(Entry::parse(&entry.to_string()), Some(entry));
        }
    }

    #[test]
    fn damaged_lines_are_no_entries() {
        let line = entry().to_string();
        for cut in 0..line.len() {
            assert_eq!(Entry::parse(&line[..cut]), None, "{cut}");
        }
        assert_eq!(Entry::parse(&format!("{line}\tx")), None);
        assert_eq!(Entry::parse(&line.replace("0AFF", "xyz")), None);
    }

    #[test]
    fn the_state_follows_the_clock() {
        let entry = entry();
        assert_eq!(entry.state(entry.end - 2 * SOON), State::Valid);
        assert_eq!(entry.state(entry.end - SOON), State::Soon);
        assert_eq!(entry.state(entry.end), State::Expired);
        assert!(!entry.is_live(entry.end));
    }
}
