//! The processing stages of an event, and the source files of each.

/// A stage, in the order of processing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Stage {
    TlsRead,
    Unseal,
    Decompress,
    Decode,
    Envelope,
    Event,
    Message,
    Write,
    Other,
}

impl Stage {
    pub(crate) const ALL: [Self; 9] = [
        Self::TlsRead,
        Self::Unseal,
        Self::Decompress,
        Self::Decode,
        Self::Envelope,
        Self::Event,
        Self::Message,
        Self::Write,
        Self::Other,
    ];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::TlsRead => "TLS read",
            Self::Unseal => "unseal",
            Self::Decompress => "decompress",
            Self::Decode => "decode",
            Self::Envelope => "envelope",
            Self::Event => "event",
            Self::Message => "message",
            Self::Write => "queue, write",
            Self::Other => "other",
        }
    }

    /// The stage of a file of wecrelay: the first of these words in its path after `src/`.
    pub(crate) fn of_file(path: &str) -> Option<Self> {
        // In these loads, only the connections of sources use TLS.
        if path.contains("/openssl-") {
            return Some(Self::TlsRead);
        }
        let (before, module) = path.rsplit_once("src/")?;
        let foreign = ["rustc", "registry", "library/"];
        if foreign.iter().any(|word| before.contains(word)) {
            return None;
        }
        let words: Vec<_> = module.split(['/', '.']).collect();
        let has = |names: &[&str]| names.iter().any(|name| words.contains(name));
        // The gate and what passes it; syslog and wsman have files of that name too.
        let is_kafka = matches!(words[..], ["protocol", "kafka", ..]);
        let is_gate = matches!(words[..], ["xml", ..] | ["base", "xml", ..]);
        Some(match () {
            () if has(&["tls", "secure", "stream"]) => Self::TlsRead,
            () if has(&["ntlm", "kerberos", "spnego", "auth", "multipart"]) => Self::Unseal,
            () if has(&["sldc"]) => Self::Decompress,
            () if has(&["wire"]) => Self::Decode,
            () if is_gate || has(&["wsman", "bookmark"]) => Self::Envelope,
            () if has(&["event"]) => Self::Event,
            () if is_kafka || has(&["syslog", "record", "otlp"]) => Self::Message,
            () if has(&["queue", "link", "output", "outputs"]) => Self::Write,
            () => Self::Other,
        })
    }

    /// The stage of a function of wecrelay, by the path of its module.
    pub(crate) fn of_function(name: &str) -> Option<Self> {
        if name.starts_with("openssl::") {
            return Some(Self::TlsRead);
        }
        let at = name.find("wecrelay::")?;
        let path = name[at + "wecrelay::".len()..].replace("::", "/");
        let end = path.find(|c: char| !(c.is_alphanumeric() || "_/".contains(c)));
        Self::of_file(&format!("src/{}", &path[..end.unwrap_or(path.len())]))
    }
}
