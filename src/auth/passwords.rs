//! Basic and Digest, which authenticate each request separately.
//!
//! They do not seal bodies, so bodies are only as safe as the TLS around them. Every
//! comparison costs the same time whether the account exists or not.

use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use std::time::SystemTime;

use super::basic::{self, Claim};
use super::digest::{self, Algorithm, Answer, Ha1};
use super::nonces::Nonces;
use super::{Identity, Method, Step};
use crate::protocol::ntlm::Name;

/// Maximum number of characters of a claimed name in a log message.
const MAX_NAME: usize = 128;

/// Looks up accounts; implemented by the accounts file.
pub trait Credentials {
    /// Checks a password. The outer `None` means that there is no such account, the inner
    /// one that the password is wrong. Must take the same time in both cases.
    fn check(&self, name: &str, password: &str) -> Option<Option<Name>>;

    /// The Digest hashes of `[DOMAIN\]USER`; `None` if the account has none.
    fn ha1(&self, name: &str) -> Option<(Name, &Ha1)>;
}

/// Which of these methods are offered, and how.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Offer {
    /// The protection space shown to clients; part of each Digest hash, so changing it
    /// invalidates the hashes.
    pub realm: String,
    /// Whether Basic is offered.
    pub basic: bool,
    /// Digest algorithms, best first; empty turns Digest off.
    pub digest: Vec<Algorithm>,
    /// Offer them on connections without TLS, too.
    pub without_tls: bool,
}

/// The parts of a request that these methods look at.
#[derive(Clone, Copy)]
pub struct Presented<'a> {
    /// Value of the `Authorization` header.
    pub authorization: &'a str,
    /// The HTTP method, which enters the Digest proof.
    pub method: &'a str,
    /// The request target as sent.
    pub target: &'a str,
    /// The body; `auth-int` covers it.
    pub body: &'a [u8],
    /// Whether the connection is protected by TLS.
    pub is_secure: bool,
}

/// Basic and Digest for a set of accounts; a clone shares its nonces.
#[derive(Clone)]
pub struct Passwords {
    offer: Offer,
    accounts: Rc<dyn Credentials>,
    nonces: Rc<RefCell<Nonces>>,
}

impl Passwords {
    /// With no nonces issued yet.
    #[must_use]
    pub fn new(offer: Offer, accounts: Rc<dyn Credentials>) -> Self {
        let nonces = Rc::default();
        Self {
            offer,
            accounts,
            nonces,
        }
    }

