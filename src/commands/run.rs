//! Starts the relay from a checked [`Config`]: reads the files, opens the store and the
//! listeners, and runs the event loop.

mod answers;
mod offers;

use std::cell::RefCell;
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::time::{Duration, SystemTime};

use crate::auth;
use crate::collector::Settings;
use crate::commands::{Failure, RUNNING, USAGE, database};
use crate::config::file::{self, Arguments};
use crate::config::{Config, Flag, Listener};
use crate::connection::{Limits, Rules};
use crate::files::accounts::{self, Users};
use crate::files::keytabs::{self, Keytabs};
use crate::files::output_secrets;
use crate::files::subscriptions;
use crate::output::Secret;
use crate::output::own_log::OwnLog;
use crate::protocol::kerberos::{self, Replays};
use crate::protocol::ntlm;
use crate::protocol::wsman::pages::Survey;
use crate::protocol::wsman::subscribe::Subscription;
use crate::server;
use crate::server::{Local, Opened, Reloaded, Setup};
use crate::store;
use crate::store::sqlite::Sqlite;
use crate::syslog::Sender;
use crate::system::privileges;
use crate::tls;

pub use answers::too_large;

/// How much longer than the longest heartbeat interval a connection may be idle.
const IDLE_MARGIN: Duration = Duration::from_secs(3600);

/// Why the relay does not start, or stopped.
#[derive(Debug)]
pub enum Error {
    /// A subscription file is invalid.
    Subscriptions(subscriptions::Error),
    /// A subscription in a file has the same name as that of `--channel`.
    SameName(String),
    /// A subscription in a file has the same name as the built-in one for reports.
    SelfReports(String),
    /// No file has an enabled subscription.
    NoSubscription,
    /// The file of accounts is invalid.
    Users(accounts::Error),
    /// The keytab is invalid.
    Keytab(keytabs::Error),
    /// With `--digest`, the file of accounts has no line for it.
    NoDigestLine(PathBuf),
    /// The state folder cannot be used.
    Store(store::Error),
    /// The database of `--store` cannot be used.
    Database(database::Error),
    /// The command of `--ntlm-helper` does not work.
    Helper(String, server::HelperError),
    /// The certificates of an output are invalid.
    Output(tls::OutputError),
    /// The file with an output's credentials is invalid.
    Secret(output_secrets::Error),
    /// The address of `--metrics` cannot be bound.
    Metrics(SocketAddr, io::Error),
    /// Switching to the user of `--user` or `--group` failed.
    Account(privileges::Error),
    /// A listener cannot be bound; scheme, address, and reason.
    Listen(&'static str, SocketAddr, io::Error),
    /// The certificates of https listeners are invalid.
    Tls(tls::Error),
    /// The event loop failed.
    Server(server::Error),
}

impl Failure for Error {
    fn exit_code(&self) -> u8 {
        match self {
            Self::Server(_) => RUNNING,
            _ => USAGE,
        }
    }

    fn flag(&self) -> Option<Flag> {
        Some(match self {
            Self::Subscriptions(error) => Flag::file("--subscription", error.file()),
            Self::SameName(_) => Flag::new("--channel"),
            Self::SelfReports(_) | Self::NoSubscription => Flag::new("--subscription"),
            Self::Users(error) => Flag::file("--users", error.file()),
            Self::Keytab(error) => Flag::file("--keytab", error.file()),
            Self::NoDigestLine(_) => Flag::new("--digest"),
            Self::Store(_) => Flag::new("--state"),
            Self::Database(_) => Flag::new("--store"),
            Self::Helper(..) => Flag::new("--ntlm-helper"),
            Self::Output(error) => Flag::with("--output", &error.label),
            Self::Secret(error) => Flag::with("--output", &error.label),
            Self::Metrics(address, _) => Flag::with("--metrics", address.to_string()),
            Self::Account(error) => Flag::of_account(error),
            Self::Listen(scheme, address, _) => {
                Flag::with("--listen", format!("{scheme}://{address}"))
            }
            Self::Tls(error) => {
                let (flag, path) = error.file()?;
                Flag::file(flag, path)
            }
            Self::Server(_) => return None,
        })
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscriptions(error) => write!(f, "--subscription {error}"),
            Self::SameName(name) => {
                write!(
                    f,
                    "a subscription cannot have the name {name:?} together with --channel"
                )
            }
            Self::SelfReports(name) => {
                write!(
                    f,
                    "a subscription cannot have the name {name:?} without --no-self-reports"
                )
            }
            Self::NoSubscription => {
                write!(f, "--subscription: no file has an enabled subscription")
            }
            Self::Users(error) => write!(f, "--users {error}"),
            Self::Keytab(error) => write!(f, "--keytab {error}"),
            Self::NoDigestLine(file) => write!(
                f,
                "--digest: {} has no line for it; create one with \"wecrelay passwd --digest REALM \
                 USER\"",
                file.display()
            ),
            Self::Store(error) => write!(f, "--state {error}"),
            Self::Database(error) => write!(f, "--store: {error}"),
            Self::Helper(command, error) => write!(f, "--ntlm-helper {command}: {error}"),
            Self::Output(error) => write!(f, "{error}"),
            Self::Secret(error) => write!(f, "--output {error}"),
            Self::Listen(scheme, address, error) => {
                write!(f, "--listen {scheme}://{address}: {error}")
            }
            Self::Metrics(address, error) => write!(f, "--metrics {address}: {error}"),
            Self::Account(error) => write!(f, "{error}"),
            Self::Tls(error) => write!(f, "{error}"),
            Self::Server(error) => write!(f, "{error}"),
        }
    }
}

