//! Names of parameters: unique in their element, and without dots.
//!
//! Of two parameters with the same name, receivers keep only the last. Names are compared as
//! written, truncated to 32 characters, and without case, as rsyslog compares them.

use std::collections::{HashMap, HashSet};

use crate::base::lanes::{ByteClass, Lanes, any, push_plain};
use crate::base::pieces::Pieces;
use crate::base::wire::digits;
use crate::event::Pair;

/// Maximum length of an SD-NAME (RFC 5424 6).
const MAX_SD_NAME: usize = 32;

/// Appends a name as SD-NAME, truncated to 32 characters. Characters that are not allowed become
/// `_`; so do dots, since syslog-ng parses the part after a dot as a nested name, and `[`, which
/// syslog-ng writes as `%5B`. An empty name becomes `_`.
pub(super) fn push_name(out: &mut Vec<u8>, name: &str) {
    if name.is_empty() {
        return out.push(b'_');
    }
    let start = out.len();
    if !push_plain(out, name.as_bytes(), NoName) || name.len() > MAX_SD_NAME {
        out.truncate(start);
        out.extend(mapped(name));
    }
}

/// Appends a name that usually is a part of `xml`, as [`push_name`] does. Returns whether the same
/// name may have been appended before.
#[inline(always)]
pub(super) fn push_new_name(out: &mut Pieces<'_>, xml: &str, name: &str, seen: &mut Seen) -> bool {
    if !name.is_empty() && name.len() <= MAX_SD_NAME && out.part(xml, name, NoName) {
        return seen.note(name.as_bytes());
    }
    let out = out.flush();
    let start = out.len();
    push_name(out, name);
    seen.note(out.get(start..).unwrap_or_default())
}

fn mapped(name: &str) -> impl Iterator<Item = u8> {
    let byte = |c| u8::try_from(c).ok().filter(|&byte| !NoName.has(byte));
    let characters = name.chars().take(MAX_SD_NAME);
    characters.map(move |c| byte(c).unwrap_or(b'_'))
}

/// Bytes that are not allowed in a name.
#[derive(Clone, Copy)]
struct NoName;

impl ByteClass for NoName {
    #[inline(always)]
    fn of<L: Lanes>(self, bytes: L) -> L::Mask {
        let others =
            bytes.is(b'=') | bytes.is(b']') | bytes.is(b'"') | bytes.is(b'.') | bytes.is(b'[');
        bytes.at_most(b' ') | bytes.at_least(0x7F) | others
    }
}

/// Whether two names are the same as written, ignoring case.
pub(super) fn are_one(one: &str, other: &str) -> bool {
    let folded = |name| mapped(name).map(|byte: u8| byte.to_ascii_lowercase());
    folded(one).eq(folded(other))
}

/// A quick check for repeated names: it finds all of them, and rarely reports one that is unique.
pub(super) struct Seen([u64; Self::WORDS]);

impl Seen {
    const WORDS: usize = 64;

    pub(super) fn new() -> Self {
        Self([0; Self::WORDS])
    }

    /// Adds a name as written; returns whether the same name may have been added before.
    pub(super) fn note(&mut self, name: &[u8]) -> bool {
        let hash = hash(name);
        let bit = 1 << (hash % 64);
        let word = self.0.get_mut(hash / 64 % Self::WORDS);
        word.is_none_or(|word| {
            let known = *word & bit != 0;
            *word |= bit;
            known
        })
    }
}

/// A hash, below 4,096, that ignores the case of ASCII letters: `FOLD` sets the one bit in which
/// upper and lower case differ. Names that differ otherwise may have the same hash.
fn hash(name: &[u8]) -> usize {
    const FOLD: u64 = 0x2020_2020_2020_2020;
    const SPREAD: u64 = 0x9e37_79b9_7f4a_7c15;
    let bytes = |chunk: Option<&[u8; 8]>| chunk.copied().map(u64::from_le_bytes);
    let fold = |hash: u64, &byte: &u8| hash.rotate_left(8) ^ u64::from(byte);
    let (first, last) = match (bytes(name.first_chunk()), bytes(name.last_chunk())) {
        (Some(first), Some(last)) => (first, last),
        _ => (name.iter().fold(0, fold), 0),
    };
    let middle = name
        .get(name.len() / 2..)
        .and_then(|rest| rest.first_chunk());
    let middle = bytes(middle).unwrap_or(0);
    let mixed = [first, middle, last]
        .into_iter()
        .fold(0, |hash: u64, part| {
            (hash.rotate_left(17) ^ (part | FOLD)).wrapping_mul(SPREAD)
        });
    usize::try_from(mixed >> 52).unwrap_or(0)
}

