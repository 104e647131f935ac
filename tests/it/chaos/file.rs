//! To a file: faults of the relay, and a full disk.

use super::scene::Scene;
use crate::support::Tally;

#[test]
fn in_a_file_nothing_acknowledged_is_lost_whatever_breaks() {
    let mut scene = Scene::start("file", |dir| format!("file:{}", dir.file("out")));
    let mut rounds = 0;
    while !scene.is_enough(rounds) {
        for _ in 0..4 {
            scene.break_relay();
        }
        rounds += 1;
    }
    let hosts = scene.join_hosts();
    let cuts = scene.broken("SIGKILL") + scene.broken("file size limit");
    scene.end_relay();
    let tally = Tally::default();
    let cut = read_file(&scene.dir.file("out"), &tally);
    assert!(
        cut <= cuts,
        "{cut} lines are cut, yet only {cuts} faults cut"
    );
    scene.check(&tally, &hosts, None);
}

/// Records the lines of a file; returns the number of truncated ones.
pub(crate) fn read_file(path: &str, tally: &Tally) -> u64 {
    let connection = tally.open();
    let text = std::fs::read(path).unwrap();
    let lines = text.split(|&byte| byte == b'\n').filter(|l| !l.is_empty());
    let good = lines.filter(|line| {
        let is_good = crate::support::parse_line(line).is_ok();
        if is_good {
            tally.note(connection, line);
        }
        !is_good
    });
    u64::try_from(good.count()).unwrap()
}
