use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::*;
use crate::auth::digest::Quality;
use crate::auth::nonces::LIFETIME;

const BODY: &[u8] = b"events";

/// `ACME\host` with both hashes, `old` with MD5 only.
struct Two {
    host: Ha1,
    old: Ha1,
}

impl Credentials for Two {
    fn check(&self, name: &str, password: &str) -> Option<Option<Name>> {
        let known = name.eq_ignore_ascii_case(r"ACME\host");
        known.then(|| (password == "secret").then(host))
    }

    fn ha1(&self, name: &str) -> Option<(Name, &Ha1)> {
        let old = Name {
            domain: None,
            user: "old".to_owned(),
        };
        match name {
            r"ACME\host" => Some((host(), &self.host)),
            "old" => Some((old, &self.old)),
            _ => None,
        }
    }
}

fn host() -> Name {
    Name {
        domain: Some("ACME".to_owned()),
        user: "host".to_owned(),
    }
}

/// A client in memory, and what it talks to.
struct Site {
    passwords: Passwords,
    is_secure: bool,
    wall: SystemTime,
    count: u8,
}

impl Site {
    fn new(change: impl FnOnce(&mut Offer)) -> Self {
        let mut offer = Offer {
            realm: "here".to_owned(),
            basic: true,
            digest: Algorithm::ALL.to_vec(),
            without_tls: false,
        };
        change(&mut offer);
        let mut old = Ha1::default();
        let md5 = Ha1::from_password("old", "here", "secret");
        assert!(old.add(&format!("MD5={}", md5.get(Algorithm::Md5).unwrap())));
        let host = Ha1::from_password(r"ACME\host", "here", "secret");
        Self {
            passwords: Passwords::new(offer, Rc::new(Two { host, old })),
            is_secure: true,
            wall: SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000),
            count: 0,
        }
    }

    fn offers(&mut self) -> Vec<String> {
        let Self {
            passwords,
            is_secure,
            wall,
            count,
        } = self;
        passwords.offers(*is_secure, *wall, &mut |bytes| {
            *count += 1;
            bytes.fill(*count);
        })
    }

    /// A nonce as it was offered.
    fn nonce(&mut self) -> String {
        nonce_of(&self.offers().pop().unwrap())
    }

    fn handle(&mut self, authorization: &str) -> Option<Step> {
        let request = Presented {
            authorization,
            method: "POST",
            target: "/wsman",
            body: BODY,
            is_secure: self.is_secure,
        };
        self.passwords
            .handle(&request, self.wall, &mut |bytes| bytes.fill(77))
    }

    fn accept(&mut self, authorization: &str) -> Identity {
        match self.handle(authorization) {
            Some(Step::Accept {
                identity,
                context: None,
                token: None,
                unsealed: true,
            }) => identity,
            other => panic!("{other:?}"),
        }
    }

    fn deny(&mut self, authorization: &str) -> Error {
        match self.handle(authorization) {
            Some(Step::Deny(crate::auth::Error::Password(error))) => error,
            other => panic!("{other:?}"),
        }
    }

    fn stale(&mut self, authorization: &str) -> String {
        match self.handle(authorization) {
            Some(Step::Challenge(challenge)) if challenge.contains("stale=true") => challenge,
            other => panic!("{other:?}"),
        }
    }
}

fn nonce_of(challenge: &str) -> String {
    let (_, rest) = challenge.split_once("nonce=\"").unwrap();
    rest.split_once('"').unwrap().0.to_owned()
}

fn basic(name: &str, password: &str) -> String {
    format!("Basic {}", STANDARD.encode(format!("{name}:{password}")))
}

/// An answer with the right password, changed before it is proved.
fn digest(name: &str, nonce: &str, change: impl FnOnce(&mut Answer)) -> String {
    let mut answer = Answer {
        username: name.to_owned(),
        realm: "here".to_owned(),
        nonce: nonce.to_owned(),
        uri: "/wsman".to_owned(),
        response: String::new(),
        algorithm: Algorithm::Sha256,
        cnonce: "client".to_owned(),
        quality: Quality::Auth,
        nc: "00000001".to_owned(),
    };
    change(&mut answer);
    let ha1 = Ha1::from_password(name, "here", "secret");
    answer.response = answer
        .proof(ha1.get(answer.algorithm).unwrap(), "POST", BODY)
        .to_string();
    format!("Digest {}", answer.emit())
}

#[test]
fn basic_lets_in_with_the_right_password_only() {
    let mut site = Site::new(|_| ());
    let identity = site.accept(&basic(r"ACME\host", "secret"));
    assert_eq!(
        (identity.name.as_str(), identity.method),
        (r"ACME\host", Method::Basic)
    );
    let name = || r"ACME\host".to_owned();
    assert_eq!(
        site.deny(&basic(r"ACME\host", "Secret")),
        Error::WrongPassword(Method::Basic, name())
    );
    let unknown = site.deny(&basic("mallory", "secret"));
    assert_eq!(
        unknown,
        Error::UnknownAccount(Method::Basic, "mallory".into())
    );
    assert!(matches!(site.deny("Basic"), Error::Malformed(..)));
    assert!(matches!(site.deny("basic %"), Error::Malformed(..)));
}

