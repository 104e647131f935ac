//! Hosts that connect over HTTPS: which certificates are accepted, which are rejected, and how
//! rejections are logged.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use openssl::ssl::{SslConnector, SslMethod, SslVerifyMode, SslVersion};

use crate::support::{
    Haproxy, Issued, Relay, Reply, Source, TempDir, Use, connect_from, lines_of, numbered_event,
    read_reply, run, wait_for,
};

const COLLECTOR: &str = "collector.example.com";

/// An authority with a collector's certificate, and a relay that trusts it.
struct Site {
    dir: TempDir,
    root: Issued,
    certificate: String,
    key: String,
    authority: String,
}

impl Site {
    fn new() -> Self {
        let dir = TempDir::new();
        let root = Issued::root("Test Root");
        let server = root.issue(COLLECTOR, Use::Server, 100);
        let (certificate, key) = server.write(&dir, "collector");
        let (authority, _) = root.write(&dir, "root");
        Self {
            dir,
            root,
            certificate,
            key,
            authority,
        }
    }

    fn start(&self, arguments: &[&str]) -> Relay {
        let own = ["--tls-cert", &self.certificate, "--tls-key", &self.key];
        let trusted = ["--client-ca", &self.authority];
        Relay::start_secure(&self.dir, &[&own[..], &trusted[..], arguments].concat())
    }
}

/// The TLS handshake of a client.
struct Client<'a> {
    host: &'a str,
    own: Option<&'a Issued>,
    newest: Option<SslVersion>,
    /// Its source address.
    address: Ipv4Addr,
    /// The port that it connects to, if not the relay's.
    port: Option<u16>,
}

impl<'a> Client<'a> {
    fn with(own: &'a Issued) -> Self {
        Self {
            host: COLLECTOR,
            own: Some(own),
            newest: None,
            address: Ipv4Addr::LOCALHOST,
            port: None,
        }
    }

    fn without() -> Self {
        Self {
            host: COLLECTOR,
            own: None,
            newest: None,
            address: Ipv4Addr::LOCALHOST,
            port: None,
        }
    }

    fn connect(&self, relay: &Relay) -> Result<openssl::ssl::SslStream<TcpStream>, String> {
        let mut builder = SslConnector::builder(SslMethod::tls()).unwrap();
        builder.set_verify(SslVerifyMode::NONE);
        builder.set_max_proto_version(self.newest).unwrap();
        if let Some(own) = self.own {
            builder.set_certificate(&own.certificate).unwrap();
            builder.set_private_key(&own.key).unwrap();
        }
        let port = self.port.unwrap_or(relay.port());
        let stream = connect_from(self.address, port).unwrap();
        let connected = builder.build().connect(self.host, stream);
        connected.map_err(|error| error.to_string())
    }

