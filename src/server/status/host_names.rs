//! The host names by which this machine may be requested: another site could have its own name
//! resolve to this machine's address (DNS rebinding), and then read the list of hosts in a browser.
#![expect(
    clippy::disallowed_methods,
    reason = "the names stand in files, which are read once at the start"
)]

use std::fs;
use std::net::{IpAddr, Ipv6Addr};

/// The names of this machine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// The names that the system has configured; no network lookups.
    pub(super) fn of_this_machine() -> Self {
        let system = rustix::system::uname();
        let node = system.nodename().to_string_lossy();
        let read = |path| fs::read_to_string(path).unwrap_or_default();
        Self::new(&node, &read("/etc/hosts"), &read("/etc/resolv.conf"))
    }

    /// The node name, its aliases in `/etc/hosts`, and its short name in each domain that
    /// `/etc/resolv.conf` searches.
    fn new(node: &str, hosts: &str, resolv_conf: &str) -> Self {
        let mut names = vec![node.to_owned()];
        let short = node.split('.').next().unwrap_or_default();
        names.push(short.to_owned());
        for line in hosts.lines().map(without_comment) {
            let known: Vec<_> = line.split_whitespace().skip(1).collect();
            if known.iter().any(|name| name.eq_ignore_ascii_case(node)) {
                names.extend(known.into_iter().map(str::to_owned));
            }
        }
        for line in resolv_conf.lines().map(without_comment) {
            let mut words = line.split_whitespace();
            if matches!(words.next(), Some("search" | "domain")) {
                names.extend(words.map(|domain| format!("{short}.{domain}")));
            }
        }
        names.retain(|name| !name.is_empty());
        Self(names)
    }

    /// Whether a `Host` header names this machine: by an address, as localhost, by one of its
    /// names, or by that of `--hostname`. The port is ignored.
    pub(super) fn has(&self, host: &str, hostname: Option<&str>) -> bool {
        let Some(name) = name_in(host) else {
            return false;
        };
        let is = |known: &str| known.trim_end_matches('.').eq_ignore_ascii_case(name);
        is_address(name)
            || is_localhost(name)
            || self.0.iter().any(|known| is(known))
            || hostname.is_some_and(is)
    }
}

fn without_comment(line: &str) -> &str {
    line.split(['#', ';']).next().unwrap_or_default()
}

/// The host without its port (RFC 9110 7.2) and without a trailing dot; `None` if it is empty or
/// the port is not a number.
fn name_in(host: &str) -> Option<&str> {
    let host = host.trim();
    let (name, port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, "")) => (address, None),
        Some((address, rest)) => (address, Some(rest.strip_prefix(':')?)),
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (host, None),
        },
    };
    let is_port = |port: &str| port.bytes().all(|digit| digit.is_ascii_digit());
    let name = name.strip_suffix('.').unwrap_or(name);
    (!name.is_empty() && port.is_none_or(is_port)).then_some(name)
}

/// Another site cannot redirect addresses. The zone of a link-local address is ignored.
fn is_address(name: &str) -> bool {
    let (address, zone) = match name.split_once('%') {
        Some((address, zone)) => (address, Some(zone)),
        None => (name, None),
    };
    match zone {
        None => address.parse::<IpAddr>().is_ok(),
        Some(_) => address.parse::<Ipv6Addr>().is_ok(),
    }
}

/// Browsers resolve these names without asking a server (RFC 6761 6.3).
fn is_localhost(name: &str) -> bool {
    let last = name.rsplit('.').next().unwrap_or_default();
    last.eq_ignore_ascii_case("localhost")
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOSTS: &str = "127.0.0.1 localhost\n\
        127.0.1.1\tcollector.corp.example collector # ours\n\
        192.0.2.9 other.corp.example other\n";
    const RESOLV_CONF: &str = "nameserver 192.0.2.53\nsearch lab.example corp.example # both\n";

    fn names() -> Names {
        Names::new("collector", HOSTS, RESOLV_CONF)
    }

    #[test]
    fn addresses_localhost_and_our_names_are_ours() {
        for host in [
            "127.0.0.1:9598",
            "192.0.2.7",
            "[::1]",
            "[2001:db8::1]:9598",
            "[fe80::1%25eth0]:9598",
            "localhost:9598",
            "relay.localhost",
            "LocalHost.",
            "collector",
            "Collector:9598",
            "collector.corp.example",
            "collector.lab.example:80",
            "collector.corp.example.:9598",
            "wec.example:9598",
        ] {
            assert!(names().has(host, Some("wec.example")), "{host}");
        }
    }

    #[test]
    fn whatever_else_is_not() {
        for host in [
            "attacker.example",
            "attacker.example:9598",
            "wec.example",
            "other.corp.example",
            "collector.attacker.example",
            "localhost.attacker.example",
            "127.0.0.1.attacker.example",
            "127.0.0.1@attacker.example",
            "collector:x",
            "[::1]x",
            "[attacker.example]:9598",
            "fe80%x",
            "",
            ".",
            ":9598",
            "[]",
        ] {
            assert!(!names().has(host, None), "{host}");
        }
    }

    #[test]
    fn a_node_with_a_domain_has_its_short_name_too() {
        let names = Names::new("relay.site.example", "", "domain corp.example\n");
        for host in ["relay.site.example", "relay", "relay.corp.example"] {
            assert!(names.has(host, None), "{host}");
        }
        assert!(!Names::new("", "", "").has("", None));
    }
}
