//! Keytab files: the keys of this server's services, as written by MIT krb5, `ktpass`,
//! `msktutil`, and Samba.
//!
//! The format is described in MIT krb5's `doc/formats/keytab_file_format`: two bytes of
//! version, then entries, each preceded by its size. A deleted entry has a negative size
//! and remains as a hole.

use std::collections::BTreeMap;
use std::fmt;

use super::crypto::{Enctype, Key};

/// First byte of every keytab.
const MAGIC: u8 = 5;
/// Maximum number of components of a principal; more than any real one has.
const MAX_COMPONENTS: u16 = 16;

/// The keys of services.
///
/// ```
/// use wecrelay::protocol::kerberos::keytab::Keytab;
///
/// let error = Keytab::parse(b"[libdefaults]").unwrap_err();
/// assert_eq!(error.to_string(), "not a keytab: it begins with bytes 5b 6c instead of 05 02");
/// ```
#[derive(Clone, Debug, Default)]
pub struct Keytab {
    /// The usable keys, in the order of the file.
    pub entries: Vec<Entry>,
    /// Entries with an unsupported enctype, such as DES; kept for messages.
    pub unusable: Vec<Unusable>,
}

/// One key of a principal: one version, one enctype.
#[derive(Clone, Debug)]
pub struct Entry {
    /// The principal: `HTTP/collector.example.com@EXAMPLE.COM`.
    pub principal: String,
    /// Name type, such as NT-PRINCIPAL (RFC 4120 6.2). Tickets may have another one, so it
    /// is not compared.
    pub name_type: u32,
    /// When the entry was written, in seconds since 1970.
    pub timestamp: u32,
    /// Key version number; each password change increments it.
    pub kvno: u32,
    /// The key, wiped on drop.
    pub key: Key,
}

impl Entry {
    /// The realm of the principal; empty if it has none.
    #[must_use]
    pub fn realm(&self) -> &str {
        self.principal
            .rsplit_once('@')
            .map_or("", |(_, realm)| realm)
    }
}

/// An entry with an unsupported enctype.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unusable {
    /// The principal.
    pub principal: String,
    /// Key version number.
    pub kvno: u32,
    /// Number of the enctype, not among [`Enctype`].
    pub enctype: u16,
}

/// Why a file is not a valid keytab. Offsets are in bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The file does not begin as a keytab does.
    Magic {
        /// The first bytes.
        found: [u8; 2],
    },
    /// The file has fewer than two bytes.
    Empty,
    /// The file or an entry ends within a value.
    Truncated {
        /// Offset at which the value begins.
        offset: usize,
        /// Name of the value.
        what: &'static str,
    },
    /// An entry with an implausible number of name components.
    Components {
        /// Offset of the number.
        offset: usize,
        /// Number of components in the entry.
        found: u16,
    },
    /// A realm or component that is not valid UTF-8.
    Text {
        /// Offset of the text.
        offset: usize,
    },
    /// A key whose size does not fit its enctype.
    KeyLength {
        /// Offset of the key.
        offset: usize,
        /// The entry's principal.
        principal: String,
        /// The entry's enctype.
        enctype: Enctype,
        /// Size of the key in bytes.
        found: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Magic { found: [a, b] } => write!(
                f,
                "not a keytab: it begins with bytes {a:02x} {b:02x} instead of 05 02"
            ),
            Self::Empty => f.write_str("not a keytab: the file is empty"),
            Self::Truncated { offset, what } => {
                write!(f, "keytab is truncated: no {what} at byte {offset}")
            }
            Self::Components { offset, found } => write!(
                f,
                "keytab is damaged: a name of {found} components at byte {offset}"
            ),
            Self::Text { offset } => {
                write!(f, "keytab is damaged: a name at byte {offset} is not UTF-8")
            }
            Self::KeyLength {
                offset,
                principal,
                enctype,
                found,
            } => write!(
                f,
                "keytab is damaged: the {enctype} key of {principal} at byte {offset} has \
                 {found} bytes instead of {}",
                enctype.key_len()
            ),
        }
    }
}

impl std::error::Error for Error {}

/// The keys that could decrypt a ticket, or why there are none.
#[derive(Clone, Debug)]
pub enum Lookup<'a> {
    /// These keys; several if the keytab has a version twice, or if the ticket names no
    /// version.
    Keys(Vec<&'a Key>),
    /// The keytab has no key for this service.
    NoPrincipal,
    /// The keytab has only other versions of the service's key.
    NoVersion {
        /// Versions in the keytab.
        known: Vec<u32>,
    },
    /// The keytab has this version only with other enctypes.
    NoEnctype {
        /// Encryption types in the keytab.
        known: Vec<Enctype>,
    },
}