    /// Requests the subscriptions; with TLS 1.3, a rejection becomes visible only now.
    fn enumerate(&self, relay: &Relay) -> Result<Reply, String> {
        let mut stream = self.connect(relay)?;
        let text = envelope();
        let body: Vec<u8> = std::iter::once(0xfeff)
            .chain(text.encode_utf16())
            .flat_map(u16::to_le_bytes)
            .collect();
        let head = format!(
            "POST /wsman HTTP/1.1\r\nHost: {COLLECTOR}:5986\r\nContent-Type: \
             application/soap+xml;charset=UTF-16\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let request = [head.as_bytes(), &body].concat();
        stream
            .write_all(&request)
            .map_err(|error| error.to_string())?;
        read_reply(&mut stream).map_err(|error| error.to_string())
    }

    #[track_caller]
    fn is_let_in(&self, relay: &Relay) -> String {
        let reply = self
            .enumerate(relay)
            .unwrap_or_else(|e| panic!("{e}\n{}", relay.process.log()));
        assert_eq!(reply.status, 200, "{}", relay.process.log());
        reply.text()
    }

    /// Must be rejected in the handshake, with all these words in the log.
    #[track_caller]
    fn is_refused(&self, relay: &Relay, words: &[&str]) {
        let told = self.enumerate(relay).unwrap_err();
        assert!(told.contains("alert"), "the client is told: {told}");
        wait_for("the refusal in the log", || {
            let log = relay.process.log();
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
                .then_some(())
        });
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

#[test]
fn a_certificate_of_the_authority_is_all_a_host_needs() {
    let site = Site::new();
    let relay = site.start(&[]);
    let host = site.root.issue("ws1.example.com", Use::Client, 100);
    let answer = Client::with(&host).is_let_in(&relay);
    assert!(answer.contains("secprofile/https/mutual"), "{answer}");
    assert!(
        answer.contains(&format!("https://{COLLECTOR}:5986/wsman/subscriptions/")),
        "{answer}"
    );
    let issuer = site
        .root
        .certificate
        .digest(openssl::hash::MessageDigest::sha1())
        .unwrap();
    let issuer: String = issuer.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(answer.contains(&issuer), "{answer}");
}

#[test]
fn other_certificates_are_refused_with_subject_issuer_and_reason() {
    let site = Site::new();
    let revoked = site.root.issue("revoked.example.com", Use::Client, 100);
    let list = site.root.revoke(&site.dir, &revoked.certificate);
    let relay = site.start(&["--crl", &list]);
    let stranger = Issued::root("Stranger").issue("ws2.example.com", Use::Client, 100);
    let issuer = "issued by CN=Test Root";
    Client::with(&stranger).is_refused(&relay, &["CN=ws2.example.com", "CN=Stranger", "issuer"]);
    // Only the first rejection of an address is logged, so each case uses its own relay.
    for (client, word) in [
        (revoked, "revoked"),
        (
            site.root.issue("old.example.com", Use::Client, -2),
            "expired",
        ),
        (
            site.root.issue("wrong.example.com", Use::Server, 100),
            "purpose",
        ),
    ] {
        std::fs::remove_dir_all(site.dir.file("state")).unwrap_or_default();
        let dir = TempDir::new();
        let own = ["--tls-cert", &site.certificate, "--tls-key", &site.key];
        let trusted = ["--client-ca", &site.authority, "--crl", &list];
        let relay = Relay::start_secure(&dir, &[own, trusted].concat());
        Client::with(&client).is_refused(&relay, &[issuer, word, "--client-ca"]);
        let good = site.root.issue("ws1.example.com", Use::Client, 100);
        Client::with(&good).is_let_in(&relay);
    }
}

#[test]
fn chains_are_completed_from_the_bundle_and_the_hosts_own_issuer_is_named() {
    let site = Site::new();
    let middle = site.root.issue("Middle", Use::Authority, 500);
    let bundle = site.dir.file("bundle.pem");
    let pems = [&site.root, &middle].map(|issued| issued.certificate.to_pem().unwrap());
    std::fs::write(&bundle, pems.concat()).unwrap();
    let own = ["--tls-cert", &site.certificate, "--tls-key", &site.key];
    let relay = Relay::start_secure(&site.dir, &[&own[..], &["--client-ca", &bundle]].concat());
    let answer = Client::with(&middle.issue("ws1.example.com", Use::Client, 9)).is_let_in(&relay);
    let issuer = middle
        .certificate
        .digest(openssl::hash::MessageDigest::sha1())
        .unwrap();
    let issuer: String = issuer.iter().map(|byte| format!("{byte:02X}")).collect();
    assert!(answer.contains(&issuer), "{answer}");
}

#[test]
fn without_a_certificate_a_host_may_only_authenticate_otherwise() {
    let site = Site::new();
    let mut relay = site.start(&[]);
    let reply = Client::without().enumerate(&relay).unwrap();
    // There is no scheme that a 401 could offer.
    assert_eq!(
        (reply.status, reply.header("WWW-Authenticate")),
        (403, None)
    );
    let line = relay.process.wait_for_log("refused with 403");
    assert!(line.contains("private key"), "{line}");
    drop(relay);
    let relay = site.start(&["--anonymous", "127.0.0.0/8"]);
    let reply = Client::without().enumerate(&relay).unwrap();
    assert_eq!(
        (reply.status, reply.header("WWW-Authenticate")),
        (401, Some("Negotiate"))
    );
}

#[test]
fn old_protocols_are_refused() {
    let site = Site::new();
    let relay = site.start(&[]);
    let host = site.root.issue("ws1.example.com", Use::Client, 100);
    let client = Client {
        newest: Some(SslVersion::TLS1_1),
        ..Client::with(&host)
    };
    client.enumerate(&relay).unwrap_err();
    let client = Client {
        newest: Some(SslVersion::TLS1_2),
        ..Client::with(&host)
    };
    client.is_let_in(&relay);
}

#[test]
fn a_host_gets_the_certificate_of_the_name_that_it_asks_for() {
    let site = Site::new();
    let other = site.root.issue("other.example.com", Use::Server, 100);
    let (certificate, key) = other.write(&site.dir, "other");
    let relay = site.start(&["--tls-cert", &certificate, "--tls-key", &key]);
    for (host, expected) in [
        ("OTHER.example.com", &other.certificate),
        ("unknown", &site.server()),
    ] {
        let client = Client {
            host,
            ..Client::without()
        };
        let shown = client
            .connect(&relay)
            .unwrap()
            .ssl()
            .peer_certificate()
            .unwrap();
        assert_eq!(
            shown.to_der().unwrap(),
            expected.to_der().unwrap(),
            "{host}"
        );
    }
}

impl Site {
    fn server(&self) -> openssl::x509::X509 {
        openssl::x509::X509::from_pem(&std::fs::read(&self.certificate).unwrap()).unwrap()
    }
}

#[test]
fn a_reload_takes_new_authorities_and_keeps_the_old_ones_where_the_file_is_bad() {
    let site = Site::new();
    let relay = site.start(&[]);
    let others = Issued::root("Other Root");
    let host = others.issue("ws1.example.com", Use::Client, 100);
    Client::with(&host).enumerate(&relay).unwrap_err();
    std::fs::write(&site.authority, "nonsense").unwrap();
    relay.process.signal(rustix::process::Signal::HUP);
    wait_for("the complaint", || {
        relay.process.log().contains("not reloaded").then_some(())
    });
    Client::with(&site.root.issue("ws2.example.com", Use::Client, 9)).is_let_in(&relay);
    std::fs::write(&site.authority, others.certificate.to_pem().unwrap()).unwrap();
    relay.process.signal(rustix::process::Signal::HUP);
    wait_for("the reload", || {
        relay.process.log().contains("info: reloaded").then_some(())
    });
    Client::with(&host).is_let_in(&relay);
}

#[test]
fn files_that_do_not_fit_end_it_before_it_listens() {
    let site = Site::new();
    let (_, wrong) = Issued::root("x").write(&site.dir, "wrong");
    let cases = [
        ("/no-such-file", &site.key, "No such file"),
        (&site.certificate, &wrong, "this is not the key of"),
        (&site.key, &site.key, "no certificate in PEM"),
        (
            &site.certificate,
            &site.certificate,
            "no private key in PEM",
        ),
    ];
    for (certificate, key, expected) in cases {
        let listen = [
            "--listen",
            "https://127.0.0.1:0",
            "--anonymous",
            "127.0.0.1",
        ];
        let output = run(&[&listen[..], &["--tls-cert", certificate, "--tls-key", key]].concat());
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains(expected) && !said.contains("listening"),
            "{said}"
        );
    }
}

/// A relay on http and https behind load balancers at 127.0.0.5, which allows 127.0.0.9.
struct Balanced {
    relay: Relay,
    http: u16,
    site: Site,
}

const BALANCER: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
const OPEN: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 9);
const STRANGE: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 8);

