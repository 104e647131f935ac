//! `wecrelay ca` from the user's point of view: the openssl command and the relay accept the
//! certificates that it issues, and reject those that it revokes.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};

use rustix::process::Signal;

use crate::support::{Relay, TempDir, run, wait_for};

const COLLECTOR: &str = "collector.example.com";

/// An authority in a separate folder.
struct Desk(TempDir);

impl Desk {
    /// With a certificate for the collector.
    fn new() -> Self {
        let desk = Self(TempDir::new());
        desk.ca(&["init"]);
        desk.ca(&["server", COLLECTOR, "127.0.0.1"]);
        desk
    }

    fn file(&self, name: &str) -> String {
        self.0.file(&format!("ca/{name}"))
    }

    fn try_ca(&self, arguments: &[&str]) -> Output {
        run(&[&["ca", "--dir", &self.file("")], arguments].concat())
    }

    #[track_caller]
    fn ca(&self, arguments: &[&str]) -> String {
        let output = self.try_ca(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Fails with exit code 2 and this message.
    #[track_caller]
    fn refuses(&self, arguments: &[&str], expected: &str) {
        let output = self.try_ca(arguments);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}: {said}");
        assert!(said.contains(expected), "{arguments:?}: {said}");
    }

    fn serial(&self, certificate: &str) -> String {
        let said = openssl(&["x509", "-noout", "-serial", "-in", &self.file(certificate)]);
        said.trim().strip_prefix("serial=").unwrap().to_owned()
    }

    fn verify(&self, arguments: &[&str], certificate: &str) -> Output {
        let strict = ["verify", "-x509_strict", "-CAfile"];
        let (authority, list) = (self.file("ca.pem"), self.file("crl.pem"));
        let revoked = ["-crl_check", "-CRLfile", &list];
        try_openssl(
            &[
                &strict[..],
                &[&authority],
                &revoked,
                arguments,
                &[&self.file(certificate)],
            ]
            .concat(),
        )
    }
}

fn try_openssl(arguments: &[&str]) -> Output {
    Command::new("openssl")
        .args(arguments)
        .output()
        .expect("openssl is missing: apt-get install openssl")
}

/// Both outputs of a command that must succeed.
#[track_caller]
fn openssl(arguments: &[&str]) -> String {
    let output = try_openssl(arguments);
    let both = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&both).into_owned();
    assert!(output.status.success(), "{arguments:?}: {said}");
    said
}

fn mode(path: &str) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn openssl_finds_the_chain_strictly_right() {
    let desk = Desk::new();
    desk.ca(&["host", "WS1.example.com"]);
    let host = "hosts/ws1.example.com.pem";
    let server = "servers/collector.example.com.pem";
    for (purpose, name, certificate, good) in [
        ("sslclient", "ws1.example.com", host, true),
        ("sslserver", "ws1.example.com", host, false),
        ("sslserver", COLLECTOR, server, true),
        ("sslserver", "other.example.com", server, false),
        ("sslclient", COLLECTOR, server, false),
    ] {
        let arguments = ["-purpose", purpose, "-verify_hostname", name];
        let output = desk.verify(&arguments, certificate);
        assert_eq!(
            output.status.success(),
            good,
            "{purpose} {name}: {output:?}"
        );
    }
    let address = desk.verify(&["-verify_ip", "127.0.0.1"], server);
    assert!(address.status.success(), "{address:?}");
    let authority = desk.file("ca.pem");
    let text = openssl(&["x509", "-noout", "-text", "-in", &authority]);
    for part in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign"] {
        assert!(text.contains(part), "{text}");
    }
    for secret in [
        "ca.key",
        "index.txt",
        "servers/collector.example.com.key",
        "hosts/ws1.example.com.pfx",
        "hosts/ws1.example.com.password",
    ] {
        assert_eq!(mode(&desk.file(secret)), 0o600, "{secret}");
    }
}

