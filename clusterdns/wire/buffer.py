"""The buffer that records are packed into, with name compression as RFC 1035 and 3597 want it."""

import struct

from dnslib import AAAA, RR, A, DNSBuffer, DNSLabel

from clusterdns.errors import ResolveError
from clusterdns.wire.names import MAX_LABEL, MAX_NAME

MOST_OFFSET = 0x3FFF  # a pointer has 14 bits, RFC 1035 section 4.1.4
POINTER = 0xC000  # the two bits that mark one

# Types whose rdata may hold compressed names: those of RFC 1035, every receiver knows them. For all
# others RFC 3597 section 4 forbids it; dnslib compresses in NAPTR, RP and DNAME all the same.
_COMPRESSIBLE = frozenset({2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15})

_FIXED = struct.Struct("!HHIH")  # type, class, TTL, RDLENGTH
_LENGTH = struct.Struct("!H")


class MessageBuffer(DNSBuffer):  # type: ignore[misc]  # dnslib has no types
    """Octets of a message that grow record by record.

    dnslib's own buffer also compresses names, but takes pointers beyond 14 bits for good, which
    breaks every message over 16 KiB. Here a name found twice becomes a pointer only if the first
    stands low enough, and only if every octet is equal, so that each name keeps its spelling. But
    an owner that is the name asked for is spelled like it (`asked`), whoever made the record for
    whatever client.
    """

    def __init__(self, start: bytes) -> None:
        self.data = bytearray(start)
        self.names: dict[tuple[bytes, ...], int] = {}
        self._compress = True
        self._asked: tuple[bytes, ...] = ()  # folded labels
        self._asked_at = 0

    @property
    def offset(self) -> int:
        """Where the next octet goes."""
        return len(self.data)

    def pack(self, fmt: str, *values: object) -> None:
        self.data += struct.pack(fmt, *values)

    def append(self, octets: bytes) -> None:
        self.data += octets

    def remember(self, labels: tuple[bytes, ...], at: int) -> None:
        """Let later names point into the one with these labels at this offset."""
        for i, label in enumerate(labels):
            self.names.setdefault(labels[i:], at)
            at += len(label) + 1

    def asked(self, labels: tuple[bytes, ...], at: int) -> None:
        """The labels of the name asked for, which stands at this offset."""
        self.remember(labels, at)
        self._asked = tuple([label.lower() for label in labels])
        self._asked_at = at

    def record(self, record: RR) -> None:
        """Append a record.

        Raises ResolveError for one that has no wire form: a name that is none, too much rdata.
        """
        self._owner(record.rname.label)
        data, rdata = self.data, record.rdata
        rtype = record.rtype
        if type(rdata) in (A, AAAA):  # nearly all there are, and five times as fast so
            octets = bytes(rdata.data)
            data += _FIXED.pack(rtype, record.rclass, record.ttl, len(octets)) + octets
            return
        data += _FIXED.pack(rtype, record.rclass, record.ttl, 0)
        start = len(data)
        self._compress = rtype in _COMPRESSIBLE
        rdata.pack(self)
        self._compress = True
        if len(data) - start > 0xFFFF:  # RDLENGTH has 16 bits
            raise ResolveError(f"{record.rname}: {len(data) - start} octets of rdata are too much")
        _LENGTH.pack_into(data, start - 2, len(data) - start)

    def _owner(self, labels: tuple[bytes, ...]) -> None:
        """Append the owner of a record."""
        at = self.names.get(labels)
        if at is None and self._is_asked(labels):
            at = self._asked_at
        if at is None:
            self._write(labels, True)
        else:
            self.data += _LENGTH.pack(POINTER | at)

    def _is_asked(self, labels: tuple[bytes, ...]) -> bool:
        """Whether these are the labels asked for, in whatever letter case."""
        asked = self._asked
        if len(labels) != len(asked):
            return False
        return bool(labels) and tuple([label.lower() for label in labels]) == asked

    def encode_name(self, name: DNSLabel) -> None:
        """Append a name, as a pointer where its place allows that."""
        at = self.names.get(name.label) if self._compress else None
        if at is None:
            self._write(name.label, self._compress)
        else:
            self.data += _LENGTH.pack(POINTER | at)

    def encode_name_nocompress(self, name: DNSLabel) -> None:
        """Append a name in full; later ones may still point into it."""
        self._write(name.label, False)

    def _write(self, labels: tuple[bytes, ...], compress: bool) -> None:
        _check(labels)
        data, names = self.data, self.names
        for i, label in enumerate(labels):
            rest = labels[i:]
            if (known := names.get(rest)) is None:
                if len(data) <= MOST_OFFSET:
                    names[rest] = len(data)
            elif compress:
                data += _LENGTH.pack(POINTER | known)
                return
            data.append(len(label))
            data += label
        data.append(0)


def _check(labels: tuple[bytes, ...]) -> None:
    lengths = [len(label) for label in labels]
    if lengths and (max(lengths) > MAX_LABEL or not min(lengths)):
        raise ResolveError(f"no name: labels of {lengths} octets in {labels!r}")
    if sum(lengths) + len(lengths) + 1 > MAX_NAME:
        raise ResolveError(f"no name: {sum(lengths) + len(lengths) + 1} octets in {labels!r}")
