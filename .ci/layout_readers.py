"""Independent parsers for each layout, whose results must contain the values of the event."""

import copy
import functools
import ipaddress
import json
import re
import subprocess
import sys

import sink as syslog_sink
from lxml import etree
from cases_receivers import PEERS, Daemon
from harness import check_line, check_values, need, strings, visible

HERE = PEERS / "readers"
sys.path[:] = [*sys.path, *map(str, HERE.glob("lib/python*/site-packages"))]

OLD_HEADER = re.compile(r"<\d+>[A-Z][a-z]{2} [ \d]\d \d\d:\d\d:\d\d [^ ]+ ")


def body(message: bytes) -> str:
    """A message without its header, in either format."""
    text = message.decode("utf-8")
    if old := OLD_HEADER.match(text):
        return text[old.end():]
    record = syslog_sink.parse_rfc5424(message)
    need(not record["errors"], f"{record['errors']}: {message[:500]!r}")
    return record.get("msg") or ""


def where(facts) -> str:
    return f"event {facts.event_id} record {facts.record_id} of {facts.channel}"


def of_xml(messages, all_facts):
    """The messages of events that are XML."""
    return [(message, facts) for message, facts in zip(messages, all_facts, strict=True) if facts]


# --------------------------------------------------------------------------
# how layouts write values

def control(text: str, kept: str = "") -> str:
    """Replaces control characters by blanks, except those in `kept`."""
    return "".join(c if c in kept or not (c < " " or "\x7f" <= c <= "\x9f") else " " for c in text)


def squeezed(text: str) -> str:
    return " ".join(control(text).split())


def same_address(one: str, other: str) -> bool:
    try:
        first, second = map(ipaddress.ip_address, (one, other))
    except ValueError:
        return False
    return getattr(first, "ipv4_mapped", None) == second or first == second


def is_key_of(key: str, name: str, keys: dict) -> bool:
    """Whether a key can have values with this name; `keys` are those of the layout."""
    own = re.sub(r"[^A-Za-z0-9]", "_", name)[:64]
    return key in (own, keys.get(name)) or name == "IpAddress" and key == "c6a2" or \
        bool(re.fullmatch(re.escape(own) + r"_\d+", key))


def check_pairs(pairs: dict, facts, keys: dict, kept: str) -> None:
    """Checks that each value has its key."""
    for name, value in facts.values:
        wanted = control(value, kept).strip()
        if not wanted:
            continue
        found = [text.strip() for key, text in pairs.items() if name is None or is_key_of(key, name, keys)]
        need(any(text == wanted or name == "IpAddress" and same_address(value, text) for text in found),
             f"{where(facts)}: {name} is {wanted!r}, got {found}")


def check_facts(pairs: dict, facts, names: dict) -> None:
    for fact, name in names.items():
        wanted = control(getattr(facts, fact))
        need(not wanted.strip() or pairs.get(name, "").strip() == wanted.strip(),
             f"{where(facts)}: {name} is {pairs.get(name)!r}, not {wanted!r}")


def check_text(text: str, facts) -> None:
    """Checks the rendered text, regardless of blanks and line ends."""
    wanted = squeezed(facts.message or "")
    need(squeezed(text or "").startswith(wanted), f"{where(facts)}: {text!r}, not {wanted!r}")


# --------------------------------------------------------------------------
# CEF and LEEF

CEF_KEYS = {"SubjectUserName": "suser", "SubjectDomainName": "sntdom", "SubjectUserSid": "suid",
            "TargetUserName": "duser", "TargetDomainName": "dntdom", "TargetUserSid": "duid", "IpAddress": "src",
            "IpPort": "spt", "WorkstationName": "shost", "ProcessName": "sproc"}
CEF_FACTS = {"event_id": "externalId", "record_id": "RecordID", "channel": "cat", "computer": "dvchost"}
LEEF_KEYS = {"TargetUserName": "usrName", "TargetDomainName": "domain", "IpAddress": "src", "IpPort": "srcPort"}
LEEF_FACTS = {"record_id": "RecordID", "channel": "cat", "computer": "identHostName"}


def check_cef(pairs: dict, facts) -> None:
    check_pairs(pairs, facts, CEF_KEYS, "\r\n")
    check_facts(pairs, facts, CEF_FACTS)
    check_text(pairs.get("msg"), facts)


