//! A subscription as an item of an EnumerateResponse: a Subscribe envelope (MS-WSMV
//! 3.1.4.1.29). Elements are in the order of Windows collectors.

use uuid::Uuid;

use super::soap::{emit_duration, ns, urn};
use super::subscribe::{EARLIEST, EVENT_LOG, ID_NAMESPACE, Policy, Subscription};
use super::text::{Escaped, push};
use super::{ANONYMOUS, action};

const QUERY_DIALECT: &str = "http://schemas.microsoft.com/win/2004/08/events/eventquery";

/// A subscription as one source receives it.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// The subscription's settings and query.
    pub subscription: &'a Subscription,
    /// Delivery URL, with scheme, host, and port that the source can reach.
    pub url: &'a str,
    /// The authentication methods that the URL accepts.
    pub policy: &'a Policy,
    /// The stored bookmark of this source, verbatim; `None` for a source without one.
    pub bookmark: Option<&'a str>,
}

impl Offer<'_> {
    /// Everything but the bookmark, which differs between sources.
    #[must_use]
    pub fn draft(&self) -> Draft {
        Draft::new(self.subscription, self.url, self.policy)
    }
}

impl Subscription {
    /// The version that tells sources whether the subscription has changed. Computed from
    /// everything that a source sees except its bookmark, so it is the same after a restart
    /// and on every collector.
    #[must_use]
    pub fn version(&self, url: &str, policy: &Policy) -> Uuid {
        let nil = urn(Uuid::nil());
        let [start, operation, delivery, end] = envelope(self, url, policy);
        let visible = [&*start, &nil, &operation, &nil, &delivery, &end].concat();
        Uuid::new_v5(&ID_NAMESPACE, visible.as_bytes())
    }
}

/// A subscription formatted for all sources that use the same URL and authentication
/// method: each response adds only ids and a bookmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The text before the message id, before the operation id, before the bookmark, and
    /// after it.
    parts: [String; 4],
    size: Size,
    from_earliest: bool,
}

impl Draft {
    /// Formats the subscription.
    #[must_use]
    pub fn new(subscription: &Subscription, url: &str, policy: &Policy) -> Self {
        let version = urn(subscription.version(url, policy));
        let [start, operation, delivery, end] = envelope(subscription, url, policy);
        let m = ns::SUBSCRIPTION;
        let start =
            format!("<m:Subscription xmlns:m=\"{m}\"><m:Version>{version}</m:Version>{start}");
        let end = end + "</m:Subscription>";
        let parts = [start, operation, delivery, end];
        // Ids have the same length as the version.
        let of_id = Size::of(&version);
        let size = parts.iter().map(|part| Size::of(part));
        Self {
            size: size.fold(of_id.plus(of_id), Size::plus),
            parts,
            from_earliest: subscription.read_existing,
        }
    }

    /// Memory that it occupies, in bytes.
    #[must_use]
    pub fn held(&self) -> usize {
        self.parts.iter().map(String::len).sum()
    }

    /// Appends it as an item of a response with the source's stored bookmark, verbatim;
    /// `new_id` returns random ids. Returns the size of the item.
    pub(super) fn push_to(
        &self,
        out: &mut String,
        bookmark: Option<&str>,
        new_id: &mut dyn FnMut() -> Uuid,
    ) -> Size {
        let [start, operation, delivery, end] = &self.parts;
        let (message_id, operation_id) = (urn(new_id()), urn(new_id()));
        let earliest = self.from_earliest.then_some(EARLIEST);
        let bookmark = bookmark.or(earliest);
        let bookmark = bookmark.map_or(String::new(), |b| format!("<w:Bookmark>{b}</w:Bookmark>"));
        for part in [
            start,
            &message_id,
            operation,
            &operation_id,
            delivery,
            &bookmark,
            end,
        ] {
            out.push_str(part);
        }
        self.size.plus(Size::of(&bookmark))
    }
}

/// The size of a text in a response.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Size {
    /// Size in bytes, in the larger of the encodings that a source may request.
    pub(super) octets: usize,
    pub(super) characters: usize,
}

impl Size {
    pub(super) fn of(text: &str) -> Self {
        if text.is_ascii() {
            return Self {
                octets: text.len().saturating_mul(2),
                characters: text.len(),
            };
        }
        let octets = |c: char| c.len_utf8().max(2 * c.len_utf16());
        Self {
            octets: text.chars().map(octets).sum(),
            characters: text.chars().count(),
        }
    }

    fn plus(self, other: Self) -> Self {
        Self {
            octets: self.octets.saturating_add(other.octets),
            characters: self.characters.saturating_add(other.characters),
        }
    }
}

