"""Every recipe of `contrib` in the real daemon, fed with the events of the reference folder:
each field of each event is in what the daemon writes."""

import json
import os
import re
import socket
import subprocess
from pathlib import Path

import wefsource as wef
from lxml import etree
from harness import (EVENTS, SHARED, Relay, case, local, need, sd_name, wait_for)
from cases_events import AsSent, is_bookmark_event

HERE = Path(__file__).resolve().parent.parent
HARD = SHARED / "cases" / "events"
PEERS = HERE / "target" / "peers"
RSYSLOG = "/usr/sbin/rsyslogd"
SYSLOG_NG = PEERS / "syslog-ng" / "run"

# Recipe: the output that feeds it, and where it puts things.
JSON = {"sd": ("sd",), "provider": ("provider",), "process": ("process_id",), "message": ("message",)}
RECIPES = {"rsyslog/wecrelay-json.conf": ("relp", "json"), "syslog-ng/wecrelay-json.conf": ("tcp", "json"),
           "rsyslog/wecrelay-relp.conf": ("relp", "log"), "syslog-ng/wecrelay-files.conf": ("tcp", "log")}


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Daemon:
    """A recipe as it is shipped, but for port and folder."""

    def __init__(self, folder: Path, recipe: str):
        self.port, self.out = free_port(), folder / "windows"
        text = (HERE / "contrib" / recipe).read_text(encoding="utf-8")
        for before, after in ((r'port="2514"', f'port="{self.port}"'), ("port(601)", f"port({self.port})"),
                              ("/var/log/windows", str(self.out))):
            text = text.replace(before, after)
        config = folder / "daemon.conf"
        if recipe.startswith("rsyslog"):
            command = [RSYSLOG, "-n", "-f", config, "-i", folder / "pid"]
        else:
            text = "@version: 3.35\n" + text
            command = [SYSLOG_NG, "--foreground", "--stderr", "--no-caps", "-f", config, "-R", folder / "persist",
                       "-p", folder / "pid", "-c", folder / "control"]
        need(os.path.exists(command[0]), f"no {command[0]}: run scripts/peers")
        config.write_text(text, encoding="utf-8")
        self.log = open(folder / "daemon.log", "wb")
        self.process = subprocess.Popen([str(word) for word in command], stdout=self.log, stderr=self.log)

    def __enter__(self):
        def answers():
            need(self.process.poll() is None, "the daemon ended")
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return True
            except OSError:
                return False
        wait_for("the daemon", answers)
        return self

    def __exit__(self, *exc):
        alive = self.process.poll() is None
        self.process.kill()
        self.process.wait()
        self.log.close()
        if exc[0] is None:
            need(alive, f"the daemon died with {self.process.returncode}")

    def text(self) -> str:
        files = sorted(self.out.glob("*")) if self.out.exists() else []
        return "".join(path.read_text(encoding="utf-8", errors="strict") for path in files)


def events_of(path: Path) -> list:
    events = wef.load_events(path) if path.parent == EVENTS else \
        [line for line in path.read_text(encoding="utf-8").splitlines() if line.strip()]
    return [event for event in events if not is_bookmark_event(event)]


def forbidden_replaced(xml: str) -> str:
    def reference(match):
        body = match.group(1)
        code = int(body[1:], 16) if body[0] == "x" else int(body)
        allowed = code in (9, 10, 13) or 32 <= code < 0xD800 or 0xE000 <= code < 0xFFFE or 0x10000 <= code < 0x110000
        return match.group(0) if allowed else "\ufffd"
    xml = re.sub(r"&#(x[0-9a-fA-F]+|[0-9]+);", reference, xml)
    return re.sub("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]", "\ufffd", xml)


def fields_of(xml: str):
    """The record id, facts, and values in order; `None` for what is no XML."""
    try:
        root = etree.fromstring(forbidden_replaced(xml).encode("utf-8"), etree.XMLParser(huge_tree=True))
    except etree.XMLSyntaxError:
        return None
    facts, values = {}, []
    for part in (kid for kid in root if isinstance(kid.tag, str)):
        name = local(part)
        if name == "System":
            facts.update(system_of(part))
        elif name == "RenderingInfo":
            facts.update(rendering_of(part))
        else:
            if name == "UserData":
                kinds = [kid for kid in part if isinstance(kid.tag, str)]
                facts["UserDataName"] = local(kinds[0]) if kinds else ""
            for node in part.iter():
                if isinstance(node.tag, str):
                    values += [value for key, value in node.attrib.items() if etree.QName(key).localname != "Name"]
                    values.append("".join(node.xpath("text()")))
    return facts, [value for value in values if value.strip()]


def identity(event: str) -> tuple:
    expected = fields_of(event)
    facts = expected[0] if expected else {}
    time = re.search(r"SystemTime='([^']*)'", event)
    if not facts.get("EventRecordID"):
        return (event,)
    return facts.get("Channel"), facts["EventRecordID"], time and time.group(1)


