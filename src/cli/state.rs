//! The flags for stored state.

use std::path::PathBuf;

use clap::Args;

/// Where bookmarks and hosts are kept, and for how long.
#[derive(Args, Clone, Debug, Default)]
pub struct StateOptions {
    /// State folder: bookmarks and hosts
    ///
    /// Created if missing; used by one relay at a time. Default: $STATE_DIRECTORY (set by
    /// systemd), else ./wecrelay-state.
    #[arg(long, value_name = "DIR", help_heading = "Relay")]
    pub state: Option<PathBuf>,
    /// Keep bookmarks and hosts in a PostgreSQL database, which several relays can share
    ///
    /// Hosts can then connect to any of the relays at any time. Missing tables are created if
    /// the account is allowed to; otherwise create them with the output of "wecrelay store schema".
    /// After the question mark: sslmode (disable, require, verify-ca, or the default
    /// verify-full), sslrootcert, sslcert, sslkey, passfile, channel_binding, connect_timeout
    /// and statement_timeout in seconds, target_session_attrs, host (for the folder of a
    /// socket), port. The password is in the file of passfile= (as libpq has it) or in
    /// $PGPASSWORD. --state is not used then.
    ///
    /// Example: --store
    /// 'postgresql://wecrelay@db1.example.com,db2.example.com/wecrelay?passfile=/etc/wecrelay/pgpass'
    #[arg(long, value_name = "URL", help_heading = "Relay")]
    pub store: Option<String>,
    /// Name of this relay among those that share the database of --store
    ///
    /// Default: the machine's name. Several relays on one machine need different names.
    #[arg(long, value_name = "NAME", requires = "store", help_heading = "Relay")]
    pub relay_name: Option<String>,
    /// Forget hosts and bookmarks that have been inactive for this long
    ///
    /// A number with s, m, h, d or w; or never. Only time while the relay runs counts, so that
    /// neither a long outage nor a wrong clock has an effect. A host that returns after
    /// that starts like a new one: at the present end of its log, or with the whole log if the
    /// subscription has ReadExistingEvents. Bookmarks of deleted subscriptions are forgotten,
    /// too.
    #[arg(
        long,
        value_name = "AGE",
        default_value = "90d",
        help_heading = "Relay"
    )]
    pub forget_after: String,
}
