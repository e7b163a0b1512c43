"""Header blocks of requests by HTTP/2 (RFC 7541)."""

from functools import lru_cache

import hpack

from clusterdns.plugins.forward.http_message import MEDIA, Form

# An update of the table's size to 0, for the first block: nothing is ever put into the table, so
# that a server which allows less than usual has no reason to ask for one (section 4.2).
NO_TABLE = b"\x20"


class Fields:
    """Header blocks of requests. None of their fields goes into the table of the other side: so a
    block is the same octets every time, made once."""

    def __init__(self, form: Form) -> None:
        self._form = form
        where = [(":method", form.method), (":scheme", "https"), (":authority", form.authority)]
        self._lead = _literal(*where)
        self._path = _literal((":path", form.target(b"")))
        self._tail = _literal(("accept", MEDIA))
        if form.method == "POST":
            self._tail += _literal(("content-type", MEDIA))

    def block(self, message: bytes) -> bytes:
        """That of a request."""
        if self._form.method == "POST":
            return self._lead + self._path + self._tail + _length(len(message))
        path = (":path", self._form.target(message))
        return self._lead + _literal(path, huffman=False) + self._tail  # it would cost 50 us


@lru_cache(256)
def _length(size: int) -> bytes:
    return _literal(("content-length", str(size)))


def _literal(*fields: tuple[str, str], huffman: bool = True) -> bytes:
    """Fields that are in no table behind it."""
    kept_out = [hpack.NeverIndexedHeaderTuple(*each) for each in fields]
    octets: bytes = hpack.Encoder().encode(kept_out, huffman=huffman)
    return octets
