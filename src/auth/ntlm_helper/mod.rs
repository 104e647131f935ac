//! Domain accounts through a helper: Samba's `ntlm_auth` with its protocol `ntlm-server-1`
//! (ntlm_auth(1)), which asks winbindd, which asks a domain controller.
//!
//! [`protocol`] writes questions and parses answers; [`Pool`] distributes questions to
//! several processes and decides when to start or kill one. Sans-IO: the event loop owns
//! processes and pipes.

mod pool;
pub mod protocol;

pub use self::pool::{ANSWER_TIME, Pool, Task};

/// What the event loop runs, and how many of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Program and arguments; no shell is involved.
    pub command: Vec<String>,
    /// Number of processes. Each answers one question at a time, so this limits concurrent
    /// logons.
    pub size: usize,
}
