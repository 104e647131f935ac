//! The flags of `wecrelay health`.

use clap::Args;

/// The arguments of `wecrelay health`.
#[derive(Args, Clone, Debug)]
pub struct HealthOptions {
    /// Check that events can be delivered (/readyz), not only that the relay runs (/healthz)
    #[arg(long)]
    pub ready: bool,
    /// The address of the relay's --metrics: ADDRESS:PORT
    #[arg(value_name = "ADDR", default_value = "127.0.0.1:9598")]
    pub address: String,
}
