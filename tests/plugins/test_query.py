import pytest

from clusterdns.errors import ResolveError
from clusterdns.plugins.query import MAX_DEPTH, Reply
from clusterdns.wire.question import Question
from tests.plugins.asking import query


def test_a_reply_rests_on_what_it_was_made_of() -> None:
    reply = Reply(keys=frozenset({("apex",)}), until=9.0)
    assert reply.rests_on({("namespace", "a")}) is reply
    assert reply.keys == {("apex",), ("namespace", "a")}
    assert reply.until == 9.0
    assert reply.rests_on((), 3.0).until == 3.0
    assert reply.rests_on((), 5.0).until == 3.0


def test_inner_queries_end() -> None:
    found = query("a.", flags=0x0110, peer=("10.0.0.1", 5), transport="tcp", limit=9)
    for depth in range(1, MAX_DEPTH + 1):
        outer, found = found, found.inner(Question.of("b.", 28))
        assert (found.depth, found.question.text) == (depth, "b.")
        for name in ("octets", "flags", "peer", "transport", "limit", "received", "deadline"):
            assert getattr(found, name) == getattr(outer, name)
    with pytest.raises(ResolveError):
        found.inner(Question.of("b.", 28))
