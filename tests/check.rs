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
