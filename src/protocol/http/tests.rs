use super::request::{Decoder, Progress};
use super::*;
use crate::base::wire::utf16;

const HEARTBEAT: &str = "POST /wsman/subscriptions/1 HTTP/1.1\r\n\
    Connection: Keep-Alive\r\n\
    Content-Type: application/soap+xml;charset=UTF-16\r\n\
    Content-Encoding: SLDC\r\n\
    User-Agent: Microsoft WinRM Client\r\n\
    Content-Length: 12\r\n\
    Host: collector.example.test:5985\r\n\r\nHTTP/1.1\r\n\r\n";

const CHUNKED: &str = "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: Chunked\r\n\r\n\
    5;name=\"value\"\r\nhello\r\n00A \r\n\r\n, world\n\r\n0\r\nTrailer: x\r\n\r\n";

const PLAIN: &str = "GET /metrics HTTP/1.1\nHost: x\n\n";

fn limits() -> Limits {
    Limits {
        head: 400,
        body: 50,
        headers: 8,
    }
}

/// All requests of a stream that arrives in pieces.
fn decode<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Result<Vec<Request>, Error> {
    let mut decoder = Decoder::new(limits());
    let mut requests = Vec::new();
    for piece in pieces {
        decoder.feed(piece);
        while let Some(request) = decoder.poll()? {
            requests.push(request);
        }
    }
    Ok(requests)
}

fn one(text: &str) -> Result<Request, Error> {
    let mut requests = decode([text.as_bytes()])?;
    assert_eq!(requests.len(), 1, "{text}");
    Ok(requests.remove(0))
}

fn error(text: &str) -> Error {
    let whole = decode([text.as_bytes()]).expect_err(text);
    assert_eq!(decode(text.as_bytes().chunks(1)), Err(whole), "{text}");
    whole
}

fn head(lines: &str) -> String {
    format!("POST / HTTP/1.1\r\nHost: a\r\n{lines}\r\n\r\n")
}

#[test]
fn what_is_no_http_is_refused_from_its_first_byte() {
    let mut decoder = Decoder::new(limits());
    decoder.feed(b"\x16");
    assert_eq!(decoder.poll(), Err(Error::Tls));
    assert_eq!(error("\x16\x03\x01\x02"), Error::Tls);
    assert_eq!(error("\r\n\x16\x03"), Error::Tls);
    for other in ["\0\0\0", " POST / HTTP/1.1\r\n", "\u{80}"] {
        let reason = "not HTTP";
        assert_eq!(error(other), Error::MalformedHead { reason }, "{other:?}");
    }
}

#[test]
fn a_request_of_windows_is_read() {
    let request = one(HEARTBEAT).unwrap();
    assert_eq!(request.head.method, Method::Post);
    assert_eq!(request.head.target, "/wsman/subscriptions/1");
    assert_eq!(request.head.header("content-ENCODING"), Some("SLDC"));
    assert_eq!(request.head.header("authorization"), None);
    assert!(request.head.keep_alive());
    assert_eq!(request.body.bytes(), b"HTTP/1.1\r\n\r\n");
}

#[test]
fn chunks_are_joined_without_extensions_and_trailers() {
    let request = one(CHUNKED).unwrap();
    assert_eq!(request.body.bytes(), b"hello\r\n, world\n");
    assert_eq!(request.head.header("trailer"), None);
}

#[test]
fn a_stream_cut_anywhere_gives_the_same_requests() {
    let stream = [HEARTBEAT, CHUNKED, "\r\n\r\n", PLAIN, CHUNKED, HEARTBEAT].concat();
    let stream = stream.as_bytes();
    let whole = decode([stream]).unwrap();
    assert_eq!(whole.len(), 5);
    for cut in 0..=stream.len() {
        let (a, b) = stream.split_at(cut);
        assert_eq!(decode([a, b]).as_ref(), Ok(&whole), "{cut}");
    }
    for size in 1..40 {
        assert_eq!(decode(stream.chunks(size)).as_ref(), Ok(&whole), "{size}");
    }
}

#[test]
fn pipelined_requests_come_one_at_a_time() {
    let mut decoder = Decoder::new(limits());
    decoder.feed(PLAIN.repeat(3).as_bytes());
    for left in [2, 1, 0] {
        assert!(decoder.poll().unwrap().is_some());
        assert_eq!(decoder.buffered(), left * PLAIN.len());
    }
    assert_eq!(decoder.poll(), Ok(None));
}

