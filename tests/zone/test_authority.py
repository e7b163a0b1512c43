"""What a zone file says to questions: RFC 1034 section 4.3.2, RFC 4592, RFC 6672, RFC 4035."""

from pathlib import Path

import dns.rdata
import dns.rdatatype
import pytest
from dnslib import RR, DNSBuffer

from clusterdns.errors import SourceError
from clusterdns.wire.question import Question
from clusterdns.zone.authority import Answer, Authority
from clusterdns.zone.masterfile import read

ORIGIN = (b"example", b"org")
HEAD = """$TTL 300
@ 600 IN SOA ns admin 5 3600 600 86400 60
@ NS ns
@ NS ns.other.
ns A 10.0.0.53
"""
ZONE = (
    HEAD
    + """a A 10.0.0.1
a AAAA fd00::1
a A 10.0.0.2
c CNAME a
cc CNAME C
gone CNAME nothing
out CNAME www.other.
loop1 CNAME loop2
loop2 CNAME loop1
mail MX 10 a
_s._tcp SRV 0 100 80 a.example.org.
*.w TXT "wild card"
*.w MX 5 a
x.w A 10.0.0.3
a.ent.w A 10.0.0.4
*.cw CNAME a
d DNAME t
one.t A 10.0.0.5
far DNAME other.
sub NS ns.sub
sub NS ns.other.
sub DS 1 8 2 0000000000000000000000000000000000000000000000000000000000000000
ns.sub A 10.0.1.53
tosub CNAME www.sub
caa CAA 0 issue "ca.example"
a.b.c1 A 10.0.0.9
"""
)
SERVERS = ["example.org. 300 NS ns.example.org.", "example.org. 300 NS ns.other."]
SOA = ["example.org. 60 SOA ns.example.org. admin.example.org. 5 3600 600 86400 60"]
A2 = ["a.example.org. 300 A 10.0.0.1", "a.example.org. 300 A 10.0.0.2"]
A6 = ["a.example.org. 300 AAAA fd00::1"]
GLUE = ["ns.sub.example.org. 300 A 10.0.1.53"]
WWW = ["www.example.org. 30 A 10.0.0.1", "www.example.org. 30 A 10.0.0.2"]
TWO = [f"two.example.org. 300 CNAME {name}.example.org." for name in ("www", "ns")]
CUT = ["sub.example.org. 300 NS ns.sub.example.org.", "sub.example.org. 300 NS ns.other."]

