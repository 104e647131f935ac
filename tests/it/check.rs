//! `wecrelay check` describes a valid configuration and rejects an invalid one, without side
//! effects; `wecrelay windows` prints the configuration that hosts need.

// A submodule, because a separate target would take long to link.
mod doctor;

use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Stdio};

use crate::support::{
    Authority, Issued, Kdc, Relay, Rsyslog, StreamSink, TempDir, Use, free_port, run, send_samples,
};

fn subscription(sddl: &str) -> String {
    format!(
        "<Subscription xmlns=\"http://schemas.microsoft.com/2006/03/windows/events/subscription\">\n\
         <SubscriptionId>Logons</SubscriptionId>\n\
         <SubscriptionType>SourceInitiated</SubscriptionType>\n\
         <Query><![CDATA[<QueryList><Query Id=\"0\"><Select Path=\"Security\">*</Select></Query>\
         </QueryList>]]></Query>\n\
         <AllowedSourceDomainComputers>{sddl}</AllowedSourceDomainComputers>\n</Subscription>"
    )
}

#[test]
fn subscriptions_that_fill_several_answers_are_measured() {
    let dir = TempDir::new();
    let folder = dir.file("subscriptions");
    fs::create_dir(&folder).unwrap();
    let write = |number: usize, padding: usize| {
        let text = subscription("O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)")
            .replace("Logons", &format!("Logons {number}"))
            .replace(
                "<Query Id",
                &format!("<!--{}--><Query Id", "x".repeat(padding)),
            );
        fs::write(format!("{folder}/{number}.xml"), text).unwrap();
    };
    (0..60).for_each(|number| write(number, 6000));
    let check = || {
        let flags = [
            "--anonymous",
            "192.0.2.0/24",
            "--no-self-reports",
            "--state",
        ];
        let state = dir.file("state");
        let more = [
            &*state,
            "--subscription",
            &folder,
            "--listen",
            "http://127.0.0.1:0",
        ];
        let output = run(&[&["check"], &flags[..], &more[..]].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        (output.status.code(), text)
    };
    let (code, text) = check();
    assert_eq!(code, Some(0), "{text}");
    let line = text.lines().find(|line| line.contains("(Pull)")).unwrap();
    let line = line.replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(line, "  to a host that gets all:  kB, in  answers (Pull)");
    assert!(text.contains(" kB, in 3 answers"), "{text}");
    write(60, 300_000);
    let (code, text) = check();
    assert_eq!(code, Some(1), "{text}");
    let finding = text.lines().find(|line| line.contains("finding:")).unwrap();
    assert!(finding.starts_with("    finding: it takes 6"), "{finding}");
    assert!(
        text.contains(" kB, in 3 answers"),
        "the rest as before: {text}"
    );
}

#[test]
fn what_would_run_is_said_in_words_and_nothing_is_done() {
    let dir = TempDir::new();
    // A port in use does not matter, because `check` does not listen.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let file = dir.file("logons.xml");
    fs::write(&file, subscription("O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)")).unwrap();
    let (state, events) = (dir.file("state"), dir.file("events"));
    let output = run(&[
        "check",
        "--listen",
        &format!("http://{address}"),
        "--anonymous",
        "192.0.2.0/24",
        "--subscription",
        &file,
        "--state",
        &state,
        "--output",
        &format!("file:{events}"),
    ]);
    let log = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{log}");
    let said = String::from_utf8(output.stdout).unwrap();
    let (before, sample) = said.split_once("    example: ").unwrap();
    let (sample, after) = sample.split_once('\n').unwrap();
    let start = "<84>1 2026-01-31T09:30:00.123456Z ws1.example.com Microsoft-Windows-Security-Auditing 640 4625 [origin";
    assert!(sample.starts_with(start), "{sample}");
    assert!(
        sample.ends_with("] An account failed to log on."),
        "{sample}"
    );
    assert_eq!(
        [before, after].concat(),
        format!(
            "listens on:\n  http://{address}, in use, perhaps by a running relay\n\
             allows:\n  hosts of 192.0.2.0/24 without a credential\n\
             offers:\n  \"Logons\": Security\n    accounts of a domain: members of Domain \
             Computers of the host's own domain, Network Service (no host) may subscribe; no \
             other\n    certificates and others without such an account: all\n    events with text, from now on, within 15m, heartbeat every 15m\n    \
             selects from Security: *\n  \"wecrelay-self-reports\": \
             Microsoft-Windows-Forwarding/Operational\n    built in: hosts report on their own \
             forwarding; disable with --no-self-reports\n    for every authenticated host\n    \
             events with text, from now on, within 30s, heartbeat every 1h\n    \
             selects from Microsoft-Windows-Forwarding/Operational: *[System[EventID=100 or \
             EventID=101 or EventID=102 or EventID=103 or EventID=104 or EventID=105 or \
             EventID=106 or EventID=107]]\n\
             sends to:\n  file:{events}\n\
             stores in:\n  {state}\n"
        )
    );
    assert!(log.contains("applies to domain accounts only"), "{log}");
    assert!(fs::metadata(state).is_err() && fs::metadata(events).is_err());
}

#[test]
fn a_mistake_in_an_access_list_is_named_with_its_place() {
    let dir = TempDir::new();
    let file = dir.file("logons.xml");
    fs::write(&file, subscription("O:NSG:NSD:(XA;;GA;;;DC;(x))")).unwrap();
    for command in [&["check"][..], &[]] {
        let flags = ["--anonymous", "192.0.2.0/24", "--subscription", &file];
        let output = run(&[command, &flags].concat());
        let error = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{error}");
        let place = format!("{file}:5: AllowedSourceDomainComputers, at character 12: ");
        assert!(error.contains(&place), "{error}");
        assert!(error.contains("depend on claims"), "{error}");
    }
}

/// The sample enables no method, which is an error; with one flag added, the relay starts.
#[test]
fn the_sample_file_runs_with_one_flag_more() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/wecrelay.toml");
    let output = run(&["check", "--config", file]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("no host could authenticate"), "{error}");
    let output = run(&["check", "--config", file, "--anonymous", "192.0.2.0/24"]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("Application, Security, System"), "{text}");
    assert!(text.contains("tcp://127.0.0.1:601?max=256K"), "{text}");
}

