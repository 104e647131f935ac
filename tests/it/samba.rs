//! Subscriptions by domain groups with Samba's domain controller: tickets of real computer
//! accounts, with a PAC that the controller signed.
//!
//! `scripts/test-samba` creates the domain and runs these tests in it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use uuid::Uuid;
use wecrelay::protocol::wsman::source::{self, Offered, Sender};

use crate::support::{Relay, TempDir};

const EVENT: &str = "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'><System>\
    <Provider Name='P'/><EventID>1</EventID><TimeCreated SystemTime='2026-01-02T03:04:05Z'/>\
    <EventRecordID>7</EventRecordID><Channel>Security</Channel><Computer>web1</Computer>\
    </System></Event>";

/// The domain that `scripts/test-samba` has created.
struct Domain {
    folder: PathBuf,
}

impl Domain {
    #[track_caller]
    fn get() -> Self {
        let folder = std::env::var_os("WECRELAY_SAMBA");
        let folder = folder.unwrap_or_else(|| panic!("no domain here: run scripts/test-samba"));
        Self {
            folder: folder.into(),
        }
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn keytab(&self, name: &str) -> String {
        self.file("keytabs").join(name).to_str().unwrap().to_owned()
    }

    /// The SID of an account or a group.
    #[track_caller]
    fn sid(&self, name: &str) -> String {
        let list = fs::read_to_string(self.file("sids")).unwrap();
        let mut lines = list.lines().filter_map(|line| line.split_once('\t'));
        let known = lines.find(|(known, _)| *known == name);
        let (_, sid) = known.unwrap_or_else(|| panic!("no {name} in the domain"));
        sid.to_owned()
    }

    /// A computer of the domain, logged on.
    #[track_caller]
    fn host<'a>(&'a self, name: &'a str, dir: &'a TempDir) -> Host<'a> {
        let host = Host {
            domain: self,
            name,
            dir,
        };
        let output = host
            .command("kinit")
            .args(["-k", "-t", &self.keytab(name), &format!("{name}$")])
            .output()
            .unwrap();
        assert!(output.status.success(), "kinit {name}: {output:?}");
        host
    }
}

/// A computer with its tickets. curl sends its requests, whose contents are as from Windows.
struct Host<'a> {
    domain: &'a Domain,
    name: &'a str,
    dir: &'a TempDir,
}

impl Host<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let tickets = self.dir.file(&format!("{}.tickets", self.name));
        command
            .env("KRB5_CONFIG", self.domain.file("krb5.conf"))
            .env("KRB5CCNAME", format!("FILE:{tickets}"));
        command
    }

    /// Status and text of the answer to a message.
    #[track_caller]
    fn post(&self, url: &str, message: &str) -> (u16, String) {
        let file = self.dir.file("message");
        fs::write(&file, message).unwrap();
        let output = self
            .command("curl")
            .args(["-s4", "--max-time", "20", "--noproxy", "*"])
            .args(["--negotiate", "-u", ":", "-w", "\n%{http_code}"])
            .args(["-H", "Content-Type: application/soap+xml;charset=UTF-8"])
            .args(["--data-binary", &format!("@{file}"), url])
            .output()
            .unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        let (text, status) = text.rsplit_once('\n').unwrap();
        (status.parse().unwrap(), text.to_owned())
    }

    /// The subscriptions that it is offered.
    #[track_caller]
    fn enumerate(&self, relay: &Relay, service: &str) -> Vec<Offered> {
        let message = Uuid::from_u128(1);
        let url = format!(
            "http://{service}:{}/wsman/SubscriptionManager/WEC",
            relay.port()
        );
        let text = source::enumerate(&self.sender(&url, message));
        let (status, answer) = self.post(&url, &text);
        assert_eq!(status, 200, "{}: {}", self.name, relay.process.log());
        source::parse_enumerate_response(&answer, message)
            .unwrap()
            .offered
    }

    /// Delivers one event to a subscription; the status of the answer.
    #[track_caller]
    fn deliver(&self, offered: &Offered) -> u16 {
        let sender = self.sender(&offered.notify_to, Uuid::from_u128(2));
        let text = source::events(&sender, &offered.reference, None, [EVENT]);
        self.post(&offered.notify_to, &text).0
    }

    fn sender<'a>(&'a self, to: &'a str, message: Uuid) -> Sender<'a> {
        Sender {
            to,
            machine: self.name,
            locale: "en-US",
            session: Uuid::from_u128(3),
            message,
            operation: Uuid::from_u128(4),
            timeout: Duration::from_secs(60),
            max_envelope_size: 512_000,
        }
    }
}

