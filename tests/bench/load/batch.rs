//! Bodies that are built once: for each message, only its variable parts are replaced.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;
use wecrelay::base::wire::{self, Charset};
use wecrelay::protocol::wsman::source::{self, Offered, Sender};
use wecrelay::protocol::wsman::subscribe::ContentFormat;

/// Genuine types of events, one per line.
const SAMPLES: &str = include_str!("../instructions/events.xml");
/// The computer of the samples.
const SAMPLE_HOST: &str = "bench.example.com";
/// Placeholder with the length of each host's name.
const HOST: &str = "host-00000.bench.example";
/// Placeholder for the `MessageID`.
const MESSAGE: Uuid = Uuid::from_u128(0xB1A2_C3D4_0000_4000_8000_FEDC_BA98_7654);
/// Placeholder for the first record, the next number for the second; each has ten digits.
const RECORD: u64 = 9_876_000_000;
/// `OperationTimeout` in a host's header; a relay that is suspended for a while may take longer.
const TIMEOUT: Duration = Duration::from_secs(60);

/// The name of the host with this number.
pub(crate) fn host_name(number: usize) -> String {
    format!("host-{number:05}.bench.example")
}

/// The header fields of a host and of a message.
pub(crate) fn sender<'a>(to: &'a str, machine: &'a str, message: Uuid) -> Sender<'a> {
    Sender {
        to,
        machine,
        locale: "en-US",
        session: Uuid::nil(),
        message,
        operation: Uuid::nil(),
        timeout: TIMEOUT,
        max_envelope_size: 512_000,
    }
}

/// A body with placeholders, the same for all hosts of a subscription.
#[derive(Debug)]
pub(crate) struct Template {
    body: Vec<u8>,
    message: Vec<usize>,
    host: Vec<usize>,
    /// The positions of each record number.
    records: Vec<Vec<usize>>,
}

impl Template {
    /// A batch of `batch` events.
    pub(crate) fn events(offered: &Offered, batch: usize) -> Arc<Self> {
        let lines = SAMPLES.lines().cycle().take(batch);
        let events: Vec<_> = lines
            .zip(RECORD..)
            .map(|(line, record)| event(offered, line, record))
            .collect();
        let last = RECORD + batch as u64 - 1;
        let bookmark = format!(
            "<BookmarkList><Bookmark Channel=\"Security\" RecordId=\"{last}\" IsCurrent=\"true\"/></BookmarkList>"
        );
        let sender = sender(&offered.notify_to, HOST, MESSAGE);
        let events = events.iter().map(String::as_str);
        let text = source::events(&sender, &offered.reference, Some(&bookmark), events);
        Self::new(&text, batch)
    }

    /// A heartbeat.
    pub(crate) fn heartbeat(offered: &Offered) -> Arc<Self> {
        let sender = sender(&offered.notify_to, HOST, MESSAGE);
        Self::new(&source::heartbeat(&sender, &offered.reference), 0)
    }

    fn new(text: &str, batch: usize) -> Arc<Self> {
        let body = wire::encode_text(text, Charset::Utf16);
        let of = |mark: &str| {
            let mark = utf16(mark);
            memchr::memmem::find_iter(&body, &mark).collect::<Vec<_>>()
        };
        Arc::new(Self {
            message: of(&MESSAGE.to_string().to_uppercase()),
            host: of(HOST),
            records: (RECORD..)
                .take(batch)
                .map(|record| of(&record.to_string()))
                .collect(),
            body,
        })
    }

    /// The body of one message.
    pub(crate) fn fill(&self, message: Uuid, host: &str, first_record: u64) -> Vec<u8> {
        let mut body = self.body.clone();
        let mut write = |places: &[usize], text: &str| {
            let text = utf16(text);
            for place in places {
                body[*place..*place + text.len()].copy_from_slice(&text);
            }
        };
        write(&self.message, &message.to_string().to_uppercase());
        write(&self.host, host);
        for (places, record) in self.records.iter().zip(first_record..) {
            write(places, &record.to_string());
        }
        body
    }
}

/// A sample in the form that this subscription requests, with its own record.
fn event(offered: &Offered, line: &str, record: u64) -> String {
    let event = line
        .replace(SAMPLE_HOST, HOST)
        .replace("{record}", &record.to_string());
    let rendering = event.split_once("<RenderingInfo");
    match (offered.content_format, rendering) {
        (ContentFormat::Events, Some((before, _))) => format!("{before}</Event>"),
        _ => event,
    }
}

/// Without a byte order mark.
fn utf16(text: &str) -> Vec<u8> {
    text.encode_utf16().flat_map(u16::to_le_bytes).collect()
}
