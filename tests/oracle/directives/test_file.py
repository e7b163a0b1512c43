"""`file` and `auto` under CoreDNS and clusterdns: a zone with everything, and generated ones."""

from collections import Counter
from dataclasses import replace
from pathlib import Path
from random import Random

from tests.oracle.answers import Answer, Record
from tests.oracle.asking import Edns, Question
from tests.oracle.directives.scripts import ANSWERS
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import Rules, as_asked, compare, in_lower_case, own_opt, sides

pytestmark = needs_coredns

HEAD = """$ORIGIN {zone}.
$TTL 300
@ 3600 IN SOA ns1 hostmaster ( 2024010101 7200 3600 1209600 120 )
@ IN NS ns1
@ IN NS ns2.elsewhere.test.
ns1 IN A 192.0.2.53
"""
EVERYTHING = (
    HEAD
    + r"""
@ IN A 192.0.2.1
@ IN MX 10 mail
@ IN TXT "v=spf1 -all" "two strings"
www IN A 192.0.2.2
www IN A 192.0.2.3
www IN AAAA 2001:db8::2
WwW2 IN A 192.0.2.4
mail IN A 192.0.2.25
mail IN AAAA 2001:db8::25
srv IN SRV 0 5 80 www
srv IN SRV 0 5 81 outside.elsewhere.test.
_http._tcp.srv IN SRV 0 5 80 mail
alias IN CNAME www
alias2 IN CNAME alias
loop IN CNAME loop2
loop2 IN CNAME loop
self IN CNAME self
dangling IN CNAME nothing
outside IN CNAME www.elsewhere.test.
outnx IN CNAME nx.elsewhere.test.
outsub IN CNAME host.sub
outwild IN CNAME any.wild
*.wild IN A 192.0.2.5
*.wild IN TXT "wild"
exact.wild IN TXT "exact"
*.cwild IN CNAME www
*.owild IN CNAME www.elsewhere.test.
*.mwild IN MX 5 mail
deep.er.ent IN A 192.0.2.6
*.a.went IN A 192.0.2.7
sub IN NS ns.sub
sub IN NS ns.elsewhere.test.
ns.sub IN A 192.0.2.54
ns.sub IN AAAA 2001:db8::54
host.sub IN A 192.0.2.55
sub IN DS 12345 8 2 49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE49FD46E6C4B45C55D4AC69CB
noglue IN NS ns9.elsewhere.test.
old IN DNAME new
host.new IN A 192.0.2.8
*.wildnew.new IN A 192.0.2.9
away IN DNAME elsewhere.test.
below.old IN A 192.0.2.10
caa IN CAA 0 issue "ca.example"
https IN HTTPS 1 . alpn=h2,h3 ipv4hint=192.0.2.11
naptr IN NAPTR 10 20 "S" "SIP+D2U" "" _sip._udp
tlsa IN TLSA 3 1 1 d2abde240d7cd3ee6b4b28c54df034b9 7983a1d16e8a410e4561cb106618e971
sshfp IN SSHFP 2 1 123456789abcdef67890123456789abcdef67890
hinfo IN HINFO "PC" "Linux"
loc IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m
unknown IN TYPE65400 \# 4 0a000001
ptr IN PTR www
txt IN TXT "one" "two" "with \"quotes\" and \\ \010"
lines IN TXT "one
two"
longtxt IN TXT ( "v=DKIM1; p=" """
    + "k" * 300
    + r""" "end" )
zero 0 IN A 192.0.2.12
long 99999 IN A 192.0.2.13
under_score IN A 192.0.2.14
odd\.dot IN A 192.0.2.15
*.star.*.x IN A 192.0.2.16
sub2.deep IN NS ns.sub2.deep
ns.sub2.deep IN A 192.0.2.17
mxout IN MX 5 mail.elsewhere.test.
mxcname IN MX 5 alias
two IN NS ns1
beside IN CNAME www
beside IN TXT "beside"
several IN CNAME www
several IN CNAME alias
"""
)
SIGNED = (
    HEAD
    + """
@ IN DNSKEY 257 3 13 (
 mdsswUyr3DPW132mOi8V9xESWE8jTo0dxCjjnopKl+GqJxpVXckHAeF+KkxLbxIL
 fDLUT0rAK9iUzy1L53eKGQ== )
@ IN RRSIG SOA 13 2 3600 20400101000000 20200101000000 1 {zone}. AAAA
@ IN RRSIG NS 13 2 300 20400101000000 20200101000000 1 {zone}. AAAB
@ IN NSEC www NS SOA RRSIG NSEC DNSKEY
@ IN RRSIG NSEC 13 2 120 20400101000000 20200101000000 1 {zone}. AAAC
www IN A 192.0.2.1
www IN RRSIG A 13 3 300 20400101000000 20200101000000 1 {zone}. AAAD
www IN NSEC alias A RRSIG NSEC
www IN RRSIG NSEC 13 3 120 20400101000000 20200101000000 1 {zone}. AAAE
alias IN CNAME www
alias IN RRSIG CNAME 13 3 300 20400101000000 20200101000000 1 {zone}. AAAF
alias IN NSEC *.wild CNAME RRSIG NSEC
alias IN RRSIG NSEC 13 3 120 20400101000000 20200101000000 1 {zone}. AAAG
*.wild IN A 192.0.2.2
*.wild IN RRSIG A 13 3 300 20400101000000 20200101000000 1 {zone}. AAAH
*.wild IN NSEC sub A RRSIG NSEC
*.wild IN RRSIG NSEC 13 3 120 20400101000000 20200101000000 1 {zone}. AAAI
sub IN NS ns.elsewhere.test.
sub IN NSEC @ NS RRSIG NSEC
sub IN DS 1 13 2 49FD46E6C4B45C55D4AC69CBD3CD34AC1AFE51DE49FD46E6C4B45C55D4AC69CB
sub IN RRSIG DS 13 3 300 20400101000000 20200101000000 1 {zone}. AAAJ
sub IN RRSIG NSEC 13 3 120 20400101000000 20200101000000 1 {zone}. AAAK
"""
)
TYPES = (1, 28, 2, 5, 6, 15, 16, 33, 43, 39, 46, 47, 48, 12, 255)
LABELS = ("a", "b", "c", "www", "x")
KINDS = ("A 192.0.2.{n}", "AAAA 2001:db8::{n}", "CNAME {target}", "MX {n} {target}")
MORE_KINDS = ("MX {n} {target}", "TXT t{n}", "SRV 0 0 {n} {target}")


