//! A subscription as an item of an answer to Enumerate: a Subscribe envelope
//! (MS-WSMV 3.1.4.1.29). Element order is that of Windows collectors.

use uuid::Uuid;

use super::soap::{emit_duration, ns, urn};
use super::subscribe::{EARLIEST, EVENT_LOG, ID_NAMESPACE, Policy, Subscription};
use super::text::{Escaped, push};
use super::{ANONYMOUS, action};

const QUERY_DIALECT: &str = "http://schemas.microsoft.com/win/2004/08/events/eventquery";

/// A subscription as one source gets it.
#[derive(Clone, Copy, Debug)]
pub struct Offer<'a> {
    /// What to send.
    pub subscription: &'a Subscription,
    /// Where to, with scheme, host and port as the source can reach them.
    pub url: &'a str,
    /// How to authenticate there.
    pub policy: &'a Policy,
    /// The stored bookmark of this source, as it came.
    pub bookmark: Option<&'a str>,
}

impl<'a> Offer<'a> {
    fn starting_point(&self) -> Option<&'a str> {
        let earliest = self.subscription.read_existing.then_some(EARLIEST);
        self.bookmark.or(earliest)
    }
}

impl Subscription {
    /// Tells sources whether something changed: made from all that a source
    /// sees but its bookmark, so it is the same after a restart and elsewhere.
    #[must_use]
    pub fn version(&self, url: &str, policy: &Policy) -> Uuid {
        let offer = Offer {
            subscription: self,
            url,
            policy,
            bookmark: None,
        };
        let mut visible = String::new();
        push_envelope(&mut visible, &offer, "", &mut Uuid::nil);
        Uuid::new_v5(&ID_NAMESPACE, visible.as_bytes())
    }
}

/// One item of an answer; `new_id` gives two random ids.
pub(super) fn push_subscription(
    out: &mut String,
    offer: &Offer<'_>,
    new_id: &mut dyn FnMut() -> Uuid,
) {
    let (m, subscription) = (ns::SUBSCRIPTION, offer.subscription);
    let version = urn(subscription.version(offer.url, offer.policy));
    push(
        out,
        format_args!("<m:Subscription xmlns:m=\"{m}\"><m:Version>{version}</m:Version>"),
    );
    let bookmark = offer.starting_point();
    let bookmark = bookmark.map_or(String::new(), |b| format!("<w:Bookmark>{b}</w:Bookmark>"));
    push_envelope(out, offer, &bookmark, new_id);
    out.push_str("</m:Subscription>");
}

/// The Subscribe envelope.
fn push_envelope(
    out: &mut String,
    offer: &Offer<'_>,
    bookmark: &str,
    new_id: &mut dyn FnMut() -> Uuid,
) {
    push_subscribe_header(out, offer.subscription, new_id);
    push_delivery(out, offer);
    let query = &offer.subscription.query;
    push(
        out,
        format_args!(
            "<w:Filter Dialect=\"{QUERY_DIALECT}\">{query}</w:Filter>{bookmark}\
             <w:SendBookmarks/></e:Subscribe></s:Body></s:Envelope>"
        ),
    );
}

fn push_subscribe_header(
    out: &mut String,
    subscription: &Subscription,
    new_id: &mut dyn FnMut() -> Uuid,
) {
    let (s, a, e, n) = (ns::SOAP, ns::ADDRESSING, ns::EVENTING, ns::ENUMERATION);
    let (w, p, xsi) = (ns::WSMAN, ns::WSMAN_MS, ns::XSI);
    let (subscribe, size) = (action::SUBSCRIBE, subscription.max_envelope_size);
    let (message_id, operation_id) = (urn(new_id()), urn(new_id()));
    let (locale, name) = (locale(subscription), Escaped(&subscription.name));
    let format = subscription.content_format.wire_name();
    push(
        out,
        format_args!(
            "<s:Envelope xmlns:s=\"{s}\" xmlns:a=\"{a}\" xmlns:e=\"{e}\" xmlns:n=\"{n}\" \
             xmlns:w=\"{w}\" xmlns:p=\"{p}\"><s:Header><a:To>{ANONYMOUS}</a:To>\
             <w:ResourceURI s:mustUnderstand=\"true\">{EVENT_LOG}</w:ResourceURI><a:ReplyTo>\
             <a:Address s:mustUnderstand=\"true\">{ANONYMOUS}</a:Address></a:ReplyTo>\
             <a:Action s:mustUnderstand=\"true\">{subscribe}</a:Action>\
             <w:MaxEnvelopeSize s:mustUnderstand=\"true\">{size}</w:MaxEnvelopeSize>\
             <a:MessageID>{message_id}</a:MessageID>{locale}\
             <p:OperationID s:mustUnderstand=\"false\">{operation_id}</p:OperationID>\
             <p:SequenceId s:mustUnderstand=\"false\">1</p:SequenceId>\
             <w:OptionSet xmlns:xsi=\"{xsi}\"><w:Option Name=\"SubscriptionName\">{name}</w:Option>\
             <w:Option Name=\"Compression\">SLDC</w:Option>\
             <w:Option Name=\"CDATA\" xsi:nil=\"true\"/>\
             <w:Option Name=\"ContentFormat\">{format}</w:Option>\
             <w:Option Name=\"IgnoreChannelError\" xsi:nil=\"true\"/></w:OptionSet></s:Header>\
             <s:Body><e:Subscribe>"
        ),
    );
}

fn push_delivery(out: &mut String, offer: &Offer<'_>) {
    let subscription = offer.subscription;
    let (url, id) = (Escaped(offer.url), subscription.id());
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
    for profile in &offer.policy.profiles {
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
