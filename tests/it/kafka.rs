//! Output to Kafka: a real broker (tansu), librdkafka's mock cluster for cases that a single
//! broker in memory does not cover, and a proxy with scramp in front of tansu for
//! authentication. Every event arrives, and the events of a host in order.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;

use rustix::process::Signal;
use serde_json::Value;

use crate::support::{
    Authority, Haproxy, KafkaReader, KafkaRecord, LineEnds, LoginListener, MockCluster, Offer,
    Proxy, Record, Relay, Source, Tansu, TansuProxy, TempDir, assert_samples, free_port,
    numbered_event, parse_line, run, samples, send_samples, wait_for,
};

const MACHINE: &str = "ws-07.example.test";
const BATCH: usize = 10;

#[test]
fn a_broker_gets_every_event_once_whatever_the_compression() {
    let broker = Tansu::start(3, &[]);
    let reader = KafkaReader::start(&broker.brokers(), &[]);
    for (round, compression) in ["none", "gzip", "lz4", "zstd"].iter().enumerate() {
        let dir = TempDir::new();
        let output = format!(
            "kafka://{}/events?compress={compression}&message=text&header=rfc5424",
            broker.brokers()
        );
        let relay = Relay::start(&dir, &["--output", &output]);
        send_samples(&relay);
        let count = samples().len();
        let records = reader.wait_for((round + 1) * count);
        let records: Vec<_> = records.iter().skip(round * count).collect();
        let lines: Vec<Record> = records.iter().map(|r| syslog_record(r)).collect();
        assert_samples(&lines, LineEnds::Kept);
        for (record, line) in records.iter().zip(&lines) {
            assert_eq!(record.key, line.hostname, "{record:?}");
            assert_eq!(record.headers["host"], line.hostname);
            assert_eq!(record.headers.get("event_id").unwrap(), &line.message_id);
        }
    }
}

fn syslog_record(record: &KafkaRecord) -> Record {
    Record::from(&parse_line(record.value.as_bytes()).unwrap())
}

#[test]
fn nothing_is_lost_and_hosts_stay_in_order_while_the_broker_stops_and_connections_are_cut() {
    let port = free_port();
    let proxy = Proxy::to(port);
    let broker = Tansu::start_behind(port, proxy.port(), 3, &[]);
    let dir = TempDir::new();
    let output = format!("kafka://127.0.0.1:{}/events", proxy.port());
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let hosts: Vec<_> = (0..3).map(|n| format!("ws-{n}.example.test")).collect();
    let mut sources: Vec<_> = hosts.iter().map(|host| subscribe(&relay, host)).collect();
    for batch in 0..40 {
        match batch % 10 {
            3 => proxy.strike(crate::support::Fault::Cut),
            5 => proxy.strike(crate::support::Fault::Reset),
            8 => {
                broker.signal(Signal::STOP);
                std::thread::sleep(std::time::Duration::from_millis(700));
                broker.signal(Signal::CONT);
            }
            _ => {}
        }
        for (host, (source, offer)) in hosts.iter().zip(&mut sources) {
            deliver(source, offer, host, batch);
        }
    }
    let reader = KafkaReader::start(&broker.brokers(), &[]);
    check_all(&reader, &hosts, 40);
}

#[test]
fn leaders_move_and_brokers_go_and_come_mock_cluster() {
    let mut cluster = MockCluster::start(3, 4);
    let dir = TempDir::new();
    let output = format!("kafka://{}/events", cluster.brokers());
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let hosts: Vec<_> = (0..4).map(|n| format!("ws-{n}.example.test")).collect();
    let mut sources: Vec<_> = hosts.iter().map(|host| subscribe(&relay, host)).collect();
    for batch in 0..40 {
        match batch {
            5 => (0..4).for_each(|p| cluster.command(&format!("leader {p} 2"))),
            10 => (0..4).for_each(|p| cluster.command(&format!("leader {p} {}", p % 3 + 1))),
            // Produce: not the leader, timed out, too few replicas, out of sequence.
            15 => cluster.command("errors 0 6 7 19 20 45 5 3"),
            // Metadata: not yet.
            20 => {
                cluster.command("errors 3 5 3");
                cluster.command("leader 0 3");
            }
            25 => {
                cluster.command("down 1");
                (0..4).for_each(|p| cluster.command(&format!("leader {p} 2")));
            }
            30 => cluster.command("up 1"),
            35 => {
                cluster.command("down 2");
                cluster.command("up 2");
            }
            _ => {}
        }
        for (host, (source, offer)) in hosts.iter().zip(&mut sources) {
            deliver(source, offer, host, batch);
        }
    }
    let reader = KafkaReader::start(cluster.brokers(), &[]);
    check_all(&reader, &hosts, 40);
}

