"""TLS and RELP towards the strict sink: no violation, and nothing acknowledged is lost
when it drops connections, refuses messages or takes its time."""

import mkcerts
import wefsource as wef
from harness import Relay, case, element, load, need, no_violations, sink, wait_for

NAME = "log.windomain.local"


def certificates(folder) -> dict:
    mkcerts.main(["mkcerts", str(folder), NAME])
    return {"cert": str(folder / "collector.pem"), "key": str(folder / "collector.key")}


def url(receiver, kind: str, folder, settings: str = "") -> str:
    """The output that leads to the sink."""
    port = receiver.ports[kind]
    if kind == "relp":
        return f"relp://127.0.0.1:{port}"
    scheme = {"tls": "tls", "relps": "relp+tls"}[kind]
    return f"{scheme}://127.0.0.1:{port}?ca={folder}/ca.pem&name={NAME}{settings}"


def own_sink(folder, kind: str, **options):
    if kind != "relp":
        options |= certificates(folder)
    return sink(**{kind: 0}, **options)


def arrived(receiver) -> list:
    return [int(element(record, "event")["EventRecordID"][0]) for record in list(receiver.records)]


def deliver_all(relay, events: list, batch: int) -> None:
    """As Windows does: a batch comes again until it is acknowledged."""
    source = wef.Source(relay.options(batch=batch))
    wef.run(source.opt, events, verify_bookmark=False)


@case("outputs: tls once", kind="tls")
@case("outputs: relp once", kind="relp")
@case("outputs: relp over tls once", kind="relps")
def once(folder, kind):
    events = load("system.xml", 60)
    with own_sink(folder, kind) as receiver:
        with Relay(folder, "--output", url(receiver, kind, folder)) as relay:
            wef.run(relay.options(), events)
        no_violations(receiver, len(events))
        need(receiver.connections == 1, f"{receiver.connections} connections")
