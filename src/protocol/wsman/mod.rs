//! WS-Management as Windows event forwarding uses it (MS-WSMV, DSP0226): parses the
//! messages of sources and formats the collector's responses.
//!
//! [`parse`] reads a source's envelope, after it has been unsealed, decompressed, and
//! decoded. [`Page`], [`ack`], and [`fault()`] format responses; [`source`] is the other
//! side. Events are not parsed here; see [`crate::event`].

mod asked;
pub mod context;
pub mod enumerate;
pub mod events;
mod fast;
pub mod fault;
pub mod pages;
pub mod soap;
pub mod source;
pub mod subscribe;
pub mod text;
pub mod xml;

use std::fmt;

use soap::{Envelope, ns};

pub use context::{Context, ListDigest};
pub use enumerate::{Draft, Offer};
pub use events::{RawEvent, SubscriptionEnd};
pub use fault::{Fault, Subcode, fault};
pub use pages::{Fit, Page, Portion};
pub use soap::{Header, ack};
pub use subscribe::{Access, ContentFormat, DEFAULT_CHANNELS, Name, Policy, Profile, Subscription};

/// Action URIs (MS-WSMV 3.1.4.1, DSP0226 10).
pub mod action {
    /// A source asks for its subscriptions.
    pub const ENUMERATE: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Enumerate";
    /// The response to [`ENUMERATE`].
    pub const ENUMERATE_RESPONSE: &str =
        "http://schemas.xmlsoap.org/ws/2004/09/enumeration/EnumerateResponse";
    /// A source asks for further subscriptions.
    pub const PULL: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Pull";
    /// The response to [`PULL`].
    pub const PULL_RESPONSE: &str =
        "http://schemas.xmlsoap.org/ws/2004/09/enumeration/PullResponse";
    /// A source needs no further subscriptions.
    pub const RELEASE: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/Release";
    /// The response to [`RELEASE`].
    pub const RELEASE_RESPONSE: &str =
        "http://schemas.xmlsoap.org/ws/2004/09/enumeration/ReleaseResponse";
    /// A subscription inside an [`ENUMERATE_RESPONSE`].
    pub const SUBSCRIBE: &str = "http://schemas.xmlsoap.org/ws/2004/08/eventing/Subscribe";
    /// A source is alive, but has no events.
    pub const HEARTBEAT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Heartbeat";
    /// A batch of events; also the delivery mode in subscriptions.
    pub const EVENTS: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Events";
    /// The `Action` attribute of each event in a batch.
    pub const EVENT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Event";
    /// The collector has stored the batch's events, or received the heartbeat.
    pub const ACK: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/Ack";
    /// A source ends a subscription and states the reason.
    pub const SUBSCRIPTION_END: &str =
        "http://schemas.xmlsoap.org/ws/2004/08/eventing/SubscriptionEnd";
    /// A source has completed an operation.
    pub const END: &str = "http://schemas.microsoft.com/wbem/wsman/1/wsman/End";
    /// Faults of WS-Management.
    pub const FAULT: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/fault";
    /// Faults of WS-Enumeration.
    pub const ENUMERATION_FAULT: &str = "http://schemas.xmlsoap.org/ws/2004/09/enumeration/fault";
    /// Faults of WS-Addressing.
    pub const ADDRESSING_FAULT: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/fault";
}

/// The anonymous address: the response goes back on the same connection.
pub const ANONYMOUS: &str = "http://schemas.xmlsoap.org/ws/2004/08/addressing/role/anonymous";

/// A parsed message from a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message<'a> {
    /// The headers, to which the response must refer.
    pub header: Header,
    /// The body, interpreted according to the action.
    pub body: Body<'a>,
}

/// The content of a source's envelope, according to its action.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// Asks for its subscriptions; answered by a [`Page`].
    Enumerate(Portion),
    /// Asks for subscriptions after a position (`None` if the context is invalid); answered
    /// by a further [`Page`].
    Pull(Option<Context>, Portion),
    /// Needs no more of them; answered by [`pages::release_response`].
    Release(Option<Context>),
    /// Is alive, without events; answered by [`ack`].
    Heartbeat,
    /// A batch; answered by [`ack`] once it has been delivered.
    Events(Vec<RawEvent<'a>>),
    /// Ends a subscription and states the reason; answered by HTTP 204 without a body.
    SubscriptionEnd(SubscriptionEnd),
    /// Has completed an operation; answered by HTTP 204 without a body.
    End,
    /// An unsupported action; see the header.
    Unknown,
}

impl Message<'_> {
    fn into_owned(self) -> Message<'static> {
        let body = match self.body {
            Body::Events(events) => {
                Body::Events(events.into_iter().map(RawEvent::into_owned).collect())
            }
            Body::Enumerate(portion) => Body::Enumerate(portion),
            Body::Pull(context, portion) => Body::Pull(context, portion),
            Body::Release(context) => Body::Release(context),
            Body::Heartbeat => Body::Heartbeat,
            Body::SubscriptionEnd(end) => Body::SubscriptionEnd(end),
            Body::End => Body::End,
            Body::Unknown => Body::Unknown,
        };
        let header = self.header;
        Message { header, body }
    }
}

