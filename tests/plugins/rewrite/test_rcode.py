"""`rcode`: what replies and errors say."""

import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.query import Reply
from tests.plugins.asking import Next, parsed, query, records
from tests.plugins.rewrite.rewriting import resolved

FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = 1, 2, 3, 4, 5


@pytest.mark.parametrize(
    ("rule", "name", "before", "after"),
    [
        ("srv1.coredns.rocks SERVFAIL FORMERR", "srv1.coredns.rocks.", SERVFAIL, FORMERR),
        ("exact srv1.coredns.rocks SERVFAIL 1", "SRV1.coredns.rocks.", SERVFAIL, FORMERR),
        ("exact srv1.coredns.rocks SERVFAIL FORMERR", "srv1.coredns.rocks.", NXDOMAIN, NXDOMAIN),
        ("exact srv1.coredns.rocks SERVFAIL FORMERR", "srv2.coredns.rocks.", SERVFAIL, SERVFAIL),
        ("prefix srv1 3 0", "srv1.coredns.rocks.", NXDOMAIN, 0),
        ("suffix .rocks 3 0", "srv1.coredns.rocks.", NXDOMAIN, 0),
        ("substring coredns 3 0", "srv1.coredns.rocks.", NXDOMAIN, 0),
        (r"regex ^s.*\.rocks\.$ 3 0", "srv1.coredns.rocks.", NXDOMAIN, 0),
        (r"regex ^s.*\.rocks$ 3 0", "srv1.coredns.rocks.", NXDOMAIN, NXDOMAIN),
        ("suffix . 0 badcookie", "a.", 0, 23),
        ("suffix . notimpl refused", "a.", NOTIMP, REFUSED),
    ],
)
@pytest.mark.parametrize("answer", ["", "x. A 10.0.0.1"])
async def test_rcode(rule: str, name: str, before: int, after: int, answer: str) -> None:
    behind = Next(Reply(before, answer=records(answer)))
    reply = await resolved(f"rewrite rcode {rule}", query(name), behind)
    assert reply.rcode == after


@pytest.mark.parametrize("mode", ["stop", "continue"])
@pytest.mark.parametrize("rcode", [FORMERR, SERVFAIL, REFUSED, NOTIMP])
async def test_error_behind(mode: str, rcode: int) -> None:
    """The client gets the other rcode, and `errors` the text."""
    plugin = parsed(f"rewrite {mode} rcode exact srv1.coredns.rocks {rcode} NOERROR")
    with pytest.raises(ResolveError, match="no upstream") as raised:
        await plugin.resolve(query("srv1.coredns.rocks."), Next(ResolveError("no upstream", rcode)))
    assert (raised.value.rcode, raised.value.told) == (0, 0)


async def test_rules_of_several_lines_are_applied_from_the_last() -> None:
    rules = "rewrite continue rcode suffix . 3 0\nrewrite rcode suffix . 2 3"
    assert (await resolved(rules, query("a."), Next(Reply(SERVFAIL)))).rcode == 0
