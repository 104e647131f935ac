//! Kerberos with MIT's KDC and curl: only clients with a ticket for the relay can
//! authenticate; each rejection is logged in one line with a remedy.

use std::io::Write;
use std::net::TcpStream;

use wecrelay::protocol::kerberos::keytab::Keytab;

use crate::support::{Clock, Issued, Kdc, Relay, SERVICE, TempDir, Use, read_reply, run};

const ENUMERATE: &str = "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
    xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
    xmlns:n=\"http://schemas.xmlsoap.org/ws/2004/09/enumeration\"><s:Header>\
    <a:To>http://localhost:5985/wsman</a:To>\
    <a:Action>http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate</a:Action>\
    <a:MessageID>uuid:1</a:MessageID></s:Header><s:Body><n:Enumerate/></s:Body></s:Envelope>";
const AES: &str = "aes256-cts-hmac-sha1-96,aes128-cts-hmac-sha1-96";

/// The result of curl's `--negotiate`.
struct Attempt {
    status: u16,
    /// The `Authorization` header that it sent, if it had a ticket.
    authorization: Option<String>,
    /// Whether the last answer contained a token.
    mutual: bool,
}

/// One request by curl with the host's tickets.
fn curl(kdc: &Kdc, relay: &Relay) -> Attempt {
    curl_as(kdc, relay, "localhost")
}

fn curl_as(kdc: &Kdc, relay: &Relay, name: &str) -> Attempt {
    let (port, service) = (relay.port(), name);
    let output = kdc
        .client("curl")
        .args(["-sv4", "--max-time", "20", "--noproxy", "*"])
        .args(["--negotiate", "-u", ":", "-d", ""])
        .args(["--resolve", &format!("{service}:{port}:127.0.0.1")])
        .arg(format!(
            "http://{service}:{port}/wsman/SubscriptionManager/WEC"
        ))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let last = |start: &str| text.lines().rfind(|line| line.starts_with(start));
    let status = last("< HTTP/1.1 ").and_then(|line| line.get(11..14)?.parse().ok());
    let header = last("> Authorization: ");
    Attempt {
        status: status.unwrap_or_else(|| panic!("no answer: {text}")),
        authorization: header.map(|line| line.trim_start_matches("> ").to_owned()),
        mutual: last("< WWW-Authenticate: Negotiate ").is_some(),
    }
}

/// Requests the subscriptions with curl, which cannot seal; returns the status.
fn ask(kdc: &Kdc, url: &str, port: u16) -> u16 {
    let envelope = kdc.file("envelope.xml");
    std::fs::write(&envelope, ENUMERATE).unwrap();
    let output = kdc
        .client("curl")
        .args(["-sk4", "--max-time", "20", "--noproxy", "*"])
        .args(["--negotiate", "-u", ":"])
        .args(["--data-binary", &format!("@{envelope}")])
        .args(["-H", "Content-Type: application/soap+xml;charset=UTF-8"])
        .args(["--resolve", &format!("localhost:{port}:127.0.0.1")])
        .args(["-o", "/dev/null", "-w", "%{http_code}"])
        .arg(url)
        .output()
        .unwrap();
    String::from_utf8_lossy(&output.stdout).parse().unwrap()
}

fn ask_plain(kdc: &Kdc, relay: &Relay) -> u16 {
    let port = relay.port();
    let url = format!("http://localhost:{port}/wsman/SubscriptionManager/WEC");
    ask(kdc, &url, port)
}

#[test]
fn people_come_in_only_where_they_are_named() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    let mut relay = start(&kdc, &dir, &["--allow-unencrypted"]);
    assert_eq!(ask_plain(&kdc, &relay), 200, "{}", relay.process.log());
    kdc.log_on_as("alice");
    assert_eq!(ask_plain(&kdc, &relay), 403);
    let line = refusal(&mut relay, "no subscription is for it");
    assert!(line.contains("alice@EXAMPLE.TEST"), "{line}");
    assert!(line.contains("--principal"), "{line}");
    drop(relay);
    for flags in [["--principal", "ALICE@*"], ["--realm", "example.test"]] {
        let relay = start(&kdc, &dir, &[&["--allow-unencrypted"][..], &flags].concat());
        assert_eq!(ask_plain(&kdc, &relay), 200, "{}", relay.process.log());
    }
    let relay = start(
        &kdc,
        &dir,
        &[
            "--allow-unencrypted",
            "--principal",
            "bob@EXAMPLE.TEST",
            "--realm",
            "OTHER.TEST",
        ],
    );
    assert_eq!(ask_plain(&kdc, &relay), 403, "others are named");
}