/// Parses a source's envelope.
///
/// Characters that XML forbids cost a second pass, not the batch: they are replaced by
/// U+FFFD. Events borrow from `text` wherever they are in one piece.
///
/// ```
/// let text = r#"<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"
/// xmlns:a="http://schemas.xmlsoap.org/ws/2004/08/addressing"><s:Header>
/// <a:Action>http://schemas.microsoft.com/wbem/wsman/1/wsman/End</a:Action>
/// <a:MessageID>uuid:1</a:MessageID></s:Header><s:Body/></s:Envelope>"#;
/// let message = wecrelay::protocol::wsman::parse(text)?;
/// assert_eq!(message.body, wecrelay::protocol::wsman::Body::End);
/// # Ok::<(), wecrelay::protocol::wsman::Error>(())
/// ```
///
/// # Errors
/// Text that is not XML or not a SOAP envelope, a missing mandatory header, a document type
/// declaration, or a limit of [`xml`] or [`soap`].
pub fn parse(text: &str) -> Result<Message<'_>, Error> {
    parse_known(text, false)
}

/// Like [`parse`]. `is_plain` states that the text contains nothing that XML forbids, so that
/// it need not be searched.
///
/// # Errors
/// As for [`parse`].
pub fn parse_known(text: &str, is_plain: bool) -> Result<Message<'_>, Error> {
    match fast::read(text, is_plain) {
        Some(message) => Ok(message),
        None => parse_generally(text),
    }
}

/// Parses any envelope.
fn parse_generally(text: &str) -> Result<Message<'_>, Error> {
    let error = match parse_once(text) {
        Err(error @ Error::Xml(crate::base::xml::Error::Malformed(_))) => error,
        result => return result,
    };
    match crate::base::xml::replace_forbidden(text) {
        std::borrow::Cow::Owned(cleaned) => {
            let mut message = parse_once(&cleaned)?.into_owned();
            if let Body::Events(events) = message.body {
                let events = events.into_iter().map(RawEvent::of_cleaned);
                message.body = Body::Events(events.collect());
            }
            Ok(message)
        }
        std::borrow::Cow::Borrowed(_) => Err(error),
    }
}

fn parse_once(text: &str) -> Result<Message<'_>, Error> {
    let skeleton = xml::Skeleton::scan(text)?;
    let document = skeleton.document()?;
    let envelope = Envelope::of(&document)?;
    let header = Header::parse(envelope.header, &skeleton)?;
    let body = match header.action.as_str() {
        action::ENUMERATE => Body::Enumerate(asked::enumerate(envelope.body)),
        action::PULL => {
            let (context, portion) = asked::pull(envelope.body)?;
            Body::Pull(context, portion)
        }
        action::RELEASE => Body::Release(asked::release(envelope.body)?),
        action::HEARTBEAT => match events::parse(envelope.body, &skeleton) {
            Ok(events) if !events.is_empty() => Body::Events(events),
            Ok(_) | Err(Error::Missing(_)) => Body::Heartbeat,
            Err(error) => return Err(error),
        },
        action::EVENTS => Body::Events(events::parse(envelope.body, &skeleton)?),
        action::SUBSCRIPTION_END => {
            let end = soap::child(envelope.body, ns::EVENTING, "SubscriptionEnd")
                .ok_or(Error::Missing("SubscriptionEnd"))?;
            Body::SubscriptionEnd(SubscriptionEnd::parse(end))
        }
        action::END => Body::End,
        _ => Body::Unknown,
    };
    Ok(Message { header, body })
}

/// Why an envelope was rejected. Offsets are in bytes from its start.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// Not well-formed, or beyond a limit of [`xml::LIMITS`].
    Xml(crate::base::xml::Error),
    /// The root is not a SOAP 1.2 envelope with one header and one body.
    NotEnvelope,
    /// The name of a mandatory element that is missing.
    Missing(&'static str),
    /// The body of a batch contains something else; its name.
    NoBatch(String),
    /// The namespace declarations that events inherit, and that must be repeated in each of
    /// them, exceed the limit.
    Repeated {
        /// The limit, in bytes.
        most: usize,
    },
    /// A header whose text is longer than [`soap::MAX_HEADER_TEXT`]; its name.
    HeaderTooLong(&'static str),
    /// A response to another message.
    Unrelated {
        /// Its `RelatesTo`.
        relates_to: String,
    },
    /// A response with an unexpected action.
    UnexpectedAction(String),
    /// The collector answered with this fault.
    Faulted(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Xml(reason) => reason.fmt(f),
            Self::NotEnvelope => f.write_str("no SOAP 1.2 envelope with one header and one body"),
            Self::Missing(name) => write!(f, "no {name}"),
            Self::NoBatch(name) => {
                write!(
                    f,
                    "the body contains {name:?} instead of w:Events with the events"
                )
            }
            Self::Repeated { most } => write!(
                f,
                "namespaces that are declared around the events, repeated in each, are over \
                 {most} bytes"
            ),
            Self::HeaderTooLong(name) => {
                write!(f, "{name} longer than {} bytes", soap::MAX_HEADER_TEXT)
            }
            Self::Unrelated { relates_to } => {
                write!(
                    f,
                    "answer relates to {relates_to:?}, which is not a message of this relay"
                )
            }
            Self::UnexpectedAction(action) => write!(f, "unexpected action {action:?}"),
            Self::Faulted(reason) => write!(f, "fault: {reason}"),
        }
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Xml(reason) => Some(reason),
            _ => None,
        }
    }
}

impl From<crate::base::xml::Error> for Error {
    fn from(error: crate::base::xml::Error) -> Self {
        Self::Xml(error)
    }
}

#[cfg(test)]
mod tests;