#[test]
fn a_pfx_opens_without_the_legacy_provider() {
    let desk = Desk::new();
    let given = desk.0.file("password");
    std::fs::write(&given, "gr\u{fc}n geheim\n").unwrap();
    desk.ca(&["host", "old.example.com"]);
    desk.ca(&["host", "new.example.com", "--pfx", "aes256"]);
    desk.ca(&["host", "given.example.com", "--password-file", &given]);
    for (host, cipher, mac) in [
        ("old", "pbeWithSHA1And3-KeyTripleDES-CBC", "MAC: sha1"),
        (
            "new",
            "AES-256-CBC, Iteration 10000, PRF hmacWithSHA256",
            "MAC: sha256",
        ),
    ] {
        let password = format!(
            "file:{}",
            desk.file(&format!("hosts/{host}.example.com.password"))
        );
        let pfx = desk.file(&format!("hosts/{host}.example.com.pfx"));
        let open = [
            "pkcs12",
            "-info",
            "-noout",
            "-in",
            &pfx,
            "-password",
            &password,
        ];
        let said = openssl(&open);
        assert_eq!(said.matches(cipher).count(), 2, "{said}");
        assert!(said.contains(mac), "{said}");
    }
    let pfx = desk.file("hosts/given.example.com.pfx");
    let open =
        |password: &str| try_openssl(&["pkcs12", "-noout", "-in", &pfx, "-password", password]);
    assert!(open(&format!("file:{given}")).status.success());
    assert!(!open("pass:wrong").status.success());
    assert!(!Path::new(&desk.file("hosts/given.example.com.password")).exists());
}

#[test]
fn nothing_is_overwritten_unasked() {
    let desk = Desk::new();
    desk.refuses(&["init"], "is not overwritten");
    desk.refuses(&["server", COLLECTOR], "--renew");
    desk.ca(&["host", "ws1.example.com"]);
    let first = desk.serial("hosts/ws1.example.com.pem");
    let revoke = format!("wecrelay ca revoke {first}");
    desk.refuses(&["host", "ws2.example.com", "ws1.example.com"], &revoke);
    // All names are checked before the first certificate is issued.
    assert!(!desk.ca(&["list"]).contains("ws2"));
    let said = desk.ca(&["host", "ws1.example.com", "--renew"]);
    assert!(said.contains(&revoke), "{said}");
    assert_ne!(desk.serial("hosts/ws1.example.com.pem"), first);
    std::fs::write(desk.file("hosts/ws3.example.com.pem"), "mine").unwrap();
    desk.refuses(&["host", "ws3.example.com"], "move it away");
    for (wrong, expected) in [
        (&["host", "../x"][..], "not a host name"),
        (&["host", "192.0.2.1"], "full computer name"),
        (&["server", "c:5986"], "not a host name"),
        (&["host", "x", "--days", "4000"], "use --days 36"),
        (&["host", "x", "--days", "0"], "0 is not in"),
        (&["revoke", "nobody"], "wecrelay ca list"),
        (&["policy", "nobody"], "wecrelay ca host nobody"),
        (&["policy", "--collector", "c:x"], "not a port"),
    ] {
        desk.refuses(wrong, expected);
    }
    let empty = Desk(TempDir::new());
    empty.refuses(&["host", "x"], "wecrelay ca init");
    empty.ca(&["init"]);
    empty.refuses(&["host", "x"], "--collector");
    std::fs::write(empty.file("index.txt"), "nonsense\n").unwrap();
    empty.refuses(&["list"], "line 1 is damaged");
}

#[test]
fn several_at_once_lose_no_certificate() {
    let desk = Desk::new();
    std::thread::scope(|scope| {
        for number in 0..8 {
            let desk = &desk;
            scope.spawn(move || desk.ca(&["host", &format!("ws{number}"), "--key", "p256"]));
        }
    });
    let list = desk.ca(&["list"]);
    for number in 0..8 {
        let serial = desk.serial(&format!("hosts/ws{number}.pem"));
        let line = format!("{serial}  ws{number}\n");
        assert!(list.contains(&line), "{number}: {list}");
    }
}

