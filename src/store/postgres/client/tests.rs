use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

use super::*;
use crate::store::postgres::{Statement, Value};

const PASSWORD: &str = "pencil";

fn start() -> Instant {
    #[expect(clippy::disallowed_methods, reason = "a start for fake time")]
    Instant::now()
}

/// A message of the server (chapter 55.7 of the manual).
fn message(tag: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[tag], &length.to_be_bytes()[..], body].concat()
}

fn authentication(kind: u32, body: &[u8]) -> Vec<u8> {
    message(b'R', &[&kind.to_be_bytes(), body].concat())
}

fn ready(status: u8) -> Vec<u8> {
    message(b'Z', &[status])
}

fn error(severity: &str, code: &str, says: &str) -> Vec<u8> {
    let body = format!("S{severity}\0V{severity}\0C{code}\0M{says}\0\0");
    message(b'E', body.as_bytes())
}

fn row(columns: &[&[u8]]) -> Vec<u8> {
    let mut body = u16::try_from(columns.len()).unwrap().to_be_bytes().to_vec();
    for column in columns {
        body.extend(u32::try_from(column.len()).unwrap().to_be_bytes());
        body.extend(*column);
    }
    message(b'D', &body)
}

fn complete(tag: &str) -> Vec<u8> {
    message(b'C', format!("{tag}\0").as_bytes())
}

/// The server's answer to SHOW transaction_read_only.
fn read_only(answer: &str) -> Vec<u8> {
    [row(&[answer.as_bytes()]), complete("SHOW"), ready(b'I')].concat()
}

fn let_in() -> Vec<u8> {
    [
        authentication(0, &[]),
        message(b'S', b"server_version\x0015.8\0"),
        ready(b'I'),
    ]
    .concat()
}

/// A transaction of one statement with this result.
fn transaction(outcome: &[u8]) -> Vec<u8> {
    let settings = rows(&[row(&[b"10000", b"warning"])]);
    [&settings, outcome, &ready(b'I')].concat()
}

/// A warning from a function of the server.
fn warning(code: &str, routine: &str) -> Vec<u8> {
    let body = format!("SWARNUNG\0VWARNING\0C{code}\0Mwords\0R{routine}\0\0");
    message(b'N', body.as_bytes())
}

fn rows(rows: &[Vec<u8>]) -> Vec<u8> {
    let before = [message(b'1', &[]), message(b'2', &[])].concat();
    [before, rows.concat(), complete("SELECT 1")].concat()
}

fn ask() -> Request {
    let text = "SELECT $1";
    Request::Statements(vec![Statement {
        text,
        values: vec![Value::Int(7)],
    }])
}

struct Played {
    now: Instant,
    client: Client,
}

impl Played {
    fn new(url: &str) -> Self {
        let now = start();
        let settings = Settings::parse(url).unwrap();
        let password = |_: &Place| Some(Zeroizing::new(PASSWORD.to_owned()));
        let mut client = Client::new(now, settings, password);
        client.handle_timeout(now);
        Self { now, client }
    }

    /// Connects without TLS, until requests can be sent.
    fn open(url: &str) -> Self {
        let mut played = Self::new(url);
        played.connect(0);
        played.answer(&let_in());
        played.answer(&read_only("off"));
        assert!(played.client.is_open());
        played.take();
        played
    }

    fn connect(&mut self, place: usize) {
        assert_eq!(self.client.poll_task(), Some(Task::Connect(place)));
        self.client.handle_connected();
    }

    fn answer(&mut self, bytes: &[u8]) {
        self.client.handle_received(self.now, bytes);
    }

    /// The bytes written since the last call.
    fn take(&mut self) -> Vec<u8> {
        let bytes = self.client.outgoing().to_vec();
        self.client.note_sent(bytes.len());
        bytes
    }

    fn advance(&mut self, time: Duration) {
        self.now += time;
        self.client.handle_timeout(self.now);
    }

    fn trouble(&self) -> Kind {
        self.client.trouble().unwrap().kind
    }
}

const PLAIN: &str = "postgresql://relay@db.example/wec?sslmode=disable";
const SECURE: &str = "postgresql://relay@db.example/wec";

