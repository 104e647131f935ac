use der::asn1::{Any, GeneralizedTime};

use super::*;
use crate::protocol::kerberos::keytab::Entry;
use crate::protocol::kerberos::messages::{
    ApRep, Checksum, EncApRepPart, EncApRepPartBody, EncryptedData, Flags, KrbError, Octets,
    PrincipalName, Text,
};

const SERVICE: &str = "HTTP/collector.example.test@EXAMPLE.TEST";
/// A Sunday in 2023.
const NOW: u64 = 1_700_000_000;

fn random() -> impl FnMut(&mut [u8]) {
    let mut next = 0_u8;
    move |bytes: &mut [u8]| {
        for byte in bytes {
            next = next.wrapping_mul(5).wrapping_add(17);
            *byte = next;
        }
    }
}

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn at(seconds: u64) -> GeneralizedTime {
    GeneralizedTime::from_unix_duration(Duration::from_secs(seconds)).unwrap()
}

fn name(components: &[&str]) -> PrincipalName {
    PrincipalName {
        name_type: Number(1),
        name_string: components.iter().map(|c| Text((*c).to_owned())).collect(),
    }
}

fn text(text: &str) -> Text {
    Text(text.to_owned())
}

fn key_of(enctype: Enctype, fill: u8) -> Key {
    Key::new(enctype, &vec![fill; enctype.key_len()]).unwrap()
}

fn encryption_key(key: &Key) -> EncryptionKey {
    EncryptionKey {
        keytype: Number(key.enctype().number().into()),
        keyvalue: Octets::new(key.as_bytes()),
    }
}

struct Keys(Rc<Keytab>);

impl Keytabs for Keys {
    fn current(&self) -> Rc<Keytab> {
        Rc::clone(&self.0)
    }
}

/// A keytab with one key of the service.
fn keytab(key: &Key, version: u32) -> Keytab {
    let entry = Entry {
        principal: SERVICE.to_owned(),
        name_type: 1,
        timestamp: 0,
        kvno: version,
        key: key.clone(),
    };
    Keytab {
        entries: vec![entry],
        ..Keytab::default()
    }
}

fn service(keytab: Keytab) -> Service {
    Service {
        keytabs: Rc::new(Keys(Rc::new(keytab))),
        replays: Rc::default(),
        rc4: false,
    }
}

/// A host with a ticket; tests change what they are about.
struct Host {
    ticket_key: Key,
    session_key: Key,
    framing: Framing,
    request: ApReqBody,
    ticket: EncTicketPartBody,
    authenticator: AuthenticatorBody,
}

impl Host {
    fn new(enctype: Enctype) -> Self {
        let session_key = key_of(enctype, 2);
        let nothing = |etype: Enctype, kvno| EncryptedData {
            etype: Number(etype.number().into()),
            kvno,
            cipher: Octets::new(&[]),
        };
        let mut checksum = vec![16, 0, 0, 0];
        checksum.extend([0; 16]);
        checksum.extend(0x3e_u32.to_le_bytes());
        Self {
            ticket_key: key_of(enctype, 1),
            framing: Framing::split(b"\x6e").unwrap().0,
            request: ApReqBody {
                pvno: messages::VERSION,
                msg_type: messages::TYPE_AP_REQ,
                ap_options: Flags(ap_options::MUTUAL_REQUIRED),
                ticket: messages::Application(TicketBody {
                    tkt_vno: messages::VERSION,
                    realm: text("EXAMPLE.TEST"),
                    sname: name(&["http", "COLLECTOR.example.test"]),
                    enc_part: nothing(enctype, Some(Number(3))),
                }),
                authenticator: nothing(enctype, None),
            },
            ticket: EncTicketPartBody {
                flags: Flags(0),
                key: encryption_key(&session_key),
                crealm: text("EXAMPLE.TEST"),
                cname: name(&["WIN10$"]),
                transited: Any::new(der::Tag::Sequence, Vec::new()).unwrap(),
                authtime: at(NOW - 3600),
                starttime: None,
                endtime: at(NOW + 3600),
                renew_till: None,
                caddr: None,
                authorization_data: None,
            },
            authenticator: AuthenticatorBody {
                vno: messages::VERSION,
                crealm: text("EXAMPLE.TEST"),
                cname: name(&["WIN10$"]),
                cksum: Some(Checksum {
                    cksumtype: Number(gss::CHECKSUM),
                    checksum: Octets::new(&checksum),
                }),
                cusec: Number(49),
                ctime: at(NOW),
                subkey: Some(encryption_key(&key_of(enctype, 3))),
                seq_number: Some(Number(1000)),
                authorization_data: None,
            },
            session_key,
        }
    }