def by_cefp(folder, messages, all_facts, escaped):
    import cefp
    for message, facts in of_xml(messages, all_facts):
        event = cefp.parse(body(message))
        need(event["device"]["vendor"] == "Microsoft" and event["severity"].isdigit(), f"{event}")
        check_cef(event["extension"], facts)


def by_cef_dictionary(folder, messages, all_facts, escaped):
    """Checks that each standard key has a value of its type."""
    import cefp
    from cefevent import CEFEvent
    for message, facts in of_xml(messages, all_facts):
        event = CEFEvent(strict=True)
        for key, value in cefp.parse(body(message))["extension"].items():
            # Texts may exceed the standard's limits; cefevent treats 0 as a missing value.
            types = CEFEvent._extension_dictionary.get(key, {}).get("data_type", ["String"])
            if types != ["String"] and value != "0":
                try:
                    event.set_field(key, int(value) if value.isdigit() and len(value) < 19 else value)
                except ValueError as error:
                    raise AssertionError(f"{where(facts)}: {key}={value!r}: {error}") from error


def by_rsyslog_cef(folder, messages, all_facts, escaped):
    """The recipe in `contrib`, which parses with liblognorm."""
    pairs = of_xml(messages, all_facts)
    with Daemon(folder, "rsyslog/wecrelay-cef.conf") as daemon:
        documents = daemon.take([message for message, _ in pairs])
    for document, (_, facts) in zip(documents, pairs, strict=True):
        need(document["Extensions"].get("rt", "").lstrip("-").isdigit(), f"{where(facts)}: {document}")
        check_cef(document["Extensions"], facts)


def by_leef_rules(folder, messages, all_facts, escaped):
    """According to IBM's guide: no escapes, and the first equals sign ends a key."""
    for message, facts in of_xml(messages, all_facts):
        *header, text = body(message).split("|", 5)
        need(header[:3] == ["LEEF:1.0", "Microsoft", "Windows"], f"{where(facts)}: {header}")
        need(header[4] == facts.event_id, f"{where(facts)}: {header}")
        pairs = [pair.split("=", 1) for pair in text.split("\t")]
        need(len({key.lower() for key, _ in pairs}) == len(pairs), f"{where(facts)}: a key stands twice in {text!r}")
        check_leef(dict(pairs), facts)


def check_leef(pairs: dict, facts) -> None:
    check_pairs(pairs, facts, LEEF_KEYS, "")
    check_facts(pairs, facts, LEEF_FACTS)
    check_text(pairs.get("msg"), facts)


def check_tenzir_leef(event: dict, facts) -> None:
    """Tenzir interprets escapes and quotation marks, which IBM's guide does not define."""
    def undone(text):
        text = re.sub(r"""\\([\\"'tnr])""", lambda m: {"t": "\t", "n": "\n", "r": "\r"}.get(m[1], m[1]), text)
        return marks(text)

    def marks(text):
        return re.sub(r"""[\\"']""", "", control(text))
    facts = copy.copy(facts)
    facts.values = [(name, undone(value)) for name, value in facts.values]
    facts.message = undone(facts.message or "")
    need(event["vendor"] == "Microsoft" and event["event_class_id"] == facts.event_id, f"{event}")
    check_leef({key: marks(text) for key, text in event["attributes"].items()}, facts)


# --------------------------------------------------------------------------
# Tenzir

def tenzir(folder, texts, function):
    """The result of a Tenzir function for each text."""
    source, program = folder / "texts.json", folder / "program.tql"
    with open(source, "w", encoding="utf-8") as out:
        for number, text in enumerate(texts):
            out.write(json.dumps({"number": number, "text": text}) + "\n")
    program.write_text(f'from_file "{source}" {{ read_ndjson }}\n'
                       f'this = {{number: number, read: text.{function}(raw=true)}}\n'
                       'to_stdout { write_ndjson }\n', encoding="utf-8")
    run = subprocess.run([HERE / "tenzir", "-f", program], capture_output=True, timeout=120, check=False,
                         stdin=subprocess.DEVNULL)
    need(run.returncode == 0, f"Tenzir: {run.stderr.decode()[-2000:]}")
    found = {one["number"]: one["read"] for one in map(json.loads, run.stdout.splitlines())}
    need(len(found) == len(texts), f"Tenzir gave {len(found)} of {len(texts)}: {run.stderr.decode()[-2000:]}")
    return [found[number] for number in range(len(texts))]


