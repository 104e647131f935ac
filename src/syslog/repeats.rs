//! Which pairs of an event have the same name.

use std::collections::HashMap;

use super::names::Seen;
use crate::event::Pair;

/// Where else the name of a pair occurs.
#[derive(Clone, Copy, Default)]
pub(super) struct Occurrence {
    /// Whether an earlier pair has it.
    pub(super) repeats: bool,
    /// The next pair that has it.
    pub(super) next: Option<usize>,
}

/// One for each pair. No allocation for each name, since there may be thousands.
pub(super) fn occurrences(pairs: &[Pair<'_>]) -> Vec<Occurrence> {
    let mut all = vec![Occurrence::default(); pairs.len()];
    let mut last = HashMap::with_capacity(pairs.len());
    for (place, (name, _)) in pairs.iter().enumerate() {
        let Some(before) = last.insert(&**name, place) else {
            continue;
        };
        if let Some(before) = all.get_mut(before) {
            before.next = Some(place);
        }
        if let Some(this) = all.get_mut(place) {
            this.repeats = true;
        }
    }
    all
}

/// Whether a name may occur twice: may be wrong if true, never if false. Names rarely repeat, and
/// this is faster than comparing each with all others.
pub(super) fn may_repeat(pairs: &[Pair<'_>]) -> bool {
    let mut seen = Seen::new();
    pairs.iter().any(|(name, _)| seen.note(name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_repeat_are_chained_in_their_order() {
        let pairs: Vec<Pair<'_>> = ["a", "b", "a", "c", "a", "b"]
            .map(|name| (name.into(), "".into()))
            .into();
        let all = occurrences(&pairs);
        let next: Vec<_> = all.iter().map(|one| one.next).collect();
        assert_eq!(next, [Some(2), Some(5), Some(4), None, None, None]);
        let repeats: Vec<_> = all.iter().map(|one| one.repeats).collect();
        assert_eq!(repeats, [false, false, true, false, true, true]);
    }

    #[test]
    fn a_name_that_repeats_is_noticed() {
        let pair = |number: usize| (format!("Name{number}").into(), "".into());
        for count in [2, 20, 200, 5000] {
            let mut pairs: Vec<Pair<'_>> = (0..count).map(pair).collect();
            pairs.push(pair(count / 2));
            assert!(may_repeat(&pairs));
        }
        assert!(!may_repeat(&[pair(1), pair(2), pair(3)]));
        assert!(!may_repeat(&[]));
    }
}
