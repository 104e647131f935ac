"""Which hosts can authenticate, and which are rejected."""

import os

import wefsource as wef
from harness import (Relay, case, fails_with, load, need, no_violations, sink, users_file, wait_for)

PASSWORD = "Correct-Horse-7 ü"


def ways():
    for account in (None, "alice"):
        for wrapped in (False, True):
            for sldc in (False, True):
                for rendered in (False, True):
                    yield account, wrapped, sldc, rendered


def delivers(folder, account, wrapped=False, sldc=False, rendered=False, user=None, arguments=()):
    """A complete Windows sequence, after which every event is in the sink."""
    events = load("security.xml", 30)
    with sink(tcp=0, framing="octet") as receiver:
        arguments = ["--output", f"tcp://127.0.0.1:{receiver.ports['tcp']}", *arguments]
        credential = {"auth": "ntlm-anonymous"}
        if account:
            arguments += ["--users", users_file(folder, **{account: PASSWORD})]
            credential = {"auth": "ntlm", "user": user or account, "password": PASSWORD}
        with Relay(folder, *arguments, anonymous=None if account else "127.0.0.0/8") as relay:
            options = relay.options(**credential, spnego_wrapped=wrapped, sldc=sldc, rendered=rendered)
            report = wef.Report()
            source = wef.run(options, events, rep=report)
            need(source.sent.events == len(events), f"sent {source.sent.events}")
            need(not report.warnings, f"warnings: {report.warnings}")
        for record in no_violations(receiver, len(events)):
            sd = next(value for key, value in record["sd"].items() if key.startswith("event@"))
            want = "ntlm" if account else "ntlm-anonymous"
            need(sd["Auth"] == [want], f"Auth is {sd.get('Auth')}, wanted {want}")
            who = sd.get("Identity")
            need(who is None if not account else account in who[0].lower(), f"Identity is {who}")


for _account, _wrapped, _sldc, _rendered in ways():
    _name = (f"auth: {'account' if _account else 'null session'}, "
             f"{'SPNEGO' if _wrapped else 'raw'}, {'SLDC' if _sldc else 'plain'}, "
             f"{'rendered' if _rendered else 'as sent'}")
    case(_name, account=_account, wrapped=_wrapped, sldc=_sldc, rendered=_rendered)(delivers)


@case("auth: account with a domain")
def account_with_domain(folder):
    delivers(folder, "alice", user="EXAMPLE\\alice")


@case("auth: account in other letter case")
def account_in_other_case(folder):
    delivers(folder, "alice", user="ALICE")


def with_compatibility(level: str, action):
    """pyspnego answers with NTLMv1 below level 3."""
    os.environ["LM_COMPAT_LEVEL"] = level
    try:
        action()
    finally:
        del os.environ["LM_COMPAT_LEVEL"]


@case("auth: NTLMv1 answer is refused")
def ntlmv1_refused(folder):
    users = users_file(folder, alice=PASSWORD)
    with Relay(folder, "--users", users, anonymous=None) as relay:
        options = relay.options(auth="ntlm", user="alice", password=PASSWORD)
        with_compatibility("1", lambda: fails_with("auth.rejected", lambda: wef.run(options, [])))


@case("auth: NTLMv1 answer is taken with --ntlmv1")
def ntlmv1_taken(folder):
    with_compatibility("1", lambda: delivers(folder, "alice", arguments=["--ntlmv1"]))


@case("auth: wrong password is refused", password="wrong", user="alice")
@case("auth: unknown user is refused", password=PASSWORD, user="mallory")
@case("auth: empty password is refused", password="", user="alice")
def wrong_account(folder, user, password):
    users = users_file(folder, alice=PASSWORD)
    with Relay(folder, "--users", users, anonymous=None) as relay:
        for wrapped in (False, True):
            options = relay.options(auth="ntlm", user=user, password=password, spnego_wrapped=wrapped)
            fails_with("auth.rejected", lambda: wef.run(options, []))
        right = relay.options(auth="ntlm", user="alice", password=PASSWORD)
        wef.run(right, load("system.xml", 3))


@case("auth: corrupt MIC is refused")
def corrupt_mic(folder):
    with Relay(folder) as relay:
        for wrapped in (False, True):
            options = relay.options(corrupt_mic=True, spnego_wrapped=wrapped)
            fails_with("auth.rejected", lambda: wef.run(options, []))


@case("auth: null session from another network is refused")
def anonymous_from_elsewhere(folder):
    with Relay(folder, anonymous="192.0.2.0/24") as relay:
        fails_with("auth.rejected", lambda: wef.run(relay.options(), []))
        wait_for("a line with the refused host", lambda: "127.0.0.1" in relay.log())


