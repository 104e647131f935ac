//! The URL of a database: `postgresql://USER@HOST[:PORT][,HOST[:PORT]...]/DATABASE?...`

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

/// PostgreSQL's default port.
const PORT: u16 = 5432;
/// Settings that may follow the question mark.
const NAMES: [&str; 12] = [
    "application_name",
    "channel_binding",
    "connect_timeout",
    "host",
    "passfile",
    "port",
    "sslcert",
    "sslkey",
    "sslmode",
    "sslrootcert",
    "statement_timeout",
    "target_session_attrs",
];

/// Whether to use TLS, and how to verify the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// `disable`: no TLS.
    Disable,
    /// `require`: TLS, without verifying the server's certificate.
    Require,
    /// `verify-ca`: the certificate must be from a trusted authority.
    VerifyCa,
    /// `verify-full`, the default: it must also be for the host name in the URL.
    VerifyFull,
}

/// One of the servers in the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Place {
    /// A host name or address, and a port.
    Tcp(String, u16),
    /// The folder of a Unix socket, and the port number in the socket's name.
    Unix(PathBuf, u16),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp(host, port) if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp(host, port) => write!(f, "{host}:{port}"),
            Self::Unix(folder, port) => write!(f, "{}/.s.PGSQL.{port}", folder.display()),
        }
    }
}

/// The settings of a URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// The account.
    pub user: String,
    /// The database.
    pub database: String,
    /// Servers to try, in order.
    pub places: Vec<Place>,
    /// Whether to use TLS, and how to verify the servers.
    pub tls: TlsMode,
    /// File of trusted authorities (`sslrootcert=`); `None` for those of the system.
    pub authorities: Option<PathBuf>,
    /// Client certificate (`sslcert=`).
    pub certificate: Option<PathBuf>,
    /// Private key of the client certificate (`sslkey=`); present if and only if `certificate` is.
    pub key: Option<PathBuf>,
    /// Whether the password may only be used with channel binding (`channel_binding=require`).
    pub binding_required: bool,
    /// Whether read-only servers, such as standbys, are skipped.
    pub read_write: bool,
    /// The password file (`passfile=`).
    pub passfile: Option<PathBuf>,
    /// Time limit for connecting to one server, including TLS and authentication; 1 to 600 s, 5 s
    /// by default.
    pub connect_timeout: Duration,
    /// Time limit for a statement; 1 to 600 s, 10 s by default.
    pub statement_timeout: Duration,
    /// The name shown in the server's `pg_stat_activity` (`application_name=`).
    pub application: String,
}

/// Why a URL is invalid.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// It does not begin with `postgresql://`.
    Scheme,
    /// No account precedes the `@`.
    User,
    /// It contains a password, which other users of the machine could read.
    Password,
    /// No database follows the slash, or it contains another slash.
    Database,
    /// A host is missing or invalid.
    Host(String),
    /// A port is not a number from 1 to 65535.
    Port(String),
    /// A percent sign without two hexadecimal digits, an encoded zero byte, or text that is not
    /// UTF-8.
    Encoding(String),
    /// An unknown setting.
    Setting(String),
    /// A setting, its invalid value, and the valid ones.
    Value(&'static str, String, &'static str),
    /// A certificate without its key, or a key without its certificate.
    Pair,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Scheme => f.write_str("it must begin with postgresql://"),
            Self::User => {
                f.write_str("name the account before the host: postgresql://USER@HOST/DATABASE")
            }
            Self::Password => f.write_str(
                "a password is not allowed here, where every user of this machine can read it: use \
                 the file of passfile=, or PGPASSWORD",
            ),
            Self::Database => {
                f.write_str("name the database after the host: postgresql://USER@HOST/DATABASE")
            }
            Self::Host(found) if found.is_empty() => {
                f.write_str("name a host, or the folder of a socket, as in ?host=/run/postgresql")
            }
            Self::Host(found) => write!(f, "{found:?} is not a host name or an address"),
            Self::Port(found) => write!(f, "{found:?} is not a port number"),
            Self::Encoding(found) => {
                write!(
                    f,
                    "{found:?}: a percent sign must be followed by two hexadecimal digits"
                )
            }
            Self::Setting(found) => write!(
                f,
                "unknown setting {found:?}; allowed are {}",
                NAMES.join(", ")
            ),
            Self::Value(name, found, allowed) => write!(f, "{name}={found}: use {allowed}"),
            Self::Pair => f.write_str("sslcert= and sslkey= belong together"),
        }
    }
}

impl std::error::Error for Error {}

