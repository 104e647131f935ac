//! The recipes of `contrib` in the real daemons: each file, unchanged except for addresses and
//! paths, accepts the relay's messages and writes them where its comment describes.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};

use crate::support::{
    Authority, Hard, MICROSECONDS, Pair, Process, Relay, TempDir, free_port, hard_events,
    numbered_event, numbered_file, send, wait_for,
};

const HOST: &str = "ws-07.example.test";
const EVENTS: usize = 3;

/// A shipped file with these replacements, each of which must apply.
fn recipe(name: &str, places: &[(&str, &str)]) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("contrib");
    let mut text = std::fs::read_to_string(path.join(name)).unwrap();
    for (from, to) in places {
        assert!(text.contains(from), "{name} has no {from}");
        text = text.replace(from, to);
    }
    text
}

fn rsyslog(dir: &TempDir, config: &str, port: u16) -> Process {
    std::fs::write(dir.file("conf"), config).unwrap();
    let program = "/usr/sbin/rsyslogd";
    assert!(
        Path::new(program).exists(),
        "no rsyslogd: run scripts/peers"
    );
    let mut command = Command::new(program);
    command.args(["-n", "-f", &dir.file("conf"), "-i", &dir.file("pid")]);
    started(command, port)
}

fn syslog_ng(dir: &TempDir, config: &str, port: u16) -> Process {
    std::fs::write(dir.file("conf"), format!("@version: 3.35\n{config}")).unwrap();
    let program = concat!(env!("CARGO_MANIFEST_DIR"), "/target/peers/syslog-ng/run");
    assert!(
        Path::new(program).exists(),
        "no syslog-ng: run scripts/peers"
    );
    let mut command = Command::new(program);
    command
        .args(["--foreground", "--stderr", "--no-caps"])
        .args(["-f", &dir.file("conf"), "-R", &dir.file("persist")])
        .args(["-p", &dir.file("pid"), "-c", &dir.file("control")]);
    started(command, port)
}

fn started(command: Command, port: u16) -> Process {
    let mut process = Process::start(command);
    wait_for("the syslog server", || {
        assert!(process.is_running(), "it ended: {}", process.log());
        TcpStream::connect(("127.0.0.1", port)).ok()
    });
    process
}

/// Sends numbered events through a relay with this output.
fn forward(output: &str) {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--output", output]);
    send(&relay, &numbered_file(&dir, EVENTS), EVENTS, HOST);
}

/// Waits for all lines of a file, and returns them.
fn lines(path: &str) -> Vec<String> {
    wait_for(path, || {
        let text = std::fs::read_to_string(path).ok()?;
        let lines: Vec<_> = text.lines().map(str::to_owned).collect();
        (lines.len() >= EVENTS).then_some(lines)
    })
}

fn assert_text(path: &str) {
    let lines = lines(path);
    assert_eq!(lines.len(), EVENTS, "{lines:?}");
    for (number, line) in lines.iter().enumerate() {
        let data = format!("Sequence=\"{number}\"");
        assert!(line.contains(HOST) && line.contains(&data), "{line}");
    }
}

fn assert_json(path: &str) {
    for (number, line) in lines(path).iter().enumerate() {
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["host"], HOST, "{line}");
        let sequence = &event["sd"]["data@32473"]["Sequence"];
        assert_eq!(*sequence, number.to_string(), "{line}");
    }
}

#[test]
fn rsyslog_writes_a_file_for_each_host_from_relp_and_tls() {
    for (name, form) in [("relp", "log"), ("json", "json")] {
        let (dir, port) = (TempDir::new(), free_port());
        let places = [
            ("port=\"2514\"", format!("port=\"{port}\"")),
            ("/var/log/windows", dir.file("windows")),
        ];
        let places = places.each_ref().map(|(from, to)| (*from, to.as_str()));
        let config = recipe(&format!("rsyslog/wecrelay-{name}.conf"), &places);
        let _server = rsyslog(&dir, &config, port);
        forward(&format!("relp://127.0.0.1:{port}?max=256K"));
        let file = dir.file(&format!("windows/{HOST}.{form}"));
        match form {
            "json" => assert_json(&file),
            _ => assert_text(&file),
        }
    }
}

