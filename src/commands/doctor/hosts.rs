//! What the relay has recorded about hosts: recent refusals, and hosts with problems.

use std::collections::{BTreeMap, HashMap};
use std::net::IpAddr;
use std::time::SystemTime;

use super::{Finding, Report};
use crate::base::clock::UnixSeconds;
use crate::commands::database;
use crate::commands::words::{age, count, plain};
use crate::config::Config;
use crate::hosts::{Cause, Host, Life, Moment, Refusal, Saved, State, cause};
use crate::store::postgres::Settings;
use crate::store::sqlite;
use crate::windows::remedies::{self, FORWARDER_LOG, Remedy, hosts};

/// Maximum age of reported refusals in seconds.
const LATELY: u64 = 24 * 3600;
/// Maximum number of hosts or addresses that one finding lists.
const NAMES: usize = 10;

/// Reads the stored state, whether or not the relay is running.
pub(super) fn examine(config: &Config, name: Option<&str>, now: SystemTime, report: &mut Report) {
    let now = UnixSeconds::from(now);
    let saved = match &config.store {
        Some(settings) => shared(settings, now, report),
        None => own(config, report),
    };
    let Some(saved) = saved else {
        return;
    };
    let at = saved.pulse.moment(now);
    if saved.pulse.is_gone(now) {
        let ago = age(now.since(at.now));
        report.say(format_args!(
            "the relay is not running; this is from {ago} ago"
        ));
    }
    let hosts = saved.hosts.iter();
    let hosts: Vec<_> = hosts.filter(|host| is_meant(host, name)).collect();
    report.say(known(&hosts, at, name));
    refused(&saved, name, now, report);
    unwell(&hosts, at, name.is_some(), report);
}

/// Reads the state folder.
fn own(config: &Config, report: &mut Report) -> Option<Saved> {
    let folder = config.state.display();
    match sqlite::read_hosts(&config.state) {
        Ok(None) => {
            report.say(format_args!(
                "{folder} has none: no relay has run with it yet"
            ));
            None
        }
        Ok(saved) => saved,
        Err(error) => {
            report.find(unreadable(&error));
            None
        }
    }
}

/// Reads the database that relays share, and reports its problems and those of the relays.
fn shared(settings: &Settings, now: UnixSeconds, report: &mut Report) -> Option<Saved> {
    let gathered = database::look(settings)
        .and_then(|mut it| it.gather(now).map_err(database::Error::Postgres));
    let saved = match gathered {
        Ok(saved) => saved,
        Err(error) => {
            report.find(Finding {
                stops: true,
                what: format!("--store: {error}"),
                why: "no batch is acknowledged before its bookmark is stored there".to_owned(),
                remedy: "fix that; running relays resume by themselves".to_owned(),
                ..Finding::default()
            });
            return None;
        }
    };
    for relay in &saved.relays {
        let (name, heard) = (plain(&relay.name), age(relay.age));
        match relay.life() {
            Life::Gone => report.find(Finding {
                what: format!("relay {name} is gone: it last wrote {heard} ago"),
                why: "it was killed, its machine is off, or it cannot reach the database"
                    .to_owned(),
                remedy: format!(
                    "check its machine and its log; if it is gone for good: wecrelay hosts --store \
                     URL --forget-relay {name}"
                ),
                ..Finding::default()
            }),
            life => report.say(format_args!(
                "relay {name}: {}, last wrote {heard} ago",
                life.name()
            )),
        }
    }
    Some(saved)
}

fn unreadable(error: &crate::store::Error) -> Finding {
    Finding {
        stops: false,
        what: format!("stored hosts cannot be read: {error}"),
        why: "the relay keeps them in its state folder, which only its user can read".to_owned(),
        remedy:
            "name the relay's folder with --state, and run the command as root or as the relay's \
             user"
                .to_owned(),
        ..Finding::default()
    }
}

/// Whether `name` refers to the host: by its name with or without the domain, by its
/// identity, or by its address. True if there is no name.
fn is_meant(host: &Host, name: Option<&str>) -> bool {
    let Some(name) = name else { return true };
    let is_same = |known: &str| {
        let short = known.split('.').next().unwrap_or_default();
        known.eq_ignore_ascii_case(name) || short.eq_ignore_ascii_case(name)
    };
    is_same(&host.machine)
        || host.identity.as_deref().is_some_and(is_same)
        || host.address.to_string() == name
}