#[test]
fn digest_lets_in_once_with_each_count() {
    let mut site = Site::new(|_| ());
    let nonce = site.nonce();
    let first = digest(r"ACME\host", &nonce, |_| ());
    let identity = site.accept(&first);
    assert_eq!(
        (identity.name.as_str(), identity.method),
        (r"ACME\host", Method::Digest)
    );
    site.stale(&first);
    site.accept(&digest(r"ACME\host", &nonce, |answer| {
        answer.nc = "00000002".into();
    }));
    site.accept(&digest(r"ACME\host", &nonce, |answer| {
        answer.nc = "00000003".into();
        answer.quality = Quality::AuthInt;
    }));
    let nonce = site.nonce();
    site.accept(&digest("old", &nonce, |answer| {
        answer.algorithm = Algorithm::Md5;
    }));
}

#[test]
fn an_old_nonce_is_answered_with_a_new_one_for_whoever_knows_the_password() {
    let mut site = Site::new(|_| ());
    let nonce = site.nonce();
    site.wall += LIFETIME + Duration::from_secs(1);
    let challenge = site.stale(&digest(r"ACME\host", &nonce, |_| ()));
    assert!(challenge.contains("algorithm=SHA-256"), "{challenge}");
    site.accept(&digest(r"ACME\host", &nonce_of(&challenge), |_| ()));
    let wrong = digest(r"ACME\host", &nonce, |_| ()).replace("qop=auth", "qop=auth-int");
    assert!(matches!(site.deny(&wrong), Error::WrongPassword(..)));
}

#[test]
fn digest_refuses_what_does_not_fit_the_request_or_the_offer() {
    let mut site = Site::new(|offer| offer.digest = vec![Algorithm::Sha256]);
    let nonce = site.nonce();
    let changes: [fn(&mut Answer); 3] = [
        |answer| answer.realm = "there".into(),
        |answer| answer.uri = "/other".into(),
        |answer| answer.algorithm = Algorithm::Md5,
    ];
    for change in changes {
        let error = site.deny(&digest(r"ACME\host", &nonce, change));
        assert!(matches!(error, Error::Malformed(..)), "{error}");
    }
    for name in ["mallory", "old", r"acme\host"] {
        let error = site.deny(&digest(name, &nonce, |_| ()));
        assert_eq!(error, Error::UnknownAccount(Method::Digest, name.into()));
    }
    site.accept(&digest(r"ACME\host", &nonce, |_| ()));
}

#[test]
fn only_what_is_on_is_offered_and_taken() {
    let mut site = Site::new(|_| ());
    let offers = site.offers();
    let starts: Vec<_> = offers
        .iter()
        .map(|offer| offer.split(' ').next().unwrap())
        .collect();
    assert_eq!(starts, ["Basic", "Digest", "Digest"]);
    assert!(
        offers[1].contains("SHA-256") && offers[2].contains("MD5"),
        "{offers:?}"
    );
    let mut site = Site::new(|offer| offer.basic = false);
    assert_eq!(site.offers().len(), 2);
    assert_eq!(
        site.deny(&basic(r"ACME\host", "secret")),
        Error::Off(Method::Basic)
    );
    let mut site = Site::new(|offer| offer.digest.clear());
    assert_eq!(site.offers(), ["Basic realm=\"here\", charset=\"UTF-8\""]);
    assert_eq!(site.deny("Digest x"), Error::Off(Method::Digest));
    for other in ["Negotiate AAAA", "NTLM AAAA", "", "BasicX y"] {
        assert!(site.handle(other).is_none(), "{other}");
    }
}

#[test]
fn without_tls_it_takes_a_flag() {
    let mut site = Site::new(|_| ());
    site.is_secure = false;
    assert!(site.offers().is_empty());
    let error = site.deny(&basic(r"ACME\host", "secret"));
    assert_eq!(error, Error::WithoutTls(Method::Basic));
    let told = crate::auth::Error::Password(error).reason();
    assert!(told.contains("change that password"), "{told}");
    assert_eq!(site.deny("Digest x"), Error::WithoutTls(Method::Digest));
    let mut site = Site::new(|offer| offer.without_tls = true);
    site.is_secure = false;
    assert_eq!(site.offers().len(), 3);
    site.accept(&basic(r"ACME\host", "secret"));
}

#[test]
fn the_source_learns_nothing_about_accounts() {
    let wrong = Error::WrongPassword(Method::Basic, "a".into());
    let unknown = Error::UnknownAccount(Method::Basic, "a".into());
    assert_eq!(wrong.for_source(), unknown.for_source());
    let long = cut(&"é".repeat(1000));
    assert_eq!(long.chars().count(), MAX_NAME);
}
