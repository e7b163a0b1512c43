"""Names of cluster objects, and of what is in them, as names in wire form."""

from clusterdns.wire.names import LENGTHS, MAX_LABEL, MAX_NAME


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
    if not 0 < size <= MAX_LABEL or len(zone) + 1 + size > MAX_NAME or not label.isascii():
        return None
    return LENGTHS[size] + label.encode("ascii") + zone