    /// Another checksum: bindings and flags.
    fn wish(&mut self, bindings: [u8; 16], flags: u32) {
        let checksum = [&[16, 0, 0, 0], &bindings[..], &flags.to_le_bytes()].concat();
        let cksum = self.authenticator.cksum.as_mut().unwrap();
        cksum.checksum = Octets::new(&checksum);
    }

    fn token(&self) -> Vec<u8> {
        let mut random = random();
        let mut seal = |key: &Key, usage, plain: Vec<u8>| {
            Octets::new(&key.encrypt(usage, &plain, &mut random))
        };
        let mut request = self.request.clone();
        let part: EncTicketPart = messages::Application(self.ticket.clone());
        let part = messages::write(&part).unwrap();
        request.ticket.0.enc_part.cipher = seal(&self.ticket_key, usage::TICKET, part);
        let part: Authenticator = messages::Application(self.authenticator.clone());
        let part = messages::write(&part).unwrap();
        let usage = usage::AP_REQ_AUTHENTICATOR;
        request.authenticator.cipher = seal(&self.session_key, usage, part);
        let request: ApReq = messages::Application(request);
        self.framing
            .wrap(Kind::ApReq, &messages::write(&request).unwrap())
    }

    fn accept(&self, rules: &Rules) -> Result<Accepted, Refused> {
        let service = service(keytab(&key_of(self.ticket_key.enctype(), 1), 3));
        service.accept(&self.token(), rules, wall(), &mut random())
    }

    fn refused(&self) -> Error {
        self.accept(&HTTP).unwrap_err().error
    }
}

const HTTP: Rules = Rules {
    channel_bindings: None,
    sealing: true,
};

fn aes() -> Host {
    Host::new(Enctype::Aes256Sha1)
}

/// What an AP-REP says, with the session key.
fn read_reply(reply: &[u8], session_key: &Key) -> EncApRepPartBody {
    let reply: ApRep = messages::read(reply).unwrap();
    let cipher = &reply.0.enc_part.cipher.0;
    let plain = session_key.decrypt(usage::AP_REP_ENC_PART, cipher).unwrap();
    messages::read::<EncApRepPart>(&plain).unwrap().0
}

#[test]
fn both_ends_come_to_one_session() {
    for enctype in Enctype::ALL {
        let host = Host::new(enctype);
        let mut service = service(keytab(&host.ticket_key, 3));
        service.rc4 = true;
        let accepted = service.accept(&host.token(), &HTTP, wall(), &mut random());
        let mut accepted = accepted.unwrap();
        assert_eq!(accepted.client.to_string(), "WIN10$@EXAMPLE.TEST");
        let reply = read_reply(&accepted.reply.unwrap(), &host.session_key);
        assert_eq!(reply.ctime, host.authenticator.ctime);
        assert_eq!(reply.cusec, host.authenticator.cusec);
        let subkey = reply.subkey.unwrap();
        let key = Key::new(enctype, &subkey.keyvalue.0).unwrap();
        let theirs = u64::from(reply.seq_number.unwrap().to_u32());
        let mut session = Session::initiate(&key, true, 1000, theirs, &mut random());
        let mut data = b"<s:Envelope/>".to_vec();
        let token = session.seal(&mut data);
        let size = accepted.session.unseal(&token, &mut data).unwrap();
        assert_eq!(&data[..size], b"<s:Envelope/>");
        let mut data = b"an answer".to_vec();
        let token = accepted.session.seal(&mut data);
        let size = session.unseal(&token, &mut data).unwrap();
        assert_eq!(&data[..size], b"an answer");
    }
}

