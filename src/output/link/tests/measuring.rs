//! When an output measures what its peer has acknowledged.

use super::*;

/// An open link with one batch of three bytes, of which all but the last `left` are written.
fn written_but(url: &str, left: usize) -> Scene {
    let mut scene = scene(url);
    scene.connect();
    scene.push(1);
    scene.written(3 - left);
    scene
}

fn measured(scene: &mut Scene, unacknowledged: usize) {
    let mut delivered = Vec::new();
    let now = scene.now;
    scene
        .link
        .handle_measured(now, unacknowledged, &mut delivered);
    scene.delivered.extend(delivered.iter().map(|id| id.0));
}

/// The time until the next check, if there is one.
fn next_look(scene: &Scene) -> Option<Duration> {
    let at = scene.link.look_at()?;
    Some(at - scene.now.monotonic)
}

#[test]
fn what_was_written_is_looked_at_soon_and_delivered_when_it_is_acknowledged() {
    let mut scene = written_but("tcp://h", 0);
    assert!(scene.link.wants_measure());
    assert_eq!(next_look(&scene), Some(FIRST_LOOK));
    assert_eq!(scene.link.handle_timeout(scene.now), None, "not yet");
    assert_eq!(scene.tick(), Some(Task::Measure));
    assert_eq!(scene.delivered, [0; 0]);
    measured(&mut scene, 0);
    assert_eq!(scene.delivered, [0]);
    assert_eq!(next_look(&scene), None);
}

#[test]
fn looks_are_further_apart_while_nothing_moves_and_close_again_when_it_does() {
    let mut scene = written_but("tcp://h", 0);
    scene.push(1);
    scene.written(3);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        measured(&mut scene, 6);
        pauses.extend(next_look(&scene));
        assert_eq!(scene.tick(), Some(Task::Measure));
    }
    assert_eq!(pauses[0], FIRST_LOOK * 2);
    assert!(
        pauses.is_sorted() && pauses[9] == LONGEST_LOOK,
        "{pauses:?}"
    );
    measured(&mut scene, 3);
    assert_eq!(scene.delivered, [0]);
    assert_eq!(next_look(&scene), Some(FIRST_LOOK));
}

#[test]
fn the_start_of_a_batch_that_is_acknowledged_is_not_looked_at_until_more_is_written() {
    let mut scene = written_but("tcp://h", 1);
    measured(&mut scene, 1);
    assert!(next_look(&scene).is_some());
    measured(&mut scene, 0);
    assert_eq!(next_look(&scene), None, "nothing can be delivered");
    scene.written(1);
    assert_eq!(next_look(&scene), Some(FIRST_LOOK));
    measured(&mut scene, 0);
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn a_connection_that_is_gone_is_not_looked_at() {
    let mut scene = written_but("tcp://h", 0);
    scene.link.handle_failed(scene.now, "reset");
    assert_eq!(next_look(&scene), None);
    scene.connect();
    assert_eq!(next_look(&scene), None);
    assert_eq!(scene.link.next_bytes(), Some(&b"0.0"[..]));
}

#[test]
fn only_tcp_and_synced_files_are_looked_at() {
    for url in ["unix:/s?type=stream", "stdout:", "file:/f"] {
        let scene = written_but(url, 0);
        assert!(!scene.link.wants_measure(), "{url}");
        assert_eq!(scene.delivered, [0], "{url}");
    }
    let mut scene = written_but("file:/f?sync=yes", 0);
    assert_eq!(scene.delivered, [0; 0]);
    measured(&mut scene, 0);
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn the_bound_of_the_queue_is_exact() {
    let mut scene = scene("tcp://h");
    let bytes = vec![0; CAPACITY - 3];
    let ends = vec![bytes.len()];
    let frames = Rc::new(Frames { bytes, ends });
    scene.link.push(scene.now, BatchId(9), &frames);
    assert!(!scene.link.is_full());
    scene.push(1);
    assert!(scene.link.is_full());
    scene.link.cancel(scene.now, BatchId(0));
    assert!(!scene.link.is_full());
    assert!(!scene.link.is_idle());
}
