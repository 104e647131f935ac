//! The flags of `wecrelay store`.

use clap::{Args, Subcommand};

/// The arguments of `wecrelay store`.
#[derive(Args, Clone, Debug)]
pub struct StoreOptions {
    /// What to do
    #[command(subcommand)]
    pub command: StoreCommand,
}

/// What to do with a store.
#[derive(Clone, Debug, Subcommand)]
pub enum StoreCommand {
    /// Print the tables that --store needs, and the minimal rights of its account
    ///
    /// For sites where programs must not create tables: run it with psql as the owner of the
    /// database.
    Schema,
    /// Copy bookmarks and hosts from one store to another
    ///
    /// Each is a state folder, or a postgresql:// URL as for --store. Stop the relays that
    /// use them first. The second must have no bookmarks. The age of what is copied starts
    /// at zero (see --forget-after).
    ///
    /// Example: wecrelay store copy /var/lib/wecrelay postgresql://wecrelay@db.example.com/wecrelay
    Copy(StoreCopyOptions),
}

/// The arguments of `wecrelay store copy`.
#[derive(Args, Clone, Debug)]
pub struct StoreCopyOptions {
    /// The store to copy
    #[arg(value_name = "FROM")]
    pub from: String,
    /// The store to copy to
    #[arg(value_name = "TO")]
    pub to: String,
    /// The relay that the hosts are stored for, when the copy goes to a database
    ///
    /// Default: the machine's name, as for --relay-name of the relay. A copy from a database
    /// merges the hosts of all its relays.
    #[arg(long, value_name = "NAME")]
    pub relay_name: Option<String>,
}
