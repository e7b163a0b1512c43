"""Zone files, read again as they change, and answers from zones: `file`, `auto`, `secondary`."""

import asyncio
import math
import os
from contextlib import suppress
from functools import partial
from logging import Logger
from pathlib import Path
from typing import NamedTuple, Protocol

from dnslib import CNAME, QTYPE, DNSLabel

from clusterdns.corefile.names import zone_labels
from clusterdns.errors import ResolveError, SourceError
from clusterdns.plugins.base import Plugin, ZoneCopy
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.wire.message import REFUSED
from clusterdns.wire.question import Question
from clusterdns.zone.authority import NXDOMAIN, SERVFAIL, Authority
from clusterdns.zone.index import Key
from clusterdns.zone.masterfile import Zone, read

TRANSFERS = (QTYPE.AXFR, QTYPE.IXFR)


class _Version(NamedTuple):
    """What tells that a file is another one than before."""

    changed_ns: int  # Unix nanoseconds
    size: int
    inode: int  # a mounted ConfigMap gets new files of perhaps the same second and size


class Held(Protocol):
    """A zone as far as answers need it.

    authority: None while there are none. key: what answers rest on.
    """

    origin: str

    @property
    def authority(self) -> Authority | None: ...

    @property
    def key(self) -> Key: ...


class ZoneFile:
    """A zone and the file that it comes from.

    authority: what answers; None until the file could be read.
    key: what answers from it rest on.
    fault: why it could not be read the last time; "": it could.
    """

    def __init__(self, path: Path, origin: str, log: Logger, by_mtime: bool = False) -> None:
        """by_mtime: what the file says counts when it is another one; else when its serial is."""
        self.path = path
        self.origin = origin
        self.key = ("zone file", f"{origin} {path}")
        self.authority: Authority | None = None
        self.fault = ""
        self._log = log
        self._by_mtime = by_mtime
        self._serial = -1
        self._version: _Version | None = None
        self._text: int | None = None  # a hash of it

    def load(self) -> bool:
        """Reads the file if it has changed. True: answers may differ from before.

        While it cannot be read, what it said stays, and the log says why.
        """
        try:
            version = _version(self.path)
            if version == self._version:
                return False
            text = self.path.read_text(encoding="utf-8")
            zone = read(text, zone_labels(self.origin), str(self.path))
        except (OSError, ValueError, SourceError) as error:
            self._complain(error)
            return False
        was, self._text = self._text, hash(text)
        self._version, self.fault = version, ""
        return self._text != was and self._take(zone)

    def _take(self, zone: Zone) -> bool:
        if zone.serial == self._serial and not self._by_mtime:
            self._log.warning(
                "%s has changed and its serial, %d, has not: it is used when that changes too",
                self.path,
                self._serial,
            )
            return False
        self._log.info("zone %s from %s, serial %d", self.origin, self.path, zone.serial)
        if zone.told_of != zone.origin:
            name = DNSLabel(zone.told_of)
            self._log.warning("%s is for the zone %s, not for %s", self.path, name, self.origin)
        self.authority, self._serial = Authority(zone), zone.serial
        return True

    def _complain(self, error: Exception) -> None:
        """Logs what is wrong with the file, once."""
        fault = str(error)
        if isinstance(error, OSError):
            fault = f"{self.path}: {error.strerror}"
        elif isinstance(error, UnicodeDecodeError):
            fault = f"{self.path}: {error}"
        if fault != self.fault:
            stays = "what it said stays" if self.authority else "there are no answers until it can"
            self._log.warning("zone %s cannot be read, %s: %s", self.origin, stays, fault)
        self.fault = fault


async def answer(zone: Held, query: Query, next: Resolve, passes: bool) -> Reply | None:
    """The reply to a question for a name of the zone.

    passes: names that the zone does not have go to the next plugin (`fallthrough`).
    """
    question, keys = query.question, frozenset({zone.key})
    if question.qtype in TRANSFERS:
        return Reply(REFUSED, until=math.inf)
    if zone.authority is None:
        return Reply(SERVFAIL, keys=keys, until=math.inf)
    do = query.edns is not None and query.edns.do
    found = zone.authority.find(question.labels, question.qtype, do)
    if found.absent and passes:
        passed = await next(query)
        return passed.rests_on(keys) if passed else None
    if found.wildcard is not None and query.labels is not None:
        query.labels["zone/wildcard"] = partial(str, found.wildcard)
    reply = Reply(
        found.rcode,
        answer=found.answer,
        authority=found.authority,
        additional=found.additional,
        authoritative=found.authoritative,
        keys=keys,
        until=math.inf,
    )
    return reply if found.chase is None else await _chased(query, reply, found.chase)


async def outside(plugin: Plugin, query: Query, next: Resolve) -> Reply | None:
    """The reply to a question for a name that is in none of the plugin's zones.

    Where nobody else could know it, it is REFUSED, as by any authoritative server.
    """
    return Reply(REFUSED, until=math.inf) if plugin.is_last else await next(query)


def zone_copy(zone: Held) -> ZoneCopy:
    """The zone as a whole. Raises ResolveError while it has no answers."""
    if zone.authority is None:
        raise ResolveError(f"zone {zone.origin} cannot be transferred: it is not there")
    whole = zone.authority.zone
    return ZoneCopy(whole.soa, whole.records)


async def waited(stopping: asyncio.Event, seconds: float) -> bool:
    """Whether so many seconds (0: for ever) went by without `stopping`."""
    with suppress(TimeoutError):
        async with asyncio.timeout(seconds or None):
            await stopping.wait()
    return not stopping.is_set()


async def _chased(query: Query, reply: Reply, target: DNSLabel) -> Reply:
    """The reply with what this server has for the target of its last CNAME record.

    The rcode is that of the last name (RFC 6604 section 3), as far as there is one: that the
    target's zone is not served here (REFUSED) makes the CNAME record no worse.
    """
    try:
        inner = query.inner(Question.of(target, query.question.qtype))
        found = await query.exchange.resolve(inner)
    except ResolveError as error:
        found = Reply(error.rcode)
    if found is None:
        return reply.rests_on((), 0.0)
    # Names that lead to each other bring the same CNAME records again.
    reply.answer += [each for each in found.answer if not _is_in(each, reply)]
    reply.truncated = found.truncated
    if found.rcode in {NXDOMAIN, SERVFAIL}:
        reply.rcode = found.rcode
    if found.rcode != REFUSED and not any(each.rtype != QTYPE.CNAME for each in found.answer):
        reply.authority = list(found.authority)
    return reply.rests_on(found.keys, found.until)


def _is_in(record: object, reply: Reply) -> bool:
    return isinstance(getattr(record, "rdata", None), CNAME) and record in reply.answer


def _version(path: Path) -> _Version:
    state = os.stat(path)
    return _Version(state.st_mtime_ns, state.st_size, state.st_ino)
