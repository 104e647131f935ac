//! OTLP/HTTP: the consequences of each answer for the records of its request.

use super::*;
use crate::output::suspects::STRIKES;
use crate::protocol::otlp::wire::{Fields, Value};
use crate::record::{self, Kind};
use crate::syslog::{Line, Mapping, Sender, Severity, Style};

const URL: &str = "otlp+http://192.0.2.1?compress=none";
const OK: &str = "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";

fn status(status: u16, more: &str) -> String {
    format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n{more}\r\n")
}

fn partial(rejected: u8) -> String {
    let head =
        "HTTP/1.1 200 OK\r\nContent-Type: application/x-protobuf\r\nContent-Length: 4\r\n\r\n";
    let body = [0x0a, 2, 8, rejected];
    format!("{head}{}", std::str::from_utf8(&body).unwrap())
}

/// A record of the relay's own log with this text, by which tests distinguish records.
fn record(text: &str) -> Vec<u8> {
    let sender = Sender {
        hostname: "h".to_owned(),
        process: 1,
    };
    let line = Line {
        severity: Severity::Notice,
        time: SystemTime::UNIX_EPOCH,
        text: text.to_owned(),
    };
    let mut out = Vec::new();
    let (mapping, style) = (Mapping::default(), Style::default());
    record::write_own(Kind::Otlp, &mapping, &sender, &line, &style, &mut out);
    out
}

fn field(message: &[u8], number: u32) -> Vec<&[u8]> {
    let fields = Fields::new(message).flatten();
    let named = fields.filter(|(found, _)| *found == number);
    let bytes = named.map(|(_, value)| match value {
        Value::Bytes(bytes) => bytes,
        other => panic!("{other:?}"),
    });
    bytes.collect()
}

/// The texts of the records of a request.
fn texts(body: &[u8]) -> Vec<String> {
    let mut texts = Vec::new();
    for resource in field(body, 1) {
        for record in field(field(resource, 2)[0], 2) {
            let text = field(field(record, 5)[0], 1)[0];
            texts.push(String::from_utf8(text.to_vec()).unwrap());
        }
    }
    texts
}

impl Scene {
    fn push_records(&mut self, count: usize) -> u64 {
        let id = self.next;
        self.next += 1;
        let mut frames = Frames::default();
        for index in 0..count {
            frames.bytes.extend(record(&format!("{id}.{index}")));
            frames.ends.push(frames.bytes.len());
        }
        self.link.push(self.now, BatchId(id), &Rc::new(frames));
        id
    }

    /// The request, if it has arrived completely.
    fn request(&mut self) -> Option<Vec<String>> {
        self.flow();
        let end = self.wire.windows(4).position(|four| four == b"\r\n\r\n")?;
        let head = String::from_utf8(self.wire[..end].to_vec()).unwrap();
        assert!(
            head.starts_with("POST /v1/logs HTTP/1.1\r\nHost: 192.0.2.1:4318\r\n"),
            "{head}"
        );
        let (_, length) = head.split_once("Content-Length: ").unwrap();
        assert_eq!(self.wire.len(), end + 4 + length.parse::<usize>().unwrap());
        let body = self.wire.split_off(end + 4);
        self.wire.clear();
        Some(texts(&body))
    }

    /// Answers requests until none arrives; one with a text of `poison` gets 400.
    fn judge_records(&mut self, poison: &str) -> usize {
        let mut requests = 0;
        while let Some(texts) = self.request() {
            requests += 1;
            let answer = if texts.iter().any(|text| text == poison) {
                status(400, "")
            } else {
                for text in texts {
                    *self.kept.entry(text).or_default() += 1;
                }
                OK.to_owned()
            };
            assert_eq!(self.receive(answer.as_bytes()), None);
            self.take_judged_records();
        }
        requests
    }

    fn take_judged_records(&mut self) {
        let delivered = self.link.take_delivered();
        self.delivered.extend(delivered.iter().map(|id| id.0));
        self.failed
            .extend(self.link.take_refused().iter().map(|id| id.0));
    }

    /// A connection that opens immediately.
    fn connect_http(&mut self) {
        self.connect();
        self.take_judged_records();
    }
}

