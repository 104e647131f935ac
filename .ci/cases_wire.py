"""Connections, framings, subscriptions and bookmarks."""

import threading

import wefsource as wef
from harness import (CAPTURES, Relay, case, load, need, no_violations, sealed_delivery, sink, wait_for)


def to(receiver) -> list:
    return ["--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}"]


@case("wire: requests in small pieces", split=7)
@case("wire: requests in single bytes", split=1)
def split_writes(folder, split):
    events = load("powershell.attack.xml", 6)
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        for sldc in (False, True):
            wef.run(relay.options(split=split, sldc=sldc), events)
        no_violations(receiver, 2 * len(events))


def quirk(folder, name, sldc):
    events = load("sysmon.xml")
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        wef.run(relay.options(quirks=(name,), sldc=sldc), events)
        no_violations(receiver, len(events))


for _quirk in wef.QUIRKS:
    for _sldc in ((True,) if _quirk.startswith("sldc") else (False, True)):
        case(f"wire: quirk {_quirk}{', SLDC' if _sldc else ''}", name=_quirk, sldc=_sldc)(quirk)


@case("wire: all quirks that go together")
def quirks_together(folder):
    quirks = ("tabs", "lowercase-headers", "no-bom", "content-type-spaces", "sldc-mixed",
              "sldc-no-trailer", "xml-declaration", "pipelined")
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        wef.run(relay.options(quirks=quirks, sldc=True, split=100), load("sysmon.xml"))
        no_violations(receiver, len(load("sysmon.xml")))


@case("wire: heartbeats")
def heartbeats(folder):
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        source, subscription, session = sealed_delivery(relay, sldc=True)
        for _ in range(50):
            source.heartbeat(session, subscription)
        session.close()
        need(not receiver.records, "a heartbeat became a message")


@case("wire: three hundred batches on one connection")
def many_batches(folder):
    events = [wef.retarget(event, "win10.windomain.local", index + 1)
              for index, event in enumerate(load("system.xml", 50) * 30)]
    with sink(tcp=0, framing="octet") as receiver, Relay(folder, *to(receiver)) as relay:
        wef.run(relay.options(batch=5, sldc=True), events)
        no_violations(receiver, len(events))


@case("wire: batch larger than the envelope asked for")
def large_batch(folder):
    events = load("large.xml") * 3
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        wef.run(relay.options(honour_max_envelope=False, sldc=True), events)
        no_violations(receiver, len(events))


@case("wire: twenty sources at once")
def sources_at_once(folder):
    events = load("security.xml", 20)
    failures = []

    def play(relay, number):
        try:
            machine = f"ws-{number:02}.example.test"
            own = [wef.retarget(event, machine, index + 1) for index, event in enumerate(events)]
            wef.run(relay.options(machine=machine, batch=4, sldc=number % 2 == 0), own)
        except Exception as failure:            # reported by the main thread
            failures.append(f"{number}: {failure}")
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        threads = [threading.Thread(target=play, args=(relay, number)) for number in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        need(not failures, "; ".join(failures))
        records = no_violations(receiver, 20 * len(events))
        seen = {(record["hostname"], record["sd"]["event@32473"]["EventRecordID"][0]) for record in records}
        need(len(seen) == 20 * len(events), f"{len(seen)} different records")


@case("wire: two subscriptions")
def two_subscriptions(folder):
    files = []
    for number in (1, 2):
        path = folder / f"subscription-{number}.xml"
        path.write_text(f"""<?xml version="1.0" encoding="UTF-8"?>
<Subscription xmlns="http://schemas.microsoft.com/2006/03/windows/events/subscription">
  <SubscriptionId>Number {number}</SubscriptionId>
  <SubscriptionType>SourceInitiated</SubscriptionType>
  <Description></Description>
  <Enabled>true</Enabled>
  <Uri>http://schemas.microsoft.com/wbem/wsman/1/windows/EventLog</Uri>
  <ConfigurationMode>MinLatency</ConfigurationMode>
  <Query><![CDATA[<QueryList><Query Id="0"><Select Path="System">*</Select></Query></QueryList>]]></Query>
  <ReadExistingEvents>true</ReadExistingEvents>
  <TransportName>http</TransportName>
  <ContentFormat>Events</ContentFormat>
  <Locale Language="en-US"/>
  <LogFile>ForwardedEvents</LogFile>
  <AllowedSourceNonDomainComputers></AllowedSourceNonDomainComputers>
</Subscription>
""", encoding="utf-8")
        files += ["--subscription", path]
    events = load("system.xml", 10)
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver), *files) as relay:
        source = wef.run(relay.options(), events, expect_subscriptions=2)
        names = sorted(subscription.name for subscription in source.subscriptions)
        need(names == ["Number 1", "Number 2"], str(names))
        need(all(subscription.content_format != "RenderedText" for subscription in source.subscriptions),
             "asks for rendered text though the file says Events")
        for record in no_violations(receiver, 2 * len(events)):
            need(record["sd"]["event@32473"]["Subscription"][0].startswith("Number "), str(record["sd"]))