/// A subscription file; without `sddl`, it is for every host.
fn subscription(dir: &TempDir, name: &str, sddl: Option<&str>) {
    let access = sddl.map_or(String::new(), |sddl| {
        format!("<AllowedSourceDomainComputers>{sddl}</AllowedSourceDomainComputers>")
    });
    let text = format!(
        "<Subscription xmlns=\"http://schemas.microsoft.com/2006/03/windows/events/subscription\">\
         <SubscriptionId>{name}</SubscriptionId>\
         <SubscriptionType>SourceInitiated</SubscriptionType>\
         <Query><![CDATA[<QueryList><Query Id=\"0\"><Select Path=\"Security\">*</Select></Query>\
         </QueryList>]]></Query>{access}</Subscription>"
    );
    let folder = dir.file("subscriptions");
    fs::create_dir_all(&folder).unwrap();
    fs::write(Path::new(&folder).join(format!("{name}.xml")), text).unwrap();
}

/// A relay with the subscriptions of the folder and the keys of a service.
#[track_caller]
fn start(domain: &Domain, dir: &TempDir, service: &str) -> Relay {
    let output = format!("file:{}", dir.file("events"));
    let arguments = [
        "--keytab",
        &domain.keytab(service),
        "--kerberos-rc4",
        "--allow-unencrypted",
        "--subscription",
        &dir.file("subscriptions"),
        "--output",
        &output,
    ];
    Relay::start(dir, &arguments)
}