impl Balanced {
    fn start() -> Self {
        let site = Site::new();
        let mut relay = site.start(&[
            "--listen",
            "http://127.0.0.1:0",
            "--proxy-protocol",
            "127.0.0.5",
            "--anonymous",
            "127.0.0.9",
            "--allow-unencrypted",
        ]);
        let line = relay.process.wait_for_log("listening on http://127.0.0.1:");
        let http = line.rsplit(':').next().unwrap().trim().parse().unwrap();
        Self { relay, http, site }
    }

    /// Waits for a log line with all these words.
    #[track_caller]
    fn logs(&self, words: &[&str]) {
        wait_for(&format!("{words:?} in the log"), || {
            let log = self.relay.process.log();
            log.lines()
                .any(|line| words.iter().all(|word| line.contains(word)))
                .then_some(())
        });
    }

    /// Sends bytes on a new connection, and reads to its end.
    fn say(&self, from: Ipv4Addr, port: u16, bytes: &[u8]) -> Vec<u8> {
        let mut stream = connect_from(from, port).unwrap();
        stream.write_all(bytes).unwrap();
        let mut answer = Vec::new();
        // It may be reset, because not everything was read.
        let _ = stream.read_to_end(&mut answer);
        answer
    }
}

#[test]
fn behind_haproxy_the_hosts_own_address_counts() {
    let balanced = Balanced::start();
    let (relay, site) = (&balanced.relay, &balanced.site);
    for (record, header) in ["send-proxy", "send-proxy-v2"].into_iter().enumerate() {
        let checked = format!("{header} check inter 100ms");
        let servers = [(balanced.http, &*checked), (relay.port(), &*checked)];
        let haproxy = Haproxy::start("127.0.0.5", &servers);
        let mut source = Source::new(haproxy.port(0), "ws-07.example.test").from(OPEN);
        let offer = source.subscribe();
        let event = numbered_event(record);
        assert!(
            source.deliver(&offer, &[event], 1),
            "{}",
            relay.process.log()
        );
        let lines = wait_for("the event", || {
            let lines = lines_of(&relay.process.output());
            (lines.len() == record + 1).then_some(lines)
        });
        let (_, origin) = lines[record]
            .elements
            .iter()
            .find(|(id, _)| id == "origin")
            .unwrap();
        let address = origin.iter().find(|(name, _)| name == "ip");
        assert_eq!(address.map(|(_, value)| &**value), Some("127.0.0.9"));
        let mut strange = Source::new(haproxy.port(0), "ws-08.example.test").from(STRANGE);
        assert_eq!(strange.try_enumerate().status, 401);
        let through = |own, last| Client {
            address: Ipv4Addr::new(127, 0, 0, last),
            port: Some(haproxy.port(1)),
            ..Client::with(own)
        };
        let host = site.root.issue("ws1.example.com", Use::Client, 9);
        through(&host, 10).is_let_in(relay);
        let last = 20 + u8::try_from(record).unwrap();
        let from = format!("127.0.0.{last}");
        let stranger = Issued::root("Stranger").issue("ws2.example.com", Use::Client, 9);
        through(&stranger, last).is_refused(relay, &[&from, "CN=ws2.example.com"]);
        // Health checks during this time succeed, and are not counted as rejections.
        std::thread::sleep(Duration::from_millis(400));
        assert!(!haproxy.process.log().contains("is DOWN"));
    }
    balanced.logs(&["host 127.0.0.8", "refused with 401"]);
    let log = relay.process.log();
    assert!(!log.contains("127.0.0.5"), "{log}");
}

