//! Domain accounts through a helper: Samba's `ntlm_auth` with its protocol
//! `ntlm-server-1` (ntlm_auth(1)), which asks winbindd, which asks a domain controller.
//!
//! [`protocol`] writes questions and reads answers; [`Pool`] hands questions to several
//! processes and knows when one is to be started, or given up. Sans-IO: processes and
//! pipes are the event loop's.

mod pool;
pub mod protocol;

pub use self::pool::{ANSWER_TIME, Pool, Task};

/// What the event loop runs, and how often.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Program and arguments.
    pub command: Vec<String>,
    /// How many processes.
    pub size: usize,
}