#[test]
fn a_connection_begins_as_the_manual_says() {
    let mut played = Played::new(PLAIN);
    played.connect(0);
    let expected = b"\0\0\0\x50\0\x03\0\0user\0relay\0database\0wec\0\
                     application_name\0wecrelay\0client_encoding\0UTF8\0\0";
    assert_eq!(played.take(), expected);
    // However the bytes are split.
    for byte in let_in() {
        played.answer(&[byte]);
    }
    assert_eq!(played.take(), b"Q\0\0\0\x1fSHOW transaction_read_only\0");
    assert!(!played.client.is_open());
    played.answer(&read_only("off"));
    assert!(played.client.is_open());
    assert_eq!(played.client.poll_timeout(), None);
}

#[test]
fn tls_comes_before_the_first_word() {
    let mut played = Played::new(SECURE);
    played.connect(0);
    assert_eq!(played.take(), b"\0\0\0\x08\x04\xd2\x16\x2f");
    played.answer(b"S");
    assert_eq!(played.client.poll_task(), Some(Task::Secure(0)));
    assert!(played.take().is_empty());
    played.client.handle_secured(None);
    assert_eq!(&played.take()[4..8], b"\0\x03\0\0");
}

#[test]
fn a_server_without_tls_or_with_words_before_it_is_left() {
    for (answer, kind) in [
        (&b"N"[..], Kind::NoTls),
        (b"SE", Kind::Protocol),
        (b"H", Kind::Protocol),
        (&error("FATAL", "53300", "too many clients"), Kind::Crowded),
    ] {
        let mut played = Played::new(SECURE);
        played.connect(0);
        played.answer(answer);
        assert_eq!(played.trouble(), kind);
        assert_eq!(played.client.poll_task(), Some(Task::Close));
        assert!(played.client.outgoing().is_empty());
    }
}

#[test]
fn a_password_is_not_given_away() {
    for request in [
        authentication(5, b"salt"),
        authentication(3, &[]),
        authentication(7, &[]),
    ] {
        let mut played = Played::new(PLAIN);
        played.connect(0);
        played.take();
        played.answer(&request);
        assert_eq!(played.trouble(), Kind::Method);
        assert!(played.take().is_empty());
    }
}

fn hmac(key: &[u8], text: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text);
    mac.finalize().into_bytes().to_vec()
}

/// The server's side of SCRAM (RFC 5802, RFC 7677), which has the password.
struct Scram {
    bare: String,
    first: String,
    salted: Vec<u8>,
}

impl Scram {
    /// Answers the client's first message.
    fn new(client_first: &str) -> Self {
        let bare = client_first.splitn(3, ',').nth(2).unwrap().to_owned();
        let nonce = bare.split_once("r=").unwrap().1;
        let salt = b"0123456789abcdef";
        let first = format!("r={nonce}server,s={},i=4096", STANDARD.encode(salt));
        let mut block = hmac(PASSWORD.as_bytes(), &[&salt[..], &[0, 0, 0, 1]].concat());
        let mut salted = block.clone();
        for _ in 1..4096 {
            block = hmac(PASSWORD.as_bytes(), &block);
            salted.iter_mut().zip(&block).for_each(|(a, b)| *a ^= b);
        }
        Self {
            bare,
            first,
            salted,
        }
    }

    /// Verifies the client's last message; returns the server's proof.
    fn last(&self, client_last: &str) -> String {
        let (without_proof, proof) = client_last.split_once(",p=").unwrap();
        let text = format!("{},{},{without_proof}", self.bare, self.first);
        let key = hmac(&self.salted, b"Client Key");
        let signature = hmac(&Sha256::digest(&key), text.as_bytes());
        let expected: Vec<u8> = key.iter().zip(&signature).map(|(a, b)| a ^ b).collect();
        assert_eq!(
            STANDARD.decode(proof).unwrap(),
            expected,
            "another password"
        );
        let proof = hmac(&hmac(&self.salted, b"Server Key"), text.as_bytes());
        format!("v={}", STANDARD.encode(proof))
    }
}

/// The text of a SASL message after its header.
fn sasl_text(bytes: &[u8], header: usize) -> String {
    assert_eq!(bytes[0], b'p');
    String::from_utf8(bytes[5 + header..].to_vec()).unwrap()
}

