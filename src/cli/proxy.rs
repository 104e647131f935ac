//! The flag for load balancers.

use clap::Args;

/// Load balancers that name their clients.
#[derive(Args, Clone, Debug, Default)]
pub struct ProxyOptions {
    /// Load balancers whose connections begin with a PROXY header: ADDRESS[/BITS]
    ///
    /// Repeatable; an address without BITS is one host. Version 1 or 2 (HAProxy's send-proxy and
    /// send-proxy-v2), before TLS on https listeners. From these addresses the header is
    /// required, on each listener; the address in it is used for --anonymous, limits on failed
    /// authentications, the log and events. From all other addresses the header is rejected.
    /// Connections of the balancer itself (LOCAL, UNKNOWN), such as health checks, keep its own
    /// address. See docs/high-availability.md. Default: none.
    ///
    /// Danger: anyone who can connect from such an address can claim to be any host, also one in
    /// --anonymous. Name single balancers that only you administer.
    ///
    /// Example: --proxy-protocol 192.0.2.4 --proxy-protocol 2001:db8::4
    #[arg(long, value_name = "CIDR", help_heading = "Sources")]
    pub proxy_protocol: Vec<String>,
}
