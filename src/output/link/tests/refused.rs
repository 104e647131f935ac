//! Messages that the receiver rejects, skips, or ends the session for.

use std::collections::VecDeque;
use std::time::SystemTime;

use super::super::relp::PASSED_OVER_TIME;
use super::*;
use crate::output::suspects::{FLYING_MAX, STRIKES, WAITING_MAX};

/// The receiver's reaction to a message.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    Accept,
    Refuse,
    /// Never answers it.
    Skip,
    /// Ends the session when it reads it.
    End,
    /// Announces that first, as rsyslog does for a message that is too long.
    Close,
}

impl Scene {
    /// The receiver reads everything it has received, message by message. Returns whether the
    /// session continues.
    fn judge(&mut self, way: impl Fn(&str) -> Way) -> bool {
        for (number, _, message) in self.commands() {
            match way(&message) {
                Way::Skip => continue,
                Way::Refuse => self.receive(format!("{number} rsp 7 500 bad\n").as_bytes()),
                Way::End => {
                    self.link
                        .handle_failed(self.now, "the receiver closed the connection");
                    self.take_judged();
                    return false;
                }
                Way::Close => {
                    self.receive(b"0 serverclose 0\n");
                    self.take_judged();
                    return false;
                }
                Way::Accept => {
                    *self.kept.entry(message).or_default() += 1;
                    self.receive(format!("{number} rsp 6 200 OK\n").as_bytes())
                }
            };
            self.take_judged();
        }
        true
    }

    /// Takes the batches that the collector would take after each call.
    fn take_judged(&mut self) -> Vec<u64> {
        let delivered = self.link.take_delivered();
        self.delivered.extend(delivered.iter().map(|id| id.0));
        let failed: Vec<u64> = self.link.take_refused().iter().map(|id| id.0).collect();
        self.failed.extend(&failed);
        failed
    }

    /// Advances time, deadline by deadline, while other hosts send a message every 50 ms.
    fn live(&mut self, time: Duration, way: impl Fn(&str) -> Way) {
        let end = self.now.monotonic + time;
        while self.now.monotonic < end {
            self.wait(Duration::from_millis(50));
            let task = self.link.handle_timeout(self.now);
            self.take_judged();
            match task {
                Some(Task::LookUp) => self.link.handle_resolved(self.now, Ok(&[address(1)])),
                Some(Task::Connect(_)) => {
                    self.link.handle_opened(self.now);
                    self.flow();
                    self.receive(b"1 rsp 37 200 OK\nrelp_version=0\ncommands=syslog\n");
                    self.wire.clear();
                    self.sessions += 1;
                }
                Some(Task::Close) => panic!("the session is given up"),
                _ => {}
            }
            self.push(1);
            self.flow();
            self.judge(&way);
        }
    }
}

fn poisoned(bad: Way) -> impl Fn(&str) -> Way {
    move |message| match message {
        "0.0" => bad,
        _ => Way::Accept,
    }
}

/// All batches except the first one.
fn others(scene: &Scene) -> usize {
    scene.delivered.iter().filter(|id| **id != 0).count()
}

#[test]
fn a_refused_message_is_tried_again_then_its_batch_is_handed_back() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(2);
    scene.flow();
    scene.judge(poisoned(Way::Refuse));
    let mut pauses = Vec::new();
    for _ in 1..STRIKES {
        assert!(scene.failed.is_empty());
        assert!(scene.link.next_bytes().is_none(), "sent again at once");
        let before = scene.now.monotonic;
        assert_eq!(scene.tick(), None);
        pauses.push(scene.now.monotonic - before);
        scene.flow();
        scene.judge(poisoned(Way::Refuse));
    }
    assert_eq!(pauses, [250, 500].map(Duration::from_millis));
    assert_eq!(scene.failed, [0]);
    assert_eq!((scene.link.dropped(), scene.link.facts().refused), (0, 3));
    assert!(scene.link.is_idle());
    assert_eq!(scene.kept.keys().collect::<Vec<_>>(), ["0.1"]);
}

#[test]
fn a_message_that_is_taken_at_last_is_delivered() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(1);
    scene.flow();
    for _ in 1..STRIKES {
        scene.judge(poisoned(Way::Refuse));
        scene.tick();
        scene.flow();
    }
    assert_eq!(scene.link.refused_events().len(), 1);
    scene.judge(|_| Way::Accept);
    assert_eq!(scene.delivered, [0]);
    assert!(scene.failed.is_empty() && scene.link.refused_events().is_empty());
}

