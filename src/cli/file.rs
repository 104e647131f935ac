//! The flag that names the file with more flags.

use std::path::PathBuf;

use clap::Args;

/// The file with more flags.
#[derive(Args, Clone, Debug, Default)]
pub struct FileOption {
    /// Read flags from this file: wecrelay.toml(5)
    ///
    /// TOML; each key is the name of a flag without dashes, such as output =
    /// ["tcp://127.0.0.1:601"]. A flag on the command line replaces its value in the file, even
    /// if it is repeatable. Relative paths in the file start at its folder. SIGHUP reads it
    /// again. Default: none.
    ///
    /// Example: --config /etc/wecrelay/wecrelay.toml
    #[arg(long, value_name = "FILE", help_heading = "Relay")]
    pub config: Option<PathBuf>,
}
