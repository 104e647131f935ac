//! What everything stands on: bytes, text, XML, time.

pub mod clock;
pub mod visible;
pub mod wire;
pub mod xml;
