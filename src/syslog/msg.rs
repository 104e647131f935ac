//! `MSG`: the event as text, XML, JSON, or in the layout of another product.

use super::escape::push_text;
use super::message::Message;
use super::{MessageKind, json, layout, text, xml};

impl Message<'_, '_> {
    /// Appends a space, the byte order mark if configured, and MSG; nothing if MSG is empty.
    pub(super) fn push_msg(&self, out: &mut Vec<u8>) {
        let start = self.start_msg(out);
        let text_start = out.len();
        self.push_content(out);
        if out.len() == text_start {
            out.truncate(start);
        }
    }

    /// Appends the content of MSG, without a byte order mark.
    pub(super) fn push_content(&self, out: &mut Vec<u8>) {
        match (self.event, self.style.message) {
            (_, MessageKind::Json) => json::push(out, self),
            (Err(_), MessageKind::Text) => push_text(out, self.xml, self.style),
            (Err(_), MessageKind::Xml) => xml::push_broken(out, self.xml, self.style),
            (Ok(event), MessageKind::Text) => text::push(out, event, self.style),
            (Ok(event), MessageKind::Xml) => {
                let repaired = event.repaired.as_ref();
                let xml = repaired.map_or(self.xml, |repaired| &repaired.xml);
                xml::push(out, xml, self.style);
            }
            (_, kind) => layout::push(out, self, kind),
        }
    }
}