/// Debian 12's curl sends no channel bindings, which is indistinguishable from an attacker who
/// relays a ticket.
#[test]
fn inside_tls_a_ticket_alone_is_not_enough() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    let root = Issued::root("Test Root");
    let certificate = root.issue("localhost", Use::Server, 100);
    let (own, key) = certificate.write(&dir, "collector");
    let keytab = kdc.keytab();
    let start = |more: &[&str]| {
        let base = ["--keytab", &keytab, "--tls-cert", &own, "--tls-key", &key];
        Relay::start_secure(&dir, &[&base[..], more].concat())
    };
    let ask = |relay: &Relay| {
        let port = relay.port();
        let url = format!("https://localhost:{port}/wsman/SubscriptionManager/WEC");
        ask(&kdc, &url, port)
    };
    let mut relay = start(&[]);
    // Not 403: a client that supports channel bindings sends them in a second attempt.
    assert_eq!(ask(&relay), 401, "{}", relay.process.log());
    let line = refusal(&mut relay, "inside TLS, with neither");
    assert!(line.contains("WIN10$@EXAMPLE.TEST by kerberos"), "{line}");
    assert!(line.contains("--channel-bindings none"), "{line}");
    drop(relay);
    let relay = start(&["--channel-bindings", "none"]);
    assert_eq!(ask(&relay), 200, "{}", relay.process.log());
}

#[test]
fn a_key_under_another_version_or_name_of_the_account_opens_tickets() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    // As created by ktutil's addent with a wrong -k.
    let mut keytab = Keytab::parse(&std::fs::read(kdc.keytab()).unwrap()).unwrap();
    for (version, principal) in [
        (9, SERVICE),
        (0, SERVICE),
        (258, SERVICE),
        (1, "host/localhost"),
    ] {
        for entry in &mut keytab.entries {
            entry.kvno = version;
            entry.principal = format!("{principal}@EXAMPLE.TEST");
        }
        std::fs::write(kdc.file("odd.keytab"), written(&keytab)).unwrap();
        let relay = Relay::start(&dir, &["--keytab", &kdc.file("odd.keytab")]);
        assert_eq!(
            curl(&kdc, &relay).status,
            200,
            "{version} {principal}: {}",
            relay.process.log()
        );
    }
}

/// The contents of a keytab file.
fn written(keytab: &Keytab) -> Vec<u8> {
    let text = |text: &str| {
        let size = u16::try_from(text.len()).unwrap().to_be_bytes();
        [&size, text.as_bytes()].concat()
    };
    let mut file = vec![5, 2];
    for entry in &keytab.entries {
        let (name, realm) = entry.principal.split_once('@').unwrap();
        let parts: Vec<_> = name.split('/').collect();
        let mut body = u16::try_from(parts.len()).unwrap().to_be_bytes().to_vec();
        body.extend(text(realm));
        parts.iter().for_each(|part| body.extend(text(part)));
        body.extend(1_u32.to_be_bytes());
        body.extend(0_u32.to_be_bytes());
        body.push(entry.kvno.to_be_bytes()[3]);
        body.extend(
            u16::try_from(entry.key.enctype().number())
                .unwrap()
                .to_be_bytes(),
        );
        let key = entry.key.as_bytes();
        body.extend(u16::try_from(key.len()).unwrap().to_be_bytes());
        body.extend(key);
        body.extend(entry.kvno.to_be_bytes());
        file.extend(u32::try_from(body.len()).unwrap().to_be_bytes());
        file.extend(body);
    }
    file
}

