//! Describes subscriptions: what they select, which hosts get them, and doubtful parts.

use std::path::Path;
use std::time::Duration;

use super::{Report, known};
use crate::commands::run;
use crate::protocol::wsman::pages::Survey;
use crate::protocol::wsman::subscribe::SELF_REPORTS;
use crate::protocol::wsman::{Access, ContentFormat, Subscription};
use crate::store::sqlite::Known;
use crate::windows::query;

/// Adds a subscription, and indented which hosts get it and what it selects.
pub(super) fn describe(
    state: &Path,
    subscription: &Subscription,
    answers: &Survey,
    report: &mut Report,
) {
    let channels = query::channels(&subscription.query);
    report.line(
        1,
        &format!("{:?}: {}", subscription.name, channels.join(", ")),
    );
    if subscription.name == SELF_REPORTS {
        let why = "built in: hosts report on their own forwarding; disable with --no-self-reports";
        report.line(2, why);
    }
    for line in access(&subscription.access) {
        report.line(2, &line);
    }
    report.line(2, &delivery(subscription));
    for line in query::describe(&subscription.query) {
        report.line(2, &line);
    }
    for finding in query::lint(&subscription.query) {
        report.finding(2, &finding.to_string());
    }
    let mut too_large = answers.too_large.iter();
    if let Some((_, octets)) = too_large.find(|(name, _)| **name == *subscription.name) {
        report.finding(2, &format!("it {}", run::too_large(*octets)));
    }
    let known = known(state, subscription.id());
    if let Some(line) = known.and_then(|known| history(&channels, &known)) {
        report.warning(2, &line);
    }
}

/// The size of the answers for a host that gets all subscriptions; `None` if one answer is
/// enough.
pub(super) fn pages(answers: &Survey) -> Option<String> {
    let Survey { pages, octets, .. } = answers;
    let size = octets.div_ceil(1000);
    (*pages > 1).then(|| format!("to a host that gets all: {size} kB, in {pages} answers (Pull)"))
}

/// A warning about channels that no stored bookmark contains. A host with a bookmark reads
/// a channel that is missing from it from its first event on, whatever `ReadExistingEvents`
/// is.
fn history(channels: &[String], known: &Known) -> Option<String> {
    if known.hosts == 0 {
        return None;
    }
    let is_new = |channel: &&String| {
        let mut names = known.channels.iter();
        !names.any(|name| name.eq_ignore_ascii_case(channel))
    };
    let added: Vec<_> = channels.iter().filter(is_new).cloned().collect();
    if added.is_empty() {
        return None;
    }
    let hosts = match known.hosts {
        1 => "one host has a bookmark".to_owned(),
        hosts => format!("{hosts} hosts have bookmarks"),
    };
    Some(format!(
        "{hosts} of it, and none for {}: if that channel is new in the query, every host \
         sends its whole history; a separate subscription would begin at the present",
        added.join(", ")
    ))
}

fn delivery(subscription: &Subscription) -> String {
    let format = match subscription.content_format {
        ContentFormat::Events => "events without text",
        ContentFormat::RenderedText => "events with text",
    };
    let since = if subscription.read_existing {
        "all that a host has"
    } else {
        "from now on"
    };
    format!(
        "{format}, {since}, within {}, heartbeat every {}",
        time(subscription.max_time),
        time(subscription.heartbeat)
    )
}

fn time(time: Duration) -> String {
    humantime::format_duration(time).to_string()
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
    let certificates = if certificates.is_empty() {
        None
    } else {
        Some(format!("certificates: {}", certificates.join("; ")))
    };
    let only = access
        .needs_certificate()
        .then(|| "no host without a certificate".to_owned());
    let everyone = match (&domain, &certificates) {
        (None, None) => Some("for every authenticated host".to_owned()),
        (Some(_), None) => Some("certificates and others without such an account: all".to_owned()),
        (_, Some(_)) => None,
    };
    domain
        .into_iter()
        .chain(certificates)
        .chain(only)
        .chain(everyone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn access_is_told_in_words() {
        let mut asked = Access::default();
        let told = |asked: &Access| access(asked).collect::<Vec<_>>();
        assert_eq!(told(&asked), ["for every authenticated host"]);
        asked.denied_subjects = vec!["bad.example".into()];
        assert_eq!(
            told(&asked),
            [
                "certificates: not for bad.example",
                "no host without a certificate"
            ]
        );
        asked.domain_computers = Some("O:NSG:NSD:(A;;GA;;;DC)".parse().unwrap());
        assert_eq!(
            told(&asked),
            [
                "accounts of a domain: members of Domain Computers of the host's own domain may \
                 subscribe; no other",
                "certificates: not for bad.example"
            ]
        );
        asked.denied_subjects.clear();
        let last = told(&asked).pop().unwrap();
        assert_eq!(last, "certificates and others without such an account: all");
    }

    #[test]
    fn a_channel_without_bookmarks_is_told_where_there_are_some() {
        let channels = ["Security".to_owned(), "Setup".to_owned()];
        let known = |hosts, channels: &[&str]| Known {
            hosts,
            channels: channels.iter().map(|&name| name.to_owned()).collect(),
        };
        assert_eq!(history(&channels, &known(0, &[])), None);
        assert_eq!(history(&channels, &known(2, &["security", "SETUP"])), None);
        let told = history(&channels, &known(2, &["security"])).unwrap();
        assert!(told.contains("2 hosts have bookmarks of it, and none for Setup:"));
    }
}