#[test]
fn a_record_that_is_refused_does_not_hold_the_others_up_mock_cluster() {
    let mut cluster = MockCluster::start(1, 1);
    let dir = TempDir::new();
    let file = dir.file("refused");
    let output = format!("kafka://{}/events?refused=file:{file}", cluster.brokers());
    let mut relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let (mut source, offer) = subscribe(&relay, MACHINE);
    relay.process.wait_for_log(": open");
    // The batch of ten, then the parts that it is split into: only the first event is rejected,
    // three times.
    cluster.command("errors 0 10 10 10 10 10 0 0 0 0 10 10");
    deliver(&mut source, &offer, MACHINE, 0);
    relay
        .process
        .wait_for_log("refuses an event of ws-07.example.test");
    let refused = wait_for("the file of refused events", || {
        std::fs::read_to_string(&file)
            .ok()
            .filter(|text| text.ends_with('\n'))
    });
    assert_eq!(refused.lines().count(), 1, "{refused}");
    let reader = KafkaReader::start(cluster.brokers(), &[]);
    reader.wait_for(BATCH - 1);
}

#[test]
fn a_topic_that_is_not_there_is_an_outage_with_its_remedy() {
    let broker = Tansu::start(0, &[]);
    let dir = TempDir::new();
    let output = format!("kafka://{}/events", broker.brokers());
    let mut relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    relay.process.wait_for_log("create the topic first");
    let (mut source, offer) = subscribe(&relay, MACHINE);
    broker.administer(&["topic", "create", "events"]);
    deliver(&mut source, &offer, MACHINE, 0);
    let reader = KafkaReader::start(&broker.brokers(), &[]);
    assert_eq!(reader.wait_for(BATCH).len(), BATCH);
}

#[test]
fn brokers_are_verified_over_tls() {
    let authority = Authority::new("broker authority");
    let (port, front) = (free_port(), free_port());
    let broker = Tansu::start_behind(port, front, 3, &[]);
    let _tls = Haproxy::take_tls_off(front, port, &authority.issue(&["127.0.0.1"]));
    let dir = TempDir::new();
    let place = format!("127.0.0.1:{front}");
    let ca = authority.file();
    let output = format!("kafka+tls://{place}/events?ca={ca}");
    let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let (mut source, offer) = subscribe(&relay, MACHINE);
    deliver(&mut source, &offer, MACHINE, 0);
    let location = format!("ssl.ca.location={ca}");
    let reader = KafkaReader::start(&place, &["security.protocol=ssl", &location]);
    assert_eq!(reader.wait_for(BATCH).len(), BATCH);
    drop(broker);
    let other = Authority::new("another authority");
    let dir = TempDir::new();
    let output = format!("kafka+tls://{place}/events?ca={}", other.file());
    let mut relay = Relay::start(&dir, &["--output", &output]);
    relay.process.wait_for_log("certificate");
}

#[test]
fn a_login_that_the_broker_refuses_is_an_outage_that_names_the_setting() {
    let broker = Tansu::start(0, &["--authentication"]);
    let dir = TempDir::new();
    let login = login_file(&dir, "nobody", "secret");
    let output = format!("kafka://{}/events?login={login}", broker.brokers());
    let mut relay = Relay::start(&dir, &["--output", &output]);
    let line = relay
        .process
        .wait_for_log("does not accept user and password");
    assert!(line.contains("?login="), "{line}");
    assert!(!relay.process.log().contains("secret"));
}

#[test]
fn users_log_in_by_each_mechanism_scramp_before_tansu() {
    let (port, front) = (free_port(), free_port());
    let broker = Tansu::start_behind(port, front, 2, &[]);
    let _listener = LoginListener::start(front, broker.port(), "relay", "s3, cret=");
    for (round, mechanism) in ["plain", "scram-sha-256", "scram-sha-512"]
        .iter()
        .enumerate()
    {
        let dir = TempDir::new();
        let login = login_file(&dir, "relay", "s3, cret=");
        let cleartext = if round == 0 { "&cleartext=yes" } else { "" };
        let output =
            format!("kafka://127.0.0.1:{front}/events?login={login}&sasl={mechanism}{cleartext}");
        let (is_good, text) = probe(&output);
        let name = mechanism.to_uppercase();
        assert!(
            is_good && text.contains(&format!("Kafka, as relay ({name})")),
            "{text}"
        );
        let relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
        let (mut source, offer) = subscribe(&relay, MACHINE);
        deliver(&mut source, &offer, MACHINE, round);
        // An independent client can authenticate with the same mechanism.
        let reader = KafkaReader::start(
            &format!("127.0.0.1:{front}"),
            &[
                "security.protocol=sasl_plaintext",
                &format!("sasl.mechanisms={name}"),
                "sasl.username=relay",
                "sasl.password=s3, cret=",
            ],
        );
        assert_eq!(
            reader.wait_for((round + 1) * BATCH).len(),
            (round + 1) * BATCH
        );
        assert!(!relay.process.log().contains("s3, cret="));
    }
}

