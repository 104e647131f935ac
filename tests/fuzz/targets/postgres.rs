//! A database that sends any bytes, in pieces of any size, to a client with pending requests.

#![no_main]

use std::time::{Duration, Instant};

use libfuzzer_sys::fuzz_target;
use wecrelay::store::postgres::{Client, Request, Settings, Statement, Task, Value};

const URL: &str = "postgresql://relay@db.example/wec?sslmode=disable";

fn ask() -> Request {
    Request::Statements(vec![Statement {
        text: "SELECT $1",
        values: vec![Value::Int(7), Value::Texts(vec![None, Some("a".into())])],
    }])
}

fuzz_target!(|data: &[u8]| {
    let Some((piece, data)) = data.split_first() else {
        return;
    };
    let piece = usize::from(*piece).max(1);
    let settings = Settings::parse(URL).expect("a good URL");
    let mut now = Instant::now();
    let mut client = Client::new(now, settings, |_| None);
    let mut asked = 0;
    for _ in 0..2 {
        client.submit(now, asked, ask());
        asked += 1;
    }
    let mut answered = 0;
    client.handle_timeout(now);
    for bytes in data.chunks(piece) {
        while let Some(task) = client.poll_task() {
            match task {
                Task::Connect(_) => client.handle_connected(),
                Task::Secure(_) => panic!("TLS was not asked for"),
                Task::Close => assert!(client.outgoing().is_empty()),
            }
        }
        client.handle_received(now, bytes);
        client.note_sent(client.outgoing().len() / 2);
        while let Some((ticket, rows)) = client.poll_done() {
            assert_eq!(ticket, answered, "one answer each, in order");
            answered += 1;
            for row in rows.into_iter().flatten().flatten() {
                let _ = (row.int(0), row.text(1), row.bool(2), row.uuid(3));
            }
        }
        assert!(
            client.is_open() || client.poll_timeout().is_some(),
            "it would wait for ever"
        );
        now += Duration::from_millis(100);
        client.handle_timeout(now);
    }
    assert!(answered <= asked);
});