impl std::error::Error for Error {}

/// Runs the relay until SIGTERM or SIGINT.
///
/// `sockets` are the listening sockets that `config` refers to as inherited. `own` is the
/// buffer of the relay's own log for the outputs. `again` reads the configuration for
/// SIGHUP, and returns it with the arguments from which it was made.
///
/// # Errors
/// A file is invalid, something cannot be opened, or the event loop failed.
pub fn run(
    config: &Config,
    sockets: Vec<TcpListener>,
    own: Option<OwnLog>,
    mut again: impl FnMut() -> Result<(Config, Arguments), file::Error> + 'static,
) -> Result<(), Error> {
    let signals = server::catch_signals().map_err(Error::Server)?;
    // Shared by the keytabs of all reloads: otherwise a reload would allow tickets to be
    // replayed.
    let replays = Rc::default();
    let Reloaded {
        settings,
        tls,
        secrets,
    } = load(config, &replays)?;
    answers::warn_of_too_large(&answers::measure(config, &settings.subscriptions));
    let connectors = tls::connectors(&config.outputs).map_err(Error::Output)?;
    // Without --user the store is opened before the ports are bound. With --user it is
    // opened after the switch, so that its files belong to that user.
    let early = config.account.is_none().then(|| open(config));
    let early = early.transpose()?;
    let status = config.metrics.map(watch).transpose()?;
    let listeners = listeners(config, sockets)?;
    if let Some(account) = &config.account {
        account
            .prepare(&config.state)
            .and_then(|()| account.drop_privileges())
            .map_err(Error::Account)?;
        if let Err(error) = load(config, &replays) {
            log::warn!("as that user, files cannot be read again on SIGHUP: {error}");
        }
    }
    let store = early.map_or_else(|| open(config), Ok)?;
    let mut channels = offers::channels(&settings.subscriptions);
    let reload = move || -> Result<Reloaded, Box<dyn std::error::Error>> {
        let (config, arguments) = again()?;
        let loaded = load(&config, &replays)
            .map_err(|error| arguments.placed(error.flag().as_ref(), error))?;
        answers::warn_of_too_large(&answers::measure(&config, &loaded.settings.subscriptions));
        let now = offers::channels(&loaded.settings.subscriptions);
        offers::warn_of_added(&channels, &now);
        channels = now;
        Ok(loaded)
    };
    server::run(Setup {
        signals,
        status,
        listeners,
        tls,
        outputs: config.outputs.clone(),
        connectors,
        settings,
        secrets,
        helper: config.ntlm_helper.clone(),
        store,
        own: own.map(|log| (log, sender(config))),
        reload: Box::new(reload),
        drain_delay: config.drain_delay,
    })
    .map_err(Error::Server)
}

/// The sender of the relay's own syslog messages.
fn sender(config: &Config) -> Sender {
    Sender {
        hostname: hostname(config),
        process: std::process::id(),
    }
}

fn hostname(config: &Config) -> String {
    config.hostname.clone().unwrap_or_else(nodename)
}

/// The host name of this machine.
fn nodename() -> String {
    let system = rustix::system::uname();
    system.nodename().to_string_lossy().into_owned()
}

/// The state folder, with its second connection for reads and its maintenance.
fn local(store: Sqlite) -> Local {
    let (mut reader, mut tidy) = (store.reader(), store.checkpoints());
    Local {
        store: Box::new(store),
        reader: Box::new(move |lookups| reader.read(lookups)),
        tidy: Box::new(move || tidy.run()),
    }
}

