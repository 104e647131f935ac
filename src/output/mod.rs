//! An output: its URL, its queue, and the state machine that delivers.

pub mod kafka;
pub mod link;
pub mod own_log;
pub mod queue;

mod dial;
mod refusing;
mod secret;
mod suspects;
mod task;
mod url;

pub use dial::{Dial, Step};
pub use secret::Secret;
pub use suspects::RefusedEvent;
pub use task::Task;
pub use url::*;
