//! The flags of `wecrelay windows`.

use std::path::PathBuf;

use clap::{Args, ValueEnum, value_parser};

use super::RelayOptions;

/// The arguments of `wecrelay windows`.
#[derive(Args, Clone, Debug)]
pub struct WindowsOptions {
    /// What to print
    #[arg(
        long,
        value_name = "FORM",
        value_enum,
        default_value_t,
        help_heading = "Windows"
    )]
    pub form: WindowsForm,
    /// Kind of hosts, if the flags allow several
    #[arg(
        long = "for",
        value_name = "HOSTS",
        value_enum,
        help_heading = "Windows"
    )]
    pub hosts: Option<HostKind>,
    /// How often hosts request their subscriptions, in seconds
    #[arg(
        long,
        value_name = "SECONDS",
        default_value = "60",
        value_parser = value_parser!(u32).range(1..),
        help_heading = "Windows"
    )]
    pub refresh: u32,
    /// Thumbprint of the authority that issued the hosts' certificates
    ///
    /// SHA-1, 40 hex digits, of one in --client-ca. Default: the only one there.
    #[arg(long, value_name = "THUMBPRINT", help_heading = "Windows")]
    pub issuer: Option<String>,
    /// Number of the value in the policy's list, where hosts have several collectors
    ///
    /// The PowerShell script finds a free one automatically.
    #[arg(
        long,
        value_name = "N",
        default_value = "1",
        value_parser = value_parser!(u32).range(1..),
        help_heading = "Windows"
    )]
    pub number: u32,
    /// Write to this file, in the format of Windows, instead of to standard output
    ///
    /// A .reg file is UTF-16, and lines end in CR LF.
    #[arg(long, value_name = "FILE", help_heading = "Windows")]
    pub out: Option<PathBuf>,
    /// The flags of the relay that the hosts are to reach.
    #[command(flatten)]
    pub relay: RelayOptions,
}

/// Forms of the Windows side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum WindowsForm {
    /// Instructions and commands, for each kind of host that the flags allow
    #[default]
    Overview,
    /// Only the value of the policy "Configure target Subscription Manager"
    Policy,
    /// A registry file
    Reg,
    /// A script that sets up a host
    Powershell,
    /// A device configuration for Intune (JSON for Microsoft Graph)
    Intune,
    /// A playbook for Ansible
    Ansible,
    /// A script that reverts the changes of the powershell script
    Undo,
}

/// Kinds of hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum HostKind {
    /// Members of a domain
    Domain,
    /// Hosts with a client certificate
    Certificate,
    /// Hosts without a domain
    Workgroup,
}