def generated(dice: Random) -> str:
    """A zone that nobody thought of; a name with a CNAME has nothing else."""
    found: dict[str, list[str]] = {}
    for number in range(30):
        name = ".".join(dice.choices(LABELS, k=dice.randrange(1, 4)))
        target = ".".join(dice.choices(LABELS, k=dice.randrange(1, 4)))
        target = dice.choice((target, target, "www.elsewhere.test."))
        kind = dice.choice((*KINDS, *MORE_KINDS)).format(n=number, target=target)
        others = found.setdefault(name, [])
        if others and (kind.startswith("CNAME") or others[0].startswith("CNAME")):
            continue
        if sum(each.startswith("DNAME") for each in others) and kind.startswith("DNAME"):
            continue
        others.append(kind)
    return HEAD + "".join(f"{name} IN {kind}\n" for name in found for kind in found[name])


def names_in(text: str, zone: str, dice: Random) -> list[str]:
    """The names of a zone, some below and above them, some in upper case."""
    owners = {line.split()[0] for line in text.splitlines()[2:] if line[:1] not in (" ", "")}
    owners |= {"nothing", "any.wild", "a.b.wild", "x.exact.wild", "ent", "er.ent", "x.ent", "went"}
    owners |= {"a.went", "x.a.went", "x.sub", "host.sub", "x.host.sub", "host.old", "a.wildnew.old"}
    owners |= {
        "a.b.old",
        "x.away",
        "x.noglue",
        "below.old",
        "x.cwild",
        "x.owild",
        "x.mwild",
        "x.y.x",
    }
    owners |= {"*", "x.loop", "x.outside", "x.deep", "deep", "x.sub2.deep", "nothing.nothing"}
    owners |= {".".join(dice.choices(LABELS, k=k)) for k in (1, 2, 3, 4) for _ in range(6)}
    found = [f"{owner}.{zone}." if owner not in ("@", ")") else f"{zone}." for owner in owners]
    loops = ("loop.", "loop2.", "self.", "x.loop.")  # D47
    found = [name for name in found if not name.startswith(loops)]
    return sorted(set(found)) + [name.upper() for name in sorted(found)[::9]]


