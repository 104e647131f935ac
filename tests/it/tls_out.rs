//! TLS to receivers: real servers get every event once; with a wrong certificate at either
//! end, nothing is sent, and a remedy is logged once.

use std::io::Read;
use std::net::TcpListener;
use std::thread::JoinHandle;
use std::time::Duration;

use openssl::ssl::{SslAcceptor, SslFiletype, SslMethod, SslVerifyMode, SslVersion};

use crate::support::{
    Authority, KeyForm, LineEnds, Offer, Pair, Relay, Rsyslog, Source, SyslogNg, TempDir,
    numbered_event, run, wait_for,
};

const LOG: &str = "log.example.test";
const RELAY: &str = "relay.example.test";
const MACHINE: &str = "ws-07.example.test";

fn output(port: u16, authority: &Authority, settings: &str) -> String {
    let ca = authority.file();
    format!("tls://127.0.0.1:{port}?ca={ca}&name={LOG}{settings}")
}

fn with_certificate(own: &Pair) -> String {
    format!("&cert={}&key={}", own.certificate, own.key)
}

#[test]
fn rsyslog_gets_every_event_once_over_tls() {
    let authority = Authority::new("log authority");
    let rsyslog = Rsyslog::tls(&authority, &authority.issue(&[LOG]), RELAY);
    let own = with_certificate(&authority.issue(&[RELAY]));
    let output = output(rsyslog.port(), &authority, &own);
    rsyslog.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn syslog_ng_gets_every_event_once_over_tls() {
    let authority = Authority::new("log authority");
    let server = SyslogNg::tls(&authority, &authority.issue(&[LOG]));
    let own = with_certificate(&authority.issue(&[RELAY]));
    let output = output(server.port(), &authority, &own);
    server.check_samples(&["--output", &output], LineEnds::Kept);
}

#[test]
fn a_client_certificate_may_have_its_key_in_any_form() {
    let authority = Authority::new("log authority");
    let rsyslog = Rsyslog::tls(&authority, &authority.issue(&[LOG]), RELAY);
    for (form, begin) in [
        (KeyForm::Pkcs8, "BEGIN PRIVATE KEY"),
        (KeyForm::Sec1, "BEGIN EC PRIVATE KEY"),
        (KeyForm::Pkcs1, "BEGIN RSA PRIVATE KEY"),
    ] {
        let own = authority.issue_as(&[RELAY], form);
        let key = std::fs::read_to_string(&own.key).unwrap();
        assert!(key.contains(begin), "{form:?}");
        let output = output(rsyslog.port(), &authority, &with_certificate(&own));
        deliver_one(&["--output", &output]);
    }
    // Certificate and key in one file.
    let own = authority.issue_as(&[RELAY], KeyForm::Sec1);
    let both = std::fs::read_to_string(&own.certificate).unwrap()
        + &std::fs::read_to_string(&own.key).unwrap();
    std::fs::write(&own.certificate, both).unwrap();
    let settings = format!("&cert={}", own.certificate);
    deliver_one(&["--output", &output(rsyslog.port(), &authority, &settings)]);
    assert_eq!(rsyslog.wait_for(4).len(), 4);
}

#[test]
fn nothing_is_lost_when_rsyslog_with_tls_is_killed_in_mid_stream() {
    const BATCHES: usize = 60;
    const BATCH: usize = 10;
    let authority = Authority::new("log authority");
    let mut rsyslog = Rsyslog::tls(&authority, &authority.issue(&[LOG]), RELAY);
    let own = with_certificate(&authority.issue(&[RELAY]));
    let output = output(rsyslog.port(), &authority, &own);
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    for batch in 0..BATCHES {
        if batch % 20 == 10 {
            rsyslog.kill_and_restart();
        }
        let numbers = batch * BATCH..(batch + 1) * BATCH;
        deliver(&mut source, &offer, numbers);
    }
    wait_for("every acknowledged event", || {
        (rsyslog.sequences().len() == BATCHES * BATCH).then_some(())
    });
}

#[test]
fn a_receiver_of_another_authority_is_refused_and_named_once() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("theirs"));
    let receiver = Receiver::new(&stranger.issue(&[LOG]), None);
    let output = output(receiver.port, &authority, "");
    assert_refused(
        &receiver,
        &output,
        "name the authority's certificate with ?ca=",
    );
}

#[test]
fn a_receiver_of_no_system_authority_is_refused() {
    let receiver = Receiver::new(&Authority::new("theirs").issue(&["127.0.0.1"]), None);
    let output = format!("tls://127.0.0.1:{}", receiver.port);
    assert_refused(
        &receiver,
        &output,
        "name the authority's certificate with ?ca=",
    );
}

