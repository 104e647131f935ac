//! The flags for reports of hosts and for the relay's own log.

use clap::Args;

/// Whether hosts report on their forwarding, and whether outputs get the relay's log.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ReportOptions {
    /// Do not collect the hosts' own reports on their forwarding
    ///
    /// By default, ten minutes after its first request each host that has a subscription gets
    /// one more, "wecrelay-self-reports": events 100 to 107 of its log
    /// Microsoft-Windows-Forwarding/Operational. They are forwarded like all events, and
    /// "wecrelay hosts" and the status page use them to explain why a host or a channel is
    /// silent. It costs one more connection per host. It is omitted where another subscription
    /// selects from that log.
    #[arg(long, help_heading = "Events")]
    pub no_self_reports: bool,
    /// Send the relay's own log to the outputs too
    ///
    /// Log lines of level info and above are also sent to every output, as RFC 5424 messages with
    /// APP-NAME wecrelay, the relay's process as PROCID, and facility daemon unless --facility
    /// names one. This never delays hosts: up to 64 KiB are kept for an output that is down, and
    /// a message has the number of lines lost. Standard error still gets everything. Errors that
    /// end startup are logged there only.
    #[arg(long, help_heading = "Relay")]
    pub log_to_outputs: bool,
}
