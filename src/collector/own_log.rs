//! The relay's own log on its way to the outputs.

use super::{Collector, Encoding};
use crate::base::clock::Now;
use crate::output::queue::Frames;
use crate::record;
use crate::syslog::framing;
use crate::syslog::{Line, Mapping, Sender, Severity, write_own};
use std::rc::Rc;

impl Collector {
    /// Queues a message of the relay's own log at every output that has room for it.
    pub fn push_own(&mut self, now: Now, sender: &Sender, line: &Line) {
        let mapping = &self.settings.mapping;
        let frames = |encoding| Rc::new(frames(mapping, encoding, sender, line));
        let of_encoding: Vec<_> = self.encodings.iter().map(frames).collect();
        for (link, index) in self.links.iter_mut().zip(&self.encoding_of_link) {
            let (Some(encoding), Some(frames)) =
                (self.encodings.get(*index), of_encoding.get(*index))
            else {
                continue;
            };
            if let Some(count) = link.take_own_lost() {
                let gap = gap(now, count);
                link.push_own(now, &Rc::new(self::frames(mapping, encoding, sender, &gap)));
            }
            link.push_own(now, frames);
        }
    }
}

/// What stands where messages are missing.
fn gap(now: Now, count: u64) -> Line {
    Line {
        severity: Severity::Warning,
        time: now.wall,
        text: format!("{count} messages of this log are missing here: the output took none"),
    }
}

fn frames(mapping: &Mapping, encoding: &Encoding, sender: &Sender, line: &Line) -> Frames {
    let mut frames = Frames::default();
    let out = &mut frames.bytes;
    match encoding.record {
        None => framing::write_frame(encoding.framing, out, |out| {
            write_own(mapping, sender, line, &encoding.style, out);
        }),
        Some(kind) => record::write_own(kind, mapping, sender, line, &encoding.style, out),
    }
    frames.ends.push(frames.bytes.len());
    frames
}
