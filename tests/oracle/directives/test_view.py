"""Expressions of `view` under CoreDNS and clusterdns: each is a block that answers or does not."""

from collections import Counter
from pathlib import Path

from tests.oracle.asking import Edns, Question
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import USUAL, compare, sides

pytestmark = needs_coredns

EXPRESSIONS = (
    "type() == 'A'",
    "type() in ['AAAA', 'TXT']",
    "name() == 'a.z.test.'",
    "name() startsWith 'a.' && class() == 'IN'",
    "name() matches '^[ab][.]'",
    "name() contains 'z' and not (name() endsWith 'x.')",
    "proto() == 'udp'",
    "proto() == 'tcp' || type() == 'MX'",
    "incidr(client_ip(), '127.0.0.0/8')",
    "incidr(client_ip(), '10.0.0.0/8')",
    "client_ip() == '127.0.0.1'",
    "server_ip() == '127.0.0.1'",
    "int(port()) > 0",
    "int(server_port()) > 1024 ? true : false",
    "size() > 30",
    "bufsize() >= 1232",
    "do()",
    "opcode() == 0",
    "len(name()) % 2 == 0",
    "any(['a', 'b'], {name() startsWith #})",
    "all([1, 2], # > 0)",
    "split(name(), '.')[0] == 'a'",
    "upper(name()) == 'A.Z.TEST.'",
    "lower(type()) == 'a' and trimSuffix(name(), '.') endsWith 'test'",
    "metadata('nothing/here') == ''",
    "indexOf(name(), 'b') == 0 or hasPrefix(name(), 'c')",
    "len(filter(split(name(), '.'), len(#) == 1)) == 2",
    "map([1, 2, 3], # * 2)[1] == 4",
    "count(split(name(), '.'), # == 'a') == 1",
    "1 in 1..3 and 'x' not in ['y']",
    "let n = name(); n[0:1] == 'b'",
    "(type() ?? 'none') == 'A'",
    "toJSON([1]) != ''",
    "sum([1, 2]) == 3 and max(1, 2) == 2 and abs(-1) == 1",
)
NAMES = ("a", "b", "c", "xx", "a.b", "A")


def corefile() -> str:
    """For each expression a zone with it, and one behind it that refuses nothing."""
    return "".join(
        f"z{number}.test {{\n bind 127.0.0.1\n metadata\n view v{number} {{\n"
        f'  expr "{text}"\n }}\n template ANY ANY {{\n  rcode NXDOMAIN\n }}\n}}\n'
        f"z{number}.test {{\n bind 127.0.0.1\n template ANY ANY {{\n  rcode REFUSED\n }}\n}}\n"
        for number, text in enumerate(EXPRESSIONS)
    ).replace("z.test.", "z2.test.")


async def test_expressions(tmp_path: Path, met: Counter[str]) -> None:
    """Each is true and false for the same queries."""
    asked = [
        Question(f"{name}.z{number}.test.", qtype, tcp=tcp, edns=edns)
        for number in range(len(EXPRESSIONS))
        for name in NAMES
        for qtype in (1, 28, 15)
        for tcp, edns in ((False, None), (True, None), (False, Edns(1400, 0x8000)))
    ]
    async with sides(corefile(), tmp_path) as pair:
        await compare(pair, asked, USUAL, met)