#[test]
fn the_list_says_what_ends_soon_and_what_is_revoked() {
    let desk = Desk::new();
    desk.ca(&["host", "short.example.com", "--days", "20"]);
    desk.ca(&["host", "lost.example.com"]);
    let serial = desk.serial("hosts/lost.example.com.pem");
    desk.ca(&["revoke", &serial.to_lowercase()]);
    let list = desk.ca(&["list"]);
    let state = |name: &str| {
        let line = list
            .lines()
            .find(|line| line.ends_with(&format!("  {name}")));
        line.unwrap_or_else(|| panic!("{list}"))
            .split("  ")
            .next()
            .unwrap()
            .to_owned()
    };
    assert_eq!(state("short.example.com"), "ends soon");
    assert_eq!(state("lost.example.com").trim(), "revoked");
    let renew = "to renew: wecrelay ca host short.example.com --renew";
    assert!(list.contains(renew), "{list}");
}

#[test]
fn each_revocation_list_has_a_higher_number() {
    let desk = Desk::new();
    let list = desk.file("crl.pem");
    let number = || openssl(&["crl", "-noout", "-crlnumber", "-in", &list]);
    assert_eq!(number().trim(), "crlNumber=0x01");
    desk.ca(&["crl", "--days", "30"]);
    assert_eq!(number().trim(), "crlNumber=0x02");
    openssl(&[
        "crl",
        "-noout",
        "-CAfile",
        &desk.file("ca.pem"),
        "-in",
        &list,
    ]);
}

#[test]
fn policy_and_script_name_the_authority_and_the_collector() {
    let desk = Desk::new();
    let authority = desk.file("ca.pem");
    let said = openssl(&["x509", "-noout", "-fingerprint", "-sha1", "-in", &authority]);
    let issuer = said.trim().rsplit('=').next().unwrap().replace(':', "");
    let server = "Server=https://collector.example.com:5986/wsman/SubscriptionManager/WEC";
    let policy = desk.ca(&["policy"]);
    assert_eq!(policy, format!("{server},Refresh=60,IssuerCA={issuer}\n"));
    let other = desk.ca(&["policy", "--collector", "c2:443", "--refresh", "3600"]);
    assert!(
        other.contains("//c2:443/") && other.contains("Refresh=3600"),
        "{other}"
    );
    desk.ca(&["host", "ws1.example.com"]);
    let script = std::fs::read_to_string(desk.file("hosts/ws1.example.com.ps1")).unwrap();
    assert_eq!(desk.ca(&["policy", "ws1.example.com"]), script);
    assert!(script.contains(policy.trim()), "{script}");
    // A host that gets a subscription before the restart sends its entire Security log.
    assert_stages(&script);
}

#[test]
fn scripts_for_hosts_end_before_the_restart_and_subscribe_after_it() {
    let form = ["windows", "--form", "powershell"];
    let flags = ["--hostname", COLLECTOR, "--anonymous", "192.0.2.0/24"];
    let output = run(&[&form[..], &flags].concat());
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    assert_stages(&String::from_utf8_lossy(&output.stdout));
}

/// First the rights, then an exit if a restart is required, and the subscription last.
fn assert_stages(script: &str) {
    let calls = ["Add-Reader", "Stop-BeforeRestart", "Set-Manager"];
    let last = calls.map(|call| {
        let lines = script.lines().map(str::trim_start);
        lines
            .enumerate()
            .filter(|(_, line)| line.contains(call))
            .map(|(at, _)| at)
            .last()
    });
    let [Some(rights), Some(end), Some(subscription)] = last else {
        panic!("not all of {calls:?} in {script}");
    };
    assert!(rights < end && end < subscription, "{script}");
}

#[test]
fn the_relay_lets_its_hosts_in_until_they_are_revoked() {
    let desk = Desk::new();
    desk.ca(&["host", "ws1.example.com", "ws2.example.com"]);
    let (certificate, key) = (
        desk.file("servers/collector.example.com.pem"),
        desk.file("servers/collector.example.com.key"),
    );
    let (authority, list) = (desk.file("ca.pem"), desk.file("crl.pem"));
    let own = ["--tls-cert", &certificate, "--tls-key", &key];
    let trusted = ["--client-ca", &authority, "--crl", &list];
    let relay = Relay::start_secure(&desk.0, &[own, trusted].concat());
    let ask = |host: &str| ask(&desk.0, &desk.file(""), relay.port(), host);
    let policy = desk.ca(&["policy"]);
    let issuer = policy.trim().rsplit('=').next().unwrap();
    for host in ["ws1.example.com", "ws2.example.com"] {
        let (good, said) = ask(host);
        let plain = said.replace('\0', "");
        assert!(
            good && plain.contains(issuer),
            "{said}\n{}",
            relay.process.log()
        );
    }
    desk.ca(&["revoke", "ws2.example.com"]);
    relay.process.signal(Signal::HUP);
    wait_for("the reload", || {
        relay.process.log().contains("info: reloaded").then_some(())
    });
    let (good, said) = ask("ws2.example.com");
    assert!(!good, "{said}");
    // The host may get the answer before it is logged.
    wait_for("the refusal in the log", || {
        let log = relay.process.log();
        let mut lines = log.lines();
        let told =
            lines.any(|line| line.contains("CN=ws2.example.com") && line.contains("revoked"));
        told.then_some(())
    });
    assert!(ask("ws1.example.com").0, "{}", relay.process.log());
    let log = relay.process.log();
    for notice in ["no list of", "chmod"] {
        assert!(!log.contains(notice), "{log}");
    }
}