/// Sends a request with this header, as an eavesdropper could.
fn send_header(relay: &Relay, authorization: &str) -> crate::support::Reply {
    let mut stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    let request =
        format!("POST / HTTP/1.1\r\nHost: x\r\n{authorization}\r\nContent-Length: 0\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    read_reply(&mut stream).unwrap()
}

fn start(kdc: &Kdc, dir: &TempDir, more: &[&str]) -> Relay {
    let keytab = kdc.keytab();
    Relay::start(dir, &[&["--keytab", keytab.as_str()], more].concat())
}

/// A relay whose clock is ahead by this number of seconds.
fn start_ahead(seconds: i64, dir: &TempDir, arguments: &[&str]) -> Relay {
    let clock = Clock::new(dir);
    clock.set(seconds);
    Relay::start_by(&clock, dir, arguments)
}

/// Waits for the log line with the reason.
fn refusal(relay: &mut Relay, text: &str) -> String {
    relay.process.wait_for_log(text)
}

#[test]
fn a_ticket_lets_in_with_each_enctype() {
    for enctype in [
        "aes256-cts-hmac-sha1-96",
        "aes128-cts-hmac-sha1-96",
        "aes256-cts-hmac-sha384-192",
        "aes128-cts-hmac-sha256-128",
        "rc4-hmac",
    ] {
        let (kdc, dir) = (Kdc::start(enctype), TempDir::new());
        kdc.log_on("1h");
        let relay = start(&kdc, &dir, &["--kerberos-rc4"]);
        let attempt = curl(&kdc, &relay);
        assert_eq!(attempt.status, 200, "{enctype}: {}", relay.process.log());
        assert!(
            attempt.mutual,
            "{enctype}: the collector has not proven itself"
        );
    }
}

#[test]
fn without_a_ticket_nobody_gets_in() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    let relay = start(&kdc, &dir, &[]);
    let attempt = curl(&kdc, &relay);
    assert_eq!((attempt.status, attempt.authorization), (401, None));
}

#[test]
fn rc4_is_refused_without_its_flag() {
    let (kdc, dir) = (Kdc::start("rc4-hmac"), TempDir::new());
    kdc.log_on("1h");
    let mut relay = start(&kdc, &dir, &[]);
    assert_eq!(curl(&kdc, &relay).status, 401);
    let line = refusal(&mut relay, "RC4");
    assert!(line.contains("--kerberos-rc4"), "{line}");
}

#[test]
fn a_captured_token_does_not_let_in_again() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    let mut relay = start(&kdc, &dir, &[]);
    let attempt = curl(&kdc, &relay);
    assert_eq!(attempt.status, 200, "{}", relay.process.log());
    let captured = attempt.authorization.unwrap();
    let reply = send_header(&relay, &captured);
    assert_eq!(reply.status, 401, "{}", reply.head);
    let line = refusal(&mut relay, "was replayed");
    assert!(line.contains("WIN10$@EXAMPLE.TEST"), "{line}");
    assert_eq!(curl(&kdc, &relay).status, 200, "a fresh one does");
    // A reload must not clear the replay cache.
    relay.process.signal(rustix::process::Signal::HUP);
    relay.process.wait_for_log("reloaded");
    assert_eq!(send_header(&relay, &captured).status, 401);
}

#[test]
fn a_ticket_for_another_service_is_refused_with_both_names() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    // Its key is not in the relay's keytab.
    let only = kdc.file("only.keytab");
    kdc.export(SERVICE, "only.keytab");
    kdc.add_service("HTTP/other.localhost", AES);
    let mut relay = Relay::start(&dir, &["--keytab", &only]);
    assert_eq!(curl_as(&kdc, &relay, "other.localhost").status, 401);
    let line = refusal(&mut relay, "ticket is for");
    assert!(line.contains("HTTP/other.localhost@EXAMPLE.TEST"), "{line}");
    assert!(line.contains("HTTP/localhost@EXAMPLE.TEST"), "{line}");
    assert!(line.contains("setspn"), "{line}");
}

#[test]
fn several_keytabs_count_together() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    let first = kdc.file("first.keytab");
    kdc.export(SERVICE, "first.keytab");
    let second = kdc.file("second.keytab");
    kdc.add_service("HTTP/other.localhost", AES);
    kdc.export("HTTP/other.localhost", "second.keytab");
    let relay = Relay::start(&dir, &["--keytab", &first, "--keytab", &second]);
    assert_eq!(curl(&kdc, &relay).status, 200, "{}", relay.process.log());
    let other = curl_as(&kdc, &relay, "other.localhost");
    assert_eq!(other.status, 200, "{}", relay.process.log());
}

