//! Digest access authentication: parsing and verifying the client's answer (RFC 7616).
//!
//! `auth` and `auth-int` are supported; `-sess` variants and `userhash` are not. Nonces are
//! in `super::nonces`, the decision in `super::passwords`.

use std::fmt::{self, Write};

use md5::Md5;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

/// Maximum number of parameters in one header; RFC 7616 3.4 defines twelve.
const MAX_PARAMETERS: usize = 32;

/// A hash algorithm of Digest, without the `-sess` variants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Algorithm {
    /// SHA-256, preferred (RFC 7616 3.2).
    Sha256,
    /// MD5, the only one that RFC 2617 clients know.
    Md5,
}

impl Algorithm {
    /// All algorithms in the order in which they are offered: clients use the first one
    /// that they know (RFC 7616 3.7).
    pub const ALL: [Self; 2] = [Self::Sha256, Self::Md5];

    /// The name in headers and in the accounts file.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sha256 => "SHA-256",
            Self::Md5 => "MD5",
        }
    }

    /// Parses a name, ignoring case.
    fn from_name(name: &str) -> Option<Self> {
        let named = |algorithm: &Self| name.eq_ignore_ascii_case(algorithm.as_str());
        Self::ALL.into_iter().find(named)
    }

    /// Length of a hash in hexadecimal digits.
    const fn digits(self) -> usize {
        match self {
            Self::Sha256 => 64,
            Self::Md5 => 32,
        }
    }

    /// Hash of the parts joined by colons, in lower-case hexadecimal.
    fn hash(self, parts: &[&[u8]]) -> Zeroizing<String> {
        match self {
            Self::Sha256 => hash::<Sha256>(parts),
            Self::Md5 => hash::<Md5>(parts),
        }
    }
}

fn hash<H: Digest>(parts: &[&[u8]]) -> Zeroizing<String> {
    let mut hash = H::new();
    for (index, part) in parts.iter().enumerate() {
        if index > 0 {
            hash.update(b":");
        }
        hash.update(part);
    }
    let hash = hash.finalize();
    let mut hex = Zeroizing::new(String::with_capacity(2 * hash.len()));
    for byte in &hash {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
    }
    hex
}

/// What an accounts file stores instead of a password: H(name:realm:password) for each
/// algorithm (RFC 7616 3.4.2). Within its realm it is equivalent to the password, so it is
/// wiped and never logged.
///
/// ```
/// use wecrelay::auth::{Algorithm, Ha1};
/// let ha1 = Ha1::from_password("Mufasa", "http-auth@example.org", "Circle of Life");
/// assert_eq!(ha1.get(Algorithm::Md5), Some("3d78807defe7de2157e2b0b6573a855f"));
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Ha1 {
    sha256: Option<Zeroizing<String>>,
    md5: Option<Zeroizing<String>>,
}

impl Ha1 {
    /// Hashes a password with every algorithm, for a new line of the accounts file.
    #[must_use]
    pub fn from_password(name: &str, realm: &str, password: &str) -> Self {
        let parts = [name.as_bytes(), realm.as_bytes(), password.as_bytes()];
        Self {
            sha256: Some(Algorithm::Sha256.hash(&parts)),
            md5: Some(Algorithm::Md5.hash(&parts)),
        }
    }

    /// Adds one hash in the form `ALGORITHM=HEX`. Returns false if it is malformed or if
    /// that algorithm already has one.
    pub fn add(&mut self, text: &str) -> bool {
        let Some((name, digits)) = text.split_once('=') else {
            return false;
        };
        let Some(algorithm) = Algorithm::from_name(name) else {
            return false;
        };
        let hex = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        let slot = match algorithm {
            Algorithm::Sha256 => &mut self.sha256,
            Algorithm::Md5 => &mut self.md5,
        };
        if slot.is_some() || !hex || digits.len() != algorithm.digits() {
            return false;
        }
        *slot = Some(Zeroizing::new(digits.to_ascii_lowercase()));
        true
    }

    /// The hash for one algorithm in lower-case hexadecimal; `None` if the account's line
    /// has none.
    #[must_use]
    pub fn get(&self, algorithm: Algorithm) -> Option<&str> {
        let hash = match algorithm {
            Algorithm::Sha256 => &self.sha256,
            Algorithm::Md5 => &self.md5,
        };
        hash.as_ref().map(|hash| hash.as_str())
    }

    /// Whether this is the password. The time depends only on the lengths, not on where the
    /// hashes differ.
    #[must_use]
    pub fn is_of(&self, name: &str, realm: &str, password: &str) -> bool {
        let other = Self::from_password(name, realm, password);
        let known = Algorithm::ALL
            .into_iter()
            .find_map(|algorithm| Some((self.get(algorithm)?, other.get(algorithm)?)));
        known.is_some_and(|(ours, theirs)| equal(ours, theirs))
    }
}