def zones() -> dict[str, str]:
    texts = {"everything.test": EVERYTHING, "signed.test": SIGNED}
    texts["alias.test"] = HEAD + "@ IN CNAME www\n@ IN MX 5 www\nwww IN A 192.0.2.1\n"
    texts |= {f"g{seed}.test": generated(Random(seed)) for seed in range(6)}
    return {zone: text.format(zone=zone) for zone, text in texts.items()}


def corefile(folder: Path) -> str:
    blocks = []
    for zone, text in zones().items():
        path = folder / f"db.{zone}"
        path.write_text(text)
        blocks.append(f"{zone} {{\n bind 127.0.0.1\n errors\n file {path}\n}}\n")
    path = folder / "db.everything.test"
    blocks.append(
        f"parent.test {{\n bind 127.0.0.1\n file {folder}/db.missing parent.test\n}}\n"
        f"below.signed.test {{\n bind 127.0.0.1\n whoami\n}}\n"
    )
    blocks.append(". {\n bind 127.0.0.1\n forward . @0\n}\n")
    return "".join(blocks)


def folded(question: Question, raw: Answer) -> Answer:
    """D11: names below those that were asked for have the zone file's spelling or the client's, and
    so has glue."""
    found = in_lower_case(question, raw)
    glue = [record._replace(owner=record.owner.lower()) for record in found.additional]
    return replace(found, additional=tuple(sorted(glue)))


def lowest_ttl(question: Question, raw: Answer) -> Answer:
    """D46: the SOA record of a negative answer has the lower one of its TTL and its minimum, and
    stands also where CNAME records lead to a name without the type."""
    authority = raw.authority
    kind = raw.question.rpartition(" ")[2]
    aliases = [r for r in raw.answer if r.type in ("CNAME", "DNAME")]
    ends = {r.data.lower() for r in aliases if r.type == "CNAME"}
    ends -= {r.owner.lower() for r in aliases}
    found = any(r.type == kind and r.owner.lower() in ends for r in raw.answer)
    is_chain = {r.type for r in raw.answer} <= {"CNAME", "DNAME", "RRSIG"}
    if is_chain and ends and not found and kind != "CNAME" and authority and "AA" in raw.bits:
        zone = authority[0].owner
        is_referral = zone.lower() != ".".join(question.name.lower().split(".")[-3:])
        if is_referral and authority[0].type in ("NS", "DS"):
            return raw
        if all(end.endswith(zone.lower()) for end in ends):
            data = f"ns1.{zone} hostmaster.{zone} SERIAL 7200 3600 1209600 120"
            authority = (Record(zone, "SOA", data, 120),)
        elif raw.rcode == "NXDOMAIN" or authority[0].type == "SOA":  # the other zone's
            data = "ns.test. host.test. SERIAL 7200 1800 86400 60"
            return replace(raw, authority=(Record("test.", "SOA", data, 900),))
    return replace(raw, authority=tuple(sorted(map(_lowered, authority))))


def _lowered(record: Record) -> Record:
    """What belongs to the SOA record has its TTL."""
    is_of_soa = record.type == "SOA" or (record.type == "RRSIG" and record.data.startswith("SOA "))
    return record._replace(ttl=min(record.ttl, 120)) if is_of_soa else record


EXPECTED: Rules = {"D46": lowest_ttl, "D5": own_opt, "D11": as_asked, "D11 below": folded}