/// The Subscribe envelope: the text before its message id, before its operation id, before
/// the bookmark, and after it.
fn envelope(subscription: &Subscription, url: &str, policy: &Policy) -> [String; 4] {
    let mut delivery = after_ids(subscription);
    push_delivery(&mut delivery, subscription, url, policy);
    let query = &subscription.query;
    push(
        &mut delivery,
        format_args!("<w:Filter Dialect=\"{QUERY_DIALECT}\">{query}</w:Filter>"),
    );
    let locale = locale(subscription);
    [
        before_ids(subscription),
        format!("</a:MessageID>{locale}<p:OperationID s:mustUnderstand=\"false\">"),
        delivery,
        "<w:SendBookmarks/></e:Subscribe></s:Body></s:Envelope>".to_owned(),
    ]
}

/// The header up to its ids.
fn before_ids(subscription: &Subscription) -> String {
    let (s, a, e, n) = (ns::SOAP, ns::ADDRESSING, ns::EVENTING, ns::ENUMERATION);
    let (w, p) = (ns::WSMAN, ns::WSMAN_MS);
    let (subscribe, size) = (action::SUBSCRIBE, subscription.max_envelope_size);
    format!(
        "<s:Envelope xmlns:s=\"{s}\" xmlns:a=\"{a}\" xmlns:e=\"{e}\" xmlns:n=\"{n}\" \
         xmlns:w=\"{w}\" xmlns:p=\"{p}\"><s:Header><a:To>{ANONYMOUS}</a:To>\
         <w:ResourceURI s:mustUnderstand=\"true\">{EVENT_LOG}</w:ResourceURI><a:ReplyTo>\
         <a:Address s:mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
         <a:Action s:mustUnderstand=\"true\">{subscribe}</a:Action>\
         <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{size}</w:MaxEnvelopeSize>\
         <a:MessageID>"
    )
}

/// The header after its ids, and the start of the body.
fn after_ids(subscription: &Subscription) -> String {
    let (xsi, name) = (ns::XSI, Escaped(&subscription.name));
    let format = subscription.content_format.wire_name();
    format!(
        "</p:OperationID><p:SequenceId s:mustUnderstand=\"false\">1</p:SequenceId>\
         <w:OptionSet xmlns:xsi=\"{xsi}\"><w:Option Name=\"SubscriptionName\">{name}</w:Option>\
         <w:Option Name=\"Compression\">SLDC</w:Option>\
         <w:Option Name=\"CDATA\" xsi:nil=\"true\"/>\
         <w:Option Name=\"ContentFormat\">{format}</w:Option>\
         <w:Option Name=\"IgnoreChannelError\" xsi:nil=\"true\"/></w:OptionSet></s:Header>\
         <s:Body><e:Subscribe>"
    )
}

fn push_delivery(out: &mut String, subscription: &Subscription, url: &str, policy: &Policy) {
    let (url, id) = (Escaped(url), subscription.id());
    let address = format!(
        "<a:Address>{url}</a:Address><a:ReferenceProperties><e:Identifier>{id:X}\
         </e:Identifier></a:ReferenceProperties>"
    );
    let (mode, heartbeat) = (action::EVENTS, emit_duration(subscription.heartbeat));
    let (c, auth) = (ns::POLICY, ns::AUTHENTICATION);
    push(
        out,
        format_args!(
            "<e:EndTo>{address}</e:EndTo><e:Delivery Mode=\"{mode}\">\
             <w:Heartbeats>{heartbeat}</w:Heartbeats><e:NotifyTo>{address}\
             <c:Policy xmlns:c=\"{c}\" xmlns:auth=\"{auth}\"><c:ExactlyOne>"
        ),
    );
    for profile in &policy.profiles {
        profile.push_to(out);
    }
    out.push_str("</c:ExactlyOne></c:Policy></e:NotifyTo>");
    push_batching(out, subscription);
}

fn push_batching(out: &mut String, subscription: &Subscription) {
    let (count, pause) = (subscription.retry_count, subscription.retry_interval);
    let (pause, pause_tenths) = (pause.as_secs(), pause.subsec_millis() / 100);
    let elements = subscription.max_elements;
    let elements = elements.map_or(String::new(), |most| {
        format!("<w:MaxElements>{most}</w:MaxElements>")
    });
    let (time, size) = (
        emit_duration(subscription.max_time),
        subscription.max_envelope_size,
    );
    let locale = locale(subscription);
    push(
        out,
        format_args!(
            "<w:ConnectionRetry Total=\"{count}\">PT{pause}.{pause_tenths}S</w:ConnectionRetry>\
             {elements}<w:MaxTime>{time}</w:MaxTime>\
             <w:MaxEnvelopeSize Policy=\"Notify\">{size}</w:MaxEnvelopeSize>{locale}\
             <w:ContentEncoding>UTF-16</w:ContentEncoding></e:Delivery>"
        ),
    );
}

fn locale(subscription: &Subscription) -> String {
    let locale = subscription.locale.as_deref();
    locale.map(Escaped).map_or(String::new(), |locale| {
        format!(
            "<w:Locale xml:lang=\"{locale}\" s:mustUnderstand=\"false\" />\
             <p:DataLocale xml:lang=\"{locale}\" s:mustUnderstand=\"false\" />"
        )
    })
}