impl fmt::Debug for Ha1 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Ha1(redacted)")
    }
}

/// Compares in constant time (for equal lengths).
pub(super) fn equal(a: &str, b: &str) -> bool {
    a.as_bytes().ct_eq(b.as_bytes()).into()
}

/// What an answer protects besides method and URI (`qop`, RFC 7616 3.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quality {
    /// `auth`: nothing else.
    Auth,
    /// `auth-int`: the body as well.
    AuthInt,
}

impl Quality {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Auth => "auth",
            Self::AuthInt => "auth-int",
        }
    }
}

/// The parameters of `Authorization: Digest` (RFC 7616 3.4), parsed but not verified.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The claimed account, `[DOMAIN\]USER`.
    pub username: String,
    /// The realm of the challenge that it answers; compared with the configured one.
    pub realm: String,
    /// The nonce of that challenge, unverified.
    pub nonce: String,
    /// The request target; must equal the one in the request line.
    pub uri: String,
    /// The proof, in hexadecimal.
    pub response: String,
    /// The algorithm that made the proof.
    pub algorithm: Algorithm,
    /// The client's own nonce, which enters the proof.
    pub cnonce: String,
    /// What the proof protects.
    pub quality: Quality,
    /// Eight hexadecimal digits: the number of requests made with this nonce.
    pub nc: String,
}

impl Answer {
    /// Parses what follows the word `Digest`.
    ///
    /// # Errors
    /// What is wrong or missing, in words that complete a log message.
    pub fn parse(text: &str) -> Result<Self, &'static str> {
        let mut parameters = Parameters::parse(text)?;
        if parameters
            .take("userhash")
            .is_some_and(|value| value.eq_ignore_ascii_case("true"))
        {
            return Err("userhash, which was not offered");
        }
        let extended = parameters.take("username*");
        let username = match (parameters.take("username"), extended) {
            (Some(name), None) => name,
            (None, Some(value)) => extended_value(&value).ok_or("username* is not UTF-8''NAME")?,
            (None, None) => return Err("no username"),
            (Some(_), Some(_)) => return Err("username and username*"),
        };
        let algorithm = match parameters.take("algorithm") {
            None => Algorithm::Md5,
            Some(name) => Algorithm::from_name(&name).ok_or("an algorithm that was not offered")?,
        };
        let quality = match parameters.take("qop").ok_or("no qop")?.as_str() {
            "auth" => Quality::Auth,
            "auth-int" => Quality::AuthInt,
            _ => return Err("a qop that was not offered"),
        };
        let nc = parameters.take("nc").ok_or("no nc")?;
        if nc.len() != 8 || !nc.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err("nc is not eight hexadecimal digits");
        }
        Ok(Self {
            username,
            realm: parameters.take("realm").ok_or("no realm")?,
            nonce: parameters.take("nonce").ok_or("no nonce")?,
            uri: parameters.take("uri").ok_or("no uri")?,
            response: parameters.take("response").ok_or("no response")?,
            algorithm,
            cnonce: parameters.take("cnonce").ok_or("no cnonce")?,
            quality,
            nc,
        })
    }

    /// Writes the header again, for clients; the inverse of [`Self::parse`].
    #[must_use]
    pub fn emit(&self) -> String {
        let [username, realm, nonce, uri, response, cnonce] = [
            &self.username,
            &self.realm,
            &self.nonce,
            &self.uri,
            &self.response,
            &self.cnonce,
        ]
        .map(|value| quoted(value));
        let (algorithm, qop, nc) = (self.algorithm.as_str(), self.quality.as_str(), &self.nc);
        format!(
            "username={username}, realm={realm}, nonce={nonce}, uri={uri}, response={response}, \
             algorithm={algorithm}, cnonce={cnonce}, qop={qop}, nc={nc}"
        )
    }

    /// The request count as a number. Text that is not hexadecimal counts as 0, which no
    /// nonce accepts.
    #[must_use]
    pub fn count(&self) -> u32 {
        u32::from_str_radix(&self.nc, 16).unwrap_or(0)
    }

    /// The expected [`Self::response`] (RFC 7616 3.4.1) for an account's `ha1`.
    #[must_use]
    pub fn proof(&self, ha1: &str, method: &str, body: &[u8]) -> Zeroizing<String> {
        let algorithm = self.algorithm;
        let ha2 = match self.quality {
            Quality::Auth => algorithm.hash(&[method.as_bytes(), self.uri.as_bytes()]),
            Quality::AuthInt => {
                let body = algorithm.hash(&[body]);
                algorithm.hash(&[method.as_bytes(), self.uri.as_bytes(), body.as_bytes()])
            }
        };
        let text = [
            ha1,
            &self.nonce,
            &self.nc,
            &self.cnonce,
            self.quality.as_str(),
            &ha2,
        ];
        algorithm.hash(&text.map(str::as_bytes))
    }

    /// Whether the response is correct. An unknown account (`None`) costs the same time, so
    /// that timing does not reveal which accounts exist.
    #[must_use]
    pub fn is_proved(&self, ha1: Option<&str>, method: &str, body: &[u8]) -> bool {
        let proof = self.proof(ha1.unwrap_or_default(), method, body);
        equal(&self.response.to_ascii_lowercase(), &proof) && ha1.is_some()
    }
}