fn known(hosts: &[&Host], at: Moment, name: Option<&str>) -> String {
    let with = |state: State| {
        let number = hosts.iter().filter(|host| host.state(at) == state).count();
        (number > 0).then(|| format!("{number} {}", state.name()))
    };
    let states: Vec<_> = State::ALL.into_iter().filter_map(with).collect();
    match (hosts, name) {
        ([], None) => "no host has connected yet".to_owned(),
        ([], Some(name)) => format!(
            "{} has never requested its subscriptions: check its policy and its network; run \
             there: wevtutil qe {FORWARDER_LOG} /c:20 /rd:true /f:text",
            plain(name)
        ),
        (all, _) => format!("{} known: {}", count(all.len(), "host"), states.join(", ")),
    }
}

/// Adds one finding for each cause of refusals, except refusals after which a host was seen
/// at the same address.
fn refused(saved: &Saved, name: Option<&str>, now: UnixSeconds, report: &mut Report) {
    // For each address: when a host was last seen there, and whether `name` refers to one
    // of them.
    let mut came: HashMap<IpAddr, (UnixSeconds, bool)> = HashMap::new();
    for host in &saved.hosts {
        let (last, is_it) = came.entry(host.address).or_default();
        *last = host.last_seen.max(*last);
        *is_it |= is_meant(host, name);
    }
    let mut causes: BTreeMap<(&str, String), Vec<&Refusal>> = BTreeMap::new();
    for refusal in &saved.refusals {
        let (last, is_it) = came.get(&refusal.address).copied().unwrap_or_default();
        let is_late = now.since(refusal.last) <= LATELY;
        if is_late && last <= refusal.last && (is_it || is_named(refusal, name)) {
            let key = (refusal.kind.as_str(), cause(&refusal.reason));
            causes.entry(key).or_default().push(refusal);
        }
    }
    let mut causes: Vec<_> = causes.into_iter().collect();
    // Causes that affect the most hosts first.
    causes.sort_by_key(|(_, refusals)| std::cmp::Reverse(refusals.len()));
    for ((kind, _), mut refusals) in causes {
        refusals.sort_by_key(|refusal| std::cmp::Reverse(refusal.last));
        let told = refusals.iter().map(|refusal| said(refusal, now));
        let who = list(told.collect());
        let last = refusals.first().map(|last| plain(&last.reason));
        let remedy = remedies::refusal(kind);
        let typed = remedy.map(|it| report.typed(it.on_host));
        report.find(Finding {
            stops: name.is_some(),
            what: format!("refused ({kind}): {who}"),
            why: last.unwrap_or_default(),
            remedy: remedy.map_or("", |it| it.remedy).to_owned(),
            on_host: typed.unwrap_or_default(),
            look: remedy.map_or("", |it| it.look),
        });
    }
}

fn is_named(refusal: &Refusal, name: Option<&str>) -> bool {
    let identity = refusal.identity.as_deref();
    name.is_none_or(|name| {
        refusal.address.to_string() == name
            || identity.is_some_and(|known| known.eq_ignore_ascii_case(name))
    })
}

fn said(refusal: &Refusal, now: UnixSeconds) -> String {
    let identity = refusal.identity.as_deref().map(plain);
    let identity = identity.map_or_else(String::new, |identity| format!("{identity} at "));
    let times = usize::try_from(refusal.count).unwrap_or(usize::MAX);
    format!(
        "{identity}{} ({}, the last {} ago)",
        refusal.address,
        count(times, "time"),
        age(now.since(refusal.last)),
    )
}

