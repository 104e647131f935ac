"""Malformed input: events that are not well-formed XML are acknowledged and still arrive;
malformed requests are rejected, and the relay serves the next source."""

import re
import wefsource as wef
from harness import (CAPTURES, Relay, case, load, need, no_violations, sealed_delivery, sink)

GOOD = load("system.xml", 2)
START = GOOD[0][:GOOD[0].index("<EventData>")]


def with_data(data: str) -> str:
    return f"{START}<EventData>{data}</EventData></Event>"


def nested(depth: int) -> str:
    return with_data("<a>" * depth + "deep" + "</a>" * depth)


POISON = {
    "control characters": with_data("<Data Name='a'>" + "".join(map(chr, range(1, 32))) + "</Data>"),
    "NUL": with_data("<Data>before\0after</Data>"),
    "references to control characters": with_data("<Data>a&#x5;b&#0;c&#31;d&#xFFFF;e</Data>"),
    "reference to a surrogate": with_data("<Data>a&#xD800;b</Data>"),
    "reference beyond Unicode": with_data("<Data>a&#x110000;b&#99999999999999999999;c</Data>"),
    "noncharacters": with_data("<Data>a\ufffeb\uffffc</Data>"),
    "lone high surrogate": with_data("<Data>a\ud83db</Data>"),
    "lone low surrogate": with_data("<Data>a\ude00b</Data>"),
    "swapped surrogates": with_data("<Data>a\ude00\ud83db</Data>"),
    "surrogate at the end": START + "\ud83d",
    "C1 controls and DEL": with_data("<Data>a\x7f\x80\x85\x9fb</Data>"),
    "line separators": with_data("<Data>a\u2028b\u2029c\x0bd\x0ce</Data>"),
    "cut in System": GOOD[0][:60],
    "cut in EventData": GOOD[0][:-30],
    "cut in a tag": GOOD[0][:-3],
    "cut in RenderingInfo": GOOD[0][:-8] + "<RenderingInfo Culture='en-US'><Message>The serv",
    "undefined entity": with_data("<Data>a&nbsp;b</Data>"),
    "bare ampersand": with_data("<Data>a & b</Data>"),
    "bare less-than": with_data("<Data>a < b</Data>"),
    "attribute twice": with_data("<Data Name='a' Name='b'>c</Data>"),
    "wrong end tag": with_data("<Data>a</Date>"),
    "two roots": GOOD[0] + GOOD[0],
    "text after the root": GOOD[0] + "text",
    "no XML at all": "hello, world",
    "other root": "<Other xmlns='urn:x'><System/></Other>",
    "no System": "<Event xmlns='http://schemas.microsoft.com/win/2004/08/events/event'/>",
    "no namespace": GOOD[0].replace(" xmlns='http://schemas.microsoft.com/win/2004/08/events/event'", ""),
    "doctype with entities": "<!DOCTYPE Event [<!ENTITY a 'aaaaaaaaaa'><!ENTITY b '&a;&a;&a;&a;'>]>"
                             + with_data("<Data>&b;</Data>"),
    "external entity": "<!DOCTYPE Event [<!ENTITY x SYSTEM 'file:///etc/passwd'>]>"
                       + with_data("<Data>&x;</Data>"),
    "sixty levels": nested(55),
    "ten thousand levels": nested(10_000),
    "end of CDATA": with_data("<Data>a]]&gt;b]]></Data>"),
    "comment and instruction": with_data("<!-- a --><?b c?><Data>d</Data>"),
    "thousand values": with_data("".join(f"<Data Name='n{n}'>v{n}</Data>" for n in range(1000))),
    "one value of a megabyte": with_data("<Data Name='a'>" + "x" * 1_000_000 + "</Data>"),
    "names that are no SD-NAMEs": with_data("<Data Name='a=\"]b'>1</Data><Data Name=''>2</Data>"
                                            "<Data Name='ü'>3</Data><Data Name='" + "n" * 80 + "'>4</Data>"),
    "long and foreign header fields": START.replace("<Computer>", "<Computer>ü x " + "c" * 300)
                                      + "</Event>",
    "impossible time": GOOD[0].replace("SystemTime='2017-", "SystemTime='2017-13-99T77:88:99Z "),
    "huge numbers": GOOD[0].replace("<Level>4<", "<Level>99999999999999999999<"),
}
for _path in sorted((CAPTURES / "events").glob("*.xml")):
    if not _path.name.startswith("111"):
        POISON[f"capture {_path.stem}"] = _path.read_text(encoding="utf-8").strip()