#[test]
fn an_answer_before_the_whole_request_is_sent_confirms_nothing() {
    let mut scene = scene(URL);
    scene.connect_http();
    scene.push_records(2);
    let length = scene.link.next_bytes().unwrap().len();
    scene.written(length - 1);
    assert_eq!(scene.receive(OK.as_bytes()), Some(Task::Close));
    assert!(scene.delivered.is_empty());
    scene.connect_http();
    assert_eq!(scene.request().unwrap(), ["0.0", "0.1"]);
    assert_eq!(scene.receive(OK.as_bytes()), None);
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn a_batch_is_delivered_when_its_request_is_accepted() {
    let mut scene = scene(URL);
    scene.connect_http();
    scene.push_records(2);
    scene.push_records(1);
    assert_eq!(scene.request().unwrap(), ["0.0", "0.1"]);
    assert!(scene.delivered.is_empty());
    assert_eq!(scene.receive(OK.as_bytes()), None);
    assert_eq!(scene.delivered, [0]);
    // What was queued in the meantime is sent next.
    assert_eq!(scene.request().unwrap(), ["1.0"]);
    assert_eq!(scene.receive(partial(0).as_bytes()), None);
    assert_eq!(scene.delivered, [0, 1]);
    assert!(scene.link.is_idle());
}

#[test]
fn a_receiver_that_is_busy_is_left_alone_for_as_long_as_it_asks() {
    for (code, asked, expected) in [(503, "Retry-After: 7\r\n", 7000), (429, "", 250)] {
        let mut scene = scene(URL);
        scene.push_records(1);
        scene.connect_http();
        assert!(scene.request().is_some());
        let answer = status(code, asked);
        assert_eq!(scene.receive(answer.as_bytes()), Some(Task::Close));
        let before = scene.now.monotonic;
        scene.connect_http();
        assert_eq!((scene.now.monotonic - before).as_millis(), expected);
        assert_eq!(scene.judge_records(""), 1);
        assert_eq!(scene.delivered, [0]);
    }
}

#[test]
fn the_one_record_that_is_refused_is_found() {
    for count in [1, 2, 7, 100] {
        let mut scene = scene("otlp+http://192.0.2.1?compress=none&refused=drop");
        scene.connect_http();
        scene.push_records(count);
        scene.push_records(3);
        let poison = format!("0.{}", count / 2);
        for _ in 0..STRIKES {
            scene.judge_records(&poison);
            scene.wait(Duration::from_secs(5));
            scene.link.handle_timeout(scene.now);
        }
        scene.judge_records(&poison);
        assert_eq!(scene.kept.len(), count - 1 + 3);
        assert!(
            scene.kept.values().all(|times| *times == 1),
            "{:?}",
            scene.kept
        );
        scene.delivered.sort_unstable();
        assert_eq!(scene.delivered, [0, 1]);
        assert_eq!(scene.link.dropped(), 1);
        assert!(scene.link.is_idle());
    }
}

#[test]
fn a_refused_record_is_handed_back_with_its_batch_and_holds_up_no_other() {
    let mut scene = scene(URL);
    scene.connect_http();
    scene.push_records(5);
    scene.push_records(5);
    for _ in 0..STRIKES {
        scene.judge_records("0.3");
        scene.wait(Duration::from_secs(5));
        scene.link.handle_timeout(scene.now);
    }
    scene.judge_records("0.3");
    assert_eq!(scene.failed, [0]);
    assert_eq!(scene.delivered, [1]);
    assert!(scene.link.is_idle());
}

#[test]
fn records_that_a_receiver_rejects_in_part_are_found_too() {
    let mut scene = scene("otlp+http://192.0.2.1?compress=none&refused=drop");
    scene.connect_http();
    scene.push_records(4);
    let mut singles = 0;
    for _ in 0..100 {
        match scene.request() {
            Some(texts) => {
                let has = texts.iter().any(|text| text == "0.2");
                singles += usize::from(has && texts.len() == 1);
                assert_eq!(scene.receive(partial(u8::from(has)).as_bytes()), None);
            }
            None => {
                scene.wait(Duration::from_secs(5));
                scene.link.handle_timeout(scene.now);
            }
        }
        scene.take_judged_records();
    }
    assert_eq!(singles, usize::try_from(STRIKES).unwrap());
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn answers_that_make_no_sense_end_the_connection_and_confirm_nothing() {
    let html = "HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: 4\r\n\r\nlogs";
    let answers = [
        "garbage\r\n\r\n".to_owned(),
        html.to_owned(),
        partial(9),
        status(404, ""),
        status(401, ""),
        status(500, ""),
        status(302, "Location: /x\r\n"),
        format!("HTTP/1.1 200 OK\r\nX: {}", "x".repeat(100_000)),
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n".to_owned(),
    ];
    for answer in answers {
        let mut scene = scene(URL);
        scene.push_records(1);
        scene.connect_http();
        assert!(scene.request().is_some());
        let front = &answer[..answer.len().min(60)];
        assert_eq!(
            scene.receive(answer.as_bytes()),
            Some(Task::Close),
            "{front}"
        );
        assert!(scene.delivered.is_empty(), "{front}");
        assert!(scene.link.facts().trouble.is_some(), "{front}");
        scene.connect_http();
        assert_eq!(scene.judge_records(""), 1);
        assert_eq!(scene.delivered, [0], "{front}");
    }
    // An answer without a request.
    let mut scene = scene(URL);
    scene.connect_http();
    assert_eq!(scene.receive(OK.as_bytes()), Some(Task::Close));
}

#[test]
fn a_receiver_that_never_answers_is_given_up() {
    let mut scene = scene(URL);
    scene.push_records(2);
    scene.connect_http();
    assert!(scene.request().is_some());
    let before = scene.now.monotonic;
    assert_eq!(scene.receive(b"HTTP/1.1 200"), None);
    assert_eq!(scene.tick(), Some(Task::Close));
    assert_eq!(scene.now.monotonic - before, Duration::from_secs(60));
    scene.connect_http();
    assert_eq!(scene.judge_records(""), 1);
    assert_eq!(scene.delivered, [0]);
}

#[test]
fn a_connection_that_has_done_its_work_may_end() {
    let mut scene = scene(URL);
    scene.push_records(1);
    scene.connect_http();
    scene.judge_records("");
    scene.link.handle_failed(scene.now, "closed");
    assert_eq!(scene.link.facts().trouble, None);
    let before = scene.now.monotonic;
    scene.connect_http();
    assert_eq!(scene.now.monotonic, before, "at once");
    // Even while a request arrives.
    scene.push_records(1);
    scene.judge_records("");
    scene.push_records(1);
    assert!(scene.request().is_some());
    scene.link.handle_failed(scene.now, "closed");
    assert_eq!(scene.link.facts().trouble, None);
    scene.connect_http();
    scene.judge_records("");
    // But not before the first answer.
    scene.link.handle_failed(scene.now, "closed");
    scene.connect_http();
    scene.link.handle_failed(scene.now, "closed");
    assert!(scene.link.facts().trouble.is_some());
}

#[test]
fn an_answer_may_end_with_its_connection() {
    let mut scene = scene(URL);
    scene.push_records(1);
    scene.connect_http();
    assert!(scene.request().is_some());
    assert_eq!(scene.receive(b"HTTP/1.0 200 OK\r\n\r\n"), None);
    scene.link.handle_failed(scene.now, "closed");
    scene.take_judged_records();
    assert_eq!(scene.delivered, [0]);
    assert_eq!(scene.link.facts().trouble, None);
    scene.push_records(1);
    scene.connect_http();
    assert!(scene.request().is_some());
    assert_eq!(scene.receive(b"HTTP/1.0 404 No\r\n\r\nno such path"), None);
    scene.link.handle_failed(scene.now, "closed");
    let trouble = scene.link.facts().trouble.unwrap();
    assert!(trouble.starts_with("HTTP 404: no such path"), "{trouble}");
}

#[test]
fn a_record_that_ends_each_connection_is_found() {
    let mut scene = scene("otlp+http://192.0.2.1?compress=none&refused=drop");
    scene.push_records(6);
    let mut is_open = false;
    for _ in 0..60 {
        if !is_open {
            scene.connect_http();
        }
        is_open = true;
        scene.link.handle_timeout(scene.now);
        while let Some(texts) = scene.request() {
            if texts.iter().any(|text| text == "0.4") {
                scene.link.handle_failed(scene.now, "reset");
                is_open = false;
                break;
            }
            assert_eq!(scene.receive(OK.as_bytes()), None);
            scene.take_judged_records();
        }
        scene.take_judged_records();
        if scene.link.is_idle() {
            break;
        }
        scene.push_records(1);
        scene.wait(Duration::from_secs(1));
    }
    assert!(scene.delivered.contains(&0), "{:?}", scene.delivered);
    assert_eq!(scene.link.dropped(), 1);
}

#[test]
fn a_large_queue_goes_out_in_requests_of_bounded_size() {
    let mut scene = scene(URL);
    scene.connect_http();
    for _ in 0..5 {
        scene.push_records(1000);
    }
    let requests = scene.judge_records("");
    assert!((3..=6).contains(&requests), "{requests}");
    assert_eq!(scene.delivered, [0, 1, 2, 3, 4]);
    assert!(scene.kept.values().all(|times| *times == 1));
}

#[test]
fn requests_have_the_headers_of_the_file() {
    let mut scene = scene(URL);
    let headers = Secret::Headers("X-Key: 7\r\n".to_owned().into());
    let now = scene.now;
    scene.link.replace_secret(now, headers);
    scene.connect_http();
    scene.push_records(1);
    scene.flow();
    let text = String::from_utf8_lossy(&scene.wire).into_owned();
    assert!(text.contains("\r\nX-Key: 7\r\n"), "{text}");
    assert!(!format!("{:?}", scene.link).contains("X-Key"));
}