#[test]
fn bytes_fed_before_a_request_is_taken_stay_in_order() {
    let mut decoder = Decoder::new(limits());
    let (start, end) = HEARTBEAT.split_at(HEARTBEAT.len() - 3);
    decoder.feed(start.as_bytes());
    assert_eq!(decoder.poll(), Ok(None));
    decoder.feed(end.as_bytes());
    decoder.feed(PLAIN.as_bytes());
    let first = decoder.poll().unwrap().unwrap();
    assert_eq!(first.body.bytes(), b"HTTP/1.1\r\n\r\n");
    let second = decoder.poll().unwrap().unwrap();
    assert_eq!(second.head.target, "/metrics");
}

#[test]
fn progress_and_bytes_held_are_told() {
    let mut decoder = Decoder::new(limits());
    let (start, rest) = HEARTBEAT.split_at(20);
    let (middle, end) = rest.split_at(rest.len() - 5);
    let mut after = |piece: &str| {
        decoder.feed(piece.as_bytes());
        let whole = decoder.poll().unwrap().is_some();
        (whole, decoder.progress(), decoder.buffered())
    };
    assert_eq!(after("\r\n"), (false, Progress::Idle, 0));
    assert_eq!(after(start), (false, Progress::Head, 20));
    assert_eq!(after(middle), (false, Progress::Body, 7));
    assert_eq!(after(end), (true, Progress::Idle, 0));
    assert_eq!(decoder.pending_capacity(), 0);
}

#[test]
fn continue_is_expected_once_and_only_before_the_body() {
    let asking = head("Content-Length: 1\r\nExpect: 100-Continue");
    let mut decoder = Decoder::new(limits());
    decoder.feed(asking.as_bytes());
    assert!(!decoder.expects_continue());
    assert_eq!(decoder.poll(), Ok(None));
    assert!(decoder.expects_continue());
    assert!(!decoder.expects_continue());
    decoder.feed(b"x");
    assert_eq!(decoder.poll().unwrap().unwrap().body.bytes(), b"x");
    decoder.feed(asking.as_bytes());
    decoder.feed(b"x");
    assert!(decoder.poll().unwrap().is_some() && !decoder.expects_continue());
    decoder.feed(asking.replace("HTTP/1.1", "HTTP/1.0").as_bytes());
    assert!(decoder.poll().unwrap().is_none() && !decoder.expects_continue());
}

#[test]
fn connections_are_kept_by_version_and_header() {
    let keeps = |text: &str| one(text).unwrap().head.keep_alive();
    assert!(keeps("GET / HTTP/1.1\r\nHost: a\r\n\r\n"));
    assert!(!keeps(&head("Connection: TE,\tClose")));
    assert!(!keeps(&head("Connection: a\r\nConnection: close")));
    assert!(!keeps("GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n"));
}

#[test]
fn a_head_may_reach_its_limit_but_not_pass_it() {
    let padded = |size: usize| head(&format!("X: {}", "x".repeat(size - 33)));
    assert_eq!(padded(400).len(), 400);
    assert!(one(&padded(400)).is_ok());
    assert_eq!(error(&padded(401)), Error::HeadTooLong { limit: 400 });
    let endless = format!("GET /{}", "a".repeat(500));
    assert_eq!(error(&endless), Error::TargetTooLong { limit: 400 });
}

#[test]
fn headers_may_reach_their_number_but_not_pass_it() {
    let lines = |count: usize| head(vec!["a: b"; count - 1].join("\r\n").as_str());
    assert_eq!(one(&lines(8)).unwrap().head.headers.len(), 8);
    assert_eq!(error(&lines(9)), Error::TooManyHeaders { limit: 8 });
}

#[test]
fn a_body_may_reach_its_limit_but_not_pass_it() {
    let (fifty, limit) = ("x".repeat(50), 50);
    let sized = |n: usize| head(&format!("Content-Length: {n}")) + &fifty;
    assert_eq!(one(&sized(50)).unwrap().body.held(), 50);
    assert_eq!(error(&sized(51)), Error::BodyTooLong { limit });
    let chunks = |n: usize| {
        let coded = head("Transfer-Encoding: chunked");
        format!(
            "{coded}20\r\n{}\r\n{n:x}\r\n{}\r\n0\r\n\r\n",
            &fifty[..32],
            &fifty[..n]
        )
    };
    assert_eq!(one(&chunks(18)).unwrap().body.held(), 50);
    assert_eq!(error(&chunks(19)), Error::BodyTooLong { limit });
    let huge = head("Content-Length: 99999999999999999999999");
    assert_eq!(error(&huge), Error::BodyTooLong { limit });
}

