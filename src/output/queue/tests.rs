use super::*;

fn frames(messages: &[&str]) -> Rc<Frames> {
    let mut frames = Frames::default();
    for message in messages {
        frames.bytes.extend_from_slice(message.as_bytes());
        frames.ends.push(frames.bytes.len());
    }
    Rc::new(frames)
}

/// Writes up to `count` bytes and returns them: several batches at once, unless messages are
/// confirmed individually.
fn write(queue: &mut Queue, count: usize) -> String {
    let mut written = Vec::new();
    while written.len() < count
        && let Some(first) = queue.next_bytes()
    {
        let start = written.len();
        written.extend_from_slice(first);
        if !queue.by_message {
            written.extend(queue.further_bytes().flatten());
        }
        written.truncate(count);
        queue.handle_written(written.len() - start);
    }
    String::from_utf8(written).unwrap()
}

fn confirm(queue: &mut Queue, unacknowledged: usize) -> Vec<u64> {
    let mut delivered = Vec::new();
    queue.confirm_all_but(unacknowledged, &mut delivered);
    delivered.into_iter().map(|id| id.0).collect()
}

fn queue_of(replay: usize, batches: &[&str]) -> Queue {
    let mut queue = Queue::new(replay);
    for (id, text) in (1..).zip(batches) {
        queue.push(BatchId(id), frames(&[text]));
    }
    queue
}

#[test]
fn a_batch_is_delivered_when_its_last_byte_is_acknowledged() {
    let mut queue = queue_of(0, &["aaaa", "bbbb", "cccc"]);
    assert_eq!(write(&mut queue, 10), "aaaabbbbcc");
    assert!(confirm(&mut queue, 7).is_empty());
    assert_eq!(confirm(&mut queue, 6), [1]);
    assert_eq!(confirm(&mut queue, 0), [2]);
    assert_eq!(queue.unconfirmed(), 2);
    assert_eq!(write(&mut queue, 10), "cc");
    assert_eq!(confirm(&mut queue, 0), [3]);
    assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
}

#[test]
fn the_replay_window_comes_first_on_the_next_connection() {
    let mut queue = queue_of(6, &["aaaa", "bbbb", "cccc", "dddd"]);
    write(&mut queue, 14);
    assert_eq!(confirm(&mut queue, 0), [1, 2, 3]);
    queue.rewind();
    assert_eq!(write(&mut queue, 5), "bbbbc");
    assert!(confirm(&mut queue, 0).is_empty());
    queue.rewind();
    assert_eq!(write(&mut queue, 99), "bbbbccccdddd");
    assert!(confirm(&mut queue, 1).is_empty());
    assert_eq!(confirm(&mut queue, 0), [4]);
    assert_eq!(queue.backlog(), 0);
}

#[test]
fn without_a_window_only_the_undelivered_comes_again() {
    let mut queue = queue_of(0, &["aaaa", "bbbb"]);
    write(&mut queue, 6);
    assert_eq!(confirm(&mut queue, 0), [1]);
    queue.rewind();
    assert_eq!(write(&mut queue, 99), "bbbb");
}

#[test]
fn a_cancelled_batch_leaves_unless_it_is_on_the_wire() {
    let mut queue = queue_of(0, &["aaaa", "bbbb", "cccc"]);
    write(&mut queue, 2);
    queue.cancel(BatchId(2));
    queue.cancel(BatchId(1));
    assert_eq!(write(&mut queue, 99), "aacccc");
    assert_eq!(confirm(&mut queue, 0), [1, 3]);
    assert_eq!(queue.backlog(), 0);
}

#[test]
fn an_abandoned_batch_is_not_sent_again() {
    let mut queue = queue_of(0, &["aaaa", "bbbb"]);
    write(&mut queue, 2);
    assert!(queue.cancel(BatchId(1)).unwrap().is_under_way);
    queue.rewind();
    assert!(!queue.adopt(BatchId(1), BatchId(3)), "it is gone");
    assert_eq!(write(&mut queue, 99), "bbbb");
    assert_eq!(confirm(&mut queue, 0), [2]);
    assert_eq!(queue.backlog(), 0);
}

#[test]
fn a_cancelled_batch_that_this_output_has_delivered_stays_in_the_window() {
    let mut queue = queue_of(10, &["aaaa"]);
    write(&mut queue, 4);
    assert_eq!(confirm(&mut queue, 0), [1]);
    queue.rewind();
    queue.cancel(BatchId(1));
    assert_eq!(write(&mut queue, 99), "aaaa");
}

#[test]
fn an_abandoned_batch_on_the_wire_is_delivered_late_or_waited_for_again() {
    let mut queue = queue_of(0, &["aaaa", "bbbb", "cccc"]);
    write(&mut queue, 6);
    for id in 1..=3 {
        let left = queue.cancel(BatchId(id)).unwrap();
        assert_eq!(left.is_under_way, id < 3);
        assert!(left.confirmed.is_empty());
    }
    assert_eq!((queue.backlog(), queue.unsent()), (8, 2));
    assert!(queue.adopt(BatchId(2), BatchId(7)));
    assert!(
        !queue.adopt(BatchId(2), BatchId(8)),
        "it has another already"
    );
    assert!(!queue.adopt(BatchId(3), BatchId(8)), "it was never begun");
    write(&mut queue, 2);
    assert_eq!(confirm(&mut queue, 0), [1, 7]);
    assert_eq!((queue.taken(), queue.unsent()), (8, 0));
}