impl Settings {
    /// Whether a text is meant to be such a URL, valid or not.
    #[must_use]
    pub fn is_url(text: &str) -> bool {
        text.starts_with("postgresql:") || text.starts_with("postgres:")
    }

    /// Parses a URL.
    ///
    /// # Errors
    /// The URL is invalid.
    pub fn parse(url: &str) -> Result<Self, Error> {
        let rest = ["postgresql://", "postgres://"]
            .into_iter()
            .find_map(|scheme| url.strip_prefix(scheme))
            .ok_or(Error::Scheme)?;
        let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = rest.split_once('/').ok_or(Error::Database)?;
        let (user, hosts) = authority.rsplit_once('@').ok_or(Error::User)?;
        if user.contains(':') {
            return Err(Error::Password);
        }
        let (user, database) = (decode(user)?, decode(database)?);
        if user.is_empty() {
            return Err(Error::User);
        }
        if database.is_empty() || database.contains('/') {
            return Err(Error::Database);
        }
        let mut settings = Self {
            user,
            database,
            places: Vec::new(),
            tls: TlsMode::VerifyFull,
            authorities: None,
            certificate: None,
            key: None,
            binding_required: false,
            read_write: true,
            passfile: None,
            connect_timeout: Duration::from_secs(5),
            statement_timeout: Duration::from_secs(10),
            application: "wecrelay".to_owned(),
        };
        settings.take_all(hosts, query)?;
        Ok(settings)
    }

    fn take_all(&mut self, hosts: &str, query: &str) -> Result<(), Error> {
        let (mut hosts, mut port, mut mode) = (hosts.to_owned(), PORT, None);
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decode(value)?;
            match name {
                "host" => hosts = value,
                "port" => port = number("port", &value)?,
                "sslmode" => mode = Some(tls_mode(value)?),
                _ => self.take(name, value)?,
            }
        }
        let hosts = hosts.split(',').filter(|host| !host.is_empty());
        self.places = hosts
            .map(|host| place(host, port))
            .collect::<Result<_, _>>()?;
        if self.places.is_empty() {
            return Err(Error::Host(String::new()));
        }
        self.tls = mode.unwrap_or(TlsMode::VerifyFull);
        if self.certificate.is_some() != self.key.is_some() {
            return Err(Error::Pair);
        }
        Ok(())
    }

    fn take(&mut self, name: &str, value: String) -> Result<(), Error> {
        match name {
            "sslrootcert" => self.authorities = (value != "system").then(|| value.into()),
            "sslcert" => self.certificate = Some(value.into()),
            "sslkey" => self.key = Some(value.into()),
            "passfile" => self.passfile = Some(value.into()),
            "application_name" => self.application = value,
            "connect_timeout" => self.connect_timeout = seconds("connect_timeout", &value)?,
            "statement_timeout" => self.statement_timeout = seconds("statement_timeout", &value)?,
            "channel_binding" => {
                let known = ["prefer", "require"];
                let allowed = "prefer or require";
                let at = one_of("channel_binding", &value, &known, allowed)?;
                self.binding_required = at == 1;
            }
            "target_session_attrs" => {
                let known = ["any", "read-write", "primary"];
                let allowed = "read-write, or any where one server is asked";
                let at = one_of("target_session_attrs", &value, &known, allowed)?;
                self.read_write = at > 0;
            }
            _ => return Err(Error::Setting(name.to_owned())),
        }
        Ok(())
    }
}

fn one_of(
    name: &'static str,
    value: &str,
    known: &[&str],
    allowed: &'static str,
) -> Result<usize, Error> {
    let found = known.iter().position(|known| *known == value);
    found.ok_or_else(|| Error::Value(name, value.to_owned(), allowed))
}

fn tls_mode(value: String) -> Result<TlsMode, Error> {
    match value.as_str() {
        "disable" => Ok(TlsMode::Disable),
        "require" => Ok(TlsMode::Require),
        "verify-ca" => Ok(TlsMode::VerifyCa),
        "verify-full" => Ok(TlsMode::VerifyFull),
        // The other modes of libpq would let an attacker in the network disable TLS.
        _ => Err(Error::Value(
            "sslmode",
            value,
            "disable, require, verify-ca or verify-full",
        )),
    }
}

fn number(name: &'static str, value: &str) -> Result<u16, Error> {
    match value.parse() {
        Ok(number) if number > 0 => Ok(number),
        _ => Err(Error::Value(
            name,
            value.to_owned(),
            "a number from 1 to 65535",
        )),
    }
}

fn seconds(name: &'static str, value: &str) -> Result<Duration, Error> {
    match value.parse() {
        Ok(count @ 1..=600) => Ok(Duration::from_secs(count)),
        _ => Err(Error::Value(
            name,
            value.to_owned(),
            "seconds from 1 to 600",
        )),
    }
}

