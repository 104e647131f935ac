//! `wecrelay check` says what would run, and refuses what would not, without doing anything.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    reason = "test code may panic and use files"
)]

mod support;

use std::fs;
use std::net::TcpListener;
use support::{TempDir, run};

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
fn what_would_run_is_said_in_words_and_nothing_is_done() {
    let dir = TempDir::new();
    // A port that is taken is no matter: nothing listens.
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
    assert_eq!(
        String::from_utf8(output.stdout).unwrap(),
        format!(
            "listens on:\n  http://{address}\n\
             lets in:\n  hosts of 192.0.2.0/24 without a credential\n\
             offers:\n  \"Logons\": Security\n    accounts of a domain: members of Domain \
             Computers of the host's own domain, Network Service (no host) may subscribe; nobody \
             else\n\
             sends to:\n  file:{events}\n\
             stores in:\n  {state}\n"
        )
    );
    assert!(log.contains("binds accounts of a domain only"), "{log}");
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

/// The sample lets nobody in, says so, and starts once one flag is added.
#[test]
fn the_sample_file_runs_with_one_flag_more() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/contrib/wecrelay.toml");
    let output = run(&["check", "--config", file]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{error}");
    assert!(error.contains("nobody could get in"), "{error}");
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
            "1: there is no flag \"chanel\"; did you mean \"channel\"?",
        ),
        ("\nbom = 1", "2: bom is a number; allowed is true or false"),
        ("\n\nmessage = 'yaml'", "3: invalid value 'yaml'"),
        (
            "listen = [\n  'http://127.0.0.1:0',\n  'ftp://x' ]",
            "3: --listen ftp://x: allowed are http",
        ),
        ("users = 'nowhere'", "1: --users "),
        ("= 1", "1: no TOML: "),
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
