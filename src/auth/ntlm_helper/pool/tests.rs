use std::time::UNIX_EPOCH;

use super::*;
use crate::protocol::ntlm::crypto::Key;

const YES: &[u8] = b"Authenticated: Yes\nUser-Session-Key: 8DE40CCADBC14A82F15CB0AD0DE95CA3\n.\n";
const NO: &[u8] = b"Authenticated: No\nAuthentication-Error: Account locked out\n.\n.\n";

/// A pool and its processes in played time.
struct Scene {
    pool: Pool<u32>,
    now: Now,
    /// Places in the order of their tasks.
    started: Vec<usize>,
    sent: Vec<usize>,
    killed: Vec<usize>,
    closed: Vec<usize>,
    answers: Vec<(u32, Verdict)>,
}

impl Scene {
    fn new(size: usize) -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant has no other beginning"
        )]
        let monotonic = Instant::now();
        let now = Now {
            monotonic,
            wall: UNIX_EPOCH,
        };
        let mut scene = Self {
            pool: Pool::new(now, size),
            now,
            started: Vec::new(),
            sent: Vec::new(),
            killed: Vec::new(),
            closed: Vec::new(),
            answers: Vec::new(),
        };
        scene.drain();
        let places = std::mem::take(&mut scene.started);
        assert_eq!(places, (0..size).collect::<Vec<_>>());
        places
            .iter()
            .for_each(|place| scene.pool.handle_started(now, *place));
        scene
    }

    fn drain(&mut self) {
        while let Some(task) = self.pool.poll_task() {
            match task {
                Task::Start(place) => self.started.push(place),
                Task::Send(place, lines) => {
                    assert!(lines.ends_with(b"\n.\n"));
                    self.sent.push(place);
                }
                Task::Close(place) => self.closed.push(place),
                Task::Kill(place) => self.killed.push(place),
                Task::Answer(id, verdict) => self.answers.push((id, verdict)),
            }
        }
    }

    fn ask(&mut self, id: u32) {
        let question = Question {
            user: format!("host{id}$"),
            domain: "DOM".into(),
            challenge: [0; 8],
            response: vec![0; 44],
        };
        self.pool.ask(self.now, id, &question);
        self.drain();
    }

    fn say(&mut self, place: usize, bytes: &[u8]) {
        self.pool.handle_received(self.now, place, bytes);
        self.drain();
    }

    fn end(&mut self, place: usize) {
        self.pool.handle_ended(self.now, place, "has ended");
        self.drain();
    }

    fn start(&mut self, place: usize) {
        self.pool.handle_started(self.now, place);
        self.drain();
    }

    fn pass(&mut self, time: Duration) {
        self.now = self.now + time;
        self.pool.handle_timeout(self.now);
        self.drain();
    }

    /// Time up to the next deadline.
    fn wait(&mut self) -> Duration {
        let due = self.pool.poll_timeout().unwrap();
        let time = due.saturating_duration_since(self.now.monotonic);
        self.pass(time);
        time
    }

    /// Takes the one answer that is there.
    #[track_caller]
    fn answer(&mut self) -> (u32, Verdict) {
        assert_eq!(self.answers.len(), 1, "{:?}", self.answers);
        self.answers.remove(0)
    }

    #[track_caller]
    fn outage(&mut self, id: u32, word: &str) {
        match self.answer() {
            (asker, Verdict::Unavailable(why)) => {
                assert_eq!(asker, id);
                assert!(why.contains(word), "{why}");
            }
            other => panic!("{other:?}"),
        }
    }
}

fn is_yes(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Proven(key) if key.as_bytes()[0] == 0x8d)
}

#[test]
fn each_process_has_one_question_and_the_others_wait() {
    let mut scene = Scene::new(2);
    (1..=4).for_each(|id| scene.ask(id));
    assert_eq!(scene.sent, [0, 1]);
    assert!(scene.answers.is_empty());
    scene.say(1, NO);
    let (id, verdict) = scene.answer();
    assert!(matches!(verdict, Verdict::Refused(why) if why == "Account locked out"));
    assert_eq!((id, &scene.sent[..]), (2, &[0, 1, 1][..]));
    scene.say(0, &YES[..30]);
    assert!(scene.answers.is_empty());
    scene.say(0, &YES[30..]);
    let (id, verdict) = scene.answer();
    assert!(id == 1 && is_yes(&verdict));
    scene.say(1, YES);
    scene.say(0, YES);
    let ids: Vec<_> = scene.answers.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, [3, 4]);
    assert!(scene.killed.is_empty() && scene.pool.poll_timeout().is_none());
}

#[test]
fn the_second_dot_of_a_no_belongs_to_no_question() {
    let mut scene = Scene::new(1);
    scene.ask(1);
    let (first, second) = NO.split_at(NO.len() - 2);
    scene.say(0, first);
    scene.ask(2);
    scene.say(0, second);
    scene.say(0, YES);
    assert_eq!(scene.answers.len(), 2);
    assert!(is_yes(&scene.answers[1].1));
    assert!(scene.killed.is_empty());
}