/// An SD-NAME. Held in place, since an event may have thousands.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ParamName {
    /// Followed by zeros, which no name contains.
    bytes: [u8; MAX_SD_NAME],
    length: usize,
}

/// The bytes of a [`ParamName`] in lower case.
type Folded = [u8; MAX_SD_NAME];

impl ParamName {
    /// The name as [`push_name`] writes it.
    pub(super) fn of(name: &str) -> Self {
        let plain = name.as_bytes();
        if name.is_empty() {
            Self::from_bytes(b"_".iter().copied())
        } else if plain.len() <= MAX_SD_NAME && !any(plain, NoName) {
            Self::from_bytes(plain.iter().copied())
        } else {
            Self::from_bytes(mapped(name))
        }
    }

    /// As many of these bytes as a name can have.
    fn from_bytes(from: impl Iterator<Item = u8>) -> Self {
        let mut bytes = [0; MAX_SD_NAME];
        let mut length = 0;
        for (to, byte) in bytes.iter_mut().zip(from) {
            *to = byte;
            length += 1;
        }
        Self { bytes, length }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.length).unwrap_or_default()
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_bytes()).unwrap_or_default()
    }

    /// At most this many bytes from its start.
    fn stem(&self, length: usize) -> Self {
        Self::from_bytes(self.as_bytes().iter().copied().take(length))
    }

    /// The name with `_` and a number, for which it must have room.
    fn numbered(&self, number: u64) -> Self {
        let (digits, from) = digits(number);
        let digits = digits.iter().skip(from);
        Self::from_bytes(self.as_bytes().iter().chain(b"_").chain(digits).copied())
    }

    fn folded(&self) -> Folded {
        self.bytes.map(|byte| byte.to_ascii_lowercase())
    }
}

/// Numbers names that repeat: `Name`, `Name_2`, `Name_3`.
#[derive(Default)]
pub(super) struct Numbered {
    taken: HashSet<Folded>,
    /// The last number tried for each stem, which is the name without its number, and whether the
    /// name was truncated to make room for the number. Different names may have the same stem.
    last: HashMap<(Folded, bool), u64>,
    /// For each name, the smallest number with as many digits as its next number.
    least: HashMap<Folded, u64>,
    /// How many numbers were tried, so that tests can bound the work.
    #[cfg(test)]
    tried: usize,
}

