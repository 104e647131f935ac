//! The forms in which events are written, and those in which they arrive.

use std::time::SystemTime;

use wecrelay::event::{Event, Malformed};
use wecrelay::record::{self, Kind};
use wecrelay::syslog::framing::{Framing, write_frame};
use wecrelay::syslog::{
    Escape, Mapping, MessageKind, Origin, StructuredData, Style, write_message,
};

/// One way to write an event.
#[derive(Clone, Copy)]
pub(crate) struct Form {
    /// A record of a protocol other than syslog.
    record: Option<Kind>,
    framing: Framing,
    style: Style,
}

impl Form {
    /// Every layout, octet-counted, and on a line, complete and truncated.
    pub(crate) fn all() -> impl Iterator<Item = Self> {
        let ways = [
            (Framing::OctetCounting, None),
            (Framing::LineFeed, None),
            (Framing::LineFeed, Some(64 << 10)),
        ];
        let each = move |(_, message)| {
            let datas = [
                StructuredData::None,
                StructuredData::Bounded,
                StructuredData::Whole,
            ];
            ways.into_iter().flat_map(move |(framing, max)| {
                datas.into_iter().map(move |data| {
                    let style = Style {
                        message,
                        header: if data == StructuredData::None {
                            message.default_header()
                        } else {
                            wecrelay::syslog::Header::Rfc5424
                        },
                        control: framing.control_characters(),
                        data,
                        max,
                        ..Style::default()
                    };
                    Self {
                        record: None,
                        framing,
                        style,
                    }
                })
            })
        };
        // Structured data does not depend on the header.
        let usual = MessageKind::NAMES.into_iter().flat_map(each);
        let usual = usual.filter(|form| {
            form.style.data == StructuredData::None
                || matches!(
                    form.style.message,
                    MessageKind::Text | MessageKind::Xml | MessageKind::Json
                )
        });
        usual.chain(Self::others())
    }

    fn others() -> [Self; 3] {
        let style = Style::default();
        let record = |kind| Self {
            record: Some(kind),
            framing: Framing::OctetCounting,
            style,
        };
        let old = Self {
            record: None,
            framing: Framing::LineFeed,
            style: Style {
                control: Framing::LineFeed.control_characters(),
                escape: Escape::Version01,
                ..style
            },
        };
        [record(Kind::Otlp), record(Kind::Kafka), old]
    }

    pub(crate) fn name(self) -> String {
        let kind = match self.record {
            Some(Kind::Otlp) => "otlp",
            Some(Kind::Kafka) => "kafka",
            None => {
                let mut names = MessageKind::NAMES.iter();
                let named = names.find(|(_, kind)| *kind == self.style.message);
                named.map_or("", |(name, _)| name)
            }
        };
        let Style {
            data, escape, max, ..
        } = self.style;
        let max = max.map_or(String::new(), |max| format!(" max={max}"));
        format!("{kind} {:?} {data:?} {escape:?}{max}", self.framing)
    }

    pub(crate) fn write(self, xml: &str, event: &Result<Event<'_>, Malformed>, out: &mut Vec<u8>) {
        let origin = Origin {
            account_sid: "S-1-5-21-1-2-3-1104",
            address: [192, 0, 2, 7].into(),
            machine_id: "ws1.example.com",
            identity: "EXAMPLE\\WS1$",
            auth: "kerberos",
            subscription: "wecrelay",
            computer_mismatch: "",
            repaired: false,
            received: SystemTime::UNIX_EPOCH,
        };
        let mapping = Mapping::default();
        match self.record {
            Some(kind) => {
                record::write_event(kind, &mapping, xml, event, &origin, &self.style, out);
            }
            None => {
                write_frame(self.framing, out, |out| {
                    write_message(&mapping, xml, event, &origin, &self.style, out)
                });
            }
        }
    }
}

/// Envelopes that contain the event: in a CDATA section, as text, and inline.
pub(crate) fn envelopes(xml: &str) -> [(&'static str, String); 3] {
    let of = |event: &str| {
        format!(
            "<s:Envelope xmlns:s='http://www.w3.org/2003/05/soap-envelope' \
             xmlns:a='http://schemas.xmlsoap.org/ws/2004/08/addressing' \
             xmlns:e='http://schemas.xmlsoap.org/ws/2004/08/eventing' \
             xmlns:w='http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd'><s:Header>\
             <a:To>http://collector.example.com:5985/wsman</a:To>\
             <a:Action s:mustUnderstand='true'>http://schemas.dmtf.org/wbem/wsman/1/wsman/Events\
             </a:Action><a:MessageID>uuid:7F7B2EA6-8CA6-4D3E-9A4C-1B6C0C8F3D2E</a:MessageID>\
             <w:AckRequested/></s:Header><s:Body><w:Events><w:Event Action='\
             http://schemas.dmtf.org/wbem/wsman/1/wsman/Event'>{event}</w:Event></w:Events>\
             </s:Body></s:Envelope>"
        )
    };
    let escaped = xml.replace('&', "&amp;").replace('<', "&lt;");
    [
        ("envelope with a section", of(&format!("<![CDATA[{xml}]]>"))),
        ("envelope with text", of(&escaped)),
        ("envelope with markup", of(xml)),
    ]
}
