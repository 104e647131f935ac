//! Subscriptions as a source receives them (MS-WSMV 3.1.4.1.29, DSP0226 10).

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use uuid::Uuid;

use super::text::{Escaped, push};
use crate::windows::sddl::SecurityDescriptor;

/// The channels of every Windows host, taken where none is named.
pub const DEFAULT_CHANNELS: [&str; 4] = ["Application", "Security", "Setup", "System"];

/// Largest envelope of a delivery in bytes, as Windows collectors ask for: the
/// default of WinRM on every source, so more would not come.
pub const MAX_ENVELOPE_SIZE: u32 = 512_000;

/// The name of the subscription by which hosts report how their forwarding goes.
pub const SELF_REPORTS: &str = "wecrelay-self-reports";

/// "Everything that is in the log", as a bookmark (DSP0226 10.2.2).
pub const EARLIEST: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/bookmark/earliest";

/// Where a subscription gets its events from on the source.
pub const EVENT_LOG: &str = "http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog";

const PROFILES: &str = "http://schemas.dmtf.org/wbem/wsman/1/wsman/secprofile/";

/// Under this namespace ids are made from names and contents (RFC 9562 5.5):
/// the same on every node and after each restart.
pub(super) const ID_NAMESPACE: Uuid = Uuid::from_u128(0x5f0c_7a1e_38d5_4c0e_9d65_b6b1_70c2_0f3a);

/// Whether sources add the text of a message to an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ContentFormat {
    /// Only what was logged; half the traffic. On the wire `Raw`.
    Events,
    /// With `RenderingInfo`: message text and names in the source's language.
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

/// Who may have a subscription, as its file says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Access {
    /// For computers of a domain.
    pub domain_computers: Option<SecurityDescriptor>,
    /// Subjects of client certificates that may have it; `*` is a wildcard.
    pub allowed_subjects: Vec<String>,
    /// Subjects that may not, whatever else says so.
    pub denied_subjects: Vec<String>,
    /// Thumbprints (SHA-1) of the authorities whose certificates count.
    pub allowed_issuers: Vec<String>,
}

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

    /// Whether a certificate of this subject and issuer (SHA-1 thumbprint) may have
    /// the subscription. Names and hex digits are compared without case.
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

/// Whether a thumbprint as people paste it is this one: Windows shows it with blanks,
/// and with an invisible character before it.
fn is_thumbprint(pasted: &str, thumbprint: &str) -> bool {
    let digits = |text: &str| -> String { text.chars().filter(char::is_ascii_hexdigit).collect() };
    !thumbprint.is_empty() && digits(pasted).eq_ignore_ascii_case(thumbprint)
}

/// Whether `text` is what a pattern with `*` (any characters) and `?` (one) says.
pub(crate) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.to_lowercase(), text.to_lowercase());
    let (pattern, text): (Vec<_>, Vec<_>) = (pattern.chars().collect(), text.chars().collect());
    let (mut at, mut here) = (0, 0);
    // Where the last star stands, and from which character on it may take one more.
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

/// The name of a subscription, and the id that hangs on it alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Name {
    text: Arc<str>,
    id: Uuid,
}

impl From<&str> for Name {
    fn from(text: &str) -> Self {
        // Once, not for each message that names it.
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

/// What sources are to send, and how.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its name, unique among all.
    pub name: Name,
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

    /// What hosts say of their forwarding themselves, for those who look after them.
    #[must_use]
    pub fn self_reports(content_format: ContentFormat) -> Self {
        const QUERY: &str = "<QueryList><Query Id=\"0\"><Select \
            Path=\"Microsoft-Windows-Forwarding/Operational\">*[System[EventID=100 or \
            EventID=101 or EventID=102 or EventID=103 or EventID=104 or EventID=105 or \
            EventID=106 or EventID=107]]</Select></Query></QueryList>";
        Self {
            description: Some("forwarding problems, as hosts report them".to_owned()),
            // Each host holds a connection for it, which shall have little to do.
            heartbeat: Duration::from_secs(3600),
            max_time: Duration::from_secs(30),
            ..Self::new(SELF_REPORTS, QUERY, content_format)
        }
    }

    /// Whether it is the one that all hosts have which have another.
    #[must_use]
    pub fn is_for_reports(&self) -> bool {
        self.name == SELF_REPORTS
    }

    /// Names the subscription for good: bookmarks hang on it.
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

/// The profiles that an address takes, best first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Policy {
    /// At least one.
    pub profiles: Vec<Profile>,
}