def system_of(system) -> dict:
    facts = {}
    for node in (kid for kid in system if isinstance(kid.tag, str)):
        name, text = local(node), (node.text or "").strip()
        if name in ("Channel", "EventRecordID", "Level", "Version", "Task", "Opcode", "Keywords"):
            facts[name] = text
        for key, fact in ((("Provider", "Name"), "Provider"), (("Provider", "Guid"), "ProviderGuid"),
                          (("Execution", "ProcessID"), "ProcessID"), (("Execution", "ThreadID"), "ThreadID"),
                          (("Security", "UserID"), "UserID"), (("Correlation", "ActivityID"), "ActivityID"),
                          (("EventID", "Qualifiers"), "Qualifiers"), (("TimeCreated", "SystemTime"), "@time")):
            if key[0] == name and node.get(key[1]):
                facts[fact] = node.get(key[1]).strip()
    return facts


def rendering_of(rendering) -> dict:
    facts = {"Culture": (rendering.get("Culture") or "").strip()}
    for node in (kid for kid in rendering if isinstance(kid.tag, str)):
        fact = {"Level": "LevelName", "Task": "TaskName", "Opcode": "OpcodeName", "Channel": "ChannelName",
                "Provider": "ProviderName"}.get(local(node))
        if fact:
            facts[fact] = (node.text or "").strip()
    return facts


def check_json(document: dict, facts: dict, values: list, where: str) -> None:
    event = document["sd"]["event@32473"]
    for name, value in facts.items():
        if value and name != "@time":
            got = event.get(name)
            need(got == value or document["message"].find(value) >= 0, f"{where}: {name} is {got!r}, not {value!r}")
    need(document["provider"] == facts.get("Provider", ""), f"{where}: {document['provider']}")
    need(document["process_id"] == facts.get("ProcessID", ""), f"{where}: {document['process_id']}")
    fraction = re.search(r"\.(\d{1,6})", facts.get("@time", ""))
    need(not fraction or f".{fraction.group(1)}" in document["@timestamp"] or "TimestampFrom" in event,
         f"{where}: {document['@timestamp']}, not {facts.get('@time')}")
    held = list(document["sd"].get("data@32473", {}).values())
    message = document["message"].replace("\r\n", "\n")
    for value in values:
        same = value.replace("\r\n", "\n")
        need(value in held or same in [v.replace("\r\n", "\n") for v in held] or
             ("Truncated" in event and same in message), f"{where}: no {value[:200]!r}")


def feed(folder: Path, recipe: str, message: str, paths: list) -> None:
    kind, form = RECIPES[recipe]
    with Daemon(folder, recipe) as daemon:
        output = f"{kind}://127.0.0.1:{daemon.port}?max=512K" if kind == "tcp" else \
            f"relp://127.0.0.1:{daemon.port}?max=256K"
        with Relay(folder, "--output", output, "--message", message) as relay:
            for path in paths:
                events = events_of(path)
                source = AsSent(relay.options(honour_max_envelope=False))
                for subscription in source.enumerate():
                    source.deliver(subscription, events)
                check_file(daemon, form, path, events)


def check_file(daemon: Daemon, form: str, path: Path, events: list) -> None:
    if form == "json":
        def all_there():
            text = daemon.text()
            return text if text.count("\n") >= len(events) else None
        documents = [parsed(line) for line in wait_for(f"{len(events)} lines", all_there).split("\n") if line]
        need(len(documents) == len(events), f"{path.name}: {len(documents)} documents, {len(events)} events")
        uids = [document["sd"]["event@32473"]["Uid"] for document in documents]
        for number, event in enumerate(events):
            expected = fields_of(event)
            if expected is None:
                need(any("Malformed" in d["sd"]["event@32473"] for d in documents), f"{path.name}: no Malformed")
                continue
            one_of(documents, expected, f"{path.name}, event {number}")
        # What has record id and time of another one is the same event again.
        known = {identity(event) for event in events}
        need(len(set(uids)) == len(known), f"{path.name}: {len(set(uids))} ids for {len(known)} events")
    else:
        wait_for("all events", lambda: daemon.text().count(" Uid=\"") >= len(events))
        text = daemon.text()
        for number, event in enumerate(events):
            expected = fields_of(event)
            for value in (expected[1] if expected else []):
                word = max(re.findall(r"[^\x00-\x1f\x7f-\x9f\\\"\]]+", value) or [""], key=len)
                need(word in text, f"{path.name}, event {number}: no {word[:200]!r}")
    for out in daemon.out.glob("*"):
        with open(out, "r+b") as file:      # the daemons append
            file.truncate(0)


def parsed(line: str) -> dict:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        raise AssertionError(f"{error}: {line}") from error


def one_of(documents: list, expected, where: str) -> None:
    """One of the documents has it all; else the failure of the likeliest."""
    facts, values = expected
    failures = []
    for document in documents:
        event = document["sd"]["event@32473"]
        if facts.get("EventRecordID") and event.get("EventRecordID") != facts["EventRecordID"]:
            continue
        try:
            return check_json(document, facts, values, where)
        except AssertionError as failure:
            failures.append(failure)
    raise failures[0] if failures else AssertionError(f"{where}: no such record")


for _recipe in RECIPES:
    for _message in ("text", "xml", "json"):
        case(f"receivers: {_recipe}, hard events, {_message}", recipe=_recipe, message=_message,
             paths=sorted(HARD.glob("*.xml")))(feed)
    case(f"receivers: {_recipe}, all files", recipe=_recipe, message="text",
         paths=sorted(EVENTS.glob("*.xml")))(feed)
