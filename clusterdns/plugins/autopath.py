"""`autopath`: walks a client's search list for it, so that one query does what would take many."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from dnslib import CNAME, QTYPE, RR, DNSLabel

from clusterdns.corefile.lexer import Token
from clusterdns.corefile.names import parse_address, zone_labels
from clusterdns.corefile.tree import Directive
from clusterdns.corefile.values import arguments, zone_names
from clusterdns.errors import ConfigError, ResolveError
from clusterdns.metrics import Counter
from clusterdns.plugins.base import Plugin, Setup
from clusterdns.plugins.order import NOT_PASSED
from clusterdns.plugins.query import Query, Reply, Resolve
from clusterdns.plugins.zones import Zones
from clusterdns.wire.message import NXDOMAIN, SERVFAIL
from clusterdns.wire.question import Question
from clusterdns.zone.grammar import is_reverse
from clusterdns.zone.view import View

OWN_RESOLV_CONF = Path("/etc/resolv.conf")  # what a pod's search list ends with: its node's

Labels = tuple[bytes, ...]  # lower-case, without the root's
Peer = tuple[str, int]
# The elements, for a question of a client; none: nothing is to be walked.
Search = Callable[[Question, Peer], tuple[Labels, ...]]
Concerns = Callable[[Question], bool]

FIXED: dict[str, tuple[Labels, ...]] = {  # of directives whose clients all have the same list
    "erratic": ((b"a", b"example", b"org"), (b"b", b"example", b"org"), ()),
}

successes = Counter(
    "coredns_autopath_success_total", "Queries answered by walking a search list.", ("server",)
)


class Autopath(Plugin):
    """Asks the plugins behind it for the name with each element of the search list in turn, and
    gives the first reply that is not NXDOMAIN, under the name that the client asked for.

    search: of the client that asks.
    personal: whether what becomes of a name that does not exist depends on who asks. All other
        replies are the same for everybody, and these for everybody with the same search list.
    """

    name = "autopath"

    def __init__(
        self, zones: Sequence[str], search: Search, personal: Concerns = lambda question: False
    ) -> None:
        self._zones = Zones(zones)
        self.search = search
        self.personal = personal

    @classmethod
    def parse(cls, directives: Sequence[Directive], setup: Setup) -> "Autopath":
        """Of several lines the last one counts."""
        found = [_read(cls, directive, setup) for directive in directives]
        return found[-1]

    async def resolve(self, query: Query, next: Resolve) -> Reply | None:
        question = query.question
        if question not in self._zones:
            return await next(query)
        reply = first = await next(query)
        search = self.search(question, query.peer)
        base = _above(question, search[0]) if search else ()
        if base:  # neither the search domain itself (D24) nor a name outside of it
            reply = await self._walked(query, first, base, search[1:], next)
        if reply is not None and _is_missing(first) and self.personal(question):
            reply.persona, reply.until_for_persona, reply.until = search, reply.until, 0.0
        return reply

    def persona(self, question: Question, peer: Peer) -> Hashable:
        """The search list, where replies may depend on it."""
        if question in self._zones and self.personal(question):
            return self.search(question, peer)
        return None

    @staticmethod
    async def _walked(
        query: Query, first: Reply | None, base: Labels, rest: Sequence[Labels], next: Resolve
    ) -> Reply | None:
        """What the client gets. first: the reply with the first element; rest: the others."""
        walked = first
        for suffix in rest:
            if not _is_missing(walked):
                break
            reply = await _asked(query, base + suffix, next)
            walked = reply and walked and reply.rests_on(walked.keys, walked.until)
        if walked is None:
            return None
        if _is_missing(walked):
            assert first is not None
            return first.rests_on(walked.keys, walked.until)
        _count(walked, query.server)
        return _under(query.question, walked)


def _count(reply: Reply, server: str) -> None:
    """Counts this reply, and each time that it is sent again as a finished answer."""
    told = reply.sent_again

    def sent_again(times: int, until: float) -> None:
        successes.add(server, by=times)
        if told is not None:
            told(times, until)

    successes.add(server)
    reply.sent_again = sent_again


def _read(cls: type[Autopath], directive: Directive, setup: Setup) -> Autopath:
    *words, last = arguments(directive, least=1)
    zones = zone_names(words, setup.zones, setup.warnings)
    if directive.block is not None:
        setup.warn(directive.name.place, "autopath takes no block; it is ignored")
    if not last.text.startswith("@"):
        return cls(zones, _everybody((*_search_list(last), ())))
    name = last.text[1:]
    setup.at_end.append(partial(_check, last, setup))
    if name in FIXED:
        return cls(zones, lambda *_: FIXED[name] if _is_passed(name, setup) else ())
    if name != "kubernetes":
        return cls(zones, _everybody(()))
    return cls(
        zones,
        partial(_of_client, setup.views, _own_search_list()),
        partial(_may_be_first, setup.views),
    )


def _everybody(search: tuple[Labels, ...]) -> Search:
    """The search list of every client; the name alone is no list."""
    return lambda *_: search if len(search) > 1 else ()


def _check(word: Token, setup: Setup) -> None:
    """Raises ConfigError for a directive that knows no clients; one that is not there is warned
    of, and nothing is done: as CoreDNS, which says nothing."""
    name = word.text[1:]
    if not _is_passed(name, setup):
        setup.warn(word.place, f"there is no directive {name!r} here: nothing is done")
    elif name != "kubernetes" and name not in FIXED:
        raise ConfigError(
            f"{name} knows no search lists of clients, only kubernetes does", word.place
        )
    elif name == "kubernetes" and all(view.options.pods != "verified" for view in setup.views):
        setup.warn(word.place, "kubernetes knows no clients without `pods verified`")


def _is_passed(name: str, setup: Setup) -> bool:
    """Whether the server block has this directive, and queries pass it in CoreDNS."""
    names = [plugin.name for plugin in setup.plugins]
    return name in names and name not in NOT_PASSED


def _may_be_first(views: Sequence[View], question: Question) -> bool:
    """Whether the name is below NAMESPACE.svc.ZONE, which is the first element of the pods of
    that namespace, and of nobody else."""
    labels = _lower(question.labels)
    for view in views:
        zone = _zone_of(view, question)
        if zone is not None and view.options.pods == "verified":
            below = labels[: len(labels) - len(zone)]
            if len(below) > 2 and below[-1] == b"svc":
                return True
    return False


def _of_client(
    views: Sequence[View], own: Sequence[Labels], question: Question, peer: Peer
) -> tuple[Labels, ...]:
    """The search list of the pod that asks, if it is one.

    An address that pods of several namespaces have, a node's with `hostNetwork`, tells nothing.
    """
    address = parse_address(peer[0])
    for view in views if address else ():
        zone = _zone_of(view, question)
        if zone is None or view.options.pods != "verified":
            continue
        assert address is not None
        namespaces = {pod.namespace for pod in view.index.pods(address.packed)}
        if len(namespaces) == 1:
            below = (namespaces.pop().encode(), b"svc", *zone)
            return (below, below[1:], zone, *own, ())
    return ()


def _zone_of(view: View, question: Question) -> Labels | None:
    """The longest of the forward zones that the name is in."""
    labels = _lower(question.labels)
    found = [_lower(zone.label) for zone in view.options.zones]
    return max(
        (zone for zone in found if not is_reverse(zone) and _ends(labels, zone)),
        key=len,
        default=None,
    )


def _above(question: Question, suffix: Labels) -> Labels:
    """The labels in front of the suffix, as spelled; none if the name is not below it."""
    labels = question.labels
    return labels[: len(labels) - len(suffix)] if _ends(_lower(labels), suffix) else ()


def _is_missing(reply: Reply | None) -> bool:
    """Whether the next element is to be tried: the name does not exist, or no plugin knew what to
    say of it (`hosts`). What an upstream says is its word."""
    if reply is None:
        return False
    nothing = reply.received is None and not reply.authority
    return reply.rcode == NXDOMAIN or (reply.rcode == SERVFAIL and nothing)


async def _asked(query: Query, labels: Labels, next: Resolve) -> Reply | None:
    try:
        question = Question.of(DNSLabel(labels), query.question.qtype, query.question.qclass)
    except ResolveError:
        return Reply(NXDOMAIN)  # longer than a name may be: there is none
    return await next(replace(query, question=question))


def _under(question: Question, reply: Reply) -> Reply:
    """The reply with an alias in front, from the name asked for to the one that was found."""
    if reply.received is not None and reply.received.octets[12:].startswith(question.name):
        return reply  # nothing was tried but that
    answer = reply.answer
    if answer and not any(_is_owner(question, record) for record in answer):
        found = answer[0]
        alias = RR(question.label, QTYPE.CNAME, found.rclass, found.ttl, CNAME(found.rname))
        reply.answer = [alias, *answer]
    return reply


def _is_owner(question: Question, record: RR) -> bool:
    return _lower(record.rname.label) == _lower(question.labels)


def _search_list(word: Token) -> list[Labels]:
    """The search list of a resolv.conf-like file. Raises ConfigError at its path."""
    try:
        return _elements(Path(word.text).read_text("utf-8", "replace"))
    except OSError as error:
        raise ConfigError(f"cannot read {word.text!r}: {error.strerror}", word.place) from error


def _own_search_list() -> list[Labels]:
    try:
        return _elements(OWN_RESOLV_CONF.read_text("utf-8", "replace"))
    except OSError:
        return []


def _elements(text: str) -> list[Labels]:
    """What the last `search` or `domain` says; elements that are no names are left out."""
    found: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if line[:1] not in ("#", ";") and words:
            if words[0] == "search":
                found = words[1:]
            elif words[0] == "domain" and len(words) > 1:
                found = words[1:2]
    return [labels for word in found if (labels := _labels(word))]


def _labels(word: str) -> Labels:
    try:
        return zone_labels(word)
    except ValueError:
        return ()


def _ends(labels: Labels, suffix: Labels) -> bool:
    return len(labels) >= len(suffix) and labels[len(labels) - len(suffix) :] == suffix


def _lower(labels: Labels) -> Labels:
    return tuple(map(bytes.lower, labels))
