"""Sends every event of the reference files over every framing: the strict reader accepts each
line, and the line contains everything in the event. cases_layouts covers the other layouts."""

import wefsource as wef
from harness import (EVENTS, EventFacts, Relay, case, check_line, load, need, no_violations, sink)

FILES = sorted(path.name for path in EVENTS.glob("*.xml"))
OUTPUTS = {"octet": ("tcp", "tcp://127.0.0.1:{}", "kept"),
           "lf": ("tcp", "tcp://127.0.0.1:{}?framing=lf", "escaped"),
           "udp": ("udp", "udp://127.0.0.1:{}", "kept")}


class AsSent(wef.Source):
    """A source that sends events unchanged, and no others."""

    def prepare(self, ev, sub):
        return ev


def deliver(relay, events, **options) -> None:
    """Delivers the events unchanged to each subscription."""
    source = AsSent(relay.options(honour_max_envelope=False, **options))
    for subscription in source.enumerate():
        source.deliver(subscription, events)


def by_host(events) -> dict:
    """The facts of the events by host, in order; outputs keep the order within a host."""
    hosts = {}
    for facts in map(EventFacts, events):
        hosts.setdefault(facts.computer, []).append(facts)
    return hosts


def need_no_ack(relay, events) -> None:
    """Nothing is acknowledged while the output accepts nothing."""
    source = wef.Source(relay.options(timeout=2.0))
    subscription = source.enumerate()[0]
    try:
        source.deliver(subscription, events)
    except wef.CheckFailed:
        return
    need(False, "acknowledged while the receiver took nothing")


def record_ids(events) -> set:
    return {int(wef._RECORD.search(event).group(1)) for event in events}


def all_files(folder, framing, message):
    kind, url, line_ends = OUTPUTS[framing]
    ports = {kind: 0}
    if kind == "tcp":
        ports["framing"] = framing
    with sink(**ports) as receiver:
        output = url.format(receiver.ports[kind])
        with Relay(folder, "--output", output, "--message", message) as relay:
            for name in FILES:
                one_file(relay, receiver, name, message, line_ends)


def one_file(relay, receiver, name, message, line_ends):
    events = [event for event in load(name) if not is_bookmark_event(event)]
    receiver.records.clear()
    # The simulator compresses slowly, so compression is used in some cases only.
    compressed = message == "text" and line_ends == "kept"
    deliver(relay, events, sldc=compressed)
    records = no_violations(receiver, len(events))
    for event, record in zip(events, records):
        check_line(record, EventFacts(event), message, line_ends)


def is_bookmark_event(event: str) -> bool:
    return "<EventID>111</EventID>" in event and "Microsoft-Windows-EventForwarder" in event


for _framing in OUTPUTS:
    case(f"events: all files, {_framing}", framing=_framing, message="text")(all_files)


@case("events: facility, enterprise number and byte order mark by flags")
def mapping_flags(folder):
    with sink(tcp=0) as receiver:
        arguments = ["--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}", "--facility", "local3",
                     "--enterprise", "64512", "--bom"]
        with Relay(folder, *arguments) as relay:
            wef.run(relay.options(), load("system.xml", 5))
        for record in no_violations(receiver, 5):
            need(record["facility"] == 19, f"facility {record['facility']}")
            need("event@64512" in record["sd"], str(list(record["sd"])))
            need(record["bom"], "no byte order mark")


@case("events: bookmark event in the middle of a batch is not forwarded")
def bookmark_event_in_batch(folder):
    synthetic = load("synthetic.xml")
    need(any(is_bookmark_event(event) for event in synthetic), "no event 111 in the file")
    with sink(tcp=0) as receiver:
        with Relay(folder, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}") as relay:
            source = AsSent(relay.options())
            subscription = source.enumerate()[0]
            source.deliver(subscription, synthetic)
        no_violations(receiver, sum(not is_bookmark_event(event) for event in synthetic))
