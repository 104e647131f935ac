//! What ties an authentication to this server: the TLS connection that it arrived on, and
//! the name that the host meant to talk to. Without these checks, an attacker who lures a
//! host to his own server could relay its tokens here and impersonate it.

use std::fmt;
use std::net::IpAddr;

use super::{Error, Identity, Policy};

/// Whether hosts inside TLS must prove that they are at the other end of this very
/// connection (`--channel-bindings`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Bindings {
    /// By matching channel bindings (RFC 5929 4), or by sealing their bodies.
    #[default]
    Require,
    /// Accept hosts that do neither.
    None,
}

/// What a mechanism proved besides the identity.
#[derive(Clone, Debug)]
pub(super) struct Shown {
    /// The host sent channel bindings, and they match.
    pub(super) is_bound: bool,
    /// A MIC protects the whole handshake, so that the bindings cannot have been stripped.
    pub(super) has_mic: bool,
    /// The host negotiated sealing, which a relay without the session key cannot do.
    pub(super) seals: bool,
}

/// Why a host is not tied to this TLS connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unbound {
    /// It sent no channel bindings and cannot seal.
    Bindings,
    /// Its NTLM handshake has no MIC (MS-NLMP 3.1.5.1.2).
    Mic,
}

impl fmt::Display for Unbound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bindings => "neither channel bindings nor sealed bodies",
            Self::Mic => "an NTLM handshake without a MIC",
        })
    }
}

/// Returns whether bodies of this host may arrive unsealed. Where TLS is the only
/// protection, that requires proof that the host is on this connection.
///
/// # Errors
/// It can neither seal nor prove that, so none of its bodies could be accepted.
pub(super) fn check_connection(
    policy: &Policy,
    is_secure: bool,
    identity: &Identity,
    shown: &Shown,
) -> Result<bool, Error> {
    if !is_secure {
        return Ok(false);
    }
    // A null session proves nothing that could be stolen.
    if policy.bindings == Bindings::None || identity.method.is_anonymous() {
        return Ok(true);
    }
    let unbound = |why| Error::Unbound {
        who: identity.to_string(),
        method: identity.method,
        why,
    };
    match shown {
        Shown { has_mic: false, .. } => Err(unbound(Unbound::Mic)),
        Shown { is_bound: true, .. } => Ok(true),
        Shown { seals: true, .. } => Ok(false),
        _ => Err(unbound(Unbound::Bindings)),
    }
}

/// Service classes under which WinRM addresses a collector.
const CLASSES: [&str; 3] = ["HTTP", "HOST", "WSMAN"];

/// Checks that the service name that a host asked for, such as `HTTP/collector.example`, is
/// this server's. The host part is compared only if `names` is not empty.
///
/// # Errors
/// It names another service or another host.
pub(super) fn check_target(
    names: &[String],
    identity: &Identity,
    target: &str,
) -> Result<(), Error> {
    let host = collector_host(target);
    if host.is_some_and(|host| names.is_empty() || is_ours(names, host)) {
        Ok(())
    } else {
        Err(Error::Target {
            who: identity.to_string(),
            method: identity.method,
            asked: target.to_owned(),
            names: if host.is_some() {
                names.to_vec()
            } else {
                Vec::new()
            },
        })
    }
}

/// The host in a service name such as `HTTP/collector.example@REALM`; `None` if WinRM does not
/// address collectors by a name of this class.
#[must_use]
pub fn collector_host(target: &str) -> Option<&str> {
    let (class, host) = parts(target);
    let mut classes = CLASSES.iter();
    let is_class = classes.any(|known| known.eq_ignore_ascii_case(class));
    is_class.then_some(host)
}

/// Class and host of `HTTP/collector.example:5985/EXAMPLE@REALM`.
fn parts(target: &str) -> (&str, &str) {
    let (class, rest) = target.split_once('/').unwrap_or(("", target));
    let host = rest.split(['/', '@']).next().unwrap_or(rest);
    if let Some((address, _)) = host.strip_prefix('[').and_then(|h| h.split_once(']')) {
        return (class, address);
    }
    match host.split_once(':') {
        // More than one colon is an IPv6 address.
        Some((name, port)) if !port.contains(':') => (class, name),
        _ => (class, host),
    }
}

/// Whether a host is one of these names: compared in full, by its first label, or with a
/// wildcard such as `*.example.com`.
fn is_ours(names: &[String], host: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let is_address = |name: &str| name.parse::<IpAddr>().is_ok();
    names.iter().any(|name| {
        let name = name.trim_matches(['[', ']']);
        let label = name.split('.').next().unwrap_or(name);
        let is_label = !is_address(name) && label != "*" && label.eq_ignore_ascii_case(host);
        let is_below = |parent: &str| {
            let rest = host.split_once('.').map(|(_, rest)| rest);
            rest.is_some_and(|rest| rest.eq_ignore_ascii_case(parent))
        };
        name.eq_ignore_ascii_case(host) || is_label || name.strip_prefix("*.").is_some_and(is_below)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_service_name_has_a_class_and_a_host() {
        assert_eq!(parts("HTTP/wec.example"), ("HTTP", "wec.example"));
        assert_eq!(parts("HTTP/wec.example:5985"), ("HTTP", "wec.example"));
        assert_eq!(parts("host/wec.example/EXAMPLE"), ("host", "wec.example"));
        assert_eq!(parts("WSMAN/wec@EXAMPLE.TEST"), ("WSMAN", "wec"));
        assert_eq!(parts("HTTP/[2001:db8::1]:5985"), ("HTTP", "2001:db8::1"));
        assert_eq!(parts("HTTP/2001:db8::1"), ("HTTP", "2001:db8::1"));
        assert_eq!(parts("collector$"), ("", "collector$"));
    }

    #[test]
    fn our_names_are_known_in_dns_and_by_their_first_label() {
        let names = ["wec.example.com".to_owned(), "*.corp.example".to_owned()];
        for ours in [
            "WEC.example.com",
            "wec.example.com.",
            "wec",
            "any.corp.example",
        ] {
            assert!(is_ours(&names, ours), "{ours}");
        }
        for other in [
            "",
            "*",
            "example.com",
            "wec.example",
            "corp.example",
            "a.b.corp.example",
        ] {
            assert!(!is_ours(&names, other), "{other}");
        }
        let address = ["192.0.2.1".to_owned(), "[2001:db8::1]".to_owned()];
        assert!(is_ours(&address, "192.0.2.1") && is_ours(&address, "2001:db8::1"));
        assert!(!is_ours(&address, "192") && !is_ours(&address, "192.0.2.2"));
    }
}
