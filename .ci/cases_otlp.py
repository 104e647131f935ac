"""Sends every event of the reference files over OTLP/HTTP, and parses it with opentelemetry-proto:
each record contains everything in its event, and there are no duplicates. The same through rotel."""

import contextlib
import json
import re
from pathlib import Path

import wefsource as wef
from cases_events import FILES, by_host, deliver, is_bookmark_event, need_no_ack, record_ids
from harness import SHARED, EventFacts, Relay, case, free_port, is_good_xml, load, need, process, wait_for

HARD = SHARED / "cases" / "events"
TREE = Path(__file__).resolve().parent.parent
PEERS = TREE / "target" / "peers" / "otlp" / "bin"
EVENTS = load("system.xml", 60)


class Receiver:
    """The receiver in tests/support, optionally with rotel in front of it."""

    def __init__(self, folder, through_rotel=False):
        self.folder, self.through_rotel = folder, through_rotel
        self.records_file, self.mode_file = folder / "otlp-records", folder / "otlp-mode"
        self.stack = contextlib.ExitStack()

    def __enter__(self):
        port = free_port()
        config = {"port": port, "records": str(self.records_file), "mode": str(self.mode_file)}
        (self.folder / "otlp.json").write_text(json.dumps(config), encoding="utf-8")
        script = TREE / "tests" / "support" / "otlp_receiver.py"
        self.child = self.stack.enter_context(
            process(port, PEERS / "python", script, self.folder / "otlp.json"))
        if self.through_rotel:
            first, port = port, free_port()
            self.stack.enter_context(process(
                port, PEERS / "rotel-agent", "start", "--exporter", "otlp",
                "--otlp-exporter-protocol", "http",
                "--otlp-exporter-endpoint", f"http://127.0.0.1:{first}",
                "--otlp-http-endpoint", f"127.0.0.1:{port}",
                "--otlp-grpc-endpoint", f"127.0.0.1:{free_port()}",
                "--pid-file", self.folder / "rotel.pid", "--log-file", self.folder / "rotel.log"))
        self.url = f"otlp+http://127.0.0.1:{port}"
        return self

    def __exit__(self, *exc):
        self.stack.close()

    def records(self) -> list:
        lines = self.records_file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines]

    def take(self, count: int) -> list:
        """Returns `count` records, and removes them."""
        wait_for(f"{count} records", lambda: len(self.records()) >= count)
        found = self.records()
        need(len(found) == count, f"{len(found)} records, {count} sent")
        with open(self.records_file, "r+b") as file:
            file.truncate(0)
        return found

    def mode(self, **mode):
        new = self.folder / "otlp-mode.new"
        new.write_text(json.dumps(mode), encoding="utf-8")
        new.replace(self.mode_file)


def check_record(record: dict, facts: EventFacts) -> None:
    found = record["attributes"]
    where = f"event {facts.event_id} record {facts.record_id}"

    def is_same(name, expected):
        got = found.get(name, "")
        need(str(got) == expected, f"{where}: {name} is {got!r}, not {expected!r}")
    is_same("winlog.event_id", facts.event_id)
    is_same("winlog.record_id", facts.record_id)
    is_same("winlog.channel", facts.channel)
    is_same("winlog.computer_name", facts.computer)
    if facts.computer:
        need(record["hostname"] == facts.computer, f"{where}: host.name {record['hostname']}")
    values = {}
    for name, value in found.items():
        data = re.match(r"winlog\.(event|user)_data\.", name)
        if data:
            values[name[data.end():]] = value if isinstance(value, list) else [value]
    held = [value for several in values.values() for value in several]
    for name, value in facts.values:
        if name is not None:
            need(value in values.get(name, []), f"{where}: {name} is {value!r}, got {values.get(name)}")
        elif value.strip():
            need(value in held or value.strip() in held, f"{where}: no {value!r} in {held}")
    message = (facts.message or "").strip()
    need(record["message"].strip().startswith(message), f"{where}: body {record['message']!r}")


def compare(relay, receiver, events) -> None:
    deliver(relay, events)
    hosts = by_host(events)
    for record in receiver.take(len(events)):
        computer = record["attributes"].get("winlog.computer_name", "")
        check_record(record, hosts[computer].pop(0))


def all_files(folder, through_rotel):
    with Receiver(folder, through_rotel) as receiver:
        with Relay(folder, "--output", receiver.url) as relay:
            for name in FILES:
                compare(relay, receiver, [e for e in load(name) if not is_bookmark_event(e)])


case("otlp: every event of all files", through_rotel=False)(all_files)
case("otlp: every event of all files, through rotel", through_rotel=True)(all_files)


@case("otlp: every hard event, whole")
def hard_events(folder):
    with Receiver(folder) as receiver:
        with Relay(folder, "--output", receiver.url) as relay:
            for path in sorted(HARD.glob("*.xml")):
                events = [event for event in wef.load_events(path) if is_good_xml(event)]
                if events:
                    compare(relay, receiver, events)


@case("otlp: a receiver that is busy for a while")
def busy(folder):
    with Receiver(folder) as receiver:
        receiver.mode(status=503, retry_after=1)
        with Relay(folder, "--output", receiver.url) as relay:
            need_no_ack(relay, EVENTS)
            receiver.mode()
            wef.run(relay.options(), EVENTS, verify_bookmark=False)
            numbers = {int(r["attributes"]["winlog.record_id"]) for r in receiver.records()}
            sent = record_ids(EVENTS)
            need(numbers >= sent, f"missing: {sorted(sent - numbers)}")
            log = relay.log()
            need(log.count("HTTP 503: so it is told") >= 1, log)
