//! Kerberos tokens: raw ones, and AP-REQs whose encrypted parts are the input, encrypted with
//! known keys. A token is accepted only once, and the result is the same inside SPNEGO.
#![no_main]

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use wecrelay::auth;
use wecrelay::protocol::kerberos::crypto::{Enctype, Key, usage};
use wecrelay::protocol::kerberos::keytab::{Entry, Keytab};
use wecrelay::protocol::kerberos::messages::{
    self, ApRep, ApReq, ApReqBody, Application, EncApRepPart, EncryptedData, Flags, Number, Octets,
    PrincipalName, Text, TicketBody, ap_options,
};
use wecrelay::protocol::kerberos::{Error, Keytabs, Rules, Service};
use wecrelay::protocol::ntlm::{Accounts, Server};
use wecrelay::protocol::spnego::{Mechanism, NegTokenInit, Token};

const ENCTYPE: Enctype = Enctype::Aes128Sha1;
/// The time for which the seeds were created.
const NOW: u64 = 1_700_000_000;
const RULES: Rules = Rules {
    channel_bindings: None,
    sealing: true,
};

fuzz_target!(|data: &[u8]| {
    // `P`, the size of the ticket's part, that part, the authenticator.
    let Some((&[b'P', high, low], parts)) = data.split_first_chunk() else {
        let _ = service().accept(data, &RULES, wall(), &mut random);
        let _ = Token::parse(data);
        return;
    };
    let size = usize::from(u16::from_be_bytes([high, low]));
    let Some((ticket, authenticator)) = parts.split_at_checked(size) else {
        return;
    };
    let token = request(ticket, authenticator);
    let service = service();
    let accepted = service.accept(&token, &RULES, wall(), &mut random);
    assert_eq!(accepted.is_ok(), is_let_in(&token), "within SPNEGO");
    let Ok(accepted) = accepted else { return };
    assert!(!accepted.client.components.is_empty());
    let reply: ApRep = messages::read(&accepted.reply.unwrap()).unwrap();
    let cipher = &reply.0.enc_part.cipher.0;
    let plain = key(2).decrypt(usage::AP_REP_ENC_PART, cipher).unwrap();
    messages::read::<EncApRepPart>(&plain).unwrap();
    let again = service.accept(&token, &RULES, wall(), &mut random);
    assert!(matches!(again.unwrap_err().error, Error::Replay { .. }));
});

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(NOW)
}

fn random(bytes: &mut [u8]) {
    bytes.fill(9);
}

fn key(fill: u8) -> Key {
    Key::new(ENCTYPE, &[fill; 16]).unwrap()
}

/// An AP-REQ with these parts, the second encrypted with the session key of all seeds.
fn request(ticket: &[u8], authenticator: &[u8]) -> Vec<u8> {
    let seal = |key: Key, usage, plain| EncryptedData {
        etype: Number(ENCTYPE.number().into()),
        kvno: None,
        cipher: Octets::new(&key.encrypt(usage, plain, &mut random)),
    };
    let text = |text: &str| Text(text.to_owned());
    let request: ApReq = Application(ApReqBody {
        pvno: messages::VERSION,
        msg_type: messages::TYPE_AP_REQ,
        ap_options: Flags(ap_options::MUTUAL_REQUIRED),
        ticket: Application(TicketBody {
            tkt_vno: messages::VERSION,
            realm: text("EXAMPLE.TEST"),
            sname: PrincipalName {
                name_type: Number(2),
                name_string: vec![text("HTTP"), text("collector.example.test")],
            },
            enc_part: seal(key(1), usage::TICKET, ticket),
        }),
        authenticator: seal(key(2), usage::AP_REQ_AUTHENTICATOR, authenticator),
    });
    messages::write(&request).unwrap()
}

struct Fixed(Rc<Keytab>);

impl Keytabs for Fixed {
    fn current(&self) -> Rc<Keytab> {
        Rc::clone(&self.0)
    }
}

fn service() -> Service {
    let entry = Entry {
        principal: "HTTP/collector.example.test@EXAMPLE.TEST".into(),
        name_type: 2,
        timestamp: 0,
        kvno: 1,
        key: key(1),
    };
    let keytab = Keytab {
        entries: vec![entry],
        ..Keytab::default()
    };
    Service {
        keytabs: Rc::new(Fixed(Rc::new(keytab))),
        replays: Rc::default(),
        rc4: true,
    }
}

struct Nobody;

impl Accounts for Nobody {
    fn find(&self, _user: &str, _domain: &str) -> Option<wecrelay::protocol::ntlm::Known> {
        None
    }
}

/// Whether the HTTP exchange accepts the token inside SPNEGO.
fn is_let_in(token: &[u8]) -> bool {
    let policy = auth::Policy {
        anonymous: Vec::new(),
        accounts: Rc::new(Nobody),
        has_accounts: false,
        ntlmv1: false,
        domain: false,
        server: Server::from_hostname("collector.example.test"),
        passwords: None,
        kerberos: Some(service()),
        bindings: auth::Bindings::Require,
        names: Vec::new(),
    };
    let offer = vec![Mechanism::KerberosMicrosoft, Mechanism::Ntlm];
    let offer = NegTokenInit::new(offer, token).emit();
    let header = format!("Negotiate {}", base64(&offer));
    let peer = std::net::Ipv4Addr::LOCALHOST.into();
    let mut acceptor = auth::Acceptor::new();
    let step = acceptor.handle(&header, peer, &policy, wall(), &mut random);
    matches!(step, auth::Step::Accept { .. })
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let bits = byte(0) << 16 | byte(1) << 8 | byte(2);
        for digit in 0..=chunk.len() {
            let at = usize::try_from(bits >> (18 - 6 * digit) & 63).unwrap();
            text.push(char::from(DIGITS[at]));
        }
    }
    text
}
