//! Hosts that send a password with each request, simulated with the real curl and openssl
//! (`scripts/peers` installs them).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};

use wecrelay::auth::Algorithm;
use wecrelay::files::accounts;

use crate::support::{Issued, PATIENCE, Process, Relay, Reply, TempDir, Use, read_reply, run};

const COLLECTOR: &str = "collector.example.com";
const REALM: &str = "Event collector";
const NAME: &str = r"ACME\jörg";
const PASSWORD: &str = "Correct-Horse-7 ü:\"";

/// A collector's certificate, and accounts.
struct Site {
    dir: TempDir,
    authority: String,
    certificate: String,
    key: String,
    users: String,
}

impl Site {
    /// With an account line for NTLM and Basic, and one for Digest with these algorithms.
    fn new(algorithms: &[Algorithm]) -> Self {
        let dir = TempDir::new();
        let root = Issued::root("Test Root");
        let (certificate, key) = root
            .issue(COLLECTOR, Use::Server, 100)
            .write(&dir, "collector");
        let (authority, _) = root.write(&dir, "root");
        let account: accounts::Account = NAME.parse().unwrap();
        let mut lines = accounts::line(&account, PASSWORD).to_string();
        let digest = accounts::digest_line(&account, REALM, PASSWORD).unwrap();
        lines.push('\n');
        for (index, field) in digest.split(':').enumerate() {
            let is_wanted = |algorithm: &Algorithm| field.starts_with(algorithm.as_str());
            if index < 2 || algorithms.iter().any(is_wanted) {
                lines.push_str(if index == 0 { "" } else { ":" });
                lines.push_str(field);
            }
        }
        let users = dir.file("users");
        std::fs::write(&users, lines).unwrap();
        Self {
            dir,
            authority,
            certificate,
            key,
            users,
        }
    }

    /// Adds an account whose name every program supports.
    fn add_account(&self, password: &str) {
        let account: accounts::Account = r"ACME\curl".parse().unwrap();
        let mut lines = std::fs::read_to_string(&self.users).unwrap();
        lines.push('\n');
        lines.push_str(&accounts::line(&account, password));
        std::fs::write(&self.users, lines).unwrap();
    }

    fn secure(&self, arguments: &[&str]) -> Relay {
        let own = ["--tls-cert", &self.certificate, "--tls-key", &self.key];
        Relay::start_secure(
            &self.dir,
            &[&own[..], &["--users", &self.users], arguments].concat(),
        )
    }

    fn plain(&self, arguments: &[&str]) -> Relay {
        Relay::start(&self.dir, &[&["--users", &self.users], arguments].concat())
    }

    fn either(&self, is_secure: bool, arguments: &[&str]) -> (Relay, String) {
        if is_secure {
            let relay = self.secure(arguments);
            let url = secure_url(&relay);
            (relay, url)
        } else {
            let relay = self.plain(arguments);
            let url = plain_url(&relay);
            (relay, url)
        }
    }

    /// Requests the subscriptions with curl.
    fn curl(&self, url: &str, arguments: &[&str]) -> Asked {
        let output = self.command(url, arguments).output();
        Asked::new(
            &output.unwrap_or_else(|error| panic!("curl: {error}; scripts/peers installs it")),
        )
    }

