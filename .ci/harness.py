"""Shared code of the acceptance cases: the relay as a process, a sink for its output, the
register of cases, and the comparison of an event with its syslog line."""

from __future__ import annotations

import contextlib
import html
import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
from pathlib import Path

SHARED = Path(os.environ["WECRELAY_SHARED"])
BINARY = os.environ["WECRELAY_BINARY"]
sys.dont_write_bytecode = True
sys.path.insert(0, str(SHARED / "source-sim"))

from lxml import etree                                          # noqa: E402

import sink as syslog_sink                                      # noqa: E402
import wefsource as wef                                         # noqa: E402

EVENTS = SHARED / "source-sim" / "events"
CAPTURES = SHARED / "protocol" / "captures"
PATIENCE = 30.0
CASES: list = []


def case(name: str, /, **parameters):
    """Registers a function as a case; `parameters` are passed to it."""
    def register(function):
        CASES.append((name, function, parameters))
        return function
    return register


def need(ok, detail: str) -> None:
    if not ok:
        raise AssertionError(detail)


def wait_for(what: str, condition, patience: float = PATIENCE):
    end = time.monotonic() + patience
    while time.monotonic() < end:
        value = condition()
        if value:
            return value
        time.sleep(0.01)
    raise AssertionError(f"waited {patience:.0f} s in vain for {what}")


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextlib.contextmanager
def process(port: int, *command, errors=None):
    """A server that listens on `port`, terminated at the end of the block."""
    need(Path(command[0]).exists(), f"{command[0]} is not there: run scripts/peers")
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=errors)
    try:
        wait_for(f"port {port}", lambda: answers(port))
        yield child
    finally:
        child.kill()
        child.wait()


def answers(port: int) -> bool:
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


class Folder:
    """A temporary folder."""

    def __enter__(self):
        self.path = Path(tempfile.mkdtemp(prefix="wecrelay-acceptance-"))
        return self.path

    def __exit__(self, *exc):
        shutil.rmtree(self.path, ignore_errors=True)


class Relay:
    """The relay on a free port; killed by its process id at the end of the case."""

    current = None                          # for the log of a failed case

    def __init__(self, folder: Path, *arguments, anonymous: str | None = "127.0.0.0/8", port=0,
                 scheme="http", stdout: Path | str = os.devnull):
        self.folder = folder
        self.log_path = folder / "relay.log"
        command = [BINARY, "--listen", f"{scheme}://127.0.0.1:{port}", "--state", str(folder / "state"),
                   *(str(a) for a in arguments)]
        if anonymous:
            command += ["--anonymous", anonymous]
        environment = {k: v for k, v in os.environ.items() if k not in ("RUST_LOG", "STATE_DIRECTORY")}
        with open(self.log_path, "ab") as log, open(stdout, "wb") as events:
            seen = log.tell()
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=events,
                                            stderr=log, cwd=folder, env=environment)
        Relay.current = self

        def listening():
            need(self.process.poll() is None, f"the relay ended with {self.process.returncode}")
            return re.search(r"listening on https?://127\.0\.0\.1:(\d+)", self.log()[seen:])
        try:
            self.port = int(wait_for("the relay to listen", listening, 10).group(1))
        except AssertionError:
            self.kill()
            raise

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/wsman/SubscriptionManager/WEC"

    def log(self) -> str:
        return self.log_path.read_text(encoding="utf-8", errors="replace")

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            need(self.process.poll() is None, f"the relay died with {self.process.returncode}")
            need(self.stop() == 0, f"SIGTERM gave status {self.process.returncode}")
        self.kill()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=15)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()

    def options(self, **over) -> wef.Options:
        return wef.Options(url=self.url, **over)


def users_file(folder: Path, **accounts: str) -> Path:
    """A file for --users, created with `wecrelay passwd` from name=password."""
    path = folder / "users"
    with open(path, "w", encoding="utf-8") as out:
        for name, password in accounts.items():
            made = subprocess.run([BINARY, "passwd", name], input=password + "\n", text=True,
                                  capture_output=True, timeout=20, check=False)
            need(made.returncode == 0, f"passwd failed: {made.stderr}")
            out.write(made.stdout)
    return path


