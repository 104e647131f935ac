//! Faults at random points while hosts send over http and https: of connections on both
//! sides, of the receiver, which can also be slow or reject messages, of the relay itself, its
//! disk, database, file descriptors, and clock. At times its log is not read; the host name of
//! a second output does not exist, and queries for that of a third are never answered.
//! Acknowledged events must have arrived, in order except for repeats.
//!
//! By default, the tests run in their short form. `scripts/soak` runs the long form with these
//! environment variables: `WECRELAY_CHAOS_EVENTS` (minimum number), `_ROUNDS` (minimum number
//! of all faults), `_HOSTS`, `_SEED`, `_PAUSE` (milliseconds between batches), `_CALM`
//! (additional milliseconds between faults).

mod clock;
mod confirming;
mod file;
mod held;
mod kafka;
mod refused;
mod scene;
mod state;
mod tcp;
