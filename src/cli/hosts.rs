//! The flags of `wecrelay hosts`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `wecrelay hosts`.
#[derive(Args, Clone, Debug)]
pub struct HostsOptions {
    /// The relay's state folder
    ///
    /// Default: the first folder in $STATE_DIRECTORY, else ./wecrelay-state.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The database of relays that share one, in place of a state folder: postgresql://...
    ///
    /// The same URL as for the relay. Counts are the sums of all relays.
    #[arg(long, value_name = "URL", conflicts_with_all = ["state", "prune"])]
    pub store: Option<String>,
    /// With --store: forget a relay that is gone for good, with its data about hosts
    ///
    /// Otherwise it is shown as gone until the relays' --forget-after has passed. A running
    /// relay is not forgotten.
    #[arg(long, value_name = "NAME", requires = "store")]
    pub forget_relay: Option<String>,
    /// Print one JSON object instead of a table
    ///
    /// Its members are hosts, refusals, states and relay, with --store also relays. Times are seconds since 1970-01-01 UTC.
    #[arg(long)]
    pub json: bool,
    /// Only hosts in this state
    ///
    /// active: sent events recently. alive: sends heartbeats. late: missed a heartbeat. lost:
    /// missed several. silent: fetched its subscriptions and has sent nothing since.
    /// waiting: has just fetched them. refused: no subscription is for it.
    #[arg(
        long,
        value_name = "STATE",
        value_parser = ["active", "alive", "late", "lost", "silent", "waiting", "refused"]
    )]
    pub state_is: Option<String>,
    /// Only hosts that have this subscription
    #[arg(long, value_name = "NAME")]
    pub subscription: Option<String>,
    /// Forget hosts that have been inactive for this long: 90d, 12h, 30m
    ///
    /// Combined with other filters, only those that match. Bookmarks stay, so that a host that
    /// returns resumes where it was. A running relay forgets them at its next start.
    #[arg(long, value_name = "AGE")]
    pub prune: Option<String>,
    /// With --prune: forget their bookmarks too
    ///
    /// Those of all subscriptions, including deleted ones; without other filters also bookmarks of
    /// that age whose host is unknown. A host that returns starts like a new one: at the present
    /// end of its log, or with the whole log if the subscription has ReadExistingEvents.
    #[arg(long, requires = "prune")]
    pub with_bookmarks: bool,
    /// Only hosts with this name, identity or address; * matches any characters
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}
