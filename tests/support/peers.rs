//! Real syslog servers, each with its own configuration in a temporary folder.
//! They write each message, as parsed by their own parsers, as a line of JSON.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;

use serde_json::{Map, Value};

use super::{
    Authority, Line, LineEnds, Pair, Process, Relay, TempDir, assert_samples, free_port,
    numbered_file, samples, send, send_samples, wait_for,
};

/// The start of each record, which does not occur in any value.
const START: &str = "{\"hostname\":\"";

/// One message as parsed by the server.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) hostname: String,
    pub(crate) app_name: String,
    pub(crate) process_id: String,
    pub(crate) message_id: String,
    pub(crate) priority: u8,
    pub(crate) message: String,
    /// SD-ID to parameters, as an object.
    pub(crate) elements: Value,
}

impl Record {
    /// A parameter of the element whose SD-ID starts with `id`.
    pub(crate) fn value(&self, id: &str, name: &str) -> Option<&str> {
        let elements = self.elements.as_object()?;
        let (_, parameters) = elements
            .iter()
            .find(|(key, _)| key.split('@').next() == Some(id))?;
        parameters.get(name)?.as_str()
    }

    fn parse(line: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(line).ok()?;
        let text = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        Some(Self {
            hostname: text("hostname"),
            app_name: text("app_name"),
            process_id: text("process_id"),
            message_id: text("message_id"),
            priority: text("priority").parse().unwrap(),
            message: text("message"),
            elements: value["elements"].clone(),
        })
    }
}

impl From<&Line> for Record {
    fn from(line: &Line) -> Self {
        let mut elements = Map::new();
        for (id, parameters) in &line.elements {
            let parameters: Map<String, Value> = parameters
                .iter()
                .map(|(name, value)| (name.clone(), value.as_str().into()))
                .collect();
            elements.insert(id.clone(), parameters.into());
        }
        Self {
            hostname: line.hostname.clone(),
            app_name: line.app_name.clone(),
            process_id: line.process_id.clone(),
            message_id: line.message_id.clone(),
            priority: line.priority,
            message: line.message.clone(),
            elements: elements.into(),
        }
    }
}

/// A server and its output.
pub(crate) struct Server {
    dir: TempDir,
    port: u16,
    command: fn(&TempDir) -> Command,
    process: Process,
}

impl Server {
    pub(super) fn start(
        config: impl Fn(&TempDir, u16) -> String,
        command: fn(&TempDir) -> Command,
    ) -> Self {
        let dir = TempDir::new();
        let port = free_port();
        std::fs::write(dir.file("conf"), config(&dir, port)).unwrap();
        let process = Process::start(command(&dir));
        let mut server = Self {
            dir,
            port,
            command,
            process,
        };
        server.wait_until_ready();
        server
    }

    fn wait_until_ready(&mut self) {
        wait_for("the syslog server", || {
            let running = self.process.is_running();
            assert!(running, "the syslog server ended: {}", self.process.log());
            TcpStream::connect(("127.0.0.1", self.port)).ok()
        });
    }