def fails_with(name: str, action) -> None:
    """`action` must fail the source's check of this name."""
    try:
        action()
    except wef.CheckFailed as failure:
        need(failure.name == name, f"failed with {failure}, wanted {name}")
        return
    raise AssertionError(f"accepted, wanted {name}")


def load(name: str, limit: int | None = None) -> list:
    return wef.load_events(EVENTS / name)[:limit]


def sealed_delivery(relay: Relay, **options):
    """A source, its first subscription, and an open session for it."""
    source = wef.Source(relay.options(**options))
    subscription = source.enumerate()[0]
    return source, subscription, source.open_delivery(subscription)


# --------------------------------------------------------------------------
# an event and its syslog line

def visible(text: str) -> str:
    """Text with control characters escaped as in line-framed outputs."""
    names = {"\n": "\\n", "\r": "\\r", "\t": "\\t", "\\": "\\\\"}

    def show(match):
        return names.get(match.group(), f"\\u{ord(match.group()):04x}")
    return re.sub("[\x00-\x1f\x7f-\x9f\\\\]", show, text)


def undone(text: str) -> str:
    """The original of a text that was escaped by a line-framed output."""
    names = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\"}

    def plain(match):
        code = match.group(1)
        return names[code] if code in names else chr(int(code[1:], 16))
    return re.sub(r"\\(n|r|t|\\|u[0-9a-f]{4})", plain, text)


def sd_name(name: str) -> str:
    return re.sub(r"[^\x21\x23-\x2d\x2f-\x3c\x3e-\x5a\x5c\x5e-\x7e]", "_", name)[:32]


def is_named(key: str, name: str) -> bool:
    """Whether a parameter has this name, with or without a number."""
    base = sd_name(name).lower()
    key = key.lower()
    number = re.search(r"_\d+$", key)
    return key == base or bool(number) and base.startswith(key[:number.start()])


def local(node) -> str:
    return etree.QName(node).localname


def leaves(node):
    kids = [kid for kid in node if isinstance(kid.tag, str)]
    if not kids:
        yield local(node), node.text or ""
    for kid in kids:
        yield from leaves(kid)


class EventFacts:
    """The facts that the line of a well-formed event must contain."""

    def __init__(self, xml: str):
        self.xml = xml
        root = etree.fromstring(xml.encode("utf-8"), etree.XMLParser(huge_tree=True))
        parts = {local(kid): kid for kid in root if isinstance(kid.tag, str)}
        system = {local(kid): kid for kid in parts.get("System", []) if isinstance(kid.tag, str)}

        def text(name):
            return (system[name].text or "").strip() if name in system else ""
        self.event_id = text("EventID")
        self.record_id = text("EventRecordID")
        self.computer = text("Computer")
        self.channel = text("Channel")
        self.values = []                    # (name or None, value)
        for name, node in parts.items():
            if name == "EventData":
                self.values += self._event_data(node)
            elif name not in ("System", "RenderingInfo"):
                self.values += [(None, value) for _, value in leaves(node)]
        rendering = parts.get("RenderingInfo")
        self.message = None
        if rendering is not None:
            found = [kid for kid in rendering if local(kid) == "Message"]
            self.message = found[0].text if found else None

    @staticmethod
    def _event_data(node):
        for kid in node:
            if isinstance(kid.tag, str):
                if len(kid):
                    yield from ((None, value) for _, value in leaves(kid))
                else:
                    yield kid.get("Name") if local(kid) == "Data" else local(kid), kid.text or ""


def is_good_xml(event: str) -> bool:
    try:
        EventFacts(event)
    except Exception:                       # a case of broken XML, which cases_broken has
        return False
    return True


def element(record: dict, name: str) -> dict:
    for key, parameters in record.get("sd", {}).items():
        if key.partition("@")[0] == name:
            return parameters
    return {}


