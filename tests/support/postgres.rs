//! A real PostgreSQL, and a real pgbouncer in front of it.

use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use rustix::process::{Pid, Signal, kill_process};

use super::{Pair, Process, TempDir, free_port, manual, wait_for};

/// The account of relays, and its password.
pub(crate) const USER: &str = "wecrelay";
const PASSWORD: &str = "it's a: secret\\";
/// User ID of `nobody` in Debian: neither program runs as root.
const NOBODY: u32 = 65534;

/// A running server with the database `wec`, which is empty.
pub(crate) struct Postgres {
    dir: TempDir,
    port: u16,
    programs: PathBuf,
    process: Option<Process>,
}

impl Postgres {
    #[track_caller]
    pub(crate) fn start() -> Self {
        Self::start_with("")
    }

    /// With TLS and this certificate.
    #[track_caller]
    pub(crate) fn start_secure(own: &Pair) -> Self {
        let read = |file: &str| std::fs::read(file).unwrap();
        let (certificate, key) = (read(&own.certificate), read(&own.key));
        let postgres =
            Self::prepared("ssl = on\nssl_cert_file = 'own.pem'\nssl_key_file = 'own.key'\n");
        for (name, bytes) in [("own.pem", certificate), ("own.key", key)] {
            let file = postgres.dir.file(&format!("data/{name}"));
            std::fs::write(&file, bytes).unwrap();
            std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
            give_away(Path::new(&file));
        }
        postgres.up()
    }

    /// With additional lines in postgresql.conf.
    #[track_caller]
    pub(crate) fn start_with(settings: &str) -> Self {
        Self::prepared(settings).up()
    }

    fn prepared(settings: &str) -> Self {
        let programs = newest_programs();
        let dir = TempDir::new();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        give_away(dir.path());
        let port = free_port();
        let mut init = unprivileged(&programs.join("initdb"));
        init.args([
            "-D",
            &dir.file("data"),
            "-U",
            "owner",
            "-E",
            "UTF8",
            "--locale=C",
        ])
        .args([
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
        ])
        .current_dir(dir.path());
        done(init.output().unwrap(), "initdb");
        let config = format!(
            "{}listen_addresses = '127.0.0.1'\nport = {port}\nunix_socket_directories = '{}'\n\
             fsync = off\nlogging_collector = off\n{settings}",
            std::fs::read_to_string(dir.file("data/postgresql.conf")).unwrap(),
            dir.path().display()
        );
        std::fs::write(dir.file("data/postgresql.conf"), config).unwrap();
        Self {
            dir,
            port,
            programs,
            process: None,
        }
    }

    /// A server without account and database, set up with the manual's commands.
    #[track_caller]
    pub(crate) fn start_bare() -> Self {
        let mut postgres = Self::prepared("");
        postgres.restart();
        for statement in manual("The database", &[]).lines() {
            postgres.sql_in("postgres", statement);
        }
        postgres
    }

    #[track_caller]
    fn up(mut self) -> Self {
        self.restart();
        let password = PASSWORD.replace('\'', "''");
        self.sql_in(
            "postgres",
            &format!("CREATE ROLE {USER} LOGIN PASSWORD '{password}'"),
        );
        self.sql_in("postgres", "CREATE DATABASE wec");
        self.sql("GRANT CREATE ON SCHEMA public TO wecrelay");
        let line = format!(
            "*:*:*:{USER}:{}\n",
            PASSWORD.replace('\\', "\\\\").replace(':', "\\:")
        );
        self.write_secret("pgpass", &line);
        self
    }

    /// Starts it again.
    #[track_caller]
    pub(crate) fn restart(&mut self) {
        self.run("database system is ready to accept connections");
    }

    /// Starts a standby again.
    #[track_caller]
    pub(crate) fn restart_as_standby(&mut self) {
        self.run("database system is ready to accept read-only connections");
    }

    #[track_caller]
    fn run(&mut self, ready: &str) {
        let mut command = unprivileged(&self.programs.join("postgres"));
        command
            .args(["-D", &self.dir.file("data")])
            .current_dir(self.dir.path());
        let mut process = Process::start(command);
        process.wait_for_log(ready);
        self.process = Some(process);
    }

