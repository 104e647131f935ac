//! Subscriptions as a source receives them (MS-WSMV 3.1.4.1.29, DSP0226 10).

use std::fmt::Write as _;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::soap::{emit_duration, ns, operation, relates_to, to, urn};
use super::xml::Escaped;
use super::{ANONYMOUS, Header, action};

/// The channels of every Windows host, taken where none is named.
pub const DEFAULT_CHANNELS: [&str; 4] = ["Application", "Security", "Setup", "System"];

/// Largest envelope of a delivery in bytes, as Windows collectors ask for: the
/// default of WinRM on every source, so more would not come.
pub const MAX_ENVELOPE_SIZE: u32 = 512_000;

/// "Everything that is in the log", as a bookmark (DSP0226 10.2.2).
pub const EARLIEST: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest";

/// Where a subscription gets its events from on the source.
pub const EVENT_LOG: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog";

const QUERY_DIALECT: &str = "http://schemas.microsoft.com/win/2004/08/events/eventquery";
const PROFILES: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/";

/// Room for an answer without subscriptions, and for its encoding.
const ANSWER_OVERHEAD: usize = 4096;

/// Under this namespace ids are made from names and contents (RFC 9562 5.5):
/// the same on every node and after each restart.
const ID_NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_7a1e_38d5_4c0e_9d65_b6b1_70c2_0f3a);

/// Whether sources add the text of a message to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentFormat {
    /// Only what was logged; half the traffic. On the wire `Raw`.
    Events,
    /// With `RenderingInfo`: message text and names in the source's language.
    RenderedText,
}

impl ContentFormat {
    fn wire_name(self) -> &'static str {
        match self {
            Self::Events => "Raw",
            Self::RenderedText => "RenderedText",
        }
    }
}

/// Who may have a subscription, as its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// Security descriptor for computers of the domain, in SDDL.
    pub domain_computers: Option<String>,
    /// Subjects of client certificates that may have it; `*` is a wildcard.
    pub allowed_subjects: Vec<String>,
    /// Subjects that may not, whatever else says so.
    pub denied_subjects: Vec<String>,
    /// Thumbprints (SHA-1) of the authorities whose certificates count.
    pub allowed_issuers: Vec<String>,
}

/// What sources are to send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its name, unique among all.
    pub name: String,
    /// For people.
    pub description: Option<String>,
    /// Offered to sources at all.
    pub enabled: bool,
    /// The `QueryList` element, as it goes to the source.
    pub query: String,
    /// A source without events says that it lives after this time.
    pub heartbeat: Duration,
    /// The longest that a source holds an event back to fill a batch.
    pub max_time: Duration,
    /// Most events of a batch; without it the envelope's size decides.
    pub max_elements: Option<u32>,
    /// Largest delivery in bytes.
    pub max_envelope_size: u32,
    /// How often a source tries to connect before it gives up until its next
    /// enumeration.
    pub retry_count: u32,
    /// Time between two tries.
    pub retry_interval: Duration,
    /// What an event holds.
    pub content_format: ContentFormat,
    /// A source without bookmark starts with the oldest event in its log.
    pub read_existing: bool,
    /// Language of rendered text; without it the source's own.
    pub locale: Option<String>,
    /// Not offered from this time on.
    pub expires: Option<SystemTime>,
    /// Who may have it.
    pub access: Access,
}

impl Subscription {
    /// A subscription with Windows' settings for what is not given ("Normal"
    /// has shorter ones, see the presets of subscription files).
    #[must_use]
    pub fn new(name: &str, query: &str, content_format: ContentFormat) -> Self {
        Self {
            name: name.to_owned(),
            description: None,
            enabled: true,
            query: query.to_owned(),
            heartbeat: Duration::from_secs(900),
            max_time: Duration::from_secs(900),
            max_elements: None,
            max_envelope_size: MAX_ENVELOPE_SIZE,
            retry_count: 5,
            retry_interval: Duration::from_secs(60),
            content_format,
            read_existing: false,
            locale: None,
            expires: None,
            access: Access::default(),
        }
    }

    /// The subscription of `--channel`: all new events of these channels, of
    /// [`DEFAULT_CHANNELS`] if there are none.
    ///
    /// Its name, and so its id, does not depend on the channels: a source keeps
    /// its bookmark when one is added, and no event is skipped.
    #[must_use]
    pub fn quick(channels: &[String], content_format: ContentFormat) -> Self {
        let query = if channels.is_empty() {
            query_of(DEFAULT_CHANNELS.iter().copied())
        } else {
            query_of(channels.iter().map(String::as_str))
        };
        Self {
            description: Some("channels given on the command line".to_owned()),
            // Whoever tries it out wants to see events at once; two seconds
            // still gather what one logon writes into one batch.
            max_time: Duration::from_secs(2),
            ..Self::new("wecrelay", &query, content_format)
        }
    }

    /// Names the subscription for good: bookmarks hang on it.
    #[must_use]
    pub fn id(&self) -> Uuid {
        Uuid::new_v5(&ID_NAMESPACE, self.name.as_bytes())
    }

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

fn query_of<'a>(channels: impl Iterator<Item = &'a str>) -> String {
    let mut query = String::from("<QueryList><Query Id=\"0\">");
    for channel in channels {
        let channel = Escaped(channel.trim());
        push(
            &mut query,
            format_args!("<Select Path=\"{channel}\">*</Select>"),
        );
    }
    query.push_str("</Query></QueryList>");
    query
}

