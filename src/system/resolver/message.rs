//! DNS messages (RFC 1035 4): a question, and its answer.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use simple_dns::rdata::RData;
use simple_dns::{CLASS, Name, Packet, PacketFlag, Question, RCODE, TYPE};

use super::Error;

/// The answer of a name server.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Reply {
    /// The name exists, with these addresses of the kind asked for.
    Addresses(Vec<IpAddr>),
    /// There is no such name (NXDOMAIN).
    Unknown,
    /// Too long for a datagram; must be asked again over TCP.
    Truncated,
    /// Any other response code.
    Failed(String),
}

/// A question for addresses of one type, `A` or `AAAA`.
pub(super) fn question(id: u16, name: &str, kind: TYPE) -> Result<Vec<u8>, Error> {
    let name = Name::new(name).map_err(|_| Error::BadName)?;
    let mut packet = Packet::new_query(id);
    packet.set_flags(PacketFlag::RECURSION_DESIRED);
    let question = Question::new(name, kind.into(), CLASS::IN.into(), false);
    packet.questions.push(question);
    packet.build_bytes_vec().map_err(|_| Error::BadName)
}

/// Parses the answer to a question; `None` if it is not one, or answers another question.
pub(super) fn reply(bytes: &[u8], id: u16, name: &str, kind: TYPE) -> Option<Reply> {
    let packet = Packet::parse(bytes).ok()?;
    let name = Name::new(name).ok()?;
    let asked = packet.questions.first()?;
    let fits = packet.id() == id && asked.qname == name && asked.qtype == kind.into();
    if !fits || !packet.has_flags(PacketFlag::RESPONSE) {
        return None;
    }
    if packet.has_flags(PacketFlag::TRUNCATION) {
        return Some(Reply::Truncated);
    }
    Some(match packet.rcode() {
        RCODE::NoError => Reply::Addresses(addresses(&packet, name)),
        RCODE::NameError => Reply::Unknown,
        RCODE::ServerFailure => Reply::Failed("SERVFAIL".to_owned()),
        RCODE::Refused => Reply::Failed("REFUSED".to_owned()),
        other => Reply::Failed(format!("{other:?}")),
    })
}

/// The addresses of the name, or of what its aliases (CNAME) lead to.
fn addresses<'a>(packet: &Packet<'a>, mut name: Name<'a>) -> Vec<IpAddr> {
    // Each alias once, in whatever order they are, even if they form a cycle.
    for _ in &packet.answers {
        let alias = packet
            .answers
            .iter()
            .find_map(|record| match &record.rdata {
                RData::CNAME(alias) if record.name == name => Some(alias.0.clone()),
                _ => None,
            });
        match alias {
            Some(alias) => name = alias,
            None => break,
        }
    }
    let own = packet.answers.iter().filter(|record| record.name == name);
    let own = own.filter_map(|record| match &record.rdata {
        RData::A(found) => Some(Ipv4Addr::from_bits(found.address).into()),
        RData::AAAA(found) => Some(Ipv6Addr::from_bits(found.address).into()),
        _ => None,
    });
    own.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An answer with a compressed name, an alias before its address (RFC 1035 4.1.4).
    fn answer(flags: [u8; 2]) -> Vec<u8> {
        let mut bytes = vec![0x12, 0x34, flags[0], flags[1], 0, 1, 0, 2, 0, 0, 0, 0];
        bytes.extend(b"\x03log\x07example\0\0\x01\0\x01");
        // log.example CNAME a.example, the suffix by pointer to offset 16
        bytes.extend(b"\xc0\x0c\0\x05\0\x01\0\0\0\x3c\0\x04\x01a\xc0\x10");
        // a.example (at offset 41) A 192.0.2.7
        bytes.extend(b"\xc0\x29\0\x01\0\x01\0\0\0\x3c\0\x04\xc0\0\x02\x07");
        bytes
    }

    #[test]
    fn an_alias_is_followed() {
        let found = reply(&answer([0x81, 0x80]), 0x1234, "LOG.example.", TYPE::A);
        let address = IpAddr::from([192, 0, 2, 7]);
        assert_eq!(found, Some(Reply::Addresses(vec![address])));
    }

    #[test]
    fn response_codes_are_told_apart() {
        let code = |low| reply(&answer([0x81, low]), 0x1234, "log.example", TYPE::A);
        assert_eq!(code(0x83), Some(Reply::Unknown));
        assert_eq!(code(0x82), Some(Reply::Failed("SERVFAIL".into())));
        assert_eq!(code(0x85), Some(Reply::Failed("REFUSED".into())));
        let truncated = reply(&answer([0x83, 0x80]), 0x1234, "log.example", TYPE::A);
        assert_eq!(truncated, Some(Reply::Truncated));
    }

    #[test]
    fn only_the_answer_to_our_question_counts() {
        let good = answer([0x81, 0x80]);
        assert_eq!(reply(&good, 0x1235, "log.example", TYPE::A), None);
        assert_eq!(reply(&good, 0x1234, "lag.example", TYPE::A), None);
        assert_eq!(reply(&good, 0x1234, "log.example", TYPE::AAAA), None);
        // A question is no answer.
        let question = question(0x1234, "log.example", TYPE::A).unwrap();
        assert_eq!(reply(&question, 0x1234, "log.example", TYPE::A), None);
    }

    #[test]
    fn broken_answers_are_none() {
        let good = answer([0x81, 0x80]);
        for length in 0..good.len() {
            assert_eq!(reply(&good[..length], 0x1234, "log.example", TYPE::A), None);
        }
        // A name that points at itself.
        let mut circle = good.clone();
        circle[45] = 0xc0;
        circle[46] = 45;
        assert_eq!(reply(&circle, 0x1234, "log.example", TYPE::A), None);
        for at in 0..good.len() {
            for value in 0..=255 {
                let mut bad = good.clone();
                bad[at] = value;
                let _ = reply(&bad, 0x1234, "log.example", TYPE::A);
            }
        }
    }

    #[test]
    fn names_beyond_the_limits_are_refused() {
        let label = "a".repeat(64);
        assert!(question(1, &label, TYPE::A).is_err());
        let name = ["a".repeat(60).as_str(); 5].join(".");
        assert!(question(1, &name, TYPE::A).is_err());
    }
}