    fn command(&self, url: &str, arguments: &[&str]) -> Command {
        let file = self.dir.file("envelope.xml");
        std::fs::write(&file, envelope()).unwrap();
        let port = url.rsplit(':').next().unwrap().split('/').next().unwrap();
        let mut command = Command::new("curl");
        command
            .args([
                "--silent",
                "--show-error",
                "--verbose",
                "--max-time",
                "30",
                "--noproxy",
                "*",
            ])
            .args(["--resolve", &format!("{COLLECTOR}:{port}:127.0.0.1")])
            .args(["--cacert", &self.authority])
            .args([
                "--header",
                "Content-Type: application/soap+xml;charset=UTF-8",
            ])
            .args(["--data-binary", &format!("@{file}")])
            .args(["--write-out", "\nstatus %{http_code}"])
            .args(arguments)
            .arg(url)
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

/// The result of a request by curl.
#[derive(Debug)]
struct Asked {
    /// Status of the last answer.
    status: u16,
    body: String,
    /// Headers in both directions.
    trace: String,
}

impl Asked {
    fn new(output: &std::process::Output) -> Self {
        let trace = String::from_utf8_lossy(&output.stderr).into_owned();
        let body = String::from_utf8_lossy(&output.stdout).into_owned();
        let (_, status) = body
            .rsplit_once("status ")
            .unwrap_or_else(|| panic!("{trace}"));
        Self {
            status: status.trim().parse().unwrap(),
            body,
            trace,
        }
    }

    /// The methods offered in answers with status 401.
    fn offers(&self) -> Vec<&str> {
        let lines = self.trace.lines();
        lines
            .filter_map(|line| line.strip_prefix("< WWW-Authenticate: "))
            .collect()
    }
}

fn envelope() -> String {
    let soap = "http://www.w3.org/2003/05/soap-envelope";
    let addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
    let enumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
    format!(
        "<s:Envelope xmlns:s=\"{soap}\" xmlns:a=\"{addressing}\" xmlns:n=\"{enumeration}\"><s:Header>\
         <a:To>https://{COLLECTOR}:5986/wsman</a:To><a:Action>{enumeration}/Enumerate</a:Action>\
         <a:MessageID>uuid:1</a:MessageID></s:Header><s:Body><n:Enumerate/></s:Body></s:Envelope>"
    )
}

fn secure_url(relay: &Relay) -> String {
    format!("https://{COLLECTOR}:{}/wsman", relay.port())
}

fn plain_url(relay: &Relay) -> String {
    format!("http://127.0.0.1:{}/wsman", relay.port())
}

fn user(password: &str) -> String {
    format!("{NAME}:{password}")
}

/// With this profile, the correct password gets the subscriptions, and others get nothing.
#[track_caller]
fn is_let_in_by_password(site: &Site, relay: &mut Relay, url: &str, method: &str, profile: &str) {
    let right = site.curl(url, &[method, "--user", &user(PASSWORD)]);
    assert_eq!(right.status, 200, "{right:?}\n{}", relay.process.log());
    assert!(
        right.body.contains(&format!("secprofile/{profile}\"")),
        "{}",
        right.body
    );
    let wrong = site.curl(url, &[method, "--user", &user("wrong")]);
    assert_eq!(
        (wrong.status, wrong.body.contains("secprofile")),
        (401, false)
    );
    let line = relay.process.wait_for_log("refused with 401");
    assert!(
        line.contains("wrong password") && line.contains(NAME),
        "{line}"
    );
    assert!(line.contains("wecrelay passwd"), "{line}");
    assert!(
        !relay.process.log().contains("Horse"),
        "{}",
        relay.process.log()
    );
}

#[test]
fn curl_comes_with_basic_inside_tls() {
    let site = Site::new(&Algorithm::ALL);
    let mut relay = site.secure(&["--basic"]);
    let url = secure_url(&relay);
    is_let_in_by_password(&site, &mut relay, &url, "--basic", "https/basic");
}

#[test]
fn curl_comes_with_digest_by_either_algorithm() {
    for (algorithm, name) in [(Algorithm::Sha256, "SHA-256"), (Algorithm::Md5, "MD5")] {
        let site = Site::new(&[algorithm]);
        let mut relay = site.secure(&["--digest"]);
        let url = secure_url(&relay);
        is_let_in_by_password(&site, &mut relay, &url, "--digest", "https/digest");
        let asked = site.curl(&url, &["--digest", "--user", &user(PASSWORD)]);
        let word = format!("algorithm={name}");
        assert!(
            asked.trace.contains("> Authorization: Digest "),
            "{}",
            asked.trace
        );
        let offers = asked.offers();
        let digests = offers.iter().filter(|offer| offer.starts_with("Digest"));
        assert!(
            digests.clone().all(|offer| offer.contains(&word)),
            "{offers:?}"
        );
        assert_eq!(digests.count(), 1);
    }
}

#[test]
fn on_plain_http_it_takes_the_flag() {
    let site = Site::new(&Algorithm::ALL);
    let mut relay = site.plain(&["--basic", "--digest", "--allow-password-without-tls"]);
    let url = plain_url(&relay);
    is_let_in_by_password(&site, &mut relay, &url, "--basic", "http/basic");
    let asked = site.curl(&url, &["--digest", "--user", &user(PASSWORD)]);
    assert_eq!(asked.status, 200, "{asked:?}");
    assert!(
        asked.body.contains("secprofile/http/digest\""),
        "{}",
        asked.body
    );
    assert!(asked.trace.contains("algorithm=SHA-256"), "{}", asked.trace);
}

#[test]
fn without_the_flags_nothing_is_offered_nor_taken() {
    let site = Site::new(&Algorithm::ALL);
    for is_secure in [false, true] {
        let (mut relay, url) = site.either(is_secure, &[]);
        for method in ["--basic", "--digest"] {
            let asked = site.curl(&url, &[method, "--user", &user(PASSWORD)]);
            assert_eq!(asked.status, 401, "{asked:?}");
            assert!(
                asked.offers().iter().all(|offer| *offer == "Negotiate"),
                "{asked:?}"
            );
        }
        let line = relay.process.wait_for_log("scheme \"Basic\"");
        assert!(line.contains("--basic"), "{line}");
    }
}

#[test]
fn a_password_in_clear_is_refused_beside_an_https_listener() {
    let site = Site::new(&Algorithm::ALL);
    let mut relay = site.secure(&["--basic", "--listen", "http://127.0.0.1:0"]);
    let line = relay.process.wait_for_log("listening on http://");
    let url = format!(
        "http://127.0.0.1:{}/wsman",
        line.rsplit(':').next().unwrap()
    );
    let asked = site.curl(&url, &["--basic", "--user", &user(PASSWORD)]);
    assert_eq!((asked.status, asked.offers()), (401, vec!["Negotiate"]));
    let line = relay.process.wait_for_log("basic without TLS");
    assert!(line.contains("change that password"), "{line}");
}

#[test]
fn the_methods_are_offered_in_order() {
    let site = Site::new(&Algorithm::ALL);
    let relay = site.secure(&["--basic", "--digest"]);
    let asked = site.curl(&secure_url(&relay), &[]);
    let words: Vec<_> = asked
        .offers()
        .iter()
        .map(|offer| offer.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        (asked.status, words),
        (401, vec!["Negotiate", "Basic", "Digest", "Digest"])
    );
}

/// curl's NTLM supports neither sealing, so it needs TLS, nor names outside ASCII. Debian 12's
/// curl sends neither channel bindings nor a MIC, which is indistinguishable from an attacker
/// who relays a host's three messages.
#[test]
fn curl_with_ntlm_inside_tls_is_refused_unless_bindings_are_not_asked_for() {
    let site = Site::new(&Algorithm::ALL);
    site.add_account("Simple-Horse-7");
    let ask = |relay: &Relay, password| {
        let user = format!(r"ACME\curl:{password}");
        site.curl(&secure_url(relay), &["--ntlm", "--user", &user])
    };
    let mut relay = site.secure(&[]);
    let asked = ask(&relay, "Simple-Horse-7");
    assert_eq!(asked.status, 401, "{asked:?}");
    assert!(!asked.body.contains("EnumerateResponse"), "{}", asked.body);
    let line = relay.process.wait_for_log("inside TLS, with");
    assert!(line.contains(r"ACME\curl by ntlm"), "{line}");
    assert!(line.contains("--channel-bindings none"), "{line}");
    drop(relay);
    let mut relay = site.secure(&["--channel-bindings", "none"]);
    let right = ask(&relay, "Simple-Horse-7");
    assert_eq!(right.status, 200, "{right:?}\n{}", relay.process.log());
    assert!(right.trace.contains("> Authorization: NTLM "), "{right:?}");
    assert!(right.body.contains("EnumerateResponse"), "{}", right.body);
    let wrong = ask(&relay, "wrong");
    assert_eq!(wrong.status, 401, "{wrong:?}");
    let refused = relay.process.wait_for_log("refused with 401");
    assert!(
        refused.contains("wrong password") && refused.contains(r"ACME\curl"),
        "{refused}"
    );
}

#[test]
fn ntlm_of_curl_without_tls_is_refused_saying_what_it_lacks() {
    let site = Site::new(&Algorithm::ALL);
    let mut relay = site.plain(&["--allow-unencrypted"]);
    for password in [PASSWORD, "wrong"] {
        let asked = site.curl(&plain_url(&relay), &["--ntlm", "--user", &user(password)]);
        assert_eq!(asked.status, 401, "{asked:?}");
        assert!(
            asked.trace.contains("> Authorization: NTLM "),
            "{}",
            asked.trace
        );
    }
    relay.process.wait_for_log("NTLMSSP_NEGOTIATE_UNICODE");
}

#[test]
fn a_nonce_from_before_a_reload_is_stale_and_curl_takes_the_new_one() {
    let site = Site::new(&Algorithm::ALL);
    let mut relay = site.secure(&["--digest"]);
    let url = secure_url(&relay);
    // The response is in the head, and checked after the slow body, which leaves time for the reload.
    let arguments = ["--digest", "--user", &user(PASSWORD), "--limit-rate", "30k"];
    let command = site.command(&url, &arguments);
    let body = format!("{}{}", envelope(), " ".repeat(120_000));
    let slow = site.dir.file("envelope.xml");
    std::fs::write(&slow, body).unwrap();
    let mut curl = Process::start(command);
    curl.wait_for_log("> Authorization: Digest");
    relay.process.signal(rustix::process::Signal::HUP);
    relay.process.wait_for_log("info: reloaded");
    assert!(curl.wait().success(), "{}", curl.log());
    let trace = curl.log();
    assert!(trace.contains("stale=true"), "{trace}");
    let statuses: Vec<_> = trace
        .lines()
        .filter_map(|line| line.strip_prefix("< HTTP/1.1 "))
        .collect();
    assert_eq!(
        statuses,
        ["401 Unauthorized", "401 Unauthorized", "200 OK"],
        "{trace}"
    );
    assert!(
        !relay.process.log().contains("refused"),
        "{}",
        relay.process.log()
    );
}

#[test]
fn an_answer_of_digest_is_taken_once() {
    let site = Site::new(&Algorithm::ALL);
    let relay = site.plain(&["--digest", "--allow-password-without-tls"]);
    let asked = site.curl(&plain_url(&relay), &["--digest", "--user", &user(PASSWORD)]);
    let recorded = asked
        .trace
        .lines()
        .find_map(|line| line.strip_prefix("> Authorization: "));
    let again = request(&relay, Some(recorded.unwrap()));
    assert_eq!(again.status, 401);
    let challenge = again.header("WWW-Authenticate").unwrap();
    assert!(challenge.contains("stale=true"), "{challenge}");
}

/// Basic authenticates one request: the next one on the connection must contain it, too.
#[test]
fn each_request_needs_the_password() {
    let site = Site::new(&Algorithm::ALL);
    let relay = site.plain(&["--basic", "--allow-password-without-tls"]);
    let asked = site.curl(&plain_url(&relay), &["--basic", "--user", &user(PASSWORD)]);
    let header = asked
        .trace
        .lines()
        .find_map(|line| line.strip_prefix("> Authorization: "));
    let mut stream = connect(&relay);
    for (authorization, status) in [(header, 200), (header, 200), (None, 401), (header, 200)] {
        assert_eq!(exchange(&mut stream, authorization).status, status);
    }
}

#[test]
fn an_address_that_fails_too_often_has_to_wait() {
    let site = Site::new(&Algorithm::ALL);
    let relay = site.secure(&["--basic"]);
    let url = secure_url(&relay);
    let statuses: Vec<_> = (0..11)
        .map(|_| {
            site.curl(&url, &["--basic", "--user", &user("wrong")])
                .status
        })
        .collect();
    assert_eq!(
        (statuses[0], statuses[9], statuses[10]),
        (401, 401, 429),
        "{statuses:?}"
    );
    let right = site.curl(&url, &["--basic", "--user", &user(PASSWORD)]);
    assert_eq!(right.status, 429, "none is tried for a minute");
}

#[test]
fn openssl_sees_the_offer_inside_each_version_of_tls() {
    let site = Site::new(&Algorithm::ALL);
    let relay = site.secure(&["--basic"]);
    for version in ["-tls1_2", "-tls1_3"] {
        let mut client = Command::new("openssl")
            .args(["s_client", "-quiet", "-verify_return_error", version])
            .args(["-CAfile", &site.authority, "-servername", COLLECTOR])
            .args(["-verify_hostname", COLLECTOR])
            .args(["-connect", &format!("127.0.0.1:{}", relay.port())])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("openssl: {error}; scripts/peers installs it"));
        let mut input = client.stdin.take().unwrap();
        input
            .write_all(b"POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
            .unwrap();
        let mut answer = String::new();
        client
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut answer)
            .unwrap();
        drop(input);
        client.wait().unwrap();
        assert!(answer.starts_with("HTTP/1.1 401 "), "{version}: {answer}");
        let basic = "WWW-Authenticate: Basic realm=\"Event collector\", charset=\"UTF-8\"";
        assert!(answer.contains(basic), "{answer}");
    }
}

#[test]
fn flags_that_do_not_fit_end_it_before_it_listens() {
    let site = Site::new(&[Algorithm::Md5]);
    let only_ntlm = site.dir.file("only-ntlm");
    let line = accounts::line(&"a".parse().unwrap(), "secret");
    std::fs::write(&only_ntlm, line.as_bytes()).unwrap();
    let http = ["--listen", "http://127.0.0.1:0", "--anonymous", "127.0.0.1"];
    let cases: [(&[&str], &str); 5] = [
        (&["--basic"], "--users"),
        (
            &["--basic", "--users", &site.users],
            "--basic: no listener offers it",
        ),
        (
            &["--digest", "--users", &site.users],
            "--digest: no listener offers it",
        ),
        (
            &["--allow-password-without-tls"],
            "requires --basic or --digest",
        ),
        (
            &[
                "--digest",
                "--allow-password-without-tls",
                "--users",
                &only_ntlm,
            ],
            "passwd --digest REALM",
        ),
    ];
    for (arguments, expected) in cases {
        let output = run(&[&http[..], arguments].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(expected) && !said.contains("listening"),
            "{said}"
        );
    }
}

fn connect(relay: &Relay) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", relay.port())).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream
}

fn request(relay: &Relay, authorization: Option<&str>) -> Reply {
    exchange(&mut connect(relay), authorization)
}

fn exchange(stream: &mut TcpStream, authorization: Option<&str>) -> Reply {
    let header = authorization.map(|value| format!("Authorization: {value}\r\n"));
    let body = envelope();
    let request = format!(
        "POST /wsman HTTP/1.1\r\nHost: x\r\nContent-Type: application/soap+xml;charset=UTF-8\r\n{}\
         Content-Length: {}\r\n\r\n{body}",
        header.unwrap_or_default(),
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    read_reply(stream).unwrap()
}
