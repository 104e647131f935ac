//! Computer and the authenticated host: `ACME\host` with the password in the file.

use std::rc::Rc;

use super::host::{Host, event};
use super::pair::{Pair, settings};
use crate::collector::{ComputerRule, Mismatch};
use crate::connection::RefusalKind;
use crate::files::accounts::Users;

fn pair(mismatch: Mismatch, exempt: &[&str]) -> (Pair, Host) {
    let mut settings = settings();
    settings.computers = Some(ComputerRule {
        mismatch,
        exempt: exempt.iter().map(|text| (*text).to_owned()).collect(),
    });
    let mut pair = Pair::with_settings(&["tcp://receiver"], settings, 1);
    let mut host = Host::with_password("host.acme.example", "password");
    pair.enumerate(&mut host);
    (pair, host)
}

fn events(computers: &[&str]) -> Vec<String> {
    (1..)
        .zip(computers)
        .map(|(record, computer)| event(computer, record, 0))
        .collect()
}

#[test]
fn a_batch_with_a_forged_name_is_refused_whole_and_stays_with_its_source() {
    let (mut pair, mut host) = pair(Mismatch::Refuse, &[]);
    pair.post_of(&mut host, &events(&["host.acme.example", "HOST"]), None);
    assert_eq!(pair.answer(&host), Some(200));
    for _ in 0..2 {
        let forged = events(&["host.acme.example", "dc01.acme.example"]);
        pair.post_of(&mut host, &forged, None);
        assert_eq!(pair.answer(&host), Some(403));
    }
    assert_eq!(
        pair.outputs[0].records(),
        [1, 2],
        "nothing of the forged batch"
    );
    assert!(!pair.outputs[0].text().contains("dc01"));
    let broken = event("dc01.acme.example", 5, 0).replace("</Event>", "");
    pair.post_of(&mut host, &[broken], None);
    assert_eq!(
        pair.answer(&host),
        Some(403),
        "nor in an event that is broken"
    );
    let counters = pair.collector.counters();
    assert_eq!(counters.refusals.get(&RefusalKind::Computer), Some(&3));
    assert_eq!((counters.batches, counters.mismatches), (1, 3));
}

#[test]
fn a_claimed_domain_does_not_make_an_account_another_host() {
    for domain in [
        "",
        "X\\host/dc01.acme.example/",
        "X\\DC01.",
        "dc01.acme.example",
    ] {
        let mut settings = settings();
        let users = "host:{NT}8846f7eaee8fb117ad06bdd830b7586c\n";
        let users = Users::parse(users, "users".as_ref()).unwrap();
        settings.rules.auth.accounts = Rc::new(users);
        settings.computers = Some(ComputerRule {
            mismatch: Mismatch::Refuse,
            exempt: Vec::new(),
        });
        let mut pair = Pair::with_settings(&["tcp://receiver"], settings, 1);
        let mut host = Host::with_password("host.acme.example", "password");
        host.domain = domain;
        pair.enumerate(&mut host);
        for forged in ["dc01.acme.example", "DC01", "X"] {
            pair.post_of(&mut host, &events(&[forged]), None);
            assert_eq!(pair.answer(&host), Some(403), "{domain}: {forged}");
        }
        pair.post_of(&mut host, &events(&["host.acme.example"]), None);
        assert_eq!(pair.answer(&host), Some(200), "{domain}");
        let text = pair.outputs[0].text();
        assert_eq!(pair.outputs[0].records(), [1], "{domain}: {text}");
        assert!(!text.to_lowercase().contains("dc01"), "{text}");
    }
}

#[test]
fn a_forged_name_is_marked_with_the_real_one() {
    let (mut pair, mut host) = pair(Mismatch::Mark, &[]);
    let forged = events(&["host.acme.example", "dc01.acme.example"]);
    pair.post_of(&mut host, &forged, None);
    assert_eq!(pair.answer(&host), Some(200));
    let text = pair.outputs[0].text();
    let marks: Vec<_> = text.match_indices("ComputerMismatch=\"host\"").collect();
    assert_eq!(marks.len(), 1, "{text}");
    assert!(text.find("dc01").unwrap() < marks[0].0);
    assert_eq!(pair.collector.counters().mismatches, 1);
}

#[test]
fn a_collector_between_may_forward_for_others() {
    let (mut pair, mut host) = pair(Mismatch::Refuse, &["acme\\h*"]);
    pair.post_of(&mut host, &events(&["dc01.acme.example"]), None);
    assert_eq!(pair.answer(&host), Some(200));
    assert!(!pair.outputs[0].text().contains("ComputerMismatch"));
}

#[test]
fn null_sessions_have_nothing_to_compare_with() {
    let (mut pair, _) = pair(Mismatch::Mark, &[]);
    let mut host = pair.host("a.example.com");
    pair.post_of(&mut host, &events(&["b.example.com"]), None);
    assert_eq!(pair.answer(&host), Some(200));
    let text = pair.outputs[0].text();
    assert!(text.contains("Auth=\"ntlm-anonymous\""), "{text}");
    assert!(!text.contains("ComputerMismatch"), "{text}");
}
