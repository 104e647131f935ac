//! TLS sessions that a host resumes, with `openssl s_client`: when a session is accepted, and
//! when it is no longer accepted.

use std::io::{Read, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::Signal;

use crate::support::{Clock, Issued, Relay, TempDir, Use, wait_for};

const COLLECTOR: &str = "collector.example.com";
const VERSIONS: [&str; 2] = ["-tls1_2", "-tls1_3"];
const DAY: i64 = 86_400;

/// An authority, the collector's certificate, and a host's.
struct Site {
    dir: TempDir,
    root: Issued,
    arguments: Vec<String>,
    host: Host,
}

/// A host's certificate and key, as files.
struct Host(String, String);

/// The result of a connection.
struct Seen {
    resumed: bool,
    answer: String,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new();
        let root = Issued::root("Test Root");
        let (certificate, key) = root.issue(COLLECTOR, Use::Server, 100).write(&dir, "own");
        let (authority, _) = root.write(&dir, "root");
        let arguments = ["--tls-cert", &certificate, "--tls-key", &key];
        let arguments = [&arguments[..], &["--client-ca", &authority]].concat();
        let arguments = arguments.into_iter().map(str::to_owned).collect();
        let mut site = Self {
            host: Host(String::new(), String::new()),
            arguments,
            dir,
            root,
        };
        site.host = site.issue("ws1.example.com", 100);
        site
    }

    fn issue(&self, name: &str, days: i64) -> Host {
        let issued = self.root.issue(name, Use::Client, days);
        let (certificate, key) = issued.write(&self.dir, name);
        Host(certificate, key)
    }

    fn with<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = self.arguments.iter().map(String::as_str);
        own.chain(more.iter().copied()).collect()
    }

    fn start(&self, more: &[&str]) -> Relay {
        Relay::start_secure(&self.dir, &self.with(more))
    }

    /// The authority's revocation list, with this certificate, if any.
    fn list(&self, revoked: Option<&Host>) -> String {
        let read =
            |host: &Host| openssl::x509::X509::from_pem(&std::fs::read(&host.0).unwrap()).unwrap();
        let revoked = revoked.map(read);
        self.root.list(&self.dir, "crl", revoked.as_ref(), "", &[])
    }

    /// Connects with a host's certificate, offers the session in this file, if it exists, and
    /// stores the latest session there.
    fn visit(&self, relay: &Relay, version: &str, host: &Host, session: &str) -> Seen {
        self.visit_as(relay.secure_port(), COLLECTOR, version, host, session)
    }

    fn visit_as(&self, port: u16, name: &str, version: &str, host: &Host, session: &str) -> Seen {
        let session = self.dir.file(session);
        let mut command = Command::new("openssl");
        command
            .args(["s_client", "-nocommands", "-ign_eof", version])
            .args([
                "-connect",
                &format!("127.0.0.1:{port}"),
                "-servername",
                name,
            ])
            .args(["-cert", &host.0, "-key", &host.1, "-sess_out", &session])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        if Path::new(&session).exists() {
            command.args(["-sess_in", &session]);
        }
        let spawned = command.spawn();
        let mut client =
            spawned.unwrap_or_else(|error| panic!("openssl: {error}; scripts/peers installs it"));
        let mut input = client.stdin.take().unwrap();
        // The connection may have been rejected before.
        let _ = input.write_all(&enumerate());
        let answer = read_answer(client.stdout.take().unwrap());
        // Hosts also disconnect without a TLS close.
        client.kill().unwrap();
        client.wait().unwrap();
        Seen {
            resumed: answer.contains("Reused, TLS"),
            answer,
        }
    }
}

impl Seen {
    /// The host was accepted by its certificate, with a new or a resumed session.
    #[track_caller]
    fn is_let_in(&self, resumed: bool) {
        assert!(self.answer.contains("HTTP/1.1 200"), "{}", self.answer);
        assert!(
            self.answer.contains("secprofile/https/mutual"),
            "{}",
            self.answer
        );
        assert_eq!(self.resumed, resumed, "{}", self.answer);
    }

