//! The flags for relays that share the work.

use clap::Args;

/// How relays share a port, and how one leaves.
#[derive(Args, Clone, Debug, Default)]
pub struct SharingOptions {
    /// Let other relays of this machine listen on the same ports
    ///
    /// Linux spreads connections over all relays that listen with this flag as the same user. One
    /// relay uses one core; wecrelay@.service starts several. Hosts come to any of them, so
    /// they need one state: --store. Each needs a --metrics address and a --relay-name of
    /// its own.
    #[arg(long, requires = "store", help_heading = "Sources")]
    pub reuse_port: bool,

    /// After SIGTERM, go on so long while /readyz answers 503: a number with s or m
    ///
    /// A load balancer that asks /readyz sends no more hosts meanwhile. After that the relay
    /// closes its ports and each connection without a request under way, finishes the others
    /// within ten seconds, and ends. A second SIGTERM ends it at once; SIGINT does not wait.
    /// At most 10m. Default: 10s with both --proxy-protocol and --metrics, else 0s.
    ///
    /// Example: --drain-delay 20s
    #[arg(long, value_name = "TIME", help_heading = "Sources")]
    pub drain_delay: Option<String>,
}
