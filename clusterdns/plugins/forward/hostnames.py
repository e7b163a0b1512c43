"""The addresses of host names, looked up where waiting is no harm: while a Corefile is read."""

import os
import socket
import time
from collections.abc import Sequence

from dnslib import QTYPE

from clusterdns.errors import MalformedMessage
from clusterdns.plugins.forward.exchange import probe, reply_to
from clusterdns.wire.question import Question
from clusterdns.wire.received import sections

RESOLVE_S = 2.0  # CoreDNS's time for a nameserver of `resolver`, and one question

Resolvers = Sequence[tuple[str, int]]


def addresses(host: str, resolvers: Resolvers) -> list[str]:
    """Of the first nameserver that has any, IPv4 before IPv6; of none, what the system says.

    Raises OSError.
    """
    return _asked(host, resolvers) if resolvers else _system(host)


def _system(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM)
    return list(dict.fromkeys(str(each[4][0]).partition("%")[0] for each in found))


def _asked(host: str, resolvers: Resolvers) -> list[str]:
    fault: OSError | None = None
    for resolver in resolvers:
        found: list[str] = []
        try:
            for qtype in (QTYPE.A, QTYPE.AAAA):
                found += _ask(Question.of(host, qtype), resolver)
        except OSError as error:
            fault = error
        if found:
            return found
    if fault is not None:
        raise fault
    return []


def _ask(question: Question, resolver: tuple[str, int]) -> list[str]:
    """The addresses in a nameserver's reply. Raises OSError without one."""
    family = socket.AF_INET6 if ":" in resolver[0] else socket.AF_INET
    asked, id = probe(question), os.urandom(2)
    end = time.monotonic() + RESOLVE_S
    try:
        with socket.socket(family, socket.SOCK_DGRAM) as sock:
            sock.connect(resolver)
            sock.send(id + asked.rest)
            while (left := end - time.monotonic()) > 0:
                sock.settimeout(left)
                octets = sock.recv(0xFFFF)
                if octets[:2] == id and (found := reply_to(asked, octets)) is not None:
                    answer = sections(found)[0]
                    return [str(each.rdata) for each in answer if each.rtype == question.qtype]
            raise TimeoutError("timed out")
    except (OSError, OverflowError, MalformedMessage) as error:
        raise OSError("{}#{}: {}".format(*resolver, error)) from error
