//! The flags of the commands that look and do not run: `check`.

use clap::Args;

use super::RelayOptions;

/// The flags of `wecrelay check`.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// Those of the relay.
    #[command(flatten)]
    pub relay: RelayOptions,
    /// Also connect to each output, and say what answers there
    ///
    /// DNS, the time it takes, TLS with the receiver's certificate and whether it is
    /// accepted, and what a RELP receiver offers. No event is sent.
    #[arg(long, help_heading = "Check")]
    pub probe: bool,
}
