"""Names outside of the cluster, asked of CoreDNS and of clusterdns."""

from collections import Counter
from functools import partial
from pathlib import Path

import pytest

from tests.corner_cases import corner_cases
from tests.objects import Json, endpoint, endpoint_slice, load_balancer, port, service
from tests.oracle.answers import Answer
from tests.oracle.asking import Question
from tests.oracle.comparing import answers, both, differing
from tests.oracle.servers import needs_coredns
from tests.oracle.test_transfers import copied

pytestmark = needs_coredns

Z = "example.test."
TYPES = (1, 2, 5, 6, 12, 15, 16, 28, 33, 65)
REVERSE = [f"{n}.100.51.198.in-addr.arpa." for n in (14, 71, 72, 99)]
OPTIONS = {"plain": "", "headless": "headless\n ttl 60\n apex ns"}


def corefile(options: str, api_url: str, ready_port: int) -> str:
    return f""". {{
    bind 127.0.0.1
    ready 127.0.0.1:{ready_port}
    errors
    k8s_external {Z} in-addr.arpa {{
        {options}
    }}
    kubernetes cluster.local {{
        endpoint {api_url}
        ttl 30
    }}
}}
"""


def objects() -> list[Json]:
    http, dns = port(80, "http"), port(53, "dns", "UDP")
    return [
        *corner_cases(),
        service("shop", "outside-ip", "10.96.7.1", [http, dns], externalIPs=["198.51.100.71"]),
        service("shop", "outside-twin", "10.96.7.2", [http], externalIPs=["198.51.100.71"]),
        service(
            "shop",
            "outside-dual",
            "10.96.7.3",
            [http],
            externalIPs=["198.51.100.72", "2001:db8::72"],
        ),
        service("shop", "outside-bare", "10.96.7.4", externalIPs=["198.51.100.74"]),
        service("shop", "outside-headless", "", [http], externalIPs=["198.51.100.75"]),
        _balanced("outside-host", "10.96.7.5", "web.shop.svc.cluster.local"),
        _balanced("outside-lost", "10.96.7.6", "nope.shop.svc.cluster.local"),
        service("shop", "outside-inner", "10.96.7.7", [http]),
        endpoint_slice("shop", "outside-inner", [endpoint("10.1.7.7", hostname="e")], [http]),
    ]


def _balanced(name: str, address: str, host: str) -> Json:
    made = load_balancer("shop", name, address, [port(80, "http")])
    return made | {"status": {"loadBalancer": {"ingress": [{"hostname": host}]}}}


def names() -> list[str]:
    found = [
        Z,
        f"dns.{Z}",
        f"ns1.dns.{Z}",
        f"ns2.dns.{Z}",
        f"x.ns1.dns.{Z}",
        f"ns1.ns.{Z}",
        *REVERSE,
    ]
    found += [f"{space}.{Z}" for space in ("shop", "nowhere", "nope.shop", "a.b.c.d.shop")]
    kinds = ("ip", "dual", "bare", "headless", "host", "lost", "inner")
    services = [*(f"outside-{kind}" for kind in kinds), "outer", "web", "zoned", "several", "empty"]
    for name in services:
        base = f"{name}.shop.{Z}"
        found += [base, f"_http._tcp.{base}", f"_dns._udp.{base}", f"http.tcp.{base}"]
        found += [f"e.{base}", f"b-0.{base}", f"nope.{base}", f"_x._tcp.{base}", f"_tcp.{base}"]
        found.append(f"a.b.c.{base}")
    return found


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_names(options: str, tmp_path: Path, met: Counter[str]) -> None:
    """The same answers, or those that the differences prescribe."""
    asked = [Question(name, qtype, tcp=True) for name in names() for qtype in TYPES]
    async with both(partial(corefile, options), objects(), tmp_path) as (coredns, clusterdns):
        theirs, _ = await answers(coredns, asked)
        ours, _ = await answers(clusterdns, asked)
    existing = {q.name for q in asked if _exists(theirs[q])}
    rule = partial(_rule, existing)
    differences = differing(asked, theirs, ours, rule, met)
    assert not differences, "\n".join(differences[:12])


def _exists(reply: Answer | None) -> bool:
    return reply is not None and reply.rcode == "NOERROR"


def _rule(existing: set[str], question: Question, raw: Answer, ours: Answer) -> str:
    """The number of the difference that this is; "" where it is none."""
    nodata = ours.rcode == "NOERROR" and not ours.answer and raw.rcode == "NXDOMAIN"
    if nodata and question.name in existing:
        return "D3" if question.name.endswith("arpa.") else "D1"
    if nodata and question.name.startswith("_tcp."):
        return "D2"
    return ""


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
async def test_transfer(options: str, tmp_path: Path, met: Counter[str]) -> None:
    """The zone as a whole. Weights are those of queries here, so they are not compared."""

    def text(api_url: str, ready_port: int) -> str:
        lines = corefile(options, api_url, ready_port)
        return lines.replace("errors\n", "errors\n transfer {\n to *\n }\n")

    async with both(text, objects(), tmp_path) as ports:
        theirs, ours = [await copied(port, Z) for port in ports]
    assert theirs.records[0] == ours.records[0] == ours.records[-1]
    assert len(ours.records) > 20
    assert len(set(ours.records)) == len(ours.records) - 1
    raw, found = ({_unweighted(record) for record in each.records} for each in (theirs, ours))
    aliases = {record.split()[0] for record in found if " CNAME " in record}
    rules = Counter(_transfer_rule(record, aliases) for record in raw - found)
    met.update({"questions": 1} | rules)
    assert "" not in rules, raw - found
    assert not {record for record in found - raw if not _is_left_out(record)}


def _unweighted(record: str) -> str:
    words = record.split()
    return " ".join(words[:5] + words[6:] if words[3] == "SRV" else words)


def _transfer_rule(record: str, aliases: set[str]) -> str:
    """Why CoreDNS has it and clusterdns has not; "" for no reason."""
    owner, _, _, qtype, *rdata = record.split()
    if ".nowhere." in owner:
        return "D22"
    if qtype == "SRV" and rdata[-1] in ("com.", "svc.cluster.local."):
        return "half of a host's name"
    return "beside a CNAME record" if qtype == "SRV" and owner in aliases else ""


def _is_left_out(record: str) -> bool:
    """CoreDNS gives one SRV record a name, and of a host's name the half."""
    return " SRV " in record and ("outside-" in record or "lb-host" in record)