#[test]
fn a_login_file_is_read_anew_on_sighup_scramp_before_tansu() {
    let (port, front) = (free_port(), free_port());
    let broker = Tansu::start_behind(port, front, 2, &[]);
    let mut listener = LoginListener::start(front, broker.port(), "relay", "first");
    let dir = TempDir::new();
    let login = login_file(&dir, "relay", "wrong");
    let output = format!("kafka://127.0.0.1:{front}/events?login={login}");
    let mut relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    relay
        .process
        .wait_for_log("does not accept user and password (?login=): Authentication failed");
    let (mut source, offer) = subscribe(&relay, MACHINE);
    login_file(&dir, "relay", "first");
    relay.process.signal(Signal::HUP);
    deliver(&mut source, &offer, MACHINE, 0);
    // Open connections do not authenticate again; new ones use the new password.
    login_file(&dir, "relay", "second");
    relay.process.signal(Signal::HUP);
    deliver(&mut source, &offer, MACHINE, 1);
    listener.restart_with("relay", "second");
    deliver(&mut source, &offer, MACHINE, 2);
    // An unusable file changes nothing.
    std::fs::write(&login, "relay\n").unwrap();
    relay.process.signal(Signal::HUP);
    let line = relay.process.wait_for_log("not reloaded");
    assert!(line.contains("the password on the second"), "{line}");
    deliver(&mut source, &offer, MACHINE, 3);
    let side = TansuProxy::start(&broker);
    let reader = KafkaReader::start(&side.brokers(), &[]);
    check_all(&reader, &[MACHINE.to_owned()], 4);
}

#[test]
fn a_login_file_that_everyone_may_read_is_refused() {
    let dir = TempDir::new();
    let login = login_file(&dir, "relay", "secret");
    std::fs::set_permissions(&login, PermissionsExt::from_mode(0o644)).unwrap();
    let output = format!("kafka://127.0.0.1/events?login={login}");
    let found = run(&["check", "--anonymous", "127.0.0.0/8", "--output", &output]);
    let text = String::from_utf8(found.stderr).unwrap();
    assert_eq!(found.status.code(), Some(2), "{text}");
    assert!(
        text.contains("chmod o=") && !text.contains("secret"),
        "{text}"
    );
}

#[test]
fn the_probe_tells_what_to_write_where_tls_login_or_topic_are_wrong() {
    let authority = Authority::new("broker authority");
    let (port, front) = (free_port(), free_port());
    let broker = Tansu::start_behind(port, front, 1, &[]);
    let _tls = Haproxy::take_tls_off(front, port, &authority.issue(&["127.0.0.1"]));
    let guarded = free_port();
    let _listener = LoginListener::start(guarded, broker.port(), "relay", "secret");
    let dir = TempDir::new();
    let login = login_file(&dir, "relay", "wrong");
    let ca = authority.file();
    let other = Authority::new("another authority");
    let other = other.file();
    for (output, told) in [
        (
            format!("kafka://127.0.0.1:{front}/events"),
            "speaks TLS: use kafka+tls://",
        ),
        (
            format!("kafka+tls://127.0.0.1:{port}/events?ca={ca}"),
            "without TLS: use kafka://",
        ),
        (
            format!("kafka+tls://127.0.0.1:{front}/events?ca={other}"),
            "certificate",
        ),
        (
            format!("kafka://127.0.0.1:{guarded}/events"),
            "require SASL (?login=)?",
        ),
        (
            format!("kafka://127.0.0.1:{guarded}/events?login={login}"),
            "does not accept user and password (?login=)",
        ),
        (
            format!("kafka://127.0.0.1:{port}/others"),
            "create the topic first",
        ),
    ] {
        let (is_good, text) = probe(&output);
        assert!(!is_good && text.contains(told), "{output}: {text}");
    }
    let (is_good, text) = probe(&format!("kafka+tls://127.0.0.1:{front}/events?ca={ca}"));
    assert!(
        is_good && text.contains("topic events: 1 partitions"),
        "{text}"
    );
}

