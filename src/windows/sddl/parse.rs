//! Parses the text of a security descriptor (MS-DTYP 2.5.1.1).
//!
//! Also accepts what Windows' own converter accepts beyond the grammar: white space between
//! the parts, lower case, and the parts in any order.

use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::names::{self, Trustee};
use super::{Ace, Acl, Effect, SecurityDescriptor};
use crate::windows::sid::{self, Sid};

/// Maximum length of the text in bytes. The binary form of an access control list has at
/// most 64 KiB.
pub const MAX_LENGTH: usize = 256 * 1024;

/// Why a text is not a valid security descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Error {
    /// Position of the fault in the text, counted in characters from 1.
    pub at: usize,
    /// What is wrong at that position.
    pub reason: Reason,
}

/// What is wrong with a security descriptor.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Reason {
    /// The text exceeds [`MAX_LENGTH`].
    TooLong,
    /// Text where `O:`, `G:`, `D:`, or `S:` is expected.
    Part(String),
    /// The part with this letter occurs twice.
    Twice(char),
    /// An unknown flag of a list.
    AclFlag(String),
    /// Entries after `NO_ACCESS_CONTROL`.
    NullWithEntries,
    /// An entry has no closing bracket.
    Open,
    /// An entry with this number of fields instead of six.
    Fields(usize),
    /// An unknown kind of entry.
    Kind(String),
    /// A kind of entry that depends on claims, which are not evaluated.
    Conditional(String),
    /// An audit entry in the access control list, or the reverse.
    WrongList(String),
    /// An unknown flag in an entry.
    Flag(String),
    /// An unknown right in an entry.
    Right(String),
    /// A malformed GUID in an object entry.
    Guid(String),
    /// A GUID in an entry that is not an object entry.
    NoObject,
    /// An account that is neither an alias nor a SID.
    Trustee(String),
    /// A malformed SID.
    Sid(sid::Error),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "at character {}: ", self.at)?;
        match &self.reason {
            Reason::TooLong => write!(f, "longer than {MAX_LENGTH} bytes"),
            Reason::Part(text) => write!(f, "{text:?} where O:, G:, D: or S: is expected"),
            Reason::Twice(part) => write!(f, "{part}: occurs twice"),
            Reason::AclFlag(text) => {
                write!(
                    f,
                    "{text:?} is not a flag of a list: P, AR, AI, NO_ACCESS_CONTROL"
                )
            }
            Reason::NullWithEntries => write!(f, "entries after NO_ACCESS_CONTROL"),
            Reason::Open => write!(f, "this entry has no closing bracket"),
            Reason::Fields(count) => write!(
                f,
                "an entry of {count} fields: six are needed, \
                 (kind;flags;rights;object;inherited object;account)"
            ),
            Reason::Kind(text) => write!(f, "{text:?} is not a kind of entry: A, D, OA, OD"),
            Reason::Conditional(text) => write!(
                f,
                "entries of kind {text} depend on claims, which are not evaluated: name groups in A and D entries instead"
            ),
            Reason::WrongList(text) => write!(f, "{text} does not belong in this list"),
            Reason::Flag(text) => write!(
                f,
                "{text:?} is not a flag of an entry: OI, CI, NP, IO, ID, CR, SA, FA"
            ),
            Reason::Right(text) => write!(
                f,
                "{text:?} is not a right: GA, GR, GW, GX, another two letters, or a number"
            ),
            Reason::Guid(text) => write!(f, "{text:?} is not a GUID"),
            Reason::NoObject => write!(f, "a GUID needs an entry of kind OA or OD"),
            Reason::Trustee(text) => write!(
                f,
                "{text:?} is neither an alias such as DC nor a SID such as S-1-5-21-1-2-3-1105"
            ),
            Reason::Sid(error) => write!(f, "no SID: {error}"),
        }
    }
}

impl std::error::Error for Error {}

impl FromStr for SecurityDescriptor {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let whole = Span { text, at: 0 };
        if text.len() > MAX_LENGTH {
            return Err(whole.wrong(Reason::TooLong));
        }
        let mut descriptor = Self::default();
        let mut seen = String::new();
        let mut rest = whole.trim();
        while !rest.text.is_empty() {
            let (name, value, after) = rest.next_part()?;
            if seen.contains(name) {
                return Err(rest.wrong(Reason::Twice(name)));
            }
            seen.push(name);
            match name {
                'O' => descriptor.owner = value.trustee().map(Some)?,
                'G' => descriptor.group = value.trustee().map(Some)?,
                'D' => descriptor.dacl = value.acl(List::Access)?,
                // The audit list has no effect on access. It is parsed only so that
                // mistakes in it are reported.
                _ => value.acl(List::Audit).map(|_| ())?,
            }
            rest = after;
        }
        Ok(descriptor)
    }
}

