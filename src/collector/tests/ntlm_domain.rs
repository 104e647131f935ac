//! Accounts that only their domain can verify.

use std::rc::Rc;

use super::host::Host;
use super::pair::{ADDRESS, Pair, settings};
use crate::auth::Verdict;
use crate::client::{Endpoint, Session};
use crate::collector::{ConnId, Input};
use crate::files::accounts::Users;
use crate::metrics::Outcome;
use crate::protocol::ntlm::crypto::{self, NtHash};

const METHOD: &str = "ntlm-domain";

/// A collector without local accounts.
fn pair() -> Pair {
    let mut settings = settings();
    settings.rules.auth.domain = true;
    settings.rules.auth.accounts = Rc::new(Users::default());
    Pair::with_settings(&["relp://receiver"], settings, 1)
}

/// A source that waits for its domain's verdict.
#[track_caller]
fn ask(pair: &mut Pair) -> ConnId {
    let host = Host::with_password("a.example.com", "Password");
    let endpoint = Endpoint {
        authority: "c".to_owned(),
        path: "/wsman".to_owned(),
        secure: false,
    };
    let mut session = Session::new(endpoint, host.client());
    session.call("<not-soap/>");
    let conn = pair.connect(ADDRESS, Some(session));
    pair.drive();
    assert_eq!(std::mem::take(&mut pair.asked), [conn]);
    conn
}

fn proven(pair: &Pair, conn: ConnId) -> Verdict {
    let question = pair.collector.question(conn).unwrap();
    let (proof, _) = question.response.split_first_chunk::<16>().unwrap();
    let key = NtHash::from_password("Password").response_key(&question.user, &question.domain);
    Verdict::Proven(crypto::ntlmv2_key(&key, proof))
}

fn judge(pair: &mut Pair, conn: ConnId, verdict: &Verdict) {
    pair.handle(&Input::Judged(conn, verdict));
    pair.drive();
}

#[test]
fn what_the_domain_proves_is_answered_and_counted() {
    let mut pair = pair();
    let conn = ask(&mut pair);
    assert_eq!(pair.peer(conn).statuses(), [401]);
    let verdict = proven(&pair, conn);
    judge(&mut pair, conn, &verdict);
    // Not SOAP, but an answer to an authenticated source, encrypted for it.
    assert_eq!(pair.peer(conn).statuses().len(), 2);
    assert!(!pair.peer(conn).broken);
    assert_eq!(pair.peer(conn).replies.len(), 1);
    let counted = &pair.collector.counters().authentications;
    assert_eq!(counted.get(&(METHOD, Outcome::Accepted)), Some(&1));
    assert_eq!(counted.len(), 1);
}

#[test]
fn an_outage_does_not_block_anybody() {
    let mut pair = pair();
    let down = Verdict::Unavailable("no logon servers".into());
    for _ in 0..20 {
        let conn = ask(&mut pair);
        judge(&mut pair, conn, &down);
        assert_eq!(pair.peer(conn).statuses(), [401, 401]);
    }
    let counted = &pair.collector.counters().authentications;
    assert_eq!(counted.get(&(METHOD, Outcome::Unavailable)), Some(&20));
    let conn = ask(&mut pair);
    let verdict = proven(&pair, conn);
    judge(&mut pair, conn, &verdict);
    assert_eq!(pair.peer(conn).replies.len(), 1);
}

#[test]
fn guesses_are_counted_whether_their_answer_is_waited_for_or_not() {
    let mut pair = pair();
    let no = Verdict::Refused("wrong password".into());
    for guess in 0..10 {
        let conn = ask(&mut pair);
        if guess % 2 == 0 {
            pair.close(conn);
        }
        judge(&mut pair, conn, &no);
    }
    let counted = &pair.collector.counters().authentications;
    assert_eq!(counted.get(&(METHOD, Outcome::Refused)), Some(&5));
    let conn = knock(&mut pair);
    assert_eq!(pair.peer(conn).statuses(), [401, 429]);
    assert!(pair.asked.is_empty());
}

/// A source that has sent its account.
fn knock(pair: &mut Pair) -> ConnId {
    let host = Host::with_password("a.example.com", "Password");
    let conn = pair.connect_client(&host, "/wsman");
    let session = pair.peer(conn).session.as_mut().unwrap();
    session.call("<x/>");
    pair.drive();
    conn
}

#[test]
fn no_more_are_asked_about_at_a_time_than_may_fail_in_a_minute() {
    let mut pair = pair();
    let all: Vec<_> = (0..300).map(|_| knock(&mut pair)).collect();
    let asked = std::mem::take(&mut pair.asked);
    assert_eq!(asked, all[..10]);
    let no = Verdict::Refused("wrong password".into());
    for conn in asked {
        judge(&mut pair, conn, &no);
    }
    assert!(pair.asked.is_empty(), "the others are not asked about");
    for conn in &all[..10] {
        assert_eq!(pair.peer(*conn).statuses(), [401, 401]);
    }
    for conn in &all[10..] {
        assert_eq!(pair.peer(*conn).statuses(), [401, 429]);
    }
}

#[test]
fn hosts_behind_one_address_wait_for_each_other_and_all_get_in() {
    let mut pair = pair();
    let all: Vec<_> = (0..30).map(|_| knock(&mut pair)).collect();
    // Some have disconnected before it is their turn.
    pair.close(all[12]);
    pair.close(all[3]);
    let mut answered = 0;
    while let Some(conn) = pair.asked.pop() {
        let verdict = match pair.collector.question(conn) {
            Some(_) => proven(&pair, conn),
            None => Verdict::Unavailable("gone".into()),
        };
        judge(&mut pair, conn, &verdict);
        answered += 1;
    }
    assert_eq!(answered, 29, "one was gone before its turn");
    for conn in all.iter().filter(|conn| ![all[3], all[12]].contains(conn)) {
        assert_eq!(pair.peer(*conn).replies.len(), 1, "{conn:?}");
    }
}

#[test]
fn a_verdict_for_a_source_that_has_gone_changes_nothing() {
    let mut pair = pair();
    let conn = ask(&mut pair);
    let verdict = proven(&pair, conn);
    pair.close(conn);
    assert!(pair.collector.question(conn).is_none());
    judge(&mut pair, conn, &verdict);
    judge(&mut pair, conn, &verdict);
    assert!(pair.collector.counters().authentications.is_empty());
}
