//! What everything else builds on: bytes, text, XML, and time. Imports no other room.

pub mod causes;
pub mod clock;
pub mod cursor;
pub mod hashing;
pub mod lanes;
pub mod pieces;
pub mod utf16;
pub mod visible;
pub mod wire;
pub mod xml;
