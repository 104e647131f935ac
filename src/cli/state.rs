//! The flags about what the relay remembers.

use std::path::PathBuf;

use clap::Args;

/// Where bookmarks and hosts are kept, and for how long.
#[derive(Args, Clone, Debug, Default)]
pub struct StateOptions {
    /// Folder for bookmarks: how far each host has been read
    ///
    /// Created if missing; used by one relay at a time. Default: $STATE_DIRECTORY
    /// (set by systemd), else ./wecrelay-state.
    #[arg(long, value_name = "DIR", help_heading = "Relay")]
    pub state: Option<PathBuf>,
    /// Forget hosts and bookmarks that were not heard of for so long
    ///
    /// A number with s, m, h, d or w; or never. Counted in time that the relay runs, so that
    /// neither a long rest nor a wrong clock makes anything old. A host that comes back after
    /// that begins anew: at its present end, or with its whole log if the subscription says
    /// ReadExistingEvents. Bookmarks of subscriptions that are gone are forgotten too.
    #[arg(
        long,
        value_name = "AGE",
        default_value = "90d",
        help_heading = "Relay"
    )]
    pub forget_after: String,
}
