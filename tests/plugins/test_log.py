import logging
import math
import re
from typing import Any

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin, Sees
from clusterdns.plugins.log import COMBINED, COMMON, Log
from clusterdns.plugins.query import Reply
from clusterdns.wire.question import Question
from tests.plugins.asking import Next, edns, fault, new_setup, parsed, query, records

ALL = {"all"}
ACCEPTED = {
    "alone": ("log", [(".", COMMON, ALL)]),
    "a name": ("log example.org", [("example.org.", COMMON, ALL)]),
    "a name and {common}": ("log example.org. {common}", [("example.org.", COMMON, ALL)]),
    "a name and {combined}": ("log example.org {combined}", [("example.org.", COMBINED, ALL)]),
    "two lines": (
        "log example.org.\nlog example.net {combined}",
        [("example.org.", COMMON, ALL), ("example.net.", COMBINED, ALL)],
    ),
    "two formats of one name": (
        "log example.org {host}\nlog example.org {when}",
        [("example.org.", "{host}", ALL), ("example.org.", "{when}", ALL)],
    ),
    "two names": (
        "log example.org example.net",
        [("example.org.", COMMON, ALL), ("example.net.", COMMON, ALL)],
    ),
    "two names and a format": (
        "log example.org example.net {host}",
        [("example.org.", "{host}", ALL), ("example.net.", "{host}", ALL)],
    ),
    "two names, a format, a class": (
        "log example.org example.net {when} {\n class denial\n}",
        [("example.org.", "{when}", {"denial"}), ("example.net.", "{when}", {"denial"})],
    ),
    "class all": ("log example.org {\n class all\n}", [("example.org.", COMMON, ALL)]),
    "class": ("log {\n class denial\n}", [(".", COMMON, {"denial"})]),
    "classes": ("log {\n class denial error\n}", [(".", COMMON, {"denial", "error"})]),
    "class lines": (
        "log {\n class denial\n class error\n}",
        [(".", COMMON, {"denial", "error"})],
    ),
    "{combined} and more": (
        'log . "{combined} {/forward/upstream}"',
        [(".", COMBINED + " {/forward/upstream}", ALL)],
    ),
    "{common} between": (
        'log . "{when} {common} {/x}"',
        [(".", "{when} " + COMMON + " {/x}", ALL)],
    ),
    "a format alone is a name": ('log "{common}"', [("{common}.", COMMON, ALL)]),
}


@pytest.mark.parametrize(("text", "expected"), ACCEPTED.values(), ids=ACCEPTED)
def test_parse(text: str, expected: list[tuple[str, str, set[str]]]) -> None:
    plugin = parsed(text)
    assert isinstance(plugin, Log)
    assert [(rule.zone, rule.format, rule.classes) for rule in plugin.rules] == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("log {\n class abracadabra\n}", "2:8: 'abracadabra' is none of all, success, denial"),
        ("log {\n class\n}", "2:2: class takes at least 1 argument"),
        ("log {\n unknown\n}", "2:2: unknown property 'unknown' of log; there are class"),
        ("log { unknown }", "1:7: unknown property 'unknown' of log"),
        ("log\nlog {\n class denial\n klass all\n}", "4:2: unknown property 'klass'"),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


@pytest.mark.parametrize(
    ("text", "warned"),
    [
        ('log "{common}"', "1:5: '{common}' is taken as a name"),
        ("log a..b", "1:5: 'a..b' is no domain name"),
    ],
)
def test_odd_names_are_accepted_with_a_warning(text: str, warned: str) -> None:
    setup = new_setup()
    parsed(text, setup)
    line, column, message = warned.split(":", 2)
    expected = f"Corefile:{line}:{int(column) + len('. { ')}:{message}"
    assert [each.startswith(expected) for each in setup.warnings] == [True]


@pytest.fixture(autouse=True)
def every_level(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "clusterdns")


ANSWER = Reply(answer=records("example.org. 5 IN A 10.0.0.1"), authoritative=True)
NODATA = Reply(authority=records("example.org. 5 IN SOA ns. hostmaster. 1 2 3 4 5"))
NXDOMAIN = Reply(3, authority=NODATA.authority)
REFERRAL = Reply(authority=records("example.org. 5 IN NS ns."))


