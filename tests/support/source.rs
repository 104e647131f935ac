//! A small Windows source with a null session and unsealed bodies (the relay under test
//! runs with `--allow-unencrypted`). Unlike `wecrelay send`, it reports which batches were
//! acknowledged.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpStream};
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};

use super::{PATIENCE, connect_from};

const ENUMERATE: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";
const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman";
const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";
const MANAGER: &str = "/wsman/SubscriptionManager/WEC";
/// Flags of a Windows 10 source: in NEGOTIATE, and of the null session in AUTHENTICATE.
const NEGOTIATE_FLAGS: u32 = 0xe208_82b7;
const AUTHENTICATE_FLAGS: u32 = 0xe288_8a35;

/// One HTTP answer.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl Reply {
    /// The value of a header, whatever the case of its name.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name).then_some(value.trim())
        })
    }

    /// The body as text, from UTF-16 with a byte order mark.
    #[track_caller]
    pub(crate) fn text(&self) -> String {
        let units = self.body.strip_prefix(&[0xff, 0xfe]);
        let units = units.unwrap_or_else(|| panic!("no byte order mark: {self:?}"));
        let units = units
            .chunks_exact(2)
            .map(|pair| u16::from_le_bytes([pair[0], pair[1]]));
        String::from_utf16(&units.collect::<Vec<_>>()).unwrap()
    }
}

/// A subscription that the collector offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Offer {
    pub(crate) version: String,
    pub(crate) name: String,
    /// Path of the delivery address.
    pub(crate) path: String,
    pub(crate) identifier: String,
    /// Record ID of the bookmark from which the source should resume.
    pub(crate) record: Option<u64>,
}

/// A source with one connection at a time.
pub(crate) struct Source {
    port: u16,
    address: Ipv4Addr,
    machine: String,
    stream: Option<TcpStream>,
    messages: u32,
    /// Timeout for answers in seconds.
    timeout: u32,
}

impl Source {
    pub(crate) fn new(port: u16, machine: &str) -> Self {
        Self {
            port,
            address: Ipv4Addr::LOCALHOST,
            machine: machine.to_owned(),
            stream: None,
            messages: 0,
            timeout: 60,
        }
    }

    /// The same, with another timeout than the default of 60 seconds.
    pub(crate) fn with_timeout(self, timeout: u32) -> Self {
        Self { timeout, ..self }
    }

    /// The same, connecting from another loopback address.
    pub(crate) fn from(self, address: Ipv4Addr) -> Self {
        Self { address, ..self }
    }

    /// Requests the subscriptions on a separate connection, as Windows does.
    #[track_caller]
    pub(crate) fn enumerate(&mut self) -> Vec<Offer> {
        let reply = self.try_enumerate();
        assert_eq!(reply.status, 200, "{}", reply.head);
        offers(&reply.text())
    }

    /// The answer to the same request, including errors.
    #[track_caller]
    pub(crate) fn try_enumerate(&mut self) -> Reply {
        self.disconnect();
        let body = "<n:Enumerate><w:OptimizeEnumeration/><w:MaxElements>32000</w:MaxElements></n:Enumerate>";
        let envelope = self.envelope(ENUMERATE, "", body);
        let reply = self.post(MANAGER, &envelope).unwrap();
        self.disconnect();
        reply
    }

    /// The only subscription.
    #[track_caller]
    pub(crate) fn subscribe(&mut self) -> Offer {
        let mut offers = self.enumerate();
        assert_eq!(offers.len(), 1, "{offers:?}");
        offers.remove(0)
    }

    /// Delivers a batch with a bookmark of its last record; returns whether it was acknowledged.
    pub(crate) fn deliver(&mut self, offer: &Offer, events: &[String], record: u64) -> bool {
        self.try_deliver(offer, events, record)
            .is_ok_and(|reply| reply.status == 200)
    }

    /// The same, but returns the answer. A broken connection is dropped.
    pub(crate) fn try_deliver(
        &mut self,
        offer: &Offer,
        events: &[String],
        record: u64,
    ) -> std::io::Result<Reply> {
        self.try_deliver_with(offer, events, &bookmark(record))
    }

    /// The same with any bookmark.
    pub(crate) fn try_deliver_with(
        &mut self,
        offer: &Offer,
        events: &[String],
        bookmark: &str,
    ) -> std::io::Result<Reply> {
        let envelope = self.batch(offer, events, bookmark);
        let reply = self.post(&offer.path, &envelope);
        if reply.is_err() {
            self.disconnect();
        }
        reply
    }

    fn batch(&mut self, offer: &Offer, events: &[String], bookmark: &str) -> String {
        let header = format!(
            "<e:Identifier>{}</e:Identifier><w:Bookmark>{bookmark}</w:Bookmark><w:AckRequested/>",
            offer.identifier
        );
        let mut body = "<w:Events>".to_owned();
        for event in events {
            body += &format!("<w:Event Action=\"{WSMAN}/Event\"><![CDATA[{event}]]></w:Event>");
        }
        body += "</w:Events>";
        self.envelope(&format!("{WSMAN}/Events"), &header, &body)
    }

