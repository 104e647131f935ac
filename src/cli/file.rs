//! The flag that names the file with more flags.

use std::path::PathBuf;

use clap::Args;

/// Where more flags stand.
#[derive(Args, Clone, Debug, Default)]
pub struct FileOption {
    /// Take flags from this file too: wecrelay.toml(5)
    ///
    /// TOML; each key is the name of a flag without its dashes, such as output =
    /// ["tcp://127.0.0.1:601"]. A flag that is given on the command line replaces what the
    /// file says of it, also if it is repeatable. Relative paths in the file begin at its
    /// folder. SIGHUP reads it anew. Default: none.
    ///
    /// Example: --config /etc/wecrelay/wecrelay.toml
    #[arg(long, value_name = "FILE", help_heading = "Relay")]
    pub config: Option<PathBuf>,
}
