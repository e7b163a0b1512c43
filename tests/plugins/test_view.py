import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns.corefile.parser import parse
from clusterdns.errors import ConfigError
from clusterdns.plugins.base import Sees
from clusterdns.plugins.expressions.builtins import BUILTINS
from clusterdns.plugins.expressions.expression import parse as parse_expression
from clusterdns.plugins.expressions.functions import FUNCTIONS
from clusterdns.plugins.expressions.predicates import PREDICATES
from clusterdns.plugins.query import Query
from clusterdns.plugins.view import View
from clusterdns.server.block import Router
from clusterdns.server.configuration import configure
from clusterdns.wire.question import Question
from clusterdns.zone.index import Index
from tests.plugins.asking import edns, fault, new_setup, parsed, query


def view(text: str) -> View:
    plugin = parsed(text)
    assert isinstance(plugin, View)
    return plugin


@pytest.mark.parametrize(
    ("lines", "count"),
    [
        ("", 0),
        (" expr name() == 'example.com.'\n", 1),
        (" expr incidr(client_ip(), '10.0.0.0/24')\n", 1),
        (" expr name() == 'example.com.'\n expr name() == 'example2.com.'\n", 2),
    ],
)
def test_parse(lines: str, count: int) -> None:
    plugin = view(f"view example {{\n{lines}}}")
    assert (plugin.view, len(plugin.expressions)) == ("example", count)
    assert not plugin.in_chain()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("view", "1:1: view takes 1 argument, not 0"),
        ("view a b", "1:8: view takes at most 1 argument"),
        ("view x {\n foo bar\n}", "2:2: unknown property 'foo' of view; there are expr"),
        ("view x {\n expr\n}", "2:2: expr takes at least 1 argument"),
        ("view a {\n}\nview b {\n}", "3:1: view can only be used once per server block"),
        ("view x {\n expr invalid expression\n}", "2:7: 'invalid expression' is no expression"),
        (
            "view x {\n expr name() matches '('\n}",
            "2:14: \"name() matches '('\" is no expression: '(' is no re",
        ),
    ],
)
def test_refused(text: str, expected: str) -> None:
    assert fault(text).startswith(expected)


def test_what_is_never_true_is_warned_of() -> None:
    setup = new_setup()
    plugin = parsed("view x {\n expr 1\n}", setup)
    assert setup.warnings == ["Corefile:2:7: '1' is never true: it is a number"]
    assert not plugin.admits(query())


CLIENT_6 = {"peer": ("2001:db8::1", 4000)}
EXPRESSIONS: list[tuple[str, dict[str, Any], bool]] = [
    ("name() == 'example.org.'", {"name": "Example.ORG."}, True),
    ("name() == 'notexample.org.'", {}, False),
    ('name() != "example.org."', {}, False),
    ("incidr(client_ip(), '10.240.0.0/16')", {}, True),
    ("incidr(client_ip(), '10.241.0.0/16')", {}, False),
    ("incidr(client_ip(), '2001:0DB8::/32')", CLIENT_6, True),
    ("incidr(client_ip(), '0.0.0.0/0')", CLIENT_6, False),
    ("incidr('invalid', '1.2.3.0/24')", {}, False),
    ("not incidr('1.2.3.4', 'invalid')", {}, False),
    ("incidr('1.2.3.4', '1.2.0.0/16')", {}, True),
    ("incidr('1:2::3:4', '1:2::/64')", {}, True),
    ("incidr('a:2::3:4', '1:2::/64')", {}, False),
    ("type() in ['A', 'AAAA']", {}, True),
    ("type() in ['A', 'AAAA']", {"qtype": "MX"}, False),
    ("type() not in ['A', 'AAAA',]", {"qtype": "MX"}, True),
    ("not (type() in ['A'])", {}, False),
    ("!(type() in ['A'])", {"qtype": "MX"}, True),
    (r"name() matches '^abc\\..*\\.example\\.com\\.$'", {"name": "abc.x.y.example.com."}, True),
    (r"name() matches '^abc\\..*\\.example\\.com\\.$'", {"name": "abc.example.com."}, False),
    ("name() matches 'ample'", {}, True),
    ("name() matches `^example\\.`", {}, True),
    ("name() not matches 'ample'", {}, False),
    ("(type() == 'A' && name() == 'example.com.') || client_ip() == '10.240.0.1'", {}, True),
    ("type() == 'A' and name() == 'a.' or type() == 'A'", {}, True),
    ("type() == 'MX' or type() == 'A' and name() == 'a.'", {}, False),
    ("name() contains 'ample'", {}, True),
    ("name() startsWith 'ample'", {}, False),
    ("name() startsWith 'exam'", {}, True),
    ("name() endsWith '.org.'", {}, True),
    ("name() not endsWith '.org.'", {}, False),
    ("class() == 'IN'", {}, True),
    ("class() == 'CH'", {"question": Question.of("a.", 16, 3)}, True),
    ("do()", {"edns": edns(do=True)}, True),
    ("do()", {"edns": edns()}, False),
    ("!do()", {}, True),
    ("bufsize() == 512", {}, True),
    ("bufsize() == 512", {"edns": edns(100)}, True),
    ("bufsize() >= 4096", {"edns": edns(4096)}, True),
    ("bufsize() == 65535", {"transport": "tcp"}, True),
    ("id() == 0", {}, True),
    ("opcode() == 0", {}, True),
    ("opcode() == 4", {"flags": 4 << 11}, True),
    ("size() == 29", {}, True),
    ("size() == 29", {"depth": 1}, True),
    ("port() == '40212'", {}, True),
    ("proto() == 'udp'", {}, True),
    ("proto() == 'tcp'", {"transport": "tls"}, True),
    ("server_ip() == '127.0.0.1' and server_port() == '53'", {}, True),
    ("client_ip() == '2001:db8::1'", CLIENT_6, True),
    ("metadata('a/b') == ''", {}, True),
    ("metadata('a/b') == 'x'", {"labels": {"a/b": lambda: "x"}}, True),
    ("true", {}, True),
    ("false || true", {}, True),
    ("type() == 'A' ? do() : true", {}, False),
    ("1 + 2 * 3 == 7", {}, True),
    ("(1 + 2) * 3 - 1 == 8", {}, True),
    ("7 % 4 == 3 and 1_000 / 4 == 250 and 1.5 < 2 and -1 < 0", {}, True),
    ("1 % 0 == 0", {}, False),
    ("'a' + 'b' == \"ab\"", {}, True),
    ("'a' < 'b' and 'b' >= 'b'", {}, True),
    ("len(upper(trim(' ab '))) == 2 and lower('AB') == 'ab'", {}, True),
    (r"'\x41\u0042\t' == 'AB\t'", {}, True),
    ("1 in [1, 'a'] and 'a' in [1, 'a']", {}, True),
]


