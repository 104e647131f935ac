//! The flag for channel bindings.

use clap::Args;

use super::BindingsKind;

/// How logons are tied to their TLS connection.
#[derive(Args, Clone, Debug)]
pub struct BindingOptions {
    /// Whether NTLM and Kerberos logons on https must be bound to their TLS connection
    ///
    /// require: such a logon counts only with the channel bindings of this very connection
    /// (RFC 5929), as Windows, pywinrm and pypsrp send them, or as long as bodies are sealed.
    /// Null sessions, Basic, Digest and client certificates are not concerned.
    ///
    /// none: channel bindings are not looked at. For clients that cannot send any, such as
    /// curl's NTLM, and where a proxy ends TLS and begins it anew.
    ///
    /// Danger of none: whoever lures a host to himself can carry its logon here, and send
    /// events in its name.
    #[arg(
        long,
        value_name = "WHAT",
        value_enum,
        default_value = "require",
        help_heading = "Sources"
    )]
    pub channel_bindings: BindingsKind,
}
