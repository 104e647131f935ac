//! Requests that no Windows source would send, over raw sockets: each is answered or its
//! connection is closed, and the relay still serves the next one.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::{Duration, Instant};

use crate::support::{PATIENCE, Relay, Reply, TempDir, numbered_file, read_reply, send};

const MANAGER: &str = "/wsman/SubscriptionManager/WEC";

#[test]
fn a_method_other_than_post_is_not_allowed() {
    with_relay(|relay| {
        for method in ["GET", "PUT", "DELETE", "OPTIONS", "BREW"] {
            let reply = ask(relay, &format!("{method} / HTTP/1.1\r\nHost: x\r\n\r\n"));
            assert_eq!(reply.status, 405, "{method}: {}", reply.head);
            assert_eq!(reply.header("Allow"), Some("POST"), "{}", reply.head);
        }
    });
}

#[test]
fn head_is_answered_without_a_body() {
    with_relay(|relay| {
        let mut stream = connect(relay);
        write!(
            stream,
            "HEAD / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1.1 405 "), "{text}");
        assert!(text.ends_with("\r\n\r\n"), "a body after {text}");
    });
}

#[test]
fn a_request_without_a_credential_is_challenged() {
    with_relay(|relay| {
        let reply = ask(relay, &post(MANAGER, "", ""));
        assert_eq!(reply.status, 401, "{}", reply.head);
        assert_eq!(reply.header("WWW-Authenticate"), Some("Negotiate"));
        assert_eq!(reply.header("Content-Length"), Some("0"));
        assert!(reply.header("Date").is_some(), "{}", reply.head);
    });
}

#[test]
fn a_plain_envelope_does_not_pass_without_a_credential() {
    with_relay(|relay| {
        let reply = ask(relay, &post(MANAGER, "", "<s:Envelope/>"));
        assert_eq!(reply.status, 401, "{}", reply.head);
    });
}

#[test]
fn nonsense_credentials_are_refused() {
    with_relay(|relay| {
        let credentials = [
            "Basic dXNlcjpwYXNz",
            "Negotiate",
            "Negotiate !!!",
            "Negotiate AAAA",
            "Negotiate TlRMTVNTUAA=",
            "Negotiate TlRMTVNTUAABAAAA",
            "Negotiate TlRMTVNTUAADAAAAAQABAHYAAAAAAAAA",
            "Kerberos YII=",
            "NTLM TlRMTVNTUAABAAAAt4II4gAAAAAAAAAAAAAAAAAAAAAKALpHAAAADw==",
        ];
        for credential in credentials {
            let header = format!("Authorization: {credential}\r\n");
            let reply = ask(relay, &post(MANAGER, &header, ""));
            assert!(
                [400, 401].contains(&reply.status),
                "{credential}: {}",
                reply.head
            );
        }
    });
}

#[test]
fn an_unknown_path_is_not_found_after_authentication() {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--allow-unencrypted"]);
    let mut source = relay.source("ws-07.example.test");
    let mut offer = source.subscribe();
    offer.path = "/wsman/subscriptions/00000000-0000-0000-0000-000000000000".to_owned();
    offer.identifier = "00000000-0000-0000-0000-000000000000".to_owned();
    let reply = source.try_deliver(&offer, &[crate::support::numbered_event(0)], 1);
    assert_eq!(reply.unwrap().status, 404);
}

#[test]
fn a_plain_body_needs_the_flag_that_allows_it() {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &[]);
    let mut source = relay.source("ws-07.example.test");
    let reply = source.post(MANAGER, "<s:Envelope/>").unwrap();
    assert!((400..500).contains(&reply.status), "{}", reply.head);
    relay.process.wait_for_log("--allow-unencrypted");
}

#[test]
fn a_head_over_the_limit_is_refused() {
    with_relay(|relay| {
        let header = format!("X-Long: {}\r\n", "x".repeat(97 * 1024));
        let reply = ask(relay, &post(MANAGER, &header, ""));
        assert_eq!(reply.status, 431, "{}", reply.head);
    });
}

#[test]
fn a_head_as_large_as_a_ticket_needs_is_taken() {
    with_relay(|relay| {
        let header = format!("X-Long: {}\r\n", "x".repeat(72 * 1024));
        let reply = ask(relay, &post(MANAGER, &header, ""));
        assert_eq!(reply.status, 401, "{}", reply.head);
    });
}

#[test]
fn a_body_over_the_limit_is_refused_before_it_is_sent() {
    with_relay(|relay| {
        let head = format!("POST {MANAGER} HTTP/1.1\r\nHost: x\r\nContent-Length: 9000000\r\n\r\n");
        let reply = ask(relay, &head);
        assert_eq!(reply.status, 413, "{}", reply.head);
    });
}