@pytest.mark.parametrize(("text", "asked", "expected"), EXPRESSIONS)
def test_expressions(text: str, asked: dict[str, Any], expected: bool) -> None:
    expression = parse_expression(text, FUNCTIONS, _search)
    assert expression.type == "truth"
    assert expression.is_true(query(**asked)) is expected


def _search(text: str) -> Callable[[str], bool]:
    return lambda value: re.search(text, value) is not None


WRONG = [
    ("", "it ends"),
    ("(", "it ends"),
    ("(true", "')' is missing before 'the end'"),
    ("true)", "nothing may stand before ')'"),
    ("true true", "nothing may stand before 'true'"),
    ("nme() == 'a'", "'nme' is unknown; did you mean 'name'?"),
    ("name == 'a'", "'(' is missing before '=='"),
    ("name('a') == 'a'", "name() takes 0 arguments, not 1"),
    ("incidr('a')", "incidr() takes 2 arguments, not 1"),
    ("incidr(1, 'a')", "incidr() takes a text, not a number"),
    ("name() == 1", "'==' does not go between a text and a number"),
    ("name() and true", "and takes a truth, not a text"),
    ("true or 1", "or takes a truth, not a number"),
    ("not name()", "not takes a truth, not a text"),
    ("not name() == 'a'", "not takes a truth, not a text"),  # as in expr-lang
    ("-name() == 1", "- takes a number, not a text"),
    ("1 contains 2", "'contains' does not go between a number and a number"),
    ("'a' in 'b'", "'in' does not go between a text and a text"),
    ("1 matches 'a'", "matches takes a text, not a number"),
    ("1 ? true : false", "? takes a truth, not a number"),
    ("true ? 1", "':' is missing before 'the end'"),
    ("['a' 'b'] == []", "',' is missing before 'b'"),
    ("name() = 'a'", "nothing may stand before '='"),
    ("name() == 'a", 'no word begins with "\'a"'),
    (r"name() == 'a\.b'", r"\. is no escape; write \\ for a backslash"),
    (r"name() == '\UFFFFFFFF'", r"\UFFFFFFFF is no character"),
    ("(" * 60 + "true" + ")" * 60, "more than 50 parentheses in each other"),
    ("!" * 60 + "true", "more than 50 parentheses in each other"),
    ("__import__('os')", "'__import__' is unknown"),
    ("name().__class__", ".__class__ takes a map, not a text"),
]