#[test]
fn a_proxy_header_comes_from_balancers_and_from_nobody_else() {
    let balanced = Balanced::start();
    let relay = &balanced.relay;
    let header = b"PROXY TCP4 127.0.0.9 127.0.0.1 50123 5985\r\n";
    let request = b"POST /wsman HTTP/1.1\r\nHost: c\r\nContent-Length: 0\r\n\r\n";
    // A load balancer that does not send a PROXY header.
    for port in [balanced.http, relay.port()] {
        assert_eq!(balanced.say(BALANCER, port, request), b"");
    }
    balanced.logs(&["host 127.0.0.5: refused: no PROXY header"]);
    assert_eq!(relay.process.log().matches("no PROXY header").count(), 1);
    // Other addresses that send one.
    let both = [&header[..], request].concat();
    let answer = balanced.say(OPEN, balanced.http, &both);
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{answer:?}");
    balanced.logs(&[
        "host 127.0.0.9",
        "accepted from addresses in --proxy-protocol",
    ]);
    balanced.say(STRANGE, relay.port(), &both);
    balanced.logs(&["host 127.0.0.8", "--proxy-protocol"]);
    // Without it, they can connect as usual.
    Source::new(balanced.http, "ws-07.example.test")
        .from(OPEN)
        .subscribe();
    // A header in pieces.
    let mut stream = connect_from(BALANCER, balanced.http).unwrap();
    for byte in header {
        stream.write_all(&[*byte]).unwrap();
    }
    stream.write_all(request).unwrap();
    assert_eq!(read_reply(&mut stream).unwrap().status, 401);
}

