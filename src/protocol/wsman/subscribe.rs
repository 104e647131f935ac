//! Subscriptions as sources receive them (MS-WSMV 3.1.4.1.29, DSP0226 10).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::text::{Escaped, push};
use crate::windows::sddl::SecurityDescriptor;

/// The channels that every Windows host has; used if none is given.
pub const DEFAULT_CHANNELS: [&str; 4] = ["Application", "Security", "Setup", "System"];

/// Maximum size of a delivery in bytes, as Windows collectors request it: the default of
/// WinRM on every source, which therefore would not send more.
pub const MAX_ENVELOPE_SIZE: u32 = 512_000;

/// Name of the subscription through which hosts report problems with forwarding.
pub const SELF_REPORTS: &str = "wecrelay-self-reports";

/// The bookmark for everything in the log (DSP0226 10.2.2).
pub const EARLIEST: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest";

/// The resource URI of the event log.
pub const EVENT_LOG: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog";

const PROFILES: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/";

/// Namespace for ids derived from names and contents (UUID version 5, RFC 9562 5.5), which
/// are the same on every collector and after a restart. Must not change.
pub(super) const ID_NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_7a1e_38d5_4c0e_9d65_b6b1_70c2_0f3a);

/// Whether sources add the rendered message to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentFormat {
    /// Only the logged data, about half the traffic; `Raw` on the wire.
    Events,
    /// With `RenderingInfo`: message and names in the source's language.
    RenderedText,
}

impl ContentFormat {
    pub(super) fn wire_name(self) -> &'static str {
        match self {
            Self::Events => "Raw",
            Self::RenderedText => "RenderedText",
        }
    }
}

/// Which hosts may have a subscription, according to its file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// The security descriptor for domain computers.
    pub domain_computers: Option<SecurityDescriptor>,
    /// Subjects of client certificates that may have it; `*` and `?` are wildcards.
    pub allowed_subjects: Vec<String>,
    /// Subjects that may not have it; takes precedence over everything else.
    pub denied_subjects: Vec<String>,
    /// SHA-1 thumbprints of the CAs whose certificates are accepted; empty for any.
    pub allowed_issuers: Vec<String>,
}

/// Whether the lists are only about certificates, so that a host without one is never
/// allowed.
impl Access {
    /// Whether the lists name certificates and nothing else: then nobody comes
    /// without one.
    #[must_use]
    pub fn needs_certificate(&self) -> bool {
        let lists = [
            &self.allowed_subjects,
            &self.denied_subjects,
            &self.allowed_issuers,
        ];
        self.domain_computers.is_none() && lists.iter().any(|list| !list.is_empty())
    }

    /// Whether a host with this certificate subject and issuer (SHA-1 thumbprint) may have
    /// the subscription. Names and digits are compared ignoring case.
    #[must_use]
    pub fn lets_in(&self, subject: &str, issuer: &str) -> bool {
        let named = |list: &[String]| list.iter().any(|pattern| matches(pattern, subject));
        let issued = self
            .allowed_issuers
            .iter()
            .any(|known| is_thumbprint(known, issuer));
        (self.allowed_issuers.is_empty() || issued)
            && (self.allowed_subjects.is_empty() || named(&self.allowed_subjects))
            && !named(&self.denied_subjects)
    }
}

/// Compares a pasted thumbprint: Windows displays it with blanks, and with an invisible
/// character in front.
fn is_thumbprint(pasted: &str, thumbprint: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_hexdigit).collect() };
    !thumbprint.is_empty() && digits(pasted).eq_ignore_ascii_case(thumbprint)
}

/// Matches a pattern in which `*` stands for any characters and `?` for one.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Position after the last star, and the first character that it does not cover yet.
    let mut star = None;
    while here < text.len() {
        match pattern.get(at) {
            Some('*') => {
                star = Some((at, here));
                at += 1;
            }
            Some(c) if *c == '?' || text.get(here) == Some(c) => (at, here) = (at + 1, here + 1),
            _ => {
                let Some((place, taken)) = star else {
                    return false;
                };
                star = Some((place, taken + 1));
                (at, here) = (place + 1, taken + 1);
            }
        }
    }
    pattern.iter().skip(at).all(|c| *c == '*')
}

/// The name of a subscription and the id derived from it.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    text: Arc<str>,
    id: Uuid,
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        // Computed once, rather than for each message that names it.
        let id = Uuid::new_v5(&ID_NAMESPACE, text.as_bytes());
        let text = text.into();
        Self { text, id }
    }
}