const BOTH: &[u8] = b"SCRAM-SHA-256-PLUS\0SCRAM-SHA-256\0\0";

fn begin_scram(url: &str, end_point: Option<Vec<u8>>, offered: &[u8]) -> Played {
    let mut played = Played::new(url);
    played.connect(0);
    if url == PLAIN {
        played.take();
    } else {
        played.answer(b"S");
        played.client.handle_secured(end_point);
        played.take();
    }
    played.answer(&authentication(10, offered));
    played
}

#[test]
fn scram_proves_the_password_to_both_sides() {
    let mut played = begin_scram(PLAIN, None, BOTH);
    let first = played.take();
    assert!(first[5..].starts_with(b"SCRAM-SHA-256\0"));
    let first = sasl_text(&first, 14 + 4);
    assert!(first.starts_with("n,,n=,r="), "{first}");
    let server = Scram::new(&first);
    played.answer(&authentication(11, server.first.as_bytes()));
    let last = server.last(&sasl_text(&played.take(), 0));
    played.answer(&authentication(12, last.as_bytes()));
    played.answer(&let_in());
    played.answer(&read_only("off"));
    assert!(played.client.is_open());
}

#[test]
fn over_tls_the_password_is_tied_to_the_certificate() {
    let mut played = begin_scram(SECURE, Some(vec![1, 2, 3]), BOTH);
    let first = played.take();
    assert!(first[5..].starts_with(b"SCRAM-SHA-256-PLUS\0"));
    let first = sasl_text(&first, 19 + 4);
    assert!(first.starts_with("p=tls-server-end-point,,"), "{first}");
    let server = Scram::new(&first);
    played.answer(&authentication(11, server.first.as_bytes()));
    let last = sasl_text(&played.take(), 0);
    let binding = STANDARD.encode(b"p=tls-server-end-point,,\x01\x02\x03");
    assert!(last.starts_with(&format!("c={binding},")), "{last}");
    played.answer(&authentication(12, server.last(&last).as_bytes()));
    assert_eq!(played.client.trouble(), None);
}

#[test]
fn a_server_that_does_not_know_the_password_is_left() {
    for proof in [
        &format!("v={}", STANDARD.encode([7; 32])),
        "e=invalid-proof",
        "",
    ] {
        let mut played = begin_scram(PLAIN, None, BOTH);
        let server = Scram::new(&sasl_text(&played.take(), 14 + 4));
        played.answer(&authentication(11, server.first.as_bytes()));
        played.answer(&authentication(12, proof.as_bytes()));
        assert_eq!(played.trouble(), Kind::Password, "{proof}");
    }
    // The server cannot omit its proof either.
    let mut played = begin_scram(PLAIN, None, BOTH);
    played.answer(&authentication(0, &[]));
    assert_eq!(played.trouble(), Kind::Protocol);
}

#[test]
fn a_binding_that_is_asked_for_cannot_be_left_out() {
    let url = "postgresql://relay@db.example/wec?channel_binding=require";
    let without_plus = b"SCRAM-SHA-256\0\0";
    let played = begin_scram(url, Some(vec![1]), without_plus);
    assert_eq!(played.trouble(), Kind::Method);
    let mut played = Played::new(url);
    played.connect(0);
    played.answer(b"S");
    played.client.handle_secured(Some(vec![1]));
    played.answer(&let_in());
    assert_eq!(played.trouble(), Kind::Method);
}

#[test]
fn the_server_that_takes_changes_is_found() {
    let url = "postgresql://relay@a.example,b.example/wec?sslmode=disable";
    let mut played = Played::new(url);
    played.connect(0);
    played.answer(&let_in());
    played.answer(&read_only("on"));
    assert_eq!(played.client.poll_task(), Some(Task::Close));
    assert_eq!(played.client.trouble(), None, "another may do");
    played.advance(Duration::ZERO);
    played.connect(1);
    played.answer(&let_in());
    played.answer(&read_only("off"));
    assert!(played.client.is_open());
}

