"""Zones of several clusters, asked of CoreDNS and of clusterdns."""

from collections import Counter
from functools import partial
from pathlib import Path

from tests.corner_cases import corner_cases
from tests.objects import Json, endpoint, endpoint_slice, port
from tests.oracle.answers import UNREADABLE, Answer
from tests.oracle.asking import Question
from tests.oracle.comparing import answers, both, differing
from tests.oracle.servers import needs_coredns

pytestmark = needs_coredns

Z = "clusterset.local."
TYPES = (1, 2, 5, 12, 16, 28, 33)
HTTP, DNS = port(80, "http"), port(53, "dns", "UDP")


def corefile(api_url: str, ready_port: int) -> str:
    return f""". {{
    bind 127.0.0.1
    ready 127.0.0.1:{ready_port}
    errors
    kubernetes cluster.local {Z} in-addr.arpa {{
        endpoint {api_url}
        multicluster {Z}
        pods insecure
    }}
}}
"""


def service_import(name: str, *ips: str) -> Json:
    """Of type ClusterSetIP, or headless without IPs."""
    spec = {"type": "ClusterSetIP" if ips else "Headless", "ips": list(ips), "ports": [HTTP, DNS]}
    return {
        "apiVersion": "multicluster.x-k8s.io/v1alpha1",
        "kind": "ServiceImport",
        "metadata": {"namespace": "shop", "name": name, "labels": {}},
        "spec": spec,
    }


def imported_slice(name: str, cluster: str, members: list[Json]) -> Json:
    prefix = "multicluster.kubernetes.io"
    labels = {f"{prefix}/service-name": name, f"{prefix}/source-cluster": cluster}
    return endpoint_slice("shop", "", members, [HTTP], suffix=f"{name}-{cluster}", labels=labels)


def objects() -> list[Json]:
    return [
        *corner_cases(),
        service_import("shared", "10.42.0.1", "fd00:42::1"),
        imported_slice("shared", "east", [endpoint("10.42.1.1", hostname="e")]),
        service_import("spread"),
        imported_slice(
            "spread", "east", [endpoint("10.42.2.1", hostname="db-0"), endpoint("fd00:42::2")]
        ),
        imported_slice(
            "spread", "west", [endpoint("10.42.3.1", hostname="db-0"), endpoint("10.42.3.2")]
        ),
        service_import("nobody"),
        service_import("web", "10.42.0.9"),
    ]


def names() -> list[str]:
    found = [Z, f"svc.{Z}", f"shop.svc.{Z}", f"nope.svc.{Z}", f"dns-version.{Z}"]
    found += [f"10-1-2-3.shop.pod.{Z}", "1.0.42.10.in-addr.arpa.", "1.2.42.10.in-addr.arpa."]
    for name in ("shared", "spread", "nobody", "web", "zoned", "nope"):
        for zone in (Z, "cluster.local."):
            base = f"{name}.shop.svc.{zone}"
            left = ["_http._tcp", "http._tcp", "_http.tcp", "http.tcp", "_dns._udp", "_tcp", "east"]
            left += [
                "db-0.east",
                "db-0.west",
                "DB-0.East",
                "db-0.north",
                "e.east",
                "db-0",
                "tcp.east",
            ]
            left += ["10-42-3-2.west", "10-42-3-2.east", "fd00-42--2.east", "a.b.c", "x.pin._zone"]
            found += [base, *(f"{each}.{base}" for each in left)]
    return found


async def test_names(tmp_path: Path, met: Counter[str]) -> None:
    """The same answers, or NODATA where a name has others below it (D1 to D3)."""
    asked = [Question(name, qtype, tcp=True) for name in names() for qtype in TYPES]
    async with both(corefile, objects(), tmp_path) as (coredns, clusterdns):
        theirs, _ = await answers(coredns, asked)
        ours, _ = await answers(clusterdns, asked)
    existing = {q.name for q in asked if (raw := theirs[q]) and raw.rcode == "NOERROR"}
    rule = partial(_rule, existing)
    differences = differing(asked, theirs, ours, rule, met)
    assert not differences, "\n".join(differences[:12])


def _rule(existing: set[str], question: Question, raw: Answer, ours: Answer) -> str:
    """The number of the difference that this is; "" where it is none."""
    if question.qtype == 12 and raw.said() == UNREADABLE.said() and ours.rcode == "NXDOMAIN":
        return "D19"
    if ours.rcode != "NOERROR" or ours.answer or raw.rcode != "NXDOMAIN":
        return ""
    if question.name in existing:
        return "D1"
    return "D2" if question.name.startswith(("_tcp.", "east.")) else ""
