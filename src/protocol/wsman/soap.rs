//! The envelope: namespaces, headers, and the parts that all responses share (SOAP 1.2,
//! WS-Addressing 2004/08, MS-WSMV 2.2.4).

use std::borrow::Cow;
use std::time::Duration;

use uuid::Uuid;

use super::text::{Escaped, trim};
use super::xml::Skeleton;
use super::{ANONYMOUS, Error, action};
use crate::base::xml::{self, Document, Node};

/// Maximum size of a header's text in bytes: addresses and ids are far shorter, and some
/// are repeated in responses.
pub const MAX_HEADER_TEXT: usize = 4096;

/// Maximum size of a bookmark in bytes; enough for about 500 channels.
pub const MAX_BOOKMARK: usize = 64 * 1024;

/// Namespace URIs.
pub mod ns {
    /// SOAP 1.2 envelope.
    pub const SOAP: &str = "http://www.w3.org/2003/05/soap-envelope";
    /// WS-Addressing.
    pub const ADDRESSING: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing";
    /// WS-Eventing.
    pub const EVENTING: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing";
    /// WS-Enumeration.
    pub const ENUMERATION: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration";
    /// WS-Management.
    pub const WSMAN: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman.xsd";
    /// Microsoft's headers for WS-Management.
    pub const WSMAN_MS: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman.xsd";
    /// CIM binding, which sources declare but never use.
    pub const CIM_BINDING: &str = "http://schemas.dmtf.org/wbem/wsman/1/cimbinding.xsd";
    /// The `MachineID` header, a source's name for itself.
    pub const MACHINE_ID: &str = "http://schemas.microsoft.com/wbem/wsman/1/machineid";
    /// A subscription in an EnumerateResponse.
    pub const SUBSCRIPTION: &str = "http://schemas.microsoft.com/wbem/wsman/1/subscription";
    /// WS-Policy.
    pub const POLICY: &str = "http://schemas.xmlsoap.org/ws/2002/12/policy";
    /// Authentication methods inside a policy.
    pub const AUTHENTICATION: &str = "http://schemas.microsoft.com/wbem/wsman/1/authentication";
    /// Details of a fault.
    pub const WSMAN_FAULT: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsmanfault";
    /// XML Schema instance, for `xsi:nil`.
    pub const XSI: &str = "http://www.w3.org/2001/XMLSchema-instance";
}

/// The headers of a source's envelope. Texts are trimmed, except for those that are
/// returned byte for byte.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The action, one of the URIs in [`action`].
    pub action: String,
    /// Returned as `RelatesTo`, exactly as sent.
    pub message_id: String,
    /// The collector's address as the source knows it.
    pub to: Option<String>,
    /// Where the response goes; always [`ANONYMOUS`] with Windows.
    pub reply_to: Option<String>,
    /// Returned in the response, exactly as sent.
    pub operation_id: Option<String>,
    /// The source's name for itself, an unverified claim.
    pub machine_id: Option<String>,
    /// The identifier of the subscription, as the collector issued it.
    pub identifier: Option<String>,
    /// The XML of the bookmark as sent, at most [`MAX_BOOKMARK`] bytes.
    pub bookmark: Option<String>,
    /// How long the source waits for the response.
    pub operation_timeout: Option<Duration>,
    /// Maximum size in bytes of the response.
    pub max_envelope_size: Option<u32>,
    /// Whether the source expects an [`ack`].
    pub ack_requested: bool,
    /// The source's language, such as `en-US`.
    pub locale: Option<String>,
}

impl Header {
    /// Parses the children of `s:Header`; the first one of each name counts.
    ///
    /// # Errors
    /// A missing `Action` or `MessageID`, or a text longer than [`MAX_HEADER_TEXT`].
    pub fn parse(header: Node<'_, '_>, skeleton: &Skeleton<'_>) -> Result<Self, Error> {
        let mut parsed = Self::default();
        for node in header.children().filter(Node::is_element) {
            parsed.take_header(node, skeleton)?;
        }
        if parsed.action.is_empty() {
            return Err(Error::Missing("Action"));
        }
        if parsed.message_id.is_empty() {
            return Err(Error::Missing("MessageID"));
        }
        Ok(parsed)
    }