#[test]
fn where_none_takes_changes_the_worst_is_told_and_all_are_tried_again() {
    let url = "postgresql://relay@a.example,b.example/wec?sslmode=disable";
    let mut played = Played::new(url);
    let mut waits = Vec::new();
    for _ in 0..8 {
        played.connect(0);
        played.answer(&let_in());
        played.answer(&read_only("on"));
        assert_eq!(played.client.poll_task(), Some(Task::Close));
        played.advance(Duration::ZERO);
        assert_eq!(played.client.poll_task(), Some(Task::Connect(1)));
        played
            .client
            .handle_failed(played.now, Kind::Down, "connection refused");
        assert_eq!(played.trouble(), Kind::Down);
        assert_eq!(played.client.poll_task(), Some(Task::Close));
        let wait = played.client.poll_timeout().unwrap() - played.now;
        waits.push(wait.as_millis());
        played.advance(wait);
    }
    assert_eq!(waits, [250, 500, 1000, 2000, 4000, 5000, 5000, 5000]);
}

#[test]
fn a_server_that_says_nothing_costs_its_time_only() {
    let mut played = Played::new(PLAIN);
    played.connect(0);
    played.advance(Duration::from_millis(4999));
    assert_eq!(played.client.trouble(), None);
    played.advance(Duration::from_millis(1));
    assert_eq!(played.trouble(), Kind::Down);
}

#[test]
fn a_request_is_a_transaction_in_one_piece_that_leaves_nothing_behind() {
    let mut played = Played::open(PLAIN);
    played.client.submit(played.now, 1, ask());
    let settings = "SELECT set_config('statement_timeout', $1, true), \
                    set_config('client_min_messages', 'warning', true)";
    let expected = [
        &message(b'P', format!("\0{settings}\0\0\x01\0\0\0\x19").as_bytes())[..],
        b"B\0\0\0\x19\0\0\0\x01\0\x01\0\x01\0\0\0\x0510000\0\x01\0\x01",
        b"E\0\0\0\x09\0\0\0\0\0",
        b"P\0\0\0\x15\0SELECT $1\0\0\x01\0\0\0\x14",
        b"B\0\0\0\x1c\0\0\0\x01\0\x01\0\x01\0\0\0\x08\0\0\0\0\0\0\0\x07\0\x01\0\x01",
        b"E\0\0\0\x09\0\0\0\0\0",
        b"S\0\0\0\x04",
    ];
    assert_eq!(played.take(), expected.concat());
    played.answer(&transaction(&rows(&[row(&[&7_i64.to_be_bytes()])])));
    let (ticket, answer) = played.client.poll_done().unwrap();
    let answer = answer.unwrap();
    assert_eq!((ticket, answer.len(), answer[0][0].int(0)), (1, 1, Ok(7)));
    assert!(answer[0][0].int(1).is_err() && answer[0][0].bool(0).is_err());
}

#[test]
fn what_was_in_the_way_of_another_is_done_again() {
    for code in ["40001", "40P01"] {
        let mut played = Played::open(PLAIN);
        played.client.submit(played.now, 1, ask());
        let first = played.take();
        played.answer(&transaction(&error("ERROR", code, "again")));
        assert_eq!(played.take(), first, "at once");
        assert_eq!(played.client.trouble(), None);
        played.answer(&transaction(&rows(&[])));
        assert!(played.client.poll_done().unwrap().1.is_ok());
    }
}

#[test]
fn a_row_that_it_does_not_take_is_told_and_others_go_on() {
    let mut played = Played::open(PLAIN);
    played.client.submit(played.now, 1, ask());
    played.client.submit(played.now, 2, ask());
    played.answer(&transaction(&error(
        "ERROR",
        "22021",
        "invalid byte sequence",
    )));
    let (ticket, answer) = played.client.poll_done().unwrap();
    assert_eq!((ticket, answer.unwrap_err().kind), (1, Kind::Data));
    played.answer(&transaction(&rows(&[])));
    assert_eq!(played.client.poll_done().unwrap().0, 2);
}

