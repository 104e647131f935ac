use super::frame::emit;
use super::*;

/// As librelp answers `open`.
const OFFERS: &str = "200 OK\nrelp_version=0\nrelp_software=librelp,1.11.0,http://librelp.adiscon.com\ncommands=syslog";

#[expect(clippy::disallowed_methods, reason = "any time will do")]
fn start() -> Instant {
    Instant::now()
}

fn rsp(number: u32, data: &str) -> Vec<u8> {
    let mut out = Vec::new();
    emit(number, "rsp", data.as_bytes(), &mut out);
    out
}

fn handle(client: &mut Client, bytes: &[u8]) -> Vec<Answer> {
    let mut answers = Vec::new();
    client.handle(bytes, &mut answers).unwrap();
    answers
}

fn error(client: &mut Client, bytes: &[u8]) -> Error {
    client.handle(bytes, &mut Vec::new()).unwrap_err()
}

/// All that it wants written.
fn written(client: &mut Client) -> String {
    let out = String::from_utf8(client.outgoing().to_vec()).unwrap();
    client.handle_written(out.len());
    out
}

fn opened() -> Client {
    let mut client = Client::new();
    written(&mut client);
    assert_eq!(handle(&mut client, &rsp(1, OFFERS)), [Answer::Opened]);
    client
}

#[test]
fn a_session_opens_with_our_offers() {
    let mut client = Client::new();
    let offers = format!(
        "relp_version=0\nrelp_software=wecrelay,{}\ncommands=syslog",
        env!("CARGO_PKG_VERSION")
    );
    let open = format!("1 open {} {offers}\n", offers.len());
    assert_eq!(written(&mut client), open);
    assert!(!client.has_room());
    assert!(client.is_waiting());
    assert_eq!(handle(&mut client, &rsp(1, OFFERS)), [Answer::Opened]);
    assert!(client.has_room());
    assert!(!client.is_waiting());
}

#[test]
fn a_message_is_delivered_by_its_own_answer() {
    let mut client = opened();
    client.send(10, start(), b"one");
    client.send(20, start(), "zwei\nü".as_bytes());
    assert_eq!(written(&mut client), "2 syslog 3 one\n3 syslog 7 zwei\nü\n");
    assert_eq!(handle(&mut client, &rsp(3, "200")), [Answer::Accepted(20)]);
    assert!(client.is_waiting());
    assert_eq!(
        handle(&mut client, &rsp(2, "200 OK")),
        [Answer::Accepted(10)]
    );
    assert!(!client.is_waiting());
}

#[test]
fn a_refused_message_may_be_sent_again_under_a_new_number() {
    let mut client = opened();
    client.send(10, start(), b"one");
    client.send(20, start(), b"two");
    written(&mut client);
    let refused = Answer::Refused(10, "500 not\u{fffd}now".into());
    let mut answer = rsp(2, "500 not_now\nmore");
    let at = answer.iter().position(|&byte| byte == b'_').unwrap();
    answer[at] = 0xff;
    assert_eq!(handle(&mut client, &answer), [refused]);
    assert_eq!(client.waiting().collect::<Vec<_>>(), [20]);
    client.send(10, start(), b"one");
    assert_eq!(written(&mut client), "4 syslog 3 one\n");
    assert_eq!(
        handle(&mut client, &[rsp(3, "200 OK"), rsp(4, "200 OK")].concat()),
        [Answer::Accepted(20), Answer::Accepted(10)]
    );
}

#[test]
fn refused_messages_leave_the_window() {
    let mut client = opened();
    for key in 0..1000 {
        assert!(client.has_room());
        client.send(key, start(), b"x");
        let refused = rsp(u32::try_from(key).unwrap() + 2, "500");
        assert_eq!(
            handle(&mut client, &refused),
            [Answer::Refused(key, "500".into())]
        );
        client.handle_written(usize::MAX);
    }
    assert!(!client.is_waiting());
}

#[test]
fn the_window_is_full_with_128_messages() {
    let mut client = opened();
    for key in 0..128 {
        assert!(client.has_room(), "{key}");
        client.send(key, start(), b"x");
    }
    assert!(!client.has_room());
    assert_eq!(
        handle(&mut client, &rsp(2, "200 OK")),
        [Answer::Accepted(0)]
    );
    assert!(client.has_room());
}

#[test]
fn nothing_more_is_framed_while_much_waits_to_be_written() {
    let mut client = opened();
    client.send(1, start(), &vec![b'x'; OUTGOING_ENOUGH]);
    assert!(!client.has_room());
    client.handle_written(100);
    assert!(client.has_room());
    client.send(2, start(), b"y");
    assert!(client.outgoing().ends_with(b"x\n3 syslog 1 y\n"));
    assert!(client.outgoing.len() < OUTGOING_ENOUGH + 100);
}

#[test]
fn transaction_numbers_start_over_after_nine_nines() {
    let mut client = opened();
    client.window.skip_to(999_999_997);
    for key in 0..3 {
        client.send(key, start(), b"x");
    }
    assert_eq!(
        written(&mut client),
        "999999998 syslog 1 x\n999999999 syslog 1 x\n1 syslog 1 x\n"
    );
    let answers = [
        rsp(1, "200"),
        rsp(999_999_999, "200"),
        rsp(999_999_998, "200"),
    ];
    let accepted = [2, 1, 0].map(Answer::Accepted);
    assert_eq!(handle(&mut client, &answers.concat()), accepted);
}

#[test]
fn a_session_closes_by_its_answer() {
    let mut client = opened();
    client.close();
    assert!(!client.has_room());
    assert_eq!(written(&mut client), "2 close 0\n");
    assert_eq!(
        handle(&mut client, b"2 rsp 0\n0 serverclose 0\n"),
        [Answer::Closed]
    );
    client.close();
    assert_eq!(written(&mut client), "");
}