    fn take_header(&mut self, node: Node<'_, '_>, skeleton: &Skeleton<'_>) -> Result<(), Error> {
        let name = node.tag_name();
        match (name.namespace().unwrap_or_default(), name.name()) {
            (ns::ADDRESSING, "Action") if self.action.is_empty() => {
                self.action = trim(&text(node, "Action")?).to_owned();
            }
            (ns::ADDRESSING, "MessageID") if self.message_id.is_empty() => {
                self.message_id = text(node, "MessageID")?.into_owned();
            }
            (ns::ADDRESSING, "To") => fill(&mut self.to, node, "To")?,
            (ns::ADDRESSING, "ReplyTo") => {
                let address = child(node, ns::ADDRESSING, "Address").unwrap_or(node);
                fill(&mut self.reply_to, address, "ReplyTo")?;
            }
            (ns::WSMAN_MS, "OperationID") if self.operation_id.is_none() => {
                self.operation_id = Some(text(node, "OperationID")?.into_owned());
            }
            (ns::MACHINE_ID, "MachineID") => fill(&mut self.machine_id, node, "MachineID")?,
            (ns::EVENTING, "Identifier") => fill(&mut self.identifier, node, "Identifier")?,
            (ns::WSMAN, name) => self.take_wsman(name, node, skeleton)?,
            _ => {}
        }
        Ok(())
    }

    fn take_wsman(
        &mut self,
        name: &str,
        node: Node<'_, '_>,
        skeleton: &Skeleton<'_>,
    ) -> Result<(), Error> {
        match name {
            "AckRequested" => self.ack_requested = true,
            "Bookmark" if self.bookmark.is_none() => self.bookmark = bookmark(node, skeleton),
            "OperationTimeout" => {
                self.operation_timeout = parse_duration(trim(&text(node, "OperationTimeout")?));
            }
            "MaxEnvelopeSize" => {
                self.max_envelope_size = trim(&text(node, "MaxEnvelopeSize")?).parse().ok();
            }
            "Locale" => {
                let lang = node.attribute(("http://www.w3.org/XML/1998/namespace", "lang"));
                self.locale = lang.map(str::to_owned);
            }
            _ => {}
        }
        Ok(())
    }
}

fn fill(slot: &mut Option<String>, node: Node<'_, '_>, name: &'static str) -> Result<(), Error> {
    let text = text(node, name)?;
    let text = trim(&text);
    if slot.is_none() && !text.is_empty() {
        *slot = Some(text.to_owned());
    }
    Ok(())
}

fn text<'a>(node: Node<'a, '_>, name: &'static str) -> Result<Cow<'a, str>, Error> {
    let text = xml::text(node);
    if text.len() > MAX_HEADER_TEXT {
        return Err(Error::HeaderTooLong(name));
    }
    Ok(text)
}

/// The only element inside `w:Bookmark`, as sent; `None` if it is unusable.
fn bookmark(node: Node<'_, '_>, skeleton: &Skeleton<'_>) -> Option<String> {
    let mut elements = node.children().filter(Node::is_element);
    let (first, second) = (elements.next()?, elements.next());
    let xml = skeleton.standalone(first);
    (second.is_none() && xml.len() <= MAX_BOOKMARK).then(|| xml.into_owned())
}

/// Header and body of an envelope.
#[derive(Clone, Copy, Debug)]
pub(super) struct Envelope<'a, 'input> {
    pub(super) header: Node<'a, 'input>,
    pub(super) body: Node<'a, 'input>,
}

impl<'a, 'input> Envelope<'a, 'input> {
    pub(super) fn of(document: &'a Document<'input>) -> Result<Self, Error> {
        let root = document.root_element();
        if !root.has_tag_name((ns::SOAP, "Envelope")) {
            return Err(Error::NotEnvelope);
        }
        let part = |name| {
            let mut parts = root.children().filter(|c| c.has_tag_name((ns::SOAP, name)));
            // A second one would be ignored, so it is an error.
            let only = parts.next().filter(|_| parts.next().is_none());
            only.ok_or(Error::NotEnvelope)
        };
        let (header, body) = (part("Header")?, part("Body")?);
        Ok(Self { header, body })
    }
}

/// The first child element of this name.
pub(super) fn child<'a, 'input>(
    node: Node<'a, 'input>,
    namespace: &str,
    name: &str,
) -> Option<Node<'a, 'input>> {
    node.children()
        .find(|child| child.has_tag_name((namespace, name)))
}

/// Parses an `xs:duration`. A year counts as 365 days, a month as 30.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
    whole_seconds(text).or_else(|| parse_any_duration(text))
}

/// The usual form, such as `PT60.000S`, which comes with every message.
fn whole_seconds(text: &str) -> Option<Duration> {
    let digits = text.strip_prefix("PT")?.strip_suffix('S')?;
    let digits = digits.strip_suffix(".000").unwrap_or(digits);
    let is_short = digits.len() < 10 && digits.bytes().all(|byte| byte.is_ascii_digit());
    let seconds = digits.parse().ok().filter(|_| is_short)?;
    Some(Duration::from_secs(seconds))
}