#[test]
fn a_receiver_of_another_name_is_refused_and_named_once() {
    let authority = Authority::new("ours");
    let receiver = Receiver::new(&authority.issue(&["other.example.test"]), None);
    let output = output(receiver.port, &authority, "");
    assert_refused(&receiver, &output, "is not for \"log.example.test\"");
}

#[test]
fn a_receiver_of_another_address_is_refused() {
    let authority = Authority::new("ours");
    let receiver = Receiver::new(&authority.issue(&["127.0.0.2"]), None);
    let output = format!("tls://127.0.0.1:{}?ca={}", receiver.port, authority.file());
    assert_refused(&receiver, &output, "is not for \"127.0.0.1\"");
}

#[test]
fn a_receiver_with_an_expired_certificate_is_refused() {
    let authority = Authority::new("ours");
    let receiver = Receiver::new(&authority.issue_expired(&[LOG]), None);
    let output = output(receiver.port, &authority, "");
    assert_refused(&receiver, &output, "certificate has expired");
}

#[test]
fn a_receiver_that_speaks_no_tls_is_refused() {
    let authority = Authority::new("ours");
    let rsyslog = Rsyslog::start();
    let dir = TempDir::new();
    let output = output(rsyslog.port(), &authority, "");
    let mut relay = Relay::start(&dir, &["--output", &output]);
    relay.process.wait_for_log("; trying again; hosts wait");
}

/// With TLS 1.3, the receiver rejects the relay after the relay has completed the handshake.
#[test]
fn nothing_is_acknowledged_while_the_receiver_refuses_our_certificate() {
    let (authority, stranger) = (Authority::new("ours"), Authority::new("strange"));
    for version in [SslVersion::TLS1_2, SslVersion::TLS1_3] {
        let own = authority.issue(&[LOG]);
        for settings in [String::new(), with_certificate(&stranger.issue(&[RELAY]))] {
            let receiver = Receiver::with_version(&own, Some(&authority), version);
            let output = output(receiver.port, &authority, &settings);
            let refusal = match (version, settings.is_empty()) {
                (SslVersion::TLS1_2, true) => "it may require a certificate",
                _ => "does not accept this relay's certificate",
            };
            assert_refused(&receiver, &output, refusal);
        }
    }
}

#[test]
fn the_stream_ends_with_a_close_notify() {
    let authority = Authority::new("ours");
    let receiver = Receiver::new(&authority.issue(&[LOG]), None);
    let output = output(receiver.port, &authority, "");
    deliver_one(&["--output", &output]);
    let stream = receiver.end();
    assert!(stream.ends_properly, "no close_notify");
    let text = String::from_utf8(stream.bytes).unwrap();
    let (length, message) = text.split_once(' ').unwrap();
    assert_eq!(message.len(), length.parse::<usize>().unwrap());
}

#[test]
fn files_that_cannot_be_used_end_it_at_the_start() {
    let authority = Authority::new("ours");
    let pair = authority.issue(&[RELAY]);
    let other = authority.issue(&[RELAY]);
    let locked = authority.issue_as(&[RELAY], KeyForm::Encrypted);
    let dir = TempDir::new();
    let empty = dir.file("empty.pem");
    std::fs::write(&empty, "").unwrap();
    let broken = dir.file("broken.pem");
    let begin = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    std::fs::write(&broken, begin).unwrap();
    let wrong = [
        (format!("ca={}", dir.file("absent")), "No such file"),
        (format!("ca={empty}"), "no certificate in PEM"),
        (format!("ca={broken}"), "a certificate in it is broken"),
        (
            format!("cert={}", authority.file()),
            "no private key in PEM",
        ),
        (
            format!("cert={}&key={empty}", pair.certificate),
            "no private key in PEM",
        ),
        (
            format!("cert={}&key={}", pair.certificate, other.key),
            "this is not the key of",
        ),
        (
            format!("cert={}&key={}", locked.certificate, locked.key),
            "has a password",
        ),
    ];
    for (settings, reason) in wrong {
        for scheme in ["tls", "relp+tls"] {
            let output = format!("{scheme}://127.0.0.1?{settings}");
            let state = dir.file("state");
            let arguments = ["--anonymous", "127.0.0.1/32", "--state", &state];
            let ended = run(&[&arguments[..], &["--output", &output]].concat());
            let text = String::from_utf8_lossy(&ended.stderr);
            assert_eq!(ended.status.code(), Some(2), "{text}");
            assert!(text.contains(reason), "{text}");
            assert!(text.contains("--output"), "{text}");
        }
    }
}

