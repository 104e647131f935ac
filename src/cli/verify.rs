//! The flags of `check` and `doctor`, which inspect a configuration without running it.

use clap::Args;

use super::RelayOptions;

/// The flags of `wecrelay check`.
#[derive(Args, Clone, Debug)]
pub struct CheckOptions {
    /// Those of the relay.
    #[command(flatten)]
    pub relay: RelayOptions,
    /// Also connect to each output, and report the result
    ///
    /// DNS, connection time, TLS with the receiver's certificate and whether it is accepted, and
    /// the offers of a RELP receiver. No event is sent.
    #[arg(long, help_heading = "Check")]
    pub probe: bool,
}

/// The flags of `wecrelay doctor`.
#[derive(Args, Clone, Debug)]
pub struct DoctorOptions {
    /// Those of the relay.
    #[command(flatten)]
    pub relay: RelayOptions,
    /// Explain an event id of the Windows forwarder, an error code, or a refusal, and exit
    ///
    /// Event ids are those of Microsoft-Windows-Forwarding/Operational, 100 to 107; codes are
    /// decimal, or hexadecimal after 0x; refusals as the relay counts them, such as
    /// authentication.
    #[arg(
        long,
        value_name = "WHAT",
        allow_hyphen_values = true,
        help_heading = "Doctor"
    )]
    pub explain: Option<String>,
    /// The host that sends nothing: also resolve and check this name or address
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}
