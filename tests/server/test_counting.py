"""What is counted of queries and replies, 4.2 and 4.3, without sockets."""

import asyncio
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from clusterdns import metrics
from clusterdns.errors import ResolveError
from clusterdns.plugins.base import Plugin
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.server.answers import Answers
from clusterdns.server.block import Block, Router
from clusterdns.server.counting import Batches, Outcome, Tally
from clusterdns.server.respond import Responder
from clusterdns.server.steps import Steps
from clusterdns.wire.question import Question
from tests.metering import counted, nothing_counted
from tests.server.asking import CLIENT, LOCAL, NOW, opt, option, query
from tests.server.toys import ZONE, Toy, key_of_label

pytestmark = pytest.mark.usefixtures("nothing_counted")
__all__ = ["nothing_counted"]

SERVER = "dns://:53"
BLOCK = SERVER, ZONE, ""
DROPPED = SERVER, "dropped", ""
A = f"a.{ZONE}"
A_PLAIN = 12 + 16 + 4 + 16 + 10 + 4  # header, name, type and class; name, fixed part, address


class Counts(Plugin):
    """Stands for `prometheus`."""

    name = "prometheus"
    counted = True


class Errors(Plugin):
    """The directive behind it; says what it is told to for some names."""

    name = "errors"

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        match query.question.labels[0]:
            case b"silent":
                return None
            case b"broken":
                raise ResolveError("no")
            case b"panic":
                raise ZeroDivisionError
            case b"rcode":
                return Reply(rcode=3841)
            case b"slow":
                await asyncio.sleep(0)
        return await next(query)


class Asked:
    """A socket's way through the server."""

    def __init__(self, *blocks: Block, proto: str = "udp", family: str = "1") -> None:
        self.toy = Toy()
        own = Block([ZONE], [Counts(), Errors(), self.toy])
        self.answers = Answers(8, 8, Tally(SERVER, proto, family))
        self.responder = Responder(Router([*blocks, own]), self.answers, proto, LOCAL)

    def __call__(self, octets: bytes, times: int = 1) -> None:
        for _ in range(times):
            if self.answers.reply(octets, NOW):
                self.answers.tally.batch(1, 0.0001)
            else:
                found = self.responder.respond(octets, CLIENT, NOW)
                assert not isinstance(found, Steps)

    def told(self) -> dict[str, dict[tuple[str, ...], float]]:
        self.answers.tell()
        return counted()


def test_hits_count_as_the_first_did() -> None:
    asked = Asked()
    asked(query(A), 5)
    told = asked.told()
    assert asked.toy.asked == 1
    assert told["coredns_dns_requests_total"] == {(*BLOCK, "udp", "1", "A"): 5}
    assert told["coredns_dns_responses_total"] == {(*BLOCK, "NOERROR", "errors"): 5}
    assert told["coredns_dns_request_duration_seconds_count"] == {BLOCK: 5}
    assert told["coredns_dns_request_size_bytes_sum"] == {(*BLOCK, "udp"): 5 * len(query(A))}
    assert told["coredns_dns_response_size_bytes_sum"] == {(*BLOCK, "udp"): 5 * A_PLAIN}
    assert told["coredns_dns_do_requests_total"] == {}


def test_proto_and_family_are_the_socket_s() -> None:
    asked = Asked(proto="tcp", family="2")
    asked(query(A), 2)
    assert asked.told()["coredns_dns_requests_total"] == {(*BLOCK, "tcp", "2", "A"): 2}


def test_do() -> None:
    asked = Asked()
    asked(query(A, opt=opt(do=True)), 3)
    asked(query(A, opt=opt()), 2)
    told = asked.told()
    assert told["coredns_dns_do_requests_total"] == {BLOCK: 3}
    assert told["coredns_dns_requests_total"] == {(*BLOCK, "udp", "1", "A"): 5}


TYPES = "A AAAA CNAME DNSKEY DS MX NSEC3 NSEC NS PTR RRSIG SOA SRV TXT HTTPS SVCB ANY IXFR AXFR"


def test_types() -> None:
    """4.2: these by name, all others as one."""
    asked = Asked()
    others = ["HINFO", "CAA", "NAPTR", "TYPE65400", "OPT", "SSHFP"]
    for qtype in [*TYPES.split(), *others]:
        asked(query(A, qtype))
    told = asked.told()["coredns_dns_requests_total"]
    assert told == {
        **{(*BLOCK, "udp", "1", qtype): 1 for qtype in TYPES.split()},
        (*BLOCK, "udp", "1", "other"): len(others),
    }