#[test]
fn a_reload_takes_new_certificates_and_keeps_the_old_ones_if_they_are_bad() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (dir, own) = (TempDir::new(), new.issue(&[LOG]));
    let ca = dir.file("ca.pem");
    std::fs::copy(old.file(), &ca).unwrap();
    let receiver = Receiver::new(&own, None);
    let output = format!("tls://127.0.0.1:{}?ca={ca}&name={LOG}", receiver.port);
    let mut relay = Relay::start(&dir, &["--output", &output]);
    relay.process.wait_for_log("no trusted authority");
    std::fs::write(&ca, "nonsense").unwrap();
    relay.process.signal(rustix::process::Signal::HUP);
    relay.process.wait_for_log("not reloaded");
    std::fs::copy(new.file(), &ca).unwrap();
    relay.process.signal(rustix::process::Signal::HUP);
    relay.process.wait_for_log("open again");
}

/// A receiver that reports how its first successful connection ended.
struct Receiver {
    port: u16,
    thread: JoinHandle<Stream>,
}

struct Stream {
    bytes: Vec<u8>,
    ends_properly: bool,
}

impl Receiver {
    fn new(own: &Pair, clients: Option<&Authority>) -> Self {
        Self::with_version(own, clients, SslVersion::TLS1_3)
    }

    /// Requires clients to have a certificate of this authority, if given.
    fn with_version(own: &Pair, clients: Option<&Authority>, version: SslVersion) -> Self {
        let mut tls = SslAcceptor::mozilla_intermediate_v5(SslMethod::tls()).unwrap();
        tls.set_certificate_chain_file(&own.certificate).unwrap();
        tls.set_private_key_file(&own.key, SslFiletype::PEM)
            .unwrap();
        tls.set_max_proto_version(Some(version)).unwrap();
        if let Some(authority) = clients {
            tls.set_ca_file(authority.file()).unwrap();
            let must = SslVerifyMode::PEER | SslVerifyMode::FAIL_IF_NO_PEER_CERT;
            tls.set_verify_callback(must, |is_good, _| {
                // It rejects with a delay, while the relay may already be writing.
                std::thread::sleep(Duration::from_millis(if is_good { 0 } else { 200 }));
                is_good
            });
        }
        let tls = tls.build();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            loop {
                let (stream, _) = listener.accept().unwrap();
                if let Ok(mut stream) = tls.accept(stream) {
                    let mut bytes = Vec::new();
                    let ends_properly = stream.read_to_end(&mut bytes).is_ok();
                    return Stream {
                        bytes,
                        ends_properly,
                    };
                }
            }
        });
        Self { port, thread }
    }

    fn end(self) -> Stream {
        self.thread.join().unwrap()
    }
}

/// The relay logs once why the receiver gets nothing, and acknowledges nothing.
#[track_caller]
fn assert_refused(receiver: &Receiver, output: &str, reason: &str) {
    let dir = TempDir::new();
    let mut relay = Relay::start(&dir, &["--output", output, "--allow-unencrypted"]);
    let (mut source, port) = (relay.source(MACHINE), relay.port());
    let offer = source.subscribe();
    let waiting = std::thread::spawn(move || source.deliver(&offer, &[numbered_event(1)], 1));
    relay.process.wait_for_log(reason);
    // Several attempts are made in this time.
    std::thread::sleep(Duration::from_millis(1500));
    assert!(!waiting.is_finished(), "acknowledged");
    let log = relay.process.log();
    assert_eq!(log.matches(reason).count(), 1, "{log}");
    assert_eq!(log.matches("trying again").count(), 1, "{log}");
    assert!(!receiver.thread.is_finished(), "let in at {port}");
    drop(relay);
    waiting.join().unwrap();
}

#[track_caller]
fn deliver_one(arguments: &[&str]) {
    let dir = TempDir::new();
    let arguments = [arguments, &["--allow-unencrypted"]].concat();
    let mut relay = Relay::start(&dir, &arguments);
    let mut source = relay.source(MACHINE);
    let offer = source.subscribe();
    deliver(&mut source, &offer, 0..1);
    assert!(relay.process.terminate().success());
}

/// As Windows does: sends the same batch until it is acknowledged.
fn deliver(source: &mut Source, offer: &Offer, numbers: std::ops::Range<usize>) {
    let events: Vec<String> = numbers.map(numbered_event).collect();
    wait_for("an Ack", || source.deliver(offer, &events, 1).then_some(()));
}
