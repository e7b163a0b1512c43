"""`autopath` with a resolv.conf under CoreDNS and clusterdns."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

from tests.oracle.answers import Answer, Record
from tests.oracle.asking import Edns, Question
from tests.oracle.comparing import answers
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Rules, as_asked, compare, own_opt, recursive, same_questions, sides
from tests.oracle.upstreams import Said

pytestmark = needs_coredns

SOA = "test. 900 SOA ns.test. host.test. 7 7200 1800 86400 900"
HOSTS = "a.one.test b.two.test c.three.test e.one.test e.two.test f.three.test www.test"
SCRIPT = {"": Said("@ 300 A 192.0.2.1"), "nx": Said(rcode="NXDOMAIN", authority=SOA)}
ZONES = ("one.test.", "two.test.", "three.test.", ".")
TYPES = (1, 28, 16, 15)


def zone_file(names: str) -> str:
    lines = "$ORIGIN test.\n@ 300 IN SOA ns.test. host.test. 7 7200 1800 86400 300\n@ NS ns.out.\n"
    kinds = "\n".join(f"{name}. 300 IN A 192.0.2.{n}" for n, name in enumerate(names.split(), 1))
    return f"{lines}{kinds}\nd.two.test. 300 IN TXT there\ng.two.test. 300 IN CNAME a.one.test.\n"


def corefile(folder: Path) -> str:
    (folder / "resolv").write_text("nameserver 192.0.2.53\nsearch one.test two.test three.test\n")
    (folder / "db").write_text(zone_file(HOSTS))
    return (
        f"test . {{\n bind 127.0.0.1\n autopath {folder}/resolv\n file {folder}/db test\n"
        " forward . @0\n}\n"
    )


def denied(question: Question, raw: Answer) -> Answer:
    """D46: CNAME records that lead to a name without the type."""
    if not raw.answer or any(record.type != "CNAME" for record in raw.answer):
        return raw
    soa = Record("test.", "SOA", "ns.test. host.test. SERIAL 7200 1800 86400 300", 300)
    return replace(raw, authority=(soa,))


EXPECTED: Rules = {"D46": denied, "D33": recursive, "D5": own_opt, "D11": as_asked}


async def test_walks(tmp_path: Path, met: Counter[str]) -> None:
    """Names of each element of the search list, and of none."""
    labels = ("a", "b", "c", "d", "e", "f", "g", "nx", "www.test", "x.y", "A", "nx.out", "host.out")
    asked = [
        Question(f"{label}.{zone}".replace("..", "."), qtype)
        for label in labels
        for zone in ZONES
        for qtype in TYPES
    ]
    asked += [q._replace(edns=Edns(1400), tcp=True) for q in asked[::5]]
    async with sides(corefile(tmp_path), tmp_path, [SCRIPT]) as pair:
        await compare(pair, asked, EXPECTED, met)
        same_questions(pair)


async def test_the_search_domain_itself(tmp_path: Path, met: Counter[str]) -> None:
    """D24: SERVFAIL in CoreDNS, here what `file` says."""
    asked = [Question("one.test.", qtype) for qtype in TYPES]
    async with sides(corefile(tmp_path), tmp_path, [SCRIPT]) as pair:
        (theirs, _), (ours, _) = [await answers(side.port, asked) for side in pair]
    for question in asked:
        raw, answer = theirs[question], ours[question]
        assert raw is not None
        assert answer is not None
        assert (raw.rcode, answer.rcode) == ("SERVFAIL", "NOERROR")
        assert [record.type for record in answer.authority] == ["SOA"]
    met["D24"] += len(asked)