    /// Sends SIGKILL to all of its processes and waits for their end: a surviving one could
    /// write to the files of the next server.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            // Stopped, it starts no further processes while they are listed.
            process.signal(Signal::STOP);
            let children = children_of(process.pid());
            process.kill();
            for child in &children {
                // It may have exited already.
                let _ = kill_process(*child, Signal::KILL);
            }
            wait_for("the end of PostgreSQL's processes", || {
                let is_there =
                    |child: &Pid| state_and_parent(*child).is_some_and(|(s, _)| s != "Z");
                (!children.iter().any(is_there)).then_some(())
            });
        }
        let _ = std::fs::remove_file(self.dir.file("data/postmaster.pid"));
    }

    /// Stops the server with SIGINT, a fast shutdown.
    #[track_caller]
    pub(crate) fn stop(&mut self) {
        let mut process = self.process.take().unwrap();
        process.signal(Signal::INT);
        process.wait();
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// The folder of its socket.
    pub(crate) fn folder(&self) -> String {
        self.dir.path().display().to_string()
    }

    /// Writes a file that only its owner can read.
    pub(crate) fn write_secret(&self, name: &str, text: &str) -> String {
        let file = self.dir.file(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(0o600)).unwrap();
        file
    }

    /// For `--store`, without TLS.
    pub(crate) fn url(&self) -> String {
        self.url_on(self.port, "sslmode=disable")
    }

    /// The same through another port, with any settings.
    pub(crate) fn url_on(&self, port: u16, settings: &str) -> String {
        let passfile = self.dir.file("pgpass");
        format!("postgresql://{USER}@127.0.0.1:{port}/wec?passfile={passfile}&{settings}")
    }

    /// Sets the account's password to that of the relays, or to another one.
    pub(crate) fn set_password(&self, is_right: bool) {
        let password = if is_right { PASSWORD } else { "other" }.replace('\'', "''");
        self.sql(&format!("ALTER ROLE {USER} PASSWORD '{password}'"));
    }

    /// Closes the relays' connections.
    pub(crate) fn disconnect(&self) {
        self.sql(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{USER}'"
        ));
    }

    /// Locks a table until the returned process ends.
    pub(crate) fn lock(&self, table: &str) -> Process {
        let text = format!("BEGIN; LOCK TABLE {table}; SELECT 'locked'; SELECT pg_sleep(600)");
        let mut command = Command::new(self.programs.join("psql"));
        let port = self.port.to_string();
        command.args([
            "-h",
            &self.folder(),
            "-p",
            &port,
            "-U",
            "owner",
            "-d",
            "wec",
        ]);
        command.args(["-qAtX", "-c", &text]);
        let process = Process::start(command);
        let held = format!(
            "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation = '{table}'::regclass"
        );
        wait_for("the lock", || (self.sql(&held) == "1").then_some(()));
        process
    }

    /// Replaces the server's certificate, and restarts it.
    pub(crate) fn replace_certificate(&mut self, own: &Pair) {
        self.stop();
        for (name, file) in [("own.pem", &own.certificate), ("own.key", &own.key)] {
            std::fs::write(
                self.dir.file(&format!("data/{name}")),
                std::fs::read(file).unwrap(),
            )
            .unwrap();
        }
        self.restart();
    }

    /// Moves a table to a tablespace in a separate folder.
    pub(crate) fn move_to(&self, table: &str, folder: &str) {
        give_away(Path::new(folder));
        self.sql(&format!("CREATE TABLESPACE small LOCATION '{folder}'"));
        self.sql(&format!("ALTER TABLE {table} SET TABLESPACE small"));
    }

    /// A synchronous standby.
    #[track_caller]
    pub(crate) fn standby(&self) -> Self {
        let dir = TempDir::new();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        give_away(dir.path());
        let port = free_port();
        let mut copy = unprivileged(&self.programs.join("pg_basebackup"));
        copy.args([
            "-h",
            &self.folder(),
            "-p",
            &self.port.to_string(),
            "-U",
            "owner",
        ])
        .args([
            "-D",
            &dir.file("data"),
            "-R",
            "-X",
            "stream",
            "--no-sync",
            "-c",
            "fast",
        ])
        .current_dir(dir.path());
        done(copy.output().unwrap(), "pg_basebackup");
        let config = format!(
            "{}port = {port}\nunix_socket_directories = '{}'\n\
             wal_retrieve_retry_interval = 200ms\n",
            std::fs::read_to_string(dir.file("data/postgresql.conf")).unwrap(),
            dir.path().display()
        );
        std::fs::write(dir.file("data/postgresql.conf"), config).unwrap();
        let programs = self.programs.clone();
        let mut standby = Self {
            dir,
            port,
            programs,
            process: None,
        };
        let passfile = std::fs::read(self.dir.file("pgpass")).unwrap();
        standby.write_secret("pgpass", &String::from_utf8(passfile).unwrap());
        standby.restart_as_standby();
        for statement in manual("Standby", &[]).lines() {
            self.sql(statement);
        }
        wait_for("a synchronous standby", || {
            (self.sql("SELECT sync_state FROM pg_stat_replication") == "sync").then_some(())
        });
        standby
    }

    /// Promotes the standby to a primary.
    pub(crate) fn promote(&self) {
        self.sql_in("postgres", "SELECT pg_promote()");
        // It has no synchronous standby itself.
        self.sql_in(
            "postgres",
            "ALTER SYSTEM SET synchronous_standby_names = ''",
        );
        self.sql_in("postgres", "SELECT pg_reload_conf()");
    }

    /// For `--store`: the URL with both servers, of which the primary is used.
    pub(crate) fn url_with(&self, other: &Self) -> String {
        let url = self.url();
        let place = format!("127.0.0.1:{}", self.port);
        url.replace(&place, &format!("{place},127.0.0.1:{}", other.port))
    }

    /// Runs statements as the owner of the server; returns their output.
    #[track_caller]
    pub(crate) fn sql(&self, text: &str) -> String {
        self.sql_in("wec", text)
    }

    #[track_caller]
    fn sql_in(&self, database: &str, text: &str) -> String {
        let mut command = Command::new(self.programs.join("psql"));
        command
            .args([
                "-h",
                &self.folder(),
                "-p",
                &self.port.to_string(),
                "-U",
                "owner",
            ])
            .args(["-d", database, "-qAtX", "-v", "ON_ERROR_STOP=1", "-c", text]);
        done(command.output().unwrap(), text)
    }
}

