//! `//BROKER[:PORT][,BROKER[:PORT]...]/TOPIC` of a URL.

use super::url_parameters::Choices;
use super::{Authority, Error};
use crate::output::kafka::Settings;
use crate::protocol::kafka::Mechanism;

/// The port of brokers where none is given.
const PORT: u16 = 9092;
/// Longest name of a topic, as brokers have it.
const LONGEST_TOPIC: usize = 249;
/// Most brokers in a URL: they are asked for all others.
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
    if choices.login.is_none() && choices.mechanism.is_some() {
        return Err(Error::SaslAlone);
    }
    let default = choices.login.as_ref().map(|_| Mechanism::ScramSha512);
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
        login_file: choices.login.clone(),
        login: None,
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
