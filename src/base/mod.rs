//! What everything stands on: bytes, text, XML, time.

pub mod causes;
pub mod clock;
pub mod cursor;
pub mod lanes;
pub mod visible;
pub mod wire;
pub mod xml;