impl Numbered {
    /// Reserves names: [`next`](Self::next) numbers names equal to them.
    pub(super) fn reserve<'n>(&mut self, names: impl IntoIterator<Item = &'n str>) {
        let names = names.into_iter().map(|name| ParamName::of(name).folded());
        self.taken.extend(names);
    }

    /// A unique SD-NAME for the next parameter.
    pub(super) fn next(&mut self, name: &str) -> ParamName {
        let name = ParamName::of(name);
        if self.taken.insert(name.folded()) {
            name
        } else {
            self.numbered(name)
        }
    }

    /// The name with the next free number, of as few digits as possible.
    fn numbered(&mut self, name: ParamName) -> ParamName {
        let least = self.least.entry(name.folded()).or_insert(1);
        loop {
            let (all, from) = digits(*least);
            let room = MAX_SD_NAME.saturating_sub(all.len() - from + 1);
            let stem = name.stem(room);
            let key = (stem.folded(), stem.length < name.length);
            let last = self.last.entry(key).or_insert(1);
            *last = (*last).max(least.saturating_sub(1));
            let next = least.saturating_mul(10);
            while *last < next.saturating_sub(1) {
                *last += 1;
                #[cfg(test)]
                {
                    self.tried += 1;
                }
                let numbered = stem.numbered(*last);
                if self.taken.insert(numbered.folded()) {
                    return numbered;
                }
            }
            *least = next;
        }
    }

    /// Unique SD-NAMEs for all pairs, in their order.
    pub(super) fn all(mut self, pairs: &[Pair<'_>]) -> Vec<ParamName> {
        self.taken.reserve(pairs.len());
        pairs.iter().map(|(name, _)| self.next(name)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(names: &[&str]) -> Vec<String> {
        let pairs: Vec<Pair<'_>> = names
            .iter()
            .map(|name| ((*name).into(), "".into()))
            .collect();
        let names = Numbered::default().all(&pairs);
        names.iter().map(|name| name.as_str().to_owned()).collect()
    }

    #[test]
    fn names_that_repeat_are_numbered() {
        let given = [
            "Latency", "Latency", "a b", "a_b", "LATENCY", "x.y", "x_y", "", "_",
        ];
        let expected = [
            "Latency",
            "Latency_2",
            "a_b",
            "a_b_2",
            "LATENCY_3",
            "x_y",
            "x_y_2",
            "_",
            "__2",
        ];
        assert_eq!(numbered(&given), expected);
    }

    #[test]
    fn a_number_takes_no_name_that_is_there() {
        let expected = ["n_2", "n", "n_3", "n_4", "n_2_2"];
        assert_eq!(numbered(&["n_2", "n", "n", "n", "n_2"]), expected);
    }

    #[test]
    fn names_that_are_one_after_the_cut_are_numbered_within_it() {
        let long = "Security intelligence version of the engine";
        let other = "Security intelligence version of the signature";
        let expected = [
            "Security_intelligence_version_of",
            "Security_intelligence_version__2",
        ];
        assert_eq!(numbered(&[long, other]), expected);
        let many = vec![long; 1200];
        let names = numbered(&many);
        let unique: HashSet<_> = names.iter().collect();
        assert_eq!(unique.len(), many.len());
        assert!(names.iter().all(|name| name.len() <= MAX_SD_NAME));
    }

    /// Names that are equal after truncation for their numbers: each could try all numbers of the
    /// others.
    #[test]
    fn few_numbers_are_tried_whatever_the_names() {
        let shapes: [&dyn Fn(usize) -> String; 4] = [
            &|number| format!("abcdefghijklmnopqrstuvwxyzab{:04x}", number / 2),
            &|number| format!("abcdefghijklmnopqrstuvwxyz{number}"),
            &|number| format!("{}_{}", "n".repeat(28), number % 100),
            &|number| ["n".to_owned(), format!("n_{number}")][number % 2].clone(),
        ];
        for shape in shapes {
            let mut numbered = Numbered::default();
            let mut unique = HashSet::new();
            for number in 0..8000 {
                let name = numbered.next(&shape(number)).as_str().to_owned();
                assert!(name.len() <= MAX_SD_NAME && unique.insert(name));
            }
            let name = shape(1);
            assert!(numbered.tried < 20_000, "{name}: {}", numbered.tried);
        }
    }

    #[test]
    fn a_name_held_is_the_name_written() {
        let long = "n".repeat(40);
        for name in [
            "",
            "a",
            "a.b c",
            "é\u{7f}",
            &long,
            &long[..32],
            "Ab_9",
            "[\0]",
        ] {
            let mut written = Vec::new();
            push_name(&mut written, name);
            assert_eq!(ParamName::of(name).as_bytes(), written, "{name}");
        }
        for number in [0, 9, 10, 4096, u64::MAX] {
            let numbered = ParamName::of("a").numbered(number);
            assert_eq!(numbered.as_str(), format!("a_{number}"));
        }
    }

    #[test]
    fn a_name_that_repeats_is_noticed_in_either_case() {
        for length in 1..=MAX_SD_NAME {
            let name: String = ('a'..='z').cycle().take(length).collect();
            let mut seen = Seen::new();
            assert!(!seen.note(name.as_bytes()));
            assert!(seen.note(name.to_ascii_uppercase().as_bytes()));
            assert!(are_one(&name, &name.to_ascii_uppercase()));
        }
        assert!(!are_one("a", "b") && !are_one("a", "ab"));
        assert!(are_one("a b", "a_B") && are_one("é", "ü"));
    }

    #[test]
    fn usual_names_are_seldom_taken_for_repeated() {
        let clashes = (0..1000).filter(|round| {
            let mut seen = Seen::new();
            (0..20).any(|place| seen.note(format!("Name{}", round * 20 + place).as_bytes()))
        });
        // Twenty names in 4,096 places collide in about one of twenty rounds.
        assert!(clashes.count() < 100);
    }
}
