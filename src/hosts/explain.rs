//! What codes and states mean, and what to do.

use super::record::Ended;

/// Likely causes where a host fetches its subscriptions and sends nothing.
pub(super) const SILENT: &str = "it got its subscriptions and has sent nothing since: it cannot \
    reach the address in them (name, port, firewall; see --hostname), or NETWORK SERVICE may not \
    read its logs (group Event Log Readers, then a reboot)";
/// The same where it is heard of no more.
pub(super) const LOST: &str =
    "not heard from: off, without network, or its WinRM service is stopped";

/// What a Windows error means where events are forwarded (`wsmerror.h`, `winerror.h`).
#[must_use]
pub const fn code(code: u32) -> Option<&'static str> {
    Some(match code {
        5 => "access denied: NETWORK SERVICE may not read a channel, or we refused the host",
        53 => "no host of that name for Kerberos: SPN, short name in the policy, DNS",
        1311 => "no logon server: its domain controller cannot be reached",
        1326 => "wrong name or password",
        1717 => "the host was shutting down",
        1818 => "cancelled: a channel cannot be read (group Event Log Readers, then a reboot)",
        5004 => {
            "no channel can be read: NETWORK SERVICE into Event Log Readers, then a reboot; \
             or the channel is missing or disabled"
        }
        12002 => "timed out: network or firewall",
        12005 => "the address in the subscription is no valid URL",
        12029 => "cannot connect: address, port, firewall",
        12030 => "the connection was cut",
        12175 => "TLS failed: certificate, its name, its authority",
        15001 => "the query is invalid",
        15007 => "no such channel on the host",
        15008 | 15026 => "the query is malformed, or has more than about 20 conditions",
        0x8033_8008 => "the subscription is closed already: the collector was restarted",
        0x8033_8012 => "the collector cannot be reached: name, port, firewall",
        0x8033_8095 => {
            "the address in the subscription cannot be reached, or refused the host (balancer, \
             --hostname)"
        }
        0x8033_809C => "the delivery failed: network between host and collector",
        0x8033_809D => "security error: SPN twice or at another account, or a certificate",
        0x8033_80E4 => "the collector is not trusted: TrustedHosts, or use https",
        0x8033_8112 => "answered 503: the collector was busy; the host tries again by itself",
        0x8033_8113 => "answered 404: wrong path in the policy, or the subscription is gone",
        0x8033_8126 => "cannot reach the collector: name, network, firewall",
        0x8033_81B9 => "the collector's name cannot be resolved: DNS",
        0x8033_81BA => "TLS was broken off: versions, ciphers, or the client certificate",
        _ => return None,
    })
}

pub(super) fn ended(end: &Ended) -> String {
    match end.code.and_then(code) {
        Some(meaning) => format!("it ended its subscription ({}): {meaning}", end.text),
        None => format!("it ended its subscription: {}", end.text),
    }
}