/// Tests the helper, and opens the state folder or the database.
fn open(config: &Config) -> Result<Opened, Error> {
    if let Some(helper) = &config.ntlm_helper {
        let refused = |error| Error::Helper(helper.command.join(" "), error);
        server::probe_helper(helper).map_err(refused)?;
    }
    if let Some(settings) = &config.store {
        let database = database::open(settings, config.relay_name.as_deref());
        let database = database.map_err(Error::Database)?;
        return Ok(Opened::Database(Box::new(database)));
    }
    let store = Sqlite::open(&config.state).map_err(Error::Store)?;
    Ok(Opened::Local(local(store)))
}

fn watch(address: SocketAddr) -> Result<TcpListener, Error> {
    let wrong = |error| Error::Metrics(address, error);
    let socket = server::bind_status(address).map_err(wrong)?;
    let real = socket.local_addr().unwrap_or(address);
    log::info!("metrics on http://{real}/metrics");
    Ok(socket)
}

fn listeners(config: &Config, sockets: Vec<TcpListener>) -> Result<Vec<server::Listener>, Error> {
    let mut sockets: Vec<_> = sockets.into_iter().map(Some).collect();
    let mut listeners = Vec::new();
    for &Listener {
        address,
        optional,
        secure,
        inherited,
    } in &config.listeners
    {
        let scheme = if secure { "https" } else { "http" };
        let passed = inherited.and_then(|index| sockets.get_mut(index)?.take());
        let listener = match passed.map_or_else(
            || server::bind(address, secure, config.reuse_port),
            |socket| server::Listener::new(socket, secure),
        ) {
            Ok(listener) => listener,
            Err(error) if optional && is_absent(&error) => continue,
            Err(error) => return Err(Error::Listen(scheme, address, error)),
        };
        let real = listener.address().unwrap_or(address);
        log::info!("listening on {scheme}://{real}");
        listeners.push(listener);
    }
    Ok(listeners)
}

/// Whether an error means that the system has no addresses of this family.
fn is_absent(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    code == Some(libc::EAFNOSUPPORT) || code == Some(libc::EADDRNOTAVAIL)
}

/// What the relay would run with, as determined by flags and files.
#[derive(Debug)]
pub struct Plan {
    /// The subscriptions to offer.
    pub subscriptions: Vec<Subscription>,
    /// The size of the answers for a host that gets all subscriptions.
    pub answers: Survey,
    /// The TLS settings of each output; `None` for outputs without TLS.
    pub connectors: Vec<Option<tls::Connector>>,
    /// The credentials of each output.
    pub secrets: Vec<Secret>,
}

/// Reads and verifies everything that a start reads, without binding addresses or opening
/// the store.
///
/// # Errors
/// The relay would not start.
pub fn plan(config: &Config) -> Result<Plan, Error> {
    let Reloaded {
        settings, secrets, ..
    } = load(config, &Rc::default())?;
    Ok(Plan {
        answers: answers::measure(config, &settings.subscriptions),
        subscriptions: settings.subscriptions,
        connectors: tls::connectors(&config.outputs).map_err(Error::Output)?,
        secrets,
    })
}

/// Reads all files that the configuration names.
fn load(config: &Config, replays: &Rc<RefCell<Replays>>) -> Result<Reloaded, Error> {
    let mut settings = settings(config, replays)?;
    let now = wall();
    let load = |files| tls::Acceptor::load(files, now);
    let tls = config.tls.as_ref().map(load).transpose();
    let tls = tls.map_err(Error::Tls)?;
    if let Some(tls) = &tls {
        tls.log_ends(now);
    }
    settings.rules.auth.names = names(config, tls.as_ref());
    let secrets = output_secrets::load(&config.outputs).map_err(Error::Secret)?;
    Ok(Reloaded {
        settings,
        tls,
        secrets,
    })
}

/// Names that hosts may use for the relay. Empty if neither `--hostname` nor a certificate
/// has one: then the host in a service name is not compared.
fn names(config: &Config, tls: Option<&tls::Acceptor>) -> Vec<String> {
    let told = config.hostname.clone().into_iter();
    let mut names: Vec<_> = told
        .chain(tls.into_iter().flat_map(|tls| tls.names().to_vec()))
        .collect();
    if !names.is_empty() {
        names.push(nodename());
        names.push("localhost".to_owned());
    }
    names
}

