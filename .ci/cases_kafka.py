"""Sends every event of the reference files to a topic of a real broker (tansu), and reads it
back with librdkafka: each record contains everything in its event, there are no duplicates,
and the events of a host are in order."""

import contextlib
import json
import os
import signal
import subprocess
from pathlib import Path

import wefsource as wef
from cases_events import FILES, by_host, deliver, is_bookmark_event, need_no_ack, record_ids
from harness import (SHARED, EventFacts, Relay, canonical, case, free_port, is_good_xml, load, need, process,
                     strings, wait_for)

HARD = SHARED / "cases" / "events"
TREE = Path(__file__).resolve().parent.parent
PEERS = TREE / "target" / "peers" / "kafka" / "bin"
SUPPORT = TREE / "tests" / "support"
EVENTS = load("system.xml", 60)
FORMS = {"json": "", "xml, lz4": "message=xml&compress=lz4", "text, zstd": "message=text&compress=zstd"}


class Broker:
    """A broker with the topic `events`, and librdkafka, which reads it. If `users` is a JSON
    file, the relay connects through a proxy that authenticates these users."""

    def __init__(self, folder, users=None):
        self.folder, self.users = folder, users
        self.seen = 0
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        port = front = free_port()
        if self.users:
            front = free_port()
        url = "tcp://127.0.0.1:{}".format
        self.child = self.stack.enter_context(process(
            port, PEERS / "tansu", "--listener-url", url(port), "--advertised-listener-url", url(front),
            errors=subprocess.DEVNULL))
        if self.users:
            self.stack.enter_context(process(
                front, PEERS / "python", SUPPORT / "kafka_login.py", str(front), str(port), self.users))
        subprocess.run([PEERS / "tansu", "topic", "create", "events", "--partitions", "3", "--broker", url(port)],
                       check=True, stdout=subprocess.DEVNULL)
        side = free_port()
        self.stack.enter_context(process(
            side, PEERS / "tansu", "proxy", "--listener-url", url(side), "--advertised-listener-url", url(side),
            "--origin-url", url(port), errors=subprocess.DEVNULL))
        self.file = open(self.folder / "kafka-records", "w+b")
        self.stack.callback(self.file.close)
        reader = subprocess.Popen(
            [PEERS / "python", SUPPORT / "kafka_peer.py", "read", f"127.0.0.1:{side}", "events"],
            stdin=subprocess.DEVNULL, stdout=self.file)
        self.stack.callback(reader.wait)
        self.stack.callback(reader.kill)
        self.place = f"127.0.0.1:{front}"
        return self

    def __exit__(self, *exc):
        self.stack.close()

    def records(self) -> list:
        whole = (self.folder / "kafka-records").read_bytes().rpartition(b"\n")[0]
        return [json.loads(line) for line in whole.split(b"\n") if line]

    def take(self, count: int) -> list:
        """Returns `count` records that were not returned before."""
        wait_for(f"{count} records", lambda: len(self.records()) >= self.seen + count)
        found = self.records()[self.seen:]
        need(len(found) == count, f"{len(found)} records, {count} sent")
        self.seen += count
        return found

    def signal(self, number):
        os.kill(self.child.pid, number)


def check_record(record: dict, facts: EventFacts, form: str) -> None:
    where = f"event {facts.event_id} record {facts.record_id}"
    value, headers = record["value"], record["headers"]
    if facts.computer:
        need(record["key"] == facts.computer, f"{where}: key {record['key']!r}")
    need(headers["host"] == record["key"], f"{where}: {headers}")
    for name, expected in (("event_id", facts.event_id), ("record_id", facts.record_id),
                           ("channel", facts.channel)):
        need(headers.get(name, "") == expected, f"{where}: {name} is {headers.get(name)!r}")
    need(len(headers["uid"]) == 36, f"{where}: {headers}")
    if form.startswith("xml"):
        need(canonical(value) == canonical(facts.xml), f"{where}: XML differs: {value}")
    elif form == "json":
        found = json.loads(value)
        held = set(strings(found))
        need(facts.record_id in held or not facts.record_id, f"{where}: no record id in {value}")
        for _, data in facts.values:
            need(data in held or data.strip() in held or not data.strip() or found.get("Truncated"),
                 f"{where}: no {data!r} in {value}")
    elif facts.message and facts.message.strip():
        need(value.strip().startswith(facts.message.strip()), f"{where}: {value!r}")
    else:
        need(facts.event_id in value, f"{where}: {value!r}")


def compare(relay, broker, events, form) -> None:
    deliver(relay, events)
    hosts = by_host(events)
    for record in broker.take(len(events)):
        key = record["key"] if record["key"] in hosts else ""
        check_record(record, hosts[key].pop(0), form)


def all_files(folder, form):
    with Broker(folder) as broker:
        with Relay(folder, "--output", f"kafka://{broker.place}/events?{FORMS[form]}") as relay:
            for name in FILES:
                compare(relay, broker, [e for e in load(name) if not is_bookmark_event(e)], form)


for _form in FORMS:
    case(f"kafka: every event of all files, {_form}", form=_form)(all_files)


@case("kafka: every hard event, whole")
def hard_events(folder):
    with Broker(folder) as broker:
        with Relay(folder, "--output", f"kafka://{broker.place}/events") as relay:
            for path in sorted(HARD.glob("*.xml")):
                events = [event for event in wef.load_events(path) if is_good_xml(event)]
                if events:
                    compare(relay, broker, events, "json")


@case("kafka: a broker that stops for a while")
def stopped(folder):
    with Broker(folder) as broker:
        with Relay(folder, "--output", f"kafka://{broker.place}/events") as relay:
            wef.run(relay.options(), EVENTS[:1], verify_bookmark=False)
            broker.signal(signal.SIGSTOP)
            need_no_ack(relay, EVENTS[1:])
            broker.signal(signal.SIGCONT)
            wef.run(relay.options(), EVENTS, verify_bookmark=False)
            sent = record_ids(EVENTS)

            def arrived():
                return {int(record["headers"]["record_id"]) for record in broker.records()}
            wait_for("every event", lambda: arrived() >= sent)


@case("kafka: users log in (scramp before the broker)")
def logins(folder):
    users, login = folder / "users", folder / "login"
    users.write_text(json.dumps({"relay": "secret"}), encoding="utf-8")
    login.write_text("relay\nsecret\n", encoding="utf-8")
    login.chmod(0o600)
    with Broker(folder, users) as broker:
        for mechanism in ("scram-sha-256", "scram-sha-512", "plain&cleartext=yes"):
            output = f"kafka://{broker.place}/events?login={login}&sasl={mechanism}"
            with Relay(folder, "--output", output) as relay:
                wef.run(relay.options(), EVENTS, verify_bookmark=False)
            broker.take(len(EVENTS))