@case("wire: events for an unknown subscription")
def unknown_subscription(folder):
    with Relay(folder) as relay:
        source, subscription, session = sealed_delivery(relay)
        session.path = "/wsman/subscriptions/11111111-2222-3333-4444-555555555555/1"
        ids = wef.make_ids()
        reference = '<e:Identifier xmlns:e="%s">11111111-2222-3333-4444-555555555555</e:Identifier>' % wef.NS["e"]
        answer = session.exchange(wef.events_xml(relay.url, "win10", ids, reference, load("system.xml", 1),
                                                 wef.make_bookmark({"System": (1, True)})))
        need(answer.status == 404, f"status {answer.status}")
        session.close()


# --------------------------------------------------------------------------
# bookmarks

@case("bookmark: kept across restarts", how="stop")
@case("bookmark: kept across SIGKILL", how="kill")
def bookmark_kept(folder, how):
    events = load("sysmon.xml")
    with sink(tcp=0) as receiver:
        relay = Relay(folder, *to(receiver))
        source = wef.run(relay.options(), events)
        versions = [subscription.version for subscription in source.subscriptions]
        name = source.subscriptions[0].name
        for _ in range(3):
            port = relay.port
            getattr(relay, how)()
            relay = Relay(folder, *to(receiver), port=port)
            source.check_bookmark_kept(name)
            again = [subscription.version for subscription in source.subscriptions]
            need(again == versions, "the subscription has another version after a restart")
        need(relay.stop() == 0, "SIGTERM gave another status than 0")
        no_violations(receiver, len(events))


EVENT_111 = (CAPTURES / "events" / "111-subscription-bookmark.xml").read_text(encoding="utf-8").strip()


def backward(record: int) -> str:
    return ('<BookmarkList Direction="backward">'
            f'<Bookmark Channel="Security" RecordId="{record}" IsCurrent="true"/></BookmarkList>')


@case("bookmark: event 111 after a restart does not move a good one")
def bookmark_guard(folder):
    """The source got a valid bookmark but still sends event 111, whose bookmark is the end of
    the log: storing it would skip the events in between."""
    events = [wef.retarget(event, "win10.windomain.local", index + 1)
              for index, event in enumerate(load("security.xml", 10))]
    with sink(tcp=0) as receiver:
        relay = Relay(folder, *to(receiver))
        source, subscription, session = sealed_delivery(relay)
        source.send_batch(session, subscription, events)
        good = wef.canonical_bookmark(source.sent.bookmark)
        session.close()
        port = relay.port
        need(relay.stop() == 0, "SIGTERM gave another status than 0")
        relay = Relay(folder, *to(receiver), port=port)
        subscription = source.enumerate()[0]
        need(subscription.bookmark == good, f"after the restart: {subscription.bookmark}")
        session = source.open_delivery(subscription)
        source.send_batch(session, subscription, [EVENT_111], bookmark=backward(60))
        session.close()
        need(source.enumerate()[0].bookmark == good, "event 111 replaced the bookmark")
        session = source.open_delivery(source.subscriptions[0])
        later = wef.make_bookmark({"Security": (11, True)})
        source.send_batch(session, source.subscriptions[0],
                          [wef.retarget(events[0], "win10.windomain.local", 11)], bookmark=later)
        session.close()
        got = source.enumerate()[0].bookmark
        need(got == wef.canonical_bookmark(later), f"a later batch did not move it: {got}")
        need(relay.stop() == 0, "SIGTERM gave another status than 0")
        no_violations(receiver, len(events) + 1)


@case("bookmark: event 111 gives the first one")
def first_bookmark(folder):
    with sink(tcp=0) as receiver, Relay(folder, *to(receiver)) as relay:
        source, subscription, session = sealed_delivery(relay)
        source.send_batch(session, subscription, [EVENT_111], bookmark=backward(60))
        session.close()
        got = source.enumerate()[0].bookmark
        need(got == wef.canonical_bookmark(backward(60)), f"got {got}")
        need(not receiver.records, "event 111 was forwarded")


@case("bookmark: not moved by a batch that the output did not take")
def bookmark_waits(folder):
    with sink(tcp=0) as receiver:
        port = receiver.ports["tcp"]
    events = load("system.xml", 5)
    with Relay(folder, "--output", f"tcp://127.0.0.1:{port}") as relay:
        source, subscription, session = sealed_delivery(relay, timeout=2.0)
        try:
            source.send_batch(session, subscription, events)
            raise RuntimeError("acknowledged without a receiver")
        except wef.CheckFailed as failure:
            need(failure.name in ("http.timeout", "http.status"), str(failure))
        session.close()
        need(source.enumerate()[0].bookmark is None, "the bookmark has moved")
        with sink(tcp=port) as receiver:
            session = source.open_delivery(subscription)
            session.conn.timeout = 30
            session.conn.sock.settimeout(30)
            source.send_batch(session, subscription, events)
            session.close()
            wait_for("the events", lambda: len(receiver.records) >= len(events))
            source.check_bookmark_kept(subscription.name)
