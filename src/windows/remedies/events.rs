//! The events that the forwarder on a host logs.

use super::Remedy;

const HERE: &str = "Microsoft-Windows-Forwarding/Operational on the host";
const READERS: &str = "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add";

/// Remedies by event ID.
pub const EVENTS: [(u16, Remedy); 8] = [
    (
        100,
        Remedy {
            meaning: "a subscription was created: events arrive within its maximum latency",
            remedy: "",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        101,
        Remedy {
            meaning: "a subscription was created, but some of its channels cannot be read",
            remedy: "allow NETWORK SERVICE to read them and restart the host; or check whether the channel exists and is enabled there",
            on_host: &[READERS, "wevtutil gl Security"],
            look: "event 101 names the channels",
        },
    ),
    (
        102,
        Remedy {
            meaning: "a subscription could not be created",
            remedy: "look up its code: 5004 is missing access, 15001, 15008 and 15026 are the query, 15007 is a missing channel",
            on_host: &[READERS],
            look: "event 102 has the code; wecrelay doctor --explain CODE",
        },
    ),
    (
        103,
        Remedy {
            meaning: "a subscription was removed: it was deleted or replaced on the relay, or is no longer for this host",
            remedy: "if that is unexpected, check which hosts it is for: wecrelay check",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        104,
        Remedy {
            meaning: "the host has connected to the relay: name, network and authentication are correct",
            remedy: "if no 100 follows, no subscription is for this host: wecrelay check",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        105,
        Remedy {
            meaning: "the host cannot communicate with the relay",
            remedy: "look up its code",
            on_host: &["Test-WSMan COLLECTOR"],
            look: "event 105 has the code; wecrelay doctor --explain CODE",
        },
    ),
    (
        106,
        Remedy {
            meaning: "a changed policy has arrived; 104 or 105 follows within Refresh",
            remedy: "",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        107,
        Remedy {
            meaning: "the address in the policy is malformed",
            remedy: "use Server=URL,Refresh=SECONDS, and IssuerCA as 40 hex digits without blanks or invisible characters from copying",
            on_host: &[
                "reg query HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\EventLog\\EventForwarding\\SubscriptionManager",
            ],
            look: HERE,
        },
    ),
];