/// A root, an issuing authority, and two of its hosts; both authorities are in `--client-ca`.
struct Tiers {
    site: Site,
    issuing: Issued,
    good: Issued,
    lost: Issued,
}

impl Tiers {
    fn new() -> Self {
        let mut site = Site::new();
        let issuing = site.root.issue("Issuing", Use::Authority, 500);
        let pems = [&site.root, &issuing].map(|issued| issued.certificate.to_pem().unwrap());
        site.authority = site.dir.file("bundle.pem");
        std::fs::write(&site.authority, pems.concat()).unwrap();
        Self {
            good: issuing.issue("ws1.example.com", Use::Client, 9),
            lost: issuing.issue("lost.example.com", Use::Client, 9),
            site,
            issuing,
        }
    }

    /// A file with these lists.
    fn lists(&self, name: &str, lists: &[&str]) -> String {
        let lists: Vec<_> = lists
            .iter()
            .map(|list| std::fs::read(list).unwrap())
            .collect();
        let path = self.site.dir.file(name);
        std::fs::write(&path, lists.concat()).unwrap();
        path
    }

    /// The root's list, with the revoked certificate, if any.
    fn of_root(&self, revoked: Option<&Issued>) -> String {
        let revoked = revoked.map(|issued| &issued.certificate);
        self.site
            .root
            .list(&self.site.dir, "root-list", revoked, "", &[])
    }

    fn of_issuing(&self, extensions: &str) -> String {
        let lost = Some(&self.lost.certificate);
        self.issuing
            .list(&self.site.dir, "issuing-list", lost, extensions, &[])
    }

    /// A start that fails because of a part of a list; returns its message.
    fn is_refused_at_start(&self, list: &str) -> String {
        let said = self.fails_at_start(list);
        assert!(
            said.contains(&format!("--crl {list}: the list of CN=Issuing ")),
            "{said}"
        );
        assert!(
            said.contains("use the complete list of that authority"),
            "{said}"
        );
        said
    }

