//! Checks of names: DNS names of the relay and of the given host, and the keytab.

use std::net::IpAddr;

use super::{Finding, Report};
use crate::commands::probe::ask;
use crate::config::Config;
use crate::files::keytabs;
use crate::protocol::kerberos::keytab::Entry;

/// The event on a host that cannot resolve or does not trust a name.
const LOOK: &str =
    "event 105 (code 53, 12007 or 2150859193) of Microsoft-Windows-Forwarding/Operational";

pub(super) fn examine(config: &Config, host: Option<&str>, report: &mut Report) {
    match &config.hostname {
        None => report
            .say("no --hostname: hosts use the name in their policy; with --hostname that name is checked too"),
        Some(name) => {
            own_name(name, report);
            if name.parse::<IpAddr>().is_err() && !config.keytabs.is_empty() {
                service(config, name, report);
            }
        }
    }
    if let Some(host) = host {
        other_host(config, host, report);
    }
}

fn own_name(name: &str, report: &mut Report) {
    let bare = name.trim_start_matches('[').trim_end_matches(']');
    let addresses = match ask::addresses_of(bare) {
        Ok(addresses) => addresses,
        Err(error) => {
            let on_host = report.typed(&["nslookup COLLECTOR"]);
            report.find(Finding {
                stops: true,
                what: format!("--hostname {name} has no address: {error}"),
                why: "hosts push to that name, and cannot resolve it either, unless they use another DNS server"
                    .to_owned(),
                remedy: "create an A or AAAA record for it, or use a name that exists"
                    .to_owned(),
                on_host,
                look: LOOK,
            });
            return;
        }
    };
    for address in addresses {
        let reverse = ask::name_of(address);
        let back = match &reverse {
            Some(found) if found.eq_ignore_ascii_case(bare) => "and back".to_owned(),
            Some(found) => format!("whose reverse name is {found} (which Windows ignores)"),
            None => "without a reverse name (which Windows ignores)".to_owned(),
        };
        report.say(format_args!("{name} is {address}, {back}"));
        if !ask::is_own(address) {
            let on_host = report.typed(&["nslookup COLLECTOR"]);
            report.find(Finding {
                what: format!(
                    "--hostname {name} is {address}, which is not an address of this machine"
                ),
                why: "that is correct only behind a load balancer or NAT".to_owned(),
                remedy: "otherwise correct the DNS record, or /etc/hosts on this machine"
                    .to_owned(),
                on_host,
                look: LOOK,
                ..Finding::default()
            });
        }
    }
}

/// Checks the keytab for `HTTP/NAME`. Hosts request a ticket for it, with NAME as in their
/// policy.
fn service(config: &Config, name: &str, report: &mut Report) {
    // An unreadable keytab has already been reported with the plan.
    let Ok(keytab) = keytabs::read(&config.keytabs) else {
        return;
    };
    let wanted = format!("HTTP/{name}");
    let is_wanted = |entry: &&Entry| keytabs::is_for(&entry.principal, name);
    let mut entries = keytab.entries.iter().filter(is_wanted);
    let on_host = report.typed(&["klist purge", "klist get HTTP/COLLECTOR"]);
    if entries.clone().next().is_none() {
        let known = keytab.principals().join(", ");
        report.find(Finding {
            stops: true,
            what: format!("the keytab has no key of {wanted}; it has {known}"),
            why: "a host requests a ticket for HTTP/NAME, where NAME is the one in its policy"
                .to_owned(),
            remedy: format!(
                "setspn -S {wanted} ACCOUNT, and export its key: ktpass /princ {wanted}@REALM \
                 /mapuser ACCOUNT /crypto AES256-SHA1 /ptype KRB5_NT_PRINCIPAL /pass * /out \
                 FILE; or use the name that the keytab is for"
            ),
            on_host,
            look: "event 105 (code 5 or 53) of Microsoft-Windows-Forwarding/Operational",
        });
        return;
    }
    for entry in entries.clone() {
        let enctype = entry.key.enctype().name();
        report.say(format_args!(
            "key of {}, kvno {}, {enctype}; the domain must have the same kvno (klist shows it)",
            entry.principal, entry.kvno
        ));
    }
    let is_rc4 = |name: &str| name.contains("rc4") || name.contains("arcfour");
    if !config.kerberos_rc4 && entries.all(|entry| is_rc4(entry.key.enctype().name())) {
        report.find(Finding {
            stops: true,
            what: format!(
                "the keytab has only RC4 keys of {wanted}, and --kerberos-rc4 is not given"
            ),
            why: "tickets encrypted with them are rejected".to_owned(),
            remedy: "enable AES for the account (msDS-SupportedEncryptionTypes 24), set a new password, and export the AES keys"
                .to_owned(),
            on_host,
            look: "event 105 (code 5) of Microsoft-Windows-Forwarding/Operational",
        });
    }
}

/// Checks the host that sends nothing.
fn other_host(config: &Config, host: &str, report: &mut Report) {
    let addresses = match ask::addresses_of(host) {
        Ok(addresses) => addresses,
        Err(error) => {
            report.say(format_args!(
                "{host} has no address: {error}; it does not need one, since it is the host that \
                 connects"
            ));
            return;
        }
    };
    let shown: Vec<_> = addresses.iter().map(ToString::to_string).collect();
    report.say(format_args!("{host} is {}", shown.join(", ")));
    let only_anonymous = config.keytabs.is_empty()
        && config.users.is_none()
        && config.ntlm_helper.is_none()
        && config
            .tls
            .as_ref()
            .is_none_or(|files| files.client_ca.is_none());
    let is_let_in = |address: &IpAddr| config.anonymous.iter().any(|net| net.contains(address));
    if only_anonymous && !addresses.iter().any(is_let_in) {
        report.find(Finding {
            stops: true,
            what: format!("{host} ({}) is in no --anonymous network", shown.join(", ")),
            why: "no other authentication method is enabled".to_owned(),
            remedy: "add its network to --anonymous, or enable --keytab, --client-ca or --users"
                .to_owned(),
            look: "event 105 (code 5) of Microsoft-Windows-Forwarding/Operational",
            ..Finding::default()
        });
    }
}
