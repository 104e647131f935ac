//! Configurations in the manual, so that tests use exactly these.

/// The first block below a heading of docs/high-availability.md, with these replacements,
/// each of which must apply.
#[track_caller]
pub(crate) fn manual(heading: &str, places: &[(&str, &str)]) -> String {
    let text = include_str!("../../docs/high-availability.md");
    let (_, text) = text.split_once(&format!("# {heading}\n")).unwrap();
    let is_code = |line: &&str| line.starts_with("    ");
    let lines = text.lines().skip_while(|line| !is_code(line));
    let lines = lines.take_while(|line| line.is_empty() || is_code(line));
    let mut block = lines.map(|line| format!("{line}\n")).collect::<String>();
    for (from, to) in places {
        assert!(block.contains(from), "{heading} has no {from}");
        block = block.replace(from, to);
    }
    block
}