    /// The path of a file in its folder.
    pub(super) fn file(&self, name: &str) -> String {
        self.dir.file(name)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Kills the server with SIGKILL and starts it again with the same output file.
    pub(crate) fn kill_and_restart(&mut self) {
        self.kill();
        self.restart();
    }

    pub(crate) fn signal(&self, signal: rustix::process::Signal) {
        self.process.signal(signal);
    }

    /// Kills the server with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts the same server again after [`Server::kill`].
    pub(crate) fn restart(&mut self) {
        // The killed server could not remove it, and a new one would not start.
        let _ = std::fs::remove_file(self.dir.file("pid"));
        self.process = Process::start((self.command)(&self.dir));
        self.wait_until_ready();
    }

    /// Calls `take` with every message written so far. If a killed server has left an
    /// incomplete line, its successor continues in that line.
    pub(crate) fn each_record(&self, mut take: impl FnMut(Record)) {
        let file = std::fs::File::open(self.dir.file("records"));
        let lines = file
            .map(BufReader::new)
            .into_iter()
            .flat_map(BufReader::lines);
        for line in lines.map_while(Result::ok) {
            let last = line.rfind(START).unwrap_or(0);
            if let Some(record) = Record::parse(&line).or_else(|| Record::parse(&line[last..])) {
                take(record);
            }
        }
    }

    /// Waits for at least `count` messages, and returns all that have arrived.
    #[track_caller]
    pub(crate) fn wait_for(&self, count: usize) -> Vec<Record> {
        let text = wait_for(&format!("{count} records of the syslog server"), || {
            let text = std::fs::read_to_string(self.dir.file("records")).ok()?;
            (text.matches('\n').count() >= count).then_some(text)
        });
        // A server that was killed may have left an incomplete line.
        text.lines().filter_map(Record::parse).collect()
    }

    /// Sends the samples through a relay with these arguments, then one more event, to check
    /// that there are no duplicates before it.
    #[track_caller]
    pub(crate) fn check_samples(&self, arguments: &[&str], line_ends: LineEnds) {
        let dir = TempDir::new();
        let relay = Relay::start(&dir, arguments);
        send_samples(&relay);
        let count = samples().len();
        self.wait_for(count);
        send(&relay, &numbered_file(&dir, 1), 1, "ws-07.example.test");
        let mut records = self.wait_for(count + 1);
        let last = records.pop().unwrap();
        assert_eq!(last.value("data", "Sequence"), Some("0"), "{last:?}");
        assert_samples(&records, line_ends);
    }

    /// The numbered events that have arrived.
    pub(crate) fn sequences(&self) -> std::collections::BTreeSet<usize> {
        let records = self.wait_for(0);
        let number = |record: &Record| record.value("data", "Sequence")?.parse().ok();
        records.iter().filter_map(number).collect()
    }

    /// Waits until `done` returns true for all messages that have arrived.
    #[track_caller]
    pub(crate) fn wait_until(&self, what: &str, done: impl Fn(&[Record]) -> bool) -> Vec<Record> {
        wait_for(what, || {
            let records = self.wait_for(0);
            done(&records).then_some(records)
        })
    }
}

/// rsyslogd with some input.
pub(crate) struct Rsyslog;

impl Rsyslog {
    /// Octet-counted and plain TCP on one port, UDP on the same number.
    pub(crate) fn start() -> Server {
        Self::with(
            "",
            r#"
module(load="imtcp")
module(load="imudp")
input(type="imtcp" address="127.0.0.1" port="PORT" ruleset="in")
input(type="imudp" address="127.0.0.1" port="PORT" ruleset="in")
"#,
        )
    }

    /// TCP with TLS by GnuTLS; clients must have a certificate of `authority` for `peer`.
    pub(crate) fn tls(authority: &Authority, own: &Pair, peer: &str) -> Server {
        let globals = format!(
            r#"defaultNetstreamDriver="gtls" defaultNetstreamDriverCAFile="{}"
defaultNetstreamDriverCertFile="{}" defaultNetstreamDriverKeyFile="{}""#,
            authority.file(),
            own.certificate,
            own.key
        );
        let input = format!(
            r#"
module(load="imtcp" streamDriver.name="gtls" streamDriver.mode="1"
    streamDriver.authMode="x509/name" permittedPeer=["{peer}"])
input(type="imtcp" address="127.0.0.1" port="PORT" ruleset="in")
"#
        );
        Self::with(&globals, &input)
    }

    pub(crate) fn relp() -> Server {
        Self::relp_of("256k")
    }

    /// RELP for messages up to this size; at a longer message, it ends the session.
    pub(crate) fn relp_of(size: &str) -> Server {
        let input = format!(
            r#"
module(load="imrelp" ruleset="in")
input(type="imrelp" address="127.0.0.1" port="PORT" maxDataSize="{size}" oversizeMode="abort")
"#
        );
        let end = format!("maxMessageSize=\"{size}\"");
        Self::with(&end, &input)
    }

    /// RELP with TLS; clients must have a certificate of `authority` for `peer`.
    pub(crate) fn relp_tls(authority: &Authority, own: &Pair, peer: &str) -> Server {
        let input = format!(
            r#"
module(load="imrelp" ruleset="in")
input(type="imrelp" address="127.0.0.1" port="PORT" tls="on" tls.caCert="{}" tls.myCert="{}"
    tls.myPrivKey="{}" tls.authMode="name" tls.permittedPeer=["{peer}"])
"#,
            authority.file(),
            own.certificate,
            own.key
        );
        Self::with("", &input)
    }

