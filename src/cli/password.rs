//! The flags for Basic and Digest authentication.

use clap::Args;

/// What is offered of Basic and Digest, as typed.
#[derive(Args, Clone, Debug)]
pub struct PasswordOptions {
    /// Also offer Basic authentication: name and password with each request
    ///
    /// Needs --users. Inside TLS only, unless --allow-password-without-tls is given. Windows
    /// event forwarding does not use it; other WS-Management clients do. Subscriptions for such
    /// a host name the profile https/basic. Default: not offered.
    ///
    /// Danger: the relay sees the password. Anyone who compromises the relay, or impersonates it
    /// to a host that does not check certificates, gets it.
    ///
    /// Example: --basic --users /etc/wecrelay/users --listen https://192.0.2.10
    #[arg(long, requires = "users", help_heading = "Sources")]
    pub basic: bool,

    /// Also offer Digest authentication (RFC 7616): a hash with each request
    ///
    /// Needs lines in --users from "wecrelay passwd --digest REALM", all of one realm. SHA-256
    /// is offered first, then MD5, each if a line has such a hash; nonces are valid for half an
    /// hour, and no response is accepted twice. Inside TLS only, unless
    /// --allow-password-without-tls is given. Subscriptions for such a host name the profile
    /// https/digest. Default: not offered.
    ///
    /// Danger: anyone who sees one response can guess passwords as fast as hashes are computed.
    /// Use long random ones, and remove ":MD5=..." from the lines if no host needs it.
    #[arg(long, requires = "users", help_heading = "Sources")]
    pub digest: bool,

    /// Offer --basic and --digest on http listeners too
    ///
    /// Bodies are not sealed then. Default: only on https listeners.
    ///
    /// Danger: an attacker between host and relay can read, change and add events, and with
    /// Basic read the password.
    #[arg(long, help_heading = "Sources")]
    pub allow_password_without_tls: bool,
}