#[test]
fn rsyslog_takes_tls_from_the_relay_that_is_named() {
    let (dir, port) = (TempDir::new(), free_port());
    let authority = Authority::new("test authority");
    let (own, relay) = (
        authority.issue(&["127.0.0.1"]),
        authority.issue(&["relay.example.com"]),
    );
    let (ca, number) = (authority.file(), format!("port=\"{port}\""));
    let files = dir.file("windows");
    let places = [
        ("/etc/rsyslog.d/tls/ca.pem", ca.as_str()),
        ("/etc/rsyslog.d/tls/server.pem", &own.certificate),
        ("/etc/rsyslog.d/tls/server.key", &own.key),
        ("port=\"6514\"", &number),
        ("/var/log/windows", &files),
    ];
    let config = recipe("rsyslog/wecrelay-tls.conf", &places);
    let _server = rsyslog(&dir, &config, port);
    let (cert, key) = (&relay.certificate, &relay.key);
    forward(&format!(
        "tls://127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}&max=256K"
    ));
    assert_text(&dir.file(&format!("windows/{HOST}.log")));
}

#[test]
fn syslog_ng_writes_a_file_for_each_host() {
    for (name, form) in [("files", "log"), ("json", "json")] {
        let (dir, port) = (TempDir::new(), free_port());
        let (number, files) = (format!("port({port})"), dir.file("windows"));
        let places = [("port(601)", number.as_str()), ("/var/log/windows", &files)];
        let config = recipe(&format!("syslog-ng/wecrelay-{name}.conf"), &places);
        let _server = syslog_ng(&dir, &config, port);
        forward(&format!("tcp://127.0.0.1:{port}?max=256K"));
        let file = dir.file(&format!("windows/{HOST}.{form}"));
        match form {
            "json" => assert_json(&file),
            _ => assert_text(&file),
        }
    }
}

#[test]
fn syslog_ng_takes_tls_from_the_relay_that_is_named() {
    let (dir, port) = (TempDir::new(), free_port());
    let authority = Authority::new("test authority");
    let issue = |name| authority.issue(&[name]);
    let (own, relay, other) = (
        issue("127.0.0.1"),
        issue("relay.example.com"),
        issue("other.example.com"),
    );
    let (ca, number) = (authority.file(), format!("port({port})"));
    let files = dir.file("windows");
    let places = [
        ("/etc/syslog-ng/tls/ca.pem", ca.as_str()),
        ("/etc/syslog-ng/tls/server.pem", &own.certificate),
        ("/etc/syslog-ng/tls/server.key", &own.key),
        ("port(6514)", &number),
        ("/var/log/windows", &files),
    ];
    let config = recipe("syslog-ng/wecrelay-tls.conf", &places);
    let _server = syslog_ng(&dir, &config, port);
    let output = |by: &Pair| {
        let (cert, key) = (&by.certificate, &by.key);
        format!("tls://127.0.0.1:{port}?ca={ca}&cert={cert}&key={key}&max=256K")
    };
    let stranger = TempDir::new();
    let mut refused = Relay::start(&stranger, &["--output", &output(&other)]);
    refused.process.wait_for_log("trying again");
    forward(&output(&relay));
    assert_text(&dir.file(&format!("windows/{HOST}.log")));
}

/// An HTTP server that accepts everything, and returns path and body of requests with a body.
fn sink() -> (u16, Receiver<(String, String)>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let sender = sender.clone();
            std::thread::spawn(move || answer(stream, &sender));
        }
    });
    (port, receiver)
}