#[test]
fn a_repeat_of_a_refused_message_is_handed_back_at_once() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(1);
    scene.live(Duration::from_secs(2), poisoned(Way::Refuse));
    assert_eq!(scene.failed, [0]);
    // Its host sends the same event again.
    let id = scene.push_text(&["0.0"]);
    scene.flow();
    scene.judge(poisoned(Way::Refuse));
    assert_eq!(scene.failed, [0, id]);
    // And once more after the receiver was repaired, which clears its strikes.
    let id = scene.push_text(&["0.0"]);
    scene.flow();
    scene.judge(|_| Way::Accept);
    assert_eq!(scene.delivered.last(), Some(&id));
    assert!(scene.link.refused_events().is_empty());
}

#[test]
fn a_message_that_is_never_answered_holds_up_nobody() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(1);
    scene.live(PASSED_OVER_TIME * 4, poisoned(Way::Skip));
    assert_eq!(scene.failed, [0]);
    assert_eq!(scene.sessions, 0, "no new session");
    assert!(!scene.delivered.contains(&0));
    let pushed = usize::try_from(scene.next - 1).unwrap();
    assert_eq!(others(&scene), pushed);
    assert!(scene.link.is_idle());
}

#[test]
fn a_message_is_sent_again_though_the_window_is_always_full() {
    for bad in [Way::Refuse, Way::Skip] {
        let mut scene = scene("relp://h");
        scene.open();
        scene.push(1);
        let way = poisoned(bad);
        let mut read = VecDeque::new();
        let time = PASSED_OVER_TIME * 4;
        let end = scene.now.monotonic + time;
        while scene.now.monotonic < end {
            scene.wait(Duration::from_millis(50));
            scene.link.handle_timeout(scene.now);
            scene.take_judged();
            scene.push(relp::WINDOW);
            scene.flow();
            read.extend(scene.commands());
            // It never keeps up.
            let now: Vec<_> = read.drain(..relp::WINDOW / 2).collect();
            for (number, _, message) in now {
                match way(&message) {
                    Way::Accept => scene.receive(format!("{number} rsp 6 200 OK\n").as_bytes()),
                    Way::Refuse => scene.receive(format!("{number} rsp 7 500 bad\n").as_bytes()),
                    _ => None,
                };
                scene.take_judged();
                scene.flow();
                read.extend(scene.commands());
            }
        }
        assert_eq!(scene.failed, [0]);
        assert_eq!(scene.link.facts().refused, u64::from(STRIKES));
    }
}

#[test]
fn a_late_answer_still_counts() {
    let mut scene = scene("relp://h");
    scene.open();
    scene.push(1);
    scene.live(
        PASSED_OVER_TIME + Duration::from_millis(100),
        poisoned(Way::Skip),
    );
    assert!(scene.delivered.iter().all(|id| *id != 0));
    assert_eq!(scene.receive(b"2 rsp 6 200 OK\n"), None);
    assert_eq!(scene.delivered.last(), Some(&0));
    assert!(scene.link.refused_events().is_empty());
    scene.live(PASSED_OVER_TIME * 3, |_| Way::Accept);
    assert!(scene.failed.is_empty() && scene.link.is_idle());
}

#[test]
fn a_message_that_ends_each_session_is_found_among_others() {
    for way in [Way::End, Way::Close] {
        let mut scene = scene("relp://h");
        scene.open();
        scene.push_text(&["good", "0.0"]);
        scene.live(Duration::from_secs(60), poisoned(way));
        assert_eq!(scene.failed, [0]);
        assert!(scene.sessions <= 6, "{} sessions", scene.sessions);
        let pushed = usize::try_from(scene.next - 1).unwrap();
        assert_eq!(others(&scene), pushed);
    }
}

#[test]
fn a_receiver_that_falls_over_all_messages_makes_none_a_poison() {
    for url in ["relp://h", "relp://h?refused=drop"] {
        let mut scene = scene(url);
        scene.open();
        scene.push(1);
        scene.live(Duration::from_secs(100), |_| Way::End);
        assert!(
            scene.failed.is_empty() && scene.delivered.is_empty(),
            "{url}"
        );
        assert_eq!(scene.link.dropped(), 0, "{url}");
    }
}

#[test]
fn refused_messages_may_be_dropped() {
    for way in [Way::Refuse, Way::Skip, Way::End] {
        let mut scene = scene("relp://h?refused=drop");
        scene.open();
        scene.push_text(&["good", "0.0"]);
        scene.live(Duration::from_secs(60), poisoned(way));
        assert!(scene.delivered.contains(&0));
        assert!(scene.failed.is_empty());
        let facts = scene.link.facts();
        assert_eq!((scene.link.dropped(), facts.refused_dropped), (1, 1));
    }
}

