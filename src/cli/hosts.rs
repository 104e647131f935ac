//! The flags of `wecrelay hosts`.

use std::path::PathBuf;

use clap::Args;

/// The arguments of `wecrelay hosts`.
#[derive(Args, Clone, Debug)]
pub struct HostsOptions {
    /// The relay's state folder
    ///
    /// Default: the first of $STATE_DIRECTORY, else ./wecrelay-state.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// Print one JSON object instead of a table
    ///
    /// It has hosts, refusals, states and relay. Times are seconds since 1970-01-01 UTC.
    #[arg(long)]
    pub json: bool,
    /// Only hosts in this state
    ///
    /// active: sent events lately. alive: sends heartbeats. late: missed a heartbeat. lost:
    /// missed several. silent: fetched its subscriptions and has sent nothing since.
    /// waiting: fetched them just now. refused: no subscription is for it.
    #[arg(
        long,
        value_name = "STATE",
        value_parser = ["active", "alive", "late", "lost", "silent", "waiting", "refused"]
    )]
    pub state_is: Option<String>,
    /// Only hosts that have this subscription
    #[arg(long, value_name = "NAME")]
    pub subscription: Option<String>,
    /// Forget the hosts that were not heard of for so long: 90d, 12h, 30m
    ///
    /// With other filters, only those of them. Bookmarks stay, so that a host that comes
    /// back goes on where it was. A relay that runs forgets them for good at its next start.
    #[arg(long, value_name = "AGE")]
    pub prune: Option<String>,
    /// With --prune: forget their bookmarks too
    ///
    /// Those of all subscriptions that there ever were; without other filters also bookmarks
    /// of that age whose host is not known any more. A host that comes back is asked anew: it
    /// sends from its present end, or its whole log if the subscription says
    /// ReadExistingEvents.
    #[arg(long, requires = "prune")]
    pub with_bookmarks: bool,
    /// Only hosts whose name, identity or address is this; * stands for anything
    #[arg(value_name = "HOST")]
    pub host: Option<String>,
}
