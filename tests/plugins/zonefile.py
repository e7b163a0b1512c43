"""A zone of a few records in a file, for what reads such files."""

import os
from pathlib import Path

ZONE = """$TTL 300
@ SOA ns admin {serial} 3600 600 86400 60
@ NS ns.other.
a A 10.0.0.{serial}
out CNAME www.other.
"""


def write(path: Path, serial: int = 1, more: str = "") -> Path:
    """The zone in place of what is there, as a ConfigMap's files are replaced."""
    aside = path.with_name(".new")
    aside.write_text(ZONE.format(serial=serial) + more)
    os.replace(aside, path)
    return path