def by_tenzir(function, check, known=lambda message: True):
    def read(folder, messages, all_facts, escaped):
        pairs = [pair for pair in of_xml(messages, all_facts) if known(pair[0])]
        need(len(pairs) > len(messages) / 2, f"{len(pairs)} of {len(messages)}")
        for event, (_, facts) in zip(tenzir(folder, [body(message) for message, _ in pairs], function), pairs):
            need(event, f"{where(facts)}: not read")
            check(event, facts)
    return read


def header_by_tenzir(folder, messages, all_facts, escaped):
    """Checks the header. Tenzir rejects control characters in structured data and years before 1678."""
    pairs = [pair for pair in of_xml(messages, all_facts) if b">1 1601-" not in pair[0][:16]]
    if not escaped and b"[event@" in pairs[0][0]:
        return
    for event, (message, facts) in zip(tenzir(folder, [m.decode() for m, _ in pairs], "parse_syslog"), pairs):
        need(event, f"{where(facts)}: {message[:300]!r} is not read")
        if facts.computer.isascii() and facts.computer:
            need(event["hostname"] == facts.computer, f"{where(facts)}: {event}")
        elements = event.get("structured_data") or {}
        if "data@32473" in elements:
            truncated = elements["event@32473"].get("Truncated", "").split(" ")
            elements = {key: {name: [value] for name, value in held.items()} for key, held in elements.items()}
            check_values({"sd": elements, "msg": event["message"]}, facts, visible, where(facts), truncated)


def check_winlog(event: dict, facts) -> None:
    """Tenzir keeps the `Data` elements of EventData and all of UserData, without line ends."""
    system = event["System"]
    need(facts.channel in (system.get("Channel"), ""), f"{where(facts)}: {system}")
    held = list(strings([event.get("EventData"), event.get("UserData")]))
    for node in etree.fromstring(facts.xml.encode()).iterfind("{*}EventData/{*}Data"):
        text = "".join((node.text or "").split())
        need(len(node) or not text or any(text == "".join(one.split()) for one in held),
             f"{where(facts)}: {node.get('Name')} is {node.text!r}, got {held}")


# --------------------------------------------------------------------------
# JSON

def by_json(check):
    def read(folder, messages, all_facts, escaped):
        for message, facts in of_xml(messages, all_facts):
            check(json.loads(body(message)), facts)
    return read


def values_of(value) -> list:
    return value if isinstance(value, list) else [value]


def check_ecs(document: dict, facts) -> None:
    winlog = document["winlog"]
    for name, wanted in (("event_id", facts.event_id), ("channel", facts.channel), ("record_id", facts.record_id),
                         ("computer_name", facts.computer)):
        need(str(winlog.get(name, "")) == wanted, f"{where(facts)}: {name} is {winlog.get(name)!r}")
    need(document["event"].get("code", "") == facts.event_id, f"{where(facts)}: {document['event']}")
    check_named(winlog.get("event_data") or winlog.get("user_data") or {}, facts, ())
    check_text(document.get("message"), facts)


def check_nxlog(document: dict, facts) -> None:
    for name, wanted in (("EventID", facts.event_id), ("Channel", facts.channel), ("Hostname", facts.computer),
                         ("RecordNumber", facts.record_id)):
        need(str(document.get(name, "")) == wanted, f"{where(facts)}: {name} is {document.get(name)!r}")
    need(not any(isinstance(value, dict) for name, value in document.items() if name != "Collector"),
         f"{where(facts)}: not flat: {document}")
    check_named(document, facts, ("_2",))
    check_text(document.get("Message"), facts)


def check_named(members: dict, facts, endings) -> None:
    held = list(strings(members))
    for name, value in facts.values:
        if not value:
            continue
        found = held if name is None else \
            [one for ending in ("", *endings) for one in values_of(members.get(name + ending, []))]
        need(value in found or value.strip() in found, f"{where(facts)}: {name} is {value!r}, got {found}")


@functools.cache
def ecs_fields() -> dict:
    """Elastic's list of fields, from their TypeScript package."""
    script = "process.stdout.write(JSON.stringify(require('@elastic/ecs').EcsFlat))"
    listed = subprocess.run(["node", "-e", script], cwd=HERE, capture_output=True, timeout=60, check=True)
    return json.loads(listed.stdout)