async def test_zones(tmp_path: Path, met: Counter[str]) -> None:
    """Every name and type, with and without DO."""
    dice = Random(5)
    asked = []
    for zone, text in zones().items():
        for name in names_in(text, zone, dice):
            types = TYPES if not zone.startswith("g") else (1, 28, 5, 15)
            asked += [Question(name, qtype) for qtype in types]
            more = (65, 257, 35, 52, 44, 13, 29, 65400) if zone == "everything.test" else ()
            asked += [Question(name, qtype) for qtype in more]
            if zone in ("signed.test", "everything.test"):
                asked += [Question(name, qtype, edns=Edns(4096, 0x8000)) for qtype in TYPES]
            asked += [Question(name, 1, tcp=True, flags=0)]
    asked += [Question(name, 1) for name in ("parent.test.", "x.parent.test.")]
    # D46 and D47, where what is signed would have to be made up here
    asked = [q for q in asked if (q.name.lower(), q.qtype) != ("signed.test.", 46)]
    asked = [
        q for q in asked if q.name.lower() != "alias.signed.test." or (q.qtype, q.edns) == (1, None)
    ]
    async with sides(corefile(tmp_path), tmp_path, [ANSWERS]) as pair:
        await compare(pair, asked, EXPECTED, met, ours_as=folded)


FALLING = (
    HEAD
    + """
a.ent IN A 192.0.2.1
*.w IN A 192.0.2.2
c IN CNAME ent
sub IN NS ns.elsewhere.test.
"""
)


async def test_what_falls_through(tmp_path: Path, met: Counter[str]) -> None:
    """Names without records: missing ones, empty non-terminals, an apex that has nothing else."""
    texts = {"fall.test": FALLING, "more.test": FALLING + "@ IN TXT more\n"}
    blocks = []
    for zone, text in texts.items():
        path = tmp_path / f"db.{zone}"
        path.write_text(text.format(zone=zone))
        lines = f"bind 127.0.0.1\n file {path} {{\n fallthrough\n }}\n whoami"
        blocks.append(f"{zone} {{\n {lines}\n}}\n")
    labels = ("", "no.", "ent.", "a.ent.", "b.ent.", "x.a.ent.", "w.", "x.w.", "c.", "sub.")
    asked = [
        Question(f"{label}{zone}.", qtype)
        for zone in texts
        for label in (*labels, "x.sub.")
        for qtype in (1, 2, 6, 15, 43, 255)
    ]
    async with sides("".join(blocks), tmp_path) as pair:
        await compare(pair, asked, EXPECTED, met, ours_as=folded)


OTHERS: tuple[str, ...] = (  # @ is a folder with `db`, and with `zones`, which has db.x.a.zN.test
    "file @/db a.@z",
    "file @/db a.@z {\n fallthrough\n }",
    "file @/db a.@z\n reload\n root /\n errors",
    "file @/db a.@z\n view always {\n expr true\n }",
    "file @/db a.@z\n file @/db b.@z",
    "file @/db a.@z\n whoami",
    "file @/db a.@z\n chaos",
    "auto a.@z {\n directory @/zones\n }",
    "auto a.@z {\n directory @/zones\n }\n whoami",
    "file @/db b.@z\n auto a.@z {\n directory @/zones\n }",
    "file @/db a.@z\n secondary b.@z {\n transfer from 127.0.0.1:9\n }",
    "secondary a.@z {\n transfer from 127.0.0.1:9\n }",
    "secondary a.@z {\n transfer from 127.0.0.1:9\n }\n whoami",
)


async def test_names_outside_of_all_zones(tmp_path: Path, met: Counter[str]) -> None:
    """With and without a directive that knows more."""
    zones = tmp_path / "zones"
    zones.mkdir()
    (tmp_path / "db").write_text(HEAD.partition("\n")[2])
    blocks, asked = [], []
    for number, lines in enumerate(OTHERS):
        zone = f"z{number}.test"
        (zones / f"db.x.a.{zone}").write_text(HEAD.partition("\n")[2])
        body = lines.replace("@z", zone).replace("@/", f"{tmp_path}/")
        blocks.append(f"{zone} {{\n bind 127.0.0.1\n {body}\n}}\n")
        labels = ("x.", "a.", "y.a.", "x.a.", "y.x.a.", "b.", "x.b.")
        asked += [Question(f"{label}{zone}.", qtype) for label in labels for qtype in (1, 6)]
        asked += [Question(f"{label}{zone}.", 252, tcp=True) for label in labels]
        asked.append(Question(f"X.{zone}.", 1, edns=Edns(4096)))
    async with sides("".join(blocks), tmp_path) as pair:
        await compare(pair, asked, EXPECTED, met, ours_as=folded)
