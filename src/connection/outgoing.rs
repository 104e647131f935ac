//! The bytes to write to the source.

use std::time::SystemTime;

use crate::protocol::http::{self, Response};

/// Bytes, and how many of them have been written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// The bytes that remain to be written.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// The source waits for `100 Continue` before it sends its body.
    pub(super) fn push_continue(&mut self) {
        self.bytes.extend_from_slice(http::CONTINUE);
    }

    pub(super) fn push(
        &mut self,
        response: &Response,
        wall: SystemTime,
        is_head: bool,
        keep_alive: bool,
    ) {
        response.encode(wall, is_head, keep_alive, &mut self.bytes);
    }

    /// Reports that `count` bytes have been written; returns whether that was all.
    pub(super) fn note_written(&mut self, count: usize) -> bool {
        self.written += count;
        let is_all = self.written >= self.bytes.len();
        if is_all {
            // An idle connection keeps no buffer.
            *self = Self::default();
        }
        is_all
    }
}
