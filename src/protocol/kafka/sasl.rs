//! SASL as brokers implement it: PLAIN (RFC 4616) and SCRAM (RFC 5802, RFC 7677).

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Error, Login};

/// Minimum number of rounds to accept from a broker (RFC 7677 4). With fewer, the password
/// would be cheap to guess from the exchange.
const LEAST_ROUNDS: u32 = 4096;
/// Maximum number of rounds: some tenths of a second of work, so that a broker cannot block
/// the event loop.
const MOST_ROUNDS: u32 = 200_000;

/// A SASL mechanism.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// Sends the password itself; only sensible inside TLS.
    Plain,
    /// SCRAM with SHA-256.
    ScramSha256,
    /// SCRAM with SHA-512.
    ScramSha512,
}

impl Mechanism {
    /// All mechanisms, by their names in an output URL.
    pub const NAMES: [(&'static str, Self); 3] = [
        ("plain", Self::Plain),
        ("scram-sha-256", Self::ScramSha256),
        ("scram-sha-512", Self::ScramSha512),
    ];

    /// The name in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

#[derive(Debug)]
enum State {
    /// Our first message has not been produced yet.
    First,
    /// Waiting for salt and rounds from the broker.
    Salt {
        /// Our first message without its GS2 header.
        first: String,
    },
    /// Waiting for the broker's proof that it knows the password.
    Proof {
        signature: Vec<u8>,
    },
    Done,
}

/// An authentication in progress.
#[derive(Debug)]
pub struct Sasl {
    mechanism: Mechanism,
    login: Login,
    nonce: String,
    state: State,
}

impl Sasl {
    /// Starts an exchange. `random` becomes the nonce and must not be reused.
    #[must_use]
    pub fn new(mechanism: Mechanism, login: Login, random: &[u8]) -> Self {
        Self {
            mechanism,
            login,
            nonce: STANDARD.encode(random),
            state: State::First,
        }
    }

    /// The client's first message.
    pub fn first(&mut self) -> Vec<u8> {
        let Login { user, password } = &self.login;
        if self.mechanism == Mechanism::Plain {
            self.state = State::Done;
            return format!("\0{user}\0{}", password.as_str()).into_bytes();
        }
        let name = user.replace('=', "=3D").replace(',', "=2C");
        let first = format!("n={name},r={}", self.nonce);
        let message = format!("n,,{first}").into_bytes();
        self.state = State::Salt { first };
        message
    }

    /// Handles a message from the broker and returns the reply; `None` if nothing remains
    /// to be sent.
    ///
    /// # Errors
    /// The message is malformed or proves nothing.
    pub fn answer(&mut self, message: &[u8]) -> Result<Option<Vec<u8>>, Error> {
        match std::mem::replace(&mut self.state, State::Done) {
            State::First | State::Done => Ok(None),
            State::Salt { first } => self.prove(&first, message).map(Some),
            State::Proof { signature } => check(message, &signature).map(|()| None),
        }
    }

    /// Whether the exchange is complete.
    #[must_use]
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    fn prove(&mut self, first: &str, message: &[u8]) -> Result<Vec<u8>, Error> {
        let text = std::str::from_utf8(message).map_err(|_| Error::Scram("not text"))?;
        let field = |name| attribute(text, name).ok_or(Error::Scram("salt or rounds are missing"));
        // Mandatory extensions change the meaning of the rest (RFC 5802 5.1).
        if attribute(text, "m=").is_some() {
            return Err(Error::Scram("the broker demands an extension"));
        }
        let nonce = field("r=")?;
        if !nonce.starts_with(&self.nonce) || nonce.len() == self.nonce.len() {
            return Err(Error::Scram("the broker's nonce does not begin with ours"));
        }
        let salt = STANDARD.decode(field("s=")?);
        let salt = salt.map_err(|_| Error::Scram("the salt is not base64"))?;
        let rounds: u32 = field("i=")?.parse().unwrap_or(0);
        if !(LEAST_ROUNDS..=MOST_ROUNDS).contains(&rounds) {
            return Err(Error::Scram(
                "rounds are fewer than 4096 or more than 200000",
            ));
        }
        let end = format!("c=biws,r={nonce}");
        let signed = format!("{first},{text},{end}");
        let password = self.login.password.as_bytes();
        let (proof, signature) = match self.mechanism {
            Mechanism::ScramSha512 => prove::<Sha512Of>(password, &salt, rounds, &signed),
            _ => prove::<Sha256Of>(password, &salt, rounds, &signed),
        };
        self.state = State::Proof { signature };
        Ok(format!("{end},p={}", STANDARD.encode(proof)).into_bytes())
    }
}

fn attribute<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split(',').find_map(|part| part.strip_prefix(name))
}

fn check(message: &[u8], signature: &[u8]) -> Result<(), Error> {
    let text = std::str::from_utf8(message).map_err(|_| Error::Scram("not text"))?;
    if attribute(text, "e=").is_some() {
        return Err(Error::Login(None));
    }
    let told = attribute(text, "v=").and_then(|value| STANDARD.decode(value).ok());
    match told {
        Some(told) if bool::from(told.ct_eq(signature)) => Ok(()),
        _ => Err(Error::Scram(
            "the broker does not prove that it knows the password",
        )),
    }
}

/// A hash function together with its HMAC.
trait Hash {
    type Mac: Mac + Clone;