#[test]
fn a_record_that_is_too_large_is_refused_with_the_remedy_mock_cluster() {
    let mut cluster = MockCluster::start(1, 1);
    let dir = TempDir::new();
    let output = format!("kafka://{}/events?refused=drop", cluster.brokers());
    let mut relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
    let (mut source, offer) = subscribe(&relay, MACHINE);
    relay.process.wait_for_log(": open");
    cluster.command("errors 0 10 10 10");
    let event = [numbered_event(0)];
    wait_for("an Ack", || source.deliver(&offer, &event, 1).then_some(()));
    let line = relay
        .process
        .wait_for_log("refuses an event of ws-07.example.test");
    for told in ["MESSAGE_TOO_LARGE", "max.message.bytes", "?max="] {
        assert!(line.contains(told), "{told}: {line}");
    }
    // Later events are not delayed.
    deliver(&mut source, &offer, MACHINE, 1);
    let reader = KafkaReader::start(cluster.brokers(), &[]);
    assert_eq!(reader.wait_for(BATCH).len(), BATCH);
}

#[test]
fn idempotence_is_given_up_only_where_a_broker_denies_it_mock_cluster() {
    // Unsupported version, not authorized, and an unknown error.
    for (code, is_denied) in [(35, true), (31, true), (-1, false)] {
        let mut cluster = MockCluster::start(1, 1);
        cluster.command(&format!("errors 22 {code}"));
        let dir = TempDir::new();
        let output = format!("kafka://{}/events", cluster.brokers());
        let mut relay = Relay::start(&dir, &["--output", &output, "--allow-unencrypted"]);
        let told = if is_denied {
            "no idempotent producer, so a message may arrive twice"
        } else {
            "no producer id: UNKNOWN_SERVER_ERROR (see the broker's log)"
        };
        relay.process.wait_for_log(told);
        let (mut source, offer) = subscribe(&relay, MACHINE);
        deliver(&mut source, &offer, MACHINE, 0);
        let log = relay.process.log();
        assert_eq!(log.contains("no idempotent producer"), is_denied, "{log}");
        let reader = KafkaReader::start(cluster.brokers(), &[]);
        assert_eq!(reader.wait_for(BATCH).len(), BATCH);
    }
}

/// A file with user and password that only its owner can read.
fn login_file(dir: &TempDir, user: &str, password: &str) -> String {
    let path = dir.file("login");
    std::fs::write(&path, format!("{user}\n{password}\n")).unwrap();
    std::fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).unwrap();
    path
}

/// Whether `check --probe` succeeds, and its output.
fn probe(output: &str) -> (bool, String) {
    let check = ["check", "--anonymous", "127.0.0.0/8", "--probe", "--output"];
    let found = run(&[&check, [output].as_slice()].concat());
    let text = String::from_utf8(found.stdout).unwrap();
    (found.status.success(), text)
}

/// Checks that every event of each host arrived, in the order in which it was sent.
#[track_caller]
fn check_all(reader: &KafkaReader, hosts: &[String], batches: usize) {
    let numbers = wait_for("every acknowledged event", || {
        let mut numbers: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for record in reader.records() {
            let number = sequence(&record)?;
            numbers.entry(record.key).or_default().push(number);
        }
        let is_whole = |host: &String| {
            let mut of_host = numbers.get(host).cloned().unwrap_or_default();
            of_host.sort_unstable();
            of_host.dedup();
            of_host.len() == batches * BATCH
        };
        hosts.iter().all(is_whole).then_some(numbers)
    });
    for (host, numbers) in numbers {
        // A repeated batch starts over; its new events are in order.
        let mut next = 0;
        for number in numbers {
            assert!(number <= next, "{host}: {number} before {next}");
            next = next.max(number + 1);
        }
    }
}

/// The sequence number in the value, a JSON object.
fn sequence(record: &KafkaRecord) -> Option<usize> {
    let value: Value = serde_json::from_str(&record.value).unwrap();
    value["EventData"]["Sequence"].as_str()?.parse().ok()
}

fn subscribe(relay: &Relay, host: &str) -> (Source, Offer) {
    let mut source = relay.source(host);
    let offer = source.subscribe();
    (source, offer)
}

/// As Windows does: sends the same batch until it is acknowledged.
fn deliver(source: &mut Source, offer: &Offer, host: &str, batch: usize) {
    let numbers = batch * BATCH..(batch + 1) * BATCH;
    let of_host = |number| numbered_event(number).replace(MACHINE, host);
    let events: Vec<String> = numbers.map(of_host).collect();
    wait_for("an Ack", || source.deliver(offer, &events, 1).then_some(()));
}