#[test]
fn chunk_lines_and_their_sum_are_bounded() {
    let coded = head("Transfer-Encoding: chunked");
    let body = |line: String| format!("{coded}1{line}\r\nx\r\n0\r\n\r\n");
    let extension = |size: usize| body(format!(";{}", "e".repeat(size)));
    assert_eq!(one(&extension(400)).unwrap().body.bytes(), b"x");
    assert_eq!(error(&extension(401)), Error::ChunkTooLong { limit: 400 });
    let endless = format!("{coded}1;{}", "e".repeat(2000));
    assert_eq!(
        error(&endless),
        Error::ChunkTooLong {
            limit: chunked::MAX_LINE
        }
    );
    let trailers = |count: usize| format!("{coded}0\r\n{}\r\n", "T: 4567890\r\n".repeat(count));
    assert!(one(&trailers(40)).is_ok());
    assert_eq!(error(&trailers(41)), Error::ChunkTooLong { limit: 400 });
}

#[test]
fn a_claimed_length_allocates_little() {
    let mut decoder = Decoder::new(Limits::default());
    decoder.feed(head("Content-Length: 8000000").as_bytes());
    let mut sent = 0;
    while sent < 8_000_000 {
        assert_eq!(decoder.poll(), Ok(None));
        assert_eq!(decoder.buffered(), sent);
        decoder.feed(&[0; 1600]);
        sent += 1600;
        let ahead = decoder.body_capacity() - sent;
        assert!(ahead <= sent.max(256 * 1024), "{ahead} of {sent}");
    }
    let Body::Bytes(body) = decoder.poll().unwrap().unwrap().body else {
        panic!("it has no type of text");
    };
    assert_eq!((body.len(), body.capacity()), (8_000_000, 8_000_000));
}

#[test]
fn what_two_readers_could_frame_differently_is_refused() {
    let cases = [
        (
            "Content-Length: 1\r\nContent-Length: 2",
            Error::MalformedLength,
        ),
        ("Content-Length: 1, 1", Error::MalformedLength),
        ("Content-Length: +1", Error::MalformedLength),
        ("Content-Length: -1", Error::MalformedLength),
        ("Content-Length: 0x1", Error::MalformedLength),
        ("Content-Length:", Error::MalformedLength),
        (
            "Content-Length: 1\r\nTransfer-Encoding: chunked",
            Error::LengthWithCoding,
        ),
        ("Transfer-Encoding: identity", Error::UnsupportedCoding),
        ("Transfer-Encoding: gzip, chunked", Error::UnsupportedCoding),
        (
            "Transfer-Encoding: chunked, chunked",
            Error::UnsupportedCoding,
        ),
        (
            "Transfer-Encoding: chunked\r\nTransfer-Encoding: x",
            Error::UnsupportedCoding,
        ),
        ("Transfer-Encoding:", Error::UnsupportedCoding),
    ];
    for (lines, expected) in cases {
        assert_eq!(error(&head(lines)), expected, "{lines}");
    }
    let old = head("Transfer-Encoding: chunked").replace("/1.1", "/1.0");
    assert_eq!(error(&old), Error::UnsupportedCoding);
    let agreed = head("Content-Length: 1\r\nContent-Length: 01") + "x";
    assert_eq!(one(&agreed).unwrap().body.bytes(), b"x");
}

#[test]
fn malformed_chunks_are_refused() {
    let coded = head("Transfer-Encoding: chunked");
    let cases = [
        ("\r\n", 0),
        ("x\r\n", 0),
        ("+1\r\nx\r\n", 0),
        ("1\nx\r\n", 0),
        ("1\r;\r\nx\r\n", 0),
        ("00000000000000001\r\nx\r\n", 0),
        ("1\r\nxy\r\n", 1),
        ("1\r\nx\n0\r\n\r\n", 1),
        ("1\r\nx\r\n0\r\nT: x\n\r\n", 1),
    ];
    for (body, offset) in cases {
        let expected = Error::MalformedChunk { offset };
        assert_eq!(error(&format!("{coded}{body}")), expected, "{body:?}");
    }
}

#[test]
fn malformed_heads_are_refused() {
    let reason = |text: &str| match error(text) {
        Error::MalformedHead { reason } => reason,
        other => panic!("{other}"),
    };
    assert_eq!(reason(&head("Content-Length : 1")), "invalid header name");
    assert_eq!(reason(&head("a: b\r\n folded")), "invalid header name");
    assert_eq!(reason(&head("a: b\0")), "invalid header value");
    assert_eq!(reason("@\x03\x01 \n\n"), "invalid request line");
    assert_eq!(reason(&head("HOST: a")), "several Host headers");
    assert_eq!(error("PRI * HTTP/2.0\r\n\r\n"), Error::UnsupportedVersion);
    assert_eq!(error("GET /\r\n\r\n").status(), 400);
}