# Question, rcode, answer, authority, additional.
CASES: dict[str, tuple[str, int, list[str], list[str], list[str]]] = {
    "exact": ("a.example.org. A", 0, A2, SERVERS, []),
    "NODATA": ("a.example.org. TXT", 0, [], SOA, []),
    "NXDOMAIN": ("b.example.org. A", 3, [], SOA, []),
    "below a name that exists": ("x.a.example.org. A", 3, [], SOA, []),
    "empty non-terminal": ("b.c1.example.org. A", 0, [], SOA, []),
    "two empty non-terminals": ("c1.example.org. A", 0, [], SOA, []),
    "apex SOA": ("example.org. SOA", 0, [SOA[0].replace(" 60 SOA", " 600 SOA")], SERVERS, []),
    "apex NS": ("example.org. NS", 0, SERVERS, [], ["ns.example.org. 300 A 10.0.0.53"]),
    "apex NODATA": ("example.org. A", 0, [], SOA, []),
    "apex DS": ("example.org. DS", 0, [], SOA, []),
    "ANY, as in CoreDNS": ("a.example.org. ANY", 0, [], SOA, []),
    "ANY at an alias": (
        "c.example.org. ANY",
        0,
        ["c.example.org. 300 CNAME a.example.org."],
        SOA,
        [],
    ),
    "MX": (
        "mail.example.org. MX",
        0,
        ["mail.example.org. 300 MX 10 a.example.org."],
        SERVERS,
        A2 + A6,
    ),
    "SRV": (
        "_s._tcp.example.org. SRV",
        0,
        ["_s._tcp.example.org. 300 SRV 0 100 80 a.example.org."],
        SERVERS,
        A2 + A6,
    ),
    "CNAME asked": (
        "c.example.org. CNAME",
        0,
        ["c.example.org. 300 CNAME a.example.org."],
        SERVERS,
        [],
    ),
    "CNAME followed": (
        "c.example.org. A",
        0,
        ["c.example.org. 300 CNAME a.example.org.", *A2],
        SERVERS,
        [],
    ),
    "CNAME twice": (
        "cc.example.org. AAAA",
        0,
        [
            "cc.example.org. 300 CNAME C.example.org.",
            "C.example.org. 300 CNAME a.example.org.",
            *A6,
        ],
        SERVERS,
        [],
    ),
    "CNAME, then NODATA": (
        "c.example.org. TXT",
        0,
        ["c.example.org. 300 CNAME a.example.org."],
        SOA,
        [],
    ),
    "CNAME, then NXDOMAIN (RFC 6604)": (
        "gone.example.org. A",
        3,
        ["gone.example.org. 300 CNAME nothing.example.org."],
        SOA,
        [],
    ),
    "CNAME out of the zone": (
        "out.example.org. A",
        0,
        ["out.example.org. 300 CNAME www.other."],
        SERVERS,
        [],
    ),
    "CNAME loop": (
        "loop1.example.org. A",
        0,
        [
            "loop1.example.org. 300 CNAME loop2.example.org.",
            "loop2.example.org. 300 CNAME loop1.example.org.",
        ],
        SERVERS,
        [],
    ),
    "wildcard": (
        "b.w.example.org. MX",
        0,
        ["b.w.example.org. 300 MX 5 a.example.org."],
        SERVERS,
        A2 + A6,
    ),
    "wildcard, two labels": (
        "c.b.w.example.org. MX",
        0,
        ["c.b.w.example.org. 300 MX 5 a.example.org."],
        SERVERS,
        A2 + A6,
    ),
    "wildcard NODATA": ("b.w.example.org. A", 0, [], SOA, []),
    "wildcard asked": (
        "*.w.example.org. MX",
        0,
        ["*.w.example.org. 300 MX 5 a.example.org."],
        SERVERS,
        A2 + A6,
    ),
    "no wildcard where the name is": ("x.w.example.org. MX", 0, [], SOA, []),
    "no wildcard below a closer name": ("y.x.w.example.org. MX", 3, [], SOA, []),
    "no wildcard below an empty non-terminal": ("y.ent.w.example.org. MX", 3, [], SOA, []),
    "wildcard CNAME": (
        "q.cw.example.org. AAAA",
        0,
        ["q.cw.example.org. 300 CNAME a.example.org.", *A6],
        SERVERS,
        [],
    ),
    "DNAME itself": ("d.example.org. A", 0, [], SOA, []),
    "DNAME asked": (
        "d.example.org. DNAME",
        0,
        ["d.example.org. 300 DNAME t.example.org."],
        SERVERS,
        [],
    ),
    "DNAME": (
        "one.d.example.org. A",
        0,
        [
            "d.example.org. 300 DNAME t.example.org.",
            "one.d.example.org. 300 CNAME one.t.example.org.",
            "one.t.example.org. 300 A 10.0.0.5",
        ],
        SERVERS,
        [],
    ),
    "DNAME to nothing": (
        "two.d.example.org. A",
        3,
        [
            "d.example.org. 300 DNAME t.example.org.",
            "two.d.example.org. 300 CNAME two.t.example.org.",
        ],
        SOA,
        [],
    ),
    "DNAME out of the zone": (
        "one.far.example.org. CNAME",
        0,
        ["far.example.org. 300 DNAME other.", "one.far.example.org. 300 CNAME one.other."],
        SERVERS,
        [],
    ),
    "referral": ("www.sub.example.org. A", 0, [], CUT, GLUE),
    "referral at the cut": ("sub.example.org. NS", 0, [], CUT, GLUE),
    "referral for glue": ("ns.sub.example.org. A", 0, [], CUT, GLUE),
    "DS at the cut": (
        "sub.example.org. DS",
        0,
        ["sub.example.org. 300 DS 1 8 2 " + "00" * 32],
        SERVERS,
        [],
    ),
    "DS below the cut": ("www.sub.example.org. DS", 0, [], CUT, GLUE),
    "CNAME to a referral": (
        "tosub.example.org. A",
        0,
        ["tosub.example.org. 300 CNAME www.sub.example.org."],
        CUT,
        GLUE,
    ),
    "a type that is octets": (
        "caa.example.org. CAA",
        0,
        ['caa.example.org. 300 CAA 0 issue "ca.example"'],
        SERVERS,
        [],
    ),
    "spelled as asked (D11)": (
        "A.eXample.ORG. AAAA",
        0,
        ["A.eXample.ORG. 300 AAAA fd00::1"],
        ["eXample.ORG. 300 NS ns.example.org.", "eXample.ORG. 300 NS ns.other."],
        [],
    ),
}


def find(text: str, asked: str, do: bool = False) -> Answer:
    name, qtype = asked.split()
    number = int(dns.rdatatype.from_text(qtype))
    return Authority(read(text, ORIGIN, "db")).find(Question.of(name, number).labels, number, do)


