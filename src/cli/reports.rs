//! The flag about what hosts report themselves.

use clap::Args;

/// Whether hosts are asked how their forwarding goes.
#[derive(Args, Clone, Copy, Debug, Default)]
pub struct ReportOptions {
    /// Do not ask hosts how their forwarding goes
    ///
    /// By default each host that may have a subscription gets one more ten minutes after it
    /// came first, "wecrelay-self-reports": events 100 to 107 of its log
    /// Microsoft-Windows-Forwarding/Operational. They go to the outputs like all events, and
    /// "wecrelay sources" and the status page say by them why a host or a channel is silent.
    /// It costs each host one more connection. It is left out where another subscription
    /// selects from that log.
    #[arg(long, help_heading = "Events")]
    pub no_self_reports: bool,
}