fn names(offered: &[Offered]) -> Vec<&str> {
    offered.iter().map(|offered| &*offered.name).collect()
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn subscriptions_go_to_the_groups_that_they_name() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    let (web, banned) = (domain.sid("WebServers"), domain.sid("Banned"));
    for (name, sddl) in [
        ("all", None),
        ("any", Some("D:(A;;GA;;;AU)".to_owned())),
        (
            "computers",
            Some("O:NSG:NSD:(A;;GA;;;DC)(A;;GA;;;NS)".to_owned()),
        ),
        ("controllers", Some("O:NSG:NSD:(A;;GA;;;DD)".to_owned())),
        ("none", Some("O:NSG:NSD:".to_owned())),
        (
            "not-banned",
            Some(format!("O:NSG:NSD:(D;;GA;;;{banned})(A;;GA;;;DC)")),
        ),
        ("one", Some(format!("D:(A;;GR;;;{})", domain.sid("web2$")))),
        ("web", Some(format!("O:NSG:NSD:(A;;GA;;;{web})"))),
    ] {
        subscription(&dir, name, sddl.as_deref());
    }
    let relay = start(&domain, &dir, "collector");
    for (host, expected) in [
        ("web1", vec!["all", "any", "computers", "not-banned", "web"]),
        ("web2", vec!["all", "any", "computers", "not-banned", "one"]),
        ("web3", vec!["all", "any", "computers", "web"]),
        ("dc1", vec!["all", "any", "controllers"]),
    ] {
        let offered = domain.host(host, &dir).enumerate(&relay, "localhost");
        assert_eq!(names(&offered), expected, "{host}");
    }
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn events_carry_the_account_that_the_controller_names() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    subscription(&dir, "computers", Some("D:(A;;GA;;;DC)"));
    let mut relay = start(&domain, &dir, "collector");
    let host = domain.host("web1", &dir);
    let offered = host.enumerate(&relay, "localhost");
    let sid = domain.sid("web1$");
    let line = relay.process.wait_for_log("enumerated for the first time");
    assert!(line.contains(&format!("web1$@RELAY.TEST, {sid}")), "{line}");
    assert_eq!(host.deliver(&offered[0]), 200);
    let event = fs::read_to_string(dir.file("events")).unwrap();
    let facts = format!("Identity=\"web1$@RELAY.TEST\" AccountSid=\"{sid}\" Auth=\"kerberos\"");
    assert!(event.contains(&facts), "{event}");
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn what_a_host_may_not_have_it_may_not_deliver_to() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    let (web, banned) = (domain.sid("WebServers"), domain.sid("Banned"));
    let sddl = format!("O:NSG:NSD:(D;;GA;;;{banned})(A;;GA;;;{web})");
    subscription(&dir, "web", Some(&sddl));
    let mut relay = start(&domain, &dir, "collector");
    let member = domain.host("web1", &dir);
    let offered = member.enumerate(&relay, "localhost");
    assert_eq!(member.deliver(&offered[0]), 200);
    assert_eq!(domain.host("web2", &dir).deliver(&offered[0]), 403);
    let line = relay.process.wait_for_log("is not for this host");
    assert!(line.ends_with("none of its SIDs is allowed"), "{line}");
    assert_eq!(domain.host("web3", &dir).deliver(&offered[0]), 403);
    let events = fs::read_to_string(dir.file("events")).unwrap();
    assert_eq!(events.matches("AccountSid=").count(), 1, "{events}");
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn who_may_have_nothing_is_told_why_once() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    let web = domain.sid("WebServers");
    subscription(&dir, "web", Some(&format!("D:(A;;GA;;;{web})")));
    let mut relay = start(&domain, &dir, "collector");
    let host = domain.host("web2", &dir);
    for _ in 0..2 {
        assert_eq!(names(&host.enumerate(&relay, "localhost")), [""; 0]);
    }
    let line = relay.process.wait_for_log("no subscription is for it");
    for part in [
        "web2$@RELAY.TEST",
        &domain.sid("web2$"),
        "Domain Computers (S-1-5-21-",
        "refused: \"web\" (none of its SIDs is allowed)",
    ] {
        assert!(line.contains(part), "{part} in {line}");
    }
    assert_eq!(
        relay
            .process
            .log()
            .matches("no subscription is for it")
            .count(),
        1
    );
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn a_pac_that_is_signed_with_rc4_counts_too() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    let web = domain.sid("WebServers");
    subscription(&dir, "web", Some(&format!("D:(A;;GA;;;{web})")));
    let relay = start(&domain, &dir, "old");
    let offered = domain.host("web1", &dir).enumerate(&relay, "old.localhost");
    assert_eq!(names(&offered), ["web"]);
    let offered = domain.host("web2", &dir).enumerate(&relay, "old.localhost");
    assert_eq!(names(&offered), [""; 0]);
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn without_a_pac_a_host_is_an_account_and_no_more() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    subscription(&dir, "any", Some("D:(A;;GA;;;AU)"));
    subscription(&dir, "computers", Some("D:(A;;GA;;;DC)"));
    let relay = start(&domain, &dir, "bare");
    let host = domain.host("web1", &dir);
    assert_eq!(names(&host.enumerate(&relay, "bare.localhost")), ["any"]);
    drop(relay);
    fs::remove_file(Path::new(&dir.file("subscriptions")).join("any.xml")).unwrap();
    let mut relay = start(&domain, &dir, "bare");
    assert_eq!(names(&host.enumerate(&relay, "bare.localhost")), [""; 0]);
    let line = relay.process.wait_for_log("no subscription is for it");
    assert!(line.contains("NO_AUTH_DATA_REQUIRED"), "{line}");
}

