//! The flag `--channel-bindings`.

use clap::Args;

use super::BindingsKind;

/// How logons are tied to their TLS connection.
#[derive(Args, Clone, Debug)]
pub struct BindingOptions {
    /// Whether NTLM and Kerberos logons on https must be bound to their TLS connection
    ///
    /// require: a logon is accepted only with the channel bindings of its connection (RFC 5929),
    /// which Windows, pywinrm and pypsrp send, or as long as bodies are sealed. Null sessions,
    /// Basic, Digest and client certificates are not affected.
    ///
    /// none: channel bindings are ignored. For clients that cannot send them, such as curl's
    /// NTLM, and for proxies that terminate TLS.
    ///
    /// Danger of none: an attacker who lures a host to his own server can relay its logon, and
    /// send events in its name.
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value = "require",
        help_heading = "Sources"
    )]
    pub channel_bindings: BindingsKind,
}
