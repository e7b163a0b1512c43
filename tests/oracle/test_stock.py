"""Stock Corefiles, asked of CoreDNS and of clusterdns; both forward to the same nsd and unbound."""

import re
import time
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from tests.apiserver.server import ApiServer
from tests.metering import SERIES, read, series
from tests.oracle.ages import NEW, Ages, Span, aged, ages, may_differ
from tests.oracle.answers import UNREADABLE, Answer, Section, decode
from tests.oracle.servers import coredns_binary, needs_coredns
from tests.scenarios.asking import At, ask, get
from tests.scenarios.processes import CLUSTERDNS, running
from tests.stock.cluster import ANSWERS, Z, objects
from tests.stock.distributions import STOCK, Stock
from tests.stock.fixtures import Both, upstreams
from tests.stock.machine import ENVIRON, Machine
from tests.stock.test_features import FEATURES
from tests.stock.upstreams import needs_upstreams

__all__ = ["upstreams"]
pytestmark = [
    needs_upstreams,
    needs_coredns,
]

OUR_SIZE = 1232
TYPES = ("A", "AAAA", "SRV", "TXT", "MX", "NS", "SOA", "PTR", "CNAME", "ANY", "HTTPS")
NAMES = (
    *(Z, f"svc.{Z}", f"shop.svc.{Z}", f"web.shop.svc.{Z}", f"db.shop.svc.{Z}"),
    *(f"nope.shop.svc.{Z}", f"outside.shop.svc.{Z}", f"10-244-0-7.shop.pod.{Z}"),
    *("www.example.org.", "alias.example.org.", "nope.example.org."),
)


def questions(name: str) -> list[tuple[str, str]]:
    """Name and type: cluster names of every type, foreign ones, and the distribution's own."""
    asked = dict.fromkeys([*ANSWERS, *FEATURES.get(name, ())])
    return list(asked | dict.fromkeys((owner, qtype) for owner in NAMES for qtype in TYPES))


@pytest.mark.parametrize("name", STOCK)
async def test_stock(name: str, tmp_path: Path, upstreams: Both, met: Counter[str]) -> None:
    """Asked over UDP, then over TCP, when what can be is cached.

    TTLs at the first ask only, and where the upstream has no cache in which they count down.
    What an alias leads to may have been asked for before, of each at another moment.
    """
    counts_down = STOCK[name].foreign == "unbound" or STOCK[name].on_node
    differences = []
    async with ApiServer(objects()) as api, AsyncExitStack() as stack:
        sides = [
            await stack.enter_async_context(
                _serving(program, STOCK[name], upstreams, tmp_path / program, api.url)
            )
            for program in ("coredns", "clusterdns")
        ]
        theirs, ours = [Asking(machine.at(*STOCK[name].at)) for machine in sides]
        for tcp in (False, True):
            for question in questions(name):
                raw, found = [await each.answer(*question, tcp) for each in (theirs, ours)]
                raw = aged(raw, found, may_differ(theirs.ages, ours.ages))
                if tcp or counts_down:
                    raw, found = _without_ttl(raw), _without_ttl(found)
                rules = list(_rules(STOCK[name], question, raw, found))
                met.update(["questions", *rules])
                if "?" in rules:
                    differences.append(f"{question} {tcp=}\nCoreDNS {raw}\nclusterdns {found}")
        if number := STOCK[name].metrics:
            same_metrics(*[await _metrics(machine, number) for machine in sides])
    assert not differences, "\n\n".join(differences[:20])


def same_metrics(theirs: dict[str, Metric], ours: dict[str, Metric]) -> None:
    """Every family that CoreDNS tells of is here, and queries are counted by the same labels.

    CoreDNS counts what it asks itself as well, for the target of an ExternalName.
    """
    assert theirs.keys() - ours.keys() == set()
    plugins = "coredns_plugin_enabled"
    assert series(theirs, plugins) == series(ours, plugins)
    counted, expected = [_counted(each, "coredns_dns_requests_total") for each in (ours, theirs)]
    assert counted.keys() == expected.keys()
    assert all(number <= expected[labels] for labels, number in counted.items())


async def _metrics(machine: Machine, number: int) -> dict[str, Metric]:
    """The families of its page, with the ports and addresses of the Corefile."""
    status, text = await get(machine.port(number), "/metrics")
    assert status == 200
    for named, port in machine.ports.items():
        text = text.replace(f':{port}"', f':{named}"')
    for address, stand_in in machine.own.items():
        text = text.replace(f"//{stand_in}:", f"//{address}:")
    return read("".join(line for line in text.splitlines(True) if "coredns_" in line))


