"""Sends every event of the reference files in every layout over every output: all outputs get
the same messages, and independent parsers find the values of the event in them."""

import contextlib
import socket
import sys
import threading
from collections import Counter
from pathlib import Path

import mkcerts
import sink as syslog_sink
from cases_events import AsSent
from cases_otlp import Receiver, free_port, process
from cases_receivers import HARD, PEERS, events_of, forbidden_replaced
from harness import EVENTS, EventFacts, Relay, case, need, wait_for
from layout_readers import READERS, body

NAME = "log.windomain.local"
# Maximum message size of outputs that have one.
LIMITS = {"udp": 65_507, "unix": 128 * 1024}
# Outputs that keep messages unchanged, and outputs that escape control characters.
KEPT = ("tcp", "tls", "relp", "relps", "udp", "unix")
ESCAPED = ("lf", "file", "unix-lf", "stdout")


class RawSink(syslog_sink.Sink):
    """Keeps messages unparsed."""

    def add(self, raw, transport, framing, peer):
        with self.lock:
            self.records.append((transport, raw))

    def of(self, transport):
        with self.lock:
            return [raw for kind, raw in self.records if kind == transport]


class UnixSockets:
    """A datagram socket, and a stream socket with one line per message."""

    def __init__(self, folder):
        self.paths = {"unix": folder / "datagrams", "unix-lf": folder / "lines"}
        self.messages = {"unix": [], "unix-lf": []}
        self.sockets = []
        for name, kind, reader in (("unix", socket.SOCK_DGRAM, self.read_datagrams),
                                   ("unix-lf", socket.SOCK_STREAM, self.read_lines)):
            listener = socket.socket(socket.AF_UNIX, kind)
            listener.bind(str(self.paths[name]))
            self.sockets.append(listener)
            threading.Thread(target=reader, args=(listener,), daemon=True).start()

    def read_datagrams(self, listener):
        with contextlib.suppress(OSError):
            while message := listener.recv(LIMITS["unix"] + 1):
                self.messages["unix"].append(message)

    def read_lines(self, listener):
        with contextlib.suppress(OSError):
            listener.listen()
            connection, _ = listener.accept()
            with connection, connection.makefile("rb") as stream:
                for line in stream:
                    self.messages["unix-lf"].append(line.removesuffix(b"\n"))

    def close(self):
        for listener in self.sockets:
            # Wakes the thread that is blocked on it.
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()


class Topic:
    """A topic of a broker, and its records."""

    def __init__(self, stack):
        self.port = free_port()
        url = f"tcp://127.0.0.1:{self.port}"
        stack.enter_context(process(self.port, PEERS / "kafka" / "bin" / "tansu", "--listener-url", url,
                                    "--advertised-listener-url", url))
        sys.path[:] = [*sys.path, *map(str, (PEERS / "kafka").glob("lib/python*/site-packages"))]
        from confluent_kafka import OFFSET_BEGINNING, Consumer, TopicPartition
        from confluent_kafka.admin import AdminClient, NewTopic
        brokers = {"bootstrap.servers": f"127.0.0.1:{self.port}", "log_level": 2}
        admin = AdminClient(brokers)
        admin.create_topics([NewTopic("events", 1)])["events"].result(30)
        self.consumer = Consumer({**brokers, "group.id": "reader", "enable.auto.commit": False,
                                  "check.crcs": True, "fetch.wait.max.ms": 50})
        stack.callback(self.consumer.close)
        self.consumer.assign([TopicPartition("events", 0, OFFSET_BEGINNING)])

    def values(self, count) -> list:
        found = []

        def all_there():
            found.extend(message.value() for message in self.consumer.consume(count, 0.2) if not message.error())
            return len(found) >= count
        wait_for(f"{count} records of the topic", all_there)
        return found