def lines(records: list[RR]) -> list[str]:
    """Master-file text, by dnspython from the octets."""
    found = []
    for record in records:
        buffer = DNSBuffer()
        record.rdata.pack(buffer)
        rdata = dns.rdata.from_wire("IN", record.rtype, bytes(buffer.data), 0, len(buffer.data))
        rtype = dns.rdatatype.to_text(record.rtype)
        found.append(f"{record.rname} {record.ttl} {rtype} {rdata}")
    return found


@pytest.mark.parametrize(
    ("asked", "rcode", "answer", "authority", "additional"), CASES.values(), ids=CASES
)
def test_find(
    asked: str, rcode: int, answer: list[str], authority: list[str], additional: list[str]
) -> None:
    found = find(ZONE, asked)
    assert found.rcode == rcode
    assert lines(found.answer) == answer
    assert lines(found.authority) == authority
    assert lines(found.additional) == additional
    assert found.authoritative == (authority != CUT or bool(answer))
    assert found.absent == ((rcode == 3 and not answer) or asked in EMPTY)


EMPTY = {f"{name}example.org. A" for name in ("", "c1.", "b.c1.")} | {"example.org. DS"}


@pytest.mark.parametrize(
    ("asked", "absent"),
    [
        ("x.example.org. A", True),
        ("b.example.org. A", True),  # an empty non-terminal
        ("a.b.example.org. A", False),
        ("a.b.example.org. TXT", False),
        ("sub.example.org. DS", False),
        ("c.example.org. A", False),
        ("example.org. A", True),
        ("example.org. NS", False),
        ("example.org. ANY", True),
    ],
)
def test_who_else_may_know_it(asked: str, absent: bool) -> None:
    """Where `fallthrough` leads on, as in CoreDNS: names without records of their own."""
    assert find(HEAD + "a.b A 10.0.0.1\nsub NS ns.other.\nc CNAME b\n", asked).absent == absent
    if asked.startswith("example.org."):
        assert not find(HEAD + "@ MX 1 a\n", asked).absent


@pytest.mark.parametrize(
    ("asked", "chase"),
    [
        ("out.example.org. A", "www.other."),
        ("out.example.org. CNAME", None),
        ("One.far.example.org. A", "One.other."),
        ("c.example.org. A", None),
    ],
)
def test_chase(asked: str, chase: str | None) -> None:
    found = find(ZONE, asked)
    assert (str(found.chase) if found.chase else None) == chase


ALIASES = """@ CNAME www
www A 10.0.0.1
www 30 A 10.0.0.2
www A 10.0.0.1
a CNAME www
a TXT "beside"
two CNAME www
two CNAME ns
"""


@pytest.mark.parametrize(
    ("asked", "answer"),
    [
        ("example.org. A", ["example.org. 300 CNAME www.example.org.", *WWW]),
        ("example.org. TXT", ["example.org. 300 CNAME www.example.org."]),
        ("example.org. CNAME", ["example.org. 300 CNAME www.example.org."]),
        ("example.org. NS", SERVERS),
        ("example.org. SOA", [SOA[0].replace(" 60 SOA", " 600 SOA")]),
        ("a.example.org. TXT", ["a.example.org. 300 CNAME www.example.org."]),
        ("a.example.org. A", ["a.example.org. 300 CNAME www.example.org.", *WWW]),
        ("two.example.org. A", [*TWO, *WWW]),
        ("two.example.org. CNAME", TWO),
    ],
)
def test_aliases_that_should_not_be(asked: str, answer: list[str]) -> None:
    """RFC 1034 section 3.6.2 forbids these files; CoreDNS serves them."""
    assert lines(find(HEAD + ALIASES, asked).answer) == answer


def test_dname_that_makes_a_name_too_long() -> None:
    label = "x" * 63
    zone = HEAD + f"d DNAME {label}.{label}.{label}\n"
    assert find(zone, f"{label}.d.example.org. A").rcode == 6


def test_dname_that_grows_ends() -> None:
    found = find(HEAD + "d DNAME x.d\n", "a.d.example.org. A")
    assert found.rcode == 2
    assert len(found.answer) < 30


SIG = "RRSIG {} 8 2 300 20300101000000 20200101000000 1 example.org. AA=="
SIGNED = (
    HEAD
    + "@ NSEC a NS SOA\n@ "
    + SIG.format("SOA")
    + "\na A 10.0.0.1\na NSEC w A\na "
    + SIG.format("A")
    + "\nw A 10.0.0.2\nw NSEC example.org. A\n"
)