fn place(host: &str, port: u16) -> Result<Place, Error> {
    let host = decode(host)?;
    if host.starts_with('/') {
        return Ok(Place::Unix(host.into(), port));
    }
    let (name, own_port) = match host.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((address, rest)) => (address, rest.strip_prefix(':')),
        None => match host.split_once(':') {
            Some((name, port)) => (name, Some(port)),
            None => (&*host, None),
        },
    };
    let port = match own_port.map(str::parse) {
        None => port,
        Some(Ok(port)) if port > 0 => port,
        Some(_) => return Err(Error::Port(own_port.unwrap_or_default().to_owned())),
    };
    let fits = |c: char| c.is_ascii_alphanumeric() || "-._:%".contains(c);
    if !name.is_empty() && name.chars().all(fits) {
        Ok(Place::Tcp(name.to_owned(), port))
    } else {
        Err(Error::Host(host))
    }
}

/// Decodes percent encoding (RFC 3986 2.1). Rejects zero bytes, which end strings in the protocol.
fn decode(text: &str) -> Result<String, Error> {
    let wrong = || Error::Encoding(text.to_owned());
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let value = digit().zip(digit()).map(|(high, low)| high * 16 + low);
                let value = value.and_then(|value| u8::try_from(value).ok());
                value.filter(|value| *value != 0).ok_or_else(wrong)?
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).map_err(|_| wrong())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_names_all_that_is_needed() {
        let url = "postgresql://relay@db1.example,db2.example:6432,[2001:db8::1]:5433/wec?\
                   sslmode=verify-ca&sslrootcert=/etc/ca.pem&sslcert=/c&sslkey=/k&\
                   target_session_attrs=read-write&passfile=/etc/pass&connect_timeout=3";
        let settings = Settings::parse(url).unwrap();
        let tcp = |host: &str, port| Place::Tcp(host.into(), port);
        let places = [
            tcp("db1.example", 5432),
            tcp("db2.example", 6432),
            tcp("2001:db8::1", 5433),
        ];
        assert_eq!(settings.places, places);
        assert_eq!((&*settings.user, &*settings.database), ("relay", "wec"));
        assert_eq!(settings.tls, TlsMode::VerifyCa);
        assert_eq!(settings.passfile, Some("/etc/pass".into()));
        assert_eq!(settings.connect_timeout, Duration::from_secs(3));
        assert_eq!(settings.places[2].to_string(), "[2001:db8::1]:5433");
    }

    #[test]
    fn a_socket_is_named_by_its_folder() {
        for url in [
            "postgresql://r@/d?host=/run/pg&port=6000",
            "postgres://r@%2Frun%2Fpg/d?port=6000",
        ] {
            let settings = Settings::parse(url).unwrap();
            assert_eq!(
                settings.places,
                [Place::Unix("/run/pg".into(), 6000)],
                "{url}"
            );
            assert_eq!(settings.places[0].to_string(), "/run/pg/.s.PGSQL.6000");
        }
    }

    #[test]
    fn without_a_word_tls_is_verified_in_full() {
        let settings = Settings::parse("postgresql://r@h/d").unwrap();
        assert_eq!(settings.tls, TlsMode::VerifyFull);
        assert!(settings.read_write && !settings.binding_required);
    }

    #[test]
    fn what_is_wrong_is_said() {
        let mode = "disable, require, verify-ca or verify-full";
        for (url, error) in [
            ("mysql://r@h/d", Error::Scheme),
            ("postgresql://h/d", Error::User),
            ("postgresql://@h/d", Error::User),
            ("postgresql://r:secret@h/d", Error::Password),
            ("postgresql://r@h", Error::Database),
            ("postgresql://r@h/", Error::Database),
            ("postgresql://r@/d", Error::Host(String::new())),
            ("postgresql://r@h h/d", Error::Host("h h".into())),
            ("postgresql://r@h:x/d", Error::Port("x".into())),
            ("postgresql://r@h:0/d", Error::Port("0".into())),
            ("postgresql://r%2@h/d", Error::Encoding("r%2".into())),
            ("postgresql://r%00@h/d", Error::Encoding("r%00".into())),
            (
                "postgresql://r@h/d?sslmod=x",
                Error::Setting("sslmod".into()),
            ),
            (
                "postgresql://r@h/d?sslmode=prefer",
                Error::Value("sslmode", "prefer".into(), mode),
            ),
            ("postgresql://r@h/d?sslcert=/c", Error::Pair),
        ] {
            assert_eq!(Settings::parse(url), Err(error), "{url}");
        }
    }
}
