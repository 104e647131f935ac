//! The flags for relays that share a port or a database.

use clap::Args;

/// How relays share a port, and how one leaves.
#[derive(Args, Clone, Debug, Default)]
pub struct SharingOptions {
    /// Let other relays of this machine listen on the same ports
    ///
    /// Linux distributes connections over all relays that listen with this flag as the same user. One
    /// relay uses one core; wecrelay@.service starts several. Hosts connect to any of them, so
    /// they need a common --store. Each needs its own --metrics address and --relay-name.
    #[arg(long, requires = "store", help_heading = "Sources")]
    pub reuse_port: bool,

    /// After SIGTERM, continue this long while /readyz answers 503: a number with s or m
    ///
    /// A load balancer that checks /readyz sends no more hosts during this time. Then the relay
    /// closes its ports and idle connections, finishes requests in flight
    /// within ten seconds, and exits. A second SIGTERM stops it at once; SIGINT does not wait.
    /// At most 10m. Default: 10s with both --proxy-protocol and --metrics, else 0s.
    ///
    /// Example: --drain-delay 20s
    #[arg(long, value_name = "TIME", help_heading = "Sources")]
    pub drain_delay: Option<String>,
}