    fn hash(data: &[u8]) -> Vec<u8>;
    /// HMAC with this key. HMAC accepts keys of any length, so this is never `None` in
    /// practice.
    fn keyed(key: &[u8]) -> Option<Self::Mac>;
}

struct Sha256Of;
struct Sha512Of;

impl Hash for Sha256Of {
    type Mac = Hmac<Sha256>;

    fn hash(data: &[u8]) -> Vec<u8> {
        Sha256::digest(data).to_vec()
    }

    fn keyed(key: &[u8]) -> Option<Self::Mac> {
        Hmac::new_from_slice(key).ok()
    }
}

impl Hash for Sha512Of {
    type Mac = Hmac<Sha512>;

    fn hash(data: &[u8]) -> Vec<u8> {
        Sha512::digest(data).to_vec()
    }

    fn keyed(key: &[u8]) -> Option<Self::Mac> {
        Hmac::new_from_slice(key).ok()
    }
}

fn hmac<H: Hash>(key: &[u8], text: &[u8]) -> Vec<u8> {
    mac_of(H::keyed(key), &[text])
}

fn mac_of(mac: Option<impl Mac>, parts: &[&[u8]]) -> Vec<u8> {
    let Some(mut mac) = mac else {
        return Vec::new();
    };
    parts.iter().for_each(|part| mac.update(part));
    mac.finalize().into_bytes().to_vec()
}

/// The client's proof, and the signature that the broker must send (RFC 5802 3).
fn prove<H: Hash>(password: &[u8], salt: &[u8], rounds: u32, signed: &str) -> (Vec<u8>, Vec<u8>) {
    let salted = Zeroizing::new(salted::<H>(password, salt, rounds));
    let client_key = hmac::<H>(&salted, b"Client Key");
    let stored = H::hash(&client_key);
    let mut proof = hmac::<H>(&stored, signed.as_bytes());
    xor(&mut proof, &client_key);
    let server_key = hmac::<H>(&salted, b"Server Key");
    (proof, hmac::<H>(&server_key, signed.as_bytes()))
}

/// `Hi` of RFC 5802 2.2: PBKDF2 with one block of output.
fn salted<H: Hash>(password: &[u8], salt: &[u8], rounds: u32) -> Vec<u8> {
    // The keyed state is the same in all rounds, so it is computed once; that halves the
    // work.
    let keyed = H::keyed(password);
    let mut last = mac_of(keyed.clone(), &[salt, &[0, 0, 0, 1]]);
    let mut all = last.clone();
    for _ in 1..rounds {
        last = mac_of(keyed.clone(), &[&last]);
        xor(&mut all, &last);
    }
    all
}

fn xor(into: &mut [u8], other: &[u8]) {
    for (a, b) in into.iter_mut().zip(other) {
        *a ^= b;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn login(user: &str, password: &str) -> Login {
        Login {
            user: user.to_owned(),
            password: Zeroizing::new(password.to_owned()),
        }
    }

    /// The exchange of RFC 7677 3.
    #[test]
    fn scram_sha_256_is_that_of_the_rfc() {
        let mut sasl = Sasl::new(Mechanism::ScramSha256, login("user", "pencil"), b"");
        sasl.nonce = "rOprNGfwEbeRWgbNEkqO".into();
        assert_eq!(sasl.first(), b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO");
        let salt = b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
                     s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096";
        let proof = sasl.answer(salt).unwrap().unwrap();
        assert_eq!(
            String::from_utf8(proof).unwrap(),
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="
        );
        let end = b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=";
        assert_eq!(sasl.answer(end).unwrap(), None);
        assert!(sasl.is_done());
    }

    #[test]
    fn a_broker_that_proves_nothing_is_refused() {
        let begin = || {
            let mut sasl = Sasl::new(Mechanism::ScramSha512, login("a,b=c", "p"), b"random");
            let first = String::from_utf8(sasl.first()).unwrap();
            assert!(first.starts_with("n,,n=a=2Cb=3Dc,r="), "{first}");
            sasl
        };
        let nonce = STANDARD.encode(b"random");
        for bad in [
            "r=other,s=AAAA,i=4096".to_owned(),
            format!("r={nonce},s=AAAA,i=4096"),
            format!("r={nonce}x,s=AAAA,i=1"),
            format!("m=ext,r={nonce}x,s=AAAA,i=4096"),
            format!("r={nonce}x,s=AAAA,i=4000000000"),
            format!("r={nonce}x,s=!,i=4096"),
            format!("r={nonce}x,i=4096"),
            String::new(),
        ] {
            assert!(begin().answer(bad.as_bytes()).is_err(), "{bad}");
        }
        for bad in ["v=AAAA", "e=invalid-proof", ""] {
            let mut sasl = begin();
            let salt = format!("r={nonce}x,s=AAAA,i=4096");
            sasl.answer(salt.as_bytes()).unwrap();
            assert!(sasl.answer(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn plain_sends_both() {
        let mut sasl = Sasl::new(Mechanism::Plain, login("me", "secret"), b"");
        assert_eq!(sasl.first(), b"\0me\0secret");
        assert!(sasl.is_done());
        assert!(!format!("{sasl:?}").contains("secret"));
    }
}
