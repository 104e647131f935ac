//! What has happened at the outputs, told to their links, and what came of batches there.

use super::{Collector, Input, Output, OutputId};
use crate::base::clock::Now;
use crate::output::Task;
use crate::output::link::Link;
use crate::output::queue::BatchId;

impl Collector {
    pub(super) fn handle_output(&mut self, now: Now, input: &Input<'_>) {
        match *input {
            Input::Resolved(id, found) => self.with_link(now, id, |link, _| {
                link.handle_resolved(now, found);
                None
            }),
            Input::Reached(id) => self.with_link(now, id, |link, _| {
                link.handle_reached(now);
                None
            }),
            Input::Opened(id) => self.with_link(now, id, |link, _| {
                link.handle_opened(now);
                None
            }),
            Input::Failed(id, why) => self.with_link(now, id, |link, _| {
                link.handle_failed(now, why);
                None
            }),
            Input::Replied(id, bytes) => {
                self.with_link(now, id, |link, delivered| {
                    link.handle_received(now, bytes, delivered)
                });
            }
            Input::Written(id, count) => {
                self.with_link(now, id, |link, delivered| {
                    link.handle_written(now, count, delivered);
                    None
                });
            }
            Input::Broker(id, broker, event) => {
                self.with_link(now, id, |link, delivered| {
                    link.handle_broker(now, broker, event, delivered);
                    None
                });
            }
            Input::Filed(id, error) => {
                self.with_link(now, id, |link, delivered| {
                    link.handle_filed(now, error, delivered);
                    None
                });
            }
            Input::Measured(id, left) => {
                self.with_link(now, id, |link, delivered| {
                    link.handle_measured(now, left, delivered);
                    None
                });
            }
            _ => {}
        }
    }

    pub(super) fn with_link(
        &mut self,
        now: Now,
        id: OutputId,
        act: impl FnOnce(&mut Link, &mut Vec<BatchId>) -> Option<Task>,
    ) {
        let mut confirmed = Vec::new();
        if let Some(link) = self.links.get_mut(id.0)
            && let Some(task) = act(link, &mut confirmed)
        {
            self.outputs.push_back(Output::Link(id, task));
        }
        self.settle_link(now, id, confirmed);
    }

    /// Takes over what came of batches at a link.
    fn settle_link(&mut self, now: Now, id: OutputId, mut confirmed: Vec<BatchId>) {
        let Some(link) = self.links.get_mut(id.0) else {
            return;
        };
        confirmed.append(&mut link.take_delivered());
        let refused = link.take_refused();
        let required = link.settings().required;
        for batch in confirmed {
            if self.batches.contains_key(&batch) {
                self.note_delivered(id, required, batch);
            } else {
                self.had.note_late(now, id.0, batch);
            }
        }
        for batch in refused {
            self.refuse_batch(now, batch);
        }
    }
}