def check_line(record: dict, facts: EventFacts, message: str, line_ends: str) -> None:
    """`message`: text, xml or json; `line_ends`: kept or escaped."""
    shown = visible if line_ends == "escaped" else (lambda text: text)
    where = f"event {facts.event_id} record {facts.record_id}"
    need(not record["errors"], f"{where}: {record['errors']}")
    event = element(record, "event")
    need(record["msgid"] == (facts.event_id or None), f"{where}: MSGID {record['msgid']}")
    if facts.record_id:
        need(event.get("EventRecordID") == [facts.record_id], f"{where}: {event}")
    if facts.computer.isascii() and facts.computer:
        need(record["hostname"] == facts.computer, f"{where}: HOSTNAME {record['hostname']}")
    if facts.channel:
        need(event.get("Channel") == [shown(facts.channel)], f"{where}: {event}")
    truncated = (event.get("Truncated") or [""])[0].split(" ")
    if truncated[0].isdigit():
        need(record["length"] >= 60_000, f"{where}: cut to {record['length']} bytes")
        return
    check_values(record, facts, shown, where, truncated)
    check_message(record, facts, message, line_ends, where)


def check_values(record, facts, shown, where, truncated) -> None:
    data = element(record, "data")
    held = [value for values in data.values() for value in values]
    message = record.get("msg") or ""
    partly = set(truncated) - {""}
    for name, value in facts.values:
        if not value.strip():
            continue                        # an empty value may be left out
        if partly and (name is None or any(is_named(key, name) for key in partly)
                       or any(key.startswith("+") for key in partly)):
            need(shown(value) in held or value in message or value in html.unescape(message)
                 or json.dumps(value, ensure_ascii=False)[1:-1] in message
                 or value in undone(message), f"{where}: {name} is nowhere")
            continue
        if name is not None:
            got = [v for key, values in data.items() if is_named(key, name) for v in values]
            need(shown(value) in got, f"{where}: {name} is {value!r}, got {got}")
        need(shown(value) in held, f"{where}: no {value!r} in {held}")


def check_message(record, facts, message, line_ends, where) -> None:
    text = record.get("msg") or ""
    if message == "text" and line_ends == "escaped":
        text = undone(text)
    if message == "xml":
        lines = "\n" in text or "\r" in text or "&#10;" in text
        need(line_ends == "kept" or not ("\n" in text or "\r" in text), f"{where}: {lines} lines")
        need(canonical(text) == canonical(facts.xml), f"{where}: XML differs: {text}")
    elif message == "json":
        held = set(strings(json.loads(text)))
        for _, value in facts.values:
            need(value in held or value.strip() in held or not value.strip(),
                 f"{where}: no {value!r} in {text}")
        need(facts.record_id in held or not facts.record_id, f"{where}: no record id in {text}")
    elif facts.message and facts.message.strip():
        need(text.strip().startswith(facts.message.strip()), f"{where}: MSG {text!r}")
    else:
        need(text.strip(), f"{where}: empty MSG")
        need(facts.event_id in text, f"{where}: MSG {text!r}")


def canonical(xml: str) -> str:
    return etree.canonicalize(xml, with_comments=True)


def strings(value):
    """Every string and number in a JSON value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif value is not None:
        yield str(value)


def sink(**options):
    return syslog_sink.Sink(**options)


def no_violations(receiver, count: int) -> list:
    """Waits for exactly `count` valid records, and returns them."""
    need(receiver.wait(count, PATIENCE), f"{len(receiver.records)} records, wanted {count}")
    summary = receiver.summary()
    need(not summary["violations"] and not summary["framing_errors"], f"violations: {summary}")
    need(summary["records"] == count, f"{summary['records']} records, wanted {count}")
    return list(receiver.records)


# --------------------------------------------------------------------------

def run(patterns: list) -> int:
    passed = failed = 0
    for name, function, parameters in CASES:
        if patterns and not any(pattern in name for pattern in patterns):
            continue
        start = time.monotonic()
        Relay.current = None
        try:
            with Folder() as folder:
                try:
                    function(folder, **parameters)
                except BaseException:
                    report_log()
                    raise
                finally:
                    if Relay.current:
                        Relay.current.kill()
        except KeyboardInterrupt:
            raise
        except Exception as failure:            # a case may fail in any way
            failed += 1
            print(f"{name} FAILED: {failure}", flush=True)
            if not isinstance(failure, AssertionError):
                traceback.print_exc(file=sys.stdout)
            continue
        passed += 1
        print(f"{name} ok ({time.monotonic() - start:.1f} s)", flush=True)
    print(f"{passed} passed, {failed} failed", flush=True)
    return 1 if failed or not passed else 0


def report_log() -> None:
    if Relay.current:
        for line in Relay.current.log().splitlines()[-15:]:
            print(f"    relay: {line[:300]}")