    /// Delivers a batch to a relay that `stop` suspends, and disconnects.
    pub(crate) fn deliver_in_vain(
        &mut self,
        offer: &Offer,
        events: &[String],
        record: u64,
        stop: impl FnOnce(),
    ) {
        let envelope = self.batch(offer, events, &bookmark(record));
        self.disconnect();
        let token = self.connect(&offer.path).unwrap();
        stop();
        self.send(&offer.path, Some(&token), &utf16(&envelope))
            .unwrap();
        self.disconnect();
    }

    pub(crate) fn disconnect(&mut self) {
        self.stream = None;
    }

    /// Sends one message, after the handshake if the connection is new.
    pub(crate) fn post(&mut self, path: &str, envelope: &str) -> std::io::Result<Reply> {
        let token = match self.stream {
            None => Some(self.connect(path)?),
            Some(_) => None,
        };
        self.exchange(path, token.as_deref(), &utf16(envelope))
    }

    /// Opens a connection; returns the token for its first message.
    fn connect(&mut self, path: &str) -> std::io::Result<Vec<u8>> {
        let stream = connect_from(self.address, self.port)?;
        // The relay may use the entire timeout.
        let time = Duration::from_secs(self.timeout.into());
        stream.set_read_timeout(Some(time + PATIENCE))?;
        self.stream = Some(stream);
        let negotiate = negotiate_message();
        let reply = self.exchange(path, Some(&negotiate), b"")?;
        let challenge = reply
            .header("WWW-Authenticate")
            .and_then(|value| value.strip_prefix("Negotiate "))
            .and_then(|token| {
                use base64::Engine;
                base64::engine::general_purpose::STANDARD.decode(token).ok()
            });
        match (reply.status, challenge) {
            (401, Some(challenge)) => Ok(authenticate_message(&negotiate, &challenge)),
            _ => Err(std::io::Error::other(format!(
                "no challenge: {}",
                reply.head
            ))),
        }
    }

    fn exchange(
        &mut self,
        path: &str,
        token: Option<&[u8]>,
        body: &[u8],
    ) -> std::io::Result<Reply> {
        self.send(path, token, body)?;
        read_reply(self.stream.as_mut().unwrap())
    }

    fn send(&mut self, path: &str, token: Option<&[u8]>, body: &[u8]) -> std::io::Result<()> {
        use base64::Engine;
        let authorization = token.map_or_else(String::new, |token| {
            let token = base64::engine::general_purpose::STANDARD.encode(token);
            format!("Authorization: Negotiate {token}\r\n")
        });
        let mut request = format!(
            "POST {path} HTTP/1.1\r\nConnection: Keep-Alive\r\n\
             Content-Type: application/soap+xml;charset=UTF-16\r\n{authorization}\
             User-Agent: Microsoft WinRM Client\r\nContent-Length: {}\r\n\
             Host: 127.0.0.1:{}\r\n\r\n",
            body.len(),
            self.port
        )
        .into_bytes();
        request.extend_from_slice(body);
        self.stream.as_mut().unwrap().write_all(&request)
    }

    fn envelope(&mut self, action: &str, header: &str, body: &str) -> String {
        self.messages += 1;
        let id = format!("A0B1C2D3-0000-4000-8000-{:012X}", self.messages);
        let machine = &self.machine;
        format!(
            "<s:Envelope xmlns:s=\"http://www.w3.org/2003/05/soap-envelope\" \
             xmlns:a=\"http://schemas.xmlsoap.org/ws/2004/08/addressing\" \
             xmlns:e=\"http://schemas.xmlsoap.org/ws/2004/08/eventing\" \
             xmlns:n=\"http://schemas.xmlsoap.org/ws/2004/09/enumeration\" \
             xmlns:w=\"http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd\" \
             xmlns:p=\"http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd\"><s:Header>\
             <a:To>http://127.0.0.1:{}{MANAGER}</a:To>\
             <m:MachineID xmlns:m=\"http://schemas.microsoft.com/wbem/wsman/1/machineid\" \
             s:mustUnderstand=\"false\">{machine}</m:MachineID>\
             <a:ReplyTo><a:Address s:mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
             <a:Action s:mustUnderstand=\"true\">{action}</a:Action>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">512000</w:MaxEnvelopeSize>\
             <a:MessageID>uuid:{id}</a:MessageID>\
             <p:OperationID s:mustUnderstand=\"false\">uuid:{id}</p:OperationID>\
             <p:SequenceId s:mustUnderstand=\"false\">1</p:SequenceId>\
             <w:OperationTimeout>PT{}.000S</w:OperationTimeout>{header}</s:Header>\
             <s:Body>{body}</s:Body></s:Envelope>",
            self.port, self.timeout
        )
    }
}