@pytest.mark.parametrize(
    ("asked", "do", "types"),
    [
        ("a.example.org. A", False, ["A", "|", "NS", "NS"]),
        ("a.example.org. A", True, ["A", "RRSIG", "|", "NS", "NS"]),
        ("a.example.org. TXT", True, ["|", "SOA", "RRSIG", "NSEC a.example.org."]),
        (
            "b.example.org. TXT",
            True,
            ["|", "SOA", "RRSIG", "NSEC a.example.org.", "NSEC example.org."],
        ),
        ("b.example.org. TXT", False, ["|", "SOA"]),
    ],
)
def test_signed(asked: str, do: bool, types: list[str]) -> None:
    found = find(SIGNED, asked, do)
    names = []
    for section in (found.answer, found.authority):
        for each in section:
            name = dns.rdatatype.to_text(each.rtype)
            names.append(f"{name} {each.rname}" if name == "NSEC" else name)
        names.append("|")
    assert names[:-1] == types


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (HEAD + "bad A 1.2.3\n", "/z/db:6: "),
        (HEAD + "bad NOTYPE 1\n", "/z/db:6: "),
        (HEAD + "$INCLUDE missing.db\n", "/z/"),
        ("a 60 IN A 10.0.0.1\n", "/z/db: there is no SOA record of example.org."),
        ("", "/z/db: there is no SOA record of example.org."),
        ("a A 10.0.0.1\n", "/z/db:1: "),
    ],
)
def test_faults(text: str, expected: str) -> None:
    with pytest.raises(SourceError) as raised:
        read(text, ORIGIN, "/z/db")
    assert str(raised.value).startswith(expected)


def test_include_beside_the_file(tmp_path: Path) -> None:
    (tmp_path / "more").write_text("b A 10.0.0.7\n")
    zone = read(HEAD + "$INCLUDE more\n", ORIGIN, str(tmp_path / "db"))
    found = Authority(zone).find((b"b", *ORIGIN), 1)
    assert lines(found.answer) == ["b.example.org. 300 A 10.0.0.7"]
    assert zone.serial == 5


def test_included_files_include_beside_themselves(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / "sub" / "more").write_text("$INCLUDE deep/most deep\nb A 10.0.0.7\n")
    (tmp_path / "sub" / "deep" / "most").write_text("c A 10.0.0.8\n$INCLUDE last\n")
    (tmp_path / "sub" / "deep" / "last").write_text("d A 10.0.0.9\n")
    monkeypatch.chdir(tmp_path / "sub")  # where nothing of it is looked for
    zone = read(HEAD + "$INCLUDE sub/more\n", ORIGIN, str(tmp_path / "db"))
    assert set(zone.nodes) >= {
        (b"b", *ORIGIN),
        (b"c", b"deep", *ORIGIN),
        (b"d", b"deep", *ORIGIN),
    }


def test_faults_of_included_files(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "more").write_text("b A 10.0.0.7\n\nc A 10.0\nd A 10.0.0.8\n")
    with pytest.raises(SourceError) as raised:
        read(HEAD + "$INCLUDE sub/more\n", ORIGIN, str(tmp_path / "db"))
    assert str(raised.value).startswith(f"{tmp_path}/sub/more:3: ")
    (tmp_path / "more").write_text("$INCLUDE more\n")
    with pytest.raises(SourceError) as raised:
        read(HEAD + "$INCLUDE more\n", ORIGIN, str(tmp_path / "db"))
    assert str(raised.value).startswith(f"{tmp_path}/more:")
    assert str(raised.value).endswith("$INCLUDE more than 7 files deep")


def test_names_outside_are_left_out() -> None:
    assert set(read(HEAD + "x.other. A 10.0.0.1\n", ORIGIN, "db").nodes) == {
        ORIGIN,
        (b"ns", *ORIGIN),
    }


def test_root_zone() -> None:
    text = "$TTL 9\n. SOA a. b. 1 1 1 1 1\n. NS a.\norg. NS a.org.\na.org. A 10.0.0.1\n"
    authority = Authority(read(text, (), "root"))
    assert lines(authority.find((b"x", b"org"), 1).authority) == ["org. 9 NS a.org."]
    assert authority.find((b"com",), 1).rcode == 3


def test_beside_coredns() -> None:
    """What 8,000 questions beside CoreDNS showed."""
    lines = (
        "d DNAME t\nd NS ns\nb NS ns.b\nb NS ns\nns.b A 10.0.0.7\n*.cw CNAME ns\n"
        "s A 10.0.0.8\ns RRSIG A 13 3 300 20400101000000 20200101000000 1 example.org. AAAA\n"
    )
    below = find(HEAD + lines, "x.d.example.org. A")
    assert [record.rname.label[0] for record in below.answer] == [b"d", b"x"]  # DNAME before NS
    referral = find(HEAD + lines, "x.b.example.org. A")
    assert [str(record.rname) for record in referral.additional] == ["ns.b.example.org."]
    assert len(find(HEAD + lines, "s.example.org. RRSIG").answer) == 1
    assert len(find(HEAD + lines, "x.cw.example.org. NSEC").answer) == 1  # there is no NSEC record