#[test]
fn some_messages_of_a_batch_are_told_apart() {
    let some = frames(&["one", "two", "three"]).only(&[0, 2]);
    assert_eq!((some.bytes, some.ends), (b"onethree".to_vec(), vec![3, 8]));
}

#[test]
fn datagrams_are_single_messages() {
    let mut queue = Queue::new(0);
    queue.push(BatchId(1), frames(&["one", "three"]));
    queue.push(BatchId(2), frames(&["two"]));
    let mut seen = Vec::new();
    while let Some(message) = queue.next_datagram() {
        seen.push(String::from_utf8(message.to_vec()).unwrap());
        let size = message.len();
        queue.handle_written(size);
    }
    assert_eq!(seen, ["one", "three", "two"]);
    assert_eq!(confirm(&mut queue, 0), [1, 2]);
}

/// Sends the next message as RELP would; returns its position and text.
fn send(queue: &mut Queue) -> Option<(Position, String)> {
    let position = queue.position();
    let text = String::from_utf8(queue.next_datagram()?.to_vec()).unwrap();
    queue.handle_written(text.len());
    Some((position, text))
}

fn confirm_message(queue: &mut Queue, position: Position) -> Vec<u64> {
    let mut delivered = Vec::new();
    queue.confirm_message(position, &mut delivered);
    delivered.into_iter().map(|id| id.0).collect()
}

#[test]
fn a_batch_is_delivered_when_each_of_its_messages_is_confirmed() {
    let mut queue = Queue::by_message();
    queue.push(BatchId(1), frames(&["one", "two", "three"]));
    queue.push(BatchId(2), frames(&["four"]));
    let sent: Vec<_> = std::iter::from_fn(|| send(&mut queue)).collect();
    let at: Vec<_> = sent.iter().map(|(position, _)| *position).collect();
    assert_eq!(queue.message(at[1]), Some(b"two".as_slice()));
    assert_eq!(queue.awaited_batch(at[1]), Some(BatchId(1)));
    assert!(confirm_message(&mut queue, at[2]).is_empty());
    assert!(confirm_message(&mut queue, at[0]).is_empty());
    assert_eq!(confirm_message(&mut queue, at[3]), [2]);
    assert_eq!(queue.backlog(), 11);
    assert_eq!(queue.message(at[1]), Some(b"two".as_slice()));
    assert_eq!(confirm_message(&mut queue, at[1]), [1]);
    assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
    assert_eq!(queue.message(at[1]), None);
    assert_eq!(queue.message(queue.position()), None);
}

#[test]
fn only_messages_without_a_confirmation_are_sent_again() {
    let mut queue = Queue::by_message();
    queue.push(BatchId(1), frames(&["one", "two"]));
    queue.push(BatchId(2), frames(&["three"]));
    queue.push(BatchId(3), frames(&["four", "five"]));
    let at: Vec<_> = (0..4).map(|_| send(&mut queue).unwrap().0).collect();
    assert!(confirm_message(&mut queue, at[0]).is_empty());
    assert_eq!(confirm_message(&mut queue, at[2]), [2]);
    queue.rewind();
    let again: Vec<_> = std::iter::from_fn(|| send(&mut queue)).collect();
    let texts: Vec<_> = again.iter().map(|(_, text)| text.as_str()).collect();
    assert_eq!(texts, ["two", "four", "five"]);
    let confirmed = again
        .iter()
        .flat_map(|(position, _)| confirm_message(&mut queue, *position));
    assert_eq!(confirmed.collect::<Vec<_>>(), [1, 3]);
    assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
}

#[test]
fn what_is_confirmed_leaves_past_a_message_that_never_is() {
    let mut queue = Queue::by_message();
    queue.push(BatchId(0), frames(&["never", "ok"]));
    let poison = send(&mut queue).unwrap().0;
    let good = send(&mut queue).unwrap().0;
    assert!(confirm_message(&mut queue, good).is_empty());
    for batch in 1..1000 {
        queue.push(BatchId(batch), frames(&["aaaa", "bbbb"]));
        let sent = [send(&mut queue), send(&mut queue)].map(|sent| sent.unwrap().0);
        assert!(confirm_message(&mut queue, sent[1]).is_empty());
        assert_eq!(confirm_message(&mut queue, sent[0]), [batch]);
        assert_eq!((queue.entries.len(), queue.backlog()), (1, 7));
    }
    assert_eq!((queue.unconfirmed(), queue.kept), (5, 0));
    assert_eq!(queue.message(poison), Some(b"never".as_slice()));
    // On the next connection only that one is sent again, at the same position.
    queue.rewind();
    assert_eq!(send(&mut queue).unwrap(), (poison, "never".to_owned()));
    assert_eq!(send(&mut queue), None);
    assert_eq!(confirm_message(&mut queue, poison), [0]);
    assert_eq!((queue.entries.len(), queue.backlog()), (0, 0));
}