async def line(
    caplog: pytest.LogCaptureFixture,
    plugin: Plugin,
    reply: Reply | ResolveError | None,
    **asked: Any,
) -> str | None:
    """What is logged of a query; None for nothing."""
    caplog.clear()
    behind = Next(reply)
    asking = query(**asked)
    if isinstance(reply, ResolveError):
        with pytest.raises(ResolveError):
            await plugin.resolve(asking, behind)
    else:
        assert await plugin.resolve(asking, behind) is reply
    assert len(behind.asked) == 1
    found = [each.message for each in caplog.records]
    assert len(found) <= 1
    return found[0] if found else None


LINES = {
    "a positive answer": (
        ANSWER,
        {},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" NOERROR qr,aa,rd 56 0.Ns',
    ),
    "EDNS with DO": (
        ANSWER,
        {"edns": edns(1232, do=True)},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 true 1232" NOERROR qr,aa,rd 56 0.Ns',
    ),
    "an EDNS size below 512": (
        ANSWER,
        {"edns": edns(100)},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" NOERROR qr,aa,rd 56 0.Ns',
    ),
    "over TCP from IPv6": (
        ANSWER,
        {"transport": "tcp", "peer": ("fd00::1", 9), "edns": edns(1232)},
        '[fd00::1]:9 - 0 "A IN example.org. tcp 29 false 65535" NOERROR qr,aa,rd 56 0.Ns',
    ),
    "over TLS": (
        ANSWER,
        {"transport": "tls"},
        '10.240.0.1:40212 - 0 "A IN example.org. tcp 29 false 65535" NOERROR qr,aa,rd 56 0.Ns',
    ),
    "a name in upper case, a type and class without names": (
        NXDOMAIN,
        {"question": Question.of("X.EXAMPLE.org.", 65280, 9), "octets": b"\xd8\x9f" + bytes(31)},
        '10.240.0.1:40212 - 55455 "TYPE65280 CLASS9 x.example.org. udp 33 false 512" '
        "NXDOMAIN qr,rd 90 0.Ns",
    ),
    "an error: what the server will send": (
        ResolveError("i/o timeout"),
        {},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" SERVFAIL qr,rd 29 0.Ns',
    ),
    "an rcode without a name": (
        Reply(15),
        {"flags": 0},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" 15 qr 29 0.Ns',
    ),
    "no reply": (
        None,
        {},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" - - 0 0.Ns',
    ),
    "all flags": (
        Reply(authoritative=True, truncated=True, recursion=True, authentic=True),
        {"flags": 0x0110},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" '
        "NOERROR qr,aa,tc,rd,ra,ad,cd 29 0.Ns",
    ),
    "an inner query": (
        ANSWER,
        {"depth": 1, "octets": bytes(400)},
        '10.240.0.1:40212 - 0 "A IN example.org. udp 29 false 512" NOERROR qr,aa,rd 56 0.Ns',
    ),
}


@pytest.mark.parametrize(("reply", "asked", "expected"), LINES.values(), ids=LINES)
async def test_line(
    caplog: pytest.LogCaptureFixture,
    reply: Reply | ResolveError | None,
    asked: dict[str, Any],
    expected: str,
) -> None:
    found = await line(caplog, parsed("log"), reply, **asked)
    assert found is not None
    assert re.sub(r"0\.\d{1,9}s$", "0.Ns", found) == expected
    assert caplog.records[0].name == "clusterdns.queries"


async def test_recursion_is_the_blocks_unless_the_reply_says(
    caplog: pytest.LogCaptureFixture,
) -> None:
    setup = new_setup()
    plugin = parsed("log . {>rflags}", setup)
    assert await line(caplog, plugin, ANSWER) == "qr,aa,rd"
    setup.recursive = True
    assert await line(caplog, plugin, ANSWER) == "qr,aa,rd,ra"
    assert await line(caplog, plugin, Reply(recursion=False)) == "qr,rd"


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        ("{combined}", '"A IN example.org. udp 29 false 512" NOERROR qr,aa,rd 56 0.Ns "0"'),
        ("{local}", "127.0.0.1"),
        ("{>opcode} {type}", "0 A"),
        ("{/kubernetes/namespace}", "-"),
        ("a {/log/class}{/}", "a --"),
        ("{when} {}", "{when} {}"),
        ("{ {type} }", "{ A }"),
        ("{{type}}", "{A}"),
        ("A } {type}", "A } A"),
        ("{type", "{type"),
        ("{Type} {> id}", "{Type} {> id}"),
        ("100% {name}", "100% example.org."),
        ("{type}{type}", "AA"),
    ],
)
async def test_format(caplog: pytest.LogCaptureFixture, form: str, expected: str) -> None:
    found = await line(caplog, parsed(f'log . "{form}"'), ANSWER)
    assert found is not None
    assert re.sub(r"0\.\d{1,9}s", "0.Ns", found).endswith(expected)