/// The list that contains an entry: DACL or SACL.
#[derive(Clone, Copy, PartialEq, Eq)]
enum List {
    Access,
    Audit,
}

/// A part of the text and its position.
#[derive(Clone, Copy)]
struct Span<'a> {
    text: &'a str,
    /// Number of bytes before it in the whole text.
    at: usize,
}

impl<'a> Span<'a> {
    fn wrong(self, reason: Reason) -> Error {
        // Assumes that only ASCII precedes the fault: any other character is nearly always
        // the fault itself.
        Error {
            at: self.at + 1,
            reason,
        }
    }

    /// The beginning of the text, short enough for an error message.
    fn shown(self) -> String {
        const SHOWN: usize = 40;
        self.text.chars().take(SHOWN).collect()
    }

    fn trim(self) -> Self {
        let text = self.text.trim_start();
        let at = self.at + self.text.len() - text.len();
        Self {
            text: text.trim_end(),
            at,
        }
    }

    /// Splits it after `length` bytes.
    fn split(self, length: usize) -> (Self, Self) {
        let (head, tail) = self
            .text
            .split_at_checked(length)
            .unwrap_or((self.text, ""));
        let tail = Self {
            text: tail,
            at: self.at + head.len(),
        };
        let head = Self { text: head, ..self };
        (head, tail)
    }

    /// Splits off the next part: its letter, its value, and the remaining text.
    fn next_part(self) -> Result<(char, Self, Self), Error> {
        let (head, tail) = self.split(2);
        let name = match head.text.to_ascii_uppercase().as_str() {
            "O:" => 'O',
            "G:" => 'G',
            "D:" => 'D',
            "S:" => 'S',
            _ => return Err(self.wrong(Reason::Part(self.shown()))),
        };
        let (value, after) = tail.split(tail.value_length());
        Ok((name, value.trim(), after.trim()))
    }

