//! Authorization headers of Basic and Digest: none is accepted without a password, and a
//! response with the correct one is accepted exactly once.
#![no_main]

use std::rc::Rc;
use std::time::{Duration, SystemTime};

use libfuzzer_sys::fuzz_target;
use wecrelay::auth::digest::{Answer, Quality};
use wecrelay::auth::{Algorithm, Credentials, Ha1, Offer, Passwords, Presented, Step};
use wecrelay::protocol::ntlm::Name;

const REALM: &str = "Event collector";
const PASSWORD: &str = "d41d8cd98f00b204 that no input guesses";

/// Every name is an account, with the same password.
struct Everybody(String, Ha1);

impl Credentials for Everybody {
    fn check(&self, name: &str, password: &str) -> Option<Option<Name>> {
        Some((password == PASSWORD).then(|| account(name)))
    }

    fn ha1(&self, name: &str) -> Option<(Name, &Ha1)> {
        (name == self.0).then(|| (account(name), &self.1))
    }
}

fn account(name: &str) -> Name {
    Name {
        domain: None,
        user: name.to_owned(),
    }
}

fuzz_target!(|text: &str| {
    let answer = Answer::parse(text);
    let name = answer
        .as_ref()
        .map_or("", |answer| &answer.username)
        .to_owned();
    let ha1 = Ha1::from_password(&name, REALM, PASSWORD);
    let offer = Offer {
        realm: REALM.to_owned(),
        basic: true,
        digest: Algorithm::ALL.to_vec(),
        without_tls: false,
    };
    let passwords = Passwords::new(offer, Rc::new(Everybody(name, ha1.clone())));
    for scheme in ["", "Basic ", "Digest "] {
        let step = present(&passwords, &format!("{scheme}{text}"), "/wsman");
        assert!(matches!(step, None | Some(Step::Deny(_))), "{step:?}");
    }
    let Ok(answer) = answer else { return };
    assert_eq!(Answer::parse(&answer.emit()).as_ref(), Ok(&answer));
    prove(&passwords, &ha1, answer);
});

/// The answer with the server's realm and nonce, and a valid proof.
fn prove(passwords: &Passwords, ha1: &Ha1, mut answer: Answer) {
    let offers = passwords.offers(true, wall(), &mut |bytes| bytes.fill(7));
    let (_, rest) = offers.last().unwrap().split_once("nonce=\"").unwrap();
    answer.nonce = rest.split_once('"').unwrap().0.to_owned();
    answer.realm = REALM.to_owned();
    let uri = answer.uri.clone();
    let proof = answer.proof(ha1.get(answer.algorithm).unwrap(), "POST", BODY);
    answer.response = proof.to_string();
    let header = format!("Digest {}", answer.emit());
    let counts = answer.count() > 0;
    match present(passwords, &header, &uri) {
        Some(Step::Accept {
            identity,
            context: None,
            ..
        }) => {
            assert!(counts);
            assert_eq!(identity.name, answer.username);
        }
        Some(Step::Challenge(challenge)) => assert!(!counts && challenge.contains("stale=true")),
        other => panic!("{other:?}"),
    }
    // A repeated or changed answer is never accepted.
    assert!(matches!(
        present(passwords, &header, &uri),
        Some(Step::Challenge(_))
    ));
    answer.quality = match answer.quality {
        Quality::Auth => Quality::AuthInt,
        Quality::AuthInt => Quality::Auth,
    };
    let header = format!("Digest {}", answer.emit());
    assert!(matches!(
        present(passwords, &header, &uri),
        Some(Step::Deny(_))
    ));
}

const BODY: &[u8] = b"events";

fn present(passwords: &Passwords, authorization: &str, target: &str) -> Option<Step> {
    let request = Presented {
        authorization,
        method: "POST",
        target,
        body: BODY,
        is_secure: true,
    };
    passwords.handle(&request, wall(), &mut |bytes| bytes.fill(8))
}

fn wall() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000)
}