#[test]
fn a_process_that_answers_unasked_is_killed_before_its_answers_slip() {
    let mut scene = Scene::new(1);
    scene.say(0, YES);
    assert_eq!(scene.killed, [0]);
    // Two answers to one question: the second would be that of the next.
    let mut scene = Scene::new(1);
    scene.ask(1);
    scene.ask(2);
    scene.say(0, &[NO, YES].concat());
    assert_eq!(scene.killed, [0]);
    assert_eq!(scene.answers.len(), 1, "the second is not answered by it");
    scene.wait();
    scene.start(0);
    scene.say(0, NO);
    assert_eq!(scene.answers.len(), 2);
    assert!(matches!(scene.answers[1], (2, Verdict::Refused(_))));
    // Part of an answer before the question.
    let mut scene = Scene::new(1);
    scene.say(0, b"Authenticated: Yes\n");
    scene.ask(1);
    assert_eq!((&scene.killed[..], scene.sent.len()), (&[0][..], 0));
}

#[test]
fn garbage_kills_and_costs_only_its_question() {
    let mut scene = Scene::new(2);
    scene.ask(1);
    scene.ask(2);
    scene.say(0, b"segmentation fault\n");
    scene.outage(1, "ntlm-server-1");
    assert_eq!(scene.killed, [0]);
    // What a dead process said is nobody's.
    scene.say(0, YES);
    scene.end(0);
    assert!(scene.answers.is_empty());
    assert_eq!(scene.killed, [0]);
    scene.say(1, YES);
    assert!(is_yes(&scene.answer().1));
}

#[test]
fn a_process_that_never_answers_is_killed_and_another_started() {
    let mut scene = Scene::new(1);
    scene.ask(1);
    scene.pass(ANSWER_TIME - Duration::from_millis(1));
    assert!(scene.killed.is_empty());
    scene.pass(Duration::from_millis(1));
    scene.outage(1, "not answered within 10 s");
    assert_eq!(scene.killed, [0]);
    assert_eq!(scene.wait(), Duration::ZERO);
    assert_eq!(scene.started, [0]);
    scene.start(0);
    scene.ask(2);
    scene.say(0, YES);
    assert!(is_yes(&scene.answer().1));
}

#[test]
fn a_question_is_asked_again_once_if_its_process_ends() {
    let mut scene = Scene::new(2);
    scene.ask(1);
    scene.end(0);
    assert_eq!(scene.sent, [0, 1], "the other one is asked");
    scene.end(1);
    scene.outage(1, "has ended");
}

#[test]
fn a_question_waits_for_a_process_but_not_for_ever() {
    let mut scene = Scene::new(1);
    scene.end(0);
    scene.started.clear();
    assert_eq!(scene.wait(), Duration::ZERO, "the first start is at once");
    scene.end(0);
    scene.ask(1);
    assert!(scene.answers.is_empty());
    scene.pass(QUEUE_TIME);
    scene.outage(1, "no helper became free");
}

#[test]
fn a_process_that_dies_again_and_again_is_started_less_and_less_often() {
    let mut scene = Scene::new(1);
    let mut pauses = Vec::new();
    for _ in 0..10 {
        scene.end(0);
        pauses.push(scene.wait().as_millis());
    }
    assert_eq!(
        pauses,
        [0, 250, 500, 1000, 2000, 4000, 8000, 16_000, 30_000, 30_000]
    );
    scene.start(0);
    scene.ask(1);
    scene.say(0, YES);
    scene.end(0);
    assert_eq!(scene.wait(), Duration::ZERO, "it has worked");
}

#[test]
fn more_questions_than_the_queue_holds_are_answered_at_once() {
    let mut scene = Scene::new(1);
    let count = u32::try_from(QUEUED).unwrap() + 1;
    (0..count).for_each(|id| scene.ask(id));
    assert!(scene.answers.is_empty());
    scene.ask(count);
    scene.outage(count, "requests are already waiting");
    scene.say(0, NO);
    scene.answer();
    scene.ask(count + 1);
    assert!(scene.answers.is_empty(), "there is room again");
    // Long answers of sources count by their bytes.
    let mut scene = Scene::new(1);
    let question = Question {
        user: "a".into(),
        domain: String::new(),
        challenge: [0; 8],
        response: vec![0; QUEUED_BYTES / 4],
    };
    (0..3).for_each(|id| scene.pool.ask(scene.now, id, &question));
    scene.drain();
    scene.outage(2, "1 requests are already waiting");
}

#[test]
fn a_restart_replaces_each_process_when_it_has_answered() {
    let mut scene = Scene::new(2);
    scene.ask(1);
    scene.pool.restart(scene.now);
    scene.drain();
    assert_eq!(
        (&scene.closed[..], &scene.started[..]),
        (&[1][..], &[1][..])
    );
    scene.start(1);
    scene.say(0, YES);
    assert!(is_yes(&scene.answer().1));
    assert_eq!(scene.closed, [1, 0]);
    assert_eq!(scene.started, [1, 0]);
    scene.start(0);
    scene.pool.handle_timeout(scene.now);
    scene.drain();
    assert_eq!(scene.closed, [1, 0], "once");
}

#[test]
fn keys_are_not_printed() {
    let verdict = Verdict::Proven(Key::new([0x5a; 16]));
    let text = format!("{verdict:?}");
    assert!(text.contains("redacted") && !text.contains("5a"), "{text}");
}
