//! Sets of record numbers by host, in the format of ledgers and reports:
//! `{"HOST": [[FIRST, LAST], ...]}`.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::Result;

/// Numbers as ranges, first to last, in order, with gaps between them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ranges(BTreeMap<u64, u64>);

impl Ranges {
    pub(crate) fn insert(&mut self, first: u64, last: u64) {
        let (mut first, mut last) = (first, last);
        let joined = self.0.range(..=last.saturating_add(1));
        let joined = joined.rev().take_while(|(_, end)| **end + 1 >= first);
        let joined: Vec<_> = joined.map(|(start, _)| *start).collect();
        for start in joined {
            let end = self.0.remove(&start).unwrap_or(start);
            (first, last) = (first.min(start), last.max(end));
        }
        self.0.insert(first, last);
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> {
        self.0.iter().map(|(first, last)| (*first, *last))
    }

    /// Number of elements.
    pub(crate) fn len(&self) -> u64 {
        self.iter().map(|(first, last)| last - first + 1).sum()
    }

    /// Number of elements from `first` to `last`.
    pub(crate) fn count_in(&self, first: u64, last: u64) -> u64 {
        let overlapping = self.0.range(..=last).rev();
        let overlapping = overlapping.take_while(|(_, end)| **end >= first);
        let sizes = overlapping.map(|(start, end)| (*end).min(last) - (*start).max(first) + 1);
        sizes.sum()
    }
}

/// The sets of all hosts.
pub(crate) type ByHost = BTreeMap<String, Ranges>;

pub(crate) fn write(path: &Path, hosts: &ByHost) -> Result<()> {
    let lists: BTreeMap<_, Vec<_>> = hosts
        .iter()
        .map(|(host, ranges)| (host, ranges.iter().collect()))
        .collect();
    fs::write(path, serde_json::to_vec(&lists)?)
        .map_err(|why| format!("{}: {why}", path.display()))?;
    Ok(())
}

pub(crate) fn read(path: &Path) -> Result<ByHost> {
    let failed = |why: &dyn std::fmt::Display| format!("{}: {why}", path.display());
    let text = fs::read(path).map_err(|why| failed(&why))?;
    let lists: BTreeMap<String, Vec<(u64, u64)>> =
        serde_json::from_slice(&text).map_err(|why| failed(&why))?;
    let mut hosts = ByHost::new();
    for (host, list) in lists {
        let ranges = hosts.entry(host).or_default();
        for (first, last) in list {
            ranges.insert(first, last);
        }
    }
    Ok(hosts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_that_touch_become_one() {
        let mut ranges = Ranges::default();
        for (first, last) in [(10, 19), (30, 39), (20, 29), (5, 5), (7, 12)] {
            ranges.insert(first, last);
        }
        assert_eq!(ranges.iter().collect::<Vec<_>>(), [(5, 5), (7, 39)]);
        assert_eq!(ranges.len(), 34);
        assert_eq!(ranges.count_in(0, 8), 3);
        assert_eq!(ranges.count_in(6, 6), 0);
        assert_eq!(ranges.count_in(38, 90), 2);
    }
}