#[test]
fn the_key_of_the_session_is_new() {
    let host = aes();
    let accepted = host.accept(&HTTP).unwrap();
    let subkey = read_reply(&accepted.reply.unwrap(), &host.session_key).subkey;
    assert_ne!(subkey, host.authenticator.subkey);
    assert_ne!(subkey, Some(host.ticket.key));
}

#[test]
fn a_negative_sequence_number_is_one_of_32_bits() {
    let mut host = aes();
    host.authenticator.seq_number = Some(Number(-2));
    let mut accepted = host.accept(&HTTP).unwrap();
    let reply = read_reply(&accepted.reply.unwrap(), &host.session_key);
    let key = Key::new(Enctype::Aes256Sha1, &reply.subkey.unwrap().keyvalue.0).unwrap();
    let mut session = Session::initiate(&key, true, 0xffff_fffe, 0, &mut random());
    let mut data = b"text".to_vec();
    let token = session.seal(&mut data);
    assert_eq!(accepted.session.unseal(&token, &mut data), Ok(4));
}

#[test]
fn a_service_that_we_do_not_have_is_named_with_those_that_we_have() {
    let mut host = aes();
    host.ticket_key = key_of(Enctype::Aes256Sha1, 9);
    host.request.ticket.0.sname = name(&["HOST", "collector.example.test"]);
    let error = host.refused();
    let text = error.to_string();
    assert!(
        text.contains("HOST/collector.example.test@EXAMPLE.TEST"),
        "{text}"
    );
    assert!(text.contains(SERVICE), "{text}");
    assert!(error.remedy().unwrap().contains("setspn"));
}

#[test]
fn one_account_has_many_names_and_versions_are_often_wrong() {
    // The right key under another version, or under another name of the account.
    for version in [0, 9, 258] {
        let host = aes();
        let service = service(keytab(&host.ticket_key, version));
        let token = host.token();
        assert!(service.accept(&token, &HTTP, wall(), &mut random()).is_ok());
    }
    let mut host = aes();
    host.request.ticket.0.sname = name(&["HTTP", "other.example.test"]);
    let accepted = host.accept(&HTTP).unwrap();
    assert_eq!(accepted.hosts, ["collector.example.test"]);
    assert_eq!(accepted.service.components[1], "other.example.test");
}

#[test]
fn the_key_of_the_ticket_is_tried_first_and_no_more_than_some() {
    let host = aes();
    let ticket_key = &host.ticket_key;
    let other = |fill: u32| Entry {
        principal: format!("host/h{fill}@EXAMPLE.TEST"),
        name_type: 1,
        timestamp: 0,
        kvno: 1,
        key: key_of(Enctype::Aes256Sha1, 9),
    };
    let others = |count: usize| (0_u32..).map(other).take(count).collect::<Vec<_>>();
    let opens = |entries: Vec<Entry>| {
        let service = service(Keytab {
            entries,
            ..Keytab::default()
        });
        let token = host.token();
        service.accept(&token, &HTTP, wall(), &mut random()).is_ok()
    };
    let own = keytab(ticket_key, 3).entries;
    let alias = Entry {
        principal: "host/collector@EXAMPLE.TEST".to_owned(),
        ..own[0].clone()
    };
    let most = ticket::MOST_TRIED;
    assert!(opens([others(most), own].concat()));
    assert!(opens([others(most - 1), vec![alias.clone()]].concat()));
    assert!(!opens([others(most), vec![alias]].concat()));
}