@case("auth: null session is refused where only accounts are allowed")
def anonymous_without_flag(folder):
    users = users_file(folder, alice=PASSWORD)
    with Relay(folder, "--users", users, anonymous=None) as relay:
        fails_with("auth.rejected", lambda: wef.run(relay.options(), []))


@case("auth: account is refused where there are none")
def account_without_users(folder):
    with Relay(folder) as relay:
        options = relay.options(auth="ntlm", user="alice", password=PASSWORD)
        fails_with("auth.rejected", lambda: wef.run(options, []))


@case("auth: no authentication is refused", auth="none", arguments=[])
@case("auth: no authentication is refused with --allow-unencrypted too", auth="none",
      arguments=["--allow-unencrypted"])
@case("auth: Basic is refused", auth="basic", arguments=["--allow-unencrypted"])
def unauthenticated(folder, auth, arguments):
    with Relay(folder, *arguments) as relay:
        options = relay.options(auth=auth, user="alice", password=PASSWORD)
        fails_with("auth.rejected", lambda: wef.run(options, []))


PLAIN = ("--basic", "--allow-password-without-tls")


@case("auth: Basic on HTTP where a flag allows it")
@case("auth: Basic on HTTP where a flag allows it, SLDC", sldc=True)
def basic_without_tls(folder, sldc=False):
    events = load("security.xml", 30)
    users = users_file(folder, alice=PASSWORD)
    with sink(tcp=0, framing="octet") as receiver:
        output = f"tcp://127.0.0.1:{receiver.ports['tcp']}"
        with Relay(folder, "--output", output, "--users", users, *PLAIN, anonymous=None) as relay:
            report = wef.Report()
            options = relay.options(auth="basic", user="alice", password=PASSWORD, sldc=sldc)
            wef.run(options, events, rep=report)
            need(not report.warnings, f"warnings: {report.warnings}")
        for record in no_violations(receiver, len(events)):
            sd = next(value for key, value in record["sd"].items() if key.startswith("event@"))
            need((sd["Auth"], sd["Identity"]) == (["basic"], ["alice"]), f"{sd}")


@case("auth: Basic on HTTP with a wrong password is refused", user="alice", password="wrong")
@case("auth: Basic on HTTP of an unknown user is refused", user="mallory", password=PASSWORD)
def basic_wrong(folder, user, password):
    users = users_file(folder, alice=PASSWORD)
    with Relay(folder, "--users", users, *PLAIN, anonymous=None) as relay:
        options = relay.options(auth="basic", user=user, password=password)
        fails_with("auth.rejected", lambda: wef.run(options, []))
        wanted = [user, "wecrelay passwd"] if user != "mallory" else []
        wait_for("a line with the remedy", lambda: all(text in relay.log() for text in wanted))


@case("auth: Basic on HTTP is refused without its flags")
def basic_without_flags(folder):
    users = users_file(folder, alice=PASSWORD)
    with Relay(folder, "--users", users, anonymous=None) as relay:
        options = relay.options(auth="basic", user="alice", password=PASSWORD)
        fails_with("auth.rejected", lambda: wef.run(options, []))
        wait_for("a line with the flag", lambda: "--basic" in relay.log())


def plain_enumerate(relay) -> wef.Response:
    """A null session, then an unsealed envelope in the request with the last token."""
    session = wef.Session(relay.options(), relay.url)
    try:
        token = session.authenticate()
        ids = wef.make_ids()
        xml = wef.enumerate_xml(relay.url, "win10.windomain.local", ids)
        return session._post("application/soap+xml;charset=UTF-16", session.encode(xml), token)
    finally:
        session.close()


@case("auth: plain body after NTLM is refused")
def plain_body_refused(folder):
    with Relay(folder) as relay:
        answer = plain_enumerate(relay)
        need(400 <= answer.status < 500, f"status {answer.status}")
        wait_for("a line with the flag", lambda: "--allow-unencrypted" in relay.log())


@case("auth: plain body after NTLM is taken with --allow-unencrypted")
def plain_body_taken(folder):
    with Relay(folder, "--allow-unencrypted") as relay:
        answer = plain_enumerate(relay)
        need(answer.status == 200, f"status {answer.status}")
        need(answer.body.startswith(b"\xff\xfe"), "the answer is not plain UTF-16")
        _, _, body = wef.parse_envelope(answer.body[2:].decode("utf-16-le"), wef.Report())
        need(len(body) == 1, "no EnumerateResponse")
