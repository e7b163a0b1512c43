"""Records of master-file text, as templates write it."""

import re
from collections.abc import Callable
from functools import lru_cache

import dns.exception
import dns.name
import dns.rdata
import dns.tokenizer
import dns.ttl
from dns.rdataclass import RdataClass
from dns.rdatatype import RdataType
from dnslib import QTYPE, RD, RDMAP, RR, BimapError, BufferError, DNSBuffer, DNSError

from clusterdns.errors import ResolveError
from clusterdns.wire.message import IN
from clusterdns.wire.question import Question
from clusterdns.wire.texts import class_number, type_number
from clusterdns.zone.tokens import Tokens

DEFAULT_TTL = 3600  # seconds, CoreDNS's
MOST_NUMBER = 0xFFFF  # of a class or type, RFC 1035 section 4.1.3
_KEPT = 1024  # texts: many templates write the same again and again


@lru_cache(_KEPT)
def record(text: str) -> RR | None:
    """The record that one line is, or several in parentheses; None for nothing but comments.

    NAME [TTL] [CLASS] TYPE RDATA (RFC 1035 section 5.1); names are absolute, with and without
    the last dot. Whoever gets it may not change it.
    Raises ValueError for what is none.
    """
    tokens = Tokens(text)
    try:
        token = tokens.get(want_leading=True)
        while token.is_eol():
            token = tokens.get(want_leading=True)
        if token.is_eof():
            return None
        if not token.is_identifier():
            raise ValueError("it begins with no name")
        owner = Question.of("." if token.value == "@" else token.value, 0).label
        ttl, rclass, rtype = _kind(tokens)
        rdata = dns.rdata.from_text(
            RdataClass(rclass), RdataType(rtype), tokens, dns.name.root, relativize=False
        )
        return RR(owner, rtype, rclass, ttl, _rdata(rtype, rdata.to_wire() or b""))
    except (dns.exception.DNSException, ResolveError, UnicodeError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def _kind(tokens: dns.tokenizer.Tokenizer) -> tuple[int, int, int]:
    """TTL, class and type: the first two in any order, and neither must be."""
    ttl = rclass = None
    while True:
        word = tokens.get_identifier()
        number = _number(word.upper(), "CLASS", class_number)
        if ttl is None and word[:1].isdigit():
            ttl = dns.ttl.from_text(word)
        elif rclass is None and number is not None and word.upper() != "ANY":
            rclass = number
        elif (rtype := _number(word.upper(), "TYPE", type_number)) is not None:
            return (DEFAULT_TTL if ttl is None else ttl), rclass or IN, rtype
        else:
            raise ValueError(f"{word!r} is no record type")


def _number(word: str, prefix: str, named: Callable[[str], int | None]) -> int | None:
    """By its name, or as TYPE12345 (RFC 3597 section 5); None where it is neither."""
    digits = word.removeprefix(prefix)
    if digits != word and re.fullmatch("[0-9]{1,5}", digits) and int(digits) <= MOST_NUMBER:
        return int(digits)
    return named(word)


def _rdata(rtype: int, octets: bytes) -> RD:
    """As dnslib has it; the mere octets where it has no class, or does not take them."""
    kind = RDMAP.get(QTYPE.get(rtype))
    if kind is not None and octets:
        buffer = DNSBuffer(octets)
        try:
            found = kind.parse(buffer, len(octets))
        except (BufferError, BimapError, DNSError, ValueError):
            return RD(octets)
        if buffer.offset == len(octets):
            return found
    return RD(octets)
