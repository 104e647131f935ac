//! An example of the messages that an output sends, for people (`wecrelay check`).

use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, SystemTime};

use super::{ControlCharacters, Mapping, Origin, Style, write_message};
use crate::event::{self, Event, Malformed, NAMESPACE};

/// `System` and values of the event: a failed logon.
const EVENT: &str = "<System><Provider Name='Microsoft-Windows-Security-Auditing' \
    Guid='{54849625-5478-4994-A5BA-3E3B0328C30D}'/><EventID>4625</EventID><Version>0</Version>\
    <Level>0</Level><Task>12544</Task><Opcode>0</Opcode><Keywords>0x8010000000000000</Keywords>\
    <TimeCreated SystemTime='2026-01-31T09:30:00.1234567Z'/><EventRecordID>1001</EventRecordID>\
    <Correlation/><Execution ProcessID='640' ThreadID='4588'/><Channel>Security</Channel>\
    <Computer>ws1.example.com</Computer><Security/></System><EventData>\
    <Data Name='TargetUserName'>alice</Data><Data Name='TargetDomainName'>EXAMPLE</Data>\
    <Data Name='Status'>0xc000006d</Data><Data Name='LogonType'>3</Data>\
    <Data Name='IpAddress'>192.0.2.44</Data><Data Name='IpPort'>50123</Data></EventData>";
/// The time of reception, half a second after the event.
const RECEIVED: Duration = Duration::from_millis(1_769_851_800_623);
/// What the host adds if the rendered text is requested.
const RENDERING: &str = "<RenderingInfo Culture='en-US'><Message>An account failed to log on.\
    </Message><Level>Information</Level><Task>Logon</Task><Opcode>Info</Opcode>\
    <Channel>Security</Channel><Provider>Microsoft Windows security auditing.</Provider>\
    <Keywords><Keyword>Audit Failure</Keyword></Keywords></RenderingInfo>";

/// The message of an example event in this style, with control characters escaped and tabs shown as
/// `<tab>`; `rendered` is whether the event has rendered text.
#[must_use]
pub fn sample(mapping: &Mapping, style: &Style, rendered: bool) -> String {
    let style = Style {
        control: ControlCharacters::Escape,
        ..*style
    };
    let out = sample_of(rendered, |xml, event, origin, out| {
        write_message(mapping, xml, event, origin, &style, out);
    });
    String::from_utf8_lossy(&out).replace('\t', "<tab>")
}

/// The bytes that `write` appends for the same event.
pub fn sample_of(
    rendered: bool,
    write: impl FnOnce(&str, &Result<Event<'_>, Malformed>, &Origin<'_>, &mut Vec<u8>),
) -> Vec<u8> {
    let rendering = if rendered { RENDERING } else { "" };
    let xml = format!("<Event xmlns='{NAMESPACE}'>{EVENT}{rendering}</Event>");
    let origin = Origin {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        machine_id: "ws1.example.com",
        identity: "EXAMPLE\\WS1$",
        account_sid: "",
        auth: "kerberos",
        subscription: "example",
        computer_mismatch: "",
        repaired: false,
        received: SystemTime::UNIX_EPOCH + RECEIVED,
    };
    let mut out = Vec::new();
    write(&xml, &event::parse(&xml), &origin, &mut out);
    out
}
