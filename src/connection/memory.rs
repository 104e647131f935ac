//! Memory for decoding bodies, reused from request to request.

use super::{Message, Rules};

/// What all connections share: their rules, and memory.
pub type Shared<'a> = (&'a Rules, &'a mut Memory);

/// The large blocks that each request needs. All connections share them, since one request
/// is handled at a time: what was used last is still in the processor's cache.
#[derive(Debug, Default)]
pub struct Memory {
    inflated: Vec<u8>,
    text: String,
}

impl Memory {
    /// Maximum number of bytes of a block that is kept; few requests need more.
    const MOST: usize = 1 << 20;

    /// Takes back the memory of a message.
    pub fn reuse(&mut self, message: Message) {
        if message.text.capacity() <= Self::MOST {
            self.text = message.text;
        }
    }

    /// For a decoded text; may contain an earlier one.
    pub(super) fn take_text(&mut self) -> String {
        std::mem::take(&mut self.text)
    }

    /// For an inflated body; may contain an earlier one.
    pub(super) fn take_inflated(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.inflated)
    }

    pub(super) fn reuse_inflated(&mut self, inflated: Vec<u8>) {
        if inflated.capacity() <= Self::MOST {
            self.inflated = inflated;
        }
    }
}
