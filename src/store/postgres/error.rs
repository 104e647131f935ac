//! The failures of the database, and their remedies.

use std::fmt;

use fallible_iterator::FallibleIterator;
use postgres_protocol::message::backend::{ErrorFields, ErrorResponseBody, NoticeResponseBody};

/// The kind of problem, which determines the remedy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Kind {
    /// No server answers, or the connection has ended.
    Down,
    /// An answer takes too long.
    Slow,
    /// The password is wrong or missing.
    Password,
    /// The server does not accept this account from this address (`pg_hba.conf`).
    Refused,
    /// The server requests the password in an insecure form.
    Method,
    /// The database does not exist.
    NoDatabase,
    /// A pooler refuses the login, with a code that it uses for every reason.
    Pooler,
    /// The account lacks privileges.
    Rights,
    /// The server is read-only, such as a standby.
    ReadOnly,
    /// The tables are missing, or not as expected.
    NoTables,
    /// The tables are those of a newer wecrelay.
    Newer,
    /// The server does not support TLS.
    NoTls,
    /// The server's certificate, or the client's, is not accepted.
    Certificate,
    /// The server's disk is full.
    Full,
    /// The server has too many connections.
    Crowded,
    /// The server committed without the standby that it was to wait for.
    Unreplicated,
    /// Two transactions conflicted; a retry will succeed.
    Again,
    /// The server does not accept this row.
    Data,
    /// The server violated the protocol.
    Protocol,
    /// Anything else.
    Other,
}

/// A failure of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The kind of problem.
    pub kind: Kind,
    /// The server, as in the URL.
    pub place: String,
    /// The server's message, or what happened.
    pub says: String,
}

impl Failure {
    /// A failure at this server.
    #[must_use]
    pub fn new(kind: Kind, place: &str, says: impl Into<String>) -> Self {
        Self {
            kind,
            place: place.to_owned(),
            says: says.into(),
        }
    }

    /// Whether further requests on this connection are useless.
    pub(super) fn ends_connection(&self) -> bool {
        matches!(
            self.kind,
            Kind::Down | Kind::Protocol | Kind::ReadOnly | Kind::Certificate
        )
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, place, says } = self;
        write!(f, "PostgreSQL at {place}: {says}")?;
        let remedy = remedy(*kind);
        if !remedy.is_empty() {
            write!(f, "; {remedy}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Failure {}

fn remedy(kind: Kind) -> &'static str {
    match kind {
        Kind::Down => "is it running, and does a firewall let this machine through?",
        Kind::Slow => "look for locks, and for a standby that it waits for (pg_stat_activity)",
        Kind::Password => {
            "set the password with ALTER ROLE, and provide it in the file of passfile= or in \
             PGPASSWORD"
        }
        Kind::Refused => "allow the account from this machine in pg_hba.conf",
        Kind::Method => {
            "use scram-sha-256: set password_encryption, set the password again, and use that \
             method in pg_hba.conf"
        }
        Kind::NoDatabase => "create it with CREATE DATABASE, or name another one in the URL",
        Kind::Pooler => {
            "if this is pgbouncer: its log and its [databases], auth_file and auth_hba_file show why"
        }
        Kind::Rights => {
            "grant SELECT, INSERT, UPDATE and DELETE on its tables to the account; \"wecrelay store schema\" prints both"
        }
        Kind::ReadOnly => "name all servers in the URL, so that the primary can be found",
        Kind::NoTables => {
            "create the tables with the output of \"wecrelay store schema\", or allow the account \
             to create them"
        }
        Kind::Newer => "use that version, or another database",
        Kind::NoTls => {
            "enable TLS there (ssl = on), or use sslmode=disable if the network is trusted"
        }
        Kind::Certificate => {
            "sslrootcert= must name the authority, and the certificate must be for the name in the \
             URL"
        }
        Kind::Full => "free space on its disk",
        Kind::Unreplicated => "restore its standby, or remove it from synchronous_standby_names",
        Kind::Crowded => "raise max_connections, or use pgbouncer",
        Kind::Protocol => "is this the port of PostgreSQL?",
        Kind::Again | Kind::Data | Kind::Other => "",
    }
}

/// The stage of a connection. pgbouncer 1.18 uses the code 08P01 for all rejections; the stage
/// tells what it means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// Before requests can be sent, except during the password exchange.
    Login,
    /// During the password exchange.
    Password,
    /// Requests can be sent.
    Session,
}

/// A server's error message.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    pub(super) code: String,
    pub(super) is_fatal: bool,
    says: String,
    /// The server function that reported it.
    routine: String,
}