#[test]
fn a_full_disk_and_missing_rights_are_waited_out() {
    for (code, kind) in [
        ("53100", Kind::Full),
        ("42501", Kind::Rights),
        ("42P01", Kind::NoTables),
    ] {
        let mut played = Played::open(PLAIN);
        played.client.submit(played.now, 1, ask());
        played.take();
        played.answer(&transaction(&error("ERROR", code, "no")));
        assert_eq!(played.trouble(), kind);
        assert!(played.client.poll_done().is_none() && played.take().is_empty());
        played.advance(BACK_OFF);
        assert!(!played.take().is_empty(), "asked again");
        played.answer(&transaction(&rows(&[])));
        assert_eq!(played.client.trouble(), None);
        assert!(played.client.poll_done().unwrap().1.is_ok());
    }
}

#[test]
fn a_transaction_that_stays_open_is_no_commit() {
    for status in [b'T', b'E'] {
        let mut played = Played::open(PLAIN);
        played.client.submit(played.now, 1, ask());
        let settings = rows(&[row(&[b"10000", b"warning"])]);
        played.answer(&[settings, rows(&[]), ready(status)].concat());
        assert!(played.client.poll_done().is_none());
        assert_eq!(played.trouble(), Kind::Protocol);
        assert_eq!(played.client.poll_task(), Some(Task::Close));
    }
}

#[test]
fn a_commit_that_has_not_waited_for_its_standby_is_none() {
    let mut played = Played::open(PLAIN);
    played.client.submit(played.now, 1, ask());
    let first = played.take();
    let given_up = warning("01000", "SyncRepWaitForLSN");
    played.answer(&transaction(&[rows(&[]), given_up].concat()));
    assert!(played.client.poll_done().is_none());
    assert_eq!(played.trouble(), Kind::Unreplicated);
    played.advance(BACK_OFF);
    assert_eq!(played.take(), first, "asked again");
    let of_no_matter = warning("01000", "SomethingElse");
    played.answer(&transaction(&[rows(&[]), of_no_matter].concat()));
    assert!(played.client.poll_done().unwrap().1.is_ok());
    assert_eq!(played.client.trouble(), None);
}

#[test]
fn an_answer_that_is_lost_is_asked_for_again() {
    let mut played = Played::open(PLAIN);
    played.client.submit(played.now, 1, ask());
    let first = played.take();
    played
        .client
        .handle_failed(played.now, Kind::Down, "connection reset");
    assert_eq!(played.trouble(), Kind::Down);
    assert_eq!(played.client.poll_task(), Some(Task::Close));
    played.advance(Duration::ZERO);
    played.connect(0);
    played.answer(&let_in());
    played.take();
    played.answer(&read_only("off"));
    assert_eq!(played.take(), first);
    played.answer(&transaction(&rows(&[])));
    assert!(played.client.poll_done().unwrap().1.is_ok());
    assert_eq!(played.client.trouble(), None);
}

#[test]
fn an_answer_that_does_not_come_ends_the_connection() {
    let mut played = Played::open(PLAIN);
    played.client.submit(played.now, 1, ask());
    let due = played.client.poll_timeout().unwrap() - played.now;
    assert_eq!(due, Duration::from_secs(20));
    played.advance(due);
    assert_eq!(played.trouble(), Kind::Slow);
    assert_eq!(played.client.poll_task(), Some(Task::Close));
}

#[test]
fn the_end_of_an_idle_connection_is_no_trouble() {
    let mut played = Played::open(PLAIN);
    played
        .client
        .handle_failed(played.now, Kind::Down, "closed");
    assert_eq!(played.client.trouble(), None);
    assert_eq!(played.client.poll_task(), Some(Task::Close));
    played.advance(Duration::ZERO);
    assert_eq!(played.client.poll_task(), Some(Task::Connect(0)));
}

#[test]
fn a_server_that_shuts_down_or_talks_nonsense_is_left() {
    let long = [&b"D"[..], &(17_u32 << 20).to_be_bytes()].concat();
    let fatal = error("FATAL", "57P01", "terminating connection");
    for bytes in [
        &fatal[..],
        b"?\0\0\0\x04",
        b"D\0\0\0\x01",
        &long,
        b"K\0\0\0\x05x",
    ] {
        let mut played = Played::open(PLAIN);
        played.client.submit(played.now, 1, ask());
        played.answer(bytes);
        let kind = played.trouble();
        assert!(matches!(kind, Kind::Down | Kind::Protocol), "{kind:?}");
        assert!(!played.client.is_open());
    }
}