    fn fails_at_start(&self, list: &str) -> String {
        let site = &self.site;
        let output = run(&[
            "check",
            "--listen",
            "https://127.0.0.1:0",
            "--state",
            &site.dir.file("state"),
            "--tls-cert",
            &site.certificate,
            "--tls-key",
            &site.key,
            "--client-ca",
            &site.authority,
            "--crl",
            list,
        ]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        said
    }
}

#[test]
fn a_chain_is_checked_to_the_root_by_the_list_of_each_authority() {
    let tiers = Tiers::new();
    let lists = tiers.lists("both.pem", &[&tiers.of_root(None), &tiers.of_issuing("")]);
    let relay = tiers.site.start(&["--crl", &lists]);
    Client::with(&tiers.good).is_let_in(&relay);
    Client::with(&tiers.lost).is_refused(&relay, &["CN=lost.example.com", "certificate revoked"]);
    assert!(!relay.process.log().contains("no list of"));
    drop(relay);
    // If the issuing authority itself is revoked, all of its hosts are rejected.
    let revoked = tiers.of_root(Some(&tiers.issuing));
    let lists = tiers.lists("both.pem", &[&revoked, &tiers.of_issuing("")]);
    let relay = tiers.site.start(&["--crl", &lists]);
    Client::with(&tiers.good).is_refused(&relay, &["CN=Issuing", "certificate revoked"]);
}

#[test]
fn without_a_list_nobody_gets_in_unless_a_flag_says_so() {
    let tiers = Tiers::new();
    let list = tiers.of_issuing("");
    let relay = tiers.site.start(&["--crl", &list]);
    let log = relay.process.log();
    assert!(
        log.contains("no list of CN=Test Root: its certificates are rejected"),
        "{log}"
    );
    assert!(log.contains("--crl-partial"), "{log}");
    let words = [
        "the list of CN=Test Root is not there",
        "--crl-partial",
        &list,
    ];
    Client::with(&tiers.good).is_refused(&relay, &words);
    drop(relay);
    let relay = tiers.site.start(&["--crl", &list, "--crl-partial"]);
    Client::with(&tiers.good).is_let_in(&relay);
    Client::with(&tiers.lost).is_refused(&relay, &["certificate revoked"]);
}

#[test]
fn the_remedy_for_an_expired_list_names_the_list() {
    let tiers = Tiers::new();
    let dates = [
        "-crl_lastupdate",
        "240101000000Z",
        "-crl_nextupdate",
        "240201000000Z",
    ];
    let old = tiers.issuing.list(&tiers.site.dir, "old", None, "", &dates);
    let lists = tiers.lists("both.pem", &[&tiers.of_root(None), &old]);
    for flags in [&["--crl", &lists][..], &["--crl", &lists, "--crl-partial"]] {
        let relay = tiers.site.start(flags);
        let words = [
            "the list of CN=Issuing expired on Feb",
            "install a current one",
        ];
        Client::with(&tiers.good).is_refused(&relay, &words);
    }
}

#[test]
fn an_expired_list_beside_a_current_one_is_no_trouble() {
    let tiers = Tiers::new();
    let dates = [
        "-crl_lastupdate",
        "240101000000Z",
        "-crl_nextupdate",
        "240201000000Z",
    ];
    let old = tiers.issuing.list(&tiers.site.dir, "old", None, "", &dates);
    let lists = [&tiers.of_root(None)[..], &old, &tiers.of_issuing("")];
    let lists = tiers.lists("three.pem", &lists);
    let relay = tiers.site.start(&["--crl", &lists]);
    assert!(!relay.process.log().contains("expired on"));
    Client::with(&tiers.good).is_let_in(&relay);
    Client::with(&tiers.lost).is_refused(&relay, &["certificate revoked"]);
}

#[test]
fn why_a_list_does_not_count_is_told_at_the_start() {
    let tiers = Tiers::new();
    let dir = &tiers.site.dir;
    let dates = [
        "-crl_lastupdate",
        "390101000000Z",
        "-crl_nextupdate",
        "390201000000Z",
    ];
    let early = tiers.issuing.list(dir, "early", None, "", &dates);
    let forged = Issued::root("Issuing").list(dir, "forged", None, "", &[]);
    for (list, told, refused) in [
        (
            early,
            "the list of CN=Issuing is not valid before 2039-01-01T00:00:00Z",
            "the list of CN=Issuing is not valid before Jan",
        ),
        (
            forged,
            "the list of CN=Issuing is signed with another key",
            "the list of CN=Issuing is signed with another key than that of --client-ca: replace it",
        ),
    ] {
        let lists = tiers.lists("both.pem", &[&tiers.of_root(None), &list]);
        let relay = tiers.site.start(&["--crl", &lists]);
        let log = relay.process.log();
        assert!(log.contains(told), "{log}");
        Client::with(&tiers.good).is_refused(&relay, &[refused]);
    }
}

#[test]
fn a_damaged_list_among_others_is_told_from_none() {
    let tiers = Tiers::new();
    let text = std::fs::read_to_string(tiers.of_issuing("")).unwrap();
    let damaged = tiers.site.dir.file("damaged.pem");
    let mut lines: Vec<_> = text.lines().collect();
    lines.remove(2);
    std::fs::write(&damaged, lines.join("\n")).unwrap();
    let lists = tiers.lists("both.pem", &[&tiers.of_root(None), &damaged]);
    let said = tiers.fails_at_start(&lists);
    assert!(
        said.contains("both.pem: a revocation list in it is broken: "),
        "{said}"
    );
}

#[test]
fn parts_of_lists_are_refused_when_they_are_read() {
    let tiers = Tiers::new();
    let point = |settings: &str| {
        format!(
            "issuingDistributionPoint=critical,@p\n[p]\nfullname=URI:http://a/b.crl\n{settings}\n"
        )
    };
    for (extensions, word) in [
        (point("onlysomereasons=keyCompromise"), "onlySomeReasons"),
        (point("indirectCRL=TRUE"), "indirectCRL"),
        (point("onlyAA=TRUE"), "onlyContainsAttributeCerts"),
        ("2.5.29.27=critical,ASN1:INTEGER:1".to_owned(), "delta"),
        ("1.2.3.4=critical,ASN1:NULL".to_owned(), "1.2.3.4"),
    ] {
        let said = tiers.is_refused_at_start(&tiers.of_issuing(&extensions));
        assert!(said.contains(word), "{word}: {said}");
    }
}

#[test]
fn a_distribution_point_alone_is_fine_and_a_delta_is_skipped() {
    let tiers = Tiers::new();
    let point = "issuingDistributionPoint=critical,@p\n[p]\nfullname=URI:http://a/b.crl\n";
    let complete = tiers.lists("complete.pem", &[&tiers.of_issuing(point)]);
    let delta = tiers.of_issuing("2.5.29.27=critical,ASN1:INTEGER:1");
    let lists = tiers.lists("all.pem", &[&tiers.of_root(None), &delta, &complete]);
    let relay = tiers.site.start(&["--crl", &lists]);
    let log = relay.process.log();
    assert_eq!(
        log.matches("is a delta, which is skipped").count(),
        1,
        "{log}"
    );
    Client::with(&tiers.good).is_let_in(&relay);
    Client::with(&tiers.lost).is_refused(&relay, &["certificate revoked"]);
}

#[test]
fn a_list_about_hosts_only_does_not_speak_for_authorities() {
    let tiers = Tiers::new();
    let hosts = "issuingDistributionPoint=critical,@p\n[p]\nonlyuser=TRUE\n";
    let of_issuing = tiers.of_issuing(hosts);
    let lists = tiers.lists("both.pem", &[&tiers.of_root(None), &of_issuing]);
    let relay = tiers.site.start(&["--crl", &lists]);
    Client::with(&tiers.good).is_let_in(&relay);
    Client::with(&tiers.lost).is_refused(&relay, &["certificate revoked"]);
    drop(relay);
    let of_root = tiers
        .site
        .root
        .list(&tiers.site.dir, "hosts-only", None, hosts, &[]);
    let lists = tiers.lists("both.pem", &[&of_root, &of_issuing]);
    let relay = tiers.site.start(&["--crl", &lists]);
    let why = "the list of CN=Test Root covers no certificates of authorities: add the";
    Client::with(&tiers.good).is_refused(&relay, &[why]);
}