    #[track_caller]
    fn is_refused(&self, relay: &Relay, words: &[&str]) {
        assert!(!self.answer.contains("HTTP/1.1"), "{}", self.answer);
        wait_for(&format!("{words:?} in the log"), || {
            let log = relay.process.log();
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
                .then_some(())
        });
    }
}

/// Reads to the end of an envelope, or of the connection.
fn read_answer(mut from: impl Read) -> String {
    let (mut answer, mut chunk) = (String::new(), [0; 4096]);
    while !answer.contains("</s:Envelope>") {
        let count = from.read(&mut chunk).unwrap();
        if count == 0 {
            break;
        }
        let ascii = chunk[..count].iter().filter(|byte| **byte != 0);
        answer.extend(ascii.copied().map(char::from));
    }
    answer
}

/// A complete request for the subscriptions.
fn enumerate() -> Vec<u8> {
    let soap = "http://www.w3.org/2003/05/soap-envelope";
    let addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
    let enumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
    let text = format!(
        "<s:Envelope xmlns:s=\"{soap}\" xmlns:a=\"{addressing}\" xmlns:n=\"{enumeration}\"><s:Header>\
         <a:To>https://{COLLECTOR}:5986/wsman</a:To><a:Action>{enumeration}/Enumerate</a:Action>\
         <a:MessageID>uuid:1</a:MessageID></s:Header><s:Body><n:Enumerate/></s:Body></s:Envelope>"
    );
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    let body: Vec<u8> = units.flat_map(u16::to_le_bytes).collect();
    let head = format!(
        "POST /wsman HTTP/1.1\r\nHost: {COLLECTOR}:5986\r\nContent-Type: \
         application/soap+xml;charset=UTF-16\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    [head.as_bytes(), &body].concat()
}

fn reload(relay: &Relay) {
    let count = || relay.process.log().matches("info: reloaded").count();
    let before = count();
    relay.process.signal(Signal::HUP);
    wait_for("the reload", || (count() > before).then_some(()));
}

#[test]
fn a_host_takes_up_its_session_again_and_again() {
    let site = Site::new();
    let relay = site.start(&["--crl", &site.list(None)]);
    for version in VERSIONS {
        site.visit(&relay, version, &site.host, version)
            .is_let_in(false);
        for _ in 0..3 {
            site.visit(&relay, version, &site.host, version)
                .is_let_in(true);
        }
    }
}

#[test]
fn the_flag_turns_sessions_off() {
    let site = Site::new();
    let relay = site.start(&["--no-tls-resume"]);
    for version in VERSIONS {
        for _ in 0..2 {
            site.visit(&relay, version, &site.host, version)
                .is_let_in(false);
        }
    }
}

#[test]
fn a_reload_ends_all_sessions_and_a_revoked_host_stays_out() {
    let site = Site::new();
    let list = site.list(None);
    let relay = site.start(&["--crl", &list]);
    let lost = site.issue("lost.example.com", 100);
    for version in VERSIONS {
        let name = format!("lost{version}");
        for host in [(&site.host, version), (&lost, &*name)] {
            site.visit(&relay, version, host.0, host.1).is_let_in(false);
            site.visit(&relay, version, host.0, host.1).is_let_in(true);
        }
    }
    site.list(Some(&lost));
    reload(&relay);
    for version in VERSIONS {
        let name = format!("lost{version}");
        let seen = site.visit(&relay, version, &lost, &name);
        assert!(!seen.resumed, "{}", seen.answer);
        seen.is_refused(&relay, &["CN=lost.example.com", "certificate revoked"]);
        site.visit(&relay, version, &site.host, version)
            .is_let_in(false);
        site.visit(&relay, version, &site.host, version)
            .is_let_in(true);
    }
}

#[test]
fn a_session_of_another_relay_is_worth_nothing() {
    let site = Site::new();
    let other = TempDir::new();
    let other = Relay::start_secure(&other, &site.with(&[]));
    let relay = site.start(&[]);
    for version in VERSIONS {
        site.visit(&other, version, &site.host, version)
            .is_let_in(false);
        site.visit(&other, version, &site.host, version)
            .is_let_in(true);
        site.visit(&relay, version, &site.host, version)
            .is_let_in(false);
    }
}

/// All https listeners of a relay have the same settings, so a session can be resumed on any of
/// them, with the certificate of each name.
#[test]
fn a_session_goes_on_with_the_certificate_of_its_name() {
    let site = Site::new();
    let other = site.root.issue("other.example.com", Use::Server, 100);
    let (certificate, key) = other.write(&site.dir, "other");
    let mut relay = site.start(&[
        "--listen",
        "https://127.0.0.1:0",
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
    ]);
    let second = wait_for("the second listener", || {
        let log = relay.process.log();
        let ports = log.lines().filter_map(|line| {
            let (_, port) = line.split_once("listening on https://127.0.0.1:")?;
            port.trim().parse::<u16>().ok()
        });
        ports.into_iter().find(|port| *port != relay.secure_port())
    });
    for version in VERSIONS {
        let name = "other.example.com";
        let first = relay.secure_port();
        let visit = |port| site.visit_as(port, name, version, &site.host, version);
        visit(first).is_let_in(false);
        visit(first).is_let_in(true);
        visit(second).is_let_in(true);
    }
    relay.process.terminate();
}

/// Sets the clock to `seconds` from the end of a period of `days` days.
fn near_the_end(clock: &Clock, days: i64, seconds: i64) {
    clock.set(days * DAY + seconds);
    // Processes see it within a second.
    std::thread::sleep(std::time::Duration::from_secs(2));
}

fn start_by(site: &Site, clock: &Clock, more: &[&str]) -> Relay {
    Relay::start_secure_by(clock, &site.dir, &site.with(more))
}

#[test]
fn a_session_ends_with_its_certificate() {
    let site = Site::new();
    let clock = Clock::new(&site.dir);
    near_the_end(&clock, 9, -120);
    let relay = start_by(&site, &clock, &[]);
    let short = site.issue("short.example.com", 9);
    for version in VERSIONS {
        site.visit(&relay, version, &short, version)
            .is_let_in(false);
        site.visit(&relay, version, &short, version).is_let_in(true);
    }
    near_the_end(&clock, 9, 120);
    for version in VERSIONS {
        let seen = site.visit(&relay, version, &short, version);
        seen.is_refused(&relay, &["CN=short.example.com", "certificate has expired"]);
    }
}

#[test]
fn sessions_end_with_a_list_that_expires() {
    let site = Site::new();
    let clock = Clock::new(&site.dir);
    // The lists of these tests are for 30 days.
    near_the_end(&clock, 30, -120);
    let relay = start_by(&site, &clock, &["--crl", &site.list(None)]);
    for version in VERSIONS {
        site.visit(&relay, version, &site.host, version)
            .is_let_in(false);
        site.visit(&relay, version, &site.host, version)
            .is_let_in(true);
    }
    near_the_end(&clock, 30, 120);
    for version in VERSIONS {
        let seen = site.visit(&relay, version, &site.host, version);
        assert!(!seen.resumed, "{}", seen.answer);
        seen.is_refused(&relay, &["the list of CN=Test Root expired"]);
    }
}

#[test]
fn sessions_last_half_a_day_at_most() {
    let site = Site::new();
    let clock = Clock::new(&site.dir);
    let relay = start_by(&site, &clock, &[]);
    for version in VERSIONS {
        site.visit(&relay, version, &site.host, version)
            .is_let_in(false);
        // Resumed every 100 minutes, a session is accepted up to its maximum lifetime.
        let mut lives = 0;
        for visit in 1..9 {
            clock.set(visit * 6_000);
            std::thread::sleep(std::time::Duration::from_secs(2));
            let seen = site.visit(&relay, version, &site.host, version);
            seen.is_let_in(seen.resumed);
            if !seen.resumed {
                break;
            }
            lives += 1;
        }
        assert!(lives < 8, "{version}: taken up after 13 hours");
        clock.set(0);
        std::thread::sleep(std::time::Duration::from_secs(2));
    }
}