    /// Values of `WWW-Authenticate`, one header line each; none without TLS unless allowed
    /// there.
    pub fn offers(
        &self,
        is_secure: bool,
        wall: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Vec<String> {
        if !is_secure && !self.offer.without_tls {
            return Vec::new();
        }
        let Offer { realm, digest, .. } = &self.offer;
        let basic = self.offer.basic.then(|| basic::challenge(realm));
        let digest = digest
            .iter()
            .map(|algorithm| self.challenge(*algorithm, false, wall, random));
        basic.into_iter().chain(digest).collect()
    }

    fn challenge(
        &self,
        algorithm: Algorithm,
        stale: bool,
        wall: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> String {
        let nonce = self.nonces.borrow_mut().issue(wall, random);
        digest::challenge(&self.offer.realm, algorithm, &nonce, stale)
    }

    /// Judges a request. `None` if its `Authorization` header uses another scheme.
    pub fn handle(
        &self,
        request: &Presented<'_>,
        wall: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Option<Step> {
        let text = request.authorization.trim();
        let (word, text) = text.split_once([' ', '\t']).unwrap_or((text, ""));
        let step = if word.eq_ignore_ascii_case("Basic") {
            self.admit(Method::Basic, self.offer.basic, request)
                .and_then(|()| self.basic(text))
        } else if word.eq_ignore_ascii_case("Digest") {
            self.admit(Method::Digest, !self.offer.digest.is_empty(), request)
                .and_then(|()| self.digest(text, request, wall, random))
        } else {
            return None;
        };
        Some(step.unwrap_or_else(|error| Step::Deny(super::Error::Password(error))))
    }

    fn admit(&self, method: Method, on: bool, request: &Presented<'_>) -> Result<(), Error> {
        if !on {
            Err(Error::Off(method))
        } else if request.is_secure || self.offer.without_tls {
            Ok(())
        } else {
            Err(Error::WithoutTls(method))
        }
    }

    fn basic(&self, text: &str) -> Result<Step, Error> {
        let method = Method::Basic;
        let claim = Claim::parse(text).map_err(|why| Error::Malformed(method, why))?;
        match self.accounts.check(&claim.name, &claim.password) {
            Some(Some(account)) => Ok(accept(account, method, claim.name)),
            Some(None) => Err(Error::WrongPassword(method, cut(&claim.name))),
            None => Err(Error::UnknownAccount(method, cut(&claim.name))),
        }
    }

    fn digest(
        &self,
        text: &str,
        request: &Presented<'_>,
        wall: SystemTime,
        random: &mut dyn FnMut(&mut [u8]),
    ) -> Result<Step, Error> {
        let method = Method::Digest;
        let malformed = |why| Error::Malformed(method, why);
        let answer = Answer::parse(text).map_err(malformed)?;
        if answer.realm != self.offer.realm {
            return Err(malformed("the realm is not the one that was offered"));
        }
        if answer.uri != request.target {
            return Err(malformed("the uri is not that of the request"));
        }
        if !self.offer.digest.contains(&answer.algorithm) {
            return Err(malformed("an algorithm that was not offered"));
        }
        let account = self.accounts.ha1(&answer.username);
        let known = account.and_then(|(name, ha1)| Some((name, ha1.get(answer.algorithm)?)));
        let ha1 = known.as_ref().map(|(_, ha1)| *ha1);
        let is_proved = answer.is_proved(ha1, request.method, request.body);
        let name = cut(&answer.username);
        let account = match known {
            Some((account, _)) if is_proved => account,
            Some(_) => return Err(Error::WrongPassword(method, name)),
            None => return Err(Error::UnknownAccount(method, name)),
        };
        // Check the nonce last: only clients that know the password learn that it is stale.
        let (nonce, count) = (&answer.nonce, answer.count());
        if !self.nonces.borrow_mut().take(nonce, count, wall) {
            let challenge = self.challenge(answer.algorithm, true, wall, random);
            return Ok(Step::Challenge(challenge));
        }
        Ok(accept(account, method, answer.username))
    }
}

impl fmt::Debug for Passwords {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Passwords").field(&self.offer).finish()
    }
}

fn accept(account: Name, method: Method, claimed: String) -> Step {
    Step::Accept {
        identity: Identity::account(account, method, claimed),
        context: None,
        token: None,
        unsealed: true,
    }
}

fn cut(name: &str) -> String {
    name.chars().take(MAX_NAME).collect()
}

/// Why a request was rejected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The method is not turned on.
    Off(Method),
    /// The method is on, but only inside TLS, and this connection has none.
    WithoutTls(Method),
    /// The header is malformed; how.
    Malformed(Method, &'static str),
    /// There is no account of that name.
    UnknownAccount(Method, String),
    /// The account exists, but the password is wrong.
    WrongPassword(Method, String),
}

impl Error {
    /// The method that the client tried.
    #[must_use]
    pub const fn method(&self) -> Method {
        match self {
            Self::Off(method)
            | Self::WithoutTls(method)
            | Self::Malformed(method, _)
            | Self::UnknownAccount(method, _)
            | Self::WrongPassword(method, _) => *method,
        }
    }

    /// What the administrator can do about it.
    pub(super) fn remedy(&self) -> String {
        match self {
            Self::Off(Method::Digest) => {
                "let the host use Negotiate, or use --digest with a line of \"wecrelay passwd \
                 --digest\""
                    .to_owned()
            }
            Self::Off(_) => "let the host use Negotiate, or use --basic".to_owned(),
            Self::WithoutTls(method) => {
                let shown = match method {
                    Method::Basic => "change that password, which was sent in clear text; ",
                    _ => "",
                };
                format!("{shown}let the host use https, or use --allow-password-without-tls")
            }
            Self::Malformed(..) => {
                "check the client, or a proxy in front of this collector".to_owned()
            }
            Self::UnknownAccount(Method::Digest, name) => format!(
                "add a line for exactly {name} and its algorithm to the file of --users with \
                 `wecrelay passwd --digest`"
            ),
            Self::UnknownAccount(_, name) => format!("add {name} to the file of --users"),
            Self::WrongPassword(Method::Digest, name) => format!(
                "renew the line of {name} in the file of --users with `wecrelay passwd --digest`; \
                 letter case counts in the name"
            ),
            Self::WrongPassword(_, name) => {
                format!("renew the line of {name} in the file of --users with `wecrelay passwd`")
            }
        }
    }

    /// What the client may learn; the same text for unknown accounts and wrong passwords.
    pub(super) const fn for_source(&self) -> &'static str {
        match self {
            Self::Off(_) => "authentication scheme not supported",
            Self::WithoutTls(_) => "authentication scheme not supported without TLS",
            Self::Malformed(..) => "authentication header malformed",
            Self::UnknownAccount(..) | Self::WrongPassword(..) => "authentication failed",
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off(method) => write!(f, "{} is not turned on", method.as_str()),
            Self::WithoutTls(method) => write!(f, "{} without TLS", method.as_str()),
            Self::Malformed(method, why) => write!(f, "{}: {why}", method.as_str()),
            Self::UnknownAccount(method, name) => {
                write!(f, "{}: unknown account ({name})", method.as_str())
            }
            Self::WrongPassword(method, name) => {
                write!(f, "{}: wrong password ({name})", method.as_str())
            }
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests;
