"""Every name of a cluster, asked of CoreDNS and of clusterdns under many Corefiles."""

from collections import Counter
from itertools import chain
from pathlib import Path
from random import Random
from zlib import crc32

import pytest

from tests.corner_cases import broken_cases, corner_cases
from tests.objects import Json, random_cluster
from tests.oracle.asking import Question
from tests.oracle.comparing import answers, both, compare, cut_off
from tests.oracle.questions import (
    MORE_TYPES,
    RARE_TYPES,
    big,
    groups,
    in_other_ways,
    others,
    questions,
    specials,
)
from tests.oracle.rules import TRANSFERS, Rules
from tests.oracle.servers import needs_coredns
from tests.oracle.variants import PLAIN, VARIANTS, Variant

pytestmark = needs_coredns

EVERYTHING = 10_000
SERVICES, OTHERS = 4, 40  # of which names are asked under a Corefile that does not ask everything
IN_OTHER_WAYS = 30  # questions that are asked again over TCP, with EDNS, with other header bits


async def test_corner_cases(tmp_path: Path, met: Counter[str]) -> None:
    """Every name of a cluster that has everything, even what no cluster should have."""
    await _compare(PLAIN, corner_cases() + broken_cases(), EVERYTHING, tmp_path, met)


@pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
async def test_corefiles(variant: Variant, tmp_path: Path, met: Counter[str]) -> None:
    """The same answers under every Corefile, or those that the differences prescribe."""
    await _compare(variant, corner_cases(), SERVICES, tmp_path, met)


async def test_manifests(tmp_path: Path, met: Counter[str]) -> None:
    """The same when clusterdns has the objects from files; there namespaces need no declaring."""
    objects = [o for o in corner_cases() if o["metadata"].get("namespace") != "nowhere"]
    await _compare(PLAIN, objects, SERVICES * 4, tmp_path, met, files=True)


@pytest.mark.parametrize("seed", [1, 2])
async def test_random_clusters(seed: int, tmp_path: Path, met: Counter[str]) -> None:
    """The same for clusters that nobody thought of."""
    await _compare(PLAIN, random_cluster(seed), SERVICES, tmp_path, met)


async def _compare(
    variant: Variant,
    objects: list[Json],
    services: int,
    folder: Path,
    met: Counter[str],
    *,
    files: bool = False,
) -> None:
    asked = _questions(variant, objects, services)
    async with both(variant.corefile, objects, folder, files=files) as (coredns, clusterdns):
        theirs, _ = await answers(coredns, asked)
        theirs = await cut_off(coredns, theirs)
        asked = [question for question in asked if _for_us(question)]
        ours, octets = await answers(clusterdns, asked)
    report = compare(Rules(variant, objects, theirs), theirs, ours, octets, asked)
    met.update(report.rules)
    met["questions"] += report.asked
    assert not report.differences, str(report)


def _for_us(question: Question) -> bool:
    """CNAME, SOA and PTR are asked of CoreDNS to know what a name is; of us a third is enough."""
    sampled = question.qtype in (5, 6, 12) and not question.name.lower().endswith(".arpa.")
    return not sampled or crc32(question.octets()) % 3 == 0


def _questions(variant: Variant, objects: list[Json], services: int) -> list[Question]:
    dice = Random(variant.name)  # the same choices each time
    found, more = groups(objects, variant, dice), others(objects, variant)
    names = [*chain(*dice.sample(found, min(services, len(found)))), *specials(objects, variant)]
    names += more if services == EVERYTHING else dice.sample(more, OTHERS)
    plain = questions(names, MORE_TYPES, dice)
    rare = questions(dice.sample(names, 40), RARE_TYPES, dice)
    ways = in_other_ways(plain, dice, IN_OTHER_WAYS * (16 if services == EVERYTHING else 1))
    asked = dict.fromkeys([*plain, *rare, *ways, *big(variant)])
    if any("minimal" in line for line in variant.others):  # CoreDNS: SERVFAIL for a transfer then
        return [question for question in asked if question.qtype not in TRANSFERS]
    return list(asked)