fn bookmark(record: u64) -> String {
    format!(
        "<BookmarkList><Bookmark Channel=\"Microsoft-Windows-Sysmon/Operational\" RecordId=\"{record}\" IsCurrent=\"true\"/></BookmarkList>"
    )
}

fn utf16(text: &str) -> Vec<u8> {
    let units = std::iter::once(0xfeff).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// Reads one answer, with a Content-Length or without a body.
pub(crate) fn read_reply(stream: &mut impl Read) -> std::io::Result<Reply> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.push(byte[0]);
    }
    let mut reply = Reply {
        status: 0,
        head: String::from_utf8(head).unwrap(),
        body: Vec::new(),
    };
    let status = reply
        .head
        .strip_prefix("HTTP/1.1 ")
        .and_then(|rest| rest.get(..3));
    reply.status = status.and_then(|status| status.parse().ok()).unwrap();
    let length = reply.header("Content-Length").unwrap_or("0").parse();
    reply.body = vec![0; length.unwrap()];
    stream.read_exact(&mut reply.body)?;
    Ok(reply)
}

/// The subscriptions of an EnumerateResponse.
fn offers(text: &str) -> Vec<Offer> {
    let document = roxmltree::Document::parse(text).unwrap();
    document
        .descendants()
        .filter(|node| node.tag_name().name() == "Subscription")
        .map(|node| {
            let child = |parent: &str, name: &str| {
                node.descendants()
                    .find(|node| node.tag_name().name() == parent)?
                    .descendants()
                    .find(|node| node.tag_name().name() == name)?
                    .text()
            };
            let name = node
                .descendants()
                .find(|node| node.attribute("Name") == Some("SubscriptionName"));
            let bookmark = node
                .descendants()
                .find_map(|node| node.attribute("RecordId"));
            let address = child("NotifyTo", "Address").unwrap();
            let path = address.splitn(4, '/').nth(3).unwrap();
            Offer {
                version: child("Subscription", "Version").unwrap().to_owned(),
                name: name.and_then(|name| name.text()).unwrap().to_owned(),
                path: format!("/{path}"),
                identifier: child("NotifyTo", "Identifier").unwrap().to_owned(),
                record: bookmark.map(|record| record.parse().unwrap()),
            }
        })
        .collect()
}

/// NEGOTIATE_MESSAGE (MS-NLMP 2.2.1.1): no names, a version.
fn negotiate_message() -> Vec<u8> {
    let mut message = b"NTLMSSP\0\x01\0\0\0".to_vec();
    message.extend(NEGOTIATE_FLAGS.to_le_bytes());
    message.extend([0; 16]);
    message.extend(VERSION);
    message
}

/// Windows 10.0.18362, NTLM revision 15.
const VERSION: [u8; 8] = [10, 0, 0xba, 0x47, 0, 0, 0, 15];

/// AUTHENTICATE_MESSAGE of a null session (MS-NLMP 2.2.1.3, 3.2.5.1.2): one zero
/// byte of LM response, and a MIC with a session key that anyone can compute.
fn authenticate_message(negotiate: &[u8], challenge: &[u8]) -> Vec<u8> {
    let session_key = *b"sixteen letters.";
    let encrypted = rc4(&[0; 16], &session_key);
    let base = 88u32;
    let mut message = b"NTLMSSP\0\x03\0\0\0".to_vec();
    let mut field = |length: u16, offset: u32| {
        message.extend(length.to_le_bytes());
        message.extend(length.to_le_bytes());
        message.extend(offset.to_le_bytes());
    };
    field(1, base);
    field(0, base + 1);
    field(0, base);
    field(0, base);
    field(0, base);
    field(16, base + 1);
    message.extend(AUTHENTICATE_FLAGS.to_le_bytes());
    message.extend(VERSION);
    message.extend([0; 16]);
    message.push(0);
    message.extend(encrypted);
    let mut mic = Hmac::<md5::Md5>::new_from_slice(&session_key).unwrap();
    mic.update(negotiate);
    mic.update(challenge);
    mic.update(&message);
    message[72..88].copy_from_slice(&mic.finalize().into_bytes());
    message
}

fn rc4(key: &[u8], data: &[u8]) -> Vec<u8> {
    let mut state: Vec<usize> = (0..256).collect();
    let mut j = 0;
    for i in 0..256 {
        j = (j + state[i] + usize::from(key[i % key.len()])) % 256;
        state.swap(i, j);
    }
    let (mut i, mut j) = (0, 0);
    let next = |&byte: &u8| {
        i = (i + 1) % 256;
        j = (j + state[i]) % 256;
        state.swap(i, j);
        byte ^ u8::try_from(state[(state[i] + state[j]) % 256]).unwrap()
    };
    data.iter().map(next).collect()
}

#[test]
fn rc4_gives_the_well_known_answer() {
    let expected = [0xbb, 0xf3, 0x16, 0xe8, 0xd9, 0x40, 0xaf, 0x0a, 0xd3];
    assert_eq!(rc4(b"Key", b"Plaintext"), expected);
}