#[test]
fn an_authority_of_the_same_name_without_a_list_is_told() {
    let (desk, other) = (Desk::new(), Desk::new());
    let bundle = desk.0.file("both.pem");
    let pems = [&desk, &other].map(|desk| std::fs::read(desk.file("ca.pem")).unwrap());
    std::fs::write(&bundle, pems.concat()).unwrap();
    let (certificate, key) = (
        desk.file("servers/collector.example.com.pem"),
        desk.file("servers/collector.example.com.key"),
    );
    let own = ["--tls-cert", &certificate, "--tls-key", &key];
    let trusted = ["--client-ca", &bundle, "--crl", &desk.file("crl.pem")];
    let relay = Relay::start_secure(&desk.0, &[own, trusted].concat());
    // It is logged before the relay listens.
    let log = relay.process.log();
    assert_eq!(log.matches("no list of CN=wecrelay CA").count(), 1, "{log}");
}

/// The relay's answer to a host that has only the files in the authority's folder.
fn ask(dir: &TempDir, ca: &str, port: u16, host: &str) -> (bool, String) {
    let (pfx, pem) = (
        format!("{ca}/hosts/{host}.pfx"),
        dir.file(&format!("{host}.both")),
    );
    let password = format!("file:{ca}/hosts/{host}.password");
    let from = ["pkcs12", "-nodes", "-in", &pfx, "-password", &password];
    openssl(&[&from[..], &["-out", &pem]].concat());
    let body = dir.file("body");
    std::fs::write(&body, enumerate()).unwrap();
    let url = format!("https://{COLLECTOR}:{port}/wsman");
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--max-time",
            "20",
            "--noproxy",
            "*",
        ])
        .args(["--cacert", &format!("{ca}/ca.pem"), "--cert", &pem])
        .args([
            "--connect-to",
            "::127.0.0.1:",
            "--data-binary",
            &format!("@{body}"),
        ])
        .args([
            "-H",
            "Content-Type: application/soap+xml;charset=UTF-8",
            &url,
        ])
        .output()
        .expect("curl is missing: apt-get install curl");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    (output.status.success(), said)
}

/// The commands in docs/certificates.md, from creating the authority to revocation, unchanged.
fn steps() -> Vec<String> {
    let chapter = include_str!("../../docs/certificates.md");
    let begin = chapter.find("    wecrelay ca init").unwrap();
    let end = chapter.find("`wecrelay ca list` shows").unwrap();
    let lines = chapter[begin..end].lines();
    let commands = lines.filter_map(|line| line.strip_prefix("    "));
    let is_ours = |line: &&str| {
        ["wecrelay ca ", "sudo "]
            .iter()
            .any(|begin| line.starts_with(begin))
    };
    commands.filter(is_ours).map(str::to_owned).collect()
}

/// A simulated machine with `wecrelay`, `sudo` and `systemctl`.
struct Shell<'a> {
    dir: &'a TempDir,
    /// The user of the service.
    user: &'static str,
}

