//! Compares the acknowledged events with those that arrived.

use std::process::ExitCode;

use serde_json::json;

use crate::options::Verify;
use crate::{Result, ranges};

pub(crate) fn run(options: &Verify) -> Result<ExitCode> {
    let ledger = ranges::read(&options.ledger)?;
    let mut arrived = ranges::ByHost::new();
    for path in &options.report {
        for (host, ranges) in ranges::read(path)? {
            let all = arrived.entry(host).or_default();
            ranges
                .iter()
                .for_each(|(first, last)| all.insert(first, last));
        }
    }
    let (mut acked, mut found) = (0, 0);
    for (host, ranges) in &ledger {
        acked += ranges.len();
        let Some(arrived) = arrived.get(host) else {
            continue;
        };
        let counts = ranges
            .iter()
            .map(|(first, last)| arrived.count_in(first, last));
        found += counts.sum::<u64>();
    }
    println!(
        "{}",
        json!({ "acked": acked, "acked_but_lost": acked - found })
    );
    Ok(if acked == found {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(1)
    })
}