/// How a source may authenticate when it delivers (DSP0226 C.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Plain HTTP; Kerberos, and NTLM by way of Negotiate (there is no other).
    HttpSpnegoKerberos,
    /// The same inside TLS.
    HttpsSpnegoKerberos,
    /// Client certificates.
    HttpsMutual {
        /// SHA-1 of the issuers' certificates in hex: which of its certificates
        /// the source is to take.
        issuer_thumbprints: Vec<String>,
    },
    /// Passwords over plain HTTP.
    HttpBasic,
    /// Passwords inside TLS.
    HttpsBasic,
    /// Digest over plain HTTP.
    HttpDigest,
    /// Digest inside TLS.
    HttpsDigest,
}

impl Profile {
    fn name(&self) -> &'static str {
        match self {
            Self::HttpSpnegoKerberos => "http/spnego-kerberos",
            Self::HttpsSpnegoKerberos => "https/spnego-kerberos",
            Self::HttpsMutual { .. } => "https/mutual",
            Self::HttpBasic => "http/basic",
            Self::HttpsBasic => "https/basic",
            Self::HttpDigest => "http/digest",
            Self::HttpsDigest => "https/digest",
        }
    }

    pub(super) fn push_to(&self, out: &mut String) {
        let name = self.name();
        let all = |out: &mut String, certificate: std::fmt::Arguments<'_>| {
            push(
                out,
                format_args!(
                    "<c:All><auth:Authentication Profile=\"{PROFILES}{name}\">{certificate}\
                     </auth:Authentication></c:All>"
                ),
            );
        };
        match self {
            Self::HttpsMutual { issuer_thumbprints } if !issuer_thumbprints.is_empty() => {
                for issuer in issuer_thumbprints.iter().map(|issuer| Escaped(issuer)) {
                    all(
                        out,
                        format_args!(
                            "<auth:ClientCertificate><auth:Thumbprint Role=\"issuer\">{issuer}\
                             </auth:Thumbprint></auth:ClientCertificate>"
                        ),
                    );
                }
            }
            _ => all(out, format_args!("")),
        }
    }
}

/// The profiles that an address takes, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// At least one.
    pub profiles: Vec<Profile>,
}

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

/// An answer to Enumerate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The envelope.
    pub xml: String,
    /// Names of subscriptions that did not fit into the size which the source
    /// takes. It would drop them: fewer or shorter queries are the remedy.
    pub left_out: Vec<String>,
}

/// Answers Enumerate (MS-WSMV 3.1.4.1.29). `new_id` gives random ids, three for
/// each offer and one more.
#[must_use]
pub fn enumerate_response(
    request: &Header,
    offers: &[Offer<'_>],
    new_id: &mut dyn FnMut() -> Uuid,
) -> Answer {
    let largest = request.max_envelope_size.unwrap_or(MAX_ENVELOPE_SIZE);
    let mut room = usize::try_from(largest)
        .unwrap_or(usize::MAX)
        .saturating_sub(ANSWER_OVERHEAD);
    let mut xml = response_head(request, new_id());
    let mut left_out = Vec::new();
    for offer in offers {
        let start = xml.len();
        push_subscription(&mut xml, offer, new_id);
        match room.checked_sub(utf16_size(xml.get(start..).unwrap_or_default())) {
            Some(rest) => room = rest,
            None => {
                xml.truncate(start);
                left_out.push(offer.subscription.name.clone());
            }
        }
    }
    xml.push_str("</w:Items><w:EndOfSequence/></n:EnumerateResponse></s:Body></s:Envelope>");
    Answer { xml, left_out }
}

fn utf16_size(text: &str) -> usize {
    text.chars()
        .map(char::len_utf16)
        .sum::<usize>()
        .saturating_mul(2)
}

fn response_head(request: &Header, message_id: Uuid) -> String {
    let (s, a, n) = (ns::SOAP, ns::ADDRESSING, ns::ENUMERATION);
    let (w, p) = (ns::WSMAN, ns::WSMAN_MS);
    let (action, id) = (action::ENUMERATE_RESPONSE, urn(message_id));
    let (operation, to, relates_to) = (operation(request), to(request), relates_to(request));
    format!(
        "<s:Envelope xml:lang=\"en-US\" xmlns:s=\"{s}\" xmlns:a=\"{a}\" xmlns:n=\"{n}\" \
         xmlns:w=\"{w}\" xmlns:p=\"{p}\"><s:Header><a:Action>{action}</a:Action>\
         <a:MessageID>{id}</a:MessageID>{to}{operation}{relates_to}</s:Header><s:Body>\
         <n:EnumerateResponse><n:EnumerationContext></n:EnumerationContext><w:Items>"
    )
}

fn push_subscription(out: &mut String, offer: &Offer<'_>, new_id: &mut dyn FnMut() -> Uuid) {
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

/// The Subscribe envelope: element order is that of Windows collectors.
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

fn push(out: &mut String, text: std::fmt::Arguments<'_>) {
    let written = out.write_fmt(text);
    debug_assert!(written.is_ok(), "a String takes all");
}