/// Adds one finding for each cause of problems, with all hosts that have it.
fn unwell(hosts: &[&Host], at: Moment, is_named: bool, report: &mut Report) {
    let mut causes: BTreeMap<String, Vec<(&Host, Cause<'_>)>> = BTreeMap::new();
    for host in hosts {
        if let Some(cause) = host.cause(at) {
            causes.entry(title(cause)).or_default().push((host, cause));
        }
    }
    for (title, hosts) in causes {
        let names = hosts.iter().map(|(host, _)| plain(&host.machine));
        let names = list(names.collect());
        let Some((first, cause)) = hosts.first() else {
            continue;
        };
        let delivers = matches!(
            first.state(at),
            State::Active | State::Alive | State::Waiting
        );
        let remedy = remedy(*cause);
        report.find(Finding {
            stops: is_named && !delivers,
            what: format!("{title}: {names}"),
            why: plain(&first.why(at).unwrap_or_default()),
            remedy: remedy.remedy.to_owned(),
            on_host: report.typed(remedy.on_host),
            look: remedy.look,
        });
    }
}

fn title(cause: Cause<'_>) -> String {
    let error = |code: Option<u32>| match code {
        Some(code @ 0x8000_0000..) => format!(", error {code:#X}"),
        Some(code) => format!(", error {code}"),
        None => String::new(),
    };
    match cause {
        Cause::Refused(_) => "no subscription is for".to_owned(),
        Cause::Clones(_) => "share their name with another host".to_owned(),
        Cause::Ended(end) => format!("ended a subscription{}", error(end.code)),
        Cause::Reported(it) => {
            format!("report a problem, event {}{}", it.event, error(it.code))
        }
        Cause::Silent => "fetched subscriptions and has sent nothing".to_owned(),
        Cause::Lost => "no longer seen".to_owned(),
    }
}

/// The remedy for a cause: for its error code if that is known, otherwise for its kind.
fn remedy(cause: Cause<'_>) -> &'static Remedy {
    let (code, other) = match cause {
        Cause::Ended(end) => (end.code, &hosts::ENDED),
        Cause::Reported(it) => (it.code, remedies::event(it.event).unwrap_or(&hosts::ENDED)),
        Cause::Refused(_) => (None, &hosts::REFUSED),
        Cause::Clones(_) => (None, &hosts::CLONES),
        Cause::Silent => (None, &hosts::SILENT),
        Cause::Lost => (None, &hosts::LOST),
    };
    code.and_then(remedies::code).unwrap_or(other)
}

/// The first [`NAMES`] entries, and the number of further ones.
fn list(names: Vec<String>) -> String {
    let more = names.len().saturating_sub(NAMES);
    let shown: Vec<_> = names.into_iter().take(NAMES).collect();
    match more {
        0 => shown.join(", "),
        more => format!("{}, and {more} more (wecrelay hosts)", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: UnixSeconds = UnixSeconds::new(1_800_000_000);

    fn refusal(last_byte: u8, reason: &str) -> Refusal {
        Refusal {
            address: [192, 0, 2, last_byte].into(),
            kind: "tls".into(),
            method: None,
            identity: None,
            status: 0,
            reason: reason.into(),
            count: 1,
            first: NOW,
            last: NOW,
        }
    }

    fn findings(saved: &Saved, name: Option<&str>) -> Vec<Finding> {
        let mut report = Report::default();
        refused(saved, name, NOW, &mut report);
        report.findings
    }

    #[test]
    fn each_cause_is_a_finding_of_its_own_and_that_of_most_hosts_comes_first() {
        let of = |host: &str, why: &str| {
            format!("client certificate CN={host}, issued by CN=Example CA: {why}")
        };
        let saved = Saved {
            refusals: vec![
                refusal(1, &of("a.example", "certificate has expired: renew it")),
                refusal(2, &of("b.example", "certificate revoked: issue a new one")),
                refusal(
                    3,
                    &of("c.example", "self-signed certificate: add its issuer"),
                ),
                refusal(4, &of("d.example", "certificate revoked: issue a new one")),
                refusal(
                    5,
                    "TLS handshake: this is plain HTTP: Server= must begin with https://",
                ),
            ],
            ..Saved::default()
        };
        let found = findings(&saved, None);
        assert_eq!(found.len(), 4, "{found:#?}");
        let first = &found[0];
        assert!(first.why.contains("certificate revoked"), "{first:?}");
        for address in ["192.0.2.2 ", "192.0.2.4 "] {
            assert!(first.what.contains(address), "{first:?}");
        }
        for (address, why) in [
            ("192.0.2.1 ", "has expired"),
            ("192.0.2.3 ", "self-signed"),
            ("192.0.2.5 ", "plain HTTP"),
        ] {
            let of_it = |it: &&Finding| it.what.contains(address) && it.why.contains(why);
            assert_eq!(found.iter().filter(of_it).count(), 1, "{why}: {found:#?}");
        }
        assert!(found.iter().all(|it| !it.stops && !it.remedy.is_empty()));
        // Other hosts' causes are none of the host that is asked about.
        let found = findings(&saved, Some("192.0.2.3"));
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].stops && found[0].why.contains("self-signed"));
    }
}
