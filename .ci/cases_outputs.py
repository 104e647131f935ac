"""TLS and RELP to the strict sink: no protocol violations, and no acknowledged event is lost
when the sink drops connections, rejects messages, or is slow."""

import mkcerts
import wefsource as wef
from harness import Relay, case, element, load, need, no_violations, sink, wait_for

NAME = "log.windomain.local"
EVENTS = load("system.xml", 60)


def own_sink(folder, kind: str, **options):
    if kind != "relp":
        mkcerts.make(str(folder), (NAME,))
        options |= {"cert": str(folder / "collector.pem"), "key": str(folder / "collector.key")}
    return sink(**{kind: 0}, **options)


def url(receiver, kind: str, folder, settings: str = "") -> str:
    """The URL of the output to the sink."""
    port = receiver.ports[kind]
    if kind == "relp":
        return f"relp://127.0.0.1:{port}"
    scheme = {"tls": "tls", "relps": "relp+tls"}[kind]
    return f"{scheme}://127.0.0.1:{port}?ca={folder}/ca.pem&name={NAME}{settings}"


def arrived(receiver) -> list:
    numbers = [element(record, "event")["EventRecordID"][0] for record in list(receiver.records)]
    return [int(number) for number in numbers]


def sent() -> set:
    return {int(wef._RECORD.search(event).group(1)) for event in EVENTS}


def all_arrive(receiver) -> list:
    wait_for("every event", lambda: set(arrived(receiver)) >= sent())
    summary = receiver.summary()
    need(not summary["violations"] and not summary["framing_errors"], f"violations: {summary}")
    return arrived(receiver)


def once(folder, kind):
    with own_sink(folder, kind) as receiver:
        with Relay(folder, "--output", url(receiver, kind, folder)) as relay:
            wef.run(relay.options(), EVENTS)
        no_violations(receiver, len(EVENTS))
        need(receiver.connections == 1, f"{receiver.connections} connections")


def refused(folder, kind, numbers):
    """A message that is answered with 500 is sent again, alone, until it is accepted."""
    with own_sink(folder, kind, nack=numbers) as receiver:
        with Relay(folder, "--output", url(receiver, kind, folder)) as relay:
            wef.run(relay.options(), EVENTS)
            log = relay.log()
        no_violations(receiver, len(EVENTS))
        # Each rejected event is logged once.
        need(1 <= log.count("refuses an event of ") <= len(numbers), log)
        need(log.count("500 not now") == log.count("refuses an event of "), log)


def dropped(folder, kind, after):
    """Connections end after fewer messages than a batch has, and the last one is lost."""
    with own_sink(folder, kind, drop_after=after) as receiver:
        with Relay(folder, "--output", url(receiver, kind, folder)) as relay:
            wef.run(relay.options(), EVENTS)
            log = relay.log()
            numbers = all_arrive(receiver)
        need(receiver.connections > 1, f"{receiver.connections} connections")
        need(log.count("trying again") == 1, log)
        # Messages that were confirmed before the end are not sent again.
        repeats = len(numbers) - len(set(numbers))
        need(repeats <= after * receiver.connections, f"{repeats} repeats")


def slow(folder, kind):
    """With a slow receiver, sources are answered when it has answered."""
    with own_sink(folder, kind, delay=0.05) as receiver:
        with Relay(folder, "--output", url(receiver, kind, folder)) as relay:
            wef.run(relay.options(), EVENTS)
        no_violations(receiver, len(EVENTS))


def paused(folder, kind):
    with own_sink(folder, kind) as receiver:
        with Relay(folder, "--output", url(receiver, kind, folder)) as relay:
            wef.run(relay.options(), EVENTS[:1], verify_bookmark=False)
            receiver.pause()
            source = wef.Source(relay.options(timeout=2.0))
            subscription = source.enumerate()[0]
            try:
                source.deliver(subscription, EVENTS[1:])
                # The receiver's TCP stack has everything, which is all that TLS can confirm.
                need(kind == "tls", "acknowledged while the receiver was stuck")
            except wef.CheckFailed:
                pass
            receiver.resume()
            wef.run(relay.options(), EVENTS, verify_bookmark=False)
            all_arrive(receiver)


for _kind in ("tls", "relp", "relps"):
    case(f"outputs: {_kind}, each event once", kind=_kind)(once)
    case(f"outputs: {_kind}, receiver stuck for a while", kind=_kind)(paused)
for _kind in ("relp", "relps"):
    # Not with TLS: each connection begins with the messages that were sent last, so a receiver
    # that accepts only a few messages per connection would never get further.
    case(f"outputs: {_kind}, connections that end", kind=_kind, after=7)(dropped)
    case(f"outputs: {_kind}, connections that end at once", kind=_kind, after=2)(dropped)
    case(f"outputs: {_kind}, slow receiver", kind=_kind)(slow)
    case(f"outputs: {_kind}, one refusal", kind=_kind, numbers=[7])(refused)
    case(f"outputs: {_kind}, many refusals", kind=_kind, numbers=[3, 4, 5, 21, 22, 40])(refused)
