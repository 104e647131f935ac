//! How far a connection has progressed.

use super::envelope::Form;
use super::pace::Wait;
use crate::protocol::http::request::Progress;

#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Accepts requests.
    Open,
    /// A message waits for its answer.
    Answering(Form),
    /// A request waits for the domain's verdict.
    Asking(Form),
    /// Closes when the last answer has been written.
    Closing,
    /// The last answer has been written; the peer should close.
    Lingering,
    /// Must be closed now.
    Closed,
}

impl Phase {
    /// Whether nothing more will be answered than is already being written.
    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::Closing | Self::Lingering | Self::Closed)
    }

    /// What the source or the domain is expected to do, if anything, given how much of a
    /// request has arrived and whether an answer is being written.
    pub(super) fn wait(
        self,
        progress: Progress,
        awaits_proxy: bool,
        is_writing: bool,
    ) -> Option<Wait> {
        Some(match (self, progress) {
            (Self::Open, _) if awaits_proxy => Wait::Proxy,
            _ if is_writing => Wait::Reading,
            (Self::Answering(_), _) => return None,
            (Self::Asking(_), _) => Wait::Verdict,
            (Self::Open, Progress::Head) => Wait::Head,
            (Self::Open, Progress::Body) => Wait::Body,
            (Self::Open, Progress::Idle) => Wait::Request,
            (Self::Closing | Self::Lingering, _) => Wait::End,
            (Self::Closed, _) => Wait::Nothing,
        })
    }
}
