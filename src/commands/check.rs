//! `wecrelay check`: what the relay would do with these flags, found out without doing it.
//!
//! Everything is read and verified as at a start: flags, subscriptions, accounts, keys,
//! certificates. Nothing is listened on, sent or stored. What is wrong ends it as it would end
//! the start; what is doubtful is logged.

use std::io::{self, Write};

use crate::config::{Config, Listener};
use crate::output;
use crate::query;
use crate::relay::{self, Plan};
use crate::wsman::{Access, Subscription};

/// Verifies, and prints what would run.
///
/// # Errors
/// What would end the start.
pub fn run(config: &Config) -> Result<(), relay::Error> {
    let plan = relay::plan(config)?;
    let text = describe(config, &plan);
    // Nobody is left to tell if standard output is closed.
    drop(io::stdout().write_all(text.as_bytes()));
    Ok(())
}

/// The plan for people, a part for each question.
fn describe(config: &Config, plan: &Plan) -> String {
    let mut text = String::new();
    let parts = [
        ("listens on", listeners(config)),
        ("lets in", methods(config)),
        (
            "offers",
            plan.subscriptions.iter().flat_map(subscription).collect(),
        ),
        ("sends to", outputs(config)),
        ("stores in", vec![config.state.display().to_string()]),
    ];
    for (question, answers) in parts {
        text.push_str(&format!("{question}:\n"));
        for answer in answers {
            text.push_str(&format!("  {answer}\n"));
        }
    }
    text
}

fn listeners(config: &Config) -> Vec<String> {
    let line = |listener: &Listener| {
        let scheme = if listener.secure { "https" } else { "http" };
        let how = match (listener.inherited, listener.optional) {
            (Some(_), _) => ", passed by the service manager",
            (None, true) => ", where the system has IPv6",
            (None, false) => "",
        };
        format!("{scheme}://{}{how}", listener.address)
    };
    config.listeners.iter().map(line).collect()
}

fn methods(config: &Config) -> Vec<String> {
    let mut lines = Vec::new();
    for keytab in &config.keytabs {
        let rc4 = if config.kerberos_rc4 { ", RC4 too" } else { "" };
        lines.push(format!(
            "hosts of a domain by Kerberos, with {}{rc4}",
            keytab.display()
        ));
    }
    if config.ntlm_helper.is_some() {
        lines.push("accounts of a domain by NTLM, asked of --ntlm-helper".to_owned());
    }
    if let Some(users) = &config.users {
        let old = if config.ntlmv1 { ", NTLMv1 too" } else { "" };
        lines.push(format!("accounts of {} by NTLM{old}", users.display()));
    }
    let authority = config.tls.as_ref().and_then(|tls| tls.client_ca.as_ref());
    if let Some(authority) = authority {
        lines.push(format!(
            "hosts with a certificate that an authority in {} issued",
            authority.display()
        ));
    }
    for network in &config.anonymous {
        lines.push(format!("hosts of {network} without a credential"));
    }
    if config.allow_unencrypted {
        lines.push("also bodies that are not sealed".to_owned());
    }
    lines
}

/// A subscription and, further in, who may have it.
fn subscription(subscription: &Subscription) -> Vec<String> {
    let channels = query::channels(&subscription.query).join(", ");
    let mut lines = vec![format!("{:?}: {channels}", subscription.name)];
    lines.extend(access(&subscription.access).map(|line| format!("  {line}")));
    lines
}

fn access(access: &Access) -> impl Iterator<Item = String> {
    let domain = access.domain_computers.as_ref();
    let domain = domain.map(|descriptor| format!("accounts of a domain: {}", descriptor.explain()));
    let lists = [
        ("issued by", &access.allowed_issuers),
        ("for", &access.allowed_subjects),
        ("not for", &access.denied_subjects),
    ];
    let lists = lists.into_iter().filter(|(_, list)| !list.is_empty());
    let certificates: Vec<_> = lists
        .map(|(what, list)| format!("{what} {}", list.join(", ")))
        .collect();
    let certificates = match certificates.is_empty() {
        true => None,
        false => Some(format!("certificates: {}", certificates.join("; "))),
    };
    let only = access
        .needs_certificate()
        .then(|| "nobody without a certificate".to_owned());
    let everyone = domain.is_none() && certificates.is_none();
    let everyone = everyone.then(|| "for everyone who gets in".to_owned());
    domain
        .into_iter()
        .chain(certificates)
        .chain(only)
        .chain(everyone)
}

fn outputs(config: &Config) -> Vec<String> {
    let line = |output: &output::Settings| match output.required {
        true => output.label.clone(),
        false => format!("{}, if it can take it", output.label),
    };
    config.outputs.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wsman::ContentFormat;

    #[test]
    fn access_is_told_in_words() {
        let mut asked = Subscription::new(
            "Logons",
            "<QueryList><Query Id=\"0\"><Select Path=\"Security\">*</Select></Query></QueryList>",
            ContentFormat::Events,
        );
        assert_eq!(
            subscription(&asked),
            ["\"Logons\": Security", "  for everyone who gets in"]
        );
        asked.access.denied_subjects = vec!["bad.example".into()];
        assert_eq!(
            subscription(&asked)[1..],
            [
                "  certificates: not for bad.example",
                "  nobody without a certificate"
            ]
        );
        asked.access.domain_computers = Some("O:NSG:NSD:(A;;GA;;;DC)".parse().unwrap());
        assert_eq!(
            subscription(&asked)[1..],
            [
                "  accounts of a domain: members of Domain Computers of the host's own domain may \
                 subscribe; nobody else",
                "  certificates: not for bad.example"
            ]
        );
    }
}
