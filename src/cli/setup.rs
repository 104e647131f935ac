//! The flags of `wecrelay init`.

use std::path::PathBuf;

use clap::Args;

use super::HostKind;

/// The arguments of `wecrelay init`.
#[derive(Args, Clone, Debug)]
pub struct SetupOptions {
    /// Kind of hosts
    ///
    /// domain: members of a domain, by Kerberos. certificate: DMZ and workgroups, by client
    /// certificates. workgroup: hosts of one network without credentials, for a trial.
    #[arg(long = "for", value_name = "HOSTS", value_enum)]
    pub hosts: Option<HostKind>,
    /// Name of this relay, as hosts reach it
    #[arg(long, value_name = "NAME")]
    pub hostname: Option<String>,
    /// Channels to collect, separated by commas
    ///
    /// Default: Application,Security,System.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    pub channel: Vec<String>,
    /// Where to send events, as --output of the relay
    ///
    /// Default: tcp://127.0.0.1:601?max=256K.
    #[arg(long, value_name = "URL")]
    pub output: Option<String>,
    /// Network of the hosts, for --for workgroup: ADDRESS[/BITS]
    #[arg(long, value_name = "CIDR")]
    pub anonymous: Option<String>,
    /// Replace files that exist
    #[arg(long)]
    pub force: bool,
    /// The folder to write to; created if missing
    #[arg(value_name = "DIR", default_value = ".")]
    pub folder: PathBuf,
}