RCODES = {
    # the name, its rcode, who wrote it
    "a": ("NOERROR", "errors"),
    "n": ("NOERROR", "errors"),
    "nothing-there": ("NXDOMAIN", "errors"),
    "broken": ("SERVFAIL", ""),
    "panic": ("SERVFAIL", ""),
    "rcode": ("3841", "errors"),
}


@pytest.mark.parametrize(("label", "expected"), RCODES.items(), ids=RCODES)
def test_rcodes(label: str, expected: tuple[str, str], caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked()
    asked(query(f"{label}.{ZONE}"), 3)
    assert asked.told()["coredns_dns_responses_total"] == {(*BLOCK, *expected): 3}


def test_panics(caplog: pytest.LogCaptureFixture) -> None:
    asked = Asked()
    asked(query(f"panic.{ZONE}"), 3)
    assert metrics.panics.total() == 3


def test_no_reply() -> None:
    asked = Asked()
    asked(query(f"silent.{ZONE}"), 2)
    told = asked.told()
    assert told["coredns_dns_requests_total"] == {(*BLOCK, "udp", "1", "A"): 2}
    assert told["coredns_dns_request_duration_seconds_count"] == {BLOCK: 2}
    assert told["coredns_dns_responses_total"] == {}
    assert told["coredns_dns_response_size_bytes_count"] == {}


async def test_one_that_waits_counts_when_it_ends() -> None:
    asked = Asked()
    found = asked.responder.respond(query(f"slow.{ZONE}"), CLIENT, NOW)
    assert isinstance(found, Steps)
    assert asked.told()["coredns_dns_requests_total"] == {}
    ended = asyncio.Event()
    found.then(lambda reply, error: ended.set())
    await ended.wait()
    assert asked.told()["coredns_dns_responses_total"] == {(*BLOCK, "NXDOMAIN", "errors"): 1}


DROPS = {
    "no server block": (query("example.org."), "REFUSED"),
    "class CH": (query(A, qclass=3), "REFUSED"),
    "D6 BADVERS": (query(A, opt=opt(version=1)), "BADVERS"),
    "NOTIFY": (query(A, flags=4 << 11), "REFUSED"),
    "a server block without directives": (query("a.empty."), "REFUSED"),
}


@pytest.mark.parametrize(("octets", "rcode"), DROPS.values(), ids=DROPS)
def test_dropped(octets: bytes, rcode: str) -> None:
    asked = Asked(Block(["empty."], []))
    asked(octets, 2)
    told = asked.told()
    assert told["coredns_dns_requests_total"] == {(*DROPPED, "udp", "1", "A"): 2}
    assert told["coredns_dns_responses_total"] == {(*DROPPED, rcode, ""): 2}
    assert told["coredns_dns_request_duration_seconds_count"] == {DROPPED: 2}


REJECTED = {
    "too short": (b"\0" * 11, ""),
    "a reply": (query(A, flags=0x8000), ""),
    "another opcode": (query(A, flags=2 << 11), "NOTIMP"),
    "no question": (query(A)[:4] + bytes(8), "FORMERR"),
    "cut off": (query(A)[:-1], "FORMERR"),
}


@pytest.mark.parametrize(("octets", "rcode"), REJECTED.values(), ids=REJECTED)
def test_what_is_no_query_is_counted_apart(octets: bytes, rcode: str) -> None:
    asked = Asked()
    asked(octets, 2)
    assert asked.told()["coredns_dns_requests_total"] == {}
    assert metrics.rejected_messages.values == {("udp", rcode): 2}


def test_only_blocks_with_prometheus_are_counted() -> None:
    """4.1, though another block of the same socket is."""
    asked = Asked(Block(["other.test."], [Errors(), Toy()]))
    asked(query("a.other.test."), 3)
    asked(query(A), 2)
    told = asked.told()
    assert told["coredns_dns_requests_total"] == {(*BLOCK, "udp", "1", "A"): 2}
    assert told["coredns_dns_request_duration_seconds_count"] == {BLOCK: 2}


def test_odd_spellings_count_with_their_own_sizes() -> None:
    asked = Asked()
    asked(query(A.upper(), opt=opt(options=option(10, bytes(8)))), 2)
    asked(query(A.title(), opt=opt(options=option(10, bytes(90)))), 3)
    told = asked.told()
    assert asked.toy.asked == 1
    assert told["coredns_dns_requests_total"] == {(*BLOCK, "udp", "1", "A"): 5}
    assert told["coredns_dns_responses_total"] == {(*BLOCK, "NOERROR", "errors"): 5}
    size = len(query(A)) + 11 + 4
    assert told["coredns_dns_request_size_bytes_sum"] == {
        (*BLOCK, "udp"): 2 * (size + 8) + 3 * (size + 90)
    }
    assert metrics.dns_request_size.buckets[*BLOCK, "udp"][1:3] == [2, 3]
    assert told["coredns_dns_request_duration_seconds_count"] == {BLOCK: 5}


def others_come_in(asked: Asked) -> None:
    for number in range(1, 30):
        asked(query(f"a{number}.{ZONE}", "AAAA"))


DROPPERS: dict[str, Callable[[Asked], object]] = {
    "an event": lambda asked: asked.answers.forget([key_of_label(b"a")]),
    "another configuration": lambda asked: asked.answers.clear(),
    "others that come in": others_come_in,
    "a look": lambda asked: asked.answers.tell(),
}


@pytest.mark.parametrize("drop", DROPPERS.values(), ids=DROPPERS)
def test_nothing_is_lost_with_an_answer(drop: Callable[[Asked], object]) -> None:
    asked = Asked()
    for _ in range(3):
        asked(query(A), 4)
        drop(asked)
    told = asked.told()
    assert told["coredns_dns_requests_total"][*BLOCK, "udp", "1", "A"] == 12
    assert sum(told["coredns_dns_responses_total"].values()) == sum(
        told["coredns_dns_requests_total"].values()
    )
    assert told["coredns_dns_request_duration_seconds_count"] == {
        BLOCK: sum(told["coredns_dns_requests_total"].values())
    }


def test_telling_twice_counts_once() -> None:
    asked = Asked()
    asked(query(A), 4)
    assert asked.told() == asked.told()


def test_what_metrics_are_told_stays_bounded() -> None:
    """Whatever clients send, there are as many kinds as labels and buckets."""
    asked = Asked()
    for number in range(2000):
        asked(query(f"x{number}.{ZONE}", f"TYPE{number + 1000}"))
    assert len(asked.answers.tally._kinds) < 10


@pytest.mark.parametrize(
    ("size", "bucket"),
    [(0, 0), (1, 1), (100, 1), (101, 2), (511, 5), (512, 6), (64000, 13), (64001, 14)],
)
def test_a_size_on_a_bound_is_within(size: int, bucket: int) -> None:
    tally = Tally(SERVER, "udp", "1")
    tally.ask(Outcome(ZONE, "", 1, False, 0, ""), size, size, 0.00025)
    tally.tell()
    for histogram in (metrics.dns_request_size, metrics.dns_response_size):
        assert histogram.buckets[*BLOCK, "udp"].index(1) == bucket
    assert metrics.dns_duration.buckets[BLOCK].index(1) == 0


class TestBatches:
    def test_a_batch_is_divided(self) -> None:
        batches = Batches()
        batches.add(10, 0.001)  # 0.1 ms each
        batches.add(2, 0.004)  # 2 ms each
        ((name, buckets, seconds),) = batches.divided([((ZONE, ""), 12)])
        assert (name, buckets[:5], sum(buckets)) == ((ZONE, ""), [10, 0, 0, 2, 0], 12)
        assert seconds == pytest.approx(0.005)
        assert [each[1:] for each in batches.divided([((ZONE, ""), 0)])] == [([0] * 17, 0.0)]

    @given(
        st.lists(st.tuples(st.integers(1, 64), st.floats(0.00001, 20)), max_size=20),
        st.lists(st.integers(1, 100), max_size=5),
    )
    def test_each_gets_as_many_as_it_had(
        self, batches: list[tuple[int, float]], parts: list[int]
    ) -> None:
        found = Batches()
        total = sum(hits for hits, _ in batches)
        for hits, seconds in batches:
            found.add(hits, seconds)
        pool = list(found._buckets)
        wanted = [total * part // sum(parts) for part in parts]
        given = list(found.divided([((str(n), ""), count) for n, count in enumerate(wanted)]))
        assert [sum(buckets) for _, buckets, _ in given] == wanted
        for bucket, have in enumerate(pool):
            share = [buckets[bucket] for _, buckets, _ in given]
            assert min(share, default=0) >= 0
            assert sum(share) <= have
        assert sum(seconds for *_, seconds in given) <= sum(s for _, s in batches) + 1e-6


class Zoned(Plugin):
    """Stands for `auto`."""

    name = "auto"

    def counted_as(self, question: Question) -> str | None:
        return A if question.text == A else None


def test_zones_that_a_plugin_tells_apart() -> None:
    asked = Asked()
    asked.responder.router = Router([Block([ZONE], [Counts(), Errors(), asked.toy, Zoned()])])
    asked(query(A), 3)
    asked(query(f"b.{ZONE}"))
    assert asked.told()["coredns_dns_requests_total"] == {
        (SERVER, A, "", "udp", "1", "A"): 3,
        (*BLOCK, "udp", "1", "A"): 1,
    }