#[test]
fn conflicting_lengths_are_refused() {
    with_relay(|relay| {
        for header in [
            "Content-Length: 3\r\n",
            "Transfer-Encoding: chunked\r\n",
            "Content-Length: -1\r\n",
        ] {
            let text = post(MANAGER, header, "abcd");
            let reply = ask(relay, &text);
            assert_eq!(reply.status, 400, "{header}: {}", reply.head);
        }
    });
}

#[test]
fn text_that_is_no_http_is_refused_or_closed() {
    with_relay(|relay| {
        for text in [
            "\r\n\r\n",
            "hello\r\n\r\n",
            "\x16\x03\x01\x02\0\x01\0",
            "POST\r\n\r\n",
        ] {
            let mut stream = connect(relay);
            stream.write_all(text.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            assert!(
                answer.is_empty() || answer.starts_with("HTTP/1.1 4"),
                "{answer}"
            );
        }
    });
}

/// A policy has https:// but the http port: the host must not wait for its timeout, and the
/// reason is logged once.
#[test]
fn https_to_the_http_port_is_told_at_once() {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &["--output", "stdout:"]);
    let url = format!("https://127.0.0.1:{}{MANAGER}", relay.port());
    let curl = std::process::Command::new("curl")
        .args(["--silent", "--insecure", "--max-time", "8", &url])
        .status()
        .unwrap();
    // 35: the handshake failed. A client that times out exits with 28.
    assert_eq!(curl.code(), Some(35));
    let line = relay.process.wait_for_log("TLS on a port for plain HTTP");
    assert!(line.contains("127.0.0.1"), "{line}");
    assert!(line.contains("or http://"), "{line}");
}

#[test]
fn a_client_that_ends_right_after_its_last_byte_is_let_go() {
    with_relay(|relay| {
        for text in ["POST / HT", "\r\n", &post(MANAGER, "", "")] {
            let began = Instant::now();
            let mut stream = connect(relay);
            stream.write_all(text.as_bytes()).unwrap();
            stream.shutdown(Shutdown::Write).unwrap();
            let _ = stream.read_to_end(&mut Vec::new());
            // Far less than the timeouts for a head and for an idle connection.
            assert!(began.elapsed() < Duration::from_secs(3), "{text:?}");
        }
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    with_relay(|relay| {
        let mut stream = connect(relay);
        let text = post(MANAGER, "", "") + "GET / HTTP/1.1\r\nHost: x\r\n\r\n";
        stream.write_all(text.as_bytes()).unwrap();
        assert_eq!(read_reply(&mut stream).unwrap().status, 401);
        assert_eq!(read_reply(&mut stream).unwrap().status, 405);
    });
}

#[test]
fn a_request_in_single_bytes_is_understood() {
    with_relay(|relay| {
        let mut stream = connect(relay);
        for byte in post(MANAGER, "", "").as_bytes() {
            stream.write_all(std::slice::from_ref(byte)).unwrap();
        }
        assert_eq!(read_reply(&mut stream).unwrap().status, 401);
    });
}

#[test]
fn a_client_that_expects_to_be_asked_for_the_body_is_asked() {
    with_relay(|relay| {
        let mut stream = connect(relay);
        let head = format!(
            "POST {MANAGER} HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\n"
        );
        stream.write_all(head.as_bytes()).unwrap();
        let first = read_reply(&mut stream).unwrap();
        // 100 Continue or an immediate rejection: either way, the client does not time out.
        if first.status == 100 {
            stream.write_all(b"body").unwrap();
            assert_eq!(read_reply(&mut stream).unwrap().status, 401);
        } else {
            assert_eq!(first.status, 401, "{}", first.head);
        }
    });
}

#[test]
fn http_1_0_is_answered_and_closed() {
    with_relay(|relay| {
        let mut stream = connect(relay);
        stream.write_all(b"POST / HTTP/1.0\r\n\r\n").unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        assert!(text.starts_with("HTTP/1."), "{text}");
    });
}

/// Runs `check`, then verifies that the relay still accepts events.
fn with_relay(check: impl FnOnce(&Relay)) {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &["--output", &format!("file:{}", dir.file("out"))]);
    check(&relay);
    assert!(relay.process.is_running(), "{}", relay.process.log());
    send(&relay, &numbered_file(&dir, 1), 1, "ws-07.example.test");
}

fn connect(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

/// Sends one request on a new connection; the relay may answer before it has read everything.
#[track_caller]
fn ask(relay: &Relay, text: &str) -> Reply {
    let mut stream = connect(relay);
    let _ = stream.write_all(text.as_bytes());
    read_reply(&mut stream).unwrap()
}

fn post(path: &str, headers: &str, body: &str) -> String {
    format!(
        "POST {path} HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n\
         {headers}Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
