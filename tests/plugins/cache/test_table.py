"""The table, and its equality with a slow model."""

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from clusterdns.plugins.cache.options import Limits, Rules, Stale
from clusterdns.plugins.cache.table import DENIAL, OCTETS_PER_REPLY, SUCCESS, Entry, Store, Table
from clusterdns.wire.patch import ttl_offsets
from clusterdns.wire.received import Received
from tests.plugins.cache.replies import upstream_reply

NAMES = st.sampled_from([b"a", b"b", b"c"])


def entry(
    store: str = SUCCESS,
    stored: float = 0.0,
    ttl: int = 10,
    rcode: int = 0,
    answers: bool = True,
    keys: tuple[tuple[str, ...], ...] = (),
    size: int = 100,
) -> Entry:
    found = Received(bytes(size), 0, rcode, 12, size, 0, 0, 0, ())
    return Entry(store, found, (), ttl, stored, answers=answers, keys=keys)


@dataclass
class Model:
    """What a table of unlimited size has: every reply ever put, the last of each store counts."""

    stale_s: int
    prefers_positive: bool
    put: list[tuple[bytes, Entry]] = field(default_factory=list)

    def last(self, key: bytes, store: str) -> Entry | None:
        found = None
        for each, entry in self.put:
            if each != key:
                continue
            if entry.store == store:
                found = entry
            elif store == DENIAL and (entry.answers or not self.prefers_positive):
                found = None  # a success ends a denial
        return found

    def last_answer(self, key: bytes) -> Entry | None:
        found = [
            each for k, each in self.put if k == key and each.store == SUCCESS and each.answers
        ]
        return found[-1] if found else None

    def find(self, key: bytes, now: float) -> Entry | None:
        def usable(entry: Entry | None) -> Entry | None:
            if entry is None:
                return None
            age = int(max(0.0, now - entry.stored))
            return entry if age < entry.ttl or age - entry.ttl < self.stale_s else None

        answer = usable(self.last_answer(key))
        if self.prefers_positive and self.stale_s and answer:
            return answer
        success, denial = usable(self.last(key, SUCCESS)), usable(self.last(key, DENIAL))
        if denial and denial.received.rcode == 2 and success:
            return success
        return denial or success


ENTRIES = st.builds(
    entry,
    store=st.sampled_from([SUCCESS, DENIAL]),
    ttl=st.integers(1, 8),
    rcode=st.sampled_from([0, 2, 3]),
    answers=st.booleans(),
)
STEPS = st.lists(st.tuples(NAMES, st.none() | ENTRIES, st.floats(0, 4)), max_size=20)


@settings(max_examples=300)
@given(STEPS, st.sampled_from([0, 3, 100]), st.booleans())
def test_finds_what_the_model_finds(
    steps: list[tuple[bytes, Entry | None, float]], stale_s: int, prefers_positive: bool
) -> None:
    table = Table(Rules((".",), stale=Stale(float(stale_s), prefer_positive=prefers_positive)))
    model = Model(stale_s, prefers_positive)
    now = 100.0
    for key, put, passed in steps:
        now += passed
        if put is not None:
            put.stored = now
            put.good = None
            table.put(key, put)
            model.put.append((key, put))
        assert table.find(key, now) is model.find(key, now)


@given(st.integers(1, 10**6), st.floats(0, 2e6), st.floats(0, 1e9))
def test_ttl_arithmetic(ttl: int, age: float, stored: float) -> None:
    """Whole seconds left, less each second, never more than at first, and over at its end."""
    one = entry(stored=stored, ttl=ttl)
    now = stored + age
    left = one.left(now)
    assert left <= ttl
    assert left == ttl - int(now - stored)
    assert one.left(stored - 1) == ttl  # a clock of two queries under way
    if left > 0:
        turn = one.turn(left)
        assert now < turn + 1e-6
        assert one.left(turn + 0.001) == left - 1
        assert turn <= one.end
    assert one.left(one.end + 0.001) == 0


def test_ttl_in_every_record() -> None:
    reply = upstream_reply(
        "a.",
        answer="a. 9 IN A 127.0.0.1\na. 9 IN A 127.0.0.2",
        authority="a. 9 IN NS b.",
        additional="b. 9 IN A 127.0.0.3",
    )
    assert reply.received is not None
    offsets = tuple(ttl_offsets(reply.received.octets))
    one = Entry(SUCCESS, reply.received, offsets, 9, 0.0)
    again = one.with_ttl(4)
    assert {int.from_bytes(again.octets[at : at + 4], "big") for at in offsets} == {4}
    assert one.with_ttl(4) is again  # nothing to do twice in a second
    assert one.with_ttl(3).octets != again.octets


@given(st.lists(st.tuples(st.integers(0, 30), st.integers(1, 3000))), st.integers(1, 8))
def test_bounds(puts: list[tuple[int, int]], capacity: int) -> None:
    store = Store(capacity)
    gone = 0
    for number, size in puts:
        gone += store.put(str(number).encode(), entry(size=size, keys=(("n", str(number % 3)),)))
        assert len(store) <= capacity
        assert store.held <= capacity * OCTETS_PER_REPLY
    held = [store.get(str(number).encode()) for number in range(31)]
    assert sum(len(each.received.octets) for each in held if each) == store.held
    store.forget([("n", "0"), ("n", "1"), ("n", "2")])
    assert (len(store), store.held) == (0, 0)


def test_what_nobody_asked_for_goes_first() -> None:
    store = Store(2)
    store.put(b"a", entry())
    store.put(b"b", entry())
    assert store.get(b"a")
    assert store.put(b"c", entry()) == 1
    assert [key for key in (b"a", b"b", b"c") if store.get(key)] == [b"a", b"c"]


def test_drops_what_rests_on_a_key() -> None:
    table = Table(Rules((".",), Limits(1024, 60), Limits(1024, 60)))
    table.put(b"a", entry(keys=(("x",), ("y",))))
    table.put(b"b", entry(DENIAL, keys=(("y",),)))
    table.put(b"c", entry())
    table.forget([("z",)])
    assert [key for key in (b"a", b"b", b"c") if table.find(key, 1)] == [b"a", b"b", b"c"]
    table.forget([("y",)])
    assert [key for key in (b"a", b"b", b"c") if table.find(key, 1)] == [b"c"]


def test_hits_begin_anew_after_a_pause() -> None:
    one = entry()
    for now, hits in ((100.0, 1), (110.0, 2), (170.0, 3), (231.0, 1)):
        one.hit(now, 60.0)
        assert one.hits == hits