# From Winlogbeat's reference; the values of an event are in event_data and user_data.
WINLOG = {"api": str, "activity_id": str, "channel": str, "computer_name": str, "event_id": str, "keywords": list,
          "kernel_time": int, "opcode": str, "process.pid": int, "process.thread.id": int, "processor_id": int,
          "processor_time": int, "provider_guid": str, "provider_name": str, "record_id": int,
          "related_activity_id": str, "session_id": int, "task": str, "user.domain": str, "user.identifier": str,
          "user.name": str, "user_time": int, "version": int}
OURS = ("System", "Collector", "Repaired", "Truncated")


def flat(value, path=""):
    if isinstance(value, dict) and path not in ("winlog.event_data", "winlog.user_data"):
        for name, member in value.items():
            yield from flat(member, f"{path}.{name}" if path else name)
    else:
        yield path, value


def by_elastic_fields(folder, messages, all_facts, escaped):
    """Checks that each field is in Elastic's list and has a value of its type."""
    for message in messages:
        for path, value in flat(json.loads(body(message))):
            top, _, rest = path.partition(".")
            if top in OURS or path in ("winlog.event_data", "winlog.user_data"):
                continue
            if top == "winlog":
                need(isinstance(value, WINLOG[rest]), f"{path} is {value!r}")
                continue
            need(path in ecs_fields(), f"{path} is not a field of ECS")
            check_type(path, value, ecs_fields()[path])


def check_type(path, value, field) -> None:
    kind = field["type"]
    if kind == "date":
        need(re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", value), f"{path} is {value!r}")
    else:
        need(kind in ("keyword", "match_only_text", "wildcard") and isinstance(value, str),
             f"{path} is {value!r}, not {kind}")
    allowed = [one["name"] for one in field.get("allowed_values") or []]
    need(not allowed or value in allowed, f"{path} is {value!r}, not one of {allowed}")


# --------------------------------------------------------------------------
# text, XML, Snare

def by_strict_reader(kind):
    def read(folder, messages, all_facts, escaped):
        for message, facts in of_xml(messages, all_facts):
            record = syslog_sink.parse_rfc5424(message)
            record["length"] = len(message)
            check_line(record, facts, kind, "escaped" if escaped else "kept")
    return read


def by_rsyslog_snare(folder, messages, all_facts, escaped):
    """The recipe in `contrib` splits the record at its tabs."""
    pairs = of_xml(messages, all_facts)
    with Daemon(folder, "rsyslog/wecrelay-snare.conf") as daemon:
        documents = daemon.take([message for message, _ in pairs])
    for document, (_, facts) in zip(documents, pairs, strict=True):
        # The first field, the name of the record, is rsyslog's tag; an empty last field is missing.
        check_snare({str(number): document.get(f"f{number - 1}", "") for number in range(2, 16)}, facts)


SNARE_FACTS = {"event_id": "6", "record_id": "4", "channel": "3", "computer": "11"}


def check_snare(fields: dict, facts) -> None:
    check_facts(fields, facts, SNARE_FACTS)
    text = squeezed(fields["14"])
    if facts.message:
        return check_text(text, facts)
    for name, value in facts.values:
        need(squeezed(value) in text, f"{where(facts)}: {name} is {value!r}, not in {text!r}")


def by_tabs(folder, messages, all_facts, escaped):
    for message, facts in of_xml(messages, all_facts):
        fields = body(message).split("\t")
        need(len(fields) == 15 and fields[0] == "MSWinEventLog", f"{where(facts)}: {fields}")
        check_snare({str(number): field for number, field in enumerate(fields, 1)}, facts)


READERS = {
    "text": [by_strict_reader("text"), header_by_tenzir],
    "xml": [by_strict_reader("xml"), by_tenzir("parse_winlog", check_winlog)],
    "json": [by_strict_reader("json")],
    "ecs": [by_json(check_ecs), by_elastic_fields],
    "nxlog": [by_json(check_nxlog)],
    "snare": [by_tabs, by_rsyslog_snare, header_by_tenzir],
    "cef": [by_cefp, by_cef_dictionary, by_rsyslog_cef, header_by_tenzir,
            # Quotation marks and bars have no meaning in an extension, except in Tenzir.
            by_tenzir("parse_cef", lambda event, facts: check_cef(event["extension"], facts),
                      lambda message: b'"' not in message and message.count(b"|") == 7)],
    "leef": [by_leef_rules, by_tenzir("parse_leef", check_tenzir_leef), header_by_tenzir],
}
