//! The events that `wecrelay send` sends: from a file, or built-in samples.
#![expect(
    clippy::disallowed_methods,
    reason = "a command: it has files and a clock"
)]

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::SystemTime;

use super::Error;

/// Sample events with the placeholders `{time}`, `{record}`, and `{computer}`.
const SAMPLES: &str = include_str!("samples.xml");

/// The events, shared by all hosts.
#[derive(Clone, Debug)]
pub(super) struct Stock {
    events: Arc<[String]>,
    /// Whether these are samples with placeholders.
    samples: bool,
}

impl Stock {
    /// Reads the events of a file; without a path, uses the samples.
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let Some(path) = path else {
            return Ok(Self {
                events: split(SAMPLES).into(),
                samples: true,
            });
        };
        let bytes = std::fs::read(path).map_err(|e| Error::File(path.to_owned(), e))?;
        let (text, _) = crate::base::wire::decode_text(&bytes, crate::base::wire::Charset::Utf8);
        let events = split(&text);
        if events.is_empty() {
            return Err(Error::NoEvents(path.to_owned()));
        }
        Ok(Self {
            events: events.into(),
            samples: false,
        })
    }
}

/// Supplies the events of one host until the count is reached. Starts over at the end of
/// the file.
pub(super) struct Supply {
    events: Arc<[String]>,
    next: usize,
    left: u64,
    sample: Option<Fill>,
}

/// The values for the placeholders of samples.
struct Fill {
    computer: String,
    /// The last record ID of each channel, because each log numbers its own records.
    records: BTreeMap<String, u64>,
}

impl Supply {
    /// Supplies `count` events for `computer`; without a count, each event once.
    pub(super) fn new(stock: &Stock, computer: String, count: Option<u64>) -> Self {
        let once = u64::try_from(stock.events.len()).unwrap_or(u64::MAX);
        let sample = Fill {
            computer,
            records: BTreeMap::new(),
        };
        Self {
            events: Arc::clone(&stock.events),
            next: 0,
            left: count.unwrap_or(once),
            sample: stock.samples.then_some(sample),
        }
    }

    /// The next events: at most `most`, and no more than fit into an envelope of `room`
    /// bytes in UTF-16. At least one as long as there are any, even if it does not fit.
    pub(super) fn next_batch(&mut self, most: usize, room: usize) -> Vec<String> {
        let mut batch = Vec::new();
        let mut size = 8192;
        while self.left > 0 && batch.len() < most {
            let Some(event) = self.events.get(self.next) else {
                break;
            };
            let event = self
                .sample
                .as_mut()
                .map_or_else(|| event.clone(), |s| s.fill(event));
            size += 2 * event.len() + 256;
            if size > room && !batch.is_empty() {
                break;
            }
            batch.push(event);
            self.next = (self.next + 1) % self.events.len();
            self.left -= 1;
        }
        batch
    }
}

impl Fill {
    fn fill(&mut self, event: &str) -> String {
        let time = humantime::format_rfc3339_nanos(SystemTime::now()).to_string();
        let channel = between(event, "Channel").unwrap_or_default();
        let record = self.records.entry(channel.to_owned()).or_default();
        *record += 1;
        let record = record.to_string();
        let event = event.replace("{time}", &time).replace("{record}", &record);
        event.replace("{computer}", &self.computer)
    }
}

/// Extracts the `<Event>` elements of a text unchanged.
fn split(text: &str) -> Vec<String> {
    let mut events = Vec::new();
    let mut rest = text;
    while let Some(start) = rest.find("<Event ").or_else(|| rest.find("<Event>")) {
        let Some(end) = rest.get(start..).and_then(|t| t.find("</Event>")) else {
            break;
        };
        let end = start + end + "</Event>".len();
        events.extend(rest.get(start..end).map(str::to_owned));
        rest = rest.get(end..).unwrap_or_default();
    }
    events
}

/// The bookmark of the simulated host: the last record of each channel.
#[derive(Debug, Default)]
pub(super) struct Bookmarks {
    channels: Vec<(String, String)>,
}

impl Bookmarks {
    pub(super) fn note(&mut self, event: &str) {
        let (Some(channel), Some(record)) =
            (between(event, "Channel"), between(event, "EventRecordID"))
        else {
            return;
        };
        self.channels.retain(|(name, _)| name != channel);
        self.channels.push((channel.to_owned(), record.to_owned()));
    }

    pub(super) fn xml(&self) -> String {
        let last = self.channels.len().saturating_sub(1);
        let marks = self.channels.iter().enumerate().map(|(index, (channel, record))| {
            let current = index == last;
            format!("<Bookmark Channel=\"{channel}\" RecordId=\"{record}\" IsCurrent=\"{current}\"/>")
        });
        format!("<BookmarkList>{}</BookmarkList>", marks.collect::<String>())
    }
}

fn between<'a>(event: &'a str, element: &str) -> Option<&'a str> {
    let (_, rest) = event.split_once(&format!("<{element}>"))?;
    let (value, _) = rest.split_once('<')?;
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event;

    #[test]
    fn the_samples_are_events_once_they_are_filled_in() {
        let mut fill = Fill {
            computer: "a.example.com".into(),
            records: BTreeMap::new(),
        };
        let samples = split(SAMPLES);
        assert!(samples.len() >= 4);
        let mut records = BTreeMap::new();
        for sample in samples.iter().chain(&samples) {
            let filled = fill.fill(sample);
            let event = event::parse(&filled).unwrap();
            let record = records.entry(event.channel.to_string()).or_insert(0_usize);
            *record += 1;
            assert_eq!(
                (&*event.computer, &*event.record_id),
                ("a.example.com", &*record.to_string())
            );
            assert!(event.repaired.is_none());
        }
        assert!(records.len() > 1 && records.values().sum::<usize>() == 2 * samples.len());
    }

    #[test]
    fn bookmarks_name_the_last_record_of_each_channel() {
        let mut bookmarks = Bookmarks::default();
        for (channel, record) in [("System", 1), ("Security", 5), ("System", 2)] {
            bookmarks.note(&format!(
                "<EventRecordID>{record}</EventRecordID><Channel>{channel}</Channel>"
            ));
        }
        let expected = "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"5\" IsCurrent=\"false\"/>\
                        <Bookmark Channel=\"System\" RecordId=\"2\" IsCurrent=\"true\"/></BookmarkList>";
        assert_eq!(bookmarks.xml(), expected);
    }
}