impl<'a> Shell<'a> {
    fn new(dir: &'a TempDir) -> Self {
        let write = |name: &str, text: &str| {
            let path = dir.file(&format!("bin/{name}"));
            std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
            let mode = std::fs::Permissions::from_mode(0o755);
            std::fs::set_permissions(&path, mode).unwrap();
        };
        std::fs::create_dir(dir.file("bin")).unwrap();
        write(
            "wecrelay",
            &format!("exec {} \"$@\"", env!("CARGO_BIN_EXE_wecrelay")),
        );
        write("sudo", "exec \"$@\"");
        let pid = dir.file("pid");
        write(
            "systemctl",
            &format!("[ \"$*\" = 'reload wecrelay' ] && kill -HUP \"$(cat {pid})\""),
        );
        // Only root can create folders for other users.
        let user = if rustix::process::geteuid().is_root() {
            "-o nobody -g nogroup"
        } else {
            ""
        };
        Self { dir, user }
    }

    #[track_caller]
    fn run(&self, step: &str) {
        let own = step
            .replace("-o wecrelay -g wecrelay", self.user)
            .replace("/etc/wecrelay/tls", &self.dir.file("tls"));
        let path = format!(
            "{}:{}",
            self.dir.file("bin"),
            std::env::var("PATH").unwrap()
        );
        let output = Command::new("sh")
            .args(["-ec", &own])
            .env("PATH", path)
            .current_dir(self.dir.path())
            .output()
            .unwrap();
        assert!(output.status.success(), "{own}: {output:?}");
    }
}

#[test]
fn the_steps_of_the_readme_keep_a_lost_host_out() {
    let dir = TempDir::new();
    let shell = Shell::new(&dir);
    let steps = steps();
    let revoke = steps
        .iter()
        .position(|step| step.contains(" revoke "))
        .unwrap();
    let (before, after) = steps.split_at(revoke);
    assert!(
        (5..9).contains(&before.len()) && after.len() == 2,
        "{steps:#?}"
    );
    before.iter().for_each(|step| shell.run(step));
    let tls = |name: &str| dir.file(&format!("tls/{name}"));
    let owner = std::fs::metadata(tls("")).unwrap().uid();
    let files = [
        "ca.pem",
        "crl.pem",
        "collector.example.com.pem",
        "collector.example.com.key",
    ];
    for name in files {
        assert_eq!(mode(&tls(name)), 0o600, "{name}");
        assert_eq!(std::fs::metadata(tls(name)).unwrap().uid(), owner, "{name}");
    }
    assert!(
        !Path::new(&tls("ca.key")).exists(),
        "the authority's key stays where it is"
    );
    let [authority, list, certificate, key] = files.map(tls);
    let own = ["--tls-cert", &certificate, "--tls-key", &key];
    let trusted = ["--client-ca", &authority, "--crl", &list];
    let relay = Relay::start_secure(&dir, &[own, trusted].concat());
    std::fs::write(dir.file("pid"), relay.process.pid().to_string()).unwrap();
    let ca = dir.file("wecrelay-ca");
    let (good, said) = ask(&dir, &ca, relay.port(), "ws1.example.com");
    assert!(good, "{said}");
    after.iter().for_each(|step| shell.run(step));
    wait_for("the reload", || {
        relay.process.log().contains("info: reloaded").then_some(())
    });
    assert!(
        !ask(&dir, &ca, relay.port(), "ws1.example.com").0,
        "{}",
        relay.process.log()
    );
    assert_eq!(std::fs::metadata(&list).unwrap().uid(), owner);
}

#[test]
fn installing_needs_a_folder_and_says_how_to_make_it() {
    let desk = Desk::new();
    let nowhere = desk.0.file("nowhere");
    desk.refuses(&["crl", "--install", &nowhere], "install -d -o wecrelay");
    desk.refuses(&["list", "--install", &nowhere], "--install goes with");
}

fn enumerate() -> String {
    let soap = "http://www.w3.org/2003/05/soap-envelope";
    let addressing = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
    let enumeration = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
    format!(
        "<s:Envelope xmlns:s=\"{soap}\" xmlns:a=\"{addressing}\" xmlns:n=\"{enumeration}\"><s:Header>\
         <a:To>https://{COLLECTOR}:5986/wsman</a:To><a:Action>{enumeration}/Enumerate</a:Action>\
         <a:MessageID>uuid:1</a:MessageID></s:Header><s:Body><n:Enumerate/></s:Body></s:Envelope>"
    )
}