impl Keytab {
    /// Parses a keytab of format 0x0502, or of 0x0501, whose numbers are little-endian.
    ///
    /// # Errors
    /// It is not a keytab, truncated, or damaged.
    pub fn parse(bytes: &[u8]) -> Result<Self, Error> {
        let (magic, _) = bytes.split_first_chunk::<2>().ok_or(Error::Empty)?;
        let form = match *magic {
            [MAGIC, 2] => Form::Current,
            [MAGIC, 1] => Form::Old,
            found => return Err(Error::Magic { found }),
        };
        let mut reader = Reader { bytes, at: 2, form };
        let mut keytab = Self::default();
        while !reader.is_at_end() {
            let size = reader.u32("size of an entry")?.cast_signed();
            if size == 0 {
                break;
            }
            let start = reader.at;
            let length = usize::try_from(size.unsigned_abs()).unwrap_or(usize::MAX);
            // A hole at the end may extend beyond the end of the file.
            if size < 0 {
                reader.at = start.saturating_add(length).min(bytes.len());
                continue;
            }
            reader.take(length, "whole entry")?;
            let inner = bytes.get(..reader.at).unwrap_or_default();
            let entry = Reader {
                bytes: inner,
                at: start,
                form,
            };
            keytab.read_entry(entry)?;
        }
        Ok(keytab)
    }

    fn read_entry(&mut self, mut reader: Reader<'_>) -> Result<(), Error> {
        let offset = reader.at;
        let count = reader.u16("count of name components")?;
        // The old format counts the realm as well.
        let count = count.saturating_sub(u16::from(reader.form == Form::Old));
        if count > MAX_COMPONENTS {
            let found = count;
            return Err(Error::Components { offset, found });
        }
        let realm = reader.text("realm")?;
        let components = (0..count).map(|_| reader.text("name component"));
        let components = components.collect::<Result<Vec<_>, _>>()?;
        let principal = format!("{}@{realm}", components.join("/"));
        let name_type = match reader.form {
            Form::Current => reader.u32("type of the name")?,
            Form::Old => 0,
        };
        let timestamp = reader.u32("time of writing")?;
        let short_kvno = reader.u8("version of the key")?;
        let number = reader.u16("enctype")?;
        let (offset, bytes) = reader.counted("key")?;
        // A version above 255 follows the key; 0 there means that there is none.
        let kvno = reader.u32("version of the key").unwrap_or_default();
        let kvno = if kvno == 0 { short_kvno.into() } else { kvno };
        let Some(enctype) = Enctype::from_number(number.into()) else {
            let enctype = number;
            self.unusable.push(Unusable {
                principal,
                kvno,
                enctype,
            });
            return Ok(());
        };
        let Some(key) = Key::new(enctype, bytes) else {
            return Err(Error::KeyLength {
                offset,
                principal,
                enctype,
                found: bytes.len(),
            });
        };
        self.entries.push(Entry {
            principal,
            name_type,
            timestamp,
            kvno,
            key,
        });
        Ok(())
    }

    /// Whether it has no usable key.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Adds the keys of another file.
    pub fn extend(&mut self, other: Self) {
        self.entries.extend(other.entries);
        self.unusable.extend(other.unusable);
    }