fn answer(stream: TcpStream, sender: &Sender<(String, String)>) -> Option<()> {
    let mut reader = BufReader::new(stream);
    let (mut first, mut length) = (String::new(), 0);
    reader.read_line(&mut first).ok()?;
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let line = line.trim().to_ascii_lowercase();
        if let Some(number) = line.strip_prefix("content-length:") {
            length = number.trim().parse().ok()?;
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    if length > 0 {
        let _ = sender.send((path, String::from_utf8(body).ok()?));
    }
    let text = r#"{"errors":false,"items":[],"text":"Success","code":0}"#;
    let head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nConnection: close";
    let length = text.len();
    write!(
        reader.into_inner(),
        "{head}\r\nContent-Length: {length}\r\n\r\n{text}"
    )
    .ok()
}

/// All bodies until every event is in them; each must have been posted to this path.
fn posted(receiver: &Receiver<(String, String)>, path: &str) -> String {
    let mut all = String::new();
    wait_for("the events at the sink", || {
        while let Ok((to, body)) = receiver.try_recv() {
            assert_eq!(to, path);
            all.push_str(&body);
            all.push('\n');
        }
        (all.matches("Sequence").count() >= EVENTS).then_some(())
    });
    all
}

/// Checks that each line is JSON, and that the events are in order.
fn assert_lines_of_json(body: &str, name: &str) {
    let lines = body.lines().filter(|line| !line.is_empty());
    let values: Vec<serde_json::Value> = lines
        .map(|line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}")))
        .collect();
    let sequences: Vec<_> = values
        .iter()
        .filter_map(|value| value.pointer(&format!("/{name}/data@32473/Sequence")))
        .collect();
    assert_eq!(sequences, ["0", "1", "2"], "{body}");
}

/// rsyslog with the recipe for Elasticsearch at port `http`; returns its own port, too.
fn elastic_rsyslog(dir: &TempDir, http: u16) -> (Process, u16) {
    let port = free_port();
    let (number, server) = (format!("port=\"{port}\""), format!("serverport=\"{http}\""));
    let spool = dir.path().display().to_string();
    let places = [
        ("port=\"2514\"", number.as_str()),
        ("serverport=\"9200\"", &server),
        ("/var/spool/rsyslog", &spool),
    ];
    let config = recipe("rsyslog/wecrelay-elastic.conf", &places);
    (rsyslog(dir, &config, port), port)
}

#[test]
fn rsyslog_hands_documents_to_elasticsearch() {
    let (dir, (http, receiver)) = (TempDir::new(), sink());
    let (_server, port) = elastic_rsyslog(&dir, http);
    forward(&format!("relp://127.0.0.1:{port}?max=256K"));
    let body = posted(&receiver, "/_bulk");
    assert_lines_of_json(&body, "winlog");
    // Elasticsearch 8 rejects a type.
    assert!(
        body.contains("\"create\"") && !body.contains("_type"),
        "{body}"
    );
}

/// The data that arrives at a path of the sink through a recipe with this URL, after `send` has
/// sent to an output.
fn posted_by_syslog_ng<T>(
    name: &str,
    url: &str,
    path: &str,
    send: impl Fn(&str),
    collect: impl Fn(&Receiver<(String, String)>) -> T,
) -> T {
    let (dir, port, (http, receiver)) = (TempDir::new(), free_port(), sink());
    let number = format!("port({port})");
    let here = format!("http://127.0.0.1:{http}{path}");
    let spool = dir.path().display().to_string();
    let places = [
        ("port(601)", number.as_str()),
        (url, &here),
        ("/var/lib/syslog-ng", &spool),
        // The queue file is allocated at its full size.
        ("disk-buf-size(4294967296)", "disk-buf-size(10485760)"),
        ("mem-buf-size(67108864)", "mem-buf-size(1048576)"),
    ];
    let config = recipe(&format!("syslog-ng/wecrelay-{name}.conf"), &places);
    let _server = syslog_ng(&dir, &config, port);
    send(&format!("tcp://127.0.0.1:{port}?max=256K"));
    collect(&receiver)
}

/// The same for numbered events.
fn by_syslog_ng(name: &str, url: &str, path: &str) -> String {
    posted_by_syslog_ng(name, url, path, forward, |receiver| posted(receiver, path))
}

#[test]
fn syslog_ng_hands_documents_to_elasticsearch() {
    let path = "/logs-windows-default/_bulk";
    let body = by_syslog_ng("elastic", &format!("http://127.0.0.1:9200{path}"), path);
    assert_lines_of_json(&body, "winlog");
}

#[test]
fn syslog_ng_hands_events_to_splunk() {
    let path = "/services/collector/event";
    let body = by_syslog_ng("splunk", &format!("https://127.0.0.1:8088{path}"), path);
    assert_lines_of_json(&body, "event");
}

#[test]
fn syslog_ng_pushes_lines_to_loki() {
    let path = "/loki/api/v1/push";
    let body = by_syslog_ng("loki", &format!("http://127.0.0.1:3100{path}"), path);
    let mut sequences = Vec::new();
    for request in body.lines().filter(|line| !line.is_empty()) {
        let push: serde_json::Value = serde_json::from_str(request).unwrap();
        for stream in push["streams"].as_array().unwrap() {
            assert_eq!(stream["stream"]["host"], HOST);
            let line = stream["values"][0][1].as_str().unwrap();
            let event: serde_json::Value = serde_json::from_str(line).unwrap();
            sequences.push(event["sd"]["data@32473"]["Sequence"].clone());
        }
    }
    assert_eq!(sequences, ["0", "1", "2"], "{body}");
}

/// Sends difficult events through a relay with this output.
fn forward_hard(output: &str, events: &[Hard]) {
    let dir = TempDir::new();
    let relay = Relay::start(&dir, &["--output", output, "--allow-unencrypted"]);
    let mut source = relay.source(HOST);
    let offer = source.subscribe();
    for batch in events.chunks(5) {
        let batch: Vec<String> = batch.iter().map(|event| event.xml.clone()).collect();
        wait_for("an Ack", || source.deliver(&offer, &batch, 1).then_some(()));
    }
}

/// Where a recipe writes the parts of a message.
struct Places {
    /// The object with structured data.
    data: &'static str,
    provider: &'static str,
    process: &'static str,
    message: &'static str,
    time: Option<&'static str>,
}

/// Checks that a recipe's documents contain every field of every event.
fn assert_hard(documents: &[serde_json::Value], places: &Places) {
    let events = hard_events();
    assert_eq!(documents.len(), events.len());
    for event in &events {
        let number = event.number.to_string();
        let record = format!("{}/event@32473/EventRecordID", places.data);
        let found = documents
            .iter()
            .find(|d| d.pointer(&record).is_some_and(|r| *r == number));
        let document = found.unwrap_or_else(|| panic!("no event {number}"));
        let text = |place: &str| {
            let value = document.pointer(place).unwrap_or(&serde_json::Value::Null);
            value.as_str().unwrap_or_default().to_owned()
        };
        let sd = |element: &str, name: &str| {
            let element = document.pointer(places.data).and_then(|sd| sd.get(element));
            let value = element.and_then(|element| element.get(name));
            let value = value.and_then(serde_json::Value::as_str);
            value.unwrap_or_default().to_owned()
        };
        assert_eq!(text(places.provider), event.provider, "{number}");
        assert_eq!(text(places.process), event.process_id, "{number}");
        if let Some(time) = places.time
            && !event.facts.iter().any(|(name, _)| *name == "TimestampFrom")
        {
            assert!(
                text(time).starts_with(MICROSECONDS),
                "{number}: {}",
                text(time)
            );
        }
        for (name, value) in event.all_facts() {
            assert_eq!(sd("event@32473", name), value, "{number} {name}");
        }
        for (name, value) in &event.data {
            assert_eq!(sd("data@32473", name), *value, "{number} {name}");
        }
        for part in &event.in_message {
            assert!(text(places.message).contains(part), "{number}: {part}");
        }
    }
    let uids: std::collections::HashSet<_> = documents
        .iter()
        .map(|d| {
            d.pointer(&format!("{}/event@32473/Uid", places.data))
                .unwrap()
                .to_string()
        })
        .collect();
    assert_eq!(uids.len(), events.len());
}

/// Checks that each event is in a text file, with line ends as the recipe writes them.
fn assert_hard_text(path: &str, written: impl Fn(&str) -> String) {
    let events = hard_events();
    let text = wait_for(path, || {
        let text = std::fs::read_to_string(path).ok()?;
        let last = format!("EventRecordID=\"{}\"", events.last()?.number);
        (text.contains(&last) && text.ends_with('\n')).then_some(text)
    });
    for event in &events {
        let number = format!("EventRecordID=\"{}\"", event.number);
        assert_eq!(text.matches(&number).count(), 1, "{number}");
        let data = event.data.iter().map(|(name, value)| (&**name, &**value));
        for (name, value) in event.all_facts().chain(data) {
            let value = value
                .replace('\\', "\\\\")
                .replace('"', "\\\"")
                .replace(']', "\\]");
            let param = format!(" {name}=\"{}\"", written(&value));
            let line = text.lines().find(|line| line.contains(&number));
            assert!(text.contains(&param), "{param} is not in {line:?}");
        }
        for part in &event.in_message {
            assert!(text.contains(&written(part)), "{}: {part}", event.number);
        }
    }
    assert!(text.contains(MICROSECONDS));
}

fn json_lines(path: &str, count: usize) -> Vec<serde_json::Value> {
    let text = wait_for(path, || {
        let text = std::fs::read_to_string(path).ok()?;
        (text.matches('\n').count() >= count).then_some(text)
    });
    let parse = |line| serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
    text.lines().map(parse).collect()
}

const FILE_OF_JSON: Places = Places {
    data: "/sd",
    provider: "/provider",
    process: "/process_id",
    message: "/message",
    time: Some("/@timestamp"),
};

#[test]
fn every_field_of_hard_events_is_in_what_rsyslog_writes() {
    let events = hard_events();
    for (name, form) in [("relp", "log"), ("json", "json")] {
        let (dir, port) = (TempDir::new(), free_port());
        let places = [
            ("port=\"2514\"", format!("port=\"{port}\"")),
            ("/var/log/windows", dir.file("windows")),
        ];
        let places = places.each_ref().map(|(from, to)| (*from, to.as_str()));
        let config = recipe(&format!("rsyslog/wecrelay-{name}.conf"), &places);
        let mut server = rsyslog(&dir, &config, port);
        forward_hard(&format!("relp://127.0.0.1:{port}?max=256K"), &events);
        let file = dir.file(&format!("windows/{HOST}.{form}"));
        match form {
            "json" => assert_hard(&json_lines(&file, events.len()), &FILE_OF_JSON),
            _ => assert_hard_text(&file, |text| {
                let number = |c: char| {
                    if c.is_ascii_control() {
                        format!("#{:03}", u32::from(c))
                    } else {
                        c.to_string()
                    }
                };
                text.chars().map(number).collect()
            }),
        }
        assert!(server.is_running(), "{}", server.log());
    }
}

/// With `?sd=whole`, a value can exceed the limits of this rsyslog: then it is not parsed, and
/// the daemon continues to run.
#[test]
fn rsyslog_survives_structured_data_that_is_not_bounded() {
    let (dir, port) = (TempDir::new(), free_port());
    let places = [
        ("port=\"2514\"", format!("port=\"{port}\"")),
        ("/var/log/windows", dir.file("windows")),
    ];
    let places = places.each_ref().map(|(from, to)| (*from, to.as_str()));
    let config = recipe("rsyslog/wecrelay-json.conf", &places);
    let mut server = rsyslog(&dir, &config, port);
    let lengths = [100, 31_000, 33_000, 60_000, 100_000, 200];
    let xml = |(number, length): (usize, usize)| {
        let value = "v".repeat(length);
        numbered_event(number).replace("::ffff:192.0.2.10;", &value)
    };
    let relays = TempDir::new();
    let output = format!("relp://127.0.0.1:{port}?max=256K&sd=whole");
    let relay = Relay::start(&relays, &["--output", &output, "--allow-unencrypted"]);
    let mut source = relay.source(HOST);
    let offer = source.subscribe();
    for event in lengths.into_iter().enumerate().map(xml) {
        let batch = std::slice::from_ref(&event);
        wait_for("an Ack", || source.deliver(&offer, batch, 1).then_some(()));
    }
    let path = dir.file(&format!("windows/{HOST}.json"));
    for (line, length) in json_lines(&path, lengths.len()).iter().zip(lengths) {
        let value = "v".repeat(length);
        let parsed = &line["sd"]["data@32473"]["QueryResults"];
        let text = line["sd"]["unparsed"].as_str().unwrap_or_default();
        assert!(
            line["message"].as_str().unwrap().contains(&value),
            "{length}"
        );
        match length {
            ..32_000 => assert!(*parsed == value && text.is_empty(), "{length}"),
            32_000..65_000 => assert!(parsed.is_null() && text.contains(&value), "{length}"),
            // It stores the length of the text in 16 bits, too.
            _ => assert!(parsed.is_null() && !text.is_empty(), "{length}"),
        }
    }
    assert!(server.is_running(), "{}", server.log());
}

#[test]
fn every_field_of_hard_events_is_in_what_syslog_ng_writes() {
    let events = hard_events();
    for (name, form) in [("files", "log"), ("json", "json")] {
        let (dir, port) = (TempDir::new(), free_port());
        let (number, files) = (format!("port({port})"), dir.file("windows"));
        let places = [("port(601)", number.as_str()), ("/var/log/windows", &files)];
        let config = recipe(&format!("syslog-ng/wecrelay-{name}.conf"), &places);
        let _server = syslog_ng(&dir, &config, port);
        forward_hard(&format!("tcp://127.0.0.1:{port}?max=256K"), &events);
        let file = dir.file(&format!("windows/{HOST}.{form}"));
        match form {
            "json" => assert_hard(&json_lines(&file, events.len()), &FILE_OF_JSON),
            _ => assert_hard_text(&file, |text| {
                // A line that already begins with a tab does not get another one.
                text.replace("\n\t", "\n").replace('\n', "\n\t")
            }),
        }
    }
}

/// All documents at the sink, which `take` extracts from the lines of its bodies.
fn documents(
    receiver: &Receiver<(String, String)>,
    path: &str,
    count: usize,
    take: impl Fn(serde_json::Value) -> Vec<serde_json::Value>,
) -> Vec<serde_json::Value> {
    let mut all = Vec::new();
    wait_for("the events at the sink", || {
        while let Ok((to, body)) = receiver.try_recv() {
            assert_eq!(to, path);
            for line in body.lines().filter(|line| !line.is_empty()) {
                let value = serde_json::from_str(line).unwrap_or_else(|e| panic!("{e}: {line}"));
                all.extend(take(value));
            }
        }
        (all.len() >= count).then_some(())
    });
    all
}

/// Checks that each action of a bulk request has the event's ID; returns the documents.
fn assert_ids(lines: &[serde_json::Value]) -> Vec<serde_json::Value> {
    let (actions, documents): (Vec<_>, Vec<_>) = lines
        .iter()
        .cloned()
        .partition(|line| line.get("create").is_some());
    for (action, document) in actions.iter().zip(&documents) {
        assert_eq!(
            action["create"]["_id"],
            document["winlog"]["event@32473"]["Uid"]
        );
    }
    assert_eq!(actions.len(), documents.len());
    documents
}

#[test]
fn every_field_of_hard_events_is_in_what_elasticsearch_gets() {
    let (dir, (http, receiver)) = (TempDir::new(), sink());
    let (_server, port) = elastic_rsyslog(&dir, http);
    forward_hard(&format!("relp://127.0.0.1:{port}?max=256K"), &hard_events());
    let count = hard_events().len();
    let lines = documents(&receiver, "/_bulk", 2 * count, |line| vec![line]);
    let places = Places {
        data: "/winlog",
        provider: "/event.provider",
        process: "/process.pid",
        message: "/message",
        time: Some("/@timestamp"),
    };
    assert_hard(&assert_ids(&lines), &places);
}

#[test]
fn every_field_of_hard_events_is_in_what_syslog_ng_posts() {
    let events = hard_events();
    let path = "/logs-windows-default/_bulk";
    let url = format!("http://127.0.0.1:9200{path}");
    let lines = posted_by_syslog_ng(
        "elastic",
        &url,
        path,
        |output| forward_hard(output, &events),
        |r| documents(r, path, 2 * events.len(), |line| vec![line]),
    );
    let nested = Places {
        data: "/winlog",
        provider: "/event/provider",
        process: "/process/pid",
        message: "/message",
        time: Some("/@timestamp"),
    };
    assert_hard(&assert_ids(&lines), &nested);

    let path = "/services/collector/event";
    let url = format!("https://127.0.0.1:8088{path}");
    let lines = posted_by_syslog_ng(
        "splunk",
        &url,
        path,
        |output| forward_hard(output, &events),
        |r| documents(r, path, events.len(), |line| vec![line]),
    );
    let splunk = Places {
        data: "/event",
        provider: "/event/provider",
        process: "/event/process_id",
        message: "/event/message",
        time: None,
    };
    assert_hard(&lines, &splunk);
    let times = lines
        .iter()
        .filter(|line| line["time"] == "1767323045.123456");
    // One event has no time.
    assert_eq!(times.count(), events.len() - 1);

    let path = "/loki/api/v1/push";
    let url = format!("http://127.0.0.1:3100{path}");
    let lines = posted_by_syslog_ng(
        "loki",
        &url,
        path,
        |output| forward_hard(output, &events),
        |r| {
            documents(r, path, events.len(), |push| {
                let streams = push["streams"].as_array().unwrap().iter();
                let line = |stream: &serde_json::Value| {
                    serde_json::from_str(stream["values"][0][1].as_str().unwrap()).unwrap()
                };
                streams.map(line).collect()
            })
        },
    );
    let loki = Places {
        time: None,
        ..FILE_OF_JSON
    };
    assert_hard(&lines, &loki);
}
