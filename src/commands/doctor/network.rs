//! Checks ports and outputs by connecting to them.

use super::{Finding, Report};
use crate::commands::probe::{self, ask};
use crate::commands::run::Plan;
use crate::config::{Config, Listener};

const LOOK: &str =
    "event 105 (code 12029, 2150858770 or 2150859046) of Microsoft-Windows-Forwarding/Operational";

pub(super) fn listeners(config: &Config, report: &mut Report) {
    for listener in &config.listeners {
        let scheme = if listener.secure { "https" } else { "http" };
        let url = format!("{scheme}://{}", listener.address);
        match ask::ask(listener.address, listener.secure) {
            Ok(answer) if answer.is_relay() => running(config, &url, &answer, report),
            Ok(_) => another(&url, listener, report),
            Err(_) if listener.optional => {}
            Err(error) => silent(&url, listener, &error, report),
        }
    }
}

fn running(config: &Config, url: &str, answer: &ask::Answer, report: &mut Report) {
    let methods = answer.methods();
    let offers = if methods.is_empty() {
        "no method".to_owned()
    } else {
        methods.join(", ")
    };
    report.say(format_args!("{url}: a relay answers, and offers {offers}"));
    let kerberos = methods.iter().any(|method| method == "Kerberos");
    if kerberos == config.keytabs.is_empty() {
        report.find(Finding {
            what: format!("the relay at {url} runs with different flags: it offers {offers}"),
            why: "only one of them has --keytab, and so Kerberos".to_owned(),
            remedy: "restart it, or run this command with the relay's flags (--config)".to_owned(),
            ..Finding::default()
        });
    }
}

fn another(url: &str, listener: &Listener, report: &mut Report) {
    report.find(Finding {
        stops: true,
        what: format!("the server at {url} is not wecrelay"),
        why: "hosts get their answers from another program".to_owned(),
        remedy: format!(
            "find it with ss -ltnp 'sport = :{}', and stop it or listen elsewhere",
            listener.address.port()
        ),
        on_host: report.typed(&["Test-WSMan COLLECTOR"]),
        look: "event 105 (code 2150859027) of Microsoft-Windows-Forwarding/Operational",
    });
}

fn silent(url: &str, listener: &Listener, error: &std::io::Error, report: &mut Report) {
    let port = listener.address.port();
    let test = format!("Test-NetConnection COLLECTOR -Port {port}");
    report.find(Finding {
        stops: true,
        what: format!("no relay answers at {url}: {error}"),
        why: "it is not running, or not with these flags".to_owned(),
        remedy: "start it (systemctl status wecrelay) and check its log".to_owned(),
        on_host: report.typed(&[&test]),
        look: LOOK,
    });
}

pub(super) fn outputs(config: &Config, plan: Option<&Plan>, report: &mut Report) {
    let Some(plan) = plan else {
        report.say("not tried, since the relay would not start");
        return;
    };
    let ways = plan.connectors.iter().zip(&plan.secrets);
    for (output, (connector, secret)) in config.outputs.iter().zip(ways) {
        let found = probe::probe(output, connector.as_ref(), secret);
        report.say(&output.label);
        for fact in found.facts {
            report.say(format_args!("  {fact}"));
        }
        if let Some(failure) = found.failure {
            report.find(Finding {
                stops: output.required,
                what: format!("--output {}: {failure}", output.label),
                why: if output.required {
                    "no batch is acknowledged until this output has delivered it; hosts get 503"
                } else {
                    "what it cannot accept is dropped"
                }
                .to_owned(),
                remedy: "fix the receiver or the network; hosts keep their events".to_owned(),
                on_host: Vec::new(),
                look: "event 105 (code 2150859026, HTTP 503) of \
                       Microsoft-Windows-Forwarding/Operational",
            });
        }
    }
}
