"""`prefetch` beside CoreDNS: at which query upstreams are asked again, and what is sent then."""

import asyncio
from collections import Counter
from pathlib import Path

import pytest

from tests.oracle.asking import Edns, Question
from tests.oracle.servers import needs_coredns
from tests.oracle.sides import (
    Rules,
    as_asked,
    asked_the_same,
    compare,
    not_authoritative,
    own_opt,
    recursive,
    sides,
)
from tests.oracle.upstreams import Said, Script

pytestmark = needs_coredns

BLOCKS = (
    "prefetch 1 1m 90%",
    "prefetch 2 1m 50%",
    "prefetch 3 2500ms 90%",
    "prefetch 4 1m 50%",
    "prefetch 1 1m 90%\n keepttl",
    "prefetch 1 1m 40%\n serve_stale",
    "prefetch 2 2500ms 60%\n disable denial",
    "prefetch 1 0s 90%",
    "prefetch 0 1m 90%",
    "prefetch 1",
)
SCRIPT: Script = {"": Said("@ 300 A 192.0.2.1"), "fail": Said(rcode="SERVFAIL")}
SCRIPT = dict(SCRIPT) | {f"a{ttl}": Said(f"@ {ttl} A 192.0.2.{ttl}") for ttl in (3, 4, 5, 10)}
SOA = "test. 6 SOA ns.test. host.test. 7 7200 1800 86400 6"
SCRIPT |= {"nx": Said(rcode="NXDOMAIN", authority=SOA), "nodata": Said(authority=SOA)}
# Seconds at which a question is asked. Two of them are never nearly whole seconds apart: what TTL
# is sent then would be a matter of chance.
TIMES = {
    "early and late": (0, 0.3, 1.6, 2.9, 4.2),
    "slowly": (0, 1.3, 2.6, 4.9, 6.2),
    "often first": (0, 0, 0, 0, 4.5),
    "often then": (0, 2.3, 2.6, 3.9, 5.2),
}
SETTLE_S = 0.05  # until nothing is asked for behind any more
EXPECTED: Rules = {
    "D5": own_opt,
    "D11": as_asked,
    "D33": recursive,
    "D9": not_authoritative,
}


def corefile() -> str:
    limits = "success 5000 100 1\n denial 5000 100 1"
    return "".join(
        f"z{number}.test {{\n bind 127.0.0.1\n cache {{\n {limits}\n {lines}\n }}\n"
        " forward . @0 {\n max_fails 0\n }\n}\n"
        for number, lines in enumerate(BLOCKS)
    )


def questions() -> list[Question]:
    found = []
    for number in range(len(BLOCKS)):
        found += [Question(f"{label or 'www'}.z{number}.test.", 1) for label in SCRIPT]
        found.append(Question(f"a5-edns.z{number}.test.", 1, edns=Edns(1400)))
        found.append(Question(f"a5-tcp.z{number}.test.", 1, tcp=True))
    return found


@pytest.mark.parametrize("times", TIMES)
async def test_prefetch(times: str, tmp_path: Path, met: Counter[str]) -> None:
    loop = asyncio.get_running_loop()
    async with sides(corefile(), tmp_path, [SCRIPT]) as pair:
        start = loop.time()
        for second in TIMES[times]:
            await asyncio.sleep(start + second - loop.time())
            await compare(pair, questions(), EXPECTED, met, at_once=True)
            await asyncio.sleep(SETTLE_S)
            asked_the_same(pair)
