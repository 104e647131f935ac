//! Everything breaks at random points while hosts send, over http and https: connections
//! on both sides, the receiver, which is slow or refuses messages too, the relay itself, its
//! disk, its database, its file descriptors, its clock; nobody reads its log, the name of a
//! second output is known to nobody, and nobody answers about that of a third.
//! What was acknowledged must have arrived, in order apart from repeats.
//!
//! The short form runs as it is. `scripts/soak` runs the long one, by environment:
//! `WECRELAY_CHAOS_EVENTS` (at least so many), `_ROUNDS` (at least so often does
//! everything break), `_HOSTS`, `_SEED`, `_PAUSE` (milliseconds between batches), `_CALM`
//! (milliseconds more between faults).

mod clock;
mod confirming;
mod file;
mod held;
mod kafka;
mod refused;
mod scene;
mod state;
mod tcp;
