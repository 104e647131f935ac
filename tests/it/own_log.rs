//! `--log-to-outputs`: the relay's own log is sent to the outputs.

use crate::support::{
    Line, Process, Record, Relay, Rsyslog, StreamSink, TempDir, free_port, lines_of, run, samples,
    send_samples, wait_for,
};

/// All messages, after the relay's log with these words has arrived.
fn heard(sink: &StreamSink, words: &str) -> Vec<Line> {
    wait_for(&format!("{words:?} in the relay's log"), || {
        let lines = sink.lines();
        let told = own(&lines).iter().any(|line| line.message.contains(words));
        told.then_some(lines)
    })
}

/// The messages of the relay's own log.
fn own(lines: &[Line]) -> Vec<&Line> {
    let is_own = |line: &&Line| line.app_name == "wecrelay";
    lines.iter().filter(is_own).collect()
}

fn position(lines: &[&Line], text: &str) -> usize {
    let found = lines.iter().position(|line| line.message.contains(text));
    found.unwrap_or_else(|| panic!("no {text:?} in {lines:#?}"))
}

#[test]
fn every_output_gets_it_from_the_first_word_to_the_last() {
    let dir = TempDir::new();
    let (tcp, file) = (StreamSink::tcp(), dir.file("events.log"));
    let url = format!("file:{file}");
    let outputs = ["--output", &tcp.url(), "--output", &url];
    let mut relay = Relay::start(&dir, &[&outputs[..], &["--log-to-outputs"]].concat());
    send_samples(&relay);
    let process = relay.process.pid().to_string();
    let system = rustix::system::uname();
    let host = system.nodename().to_str().unwrap();
    assert!(relay.process.terminate().success());
    let by_tcp = heard(&tcp, "stopped: ");
    for lines in [by_tcp, lines_of(&std::fs::read(&file).unwrap())] {
        let ours = own(&lines);
        assert_eq!(lines.len() - ours.len(), samples().len());
        assert_eq!(position(&ours, "listening on http://"), 0);
        let last = position(&ours, "stopped: ");
        assert!(last > position(&ours, "stopping: "));
        assert_eq!(last, ours.len() - 1, "{ours:#?}");
        for line in ours {
            assert_eq!(line.priority, 3 * 8 + 6, "{line:?}");
            assert_eq!(line.hostname, host);
            assert_eq!(line.process_id, process);
            assert_eq!(line.value("origin", "software"), "wecrelay");
        }
    }
}

#[test]
fn without_the_flag_only_events_go_out() {
    let (dir, sink) = (TempDir::new(), StreamSink::tcp());
    let mut relay = Relay::start(&dir, &["--output", &sink.url()]);
    send_samples(&relay);
    assert!(relay.process.terminate().success());
    assert!(own(&sink.wait_for(samples().len())).is_empty());
}

#[test]
fn a_receiver_that_comes_back_hears_how_it_went() {
    let dir = TempDir::new();
    let port = free_port();
    let output = format!("tcp://127.0.0.1:{port}");
    let mut relay = Relay::start(&dir, &["--output", &output, "--log-to-outputs"]);
    relay.process.wait_for_log("trying again");
    let sink = StreamSink::tcp_on(port);
    relay.process.wait_for_log("open again after");
    let lines = heard(&sink, "open again after");
    let ours = own(&lines);
    let failing = position(&ours, "trying again");
    assert_eq!(ours[failing].priority, 3 * 8 + 4);
    assert!(failing < position(&ours, "open again after"));
}

#[test]
fn it_holds_up_neither_the_end_nor_the_events() {
    let dir = TempDir::new();
    let (sink, dead) = (
        StreamSink::tcp(),
        format!("tcp://127.0.0.1:{}?required=no", free_port()),
    );
    let flags = [
        "--output",
        &sink.url(),
        "--output",
        &dead,
        "--log-to-outputs",
    ];
    let mut relay = Relay::start(&dir, &flags);
    send_samples(&relay);
    let began = std::time::Instant::now();
    assert!(relay.process.terminate().success());
    // With batches in flight, it would wait up to 10 s.
    assert!(began.elapsed().as_secs() < 9);
    let lines = heard(&sink, "stopped: ");
    assert_eq!(lines.len() - own(&lines).len(), samples().len());
}

#[test]
fn what_is_not_logged_does_not_go_out() {
    let dir = TempDir::new();
    let (file, dead) = (
        dir.file("events.log"),
        format!("tcp://127.0.0.1:{}", free_port()),
    );
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_wecrelay"));
    command
        .args(["--listen", "http://127.0.0.1:0", "--anonymous", "127.0.0.1"])
        .args(["--channel", "System", "--state", &dir.file("state")])
        .args(["--output", &format!("file:{file}"), "--output", &dead])
        .args(["--log-to-outputs", "-q"]);
    let mut process = Process::start(command);
    process.wait_for_log("trying again");
    assert!(process.terminate().success());
    let lines = lines_of(&std::fs::read(&file).unwrap());
    position(&own(&lines), "trying again");
    let is_warning = |line: &Line| line.priority == 3 * 8 + 4;
    assert!(lines.iter().all(is_warning), "{lines:#?}");
}

#[test]
fn rsyslog_takes_it_over_relp() {
    let (rsyslog, dir) = (Rsyslog::relp(), TempDir::new());
    let output = format!("relp://127.0.0.1:{}", rsyslog.port());
    let mut relay = Relay::start(&dir, &["--output", &output, "--log-to-outputs"]);
    send_samples(&relay);
    assert!(relay.process.terminate().success());
    let is_last = |record: &Record| record.message.contains("stopped: ");
    let records = rsyslog.wait_until("the last word", |records| records.iter().any(is_last));
    let ours = records.iter().filter(|r| r.app_name == "wecrelay");
    let ours: Vec<_> = ours.collect();
    assert_eq!(records.len() - ours.len(), samples().len());
    assert!(
        ours.last().is_some_and(|record| is_last(record)),
        "{ours:#?}"
    );
    assert!(
        ours.iter().all(|record| record.priority == 3 * 8 + 6),
        "{ours:#?}"
    );
}

#[test]
fn check_says_so() {
    let output = run(&[
        "check",
        "--anonymous",
        "127.0.0.1",
        "--channel",
        "System",
        "--log-to-outputs",
    ]);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(text.contains("the relay's own log"), "{text}");
}
