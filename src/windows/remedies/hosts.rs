//! Hosts that are not well, as the relay sees them.

use super::Remedy;

/// A host ended a subscription, for a reason that is in no table.
pub const ENDED: Remedy = Remedy {
    meaning: "it ended a subscription",
    remedy: "see its words; it asks for its subscriptions again within Refresh",
    on_host: &["wevtutil qe Microsoft-Windows-Forwarding/Operational /c:20 /rd:true /f:text"],
    look: "event 103, 105 or 102 of Microsoft-Windows-Forwarding/Operational",
};

/// No subscription is for a host.
pub const REFUSED: Remedy = Remedy {
    meaning: "no subscription is for it",
    remedy: "see who may have which: wecrelay check; the access list of a subscription, or \
             whether it is enabled",
    on_host: &["whoami /groups"],
    look: "event 104 without 100 of Microsoft-Windows-Forwarding/Operational",
};

/// Two hosts have one name.
pub const CLONES: Remedy = Remedy {
    meaning: "two hosts have one name",
    remedy: "give one of them a name of its own; machines that are copied need sysprep /generalize",
    on_host: &["hostname", "Rename-Computer NAME -Restart"],
    look: "events of the System log with two values of EventRecordID that take turns",
};

/// A host fetches its subscriptions, and sends nothing.
pub const SILENT: Remedy = Remedy {
    meaning: "it fetches its subscriptions, and sends nothing",
    remedy: "let it reach the address in them (--hostname, port, firewall), and let NETWORK \
             SERVICE read its logs; then restart it",
    on_host: &[
        "Test-NetConnection COLLECTOR -Port 5985",
        "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add",
    ],
    look: "event 102 or 105 of Microsoft-Windows-Forwarding/Operational",
};

/// A host is heard of no more.
pub const LOST: Remedy = Remedy {
    meaning: "it is heard of no more",
    remedy: "see whether it is on, has network, and its WinRM service runs; forget those that \
             are gone: wecrelay hosts --prune 90d",
    on_host: &["Get-Service WinRM", "Test-WSMan COLLECTOR"],
    look: "event 105 of Microsoft-Windows-Forwarding/Operational",
};