#[test]
fn mistakes_in_the_file_are_told_with_its_line_by_relay_and_check() {
    let dir = TempDir::new();
    let file = dir.file("wecrelay.toml");
    let cases = [
        (
            "chanel = 'System'",
            "1: unknown flag \"chanel\"; did you mean \"channel\"?",
        ),
        ("\nbom = 1", "2: bom is a number; allowed is true or false"),
        ("\n\nmessage = 'yaml'", "3: invalid value 'yaml'"),
        (
            "listen = [\n  'http://127.0.0.1:0',\n  'ftp://x' ]",
            "3: --listen ftp://x: allowed are http",
        ),
        ("users = 'nowhere'", "1: --users "),
        ("= 1", "1: not valid TOML: "),
    ];
    for (text, expected) in cases {
        fs::write(&file, text).unwrap();
        for command in [&["check"][..], &[]] {
            let flags = ["--config", &file, "--anonymous", "192.0.2.0/24"];
            let output = run(&[command, &flags].concat());
            let error = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{error}");
            assert!(error.contains(&format!("{file}:{expected}")), "{error}");
        }
    }
    let output = run(&["--config", &dir.file("none")]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(
        error.contains("--config") && error.contains("No such file"),
        "{error}"
    );
}

/// A log for programs: each line, and the reason for the exit, in the requested format.
#[test]
fn the_log_has_the_form_that_was_asked_for() {
    let dir = TempDir::new();
    let file = dir.file("logons.xml");
    fs::write(&file, subscription("O:NSG:NSD:(A;;GA;;;DC)")).unwrap();
    let check = |form: &str, more: &[&str]| {
        let flags = [
            "check",
            "--anonymous",
            "192.0.2.0/24",
            "--subscription",
            &file,
        ];
        let output = run(&[&flags[..], more, &["--log-format", form]].concat());
        (
            output.status.code(),
            String::from_utf8(output.stderr).unwrap(),
        )
    };
    let bad = ["--hostname", "not \"a\" name\nat all"];

    let (code, log) = check("json", &bad);
    let last: serde_json::Value = serde_json::from_str(log.lines().last().unwrap()).unwrap();
    assert_eq!((code, &last["level"]), (Some(2), &"error".into()));
    let message = last["message"].as_str().unwrap();
    assert!(
        message.starts_with("--hostname not \"a\" name\nat all: "),
        "{log}"
    );

    let (code, log) = check("json", &[]);
    let first: serde_json::Value = serde_json::from_str(log.lines().next().unwrap()).unwrap();
    assert_eq!((code, &first["level"]), (Some(0), &"warning".into()));
    assert_eq!(first["target"], "wecrelay::commands::run::offers");
    let time = first["time"].as_str().unwrap();
    assert_eq!(
        (time.len(), &time[19..20], &time[23..]),
        (24, ".", "Z"),
        "{time}"
    );
    assert!(
        first["message"]
            .as_str()
            .unwrap()
            .contains("applies to domain accounts"),
        "{log}"
    );

    let (code, log) = check("journal", &bad);
    assert_eq!(code, Some(2), "{log}");
    assert!(
        log.starts_with("<3>--hostname not \"a\" name\\nat all: "),
        "{log}"
    );
    let (_, log) = check("text", &bad);
    assert!(log.starts_with("wecrelay: --hostname "), "{log}");
}

/// The output of a check, and its exit code.
fn check(arguments: &[&str]) -> (String, Option<i32>) {
    let output = run(&[&["check", "--anonymous", "192.0.2.0/24"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    (text + &log, output.status.code())
}

#[track_caller]
fn assert_all(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "no {part:?} in {text}");
    }
}

#[test]
fn keys_authorities_and_certificates_are_shown() {
    let (kdc, dir) = (Kdc::start("aes256-cts-hmac-sha1-96"), TempDir::new());
    let root = Issued::root("Client CA");
    let (ca, _) = root.write(&dir, "ca");
    let own = Issued::root("Server CA").issue("collector.example.test", Use::Server, 30);
    let (certificate, key) = own.write(&dir, "own");
    let port = free_port();
    let (keytab, listen) = (kdc.keytab(), format!("https://127.0.0.1:{port}"));
    let secure = [
        "--listen",
        &listen,
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
    ];
    let methods = ["--client-ca", &ca, "--keytab", &keytab];
    let (text, code) = check(&[&secure[..], &methods[..]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_all(
        &text,
        &[
            &format!("https://127.0.0.1:{port}, free"),
            "HTTP/localhost@EXAMPLE.TEST kvno 1: aes256-cts-hmac-sha1-96",
            "CN=Client CA: for client ca, from 20",
            "for collector.example.test, from 20",
            "issued by CN=Server CA",
            "thumbprint ",
        ],
    );
}

/// A certificate and its key, created by openssl with these arguments.
fn made(dir: &TempDir, name: &str, arguments: &[&str]) -> (String, String) {
    let paths = (
        dir.file(&format!("{name}.pem")),
        dir.file(&format!("{name}.key")),
    );
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-nodes",
            "-days",
            "30",
            "-subj",
            &format!("/CN={name}"),
        ])
        .args(["-out", &paths.0, "-keyout", &paths.1])
        .args(arguments)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}");
    paths
}

#[test]
fn certificates_and_keytabs_that_cannot_work_are_named_with_flag_file_and_remedy() {
    let dir = TempDir::new();
    let rsa = ["-newkey", "rsa:2048"];
    let ca = made(&dir, "ca", &rsa);
    let issued = [
        "-CA",
        &ca.0,
        "-CAkey",
        &ca.1,
        "-addext",
        "basicConstraints=CA:FALSE",
    ];
    let tls = |(certificate, key): &(String, String), more: &[&str]| {
        let base = [
            "--listen",
            "https://127.0.0.1:0",
            "--tls-cert",
            certificate,
            "--tls-key",
            key,
        ];
        check(&[&base[..], more].concat())
    };
    // Certificates that OpenSSL itself rejects prevent the start.
    let short = made(&dir, "short", &["-newkey", "rsa:1024"]);
    let broken = made(&dir, "broken", &[&rsa[..], &issued, &["-sha1"]].concat());
    for (own, why) in [
        (&short, "CN=short has an RSA key of 1024 bits"),
        (&broken, "CN=broken is signed with sha1WithRSAEncryption"),
    ] {
        let (text, code) = tls(own, &[]);
        assert_eq!(code, Some(2), "{text}");
        let line = format!("--tls-cert {}: {why}; hosts and OpenSSL reject it", own.0);
        assert_all(&text, &[&line, "wecrelay ca server"]);
    }
    // The others are reported.
    let purpose = "extendedKeyUsage=clientAuth";
    let client = made(
        &dir,
        "client",
        &[&rsa[..], &issued, &["-addext", purpose]].concat(),
    );
    let (text, code) = tls(&client, &[]);
    assert_eq!(code, Some(1), "{text}");
    let line = format!(
        "finding: --tls-cert {}: CN=client is not for server",
        client.0
    );
    assert_all(&text, &[&line, "1.3.6.1.5.5.7.3.1"]);
    let own = made(&dir, "own", &[&rsa[..], &issued].concat());
    for (authority, why) in [
        (&own, "CN=own is not an authority (CA:FALSE)"),
        (
            &short,
            "CN=short has an RSA key of 1024 bits; OpenSSL rejects",
        ),
    ] {
        let (text, code) = tls(&own, &["--client-ca", &authority.0]);
        assert_eq!(code, Some(1), "{text}");
        let line = format!("finding: --client-ca {}: {why}", authority.0);
        assert_all(&text, &[&line]);
    }
    let (text, code) = tls(&own, &["--client-ca", &ca.0]);
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn keytabs_that_let_in_nobody_are_found() {
    let rc4 = Kdc::start("rc4-hmac");
    let (text, code) = check(&["--keytab", &rc4.keytab()]);
    assert_eq!(code, Some(1), "{text}");
    assert_all(
        &text,
        &["it has RC4 keys only", "-crypto All", "--kerberos-rc4"],
    );
    let (text, code) = check(&["--keytab", &rc4.keytab(), "--kerberos-rc4"]);
    assert_eq!(code, Some(0), "{text}");
    let warning = "warning: --keytab has no key of HTTP/other.example, the name of --hostname";
    let allowed = ["--keytab", &rc4.keytab(), "--kerberos-rc4", "--hostname"];
    let (text, code) = check(&[&allowed[..], &["other.example"]].concat());
    assert_eq!(code, Some(0), "{text}");
    assert_all(&text, &[warning]);
    let (text, _) = check(&[&allowed[..], &["localhost"]].concat());
    assert!(!text.contains("warning: --keytab"), "{text}");
    // The host's own keys do not belong to a service.
    let other = rc4.file("host.keytab");
    let (text, code) = check(&["--keytab", &other]);
    assert_eq!(code, Some(1), "{text}");
    let line = format!("finding: --keytab {other}: it has no key of HTTP/NAME");
    assert_all(&text, &[&line, "msktutil --service HTTP"]);
}

#[test]
fn a_query_over_the_limit_comes_back_split() {
    let dir = TempDir::new();
    let file = dir.file("many.xml");
    let ids: Vec<_> = (4600..4630).map(|id| format!("EventID={id}")).collect();
    let query = format!("*[System[({})]]", ids.join(" or "));
    let text = subscription("O:NSG:NSD:(A;;GA;;;DC)").replace(">*<", &format!(">{query}<"));
    fs::write(&file, text).unwrap();
    let (text, code) = check(&["--subscription", &file]);
    assert_eq!(code, Some(1), "{text}");
    assert_all(
        &text,
        &[
            "    finding: query line 1: Security: 30 comparisons in one expression",
            "    <Select Path=\"Security\">*[System[",
            "the relay would start, with one finding",
        ],
    );
}

#[test]
fn a_channel_that_hosts_have_no_bookmark_for_is_told() {
    let (dir, sink) = (TempDir::new(), StreamSink::tcp());
    let output = sink.url();
    let relay = Relay::start(&dir, &["--output", &output, "--channel", "Security"]);
    send_samples(&relay);
    let state = dir.file("state");
    let same = ["--state", &state, "--channel", "Security"];
    let more = [&same[..], &["--channel", "New/Operational"]].concat();
    // The running relay is not affected.
    let (text, code) = check(&more);
    assert_eq!(code, Some(0), "{text}");
    assert_all(&text, &["none for New/Operational", "whole history"]);
}

#[test]
fn a_probe_says_what_answers_at_real_receivers() {
    const NAME: &str = "log.example.test";
    const RELAY: &str = "relay.example.test";
    let authority = Authority::new("log authority");
    let own = authority.issue(&[RELAY]);
    let secured = format!(
        "?ca={}&name={NAME}&cert={}&key={}",
        authority.file(),
        own.certificate,
        own.key
    );
    let tls = Rsyslog::tls(&authority, &authority.issue(&[NAME]), RELAY);
    let relp = Rsyslog::relp();
    let both = Rsyslog::relp_tls(&authority, &authority.issue(&[NAME]), RELAY);
    let certificate = ["TLSv1.3, TLS_", "certificate for log.example.test, from 20"];
    let accepted = [
        "issued by CN=log authority",
        "it is accepted for log.example.test (",
    ];
    let offers = ["RELP: relp_version=0", "commands=syslog"];
    let (text, code) = check(&[
        "--probe",
        "--output",
        &format!("tls://localhost:{}{secured}", tls.port()),
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert_all(&text, &["    localhost is ", " answers ("]);
    assert_all(&text, &[certificate, accepted].concat());
    let (text, code) = check(&[
        "--probe",
        "--output",
        &format!("relp://127.0.0.1:{}", relp.port()),
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert_all(&text, &offers);
    let (text, code) = check(&[
        "--probe",
        "--output",
        &format!("relp+tls://127.0.0.1:{}{secured}", both.port()),
    ]);
    assert_eq!(code, Some(0), "{text}");
    assert_all(&text, &[certificate, accepted, offers].concat());
    // No probe sent an event.
    for server in [tls, relp, both] {
        server.each_record(|record| panic!("{record:?}"));
    }
}

#[test]
fn a_probe_says_why_events_could_not_go_there() {
    let authority = Authority::new("ours");
    let rsyslog = Rsyslog::tls(
        &authority,
        &authority.issue(&["log.example.test"]),
        "no.test",
    );
    let plain = Rsyslog::start();
    let (port, ca) = (rsyslog.port(), authority.file());
    let cases = [
        (
            format!("tls://127.0.0.1:{port}"),
            "finding: no trusted authority signed",
        ),
        (
            format!("tls://127.0.0.1:{port}?ca={ca}"),
            "is not for \"127.0.0.1\"",
        ),
        (
            format!("relp+tls://127.0.0.1:{}?ca={ca}", plain.port()),
            "no answer to the TLS handshake: is this port for TLS?",
        ),
        (
            format!("tcp://127.0.0.1:{}", free_port()),
            "nothing listens there: is the syslog server running",
        ),
        (
            "tcp://nowhere.invalid".to_owned(),
            "finding: nowhere.invalid has no address",
        ),
        (
            "unix:/nowhere/log".to_owned(),
            "is the syslog server running, and does it create this socket?",
        ),
        ("file:/nowhere/log".to_owned(), "cannot create files in"),
    ];
    for (output, expected) in cases {
        let (text, code) = check(&["--probe", "--output", &output]);
        assert_eq!(code, Some(1), "{output}: {text}");
        assert_all(&text, &[expected]);
    }
    // A best-effort output is reported, but is not an error.
    let output = format!("tcp://127.0.0.1:{}?required=no", free_port());
    let (text, code) = check(&["--probe", "--output", &output]);
    assert_eq!(code, Some(0), "{text}");
    assert_all(&text, &["    127.0.0.1:", "nothing listens there"]);
}

/// Runs `wecrelay windows`; returns its output, log, and exit code.
fn windows(arguments: &[&str]) -> (String, String, Option<i32>) {
    let output = run(&[&["windows"], arguments].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let log = String::from_utf8(output.stderr).unwrap();
    (text, log, output.status.code())
}

/// The value of a Python expression of `text`.
fn python(expression: &str, text: &str) -> String {
    let program = format!(
        "import sys, json, yaml, xml.etree.ElementTree as tree\n\
         text = sys.stdin.buffer.read().decode()\nprint({expression})"
    );
    let mut python = Command::new("python3")
        .args(["-c", &program])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3 with yaml: scripts/peers installs it");
    let mut input = python.stdin.take().unwrap();
    input.write_all(text.as_bytes()).unwrap();
    drop(input);
    let output = python.wait_with_output().unwrap();
    assert!(
        output.status.success(),
        "scripts/peers installs python3-yaml; {expression}: {text}"
    );
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

const WORKGROUP: [&str; 6] = [
    "--listen",
    "http://0.0.0.0:5985",
    "--anonymous",
    "192.0.2.0/24",
    "--hostname",
    "c.example.com",
];
const MANAGER: &str = "Server=http://c.example.com:5985/wsman/SubscriptionManager/WEC,Refresh=60";

#[test]
fn machines_can_read_the_forms_for_windows() {
    let form = |form| {
        let (text, log, code) = windows(&[&WORKGROUP[..], &["--form", form]].concat());
        assert_eq!(code, Some(0), "{log}");
        text
    };
    assert_eq!(form("policy"), format!("{MANAGER}\n"));
    let data = "[t['ansible.windows.win_regedit']['data'] for t in yaml.safe_load(text)[0]['tasks'] \
                if 'ansible.windows.win_regedit' in t]";
    assert_eq!(
        python(data, &form("ansible")),
        format!("[1, 'c.example.com', '{MANAGER}']")
    );
    // The policy's value is XML within JSON, with the separator of the list.
    let value = "tree.fromstring('<a>' + json.loads(text)['omaSettings'][1]['value'] + '</a>')\
                 .find('data').get('value').split('\\uf000')";
    assert_eq!(
        python(value, &form("intune")),
        format!("['1', '{MANAGER}']")
    );
    let (setup, undo) = (form("powershell"), form("undo"));
    assert!(setup.is_ascii() && undo.is_ascii(), "older ones read ANSI");
    assert_all(
        &setup,
        &[&format!("$manager = '{MANAGER}'"), "TrustedHost:"],
    );
    // The subscription is set after the restart, which makes the right to the logs effective.
    assert_order(&setup, "{ Stop-BeforeRestart }", "\nSet-Manager ");
    assert_order(&form("ansible"), "win_reboot:", "SubscriptionManager");
    // Everything that is recorded is reverted.
    for (at, _) in setup
        .match_indices("\n    Write-Before ")
        .chain(setup.match_indices("{ Write-Before "))
    {
        let name = setup[at..].split(['\'', '"']).nth(1).unwrap();
        let kind = name.split(':').next().unwrap();
        assert!(undo.contains(&format!("'{kind}'")), "{kind} is not undone");
    }
}

#[track_caller]
fn assert_order(text: &str, first: &str, second: &str) {
    let at = |what: &str| text.rfind(what).unwrap_or_else(|| panic!("no {what}"));
    assert!(at(first) < at(second), "{text}");
}

#[test]
fn a_registry_file_is_utf_16_with_the_line_ends_of_windows() {
    let dir = TempDir::new();
    let file = dir.file("host.reg");
    let (text, log, code) = windows(
        &[
            &WORKGROUP[..],
            &["--form", "reg", "--number", "3", "--out", &file],
        ]
        .concat(),
    );
    assert_eq!((text.as_str(), code), ("", Some(0)), "{log}");
    let bytes = fs::read(&file).unwrap();
    let units: Vec<_> = bytes
        .chunks(2)
        .map(|pair| u16::from_le_bytes([pair[0], pair[1]]))
        .collect();
    let text = String::from_utf16(&units).unwrap();
    let lines: Vec<_> = text
        .strip_prefix('\u{FEFF}')
        .unwrap()
        .split("\r\n")
        .collect();
    assert_eq!(lines[0], "Windows Registry Editor Version 5.00");
    assert!(lines.iter().all(|line| !line.contains('\n')), "{text}");
    let key = lines
        .iter()
        .position(|line| line.ends_with("\\EventForwarding\\SubscriptionManager]"));
    assert_eq!(lines[key.unwrap() + 1], format!("\"3\"=\"{MANAGER}\""));
}

#[test]
fn hosts_with_certificates_get_the_authority_and_its_thumbprint() {
    let dir = TempDir::new();
    let root = Issued::root("O'Hara");
    let (ca, _) = root.write(&dir, "ca");
    let (certificate, key) = root
        .issue("collector.example.test", Use::Server, 30)
        .write(&dir, "own");
    let tls = [
        "--tls-cert",
        &certificate,
        "--tls-key",
        &key,
        "--client-ca",
        &ca,
    ];
    let flags = [&["--listen", "https://0.0.0.0:5986"], &tls[..]].concat();
    let print = Command::new("openssl")
        .args(["x509", "-noout", "-fingerprint", "-sha1", "-in", &ca])
        .output()
        .expect("openssl: scripts/peers installs it");
    let print = String::from_utf8(print.stdout).unwrap();
    let print = print.trim().split('=').nth(1).unwrap().replace(':', "");
    let (policy, log, _) = windows(&[&flags[..], &["--form", "policy"]].concat());
    assert!(
        policy.ends_with(&format!(",IssuerCA={print}\n")),
        "{policy}{log}"
    );
    assert!(
        policy.starts_with("Server=https://collector.example.test:5986/"),
        "{policy}"
    );
    let (setup, _, _) = windows(&[&flags[..], &["--form", "powershell"]].concat());
    let pem = fs::read_to_string(&ca).unwrap();
    assert_all(
        &setup,
        &[pem.trim(), "[string] $Pfx", &format!("'{print}'")],
    );
    // The PEM is unchanged by YAML and by PowerShell's quoting.
    let (playbook, _, _) = windows(&[&flags[..], &["--form", "ansible"]].concat());
    let script = "[t['ansible.windows.win_powershell']['script'] for t in \
                  yaml.safe_load(text)[0]['tasks'] if 'ansible.windows.win_powershell' in t][0]";
    assert_all(
        &python(script, &playbook),
        &[pem.trim(), "Grant-Key $certificate"],
    );
    let (_, log, code) = windows(&[&flags[..], &["--issuer", "AA"]].concat());
    assert_eq!(code, Some(2));
    assert_all(&log, &["--issuer AA: no certificate in --client-ca"]);
}

#[test]
fn hosts_of_a_domain_get_the_name_of_the_keytab() {
    let kdc = Kdc::start("aes256-cts-hmac-sha1-96");
    kdc.add_service("HTTP/collector.example.test", "aes256-cts-hmac-sha1-96");
    let keytab = kdc.keytab();
    let both = ["--listen", "http://0.0.0.0:5985", "--keytab", &keytab];
    let (text, log, code) = windows(&both);
    assert_eq!(code, Some(0), "{log}");
    assert_all(
        &text,
        &[
            "hosts of a domain, by Kerberos",
            "Server=http://collector.example.test:5985/",
            "the keytab has no key of HOST/collector.example.test",
        ],
    );
    assert!(!text.contains("TrustedHosts"), "turns Kerberos off: {text}");
    let address = [&both[..], &["--hostname", "192.0.2.1"]].concat();
    let (_, log, code) = windows(&address);
    assert_eq!(code, Some(2));
    assert_all(
        &log,
        &[
            "cannot get a ticket for the address 192.0.2.1",
            "--hostname collector",
        ],
    );
    let several = [&both[..], &["--anonymous", "192.0.2.0/24", "--form", "reg"]].concat();
    let (_, log, code) = windows(&several);
    assert_eq!(code, Some(2));
    assert_all(&log, &["use --for domain or --for workgroup"]);
}

#[test]
fn what_the_flags_do_not_say_is_asked_for() {
    let nameless = [
        "--listen",
        "http://0.0.0.0:5985",
        "--anonymous",
        "192.0.2.0/24",
    ];
    let (text, log, code) = windows(&nameless);
    assert_eq!((text.as_str(), code), ("", Some(2)));
    assert_all(
        &log,
        &[
            "by which name do hosts reach this relay?",
            "--hostname NAME",
        ],
    );
    let (_, log, code) = windows(&[&WORKGROUP[..], &["--for", "certificate"]].concat());
    assert_eq!(code, Some(2));
    assert_all(
        &log,
        &[
            "--for certificate: no enabled method allows them",
            "--client-ca",
        ],
    );
    let dir = TempDir::new();
    let file = dir.file("wecrelay.toml");
    let text = "listen = [\"http://0.0.0.0:5985\"]\nanonymous = [\"192.0.2.0/24\"]\n\
                hostname = \"c.example.com\"\n";
    fs::write(&file, text).unwrap();
    let (text, log, _) = windows(&["--config", &file, "--form", "policy"]);
    assert_eq!(text, format!("{MANAGER}\n"), "{log}");
}