    /// Length in bytes up to the letter of the next part. Colons in parentheses belong to
    /// conditions.
    fn value_length(self) -> usize {
        let mut depth = 0_usize;
        for (index, c) in self.text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' => depth = depth.saturating_sub(1),
                ':' if depth == 0 => return index.saturating_sub(1),
                _ => {}
            }
        }
        self.text.len()
    }

    fn acl(self, list: List) -> Result<Option<Acl>, Error> {
        let flags = self.text.find('(').unwrap_or(self.text.len());
        let (flags, mut rest) = self.split(flags);
        let Some(mut acl) = flags.trim().acl_flags()? else {
            return if rest.text.is_empty() {
                Ok(None)
            } else {
                Err(rest.wrong(Reason::NullWithEntries))
            };
        };
        while !rest.text.is_empty() {
            let (entry, after) = rest.bracketed()?;
            acl.entries.extend(entry.ace(list)?);
            rest = after.trim();
        }
        Ok(Some(acl))
    }

    /// Parses the flags of a list; returns the list without entries, or `None` for a null
    /// list.
    fn acl_flags(self) -> Result<Option<Acl>, Error> {
        let mut acl = Acl::default();
        let mut rest = self;
        while !rest.text.is_empty() {
            let names = ["NO_ACCESS_CONTROL", "AR", "AI", "P"];
            let begins = |name: &&&str| {
                let head = rest.text.get(..name.len());
                head.is_some_and(|head| head.eq_ignore_ascii_case(name))
            };
            let name = *names.iter().find(begins).unwrap_or(&"");
            match name {
                "NO_ACCESS_CONTROL" => return Ok(None),
                "AR" => acl.inherit_required = true,
                "AI" => acl.inherited = true,
                "P" => acl.protected = true,
                _ => return Err(rest.wrong(Reason::AclFlag(rest.shown()))),
            }
            rest = rest.split(name.len()).1.trim();
        }
        Ok(Some(acl))
    }

    /// Splits off an entry in parentheses; returns its content and the remaining text.
    fn bracketed(self) -> Result<(Self, Self), Error> {
        if !self.text.starts_with('(') {
            return Err(self.wrong(Reason::Part(self.shown())));
        }
        let mut depth = 0_usize;
        for (index, c) in self.text.char_indices() {
            match c {
                '(' => depth += 1,
                ')' if depth == 1 => {
                    let (entry, after) = self.split(index);
                    return Ok((entry.split(1).1, after.split(1).1));
                }
                ')' => depth -= 1,
                _ => {}
            }
        }
        Err(self.wrong(Reason::Open))
    }

    /// Parses an entry; `None` for an audit entry, which has no effect on access.
    fn ace(self, list: List) -> Result<Option<Ace>, Error> {
        let fields = self.fields();
        let (kind, is_object) = match fields.first() {
            Some(kind) => kind.kind(list)?,
            None => (None, false),
        };
        let [_, flags, rights, object, inherited, account] = *fields else {
            return Err(self.wrong(Reason::Fields(fields.len())));
        };
        let (object, inherited_object) = (object.guid()?, inherited.guid()?);
        if !is_object && (object.is_some() || inherited_object.is_some()) {
            return Err(self.wrong(Reason::NoObject));
        }
        let (flags, trustee) = (flags.flags()?, account.trustee()?);
        let Some(effect) = kind else {
            return Ok(None);
        };
        Ok(Some(Ace {
            effect,
            flags,
            rights: rights.rights()?,
            object: is_object.then_some((object, inherited_object)),
            trustee,
        }))
    }

    fn fields(self) -> Vec<Self> {
        let mut fields = Vec::new();
        let mut rest = self;
        while let Some(end) = rest.text.find(';') {
            let (field, after) = rest.split(end);
            fields.push(field.trim());
            rest = after.split(1).1;
        }
        fields.push(rest.trim());
        fields
    }

    /// The effect of an entry, `None` for audit entries, and whether it is an object entry.
    fn kind(self, list: List) -> Result<(Option<Effect>, bool), Error> {
        let kind = self.text.to_ascii_uppercase();
        let (effect, is_object) = match kind.as_str() {
            "A" => (Some(Effect::Allow), false),
            "D" => (Some(Effect::Deny), false),
            "OA" => (Some(Effect::Allow), true),
            "OD" => (Some(Effect::Deny), true),
            "AU" | "AL" | "ML" | "SP" | "TL" | "FL" => (None, false),
            "OU" | "OL" => (None, true),
            "XA" | "XD" | "XU" | "ZA" | "RA" => {
                return Err(self.wrong(Reason::Conditional(kind)));
            }
            _ => return Err(self.wrong(Reason::Kind(self.shown()))),
        };
        if effect.is_some() == (list == List::Access) {
            Ok((effect, is_object))
        } else {
            Err(self.wrong(Reason::WrongList(kind)))
        }
    }

    /// Splits it into two-letter names.
    fn pairs(self) -> impl Iterator<Item = Self> {
        let mut rest = self;
        std::iter::from_fn(move || {
            let pair;
            let length = rest.text.chars().take(2).map(char::len_utf8).sum();
            (pair, rest) = rest.split(length);
            rest = rest.trim();
            (!pair.text.is_empty()).then_some(pair)
        })
    }

    fn flags(self) -> Result<u8, Error> {
        self.pairs().try_fold(0, |flags, pair| {
            let flag = names::flag(pair.text);
            let flag = flag.ok_or_else(|| pair.wrong(Reason::Flag(self.shown())))?;
            Ok(flags | flag)
        })
    }

    /// The access mask: a number, or two-letter names.
    fn rights(self) -> Result<u32, Error> {
        if self.text.starts_with(|c: char| c.is_ascii_digit()) {
            return mask(self.text).ok_or_else(|| self.wrong(Reason::Right(self.shown())));
        }
        self.pairs().try_fold(0, |rights, pair| {
            let right = names::right(pair.text);
            let right = right.ok_or_else(|| pair.wrong(Reason::Right(pair.shown())))?;
            Ok(rights | right)
        })
    }

    fn guid(self) -> Result<Option<Uuid>, Error> {
        if self.text.is_empty() {
            return Ok(None);
        }
        let guid = Uuid::try_parse(self.text).map(Some);
        guid.map_err(|_| self.wrong(Reason::Guid(self.shown())))
    }

    fn trustee(self) -> Result<Trustee, Error> {
        let starts = self.text.get(..2);
        if starts.is_some_and(|starts| starts.eq_ignore_ascii_case("S-")) {
            let sid: Result<Sid, _> = self.text.parse();
            return sid
                .map(Trustee::Sid)
                .map_err(|error| self.wrong(Reason::Sid(error)));
        }
        let known = Trustee::from_alias(self.text);
        known.ok_or_else(|| self.wrong(Reason::Trustee(self.shown())))
    }
}

/// Parses a mask in hex (`0x`), octal (a leading zero), or decimal.
fn mask(text: &str) -> Option<u32> {
    let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"));
    let octal = text.strip_prefix('0').filter(|digits| !digits.is_empty());
    let (digits, radix) = match (hex, octal) {
        (Some(digits), _) => (digits, 16),
        (None, Some(digits)) => (digits, 8),
        (None, None) => (text, 10),
    };
    let is_number = digits.chars().all(|c| c.is_digit(radix));
    u32::from_str_radix(digits, radix)
        .ok()
        .filter(|_| is_number)
}