#[test]
fn refused_messages_may_go_to_a_file_and_count_once_they_are_there() {
    for way in [Way::Refuse, Way::Skip, Way::End] {
        let mut scene = scene("relp://h?refused=file:/x");
        scene.open();
        scene.push_text(&["good", "0.0"]);
        for _ in 0..1000 {
            scene.live(Duration::from_millis(50), poisoned(way));
            if scene.link.lines_to_file().is_some() {
                break;
            }
        }
        assert!(!scene.delivered.contains(&0));
        assert_eq!(scene.link.lines_to_file().unwrap(), b"0.0\n");
        let mut delivered = Vec::new();
        scene.link.handle_filed(scene.now, None, &mut delivered);
        assert_eq!(delivered, [BatchId(0)]);
        assert_eq!(scene.link.lines_to_file(), None);
        assert_eq!(scene.link.facts().refused_filed, 1);
    }
}

#[test]
fn a_file_that_cannot_be_written_leaves_events_with_their_hosts() {
    let mut scene = scene("relp://h?refused=file:/x");
    scene.open();
    scene.push(1);
    scene.live(Duration::from_secs(2), poisoned(Way::Refuse));
    scene
        .link
        .handle_filed(scene.now, Some("no space"), &mut Vec::new());
    assert_eq!(scene.take_judged(), [0]);
    assert_eq!(scene.link.facts().refused_filed, 0);
    scene.live(Duration::from_secs(2), poisoned(Way::Refuse));
    assert!(scene.link.is_idle());
}

#[test]
fn a_refused_message_that_nobody_waits_for_is_let_go() {
    let mut scene = scene("relp://h");
    scene.open();
    let batch = scene.push(1);
    scene.flow();
    scene.link.cancel(scene.now, BatchId(batch));
    scene.judge(poisoned(Way::Refuse));
    assert!(scene.failed.is_empty() && scene.link.is_idle());
}

#[test]
fn many_messages_that_are_never_answered_leave_most_of_the_window() {
    let mut scene = scene("relp://h?refused=drop");
    scene.open();
    // As many as fit beside a message of another host.
    scene.push(relp::WINDOW - 1);
    let bad = |message: &str| {
        if message.starts_with("0.") {
            Way::Skip
        } else {
            Way::Accept
        }
    };
    scene.live(PASSED_OVER_TIME + Duration::from_secs(1), bad);
    let before = (others(&scene), scene.next);
    scene.live(PASSED_OVER_TIME, bad);
    let pushed = usize::try_from(scene.next - before.1).unwrap();
    assert_eq!(others(&scene) - before.0, pushed);
    assert!(scene.link.delivery.suspects().flying() <= FLYING_MAX);
}

#[test]
fn a_receiver_that_refuses_everything_gets_nothing_new_past_a_bound() {
    let mut scene = scene("relp://h");
    scene.open();
    let refuse_all = |_: &str| Way::Refuse;
    for _ in 0..WAITING_MAX + 500 {
        scene.push(1);
    }
    for _ in 0..WAITING_MAX {
        scene.flow();
        scene.judge(refuse_all);
    }
    let waiting = scene.link.delivery.suspects().waiting();
    assert!(
        (WAITING_MAX..WAITING_MAX + relp::WINDOW).contains(&waiting),
        "{waiting}"
    );
    // The receiver has been repaired: everything is delivered.
    for _ in 0..WAITING_MAX {
        if scene.link.is_idle() {
            break;
        }
        scene.wait(Duration::from_millis(50));
        scene.link.handle_timeout(scene.now);
        scene.flow();
        scene.judge(|_| Way::Accept);
    }
    assert_eq!(scene.delivered.len(), WAITING_MAX + 500);
}

#[test]
fn the_event_is_named_and_forgotten_in_time() {
    let mut scene = scene("relp://h");
    scene.open();
    let text = "<14>1 - ws-7.bench p - 1 [event@32473 Uid=\"ab\" Channel=\"Security\" \
                EventRecordID=\"9\" Subscription=\"all\"] text";
    scene.push_text(&[text]);
    scene.flow();
    scene.judge(|_| Way::Refuse);
    let facts = scene.link.facts();
    let refused = &facts.refused_events[0];
    assert_eq!(
        (
            refused.event.as_str(),
            refused.reason.as_str(),
            refused.times
        ),
        (
            "ws-7.bench (subscription all, channel Security, EventRecordID 9, Uid ab)",
            "500 bad",
            1
        )
    );
    assert!(refused.since >= SystemTime::UNIX_EPOCH);
    scene.live(Duration::from_secs(910), |message| match message {
        message if message == text => Way::Refuse,
        _ => Way::Accept,
    });
    assert!(scene.link.refused_events().is_empty());
}
