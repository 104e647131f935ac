//! A connection alone; what it does within the collector is tested there.

use std::net::Ipv4Addr;
use std::time::UNIX_EPOCH;

use super::*;
use crate::auth::{self, SecurityContext, Verdict};
use crate::base::wire::{self, Charset};
use crate::client::{Endpoint, Session};
use crate::protocol::http::multipart::{self, Mechanism, Style};
use crate::protocol::kerberos::crypto::{Enctype, Key};
use crate::protocol::kerberos::wrap;
use crate::protocol::ntlm::initiator::{Client, Nonces};
use crate::protocol::ntlm::{self, Accounts};
use crate::protocol::sldc;

const ADDRESS: IpAddr = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7));

#[derive(Debug)]
struct Nobody;

impl Accounts for Nobody {
    fn find(&self, _: &str, _: &str) -> Option<ntlm::Known> {
        None
    }
}

struct Scene {
    connection: Connection,
    rules: Rules,
    now: Now,
}

impl Scene {
    fn new() -> Self {
        #[expect(
            clippy::disallowed_methods,
            reason = "an Instant has no other beginning"
        )]
        let monotonic = Instant::now();
        let wall = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let now = Now { monotonic, wall };
        let auth = auth::Policy {
            anonymous: vec!["192.0.2.0/24".parse().unwrap()],
            has_accounts: false,
            accounts: Rc::new(Nobody),
            ntlmv1: false,
            passwords: None,
            domain: false,
            server: ntlm::Server::from_hostname("collector.example.com"),
            kerberos: None,
            bindings: auth::Bindings::Require,
            names: Vec::new(),
        };
        let limits = Limits::default();
        let rules = Rules {
            auth,
            allow_unencrypted: true,
            limits,
        };
        let connection = Connection::new(now, ADDRESS, &limits);
        Self {
            connection,
            rules,
            now,
        }
    }

    /// One that has let a source in.
    fn established() -> Self {
        let (scene, _) = Self::with_session();
        scene
    }

    /// The same, with the source's side of it.
    fn with_session() -> (Self, Session) {
        let mut scene = Self::new();
        let (authority, path) = ("c".to_owned(), "/".to_owned());
        let endpoint = Endpoint {
            authority,
            path,
            secure: false,
        };
        let mut session = Session::new(endpoint, Client::anonymous("A"));
        session.call("first");
        let reply = scene.exchange(&mut session);
        assert_eq!(reply.unwrap().status, 200);
        (scene, session)
    }

    /// Answers what the session has sent with the very text.
    fn exchange(&mut self, session: &mut Session) -> Option<crate::client::Reply> {
        for _ in 0..3 {
            let event = self.feed(&session.take_outgoing());
            if let Some(Event::Message(message)) = event {
                let answer = Answer::Envelope(200, &message.text);
                self.connection.answer(self.now, &answer);
            }
            let bytes = self.sent();
            let reply = session.handle_received(&bytes, &Nonces::default());
            if let Some(reply) = reply.unwrap() {
                return Some(reply);
            }
        }
        None
    }

    fn feed(&mut self, bytes: &[u8]) -> Option<Event> {
        self.connection.handle_received(self.now, bytes);
        self.poll()
    }

    fn poll(&mut self) -> Option<Event> {
        let mut fill = |bytes: &mut [u8]| bytes.fill(7);
        self.connection.poll(
            self.now,
            (&self.rules, &mut Memory::default()),
            &|_| false,
            &mut fill,
        )
    }

    /// Takes what is to be written.
    fn sent(&mut self) -> Vec<u8> {
        let bytes = self.connection.outgoing().to_vec();
        self.connection.handle_written(self.now, bytes.len());
        bytes
    }

    fn sent_text(&mut self) -> String {
        String::from_utf8_lossy(&self.sent()).into_owned()
    }

    /// The refusal of a request.
    #[track_caller]
    fn refusal(&mut self, request: &[u8]) -> Refusal {
        match self.feed(request) {
            Some(Event::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    /// The envelope of a request.
    #[track_caller]
    fn message(&mut self, request: &[u8]) -> Message {
        match self.feed(request) {
            Some(Event::Message(message)) => message,
            other => panic!("{other:?}"),
        }
    }
}

fn post(headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!("POST /x HTTP/1.1\r\nHost: c\r\n{headers}Content-Length: {length}\r\n\r\n");
    [head.as_bytes(), body].concat()
}

const SOAP: &str = "Content-Type: application/soap+xml;charset=UTF-8\r\n";

#[test]
fn an_answer_takes_the_form_of_its_request() {
    let mut scene = Scene::established();
    for (charset, start) in [
        ("UTF-8", &b"\xc3\xa4"[..]),
        ("UTF-16", &b"\xff\xfe\xe4\0"[..]),
    ] {
        let headers = format!("Content-Type: application/soap+xml;charset={charset}\r\n");
        let message = scene.message(&post(&headers, start));
        assert_eq!((&*message.text, &*message.target), ("ä", "/x"));
        scene
            .connection
            .answer(scene.now, &Answer::Envelope(200, "ä"));
        let sent = scene.sent();
        assert!(sent.ends_with(start), "{charset}");
        let text = String::from_utf8_lossy(&sent).into_owned();
        assert!(text.contains(&format!("charset={charset}\r\n")), "{text}");
    }
}

#[test]
fn a_sealed_request_gets_a_sealed_answer() {
    let (mut scene, mut session) = Scene::with_session();
    for text in ["one", "two"] {
        session.call(text);
        let reply = scene.exchange(&mut session).unwrap();
        assert_eq!(reply.text.as_deref(), Some(text));
    }
}

#[test]
fn compressed_bodies_are_opened_up_to_their_bound() {
    let mut scene = Scene::established();
    let text = "<a>b</a>".repeat(500);
    let headers = format!("{SOAP}Content-Encoding: SLDC\r\n");
    let body = sldc::encode(text.as_bytes());
    scene.rules.limits.inflated = text.len();
    assert_eq!(scene.message(&post(&headers, &body)).text, text);
    scene.connection.answer(scene.now, &Answer::Empty(204));
    scene.sent();
    scene.rules.limits.inflated = text.len() - 1;
    let refusal = scene.refusal(&post(&headers, &body));
    assert_eq!((refusal.kind, refusal.status), (RefusalKind::Encoding, 400));
}

#[test]
fn text_that_only_claims_to_be_compressed_is_taken() {
    let mut scene = Scene::established();
    let headers = format!("{SOAP}Content-Encoding: SLDC\r\n");
    let body = wire::encode_text("<s:Envelope/>", Charset::Utf8);
    assert_eq!(scene.message(&post(&headers, &body)).text, "<s:Envelope/>");
}

#[test]
fn what_a_body_is_has_to_be_known() {
    let encoding = format!("{SOAP}Content-Encoding: gzip\r\n");
    for headers in [&*encoding, "", "Content-Type: ;;\r\n"] {
        let mut scene = Scene::established();
        assert_eq!(scene.refusal(&post(headers, b"x")).status, 415, "{headers}");
        assert!(scene.sent_text().contains("Connection: close"));
        assert!(scene.connection.is_lingering());
    }
}

#[test]
fn only_post_is_allowed_and_the_connection_goes_on() {
    let mut scene = Scene::established();
    for method in ["GET", "HEAD", "PUT", "post"] {
        let request = format!("{method} / HTTP/1.1\r\nHost: c\r\n\r\n");
        assert_eq!(scene.refusal(request.as_bytes()).status, 405);
        assert!(scene.sent_text().contains("Allow: POST\r\n"));
    }
    scene.message(&post(SOAP, b"x"));
}

#[test]
fn three_failures_end_a_connection() {
    let mut scene = Scene::new();
    let bad = post("Authorization: Negotiate AAAA\r\n", b"");
    for last in [false, false, true] {
        assert_eq!(scene.refusal(&bad).status, 401);
        assert_eq!(scene.sent_text().contains("Connection: close"), last);
    }
    assert!(scene.connection.is_lingering());
}

#[test]
fn a_failure_takes_away_what_was_established() {
    let mut scene = Scene::established();
    assert!(scene.connection.identity().is_some());
    let bad = post("Authorization: Negotiate AAAA\r\n", b"");
    assert_eq!(scene.refusal(&bad).status, 401);
    scene.sent();
    assert!(scene.connection.identity().is_none());
    assert!(scene.feed(&post(SOAP, b"x")).is_none());
    assert!(scene.sent_text().starts_with("HTTP/1.1 401"));
}

#[test]
fn rubbish_is_no_guess() {
    let mut scene = Scene::new();
    for token in [
        "Negotiate AAAA",
        "Negotiate",
        "Negotiate !",
        "Bearer x",
        "Basic eA==",
    ] {
        let refusal = scene.refusal(&post(&format!("Authorization: {token}\r\n"), b""));
        assert_eq!((refusal.status, refusal.tried), (401, None), "{token}");
        scene = Scene::new();
    }
}

#[test]
fn a_source_may_send_a_little_ahead_of_its_answer() {
    let mut scene = Scene::established();
    scene.message(&post(SOAP, b"x"));
    assert!(scene.connection.wants_input());
    assert!(scene.feed(&vec![b'P'; AHEAD - 1]).is_none());
    assert!(scene.connection.wants_input());
    assert!(scene.feed(b"P").is_none());
    assert!(!scene.connection.wants_input());
}

#[test]
fn an_answer_after_the_end_is_dropped() {
    let mut scene = Scene::established();
    scene.message(&post(SOAP, b"x"));
    scene.connection.cut(scene.now, 503);
    scene.connection.answer(scene.now, &Answer::Empty(204));
    let sent = scene.sent_text();
    assert!(
        sent.starts_with("HTTP/1.1 503") && !sent.contains("204"),
        "{sent}"
    );
}

#[test]
fn who_says_close_is_answered_and_closed() {
    let mut scene = Scene::established();
    scene.message(&post(&format!("{SOAP}Connection: close\r\n"), b"x"));
    scene.connection.answer(scene.now, &Answer::Empty(204));
    assert!(!scene.connection.is_lingering());
    assert!(scene.sent_text().contains("Connection: close"));
    assert!(scene.connection.is_lingering());
    scene.now = scene.now + pace::LINGER_TIME;
    scene
        .connection
        .handle_timeout(scene.now, (&scene.rules, &mut Memory::default()));
    assert!(scene.connection.is_closed());
}

/// One whose source has an account that only its domain knows, and its side.
fn asking() -> (Scene, Session) {
    let mut scene = Scene::new();
    scene.rules.auth.domain = true;
    let (authority, path) = ("c".to_owned(), "/".to_owned());
    let account = ntlm::initiator::ClientAccount {
        user: "WIN10$".into(),
        domain: "DOM".into(),
        hash: ntlm::crypto::NtHash::from_password("Password"),
    };
    let client = Client::with_account("WIN10", account);
    let mut session = Session::new(
        Endpoint {
            authority,
            path,
            secure: false,
        },
        client,
    );
    session.call("first");
    assert!(scene.feed(&session.take_outgoing()).is_none());
    let bytes = scene.sent();
    let reply = session.handle_received(&bytes, &Nonces::default());
    assert!(reply.unwrap().is_none());
    assert!(matches!(
        scene.feed(&session.take_outgoing()),
        Some(Event::Ask)
    ));
    (scene, session)
}

/// What a domain says that knows the account.
fn proven(question: &Question) -> Verdict {
    let (proof, _) = question.response.split_first_chunk::<16>().unwrap();
    let hash = ntlm::crypto::NtHash::from_password("Password");
    let key = hash.response_key(&question.user, &question.domain);
    Verdict::Proven(ntlm::crypto::ntlmv2_key(&key, proof))
}

#[test]
fn a_request_is_held_until_the_domain_has_spoken() {
    let (mut scene, mut session) = asking();
    assert!(scene.connection.identity().is_none());
    assert!(scene.connection.outgoing().is_empty());
    assert!(scene.connection.buffered() > 0, "held requests count");
    // What comes ahead is not looked at, and not without bound.
    assert!(
        scene
            .feed(&b"POST / HTTP/1.1\r\n".repeat(AHEAD / 16))
            .is_none()
    );
    assert!(!scene.connection.wants_input());
    scene.connection.decoder = Decoder::new(http::Limits::default());

    let question = scene.connection.question().unwrap();
    assert_eq!((&*question.user, &*question.domain), ("WIN10$", "DOM"));
    let verdict = proven(&question);
    let event = scene.connection.handle_verdict(
        scene.now,
        verdict.clone(),
        (&scene.rules, &mut Memory::default()),
    );
    let Some(Event::Message(message)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(message.text, "first");
    let identity = scene.connection.take_new_identity().unwrap();
    assert_eq!(identity.to_string(), "DOM\\WIN10$ by ntlm-domain");
    assert!(scene.connection.take_new_identity().is_none(), "told once");
    let answer = Answer::Envelope(200, &message.text);
    scene.connection.answer(scene.now, &answer);
    let bytes = scene.sent();
    let reply = session.handle_received(&bytes, &Nonces::default());
    assert_eq!(reply.unwrap().unwrap().status, 200);
    // A verdict that nobody waits for changes nothing.
    assert!(scene.connection.question().is_none());
    let event =
        scene
            .connection
            .handle_verdict(scene.now, verdict, (&scene.rules, &mut Memory::default()));
    assert!(event.is_none() && scene.connection.outgoing().is_empty());
}

#[test]
fn a_key_that_is_not_the_domains_opens_nothing() {
    let (mut scene, _) = asking();
    let verdict = Verdict::Proven(ntlm::crypto::Key::new([9; 16]));
    let event =
        scene
            .connection
            .handle_verdict(scene.now, verdict, (&scene.rules, &mut Memory::default()));
    let Some(Event::Refused(refusal)) = event else {
        panic!("{event:?}");
    };
    assert_eq!(
        (refusal.kind, refusal.status),
        (RefusalKind::Authentication, 401)
    );
    assert!(refusal.reason.starts_with("bad MIC"), "{}", refusal.reason);
    assert!(scene.connection.identity().is_none());
}

#[test]
fn a_domain_says_no_or_nothing_and_the_source_gets_401() {
    let no = Verdict::Refused("wrong password".into());
    let down = Verdict::Unavailable("no logon servers".into());
    for (verdict, kind, text) in [
        (
            no,
            RefusalKind::Authentication,
            "the domain rejects account 'DOM\\WIN10$'",
        ),
        (
            down,
            RefusalKind::Domain,
            "the domain cannot verify account 'DOM\\WIN10$'",
        ),
    ] {
        let (mut scene, _) = asking();
        let event = scene.connection.handle_verdict(
            scene.now,
            verdict,
            (&scene.rules, &mut Memory::default()),
        );
        let Some(Event::Refused(refusal)) = event else {
            panic!("{event:?}");
        };
        assert_eq!((refusal.kind, refusal.status), (kind, 401));
        assert_eq!(refusal.method, Some("ntlm-domain"));
        assert!(refusal.reason.starts_with(text), "{}", refusal.reason);
        let sent = scene.sent_text();
        assert!(sent.starts_with("HTTP/1.1 401"), "{sent}");
        assert!(sent.contains("WWW-Authenticate: Negotiate"), "{sent}");
    }
}

#[test]
fn a_domain_that_never_answers_costs_the_connection() {
    let (mut scene, _) = asking();
    let limits = scene.rules.limits;
    let due = scene.connection.poll_timeout(&limits).unwrap();
    assert_eq!(due, scene.now.monotonic + limits.authentication_time);
    scene.now = scene.now + limits.authentication_time;
    let event = scene
        .connection
        .handle_timeout(scene.now, (&scene.rules, &mut Memory::default()));
    let Some(Event::Refused(refusal)) = event else {
        panic!("{event:?}");
    };
    assert_eq!((refusal.kind, refusal.status), (RefusalKind::Domain, 401));
    let sent = scene.sent_text();
    assert!(sent.contains("Connection: close"), "{sent}");
    assert!(scene.connection.is_lingering());
    let late = Verdict::Proven(ntlm::crypto::Key::NULL_SESSION);
    let event =
        scene
            .connection
            .handle_verdict(scene.now, late, (&scene.rules, &mut Memory::default()));
    assert!(event.is_none() && scene.connection.identity().is_none());
}

/// As clients of Kerberos may cut a large body (MS-WSMV 2.2.9.1.3).
#[test]
fn a_body_sealed_in_several_parts_is_one_message() {
    for enctype in Enctype::ALL {
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let key = Key::generate(enctype, &mut random);
        let mut source = wrap::Session::initiate(&key, true, 1, 2, &mut random);
        let ours = wrap::Session::accept(&key, true, 2, 1, &mut random);
        let context = SecurityContext::Kerberos(Box::new(ours), auth::Protocol::Kerberos);
        let mut scene = Scene::established();
        scene.connection.login.replace_context(context);
        let text: String = ('a'..='z').cycle().take(40_000).collect();
        let mut body = Vec::new();
        for part in text.as_bytes().chunks(16 << 10) {
            let mut data = part.to_vec();
            let token = source.seal(&mut data);
            body.truncate(
                body.len()
                    .saturating_sub(b"--Encrypted Boundary--\r\n".len()),
            );
            let style = Style::windows(Mechanism::Kerberos, Charset::Utf8);
            multipart::emit(style, data.len(), &token, &data, &mut body);
        }
        let kind = multipart::content_type(Mechanism::Kerberos);
        let kind = kind.replace("multipart/encrypted", "multipart/x-multi-encrypted");
        let header = format!("Content-Type: {kind}\r\n");
        let message = scene.message(&post(&header, &body));
        assert_eq!(message.text, text, "{enctype}");
        // Parts that come again end the connection.
        let answer = Answer::Envelope(200, "x");
        scene.connection.answer(scene.now, &answer);
        scene.sent();
        let refusal = scene.refusal(&post(&header, &body));
        assert_eq!(refusal.kind, RefusalKind::Sealing, "{enctype}");
    }
}

/// pywinrm and pypsrp look for the tab that MS-WSMV has before the headers of parts.
#[test]
fn a_sealed_answer_is_written_as_its_request() {
    let kind = multipart::content_type(Mechanism::Spnego);
    for tab in [false, true] {
        let mut random = |bytes: &mut [u8]| bytes.fill(7);
        let key = Key::generate(Enctype::Aes256Sha1, &mut random);
        let mut source = wrap::Session::initiate(&key, true, 1, 2, &mut random);
        let ours = wrap::Session::accept(&key, true, 2, 1, &mut random);
        let context = SecurityContext::Kerberos(Box::new(ours), auth::Protocol::Spnego);
        let mut scene = Scene::established();
        scene.connection.login.replace_context(context);
        let mut data = b"<a/>".to_vec();
        let token = source.seal(&mut data);
        let style = Style {
            tab,
            ..Style::windows(Mechanism::Spnego, Charset::Utf8)
        };
        let mut body = Vec::new();
        multipart::emit(style, data.len(), &token, &data, &mut body);
        scene.message(&post(&format!("Content-Type: {kind}\r\n"), &body));
        let answer = Answer::Envelope(200, "<b/>");
        scene.connection.answer(scene.now, &answer);
        let sent = scene.sent_text();
        let headers = [
            "Content-Type: application/octet",
            "Content-Type: application/HTTP",
            "Orig",
        ];
        for header in headers {
            let before = if tab { "\r\n\t" } else { "\r\n" };
            assert!(sent.contains(&format!("{before}{header}")), "{sent}");
        }
    }
}

/// After it has dialled anew a source seals as it did before, and begins once more only
/// where it is told so and the connection ends.
#[test]
fn a_sealed_body_without_a_context_gets_all_schemes_and_the_end() {
    let mut scene = Scene::new();
    let kind = multipart::content_type(Mechanism::Spnego);
    let request = post(
        &format!("Content-Type: {kind}\r\n"),
        b"--Encrypted Boundary",
    );
    assert!(scene.feed(&request).is_none());
    let sent = scene.sent_text();
    assert!(sent.starts_with("HTTP/1.1 401 "), "{sent}");
    assert!(
        sent.contains("\r\nWWW-Authenticate: Negotiate\r\n"),
        "{sent}"
    );
    assert!(sent.contains("\r\nConnection: close\r\n"), "{sent}");
    assert!(scene.connection.is_lingering());
    // One who only asks keeps the connection.
    let mut scene = Scene::new();
    assert!(scene.feed(&post(SOAP, b"")).is_none());
    let sent = scene.sent_text();
    assert!(
        sent.starts_with("HTTP/1.1 401 ") && !sent.contains("Connection: close"),
        "{sent}"
    );
}

#[test]
fn the_last_token_of_another_connection_ends_this_one_but_a_challenge_does_not() {
    let (authority, path) = ("c".to_owned(), "/".to_owned());
    let mut session = Session::new(
        Endpoint {
            authority,
            path,
            secure: false,
        },
        Client::anonymous("A"),
    );
    session.call("first");
    let mut scene = Scene::new();
    assert!(scene.feed(&session.take_outgoing()).is_none());
    let challenge = scene.sent();
    let text = String::from_utf8_lossy(&challenge).into_owned();
    assert_eq!(text.matches("WWW-Authenticate: ").count(), 1, "{text}");
    assert!(text.contains("WWW-Authenticate: Negotiate T"), "{text}");
    assert!(!text.contains("Connection: close"), "{text}");
    assert!(
        session
            .handle_received(&challenge, &Nonces::default())
            .unwrap()
            .is_none()
    );
    let mut other = Scene::new();
    let refusal = other.refusal(&session.take_outgoing());
    assert_eq!(refusal.status, 401);
    let sent = other.sent_text();
    assert!(
        sent.contains("\r\nWWW-Authenticate: Negotiate\r\n"),
        "{sent}"
    );
    assert!(sent.contains("\r\nConnection: close\r\n"), "{sent}");
}

#[test]
fn where_only_certificates_count_there_is_no_scheme_to_name() {
    let mut scene = Scene::new();
    scene.rules.auth.anonymous = Vec::new();
    for request in [
        post(SOAP, b""),
        post(&format!("{SOAP}Authorization: Negotiate AAAA\r\n"), b""),
    ] {
        let refusal = scene.refusal(&request);
        assert_eq!(
            (refusal.kind, refusal.status),
            (RefusalKind::Authentication, 403)
        );
        let sent = scene.sent_text();
        assert!(sent.starts_with("HTTP/1.1 403 "), "{sent}");
        assert!(!sent.contains("WWW-Authenticate"), "{sent}");
    }
}