impl PartialEq<&str> for Name {
    fn eq(&self, text: &&str) -> bool {
        &*self.text == *text
    }
}

impl Deref for Name {
    type Target = str;

    fn deref(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.text, f)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

/// What sources should send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its name, unique among all subscriptions.
    pub name: Name,
    /// For people only; not sent to sources.
    pub description: Option<String>,
    /// Whether it is offered to sources.
    pub enabled: bool,
    /// The `QueryList` element, verbatim as sent to sources.
    pub query: String,
    /// A source without events sends a heartbeat after this time.
    pub heartbeat: Duration,
    /// Maximum time for which a source holds back an event to fill a batch.
    pub max_time: Duration,
    /// Maximum number of events in a batch; `None` lets the size of the envelope decide.
    pub max_elements: Option<u32>,
    /// Maximum size of a delivery in bytes.
    pub max_envelope_size: u32,
    /// Number of times that a source tries to connect before it gives up until its next
    /// enumeration.
    pub retry_count: u32,
    /// Time between these attempts.
    pub retry_interval: Duration,
    /// What an event contains.
    pub content_format: ContentFormat,
    /// Whether a source without a bookmark starts with the oldest event in its log.
    pub read_existing: bool,
    /// Language of rendered text; `None` for the source's own.
    pub locale: Option<String>,
    /// Not offered after this time.
    pub expires: Option<SystemTime>,
    /// Which hosts may have it.
    pub access: Access,
}

impl Subscription {
    /// A subscription with the defaults of Windows for everything else ("Normal" has
    /// shorter times; see the presets of subscription files).
    #[must_use]
    pub fn new(name: &str, query: &str, content_format: ContentFormat) -> Self {
        Self {
            name: name.into(),
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

    /// The subscription of `--channel`: all new events of these channels, or of
    /// [`DEFAULT_CHANNELS`] if there are none.
    ///
    /// Its name, and therefore its id, does not depend on the channels: when a channel is
    /// added, sources keep their bookmarks, and no event is skipped.
    #[must_use]
    pub fn quick(channels: &[String], content_format: ContentFormat) -> Self {
        let query = if channels.is_empty() {
            query_of(DEFAULT_CHANNELS.iter().copied())
        } else {
            query_of(channels.iter().map(String::as_str))
        };
        Self {
            description: Some("channels given on the command line".to_owned()),
            // People who try it out want to see events immediately; two seconds still
            // gather what one logon writes into one batch.
            max_time: Duration::from_secs(2),
            ..Self::new("wecrelay", &query, content_format)
        }
    }

    /// The subscription to the hosts' own reports about forwarding, for their
    /// administrators.
    #[must_use]
    pub fn self_reports(content_format: ContentFormat) -> Self {
        const QUERY: &str = "<QueryList><Query Id=\"0\"><Select \
            Path=\"Microsoft-Windows-Forwarding/Operational\">*[System[EventID=100 or \
            EventID=101 or EventID=102 or EventID=103 or EventID=104 or EventID=105 or \
            EventID=106 or EventID=107]]</Select></Query></QueryList>";
        Self {
            description: Some("forwarding problems, as hosts report them".to_owned()),
            // Each host keeps a connection for it, so it should cause little traffic.
            heartbeat: Duration::from_secs(3600),
            max_time: Duration::from_secs(30),
            ..Self::new(SELF_REPORTS, QUERY, content_format)
        }
    }

    /// Whether it is the one offered to all hosts that have another subscription.
    #[must_use]
    pub fn is_for_reports(&self) -> bool {
        self.name == SELF_REPORTS
    }

    /// The permanent id of the subscription, under which bookmarks are stored.
    #[must_use]
    pub fn id(&self) -> Uuid {
        self.name.id
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

/// How a source may authenticate for deliveries (DSP0226 C.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Profile {
    /// Kerberos, or NTLM through Negotiate, over plain HTTP. There is no profile for NTLM
    /// alone.
    HttpSpnegoKerberos,
    /// The same inside TLS.
    HttpsSpnegoKerberos,
    /// Client certificates inside TLS.
    HttpsMutual {
        /// SHA-1 of the issuers' certificates in hexadecimal, by which the source selects
        /// its certificate.
        issuer_thumbprints: Vec<String>,
    },
    /// Basic over plain HTTP; only where the administrator allows it.
    HttpBasic,
    /// Basic inside TLS.
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
        let all = |out: &mut String, certificate: fmt::Arguments<'_>| {
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

/// The profiles that a delivery address accepts, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Never empty.
    pub profiles: Vec<Profile>,
}