/// RFC 9112 3.2.
#[test]
fn every_request_but_those_of_http_1_0_names_its_host() {
    for target in ["/", "http://collector.example.test/"] {
        let without = format!("GET {target} HTTP/1.1\r\nX-Host: a\r\n\r\n");
        let reason = "no Host header";
        assert_eq!(error(&without), Error::MalformedHead { reason });
        assert_eq!(error(&without).status(), 400);
        assert!(one(&without.replace("X-Host", "hOST")).is_ok());
        assert!(one(&without.replace("X-Host: a", "Host:")).is_ok());
        assert!(one(&without.replace("/1.1", "/1.0")).is_ok());
    }
}

#[test]
fn an_error_is_final() {
    let mut decoder = Decoder::new(limits());
    decoder.feed(head("Content-Length: 51").as_bytes());
    let expected = Err(Error::BodyTooLong { limit: 50 });
    assert_eq!(decoder.poll(), expected);
    decoder.feed(PLAIN.as_bytes());
    assert_eq!(decoder.poll(), expected);
    assert_eq!((decoder.buffered(), decoder.expects_continue()), (0, false));
}

#[test]
fn no_bytes_make_it_panic() {
    let stream = [HEARTBEAT, CHUNKED, PLAIN].concat().into_bytes();
    for at in 0..stream.len() {
        for byte in [0, b'\n', b'\r', b' ', b'9', b';', 0xff] {
            let mut bad = stream.clone();
            bad[at] = byte;
            let whole = decode([bad.as_slice()]);
            assert_eq!(decode(bad.chunks(3)), whole, "{at} {byte}");
        }
    }
}

#[test]
fn errors_have_a_status_and_a_text() {
    let limit = 7;
    let cases = [
        (Error::Tls, 400),
        (Error::MalformedLength, 400),
        (Error::LengthWithCoding, 400),
        (Error::MalformedChunk { offset: 0 }, 400),
        (Error::ChunkTooLong { limit }, 400),
        (Error::BodyTooLong { limit }, 413),
        (Error::TargetTooLong { limit }, 414),
        (Error::HeadTooLong { limit }, 431),
        (Error::TooManyHeaders { limit }, 431),
        (Error::UnsupportedCoding, 501),
        (Error::UnsupportedVersion, 505),
    ];
    for (error, status) in cases {
        assert_eq!(error.status(), status, "{error}");
    }
    let text = Error::BodyTooLong { limit }.to_string();
    assert_eq!(text, "request body is over 7 bytes");
}

#[test]
fn text_is_decoded_as_it_arrives() {
    let body = [b"\xff\xfe".as_slice(), &utf16("<a>é\n\u{1f980}</a>")].concat();
    let in_pieces = |kind: &str, more: &str, size: usize| {
        let length = body.len();
        let head = head(&format!(
            "Content-Type: {kind}\r\n{more}Content-Length: {length}"
        ));
        let (mut decoder, mut request) = (Decoder::new(Limits::default()), None);
        for byte in [head.as_bytes(), &body].concat().chunks(size) {
            assert!(request.is_none());
            decoder.feed(byte);
            request = decoder.poll().unwrap();
        }
        request.unwrap().body
    };
    let usual = "application/soap+xml;charset=UTF-16";
    let profile =
        "Authorization: http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/https/mutual\r\n";
    for (kind, more) in [
        (usual, ""),
        ("Application/SOAP+xml;charset=utf-16", ""),
        (usual, profile),
    ] {
        for size in [1, 2, 3, 7, 1000] {
            let Body::Text(text) = in_pieces(kind, more, size) else {
                panic!("{kind}");
            };
            assert_eq!(text.finish(), ("<a>é\n\u{1f980}</a>".to_owned(), true));
        }
    }
    let others = [
        (usual, "Content-Encoding: SLDC\r\n"),
        (usual, "Authorization: digest x\r\n"),
        (usual, "Content-Type: text/plain\r\n"),
        ("application/soap+xml;charset=UTF-8", ""),
        ("multipart/encrypted", ""),
    ];
    for (kind, more) in others {
        assert_eq!(
            in_pieces(kind, more, 7),
            Body::Bytes(body.clone()),
            "{kind}, {more}"
        );
    }
}