def _counted(families: dict[str, Metric], sample: str) -> SERIES:
    """Without the queries of `loop` for HINFO, whose number is a matter of time."""
    found = series(families, sample)
    return {labels: number for labels, number in found.items() if "other" not in labels}


@dataclass
class Asking:
    """One of the servers, and when it was first asked what.

    ages: of what the last answer's alias leads to.
    """

    at: At
    first: dict[tuple[str, str], Span] = field(default_factory=dict)
    ages: Ages = NEW

    async def answer(self, name: str, qtype: str, tcp: bool) -> Answer:
        begin = time.monotonic()
        reply = await ask(self.at, name, qtype, tcp)
        span = Span(begin, time.monotonic())
        found = (decode(reply.to_wire()) or UNREADABLE).said()
        targets = [each.data for each in found.answer if each.type == "CNAME"]
        known = [self.first[each, qtype] for each in targets if (each, qtype) in self.first]
        self.ages = ages(known[0], span) if known else NEW
        self.first.setdefault((name, qtype), span)
        return found


def _rules(stock: Stock, question: tuple[str, str], raw: Answer, ours: Answer) -> Iterator[str]:
    """The numbers of the differences that are met; "?" for one that has none."""
    name, qtype = question
    foreign = stock.on_node or not name.endswith(Z) or name.startswith("www.example.org.")
    if foreign and raw.bits - ours.bits == {"AA"}:
        yield "D9"
        raw = replace(raw, bits=raw.bits - {"AA"})
    made_here = name == "localhost." or qtype == "ANY" or ours.opt  # by local, any, acl
    own = "AA" in ours.bits or not foreign or made_here
    if own and ours.bits - raw.bits == {"RA"}:
        yield "D33"
        raw = replace(raw, bits=raw.bits | {"RA"})
    if raw.opt and ours.opt and raw.opt.size != ours.opt.size == OUR_SIZE:
        yield "D5"
        raw = replace(raw, opt=raw.opt._replace(size=OUR_SIZE))
    if any(each.data.startswith("fe80:") for each in raw.additional):
        yield "D14"
        kept = tuple(each for each in raw.additional if not each.data.startswith("fe80:"))
        raw = replace(raw, additional=kept)
    if raw == ours:
        return
    if stock.pods == "verified" and name == f"shop.svc.{Z}" and raw.rcode == "SERVFAIL":
        yield "D24"
        return
    if name.startswith("outside.") and [each.type for each in ours.answer] == ["CNAME"]:
        yield "D34"
    elif name.endswith(Z) and _by_type(name, qtype, raw, ours):
        yield "D1"
    else:
        yield "?"


def _by_type(name: str, qtype: str, raw: Answer, ours: Answer) -> bool:
    """Whether CoreDNS has another rcode for this type than for others: D1."""
    if ours.rcode == "NXDOMAIN":
        return qtype == "SOA" and raw.rcode == "NOERROR" and not raw.answer
    nodata = ours.rcode == "NOERROR" and not ours.answer
    return nodata and raw.rcode == "NXDOMAIN" and not name.startswith("nope.")


def _without_ttl(answer: Answer) -> Answer:
    def plain(section: Section) -> Section:
        return tuple(record._replace(ttl=0) for record in section)

    answers, authority, additional = map(plain, answer.sections)
    return replace(answer, answer=answers, authority=authority, additional=additional)


@asynccontextmanager
async def _serving(
    program: str, stock: Stock, upstreams: Both, folder: Path, api_url: str
) -> AsyncIterator[Machine]:
    """A server of either sort under the Corefile."""
    machine = Machine(folder, upstreams[stock.foreign])
    path = machine.write(stock.corefile, stock.files)
    path.write_text(
        re.sub(r"^( +kubernetes .*\{)$", rf"\1\n endpoint {api_url}", path.read_text(), flags=re.M)
    )
    coredns = program == "coredns"
    words = ("-conf", path, "-dns.port", str(machine.port(53)))
    binary = str(coredns_binary()) if coredns else CLUSTERDNS
    async with running(*words, program=binary, environ=ENVIRON) as process:
        known = stock.cluster and not stock.on_node
        await process.line("linux/" if coredns else "synced" if known else ", python")
        yield machine