#[test]
fn a_message_may_be_confirmed_before_it_is_sent_again() {
    let mut queue = Queue::by_message();
    queue.push(BatchId(1), frames(&["one", "two"]));
    queue.push(BatchId(2), frames(&["three"]));
    let at: Vec<_> = (0..3).map(|_| send(&mut queue).unwrap().0).collect();
    queue.rewind();
    assert!(confirm_message(&mut queue, at[0]).is_empty());
    assert_eq!(confirm_message(&mut queue, at[2]), [2]);
    assert_eq!((queue.backlog(), queue.unconfirmed()), (6, 0));
    assert_eq!(send(&mut queue).unwrap(), (at[1], "two".to_owned()));
    assert_eq!(confirm_message(&mut queue, at[1]), [1]);
    assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
}

#[test]
fn a_message_of_an_abandoned_batch_is_awaited_no_more() {
    let mut queue = Queue::by_message();
    queue.push(BatchId(1), frames(&["one", "two"]));
    queue.push(BatchId(2), frames(&["three"]));
    let at = send(&mut queue).unwrap().0;
    queue.cancel(BatchId(1));
    assert_eq!(queue.awaited_batch(at), None);
    assert_eq!(queue.message(at), Some(b"one".as_slice()));
    let (next, text) = send(&mut queue).unwrap();
    assert_eq!(text, "three", "the rest of it is not begun");
    assert_eq!(confirm_message(&mut queue, next), [2]);
    assert!(confirm_message(&mut queue, at).is_empty());
    assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
}

#[test]
fn our_own_log_outlasts_a_cut_and_is_no_batch() {
    let mut queue = queue_of(0, &["aaaa"]);
    queue.push_own(frames(&["own"]));
    queue.push(BatchId(2), frames(&["bbbb"]));
    assert_eq!((queue.backlog(), queue.own()), (11, 3));
    write(&mut queue, 5);
    assert_eq!(confirm(&mut queue, 1), [1]);
    assert_eq!(queue.oldest(), Some(BatchId(2)));
    queue.rewind();
    assert_eq!(write(&mut queue, 99), "ownbbbb");
    assert!(confirm(&mut queue, 4).is_empty());
    assert_eq!((queue.backlog(), queue.own()), (4, 0));
    assert_eq!(confirm(&mut queue, 0), [2]);
    assert_eq!(queue.delivered(), 3);
}

#[test]
fn a_message_of_our_own_log_may_be_let_go() {
    let mut queue = Queue::by_message();
    queue.push_own(frames(&["own"]));
    let at = send(&mut queue).unwrap().0;
    assert_eq!(queue.awaited_batch(at), None);
    assert!(confirm_message(&mut queue, at).is_empty());
    assert_eq!((queue.backlog(), queue.own()), (0, 0));
}

/// Any mix of writes, confirmations, failures, and cancellations: nothing is reordered, nothing
/// that a source awaits is lost, and the counts stay correct.
#[test]
fn random_walks_keep_order_and_counts() {
    let mut seed = 7u64;
    let mut random = move |below: usize| {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(seed >> 33).unwrap() % below
    };
    let mut queue = Queue::new(10);
    let (mut next, mut awaited, mut delivered) = (0, Vec::new(), Vec::new());
    let mut cancelled = Vec::new();
    for _ in 0..20_000 {
        match random(11) {
            10 => queue.push_own(frames(&[&"o".repeat(1 + random(9))])),
            0..3 => {
                let text = "x".repeat(1 + random(9));
                queue.push(BatchId(next), frames(&[&text]));
                awaited.push(next);
                next += 1;
            }
            3..6 => drop(write(&mut queue, 1 + random(12))),
            6..8 => {
                let behind = random(6);
                for id in confirm(&mut queue, behind) {
                    if cancelled.contains(&id) {
                        continue;
                    }
                    assert_eq!(Some(&id), awaited.first());
                    awaited.remove(0);
                    delivered.push(id);
                }
            }
            8 => queue.rewind(),
            _ if awaited.is_empty() => {}
            _ => {
                let id = awaited.remove(random(awaited.len()));
                queue.cancel(BatchId(id));
                cancelled.push(id);
            }
        }
    }
    write(&mut queue, usize::MAX);
    let mut last = confirm(&mut queue, 0);
    last.retain(|id| !cancelled.contains(id));
    assert_eq!(last, awaited);
    assert_eq!(queue.unsent(), 0);
    assert_eq!((queue.backlog(), queue.unconfirmed()), (0, 0));
    assert_eq!(queue.own(), 0);
    assert!(delivered.is_sorted() && delivered.len() > 1000);
}