/// A value of `WWW-Authenticate`. It offers both qualities, `auth` first because every
/// client supports it.
/// `stale` tells the client to retry with the new nonce without asking its user (RFC 7616
/// 3.3).
pub(super) fn challenge(realm: &str, algorithm: Algorithm, nonce: &str, stale: bool) -> String {
    let (realm, algorithm) = (quoted(realm), algorithm.as_str());
    let stale = if stale { ", stale=true" } else { "" };
    format!(
        "Digest realm={realm}, qop=\"auth, auth-int\", algorithm={algorithm}, nonce=\"{nonce}\", \
         charset=UTF-8{stale}"
    )
}

/// Formats a quoted-string (RFC 9110 5.6.4).
pub(super) fn quoted(value: &str) -> String {
    let mut out = String::with_capacity(value.len() + 2);
    out.push('"');
    for c in value.chars() {
        if matches!(c, '"' | '\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out.push('"');
    out
}

/// Decodes `username*`: `UTF-8'language'%41bc` (RFC 8187 3.2). `None` also for control
/// characters, which would reach the log.
fn extended_value(text: &str) -> Option<String> {
    let (charset, rest) = text.split_once('\'')?;
    let (_, coded) = rest.split_once('\'')?;
    if !charset.eq_ignore_ascii_case("UTF-8") {
        return None;
    }
    let mut bytes = Vec::with_capacity(coded.len());
    let mut pieces = coded.split('%');
    bytes.extend(pieces.next()?.bytes());
    for piece in pieces {
        let (digits, plain) = piece.split_at_checked(2)?;
        if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return None;
        }
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(plain.bytes());
    }
    let name = String::from_utf8(bytes).ok()?;
    (!name.contains(char::is_control)).then_some(name)
}

/// Comma-separated `name=value` and `name="value"` (RFC 9110 11.2), in the order of the
/// header.
struct Parameters(Vec<(String, String)>);

impl Parameters {
    fn parse(text: &str) -> Result<Self, &'static str> {
        let mut all = Self(Vec::new());
        let blank = [' ', '\t'];
        let mut rest = text.trim_matches(blank);
        while !rest.is_empty() {
            let (name, after) = rest.split_once('=').ok_or("a parameter without a value")?;
            let name = name.trim_matches(blank).to_ascii_lowercase();
            let after = after.trim_start_matches(blank);
            let (value, after) = match after.strip_prefix('"') {
                Some(text) => unquoted(text).ok_or("a value whose quotes do not end")?,
                None => {
                    let (value, _) = after.split_once(',').unwrap_or((after, ""));
                    let after = after.get(value.len()..).unwrap_or_default();
                    (value.trim_matches(blank).to_owned(), after)
                }
            };
            if all.0.len() == MAX_PARAMETERS || all.0.iter().any(|(other, _)| *other == name) {
                return Err("a parameter given twice, or too many");
            }
            if value.contains(char::is_control) {
                return Err("a control character");
            }
            all.0.push((name, value));
            rest = after.trim_start_matches(blank);
            if !rest.is_empty() {
                rest = rest
                    .strip_prefix(',')
                    .ok_or("no comma between parameters")?;
            }
            rest = rest.trim_start_matches([' ', '\t', ',']);
        }
        Ok(all)
    }

    /// Removes and returns a parameter, so that each is used once.
    fn take(&mut self, name: &str) -> Option<String> {
        let index = self.0.iter().position(|(other, _)| other == name)?;
        Some(self.0.swap_remove(index).1)
    }
}

/// Splits text after an opening quote into the value up to the closing quote and the rest.
/// `None` if no quote closes it.
fn unquoted(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut characters = text.chars();
    loop {
        match characters.next()? {
            '"' => return Some((value, characters.as_str())),
            '\\' => value.push(characters.next()?),
            c => value.push(c),
        }
    }
}

#[cfg(test)]
mod tests;