def poison(folder, event, framing):
    """Sends the malformed event between two valid ones, and alone."""
    with sink(tcp=0, framing=framing) as receiver:
        output = f"tcp://127.0.0.1:{receiver.ports['tcp']}?framing={framing}"
        with Relay(folder, "--output", output) as relay:
            source, subscription, session = sealed_delivery(relay, machine="poisoned.example.test")
            bookmark = wef.make_bookmark({"System": (1, True)})
            source.send_batch(session, subscription, [GOOD[0], event, GOOD[1]], bookmark=bookmark)
            source.send_batch(session, subscription, [event], bookmark=bookmark)
            source.heartbeat(session, subscription)
            session.close()
        records = no_violations(receiver, 4)
        for index, good in ((0, GOOD[0]), (2, GOOD[1])):
            number = wef._RECORD.search(good).group(1)
            held = records[index]["sd"]["event@32473"].get("EventRecordID")
            need(held == [number], f"good event {index} has record {held}")
        need("passwd" not in str(records) or "root:" not in str(records), "an external entity was read")


for _name, _event in POISON.items():
    for _framing in ("octet", "lf"):
        case(f"poison: {_name}, {_framing}", event=_event, framing=_framing)(poison)


@case("poison: nothing in an event")
def nothing(folder):
    """An empty event is not forwarded, and does not block others."""
    with sink(tcp=0) as receiver:
        with Relay(folder, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}") as relay:
            source, subscription, session = sealed_delivery(relay)
            bookmark = wef.make_bookmark({"System": (1, True)})
            for event in ("", " \r\n\t "):
                source.send_batch(session, subscription, [GOOD[0], event, GOOD[1]], bookmark=bookmark)
            source.send_batch(session, subscription, [], bookmark=bookmark)
            session.close()
        no_violations(receiver, 4)


# --------------------------------------------------------------------------
# broken requests

def still_serves(relay):
    wef.run(relay.options(machine="next.example.test"), load("system.xml", 2), verify_bookmark=False)


def refused(folder, spoil):
    """`spoil(session)` sends malformed data and returns the answer or None."""
    with Relay(folder) as relay:
        _, subscription, session = sealed_delivery(relay)
        session.exchange(wef.heartbeat_xml(subscription.notify_to, "win10", wef.make_ids(), subscription.ref_xml))
        try:
            answer = spoil(session, subscription)
            need(answer.status >= 400, f"status {answer.status}")
        except wef.ConnectionLost:
            pass
        session.close()
        still_serves(relay)


def frame_and_post(session, **how):
    ctype, body, header = session.frame(**how)
    return session._post(ctype, body, None, header)


def flip(token, sealed):
    return token[:5] + bytes([token[5] ^ 1]) + token[6:], sealed


def flip_data(token, sealed):
    return token, sealed[:9] + bytes([sealed[9] ^ 1]) + sealed[10:]


def heartbeat(subscription) -> str:
    return wef.heartbeat_xml(subscription.notify_to, "win10", wef.make_ids(), subscription.ref_xml)