/// A relay that verifies accounts through `ntlm_auth` and the controller's winbindd.
#[track_caller]
fn start_ntlm(domain: &Domain, dir: &TempDir) -> Relay {
    let folder = domain.folder.to_str().unwrap();
    // The program uses a fixed path for winbindd's pipe: mount this domain's pipe there, in a
    // separate namespace.
    let text = format!(
        "mkdir -p /run/samba/winbindd\n\
         mount --bind '{folder}/samba/run/winbindd' /run/samba/winbindd\n\
         exec ntlm_auth --helper-protocol=ntlm-server-1 --configfile='{folder}/smb.conf'\n"
    );
    let script = dir.file("helper.sh");
    fs::write(&script, text).unwrap();
    let root = if rustix::process::getuid().is_root() {
        ""
    } else {
        "sudo -n "
    };
    let helper = format!("{root}unshare -m sh -e '{script}'");
    let output = format!("file:{}", dir.file("events"));
    let own = ["--ntlm-helper", &helper, "--output", &output];
    Relay::start(
        dir,
        &[&own[..], &["--require-computer-match=mark"]].concat(),
    )
}

/// Sends the samples as this account, in sealed bodies. `Err` contains the error message.
fn send(dir: &TempDir, relay: &Relay, account: &str, password: &str) -> Result<(), String> {
    let file = dir.file("password");
    fs::write(&file, format!("{password}\n")).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_wecrelay"))
        .args(["send", &relay.url(), "--machine", "web1.relay.test"])
        .args(["--user", account, "--password-file", &file])
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    output.status.success().then_some(()).ok_or(text)
}

impl Domain {
    /// The password of an account.
    #[track_caller]
    fn password(&self, name: &str) -> String {
        let list = fs::read_to_string(self.file("passwords")).unwrap();
        let mut lines = list.lines().filter_map(|line| line.split_once(' '));
        let known = lines.find(|(known, _)| *known == name);
        known
            .unwrap_or_else(|| panic!("no password of {name}"))
            .1
            .to_owned()
    }
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn machine_accounts_come_over_ntlm_too() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    let relay = start_ntlm(&domain, &dir);
    let password = domain.password("web1$");
    let accounts = ["RELAY\\web1$", "relay.test\\WEB1$", "web1$@RELAY.TEST"];
    for account in accounts {
        send(&dir, &relay, account, &password)
            .unwrap_or_else(|error| panic!("{account}: {error}{}", relay.process.log()));
    }
    let events = fs::read_to_string(dir.file("events")).unwrap();
    for account in accounts {
        // On lines a backslash of a value is doubled, and then escaped (RFC 5424 6.3.3).
        let identity = format!("Identity=\"{}\"", account.replace('\\', &"\\".repeat(4)));
        assert_eq!(events.matches(&identity).count(), 4, "{events}");
    }
    assert_eq!(events.matches("Auth=\"ntlm-domain\"").count(), 12);
    assert!(!events.contains("ComputerMismatch"), "{events}");
    // Another host with its own password but another host's name.
    send(&dir, &relay, "RELAY\\web2$", &domain.password("web2$")).unwrap();
    let events = fs::read_to_string(dir.file("events")).unwrap();
    assert_eq!(events.matches("ComputerMismatch=\"web2\"").count(), 4);
}

#[test]
#[ignore = "scripts/test-samba makes the domain that it needs"]
fn the_controller_has_the_word_on_ntlm_accounts() {
    let (domain, dir) = (Domain::get(), TempDir::new());
    let mut relay = start_ntlm(&domain, &dir);
    let password = domain.password("web1$");
    for (account, password) in [
        ("RELAY\\web1$", "wrong"),
        ("RELAY\\nobody$", "wrong"),
        ("BOGUS\\web1$", &password),
    ] {
        let error = send(&dir, &relay, account, password).unwrap_err();
        assert!(
            error.contains("rejects the logon with 401"),
            "{account}: {error}"
        );
    }
    relay.process.wait_for_log(
        "the domain rejects account 'RELAY\\web1$', workstation 'WEB1': wrong password",
    );
    assert!(!relay.process.log().contains("cannot be verified"));
    assert!(
        !Path::new(&dir.file("events")).exists()
            || fs::read(dir.file("events")).unwrap().is_empty()
    );
    send(&dir, &relay, "RELAY\\web1$", &password).unwrap();
}