    /// `PORT` is replaced by the port.
    fn with(globals: &str, input: &str) -> Server {
        Server::start(
            |dir, port| rsyslog_config(dir, globals, &input.replace("PORT", &port.to_string())),
            |dir| {
                let program = "/usr/sbin/rsyslogd";
                let installed = Path::new(program).exists();
                assert!(installed, "rsyslogd is not installed: run scripts/peers");
                let mut command = Command::new(program);
                command.args(["-n", "-f", &dir.file("conf"), "-i", &dir.file("pid")]);
                command
            },
        )
    }
}

/// Without a queue in memory, so that confirmed messages are in the file.
fn rsyslog_config(dir: &TempDir, globals: &str, input: &str) -> String {
    let work = dir.path().display();
    let size = if globals.contains("maxMessageSize") {
        ""
    } else {
        "maxMessageSize=\"256k\""
    };
    format!(
        r#"
global(workDirectory="{work}" {size} parser.escapeControlCharactersOnReceive="off"
    {globals})
module(load="mmpstrucdata")
template(name="json" type="list") {{
    constant(value="{{\"hostname\":\"") property(name="hostname" format="json")
    constant(value="\",\"app_name\":\"") property(name="app-name" format="json")
    constant(value="\",\"process_id\":\"") property(name="procid" format="json")
    constant(value="\",\"message_id\":\"") property(name="msgid" format="json")
    constant(value="\",\"priority\":\"") property(name="pri" format="json")
    constant(value="\",\"message\":\"") property(name="msg" format="json")
    constant(value="\",\"elements\":") property(name="$!rfc5424-sd")
    constant(value="}}\n")
}}
ruleset(name="in" queue.type="Direct") {{
    action(type="mmpstrucdata" sd_name.lowercase="off")
    action(type="omfile" file="{work}/records" template="json")
}}
{input}
"#
    )
}

/// syslog-ng from `scripts/peers`, with one source of the given kind.
pub(crate) struct SyslogNg;

impl SyslogNg {
    /// Octet-counted frames over TCP.
    pub(crate) fn octet_counting() -> Server {
        Self::start("syslog(transport(\"tcp\")")
    }

    /// RFC 5424 messages in lines over TCP.
    pub(crate) fn lines() -> Server {
        Self::start("network(transport(\"tcp\") flags(syslog-protocol)")
    }

    /// Datagrams, and an additional TCP port that shows when it is up.
    pub(crate) fn udp() -> Server {
        Self::start("syslog(transport(\"udp\")")
    }

    /// Octet-counted frames over TLS; clients need a certificate of `authority`.
    pub(crate) fn tls(authority: &Authority, own: &Pair) -> Server {
        Self::start(&format!(
            r#"syslog(transport("tls") tls(key-file("{}") cert-file("{}") ca-file("{}") peer-verify(required-trusted))"#,
            own.key,
            own.certificate,
            authority.file()
        ))
    }

    fn start(source: &str) -> Server {
        Server::start(
            |dir, port| syslog_ng_config(dir, port, source),
            |dir| {
                let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/syslog-ng/run");
                let installed = Path::new(program).exists();
                assert!(installed, "syslog-ng is not installed: run scripts/peers");
                let mut command = Command::new(program);
                command
                    .args(["--foreground", "--stderr", "--no-caps"])
                    .args(["-f", &dir.file("conf"), "-R", &dir.file("persist")])
                    .args(["-p", &dir.file("pid"), "-c", &dir.file("control")]);
                command
            },
        )
    }
}

fn syslog_ng_config(dir: &TempDir, port: u16, source: &str) -> String {
    let work = dir.path().display();
    // The additional TCP source only shows that the program is up.
    let ready = if source.contains("udp") {
        format!("source ready {{ syslog(transport(\"tcp\") ip(127.0.0.1) port({port})); }};")
    } else {
        String::new()
    };
    let also = if ready.is_empty() {
        ""
    } else {
        "source(ready);"
    };
    format!(
        r#"@version: 3.38
options {{ keep-hostname(yes); use-dns(no); log-msg-size(262144); stats-freq(0); mark-freq(0); }};
source in {{ {source} ip(127.0.0.1) port({port})); }};
{ready}
template json {{
    template("$(format-json --scope none hostname=$HOST app_name=$PROGRAM process_id=$PID message_id=$MSGID priority=$PRI message=$MESSAGE --key .SDATA.* --rekey .SDATA.* --shift 7 --add-prefix elements.)\n");
}};
destination out {{ file("{work}/records" template(json)); }};
log {{ source(in); {also} destination(out); flags(flow-control); }};
"#
    )
}