/// Parses any `xs:duration`.
pub(super) fn parse_any_duration(text: &str) -> Option<Duration> {
    let (days, time) = match text.strip_prefix('P')?.split_once('T') {
        Some((_, "")) => return None,
        Some((days, time)) => (days, time),
        None if text.len() == 1 => return None,
        None => (text.strip_prefix('P')?, ""),
    };
    const DAY: f64 = 86_400.0;
    let days = sum_units(days, &[('Y', 365.0 * DAY), ('M', 30.0 * DAY), ('D', DAY)])?;
    let time = sum_units(time, &[('H', 3600.0), ('M', 60.0), ('S', 1.0)])?;
    Duration::try_from_secs_f64(days + time).ok()
}

/// Adds up numbers with their units, each unit at most once and in order.
fn sum_units(mut text: &str, units: &[(char, f64)]) -> Option<f64> {
    let mut total = 0.0;
    for (unit, seconds) in units {
        if let Some((number, rest)) = text.split_once(*unit) {
            let is_number = number.starts_with(|c: char| c.is_ascii_digit())
                && number.chars().all(|c| c.is_ascii_digit() || c == '.');
            let number: f64 = number.parse().ok().filter(|_| is_number)?;
            total += number * seconds;
            text = rest;
        }
    }
    text.is_empty().then_some(total)
}

/// Formats a duration as Windows does: `PT3600.000S`.
#[must_use]
pub fn emit_duration(duration: Duration) -> String {
    format!("PT{}.{:03}S", duration.as_secs(), duration.subsec_millis())
}

/// An id as in WS-Addressing messages: `uuid:` and upper-case letters.
#[must_use]
pub fn urn(id: Uuid) -> String {
    let mut out = String::with_capacity(48);
    push_urn(&mut out, id);
    out
}

fn push_urn(out: &mut String, id: Uuid) {
    let mut digits = Uuid::encode_buffer();
    out.push_str("uuid:");
    out.push_str(id.hyphenated().encode_upper(&mut digits));
}

/// The response to heartbeats and delivered batches (MS-WSMV 3.1.4.1.30). It confirms that
/// the events have been delivered and the bookmark is stored.
#[must_use]
pub fn ack(request: &Header, message_id: Uuid) -> String {
    // Written piece by piece, because there is one for each message, and formatting costs
    // ten times as much.
    let mut out = String::with_capacity(1024);
    let namespaces = [
        ("s", ns::SOAP),
        ("a", ns::ADDRESSING),
        ("w", ns::WSMAN),
        ("p", ns::WSMAN_MS),
    ];
    out.push_str("<s:Envelope xml:lang=\"en-US\"");
    for (prefix, namespace) in namespaces {
        push_all(&mut out, &[" xmlns:", prefix, "=\"", namespace, "\""]);
    }
    push_all(
        &mut out,
        &[
            "><s:Header><a:Action>",
            action::ACK,
            "</a:Action><a:MessageID>",
        ],
    );
    push_urn(&mut out, message_id);
    out.push_str("</a:MessageID>");
    push_operation(&mut out, request);
    push_to(&mut out, request);
    push_relates_to(&mut out, request);
    out.push_str("</s:Header><s:Body></s:Body></s:Envelope>");
    out
}

fn push_all(out: &mut String, parts: &[&str]) {
    parts.iter().for_each(|part| out.push_str(part));
}

/// The operation of the request, repeated; empty if it has none.
pub(super) fn operation(request: &Header) -> String {
    let mut out = String::new();
    push_operation(&mut out, request);
    out
}

fn push_operation(out: &mut String, request: &Header) {
    if let Some(id) = &request.operation_id {
        out.push_str("<p:OperationID s:mustUnderstand=\"false\">");
        push_escaped(out, id);
        out.push_str("</p:OperationID><p:SequenceId>1</p:SequenceId>");
    }
}

pub(super) fn to(request: &Header) -> String {
    let mut out = String::new();
    push_to(&mut out, request);
    out
}

fn push_to(out: &mut String, request: &Header) {
    out.push_str("<a:To>");
    push_escaped(out, request.reply_to.as_deref().unwrap_or(ANONYMOUS));
    out.push_str("</a:To>");
}

pub(super) fn relates_to(request: &Header) -> String {
    let mut out = String::new();
    push_relates_to(&mut out, request);
    out
}

fn push_relates_to(out: &mut String, request: &Header) {
    out.push_str("<a:RelatesTo>");
    push_escaped(out, &request.message_id);
    out.push_str("</a:RelatesTo>");
}

fn push_escaped(out: &mut String, text: &str) {
    let written = Escaped(text).write_to(out);
    debug_assert!(written.is_ok(), "a String takes all");
}