#[expect(
    clippy::disallowed_methods,
    reason = "subscriptions and certificates expire by the wall clock"
)]
fn wall() -> SystemTime {
    SystemTime::now()
}

fn settings(config: &Config, replays: &Rc<RefCell<Replays>>) -> Result<Settings, Error> {
    let subscriptions = offers::subscriptions(config)?;
    offers::warn_of_unbound(config, &subscriptions);
    let longest = subscriptions
        .iter()
        .map(|s| s.heartbeat)
        .max()
        .unwrap_or_default();
    let limits = Limits {
        idle_time: longest + IDLE_MARGIN,
        ..Limits::default()
    };
    let rules = Rules {
        auth: policy(config, replays)?,
        allow_unencrypted: config.allow_unencrypted,
        limits,
    };
    Ok(Settings {
        rules,
        balancers: config.balancers.clone(),
        subscriptions,
        mapping: config.mapping.clone(),
        hostname: config.hostname.clone(),
        computers: config.computers.clone(),
        principals: config.principals.clone(),
        forget_after: config.forget_after,
    })
}

fn policy(config: &Config, replays: &Rc<RefCell<Replays>>) -> Result<auth::Policy, Error> {
    let users = match &config.users {
        Some(path) => accounts(path)?,
        None => Users::default(),
    };
    let users = Rc::new(users);
    Ok(auth::Policy {
        anonymous: config.anonymous.clone(),
        has_accounts: !users.is_empty(),
        passwords: passwords(config, &users)?,
        accounts: users,
        ntlmv1: config.ntlmv1,
        domain: config.ntlm_helper.is_some(),
        server: ntlm::Server::from_hostname(&hostname(config)),
        kerberos: service(config, replays)?,
        bindings: config.bindings,
        names: Vec::new(),
    })
}

fn service(
    config: &Config,
    replays: &Rc<RefCell<Replays>>,
) -> Result<Option<kerberos::Service>, Error> {
    if config.keytabs.is_empty() {
        return Ok(None);
    }
    let keytabs = Keytabs::load(&config.keytabs).map_err(Error::Keytab)?;
    Ok(Some(kerberos::Service {
        keytabs: Rc::new(keytabs),
        replays: Rc::clone(replays),
        rc4: config.kerberos_rc4,
    }))
}

/// The realm for Basic authentication if no Digest line has one.
const REALM: &str = "wecrelay";

fn accounts(path: &Path) -> Result<Users, Error> {
    let users = Users::load(path).map_err(Error::Users)?;
    if users.is_empty() && users.realm().is_none() {
        let path = path.display();
        log::warn!(
            "--users {path}: no account in it, so no host can authenticate with it; \
             add one: wecrelay passwd 'DOMAIN\\USER' >>{path}"
        );
    }
    Ok(users)
}

fn passwords(config: &Config, users: &Rc<Users>) -> Result<Option<auth::Passwords>, Error> {
    if !config.basic && !config.digest {
        return Ok(None);
    }
    let digest = if config.digest {
        users.algorithms()
    } else {
        Vec::new()
    };
    if config.digest && digest.is_empty() {
        let file = config.users.clone().unwrap_or_default();
        return Err(Error::NoDigestLine(file));
    }
    let offer = auth::Offer {
        realm: users.realm().unwrap_or(REALM).to_owned(),
        basic: config.basic,
        digest,
        without_tls: config.password_without_tls,
    };
    Ok(Some(auth::Passwords::new(offer, users.clone())))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::system::kept_log::warnings;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "accounts are in a file")]
    fn accounts_without_a_line_are_warned_of_with_the_command_that_adds_one() {
        let path = std::env::temp_dir().join(format!("wecrelay-{}-no-users", std::process::id()));
        for (text, expected) in [
            ("", 1),
            ("# nobody yet\n", 1),
            ("host:{NT}8846f7eaee8fb117ad06bdd830b7586c\n", 0),
        ] {
            std::fs::write(&path, text).unwrap();
            let own = std::fs::Permissions::from_mode(0o600);
            std::fs::set_permissions(&path, own).unwrap();
            let warned = warnings(|| drop(accounts(&path).unwrap()));
            assert_eq!(warned.len(), expected, "{text:?}: {warned:?}");
            let command = format!("wecrelay passwd 'DOMAIN\\USER' >>{}", path.display());
            assert!(
                warned.iter().all(|line| line.contains(&command)),
                "{warned:?}"
            );
        }
        std::fs::remove_file(&path).unwrap();
    }
}