#[test]
fn a_ticket_through_other_realms_has_to_be_checked_by_our_kdc() {
    let transited = |contents: &[u8]| {
        let encoding = TransitedEncoding {
            tr_type: Number(1),
            contents: Octets::new(contents),
        };
        Any::encode_from(&encoding).unwrap()
    };
    let mut host = aes();
    for part in [&mut host.ticket.crealm, &mut host.authenticator.crealm] {
        *part = text("OTHER.TEST");
    }
    host.ticket.transited = transited(b"");
    assert!(host.accept(&HTTP).is_ok());
    host.ticket.transited = transited(b"BETWEEN.TEST");
    let through = Error::Transited("WIN10$@OTHER.TEST".to_owned());
    assert_eq!(host.refused(), through);
    // The name of our realm in the ticket is not encrypted: anybody can write it.
    host.request.ticket.0.realm = text("OTHER.TEST");
    assert_eq!(host.refused(), through);
    host.ticket.flags = Flags(ticket_flags::TRANSITED_POLICY_CHECKED);
    assert!(host.accept(&HTTP).is_ok());
}

#[test]
fn versions_and_enctypes_that_are_not_there_are_told() {
    let mut host = aes();
    host.ticket_key = key_of(Enctype::Aes256Sha1, 9);
    host.request.ticket.0.enc_part.kvno = Some(Number(4));
    let text = host.refused().to_string();
    assert!(text.contains("(kvno) 4, the keytab has 3"), "{text}");
    let host = Host::new(Enctype::Aes128Sha1);
    let service = service(keytab(&key_of(Enctype::Aes256Sha1, 1), 3));
    let refused = service.accept(&host.token(), &HTTP, wall(), &mut random());
    assert!(matches!(refused.unwrap_err().error, Error::NoKey { .. }));
    let mut host = aes();
    host.request.ticket.0.enc_part.etype = Number(3);
    let error = host.refused();
    assert!(error.to_string().contains("des-cbc-md5"), "{error}");
    assert_eq!(Host::new(Enctype::Rc4Hmac).refused(), Error::Rc4);
}

#[test]
fn a_ticket_without_version_is_tried_with_each() {
    let mut host = aes();
    host.request.ticket.0.enc_part.kvno = None;
    assert!(host.accept(&HTTP).is_ok());
}

#[test]
fn another_key_opens_neither_ticket_nor_authenticator() {
    let mut host = aes();
    host.ticket_key = key_of(Enctype::Aes256Sha1, 9);
    assert!(matches!(host.refused(), Error::TicketKey { .. }));
    let mut host = aes();
    host.session_key = key_of(Enctype::Aes256Sha1, 9);
    assert_eq!(host.refused(), Error::AuthenticatorKey);
}

#[test]
fn times_have_five_minutes() {
    let mut host = aes();
    host.ticket.endtime = at(NOW - 301);
    assert_eq!(host.refused(), Error::Expired(301));
    host.ticket.endtime = at(NOW - 299);
    assert!(host.accept(&HTTP).is_ok());
    let mut host = aes();
    host.ticket.starttime = Some(at(NOW + 301));
    assert_eq!(host.refused(), Error::NotYetValid(301));
    for (ctime, ahead) in [(NOW - 302, -302), (NOW + 302, 302)] {
        let mut host = aes();
        host.authenticator.ctime = at(ctime);
        let Error::Skew { ahead: told, .. } = host.refused() else {
            panic!("not told");
        };
        assert_eq!(told, ahead);
    }
}

#[test]
fn a_wrong_time_is_told_to_the_host_with_ours() {
    let mut host = aes();
    host.authenticator.ctime = at(NOW - 900);
    let reply = host.accept(&HTTP).unwrap_err().reply.unwrap();
    let message = messages::read::<KrbError>(&reply).unwrap().0;
    assert_eq!((message.error_code, message.stime), (Number(37), at(NOW)));
}

#[test]
fn an_unvalidated_ticket_is_refused() {
    let mut host = aes();
    host.ticket.flags = Flags(ticket_flags::INVALID);
    assert_eq!(host.refused(), Error::TicketInvalid);
}

