"""Names in wire form (RFC 1035 section 3.1): what records that are asked for often are made of."""

from collections.abc import Iterable

MOST_LABEL, MOST_NAME = 63, 255  # octets, RFC 1035 section 2.3.4

_LENGTHS = tuple(bytes([length]) for length in range(MOST_LABEL + 1))


def wire_name(labels: Iterable[bytes]) -> bytes:
    """A name of these labels, with the root octet."""
    return b"".join([_LENGTHS[len(label)] + label for label in labels]) + b"\0"


def labels_of(name: bytes) -> tuple[bytes, ...]:
    """The labels of a name, without the root's."""
    labels = []
    at = 0
    while length := name[at]:
        labels.append(name[at + 1 : at + 1 + length])
        at += length + 1
    return tuple(labels)


def wire_below(zone: bytes, *labels: str) -> bytes | None:
    """The name with these labels left of the zone; None where it would be no domain name.

    A label may hold dots, as a pod's name does, and is then several. Objects that no API server has
    checked may have names that are none.
    """
    name: bytes | None = zone
    for label in reversed(labels):
        if name is None:
            return None
        name = below_one(name, label)
    return name


def below_one(zone: bytes, label: str) -> bytes | None:
    """The same of one label."""
    if "." in label:
        return wire_below(zone, *label.split("."))
    size = len(label)
    if not 0 < size <= MOST_LABEL or len(zone) + 1 + size > MOST_NAME or not label.isascii():
        return None
    return _LENGTHS[size] + label.encode("ascii") + zone
