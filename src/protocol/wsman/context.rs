//! Enumeration contexts: where an enumeration continues, returned by a source with its next
//! Pull.
//!
//! The context is the whole state of an enumeration, so the next Pull may arrive on another
//! connection or at another collector with the same subscriptions. It grants nothing: what
//! a source receives always depends on its identity on the connection of its Pull. So a
//! digest suffices and no secret is needed; it distinguishes contexts for another list,
//! another source, or another program.

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD as BASE64;
use sha2::{Digest, Sha256};

use crate::base::clock::UnixSeconds;

/// How long a source may take until its next Pull; as long as with Windows (MS-WSMV
/// 3.1.4.1.36). The clocks of two collectors may differ by this much.
pub const LIFETIME: Duration = Duration::from_secs(60);

/// The first byte: version of the format, which the digest covers.
const FORM: u8 = 1;
/// Sizes in bytes without and with the digest.
const FACTS: usize = 1 + 8 + 4 + 8;
const SIZE: usize = FACTS + 16;

/// Identifies what an enumeration iterates over: a source and its subscriptions. After a
/// change the source must start over, or it could miss a subscription.
#[derive(Clone, Debug)]
pub struct ListDigest(Sha256);

impl ListDigest {
    /// The list of the source with these names, without subscriptions yet.
    #[must_use]
    pub fn of(source: &[&str]) -> Self {
        let mut list = Self(Sha256::new_with_prefix(b"wecrelay enumeration"));
        source.iter().for_each(|name| list.add(name.as_bytes()));
        list
    }

    /// Adds a subscription, or what distinguishes it. The length goes in first, so that
    /// different lists cannot have the same digest input.
    pub fn add(&mut self, bytes: &[u8]) {
        let length = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
        self.0.update(length.to_be_bytes());
        self.0.update(bytes);
    }

    fn over(&self, facts: &[u8]) -> [u8; SIZE - FACTS] {
        let mut state = self.0.clone();
        state.update(facts);
        let mut digest = [0; SIZE - FACTS];
        let whole = state.finalize();
        digest
            .iter_mut()
            .zip(whole)
            .for_each(|(to, from)| *to = from);
        digest
    }
}

/// A position in an enumeration.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Context {
    /// Random identifier of the enumeration.
    pub enumeration: u64,
    /// Number of subscriptions that have been processed.
    pub position: u32,
    /// When it was issued.
    pub issued: UnixSeconds,
    digest: [u8; SIZE - FACTS],
}

impl Context {
    /// A position in this list.
    #[must_use]
    pub fn new(enumeration: u64, position: u32, issued: UnixSeconds, list: &ListDigest) -> Self {
        let mut context = Self {
            enumeration,
            position,
            issued,
            digest: [0; SIZE - FACTS],
        };
        context.digest = list.over(&context.facts());
        context
    }

    /// Parses the text of [`Context::to_text`]; `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let bytes: [u8; SIZE] = BASE64.decode(text).ok()?.try_into().ok()?;
        let (form, rest) = bytes.split_first()?;
        let (enumeration, rest) = rest.split_first_chunk()?;
        let (position, rest) = rest.split_first_chunk()?;
        let (issued, digest) = rest.split_first_chunk()?;
        (*form == FORM).then_some(Self {
            enumeration: u64::from_be_bytes(*enumeration),
            position: u32::from_be_bytes(*position),
            issued: UnixSeconds::new(u64::from_be_bytes(*issued)),
            digest: digest.try_into().ok()?,
        })
    }

    /// The text that the source receives.
    #[must_use]
    pub fn to_text(&self) -> String {
        BASE64.encode([&self.facts()[..], &self.digest].concat())
    }

    /// Whether it is a position in this list.
    #[must_use]
    pub fn is_in(&self, list: &ListDigest) -> bool {
        self.digest == list.over(&self.facts())
    }

    /// Whether it is too old, or was issued by a clock that differs too much.
    #[must_use]
    pub fn is_expired(&self, now: UnixSeconds) -> bool {
        self.issued.abs_diff(now) > LIFETIME.as_secs()
    }

    fn facts(&self) -> [u8; FACTS] {
        let fields = [
            &[FORM][..],
            &self.enumeration.to_be_bytes(),
            &self.position.to_be_bytes(),
            &self.issued.get().to_be_bytes(),
        ];
        let mut facts = [0; FACTS];
        let bytes = fields.into_iter().flatten();
        facts
            .iter_mut()
            .zip(bytes)
            .for_each(|(to, from)| *to = *from);
        facts
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(source: &[&str], versions: &[&str]) -> ListDigest {
        let mut list = ListDigest::of(source);
        versions
            .iter()
            .for_each(|version| list.add(version.as_bytes()));
        list
    }

    #[test]
    fn a_context_comes_back_as_it_was() {
        let list = list(&["a"], &["1", "2"]);
        let context = Context::new(u64::MAX, 3, UnixSeconds::new(1_800_000_000), &list);
        let text = context.to_text();
        assert_eq!(text.len(), 50);
        assert_eq!(Context::parse(&text), Some(context));
        assert!(context.is_in(&list));
        for bad in [
            "",
            "uuid:1",
            &text[1..],
            &format!("{text}A"),
            &format!("B{}", &text[1..]),
        ] {
            assert_eq!(Context::parse(bad), None, "{bad}");
        }
    }

    #[test]
    fn it_is_good_for_its_own_list_and_place_only() {
        let mine = list(&["a", "b"], &["1", "2"]);
        let context = Context::new(1, 3, UnixSeconds::new(9), &mine);
        let others = [
            list(&["a", "c"], &["1", "2"]),
            list(&["ab", ""], &["1", "2"]),
            list(&["a", "b"], &["1", "3"]),
            list(&["a", "b"], &["2", "1"]),
            list(&["a", "b"], &["1"]),
        ];
        for other in &others {
            assert!(!context.is_in(other));
        }
        for moved in [
            Context {
                position: 4,
                ..context
            },
            Context {
                issued: UnixSeconds::new(10),
                ..context
            },
            Context {
                enumeration: 2,
                ..context
            },
        ] {
            assert!(!moved.is_in(&mine));
        }
    }

    #[test]
    fn it_ends_after_a_minute() {
        let context = Context::new(1, 1, UnixSeconds::new(1000), &list(&[], &[]));
        let is_expired = |at| context.is_expired(UnixSeconds::new(at));
        assert!(!is_expired(1000) && !is_expired(1060));
        assert!(is_expired(1061), "too old");
        assert!(!is_expired(940) && is_expired(939), "from a clock ahead");
    }
}
