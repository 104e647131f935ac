//! (to come)
pub mod framing;
