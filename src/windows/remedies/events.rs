//! The events of the forwarder on a host.

use super::Remedy;

const HERE: &str = "Microsoft-Windows-Forwarding/Operational on the host";
const READERS: &str = "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add";

/// By event id.
pub const EVENTS: [(u16, Remedy); 8] = [
    (
        100,
        Remedy {
            meaning: "a subscription was created: all is well, events come within its longest delay",
            remedy: "",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        101,
        Remedy {
            meaning: "a subscription was created, but some of its channels cannot be read",
            remedy: "let NETWORK SERVICE read them and restart the host; or the channel is \
                     missing or disabled there",
            on_host: &[READERS, "wevtutil gl Security"],
            look: "event 101 names the channels",
        },
    ),
    (
        102,
        Remedy {
            meaning: "a subscription could not be created",
            remedy: "see the code in it: 5004 is missing rights, 15001, 15008 and 15026 are the \
                     query, 15007 is a missing channel",
            on_host: &[READERS],
            look: "event 102 has the code; wecrelay doctor --explain CODE",
        },
    ),
    (
        103,
        Remedy {
            meaning: "a subscription was dropped: removed or replaced here, or the host may not \
                      have it any more",
            remedy: "if that is not meant, see who may have it: wecrelay check",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        104,
        Remedy {
            meaning: "the host has spoken with the relay: name, network and authentication are right",
            remedy: "if no 100 follows, no subscription is for this host: wecrelay check",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        105,
        Remedy {
            meaning: "the host cannot speak with the relay",
            remedy: "see the code in it",
            on_host: &["Test-WSMan COLLECTOR"],
            look: "event 105 has the code; wecrelay doctor --explain CODE",
        },
    ),
    (
        106,
        Remedy {
            meaning: "a changed policy has come; 104 or 105 follows within Refresh",
            remedy: "",
            on_host: &[],
            look: HERE,
        },
    ),
    (
        107,
        Remedy {
            meaning: "the address in the policy cannot be understood",
            remedy: "write Server=URL,Refresh=SECONDS, and IssuerCA as 40 digits without blanks \
                     or what came along when it was pasted",
            on_host: &[
                "reg query HKLM\\SOFTWARE\\Policies\\Microsoft\\Windows\\EventLog\\EventForwarding\\SubscriptionManager",
            ],
            look: HERE,
        },
    ),
];
