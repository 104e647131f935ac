//! Problems with hosts, as the relay detects them.

use super::Remedy;

/// A host ended a subscription for a reason that no table contains.
pub const ENDED: Remedy = Remedy {
    meaning: "it canceled a subscription",
    remedy: "read its message; it requests its subscriptions again within Refresh",
    on_host: &["wevtutil qe Microsoft-Windows-Forwarding/Operational /c:20 /rd:true /f:text"],
    look: "event 103, 105 or 102 of Microsoft-Windows-Forwarding/Operational",
};

/// No subscription allows the host.
pub const REFUSED: Remedy = Remedy {
    meaning: "no subscription is for it",
    remedy: "check the access lists of the subscriptions, and whether they are enabled: wecrelay check",
    on_host: &["whoami /groups"],
    look: "event 104 without 100 of Microsoft-Windows-Forwarding/Operational",
};

/// Two hosts have the same name.
pub const CLONES: Remedy = Remedy {
    meaning: "two hosts have one name",
    remedy: "rename one of them; copied machines need sysprep /generalize",
    on_host: &["hostname", "Rename-Computer NAME -Restart"],
    look: "events of the System log with two alternating series of EventRecordID",
};

/// A host fetches its subscriptions, but sends nothing.
pub const SILENT: Remedy = Remedy {
    meaning: "it fetches its subscriptions, but sends nothing",
    remedy: "make sure that it can reach the address in them (--hostname, port, firewall), and that NETWORK SERVICE can read its logs; then restart it",
    on_host: &[
        "Test-NetConnection COLLECTOR -Port 5985",
        "net localgroup \"Event Log Readers\" \"NT AUTHORITY\\NETWORK SERVICE\" /add",
    ],
    look: "event 102 or 105 of Microsoft-Windows-Forwarding/Operational",
};

/// A host has missed several heartbeats.
pub const LOST: Remedy = Remedy {
    meaning: "it is no longer seen",
    remedy: "check whether it is on, has network, and its WinRM service is running; remove hosts that are gone: wecrelay hosts --prune 90d",
    on_host: &["Get-Service WinRM", "Test-WSMan COLLECTOR"],
    look: "event 105 of Microsoft-Windows-Forwarding/Operational",
};