SPOILS = {
    "forged signature": lambda s, sub: frame_and_post(s, xml=heartbeat(sub), mangle=flip),
    "forged data": lambda s, sub: frame_and_post(s, xml=heartbeat(sub), mangle=flip_data),
    "short token": lambda s, sub: frame_and_post(s, xml=heartbeat(sub), mangle=lambda t, d: (t[:8], d)),
    "empty sealed body": lambda s, sub: frame_and_post(s, raw=b""),
    "odd number of bytes": lambda s, sub: frame_and_post(s, raw=b"\xff\xfe<\0x"),
    "text that is no XML": lambda s, sub: frame_and_post(s, xml="hello"),
    "other XML": lambda s, sub: frame_and_post(s, xml="<a/>"),
    "document type": lambda s, sub: frame_and_post(s, xml="<!DOCTYPE a [<!ENTITY b 'c'>]>" + heartbeat(sub)),
    "no header": lambda s, sub: frame_and_post(s, xml=wef._envelope("sa", "", "")),
    "unknown action": lambda s, sub: frame_and_post(s, xml=heartbeat(sub).replace("/Heartbeat<", "/Unknown<")),
    "deep envelope": lambda s, sub: frame_and_post(
        s, xml=wef._envelope("sa", "", "<a>" * 20_000 + "</a>" * 20_000)),
    "SLDC that is none": lambda s, sub: frame_and_post(
        s, raw=b"\x12\x34\x56\x78" * 50, compress="header-only"),
    "multipart without end": lambda s, sub: s._post(
        f'multipart/encrypted;protocol="{s.ctx.mime}";boundary="{wef.BOUNDARY}"',
        s.frame(heartbeat(sub))[1][:-20]),
    "multipart of another protocol": lambda s, sub: s._post(
        'multipart/encrypted;protocol="application/HTTP-CredSSP-session-encrypted";boundary="x"',
        s.frame(heartbeat(sub))[1]),
    "unknown content type": lambda s, sub: s._post("text/html", b"<html/>"),
}
for _name, _spoil in SPOILS.items():
    case(f"broken: {_name}", spoil=_spoil)(refused)


@case("broken: replayed sealed message ends the connection")
def replayed(folder):
    with Relay(folder) as relay:
        _, subscription, session = sealed_delivery(relay)
        first = session.exchange(heartbeat(subscription))
        need(first.status == 200, f"status {first.status}")
        ctype, body, header = session.frame(heartbeat(subscription))
        need(session._post(ctype, body, None, header).status == 200, "a good message was refused")
        try:
            answer = session._post(ctype, body, None, header)
            need(answer.status >= 400, f"status {answer.status} for a replay")
            need(session.conn.closed, "the connection is still open")
        except wef.ConnectionLost:
            pass
        session.close()
        still_serves(relay)


@case("broken: decompression bomb")
def bomb(folder):
    """Compressed data that would expand to hundreds of megabytes: rejected at the limit, without allocating it."""
    def spoil(session, subscription):
        text = "<s:Envelope>" + " " * 60_000_000
        return frame_and_post(session, raw=session.compress(text.encode("utf-16-le")), compress="header-only")
    refused(folder, spoil)


