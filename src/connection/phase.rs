//! How far a connection is.

use super::envelope::Form;
use super::pace::Wait;
use crate::protocol::http::request::Progress;

#[derive(Clone, Copy, Debug)]
pub(super) enum Phase {
    /// Takes requests.
    Open,
    /// A message waits for its answer.
    Answering(Form),
    /// A request waits for what the domain says of its account.
    Asking(Form),
    /// Closes when the last answer is written.
    Closing,
    /// The last answer is written; the peer should close.
    Lingering,
    /// To be closed now.
    Closed,
}

impl Phase {
    /// Whether no more is answered than is written already.
    pub(super) fn is_ending(self) -> bool {
        matches!(self, Self::Closing | Self::Lingering | Self::Closed)
    }

    /// What is waited for, if anything of the source or the domain is, where so much of a
    /// request has come; `is_writing`: an answer is being written.
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