/// The server function that waits for standbys, and reports that it has given up: through
/// pg_cancel_backend, or at shutdown. Its text is translated and its code unspecific, so
/// the function's name is compared.
const WAITS_FOR_STANDBY: &str = "SyncRepWaitForLSN";

impl Complaint {
    pub(super) fn read(body: &ErrorResponseBody) -> Self {
        Self::of_fields(body.fields())
    }

    /// A notice that is as serious as an error.
    pub(super) fn of_notice(body: &NoticeResponseBody) -> Option<Self> {
        let complaint = Self::of_fields(body.fields());
        (complaint.routine == WAITS_FOR_STANDBY).then_some(complaint)
    }

    fn of_fields(mut fields: ErrorFields<'_>) -> Self {
        let mut complaint = Self::default();
        // Nothing after a malformed field can be parsed.
        while let Ok(Some(field)) = fields.next() {
            let value = String::from_utf8_lossy(field.value_bytes());
            match field.type_() {
                b'C' => complaint.code = value.into_owned(),
                b'M' => complaint.says = value.chars().take(500).collect(),
                b'R' => complaint.routine = value.into_owned(),
                // Never translated, unlike S; sent since PostgreSQL 9.6.
                b'V' => complaint.is_fatal = value != "ERROR",
                b'S' if matches!(&*value, "FATAL" | "PANIC") => complaint.is_fatal = true,
                _ => {}
            }
        }
        complaint
    }

    pub(super) fn at(self, place: &str, stage: Stage) -> Failure {
        let kind = self.kind(stage);
        let says = match kind {
            Kind::Newer => "a later version of wecrelay has replaced its tables".to_owned(),
            _ => format!("{} ({})", self.says, self.code),
        };
        Failure::new(kind, place, says)
    }

    /// The kind, by SQLSTATE (appendix A of the manual).
    fn kind(&self, stage: Stage) -> Kind {
        if self.routine == WAITS_FOR_STANDBY {
            return Kind::Unreplicated;
        }
        let kind = match self.code.as_str() {
            "28P01" => Kind::Password,
            "28000" => Kind::Refused,
            "3D000" => Kind::NoDatabase,
            "42501" => Kind::Rights,
            "25006" => Kind::ReadOnly,
            "42P01" | "42703" | "42P10" | "3F000" => Kind::NoTables,
            "53100" => Kind::Full,
            "53300" => Kind::Crowded,
            "57014" | "55P03" => Kind::Slow,
            "40001" | "40P01" => Kind::Again,
            // Used deliberately by a statement here; no other divides.
            "22012" => Kind::Newer,
            "08P01" if stage == Stage::Password => Kind::Password,
            "08P01" if stage == Stage::Login => Kind::Pooler,
            code => match code.get(..2) {
                Some("08" | "57") => Kind::Down,
                Some("22" | "23" | "54") => Kind::Data,
                _ => Kind::Other,
            },
        };
        match kind {
            Kind::Other | Kind::Slow if self.is_fatal => Kind::Down,
            kind => kind,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(code: &str, stage: Stage) -> Kind {
        let complaint = Complaint {
            code: code.into(),
            says: "words".into(),
            ..Complaint::default()
        };
        complaint.kind(stage)
    }

    #[test]
    fn a_code_is_told_by_itself_or_by_its_class() {
        for (code, expected) in [
            ("28P01", Kind::Password),
            ("3D000", Kind::NoDatabase),
            ("42501", Kind::Rights),
            ("25006", Kind::ReadOnly),
            ("42P01", Kind::NoTables),
            ("53100", Kind::Full),
            ("57P01", Kind::Down),
            ("08006", Kind::Down),
            ("40P01", Kind::Again),
            ("22021", Kind::Data),
            ("22012", Kind::Newer),
            ("XX000", Kind::Other),
            ("", Kind::Other),
        ] {
            assert_eq!(kind(code, Stage::Session), expected, "{code}");
        }
    }

    #[test]
    fn a_code_for_everything_means_what_is_under_way() {
        for (stage, expected) in [
            (Stage::Login, Kind::Pooler),
            (Stage::Password, Kind::Password),
            (Stage::Session, Kind::Down),
        ] {
            assert_eq!(kind("08P01", stage), expected, "{stage:?}");
            assert_eq!(kind("3D000", stage), Kind::NoDatabase, "{stage:?}");
        }
    }

    #[test]
    fn each_text_ends_with_what_to_do() {
        let failure = Failure::new(Kind::NoDatabase, "db.example:5432", "no \"a\" (3D000)");
        let text = "PostgreSQL at db.example:5432: no \"a\" (3D000); create it with CREATE DATABASE, or name another one in the URL";
        assert_eq!(failure.to_string(), text);
    }
}
