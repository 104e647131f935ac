//! Certificates: those of the relay as hosts validate them, and the authorities of the
//! hosts.

use std::time::{Duration, SystemTime};

use super::{Finding, Report};
use crate::config::Config;
use crate::tls::{self, Facts};

/// How long before its end a certificate is reported: 30 days.
const SOON: Duration = Duration::from_secs(30 * 86_400);
/// The same for revocation lists, which may be valid for only a week: 2 days.
const NEXT_DAYS: Duration = Duration::from_secs(2 * 86_400);
const LOOK: &str = "Microsoft-Windows-CAPI2/Operational, event 11 or 30; event 105 (code 12175) of \
                    Microsoft-Windows-Forwarding/Operational";

pub(super) fn examine(config: &Config, now: SystemTime, report: &mut Report) {
    let Some(files) = &config.tls else {
        report.say("no https listener, none needed");
        return;
    };
    let mut own = Vec::new();
    // Unreadable files have already been reported with the plan.
    for (path, _) in &files.pairs {
        let chain = tls::certificates("--tls-cert", path).unwrap_or_default();
        if let Some(leaf) = chain.first() {
            ours(leaf, &chain, now, report);
            own.push(leaf.clone());
        }
    }
    if let Some(name) = &config.hostname
        && !own.is_empty()
        && !own.iter().any(|leaf| leaf.is_for(name))
    {
        let names: Vec<_> = own.iter().flat_map(|leaf| leaf.names.clone()).collect();
        report.find(Finding {
            stops: true,
            what: format!("no --tls-cert is for {name}, only for {}", names.join(", ")),
            why: "hosts compare the certificate with the name in their policy, and disconnect"
                .to_owned(),
            remedy: "get one with the name among its subject alternative names, or have hosts use a name that it has"
                .to_owned(),
            on_host: report.typed(&["Test-WSMan COLLECTOR -UseSSL"]),
            look: LOOK,
        });
    }
    if let Some(path) = &files.client_ca {
        for authority in tls::certificates("--client-ca", path).unwrap_or_default() {
            theirs(&authority, now, report);
        }
    }
    if let Some(path) = &files.crl {
        for (issuer, end) in tls::lists(path).unwrap_or_default() {
            list(&issuer, end, now, report);
        }
    }
}

fn ours(leaf: &Facts, chain: &[Facts], now: SystemTime, report: &mut Report) {
    report.say(format_args!("ours: {}", leaf.line()));
    if !leaf.is_root && !leaf.has_issuer_in(chain) {
        report.say(format_args!(
            "hosts must have {} in Root, or get it from --tls-cert if it is intermediate",
            leaf.issuer
        ));
    }
    if !leaf.serves {
        report.find(Finding {
            stops: true,
            what: format!(
                "--tls-cert of {} is not for server authentication",
                leaf.subject
            ),
            why: "Windows rejects a certificate whose extended key usage lacks 1.3.6.1.5.5.7.3.1"
                .to_owned(),
            remedy: "get one for server authentication".to_owned(),
            on_host: report.typed(&["Test-WSMan COLLECTOR -UseSSL"]),
            look: LOOK,
        });
    }
    dates("--tls-cert", leaf, now, report);
}

fn theirs(authority: &Facts, now: SystemTime, report: &mut Report) {
    report.say(format_args!(
        "authority of hosts: {}, {}; IssuerCA={} in the policy",
        authority.subject, authority.key, authority.thumbprint
    ));
    if !authority.is_authority {
        report.find(Finding {
            stops: true,
            what: format!("--client-ca: {} is not an authority", authority.subject),
            why: "its basic constraints lack CA, so nothing that it issued is valid".to_owned(),
            remedy:
                "use the certificate of the authority that issued those of the hosts, not one of \
                 theirs"
                    .to_owned(),
            on_host: report.typed(&["certutil -store My"]),
            look: LOOK,
        });
    }
    dates("--client-ca", authority, now, report);
}

fn dates(flag: &str, facts: &Facts, now: SystemTime, report: &mut Report) {
    let when = |at: Option<SystemTime>| {
        at.map_or_else(String::new, |at| {
            humantime::format_rfc3339_seconds(at).to_string()
        })
    };
    let (stops, what) = if facts.is_valid(now + SOON) {
        return;
    } else if facts.is_valid(now) {
        (false, format!("ends on {}", when(facts.end)))
    } else {
        let (begin, end) = (when(facts.begin), when(facts.end));
        (true, format!("is valid only from {begin} to {end}"))
    };
    report.find(Finding {
        stops,
        what: format!("{flag}: {} {what}", facts.subject),
        why: "outside these dates no host can connect".to_owned(),
        remedy: "renew it and send SIGHUP, or set the clock".to_owned(),
        on_host: report.typed(&["w32tm /query /status"]),
        look: LOOK,
    });
}

fn list(issuer: &str, end: Option<SystemTime>, now: SystemTime, report: &mut Report) {
    let Some(end) = end else { return };
    let day = humantime::format_rfc3339_seconds(end);
    if now + NEXT_DAYS < end {
        report.say(format_args!(
            "revocation list of {issuer}, good until {day}"
        ));
        return;
    }
    report.find(Finding {
        stops: end < now,
        what: format!("--crl: the list of {issuer} is good until {day} only"),
        why: "after that all hosts with its certificates are rejected".to_owned(),
        remedy: "get a new list (wecrelay ca crl, or the authority's), put it there, send SIGHUP"
            .to_owned(),
        on_host: Vec::new(),
        look: LOOK,
    });
}
