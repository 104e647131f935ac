//! `--metrics`: the metrics that Prometheus scrapes, meaningful health checks, and monitoring
//! that cannot slow the relay down.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::{
    PATIENCE, Prometheus, Relay, StreamSink, TempDir, free_port, promtool, run, send_samples,
    wait_for,
};

struct Watched {
    relay: Relay,
    port: u16,
}

impl Watched {
    fn start(dir: &TempDir, arguments: &[&str]) -> Self {
        let mut all = vec!["--metrics", "127.0.0.1:0"];
        all.extend(arguments);
        let mut relay = Relay::start(dir, &all);
        let port = relay.metrics_port();
        Self { relay, port }
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// The complete answer to a request.
    fn ask(&self, request: &str) -> String {
        let mut stream = self.connect();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    fn get(&self, path: &str) -> String {
        Relay::get(self.port, path)
    }

    fn value(&self, metric: &str) -> Option<f64> {
        let text = self.get("/metrics");
        let line = text.lines().find(|line| line.starts_with(metric))?;
        line.rsplit(' ').next()?.parse().ok()
    }
}

#[test]
fn what_has_happened_is_counted() {
    let dir = TempDir::new();
    let out = format!("file:{}", dir.file("out"));
    let watched = Watched::start(&dir, &["--output", &out]);
    assert_eq!(watched.value("wecrelay_events_total"), Some(0.0));
    send_samples(&watched.relay);
    let mut stranger = TcpStream::connect(("127.0.0.1", watched.relay.port())).unwrap();
    stranger
        .write_all(b"POST / HTTP/1.1\r\nHost: x\r\nAuthorization: Negotiate AAAA\r\nContent-Length: 0\r\n\r\n")
        .unwrap();
    assert!(stranger.read(&mut [0; 100]).unwrap() > 0);

    let events = watched.value("wecrelay_events_total").unwrap();
    assert!(events > 0.0);
    let text = watched.get("/metrics");
    assert!(text.starts_with("HTTP/1.1 200"));
    assert!(text.contains("Content-Type: application/openmetrics-text; version=1.0.0"));
    assert!(text.ends_with("# EOF\n"));
    let line = |start: &str| text.lines().find(|line| line.starts_with(start));
    for (start, wanted) in [
        (
            "wecrelay_subscription_events_total{subscription=",
            Some(events),
        ),
        (
            "wecrelay_delivery_seconds_count",
            watched.value("wecrelay_batches_total"),
        ),
        (
            "wecrelay_delivery_seconds_bucket{le=\"+Inf\"}",
            watched.value("wecrelay_batches_total"),
        ),
        ("wecrelay_sources{state=\"active\"}", Some(1.0)),
        ("wecrelay_sources{state=\"lost\"}", Some(0.0)),
        ("wecrelay_output_up{output=", Some(1.0)),
        (
            "wecrelay_output_delivered_messages_total{output=",
            Some(events),
        ),
        ("wecrelay_oldest_batch_age_seconds", Some(0.0)),
        (
            "wecrelay_output_oldest_batch_age_seconds{output=",
            Some(0.0),
        ),
        (
            "wecrelay_refusals_total{reason=\"authentication\"}",
            Some(1.0),
        ),
    ] {
        let value = line(start).and_then(|line| line.rsplit(' ').next()?.parse().ok());
        assert_eq!(value, wanted, "{start} in {text}");
    }
    assert!(watched.value("wecrelay_received_bytes_total") > Some(1000.0));
    assert!(watched.value("wecrelay_output_written_bytes_total{") > Some(1000.0));
    assert!(watched.value("process_cpu_seconds_total") > Some(0.001));
    let memory = watched.value("process_resident_memory_bytes").unwrap();
    assert!((1e6..1e9).contains(&memory), "{memory}");
}

#[test]
fn the_age_of_what_waits_is_told_by_output() {
    let dir = TempDir::new();
    // Accepts connections but never reads; a little data fits into the system's buffers.
    let stuck = TcpListener::bind("127.0.0.1:0").unwrap();
    let stuck = format!("tcp://{}", stuck.local_addr().unwrap());
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr();
    let closed = format!("tcp://{}", closed.unwrap());
    let optional = format!("{stuck}?required=no");
    let watched = Watched::start(&dir, &["--output", &closed, "--output", &optional]);
    let url = format!(
        "http://127.0.0.1:{}/wsman/SubscriptionManager/WEC",
        watched.relay.port()
    );
    std::thread::scope(|scope| {
        scope.spawn(|| run(&["send", &url, "--count", "10"]));
        wait_for("an age", || {
            (watched.value("wecrelay_oldest_batch_age_seconds") > Some(0.05)).then_some(())
        });
        let of = |output: &str| {
            watched.value(&format!(
                "wecrelay_output_oldest_batch_age_seconds{{output=\"{output}\"}}"
            ))
        };
        assert!(of(&closed) > Some(0.0));
        assert_eq!(of(&optional), Some(0.0), "nobody waits for a best effort");
        let messages = |output: &str| {
            watched.value(&format!(
                "wecrelay_output_delivered_messages_total{{output=\"{output}\"}}"
            ))
        };
        assert_eq!(messages(&closed), Some(0.0));
        let status = watched.get("/status.json");
        let (_, body) = status.split_once("\r\n\r\n").unwrap();
        let status: Value = serde_json::from_str(body).unwrap();
        assert!(status["oldest"].as_f64().unwrap() > 0.0, "{status}");
        let output = &status["outputs"][0];
        assert!(output[7].as_f64().unwrap() > 0.0, "{output}");
        assert!(output[8].as_str().unwrap().contains("refused"), "{output}");
        drop(watched);
    });
}

/// The browser's side is tested by scripts/test-page.
#[test]
fn the_status_page_is_one_guarded_page_and_its_facts_are_written_once_a_second() {
    let dir = TempDir::new();
    let watched = Watched::start(&dir, &[]);
    let page = watched.get("/");
    assert!(page.starts_with("HTTP/1.1 200"));
    assert!(page.contains("Content-Type: text/html; charset=utf-8"));
    let policy = page
        .lines()
        .find(|l| l.starts_with("Content-Security-Policy: "));
    let policy = policy.unwrap();
    assert!(policy.contains("default-src 'none'"), "{policy}");
    assert!(!policy.contains("unsafe"), "{policy}");
    assert_eq!(policy.matches("'sha256-").count(), 2, "{policy}");

    let shown = || {
        let status = watched.get("/status.json");
        assert!(
            status.contains("Content-Type: application/json"),
            "{status}"
        );
        let (_, body) = status.split_once("\r\n\r\n").unwrap();
        serde_json::from_str::<Value>(body).unwrap()
    };
    // At least one of the attempts does not span the end of a second.
    let shared = wait_for("the same facts twice", || {
        let first = shown();
        send_samples(&watched.relay);
        (shown() == first).then_some(first)
    });
    let later = wait_for("newer facts", || {
        let later = shown();
        (later["events"] != shared["events"]).then_some(later)
    });
    let hosts = later["hosts"].as_array().unwrap();
    assert_eq!(hosts.len(), 1);
    assert_eq!(hosts[0][3], "active");
    let sum = watched.value("wecrelay_events_total").unwrap();
    wait_for("all events", || {
        (shown()["hosts"][0][6].as_f64() == Some(sum)).then_some(())
    });
}

#[test]
fn prometheus_scrapes_it_and_evaluates_the_dashboard_and_the_alerts() {
    let dir = TempDir::new();
    let out = format!("file:{}", dir.file("out"));
    let watched = Watched::start(&dir, &["--output", &out]);
    send_samples(&watched.relay);
    let prometheus = Prometheus::start(watched.port);
    let value = |name: &str| prometheus.query(name)[0]["value"][1].clone();
    let events = watched.value("wecrelay_events_total").unwrap();
    assert_eq!(value("wecrelay_events_total"), events.to_string());
    assert_eq!(value("wecrelay_ready"), "1");
    assert_eq!(value("wecrelay_state_writable"), "1");
    assert_eq!(value("wecrelay_output_required"), "1");

    let dashboard = std::fs::read_to_string(contrib("grafana/wecrelay.json")).unwrap();
    let expressions = expressions(&serde_json::from_str(&dashboard).unwrap());
    assert!(expressions.len() > 15, "{expressions:?}");
    for expression in expressions {
        let asked = expression
            .replace("$instance", ".*")
            .replace("$__rate_interval", "1m");
        // There are no rejections here; everything else has a value.
        let rare = ["refusals", "certificate"]
            .iter()
            .any(|word| asked.contains(word));
        assert!(!prometheus.query(&asked).is_empty() || rare, "{asked}");
    }
    let rules = wait_for("all rules evaluated", || {
        let rules = prometheus.rules();
        rules
            .iter()
            .all(|rule| rule["health"] != "unknown")
            .then_some(rules)
    });
    assert!(rules.len() > 10);
    for rule in rules {
        assert_eq!(rule["health"], "ok", "{rule}");
        // Pending is allowed: an alert fires only after half an hour without events.
        assert_ne!(rule["state"], "firing", "{rule}");
        prometheus.query(rule["query"].as_str().unwrap());
    }
}

#[test]
fn promtool_finds_no_fault() {
    let said = promtool(&["check", "rules", "alerts.yml"], "");
    assert!(said.contains("rules found"), "{said}");
    promtool(&["test", "rules", "alerts.test.yml"], "");
    let dir = TempDir::new();
    let watched = Watched::start(&dir, &[]);
    let text = watched.get("/metrics");
    let (_, body) = text.split_once("\r\n\r\n").unwrap();
    promtool(&["check", "metrics"], &in_the_older_format(body));
}

/// `promtool check metrics` parses Prometheus' own format, in which the type line of a counter
/// has its complete name, and `# EOF` is only a comment.
fn in_the_older_format(text: &str) -> String {
    let lines = text.lines().map(|line| match line.strip_prefix("# ") {
        Some(comment) => {
            let mut words: Vec<_> = comment.splitn(3, ' ').map(str::to_owned).collect();
            if let Some(name) = words.get(1)
                && text.contains(&format!("# TYPE {name} counter\n"))
            {
                words[1] = format!("{name}_total");
            }
            format!("# {}\n", words.join(" "))
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

fn contrib(file: &str) -> String {
    format!("{}/contrib/{file}", env!("CARGO_MANIFEST_DIR"))
}

/// All expressions in a dashboard.
fn expressions(value: &Value) -> Vec<String> {
    match value {
        Value::Array(values) => values.iter().flat_map(expressions).collect(),
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("expr", Some(expression)) => vec![expression.to_owned()],
                _ => expressions(value),
            })
            .collect(),
        _ => Vec::new(),
    }
}

#[test]
fn what_is_documented_and_used_are_metrics_that_exist() {
    let dir = TempDir::new();
    let watched = Watched::start(&dir, &[]);
    let text = watched.get("/metrics");
    let families: BTreeSet<_> = text
        .lines()
        .filter_map(|line| line.strip_prefix("# TYPE ")?.split(' ').next())
        .collect();
    let manual = format!("{}/docs/monitoring.md", env!("CARGO_MANIFEST_DIR"));
    for path in [
        contrib("grafana/wecrelay.json"),
        contrib("prometheus/alerts.yml"),
        manual.clone(),
    ] {
        let names = metric_names(&std::fs::read_to_string(&path).unwrap());
        assert!(names.len() > 5, "{path}: {names:?}");
        for name in names {
            assert!(families.contains(family(&name)), "{path}: {name} in {text}");
        }
    }
    let documented = metric_names(&std::fs::read_to_string(&manual).unwrap());
    let documented: BTreeSet<_> = documented.iter().map(|name| family(name)).collect();
    assert_eq!(documented, families, "docs/monitoring.md has them all");
}

/// A metric's name without the suffix of its type.
fn family(name: &str) -> &str {
    ["_total", "_bucket", "_sum", "_count"]
        .iter()
        .find_map(|suffix| name.strip_suffix(suffix))
        .unwrap_or(name)
}

/// All words that begin like wecrelay's metrics.
fn metric_names(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let words = text.split(|c| !is_name(c));
    let ours = words.filter(|word| word.starts_with("wecrelay_") || word.starts_with("process_"));
    ours.map(str::to_owned).collect()
}

#[test]
fn readiness_follows_the_outputs_and_names_what_is_in_the_way() {
    let dir = TempDir::new();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let watched = Watched::start(&dir, &["--output", &format!("tcp://{address}")]);
    assert!(watched.get("/healthz").ends_with("\r\n\r\nok\n"));
    let answer = watched.get("/readyz");
    assert!(answer.starts_with("HTTP/1.1 503"), "{answer}");
    assert!(answer.contains("is not connected"), "{answer}");
    let _sink = TcpListener::bind(address).unwrap();
    wait_for("readiness", || {
        watched
            .get("/readyz")
            .starts_with("HTTP/1.1 200")
            .then_some(())
    });
}

#[test]
fn other_requests_are_answered_and_end() {
    let dir = TempDir::new();
    let watched = Watched::start(&dir, &[]);
    for (request, status) in [
        ("GET /other HTTP/1.0\r\n\r\n", "404"),
        (
            "POST /metrics HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n",
            "405",
        ),
        (
            "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhello",
            "413",
        ),
        ("nonsense\r\n\r\n", "400"),
        ("GET /healthz?x=1 HTTP/1.1\r\nHost: x\r\n\r\n", "200"),
    ] {
        let answer = watched.ask(request);
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{request}: {answer}"
        );
    }
    let head = watched.ask("HEAD /healthz HTTP/1.1\r\nHost: x\r\n\r\n");
    assert!(
        head.ends_with("\r\n\r\n") && head.contains("Content-Length: 3"),
        "{head}"
    );
}

/// A web page whose name resolves to the relay (DNS rebinding) must not be able to read the status.
#[test]
fn pages_are_told_to_those_only_who_ask_by_a_name_of_ours() {
    let dir = TempDir::new();
    let watched = Watched::start(&dir, &["--hostname", "wec.example.com"]);
    let status = |path: &str, host: &str| -> String {
        let answer = watched.ask(&format!("GET {path} HTTP/1.1\r\n{host}\r\n"));
        answer.split(' ').nth(1).unwrap_or_default().to_owned()
    };
    let node = rustix::system::uname();
    let node = format!("Host: {}:1\r\n", node.nodename().to_string_lossy());
    for path in ["/", "/status.json", "/status.json?x"] {
        for host in [
            "Host: attacker.example\r\n",
            "Host: attacker.example:9598\r\nOrigin: http://attacker.example:9598\r\n",
            "Host: 127.0.0.1.attacker.example\r\n",
        ] {
            assert_eq!(status(path, host), "421", "{path} {host}");
        }
        for host in [
            "Host: 127.0.0.1:9598\r\n",
            "Host: [::1]:9598\r\n",
            "Host: localhost\r\n",
            "Host: WEC.example.com:9598\r\n",
            &node,
        ] {
            assert_eq!(status(path, host), "200", "{path} {host}");
        }
    }
    // A host in the target overrides the header; two headers are an error.
    let (ours, foreign) = ("Host: localhost\r\n", "Host: attacker.example\r\n");
    for (target, host, expected) in [
        ("http://attacker.example/status.json", ours, "421"),
        ("HTTP://attacker.example", ours, "421"),
        ("http://localhost:9598/status.json", foreign, "200"),
        ("http://127.0.0.1", foreign, "200"),
        ("//status.json", foreign, "421"),
        ("/metrics/../status.json", foreign, "421"),
        ("/", &format!("{ours}{foreign}"), "400"),
        ("/", &format!("{foreign}{ours}"), "400"),
    ] {
        assert_eq!(status(target, host), expected, "{target} {host}");
    }
    for path in ["/metrics", "/healthz", "/readyz"] {
        assert_eq!(status(path, "Host: attacker.example\r\n"), "200", "{path}");
    }
    let answer = watched.ask("GET / HTTP/1.1\r\nHost: attacker.example\r\n\r\n");
    let (_, remedy) = answer.split_once("\r\n\r\n").unwrap();
    assert!(remedy.contains("--hostname"), "{remedy}");
    assert_eq!(remedy.lines().count(), 1);
}

#[test]
fn idle_visitors_do_not_keep_events_or_others_away() {
    let dir = TempDir::new();
    let sink = StreamSink::tcp();
    let watched = Watched::start(&dir, &["--output", &sink.url()]);
    let idle: Vec<_> = (0..40).map(|_| watched.connect()).collect();
    send_samples(&watched.relay);
    // All connections are in use, for at most ten seconds.
    let mut last = watched.connect();
    last.set_read_timeout(Some(Duration::from_secs(60)))
        .unwrap();
    last.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        .unwrap();
    let mut answer = String::new();
    last.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    drop(idle);
}

#[test]
fn a_port_alone_or_one_in_use_is_refused() {
    let dir = TempDir::new();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    for (value, says) in [("9598", "127.0.0.1:9598"), (&address, "in use")] {
        let state = dir.file("state");
        let refused = run(&[
            "--anonymous",
            "127.0.0.1",
            "--listen",
            "http://127.0.0.1:0",
            "--state",
            &state,
            "--metrics",
            value,
        ]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains("--metrics") && said.contains(says), "{said}");
    }
}

#[test]
fn health_asks_a_relay_that_runs() {
    let dir = TempDir::new();
    let full = format!("tcp://127.0.0.1:{}", free_port());
    let watched = Watched::start(&dir, &["--output", &full]);
    let address = format!("127.0.0.1:{}", watched.port);
    let health = |arguments: &[&str]| {
        let output = run(&[&["health"], arguments].concat());
        let text = String::from_utf8(output.stdout).unwrap();
        let error = String::from_utf8(output.stderr).unwrap();
        (output.status.code().unwrap(), text, error)
    };
    assert_eq!(health(&[&address]), (0, "ok\n".to_owned(), String::new()));

    // Nothing listens at its output.
    wait_for("a relay that is not ready", || {
        let (code, _, error) = health(&["--ready", &address]);
        (code == 1 && error.contains("not ready (503): ") && error.contains(&full)).then_some(())
    });

    let (code, _, error) = health(&["127.0.0.1"]);
    assert!(
        code == 2 && error.contains("ADDRESS:PORT"),
        "{code} {error}"
    );
    let nowhere = format!("127.0.0.1:{}", free_port());
    let (code, _, error) = health(&[&nowhere]);
    assert!(code == 1 && error.contains("--metrics"), "{code} {error}");
    // The port for hosts is not that of --metrics.
    let other = format!("127.0.0.1:{}", watched.relay.port());
    let (code, _, error) = health(&[&other]);
    assert!(
        code == 1 && error.contains("is not a relay"),
        "{code} {error}"
    );
}