def test_durations_have_no_more_digits_than_needed() -> None:
    from clusterdns.plugins.log import Outcome, _duration

    texts = {
        0.0: "0s",
        1.0: "1s",
        0.000140629: "0.000140629s",
        0.0001: "0.0001s",
        1.5: "1.5s",
        0.1 + 0.2: "0.3s",
        10.0: "10s",
    }
    for seconds, expected in texts.items():
        assert _duration(Outcome(query(), 0, None, seconds, False)) == expected


CLASSES: dict[str, list[Reply | ResolveError | None]] = {
    "success": [ANSWER, Reply(), REFERRAL, Reply(answer=ANSWER.answer, authority=NODATA.authority)],
    "denial": [NODATA, NXDOMAIN, Reply(3)],
    "error": [
        Reply(2),
        Reply(5),
        Reply(3, answer=ANSWER.answer),
        ResolveError("i/o timeout"),
        None,
    ],
}


@pytest.mark.parametrize("chosen", [*CLASSES, "all"])
@pytest.mark.parametrize("kind", CLASSES)
async def test_classes(caplog: pytest.LogCaptureFixture, chosen: str, kind: str) -> None:
    plugin = parsed(f"log {{\n class {chosen}\n}}")
    for reply in CLASSES[kind]:
        found = await line(caplog, plugin, reply)
        assert (found is not None) == (chosen in (kind, "all"))


async def test_transfers_are_errors(caplog: pytest.LogCaptureFixture) -> None:
    plugin = parsed("log {\n class error\n}")
    assert await line(caplog, plugin, ANSWER, qtype="AXFR")


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("a.example.org.", "1"),
        ("A.EXAMPLE.ORG.", "1"),
        ("example.org.", "1"),
        ("example.net.", "2"),
        ("notexample.org.", None),
        ("b.sub.example.org.", "1"),  # the first that matches, not the longest
        (r"a\.example.org.", None),
        ("org.", None),
    ],
)
async def test_the_first_rule_counts(
    caplog: pytest.LogCaptureFixture, name: str, expected: str | None
) -> None:
    plugin = parsed('log Example.ORG. "1{"\nlog sub.example.org example.net "2{"')
    found = await line(caplog, plugin, ANSWER, name=name)
    assert (found and found[0]) == expected


async def test_a_rule_that_leaves_a_query_out_ends_the_search(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plugin = parsed("log example.org {\n class error\n}\nlog .")
    assert await line(caplog, plugin, ANSWER) is None


async def test_a_format_alone_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    assert await line(caplog, parsed('log "{common}"'), ANSWER) is None


KEPT = {
    "class error, an answer": ("log . {\n class error\n}", 0, True),
    "class error, an error": ("log . {\n class error\n}", 5, False),
    "class denial, an error": ("log . {\n class denial\n}", 5, True),
    "in no rule": ("log example.net", 0, True),
    "in a rule": ("log example.org", 0, False),
}


@pytest.mark.parametrize(("text", "rcode", "is_kept"), KEPT.values(), ids=KEPT)
async def test_what_is_written_is_not_kept(text: str, rcode: int, is_kept: bool) -> None:
    """Else the next query of the same kind would not be written."""
    plugin = parsed(text)
    assert plugin.sees is Sees.QUESTION
    behind = Next(Reply(rcode, answer=records("www.example.org. 5 A 192.0.2.1"), until=math.inf))
    reply = await plugin.resolve(query("www.example.org."), behind)
    assert reply is not None
    assert (reply.until == math.inf) is is_kept


def test_all_of_everything_is_asked_for_each_query() -> None:
    assert parsed("log").sees is Sees.EVERY_QUERY
    assert parsed("log . {\n class denial\n}\nlog . {\n class all\n}").sees is Sees.EVERY_QUERY