@case("broken: connections cut at any point")
def cut_anywhere(folder):
    with sink(tcp=0) as receiver:
        with Relay(folder, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}") as relay:
            for share in range(1, 20):
                source, subscription, session = sealed_delivery(relay)
                session.exchange(heartbeat(subscription))
                xml = wef.events_xml(subscription.notify_to, "win10", wef.make_ids(), subscription.ref_xml,
                                     GOOD, wef.make_bookmark({"System": (1, True)}))
                ctype, body, header = session.frame(xml)
                request = session.conn.request_bytes(
                    session.path, session._headers(len(body), ctype, None, header), body)
                session.conn.write(request[:len(request) * share // 20])
                session.close()
            need(not receiver.records, "half a batch was forwarded")
            still_serves(relay)


# --------------------------------------------------------------------------
# genuine messages

def post_capture(relay, path, text_or_bytes, compress=None):
    session = wef.Session(relay.options(), relay.url.replace("/wsman/SubscriptionManager/WEC", path))
    session.sldc = False
    heart = session.authenticate()
    if isinstance(text_or_bytes, bytes):
        ctype, body, header = session.frame(raw=text_or_bytes, compress=compress)
    else:
        ctype, body, header = session.frame(text_or_bytes)
    answer = session._post(ctype, body, heart, header)
    return session, answer


def capture_bytes(name: str) -> bytes:
    return bytes.fromhex("".join((CAPTURES / name).read_text().split()))


@case("capture: Enumerate of Windows", name="openwec/03-source-enumerate.utf16le.hex")
@case("capture: Enumerate of Windows over TLS", name="owinec/01-source-enumerate.xml")
def capture_enumerate(folder, name):
    content = capture_bytes(name) if name.endswith(".hex") else (CAPTURES / name).read_text(encoding="utf-8")
    text = content.decode("utf-16") if isinstance(content, bytes) else content
    report = wef.Report()
    _, head, _ = wef.parse_envelope(text, report)
    want = {"message": wef.text_of(head.find(wef.q("a:MessageID"))),
            "operation": wef.text_of(head.find(wef.q("p:OperationID")))}
    host = wef.urlsplit(wef.text_of(head.find(wef.q("a:To")))).hostname
    with Relay(folder) as relay:
        session, answer = post_capture(relay, "/wsman/SubscriptionManager/WEC", content)
        need(answer.status == 200, f"status {answer.status}")
        _, body = session.parse_answer(answer, want, wef.ACT_ENUMERATE_RESPONSE)
        items = body[0].find(wef.q("w:Items"))
        need(len(items) >= 1, "no subscription")
        subscription = wef.parse_subscription(report, items[0], "ntlm-anonymous")
        address = wef.urlsplit(subscription.notify_to)
        need(address.hostname == host, f"NotifyTo {subscription.notify_to}, but the source calls us {host}")
        session.close()


def capture_delivery(folder, name, action, records):
    """Sends a captured delivery to the relay's address. Its identifier is that of another
    collector: it is replaced in captures in plain text; compressed ones are rejected."""
    hexadecimal = name.endswith(".hex")
    content = capture_bytes(name) if hexadecimal else (CAPTURES / name).read_text(encoding="utf-8")
    with sink(tcp=0) as receiver:
        with Relay(folder, "--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}") as relay:
            subscription = wef.Source(relay.options()).enumerate()[0]
            path = wef.urlsplit(subscription.notify_to).path
            if not hexadecimal:
                ours = path.rstrip("/").rsplit("/", 1)[1]
                content = re.sub(r"(Identifier[^>]*>)[^<]*(</)", rf"\g<1>{ours}\g<2>", content)
            session, answer = post_capture(relay, path, content, "header-only" if hexadecimal else None)
            if hexadecimal:
                need(answer.status == 404, f"status {answer.status}")
                session.close()
                return
            need(answer.status in (200, 204), f"status {answer.status}")
            if action:
                need(answer.status == 200, f"status {answer.status}")
                text = session.open_response(answer)
                need(action in text, text)
            session.close()
        no_violations(receiver, records)


for _name, _file, _action, _records in (
        ("compressed heartbeat", "openwec/09-source-heartbeat.sldc.hex", wef.ACT_ACK, 0),
        ("heartbeat", "openwec/09-source-heartbeat.xml", wef.ACT_ACK, 0),
        ("heartbeat over TLS", "owinec/03-source-heartbeat-to-prototype.xml", wef.ACT_ACK, 0),
        ("events", "openwec/11-source-events.reindented.xml", wef.ACT_ACK,
         (CAPTURES / "openwec/11-source-events.reindented.xml").read_text(encoding="utf-8").count("</w:Event>")),
        ("bookmark event", "owinec/05-source-events-bookmark-111-to-prototype.reindented.xml", wef.ACT_ACK, 0),
        ("SubscriptionEnd", "openwec/13-source-subscription-end.reindented.xml", None, 0),
        ("End", "openwec/05-source-end.reindented.xml", None, 0),
        ("End after SubscriptionEnd", "openwec/14-source-end-after-subscription-end.reindented.xml", None, 0)):
    case(f"capture: {_name} of Windows", name=_file, action=_action, records=_records)(capture_delivery)
