//! A Kerberos realm for a test: MIT's KDC on loopback, with all its files in one folder.

use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, Output};

use super::{Process, TempDir, free_port, wait_for};

const REALM: &str = "EXAMPLE.TEST";
/// The service that curl requests when it connects to `localhost`.
pub(crate) const SERVICE: &str = "HTTP/localhost";
/// The account of the host.
pub(crate) const HOST: &str = "WIN10$";

/// A running KDC with one host and one service.
pub(crate) struct Kdc {
    dir: TempDir,
    _process: Process,
}

impl Kdc {
    /// A realm whose service has keys of these enctypes only.
    #[track_caller]
    pub(crate) fn start(enctypes: &str) -> Self {
        let dir = TempDir::new();
        let port = free_port();
        write_configuration(&dir, port);
        let environment = Environment(&dir);
        environment.run("kdb5_util", &["-r", REALM, "-P", "secret", "create", "-s"]);
        let mut command = environment.command("krb5kdc");
        command.args(["-n", "-r", REALM]);
        let process = Process::start(command);
        wait_for("the KDC's port", || {
            TcpStream::connect(("127.0.0.1", port)).ok()
        });
        let kdc = Self {
            dir,
            _process: process,
        };
        kdc.administer(&format!("addprinc -randkey {HOST}"));
        kdc.administer(&format!("ktadd -k {} {HOST}", kdc.dir.file("host.keytab")));
        kdc.add_service(SERVICE, enctypes);
        kdc
    }

    /// Adds a service, and its keys to the collector's keytab.
    #[track_caller]
    pub(crate) fn add_service(&self, name: &str, enctypes: &str) {
        let salts = enctypes.split(',').map(|e| format!("{e}:normal"));
        let salts = salts.collect::<Vec<_>>().join(",");
        self.administer(&format!("addprinc -randkey -e {salts} {name}"));
        self.export(name, "collector.keytab");
    }

    /// Adds a service's current keys to a file.
    #[track_caller]
    pub(crate) fn export(&self, name: &str, file: &str) {
        let file = self.dir.file(file);
        self.administer(&format!("ktadd -norandkey -k {file} {name}"));
    }

    /// Creates new keys for a service, with the next version number.
    #[track_caller]
    pub(crate) fn renew(&self, name: &str) {
        self.administer(&format!("cpw -randkey -keepold {name}"));
    }

    /// Runs a command of kadmin.
    #[track_caller]
    fn administer(&self, query: &str) {
        let output = self
            .environment()
            .run("kadmin.local", &["-r", REALM, "-q", query]);
        // Its exit status is 0 even after an error.
        let errors = String::from_utf8_lossy(&output.stderr);
        let wrong = errors
            .lines()
            .find(|line| line.contains(": ") && !line.starts_with("No policy"));
        assert!(wrong.is_none(), "{query}: {errors}");
    }

    /// Gets a ticket-granting ticket for the host, with which it can get service tickets.
    #[track_caller]
    pub(crate) fn log_on(&self, lifetime: &str) {
        let keytab = self.dir.file("host.keytab");
        let arguments = ["-l", lifetime, "-k", "-t", &keytab, HOST];
        self.environment().run("kinit", &arguments);
    }

    /// Adds a user, and logs on as that user.
    #[track_caller]
    pub(crate) fn log_on_as(&self, name: &str) {
        let keytab = self.dir.file(&format!("{name}.keytab"));
        self.administer(&format!("addprinc -randkey {name}"));
        self.administer(&format!("ktadd -k {keytab} {name}"));
        self.environment()
            .run("kinit", &["-k", "-t", &keytab, name]);
    }

    /// Gets a service ticket, which is used until the next logon.
    #[track_caller]
    pub(crate) fn fetch_ticket(&self, service: &str) {
        self.environment().run("kvno", &["-q", service]);
    }

    /// The collector's keytab.
    pub(crate) fn keytab(&self) -> String {
        self.dir.file("collector.keytab")
    }

    /// The path of a file in its folder.
    pub(crate) fn file(&self, name: &str) -> String {
        self.dir.file(name)
    }

    /// The command of a client program with the host's tickets.
    pub(crate) fn client(&self, program: &str) -> Command {
        self.environment().command(program)
    }

    fn environment(&self) -> Environment<'_> {
        Environment(&self.dir)
    }
}

/// Environment variables that restrict MIT's programs to the folder.
struct Environment<'a>(&'a TempDir);

impl Environment<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(find(program));
        command
            .env("KRB5_CONFIG", self.0.file("krb5.conf"))
            .env("KRB5_KDC_PROFILE", self.0.file("kdc.conf"))
            .env("KRB5CCNAME", format!("FILE:{}", self.0.file("tickets")))
            .env("KRB5RCACHENAME", "none:")
            .current_dir(self.0.path());
        command
    }

    #[track_caller]
    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let output = self.command(program).args(arguments).output();
        let output = output.unwrap_or_else(|error| panic!("{program}: {error}"));
        assert!(
            output.status.success(),
            "{program} {arguments:?}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        output
    }
}

/// The path of a daemon, which is not in every user's `PATH`.
#[track_caller]
fn find(program: &str) -> PathBuf {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", "/usr/local/bin"];
    let mut paths = folders
        .iter()
        .map(|folder| PathBuf::from(folder).join(program));
    paths
        .find(|path| path.exists())
        .unwrap_or_else(|| panic!("no {program} here: run scripts/peers"))
}

fn write_configuration(dir: &TempDir, port: u16) {
    let folder = dir.path().display();
    let enctypes = "aes256-cts-hmac-sha384-192 aes128-cts-hmac-sha256-128 \
                    aes256-cts-hmac-sha1-96 aes128-cts-hmac-sha1-96 rc4-hmac";
    let client = format!(
        "[libdefaults]
            default_realm = {REALM}
            dns_lookup_realm = false
            dns_lookup_kdc = false
            dns_canonicalize_hostname = false
            rdns = false
            udp_preference_limit = 1
            allow_rc4 = true
            permitted_enctypes = {enctypes}
        [realms]
            {REALM} = {{
                kdc = 127.0.0.1:{port}
            }}
        [domain_realm]
            localhost = {REALM}
        "
    );
    let server = format!(
        "[kdcdefaults]
            kdc_listen = 127.0.0.1:{port}
            kdc_tcp_listen = 127.0.0.1:{port}
        [realms]
            {REALM} = {{
                database_name = {folder}/principal
                key_stash_file = {folder}/stash
                acl_file = {folder}/acl
                supported_enctypes = aes256-cts-hmac-sha1-96:normal
                max_life = 10h
            }}
        [logging]
            kdc = FILE:{folder}/kdc.log
        "
    );
    std::fs::write(dir.file("krb5.conf"), client).unwrap();
    std::fs::write(dir.file("kdc.conf"), server).unwrap();
    std::fs::write(dir.file("acl"), "").unwrap();
}
