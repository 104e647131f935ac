//! The flags about what hosts, and the relay, report of themselves.

use clap::Args;

/// Whether hosts are asked how their forwarding goes, and who hears of the relay.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ReportOptions {
    /// Do not ask hosts how their forwarding goes
    ///
    /// By default each host that may have a subscription gets one more ten minutes after it
    /// came first, "wecrelay-self-reports": events 100 to 107 of its log
    /// Microsoft-Windows-Forwarding/Operational. They go to the outputs like all events, and
    /// "wecrelay hosts" and the status page say by them why a host or a channel is silent.
    /// It costs each host one more connection. It is left out where another subscription
    /// selects from that log.
    #[arg(long, help_heading = "Events")]
    pub no_self_reports: bool,
    /// Send the relay's own log to the outputs too
    ///
    /// What is logged at level info and above goes to every output as well, as RFC 5424
    /// messages with APP-NAME wecrelay, the relay's process as PROCID, and facility daemon
    /// unless --facility names one. It never makes a host wait: up to 64 KiB of it are kept
    /// for an output that is down, and a message tells how many are missing. Standard error
    /// gets all as before. What ends the start is logged there only.
    #[arg(long, help_heading = "Relay")]
    pub log_to_outputs: bool,
}
