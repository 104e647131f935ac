//! Selects hosts and refusals by the flags.

use std::collections::HashSet;
use std::net::IpAddr;

use crate::cli::HostsOptions;
use crate::hosts::{Host, Moment, Refusal};

/// The filters from the flags.
pub(super) struct Filter<'a> {
    state: Option<&'a str>,
    subscription: Option<&'a str>,
    /// The pattern for names in lower case.
    pattern: Option<String>,
}

impl<'a> Filter<'a> {
    pub(super) fn new(options: &'a HostsOptions) -> Self {
        Self {
            state: options.state_is.as_deref(),
            subscription: options.subscription.as_deref(),
            pattern: options.host.as_ref().map(|host| host.to_lowercase()),
        }
    }

    /// Whether there are no filters.
    pub(super) fn takes_all(&self) -> bool {
        self.state.is_none() && self.subscription.is_none() && self.pattern.is_none()
    }

    pub(super) fn takes(&self, host: &Host, at: Moment) -> bool {
        let has = |name| host.subscriptions.iter().any(|s| s.name == name);
        self.state
            .is_none_or(|state| host.state(at).name() == state)
            && self.subscription.is_none_or(has)
            && self.pattern.as_ref().is_none_or(|p| is_named(host, p))
    }
}

/// Selects refusals that may concern the selected hosts, by addresses and names.
pub(super) struct Concerned<'a> {
    filter: &'a Filter<'a>,
    addresses: HashSet<IpAddr>,
}

impl<'a> Concerned<'a> {
    pub(super) fn new<'h>(filter: &'a Filter<'a>, hosts: impl Iterator<Item = &'h Host>) -> Self {
        let addresses = hosts.map(|host| host.address).collect();
        Self { filter, addresses }
    }

    pub(super) fn takes(&self, refusal: &Refusal) -> bool {
        let Some(pattern) = &self.filter.pattern else {
            return true;
        };
        let identity = refusal.identity.as_ref().map(|name| name.to_lowercase());
        self.addresses.contains(&refusal.address)
            || fits(pattern, &refusal.address.to_string())
            || identity.is_some_and(|identity| fits(pattern, &identity))
            || refusal.reason.to_lowercase().contains(pattern.as_str())
    }
}

fn is_named(host: &Host, pattern: &str) -> bool {
    let machine = host.machine.to_lowercase();
    let short = machine.split('.').next().unwrap_or_default();
    let identity = host.identity.as_ref().map(|name| name.to_lowercase());
    fits(pattern, &machine)
        || fits(pattern, short)
        || identity.is_some_and(|identity| fits(pattern, &identity))
        || fits(pattern, &host.address.to_string())
}

/// Whether a text matches a pattern, in which `*` matches any characters. Case matters.
fn fits(pattern: &str, text: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(start) else {
        return false;
    };
    let (between, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    for part in between.split('*') {
        let Some((_, after)) = text.split_once(part) else {
            return false;
        };
        text = after;
    }
    text.ends_with(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_anything() {
        for (pattern, text) in [
            ("web1", "web1"),
            ("*", ""),
            ("web*", "web1"),
            ("*.acme.test", "web1.acme.test"),
            ("w*b*1", "web-b-1"),
            ("a**b", "ab"),
            ("192.0.2.*", "192.0.2.7"),
        ] {
            assert!(fits(pattern, text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("web1", "web12"),
            ("web1", "Xweb1"),
            ("a*a", "a"),
            ("*b", "bc"),
            ("a*x*c", "abc"),
        ] {
            assert!(!fits(pattern, text), "{pattern} {text}");
        }
    }
}
