//! `//BROKER[:PORT][,BROKER[:PORT]...]/TOPIC` in a URL.

use super::url_parameters::Choices;
use super::{Authority, Error};
use crate::output::kafka::Settings;
use crate::protocol::kafka::Mechanism;

/// The default port of brokers.
const PORT: u16 = 9092;
/// Maximum length of a topic's name; the limit of Kafka.
const LONGEST_TOPIC: usize = 249;
/// Maximum number of bootstrap brokers in a URL; the others are discovered.
const MOST_BROKERS: usize = 16;

pub(super) fn settings(place: &str, choices: &Choices, is_tls: bool) -> Result<Settings, Error> {
    let place = place.strip_prefix("//").ok_or(Error::Slashes)?;
    let wrong = || Error::Topic(place.to_owned());
    let (brokers, topic) = place.split_once('/').ok_or_else(wrong)?;
    if !is_topic(topic) {
        return Err(wrong());
    }
    let brokers: Vec<_> = brokers.split(',').map(broker).collect::<Result<_, _>>()?;
    if brokers.len() > MOST_BROKERS {
        return Err(Error::value("brokers", place, "up to 16 of them"));
    }
    if choices.secret.is_none() && choices.mechanism.is_some() {
        return Err(Error::SaslAlone);
    }
    let default = choices.secret.as_ref().map(|_| Mechanism::ScramSha512);
    let mechanism = choices.mechanism.or(default);
    let may_be_read = !is_tls && choices.cleartext != Some(true);
    if mechanism == Some(Mechanism::Plain) && may_be_read {
        return Err(Error::Cleartext);
    }
    Ok(Settings {
        brokers,
        topic: topic.to_owned(),
        compression: choices.compression.unwrap_or_default(),
        mechanism,
    })
}

fn broker(text: &str) -> Result<(String, u16), Error> {
    let authority = Authority::parse(text)?;
    match authority.port {
        Some(0) => Err(Error::Port("0".to_owned())),
        port => Ok((authority.host, port.unwrap_or(PORT))),
    }
}

fn is_topic(text: &str) -> bool {
    let is_legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    let is_named = !matches!(text, "" | "." | "..");
    is_named && text.len() <= LONGEST_TOPIC && text.chars().all(is_legal)
}

#[cfg(test)]
mod tests {
    use super::super::{Error, Settings as Output, Target};
    use super::*;
    use crate::protocol::kafka::Compression;
    use crate::syslog::{Header, MessageKind};

    fn topic(url: &str) -> Settings {
        match Output::parse(url).map(|output| output.target) {
            Ok(Target::Kafka(topic)) => topic,
            other => panic!("{url}: {other:?}"),
        }
    }

    fn refusal(url: &str) -> Error {
        Output::parse(url).err().unwrap_or_else(|| panic!("{url}"))
    }

    #[test]
    fn brokers_topic_and_settings_are_read() {
        let read = topic("kafka://k1,[2001:db8::1]:9093/win.events-1_x?compress=zstd");
        let brokers = [("k1".to_owned(), 9092), ("2001:db8::1".to_owned(), 9093)];
        assert_eq!(read.brokers, brokers);
        assert_eq!(read.topic, "win.events-1_x");
        assert_eq!(read.compression, Compression::Zstd);
        assert_eq!(read.mechanism, None);
        let read = topic("kafka+tls://k1/t?login=/f");
        assert_eq!(read.mechanism, Some(Mechanism::ScramSha512));
        let output = Output::parse("kafka://k1/t").unwrap();
        assert_eq!(output.message, MessageKind::Json);
        assert_eq!(output.header, Header::None);
        let output = Output::parse("kafka+tls://k1/t?message=ecs&name=n").unwrap();
        assert_eq!(output.message, MessageKind::Ecs);
        assert_eq!(output.tls.unwrap().name, "n");
    }

    #[test]
    fn what_is_no_topic_or_would_give_the_password_away_is_refused() {
        for place in ["k1", "k1/", "k1/a/b", "k1/..", "k1/a b"] {
            let error = refusal(&format!("kafka://{place}"));
            assert!(matches!(error, Error::Topic(_)), "{place}: {error}");
        }
        let long = format!("kafka://k1/{}", "t".repeat(250));
        assert!(matches!(refusal(&long), Error::Topic(_)));
        assert!(matches!(refusal("kafka://k1:0/t"), Error::Port(_)));
        assert!(matches!(refusal("kafka://,k1/t"), Error::Host(_)));
        assert_eq!(refusal("kafka://k1/t?sasl=plain"), Error::SaslAlone);
        let plain = "kafka://k1/t?sasl=plain&login=/f";
        assert_eq!(refusal(plain), Error::Cleartext);
        topic(&format!("{plain}&cleartext=yes"));
        topic("kafka+tls://k1/t?sasl=plain&login=/f");
        let text = refusal("kafka://k1/t?compress=snappy").to_string();
        assert!(text.contains("none, gzip, lz4 or zstd"), "{text}");
    }
}