/// A running pgbouncer in transaction mode.
pub(crate) struct Pgbouncer {
    _process: Process,
    port: u16,
    _dir: TempDir,
}

impl Pgbouncer {
    const PROGRAM: &str = "/usr/sbin/pgbouncer";

    #[track_caller]
    pub(crate) fn start(postgres: &Postgres) -> Self {
        let installed = Path::new(Self::PROGRAM).exists();
        assert!(installed, "pgbouncer is not installed: run scripts/peers");
        let (dir, port) = (TempDir::new(), free_port());
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o755)).unwrap();
        give_away(dir.path());
        // Only two connections for all relays, so that transactions switch between them.
        let places = [
            (
                "host=db1.example.com port=5432",
                &*format!("host=127.0.0.1 port={}", postgres.port),
            ),
            ("wecrelay = ", "wec = "),
            ("dbname=wecrelay pool_size=20", "dbname=wec pool_size=2"),
            ("listen_addr = *", "listen_addr = 127.0.0.1"),
            ("6432", &port.to_string()),
            ("/etc/pgbouncer/users.txt", &dir.file("users.txt")),
        ];
        let config = format!(
            "{}\nunix_socket_dir =\nserver_round_robin = 1\nlogfile =\npidfile =\n",
            manual("pgbouncer", &places)
        );
        std::fs::write(dir.file("pgbouncer.ini"), config).unwrap();
        std::fs::write(
            dir.file("users.txt"),
            format!("\"{USER}\" \"{PASSWORD}\"\n"),
        )
        .unwrap();
        let mut command = unprivileged(Path::new(Self::PROGRAM));
        command
            .arg(dir.file("pgbouncer.ini"))
            .current_dir(dir.path());
        let mut process = Process::start(command);
        process.wait_for_log("process up");
        Self {
            _process: process,
            port,
            _dir: dir,
        }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }
}

/// The child processes of a process.
fn children_of(parent: u32) -> Vec<Pid> {
    let parent = parent.to_string();
    let entries = std::fs::read_dir("/proc").unwrap();
    let all = entries.filter_map(|entry| {
        let number = entry.unwrap().file_name().into_string().ok()?;
        Pid::from_raw(number.parse().ok()?)
    });
    all.filter(|pid| state_and_parent(*pid).is_some_and(|(_, of)| of == parent))
        .collect()
}

/// The state of a process as in /proc/PID/stat, and its parent.
fn state_and_parent(pid: Pid) -> Option<(String, String)> {
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", pid.as_raw_nonzero())).ok()?;
    let (_, after) = stat.rsplit_once(')')?;
    let mut words = after.split_whitespace().map(str::to_owned);
    Some((words.next()?, words.next()?))
}

/// The folder of the newest version, as in Debian.
fn newest_programs() -> PathBuf {
    let all = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten();
    let versions = all.filter_map(|entry| {
        let path = entry.ok()?.path();
        let version: u32 = path.file_name()?.to_str()?.parse().ok()?;
        path.join("bin/postgres")
            .exists()
            .then_some((version, path.join("bin")))
    });
    let newest = versions.max();
    newest
        .expect("PostgreSQL is not installed: run scripts/peers")
        .1
}

fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

fn unprivileged(program: &Path) -> Command {
    let mut command = Command::new(program);
    if is_root() {
        command.uid(NOBODY).gid(NOBODY);
    }
    command
}

fn give_away(path: &Path) {
    if is_root() {
        chown(path, Some(NOBODY), Some(NOBODY)).unwrap();
    }
}

#[track_caller]
fn done(output: Output, what: &str) -> String {
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{what}: {said}");
    String::from_utf8(output.stdout)
        .unwrap()
        .trim_end()
        .to_owned()
}