#[test]
fn the_receiver_may_close_at_any_time() {
    let mut client = opened();
    client.send(5, start(), b"x");
    assert_eq!(
        handle(&mut client, b"2 rsp 6 200 OK\n0 serverclose 0\n"),
        [Answer::Accepted(5), Answer::Closing]
    );
    assert!(!client.has_room());
}

#[test]
fn unknown_hints_are_passed_over() {
    let mut client = opened();
    assert!(handle(&mut client, b"0 weather 4 rain\n").is_empty());
}

#[test]
fn answers_cut_anywhere_say_the_same() {
    let stream = [
        rsp(2, "200 OK"),
        rsp(3, "500 no"),
        b"0 hint 3 a\nb\n".to_vec(),
        rsp(4, "200 OK"),
        b"0 serverclose 0\n".to_vec(),
    ]
    .concat();
    let said = |pieces: &[&[u8]]| {
        let (mut client, mut answers) = (opened(), Vec::new());
        for key in 1..=3 {
            client.send(key, start(), b"x");
        }
        for piece in pieces {
            client.handle(piece, &mut answers).unwrap();
        }
        answers
    };
    let whole = said(&[&stream]);
    assert_eq!(whole.len(), 4);
    for cut in 0..=stream.len() {
        let (one, two) = stream.split_at(cut);
        assert_eq!(said(&[one, two]), whole, "cut at {cut}");
    }
    assert_eq!(said(&stream.chunks(1).collect::<Vec<_>>()), whole);
}

#[test]
fn what_is_no_answer_ends_the_session() {
    let wrong: [(&[u8], Error); 12] = [
        (b"\n", Error::Syntax(0)),
        (b"x rsp 0\n", Error::Syntax(0)),
        (b" 2 rsp", Error::Syntax(0)),
        (b"2  rsp", Error::Syntax(2)),
        (b"1234567890 rsp", Error::Syntax(9)),
        (b"2 rsp x", Error::Syntax(6)),
        (b"2 rsp 1234567890", Error::Syntax(15)),
        (b"2 rsp 6\n", Error::Syntax(7)),
        (b"2 rsp 3 200x", Error::Syntax(11)),
        (b"2 rsp 131073 ", Error::TooLong(131_073)),
        (b"2 rsp 0\n", Error::Unasked(2)),
        (b"2 syslog 1 x\n", Error::Command("syslog".into())),
    ];
    for (bytes, expected) in wrong {
        let text = String::from_utf8_lossy(bytes);
        assert_eq!(error(&mut opened(), bytes), expected, "{text:?}");
    }
    assert_eq!(parse(b"2 rsp 131072 "), Ok(None));
    assert_eq!(
        error(&mut opened(), &[b"2 ".as_slice(), &[b'a'; 33]].concat()),
        Error::Syntax(34)
    );
}

#[test]
fn a_bad_answer_to_a_message_ends_the_session() {
    for status in ["20", "2000 OK", "OK", "200\tOK", " 200"] {
        let mut client = opened();
        client.send(1, start(), b"x");
        assert_eq!(
            error(&mut client, &rsp(2, status)),
            Error::Status(status.replace('\t', "?")),
            "{status:?}"
        );
    }
    let mut client = opened();
    client.send(1, start(), b"x");
    assert_eq!(error(&mut client, &rsp(3, "200 OK")), Error::Unasked(3));
    assert_eq!(error(&mut opened(), &rsp(1, OFFERS)), Error::Unasked(1));
}

#[test]
fn a_session_that_is_not_ours_is_not_opened() {
    let wrong = [
        (
            "500 go away\nrelp_version=0",
            "receiver refuses the RELP session: 500 go away",
        ),
        ("200 OK", "receiver does not name a RELP version"),
        ("200 OK\nrelp_version=0\ncommands=a,b", "only \"a,b\""),
        ("hello", "without a status"),
    ];
    for (answer, reason) in wrong {
        let text = error(&mut Client::new(), &rsp(1, answer)).to_string();
        assert!(text.contains(reason), "{text}");
    }
    let mut client = Client::new();
    let offers = "200 OK\nrelp_version=1\ncommands=starttls,syslog\n";
    assert_eq!(handle(&mut client, &rsp(1, offers)), [Answer::Opened]);
}

#[test]
fn a_length_of_zero_may_be_followed_by_a_space() {
    let frame = Frame {
        transaction: 3,
        command: b"rsp",
        data: b"",
    };
    assert_eq!(parse(b"3 rsp 0\nrest"), Ok(Some((frame, 8))));
    assert_eq!(parse(b"3 rsp 0 \nrest"), Ok(Some((frame, 9))));
}

#[test]
fn every_start_of_a_frame_is_only_incomplete() {
    let frame = rsp(123_456_789, "200 OK\ndata");
    for cut in 0..frame.len() {
        assert_eq!(parse(&frame[..cut]), Ok(None), "{cut}");
    }
    assert!(matches!(parse(&frame), Ok(Some((_, length))) if length == frame.len()));
}

#[test]
fn no_bytes_make_it_panic() {
    let mut seed = 1_u64;
    let alphabet = b"0129 rspclose\n\xff";
    for _ in 0..20_000 {
        let bytes: Vec<u8> = (0..24)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                alphabet[usize::try_from(seed >> 33).unwrap() % alphabet.len()]
            })
            .collect();
        let mut client = opened();
        client.send(1, start(), b"x");
        let _ = client.handle(&bytes, &mut Vec::new());
    }
}
