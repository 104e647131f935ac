//! What can be salvaged from an event that cannot be parsed: its `System` element, which
//! comes first and is short.

use super::{Event, general};
use crate::base::xml::replace_forbidden;
use crate::base::xml::scan::{Segment, segments};

/// Maximum size of `System` in bytes; real ones have about 1,000.
const MAX_SYSTEM: usize = 64 * 1024;

/// An event with the content of the `System` element, if that is complete.
pub(super) fn system(xml: &str) -> Event<'static> {
    find(xml).and_then(read).unwrap_or_default()
}

/// Parses the element inside a root of its own.
fn read(system: &str) -> Option<Event<'static>> {
    let (name, prefix) = name_of(system);
    let root = match prefix {
        "" => format!("<Event>{system}</Event>"),
        prefix => {
            let root = name.replacen("System", "Event", 1);
            format!("<{root} xmlns:{prefix}='event'>{system}</{root}>")
        }
    };
    let clean = replace_forbidden(&root);
    Some(general::read(&clean).ok()?.into_owned())
}

/// The first `System` directly inside the root `Event`, including its end tag.
fn find(xml: &str) -> Option<&str> {
    let (mut at, mut depth) = (0_usize, 0_usize);
    let mut start = None;
    for segment in segments(xml) {
        let (Segment::Tag(text)
        | Segment::Text(text)
        | Segment::CData(text)
        | Segment::Other(text)) = segment;
        let end = at.saturating_add(text.len());
        if matches!(segment, Segment::Tag(_)) {
            let is_end = text.starts_with("</");
            match depth {
                0 if !is_end && local_name(text) != "Event" => return None,
                1 if !is_end && local_name(text) == "System" => start = Some(at),
                _ => {}
            }
            depth = if is_end {
                depth.saturating_sub(1)
            } else {
                depth.saturating_add(usize::from(!text.ends_with("/>")))
            };
        }
        at = end;
        let Some(start) = start else { continue };
        if at.saturating_sub(start) > MAX_SYSTEM {
            return None;
        }
        if depth == 1 {
            return xml.get(start..end);
        }
    }
    None
}

/// The name in a start tag, and its prefix.
fn name_of(tag: &str) -> (&str, &str) {
    let tag = tag.strip_prefix('<').unwrap_or(tag);
    let end = tag.find(|c: char| c.is_ascii_whitespace() || c == '>' || c == '/');
    let name = tag.get(..end.unwrap_or(tag.len())).unwrap_or_default();
    (name, name.split_once(':').map_or("", |(prefix, _)| prefix))
}

fn local_name(tag: &str) -> &str {
    let (name, _) = name_of(tag);
    name.rsplit(':').next().unwrap_or_default()
}