@pytest.mark.parametrize(("text", "expected"), WRONG)
def test_no_expressions(text: str, expected: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(expected)}"):
        parse_expression(text, FUNCTIONS, _search)


PIECES = st.sampled_from(
    [
        *(*FUNCTIONS, *BUILTINS, *PREDICATES, "reduce"),
        *"()[]{},;?:+-*/%!<>|.#'\"`\\",
        *("==", "&&", "not", "in", "..", "??", "?.", "?:", "**", "#acc", "let x = ", "if "),
        *("'a'", "1", "1.5", "true", "nil", "x", "[1, 'a']", "{a: 1}", ".a", " ", "é"),
    ]
)


@given(st.lists(PIECES, max_size=12).map("".join) | st.text(max_size=20))
def test_no_text_does_harm(text: str) -> None:
    try:
        expression = parse_expression(text, FUNCTIONS, lambda text: lambda value: True)
    except ValueError:
        return
    assert expression.is_true(query()) in (True, False)


@pytest.mark.parametrize(
    ("text", "sees"),
    [
        ("type() == 'A' and name() contains 'a' and class() == 'IN' and do()", Sees.QUESTION),
        ("true", Sees.QUESTION),
        ("incidr(client_ip(), '10.0.0.0/8')", Sees.CLIENT),
        ("type() in ['A', proto()]", Sees.CLIENT),
        ("metadata('a/b') == ''", Sees.CLIENT),
        ("true ? not (size() == 1) : true", Sees.CLIENT),
    ],
)
def test_what_it_sees(text: str, sees: Sees) -> None:
    assert view(f"view x {{\n expr {text}\n}}").sees is sees


BLOCKS = """\
. {{
    view one {{
        expr incidr(client_ip(), '127.0.0.0/24')
    }}
    hosts {none} {{
        1.1.1.1 test
    }}
}}
. {{
    view two {{
        expr incidr(client_ip(), '192.168.0.0/16')
        expr type() == 'A'
    }}
    hosts {none} {{
        2.2.2.2 test
    }}
}}
a.test {{
    view three {{
        expr metadata('view/name') == 'three' and incidr(client_ip(), '10.0.0.0/8')
    }}
    metadata
    hosts {none} {{
        4.4.4.4 a.test
    }}
}}
. {{
    hosts {none} {{
        3.3.3.3 test a.test
    }}
}}
"""


def router(text: str) -> Router:
    corefile = parse(text.format(none="/nonexistent/hosts"), "Corefile")
    found = configure(corefile, lambda selection, api: Index(selection), 53)
    return found.sockets[0].router


async def ask(found: Router, asked: Query) -> tuple[str, str, float]:
    """The first address, the view, and until when the reply holds."""
    reply = await found.resolve(asked)
    assert reply is not None
    return str(reply.answer[0].rdata) if reply.answer else "", asked.view, reply.until


@pytest.mark.parametrize(
    ("client", "name", "qtype", "expected"),
    [
        ("127.0.0.1", "test.", "A", ("1.1.1.1", "one")),
        ("192.168.0.1", "test.", "A", ("2.2.2.2", "two")),
        ("192.168.0.1", "test.", "AAAA", ("", "")),
        ("172.16.0.1", "test.", "A", ("3.3.3.3", "")),
        ("10.0.0.1", "a.test.", "A", ("4.4.4.4", "three")),
        ("172.16.0.1", "a.test.", "A", ("3.3.3.3", "")),  # the zone above is looked at
    ],
)
async def test_routes(client: str, name: str, qtype: str, expected: tuple[str, str]) -> None:
    address, named, until = await ask(router(BLOCKS), query(name, qtype, peer=(client, 1)))
    assert (address, named) == expected
    assert until == 0  # or the next client would be given it


async def test_replies_are_kept_where_the_question_decides() -> None:
    text = (
        ". {{\n view x {{\n  expr type() == 'A'\n }}\n hosts {none} {{\n  1.1.1.1 test\n }}\n}}\n"
    )
    found = router(text)
    assert found.filtered
    assert [block.keeps for block in found.blocks] == [True]
    assert (await ask(found, query("test.")))[0] == "1.1.1.1"
    reply = await found.resolve(query("test.", "MX"))
    assert reply is not None
    assert reply.rcode == 5  # no block takes it


def test_the_zone_may_be_there_already() -> None:
    assert len(router(BLOCKS).blocks) == 4
    with pytest.raises(ConfigError, match="already defined"):
        router(BLOCKS + ". {{\n whoami\n}}\n")


async def test_its_name_is_a_label() -> None:
    plugin = view("view x")
    assert plugin.metadata(query())["view/name"]() == "x"
    assert plugin.admits(query())