    /// Finds the keys of a service such as `HTTP/collector.example.com@EXAMPLE.COM`,
    /// compared ignoring case as domain controllers do. Without `kvno`, of all versions.
    #[must_use]
    pub fn find(&self, principal: &str, kvno: Option<u32>, enctype: Enctype) -> Lookup<'_> {
        let of_service = |entry: &&Entry| entry.principal.eq_ignore_ascii_case(principal);
        let entries: Vec<_> = self.entries.iter().filter(of_service).collect();
        if entries.is_empty() {
            return Lookup::NoPrincipal;
        }
        let known = sorted(entries.iter().map(|entry| entry.kvno));
        let of_version = |entry: &&Entry| kvno.is_none_or(|kvno| entry.kvno == kvno);
        let entries: Vec<_> = entries.into_iter().filter(of_version).collect();
        if entries.is_empty() {
            return Lookup::NoVersion { known };
        }
        let known = sorted(entries.iter().map(|entry| entry.key.enctype()));
        let keys = entries.into_iter().map(|entry| &entry.key);
        let keys: Vec<_> = keys.filter(|key| key.enctype() == enctype).collect();
        if keys.is_empty() {
            Lookup::NoEnctype { known }
        } else {
            Lookup::Keys(keys)
        }
    }

    /// All keys that could decrypt a ticket of this enctype, most likely first: those of
    /// its service and version, then of other versions, then of other names.
    pub fn candidates<'a>(
        &'a self,
        principal: &'a str,
        kvno: Option<u32>,
        enctype: Enctype,
    ) -> impl Iterator<Item = &'a Entry> {
        let of_service = move |entry: &Entry| entry.principal.eq_ignore_ascii_case(principal);
        let rank = move |entry: &Entry| match (of_service(entry), kvno) {
            (true, Some(kvno)) if entry.kvno != kvno => 1,
            (true, _) => 0,
            (false, _) => 2,
        };
        let entries = move |wanted| {
            let entries = self.entries.iter();
            entries.filter(move |entry| entry.key.enctype() == enctype && rank(entry) == wanted)
        };
        (0..3).flat_map(entries)
    }

    /// The host names that have service keys, each once and in lower case:
    /// `collector.example.com` of `HTTP/collector.example.com@EXAMPLE.COM`.
    #[must_use]
    pub fn hosts(&self) -> Vec<String> {
        let hosts = self.entries.iter().filter_map(|entry| {
            let (_, rest) = entry.principal.split_once('/')?;
            let host = rest.split(['/', '@']).next()?;
            Some(host.to_ascii_lowercase())
        });
        sorted(hosts)
    }

    /// The principals that have usable keys, each once.
    #[must_use]
    pub fn principals(&self) -> Vec<String> {
        sorted(self.entries.iter().map(|entry| entry.principal.clone()))
    }
}

fn sorted<T: Ord>(values: impl Iterator<Item = T>) -> Vec<T> {
    let mut values: Vec<T> = values.collect();
    values.sort();
    values.dedup();
    values
}

/// One line for the log: principals, versions, and enctypes.
impl fmt::Display for Keytab {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut keys = BTreeMap::<_, Vec<String>>::new();
        for entry in &self.entries {
            let of = keys.entry((entry.principal.as_str(), entry.kvno));
            of.or_default().push(entry.key.enctype().name().to_owned());
        }
        for entry in &self.unusable {
            let of = keys.entry((entry.principal.as_str(), entry.kvno));
            let notice = format!("enctype {} is not supported", entry.enctype);
            of.or_default().push(notice);
        }
        if keys.is_empty() {
            return f.write_str("no keys");
        }
        for (index, ((principal, kvno), enctypes)) in keys.iter().enumerate() {
            let comma = if index == 0 { "" } else { ", " };
            let enctypes = enctypes.join(", ");
            write!(f, "{comma}{principal} kvno {kvno} ({enctypes})")?;
        }
        Ok(())
    }
}

/// The byte order of numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// Big-endian.
    Current,
    /// The byte order of the machine that wrote it; little-endian is assumed.
    Old,
}

/// Reads values from the front and tracks the offset.
struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
    form: Form,
}

impl<'a> Reader<'a> {
    const fn is_at_end(&self) -> bool {
        self.at >= self.bytes.len()
    }

    fn take(&mut self, size: usize, what: &'static str) -> Result<&'a [u8], Error> {
        let offset = self.at;
        let end = offset.saturating_add(size);
        let taken = self.bytes.get(offset..end);
        let taken = taken.ok_or(Error::Truncated { offset, what })?;
        self.at = end;
        Ok(taken)
    }

    fn number<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Error> {
        let mut number = [0; N];
        let taken = self.take(N, what)?.iter().zip(&mut number);
        taken.for_each(|(from, to)| *to = *from);
        if self.form == Form::Old {
            number.reverse();
        }
        Ok(number)
    }

    fn u8(&mut self, what: &'static str) -> Result<u8, Error> {
        self.number(what).map(u8::from_be_bytes)
    }

    fn u16(&mut self, what: &'static str) -> Result<u16, Error> {
        self.number(what).map(u16::from_be_bytes)
    }

    fn u32(&mut self, what: &'static str) -> Result<u32, Error> {
        self.number(what).map(u32::from_be_bytes)
    }

    /// A value preceded by its 16-bit size, and the value's offset.
    fn counted(&mut self, what: &'static str) -> Result<(usize, &'a [u8]), Error> {
        let size = self.u16(what)?;
        Ok((self.at, self.take(size.into(), what)?))
    }

    fn text(&mut self, what: &'static str) -> Result<&'a str, Error> {
        let (offset, bytes) = self.counted(what)?;
        std::str::from_utf8(bytes).map_err(|_| Error::Text { offset })
    }
}

#[cfg(test)]
mod tests;