#[test]
fn a_clock_that_is_wrong_is_told_by_how_much() {
    let kdc = Kdc::start(AES);
    kdc.log_on("1h");
    let keytab = kdc.keytab();
    for (ahead, text) in [(900, "s behind"), (-900, "is not valid until")] {
        let dir = TempDir::new();
        let mut relay = start_ahead(ahead, &dir, &["--keytab", &keytab]);
        let attempt = curl(&kdc, &relay);
        assert_eq!(attempt.status, 401);
        assert!(
            attempt.mutual,
            "no KRB-ERROR for the host to correct its time by"
        );
        let line = refusal(&mut relay, text);
        assert!(line.contains("w32tm"), "{line}");
        let seconds: Vec<i64> = line
            .split_whitespace()
            .filter_map(|word| word.parse().ok())
            .collect();
        assert!(seconds.iter().any(|s| (840..=960).contains(s)), "{line}");
    }
}

#[test]
fn an_expired_ticket_is_refused() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("10m");
    let keytab = kdc.keytab();
    let mut relay = start_ahead(3600, &dir, &["--keytab", &keytab]);
    assert_eq!(curl(&kdc, &relay).status, 401);
    refusal(&mut relay, "ticket expired");
}

#[test]
fn a_small_difference_of_clocks_does_not_matter() {
    let kdc = Kdc::start(AES);
    kdc.log_on("1h");
    let keytab = kdc.keytab();
    for ahead in [240, -240] {
        let dir = TempDir::new();
        let relay = start_ahead(ahead, &dir, &["--keytab", &keytab]);
        let attempt = curl(&kdc, &relay);
        assert_eq!(attempt.status, 200, "{ahead}: {}", relay.process.log());
    }
}

#[test]
fn a_new_key_is_read_when_the_file_has_it() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    kdc.log_on("1h");
    let mut relay = start(&kdc, &dir, &[]);
    assert_eq!(curl(&kdc, &relay).status, 200, "{}", relay.process.log());
    // The domain has a new key that the file lacks: both versions are logged.
    kdc.renew(SERVICE);
    kdc.log_on("1h");
    assert_eq!(curl(&kdc, &relay).status, 401);
    let line = refusal(&mut relay, "key version (kvno)");
    assert!(line.contains("(kvno) 2, the keytab has 1"), "{line}");
    // With an invalid file, the previous keys stay in use.
    let good = std::fs::read(kdc.keytab()).unwrap();
    std::fs::write(kdc.keytab(), "not a keytab").unwrap();
    assert_eq!(curl(&kdc, &relay).status, 401);
    refusal(&mut relay, "the previous keys stay in use");
    std::fs::write(kdc.keytab(), good).unwrap();
    kdc.export(SERVICE, "collector.keytab");
    assert_eq!(curl(&kdc, &relay).status, 200, "{}", relay.process.log());
    relay.process.wait_for_log("keytab has changed");
}

#[test]
fn a_bad_keytab_ends_the_start_and_names_the_remedy() {
    let dir = TempDir::new();
    std::fs::write(dir.file("empty"), "").unwrap();
    std::fs::write(dir.file("text"), "HTTP/localhost").unwrap();
    std::fs::write(dir.file("no-key"), b"\x05\x02").unwrap();
    for (name, text) in [
        ("absent", "ktpass"),
        ("empty", "keytab"),
        ("text", "keytab"),
        ("no-key", "no usable key"),
    ] {
        let output = run(&["--keytab", &dir.file(name)]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{name}: {error}");
        assert!(
            error.contains("--keytab") && error.contains(text),
            "{error}"
        );
        assert!(error.contains(&dir.file(name)), "{error}");
    }
}

#[test]
fn kerberos_is_offered_first() {
    let (kdc, dir) = (Kdc::start(AES), TempDir::new());
    let relay = start(&kdc, &dir, &[]);
    let reply = send_header(&relay, "X: y");
    let offers: Vec<_> = reply
        .head
        .lines()
        .filter_map(|line| line.strip_prefix("WWW-Authenticate: "))
        .collect();
    assert_eq!((reply.status, offers), (401, vec!["Kerberos", "Negotiate"]));
}