#[test]
fn the_authenticator_must_be_of_the_same_client() {
    let mut host = aes();
    host.authenticator.cname = name(&["OTHER$"]);
    assert!(matches!(host.refused(), Error::OtherClient { .. }));
    let mut host = aes();
    host.authenticator.crealm = text("OTHER.TEST");
    assert!(matches!(host.refused(), Error::OtherClient { .. }));
}

#[test]
fn the_same_token_does_not_come_in_again() {
    let host = aes();
    let service = service(keytab(&host.ticket_key, 3));
    let accept = || service.accept(&host.token(), &HTTP, wall(), &mut random());
    assert!(accept().is_ok());
    assert!(matches!(accept().unwrap_err().error, Error::Replay { .. }));
}

#[test]
fn a_context_must_protect_what_tls_does_not() {
    for (flags, missing) in [
        (0x3c, "mutual authentication"),
        (0x2e, "confidentiality"),
        (0x1e, "integrity"),
    ] {
        let mut host = aes();
        host.wish([0; 16], flags);
        assert_eq!(host.refused(), Error::Unprotected(missing));
        let rules = Rules::default();
        assert!(host.accept(&rules).is_ok(), "inside TLS");
    }
    let mut host = aes();
    host.request.ap_options = Flags(0);
    assert!(matches!(host.refused(), Error::Unprotected(_)));
    let accepted = host.accept(&Rules::default()).unwrap();
    assert_eq!(accepted.reply, None, "the host wants none");
}

#[test]
fn bindings_must_be_ours_if_there_are_any() {
    let rules = Rules {
        channel_bindings: Some([7; 16]),
        sealing: false,
    };
    for (bindings, good) in [([7; 16], true), ([0; 16], true), ([8; 16], false)] {
        let mut host = aes();
        host.wish(bindings, 0x3e);
        match host.accept(&rules) {
            Ok(_) => assert!(good),
            Err(refused) => assert!(!good && refused.error == Error::ChannelBindings),
        }
    }
}

#[test]
fn a_checksum_of_gss_api_must_be_there() {
    let mut host = aes();
    host.authenticator.cksum = None;
    assert_eq!(host.refused(), Error::Checksum);
    let mut host = aes();
    host.authenticator.cksum.as_mut().unwrap().cksumtype = Number(7);
    assert_eq!(host.refused(), Error::Checksum);
    let mut host = aes();
    let cut = Octets::new(&[16, 0, 0, 0, 1, 2, 3]);
    host.authenticator.cksum.as_mut().unwrap().checksum = cut;
    assert_eq!(host.refused(), Error::Checksum);
}

#[test]
fn what_no_collector_takes_is_refused() {
    let mut host = aes();
    host.wish([0; 16], 0x103e);
    assert_eq!(host.refused(), Error::DceStyle);
    let mut host = aes();
    host.request.ap_options = Flags(ap_options::USE_SESSION_KEY);
    assert_eq!(host.refused(), Error::UserToUser);
    let mut host = aes();
    host.request.msg_type = Number(12);
    assert!(matches!(host.refused(), Error::Version { .. }));
}

#[test]
fn each_cut_of_a_token_is_refused_in_peace() {
    let token = aes().token();
    let service = service(keytab(&aes().ticket_key, 3));
    for size in 0..token.len() {
        let cut = service.accept(&token[..size], &HTTP, wall(), &mut random());
        assert!(cut.is_err(), "{size} bytes");
        let mut changed = token.clone();
        changed[size] ^= 0x55;
        // What is not encrypted may change without harm: name types, its case.
        let _ = service.accept(&changed, &HTTP, wall(), &mut random());
    }
}

#[test]
fn names_cannot_look_like_other_names() {
    let mut host = aes();
    for part in [&mut host.ticket.cname, &mut host.authenticator.cname] {
        *part = name(&["WIN10$@EXAMPLE.TEST", "a\nb\\"]);
    }
    let accepted = host.accept(&HTTP).unwrap();
    assert_eq!(
        accepted.client.to_string(),
        "WIN10$\\@EXAMPLE.TEST/a\\nb\\\\@EXAMPLE.TEST"
    );
}
