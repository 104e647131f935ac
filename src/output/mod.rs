//! An output: what its URL says, what waits for it, and the machine that delivers.

pub mod kafka;
pub mod link;
pub mod own_log;
pub mod queue;

mod url;

pub use url::*;