class Outputs:
    """A receiver of each kind for one layout."""

    def __init__(self, folder: Path, layout: str, stack):
        mkcerts.make(str(folder), (NAME,))
        tls = {"cert": str(folder / "collector.pem"), "key": str(folder / "collector.key")}
        self.folder, self.layout = folder, layout
        self.sink = stack.enter_context(RawSink(udp=0, tcp=0, tls=0, relp=0, relps=0, framing="octet", **tls))
        self.lines = stack.enter_context(RawSink(tcp=0, framing="lf"))
        self.unix = UnixSockets(folder)
        stack.callback(self.unix.close)
        self.topic = Topic(stack)
        self.otlp = stack.enter_context(Receiver(folder))

    def urls(self) -> list:
        ports = self.sink.ports
        tls = f"&ca={self.folder}/ca.pem&name={NAME}"
        unix = self.unix.paths
        urls = [f"udp://127.0.0.1:{ports['udp']}?", f"tcp://127.0.0.1:{ports['tcp']}?",
                f"tls://127.0.0.1:{ports['tls']}?{tls}", f"relp://127.0.0.1:{ports['relp']}?max=4M",
                f"relp+tls://127.0.0.1:{ports['relps']}?max=4M{tls}",
                f"tcp://127.0.0.1:{self.lines.ports['tcp']}?framing=lf",
                f"unix:{unix['unix']}?", f"unix:{unix['unix-lf']}?type=stream",
                f"file:{self.folder}/events?", "stdout:?", f"kafka://127.0.0.1:{self.topic.port}/events?",
                f"{self.otlp.url}?"]
        return [f"{url}&message={self.layout}" for url in urls]

    def messages(self, output) -> list:
        if output in ("udp", "tcp", "tls", "relp", "relps"):
            return self.sink.of(output)
        if output == "lf":
            return self.lines.of("tcp")
        if output in ("file", "stdout"):
            path = self.folder / {"file": "events", "stdout": "stdout"}[output]
            return path.read_bytes().split(b"\n")[:-1]
        return list(self.unix.messages[output])

    def have(self, count, outputs) -> None:
        for output in outputs:
            wait_for(f"{count} messages over {output}", lambda name=output: len(self.messages(name)) >= count)
            found = len(self.messages(output))
            need(found == count, f"{found} messages over {output}, {count} events")


def reference_events() -> list:
    paths = [*sorted(EVENTS.glob("*.xml")), *sorted(HARD.glob("*.xml"))]
    return [event for path in paths for event in events_of(path)]


def deliver(relay, outputs, events) -> None:
    """Delivers a few events at a time, because datagrams are not acknowledged."""
    source = AsSent(relay.options(honour_max_envelope=False))
    subscriptions = source.enumerate()
    sent = 0
    for start in range(0, len(events), 30):
        part = events[start:start + 30]
        for subscription in subscriptions:
            source.deliver(subscription, part, heartbeat=False, end=False)
            sent += len(part)
        wait_for("datagrams", lambda count=sent: len(outputs.sink.of("udp")) >= count)


def check_same(outputs, count) -> tuple:
    """Checks that outputs of the same kind got the same messages; returns them unchanged and escaped."""
    outputs.have(count, (*KEPT, *ESCAPED))
    kept, escaped = outputs.messages("tcp"), outputs.messages("lf")
    for output in KEPT:
        limit = LIMITS.get(output, 1 << 30)
        found = outputs.messages(output)
        for wanted, got in zip(kept, found):
            need(got == wanted if len(wanted) <= limit else limit * 0.9 < len(got) <= limit,
                 f"over {output}: {got[:300]!r}, not {wanted[:300]!r}")
    for output in ESCAPED:
        need(outputs.messages(output) == escaped, f"{output} differs from tcp with framing=lf")
    bodies = Counter(body(message) for message in kept)
    same(bodies, Counter(value.decode() for value in outputs.topic.values(count)), "Kafka")
    same(bodies, Counter(record["message"] for record in outputs.otlp.take(count)), "OTLP")
    return kept, escaped


def same(wanted, found, output) -> None:
    for missing in wanted - found:
        raise AssertionError(f"not over {output}: {missing[:500]!r}; but {[m[:300] for m in found - wanted][:1]}")
    need(wanted == found, f"too many over {output}")


def layout_case(folder, layout):
    events = reference_events()
    with contextlib.ExitStack() as stack:
        outputs = Outputs(folder, layout, stack)
        flags = [part for url in outputs.urls() for part in ("--output", url)]
        with Relay(folder, *flags, stdout=folder / "stdout") as relay:
            deliver(relay, outputs, events)
            kept, escaped = check_same(outputs, len(events))
    facts = [facts_of(event) for event in events]
    for read in READERS[layout]:
        read(folder, kept, facts, False)
        if escaped != kept:
            read(folder, escaped, facts, True)


def facts_of(event):
    """None if it is not XML; such messages contain the entire text."""
    try:
        return EventFacts(forbidden_replaced(event))
    except Exception:                           # whatever makes it no XML
        return None


for _layout in READERS:
    case(f"layouts: {_layout}, every event over every output", layout=_layout)(layout_case)
