//! What is to be written to the source.

use std::time::SystemTime;

use crate::protocol::http::{self, Response};

/// Bytes, and how many of them are written.
#[derive(Debug, Default)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    written: usize,
}

impl Outgoing {
    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// What is left to be written.
    pub(super) fn rest(&self) -> &[u8] {
        self.bytes.get(self.written..).unwrap_or_default()
    }

    /// The source waits for leave to send its body.
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

    /// `count` bytes were written. Answers whether that was all.
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
