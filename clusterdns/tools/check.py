"""`clusterdns check FILE`: every fault of a Corefile; nothing is started, written or asked for."""

import os
import sys
from typing import NamedTuple

from clusterdns.cluster.connection import ApiOptions
from clusterdns.cluster.selection import Selection
from clusterdns.corefile.files import read_files
from clusterdns.corefile.parser import load, parse
from clusterdns.errors import ConfigError, Place
from clusterdns.server.configuration import configure
from clusterdns.zone.index import Index

STANDARD_INPUT = {"-", "stdin"}


class Report(NamedTuple):
    """Lines for people, "file:line:column: text"; errors make the Corefile unusable."""

    warnings: list[str]
    errors: list[str]


def check_corefile(path: str, default_port: int) -> Report:
    """What is wrong and what is odd in a Corefile, in the order of the file.

    path: "-" for standard input. Raises ConfigError when it cannot be read at all.
    """
    faults: list[ConfigError] = []
    if path in STANDARD_INPUT:
        corefile = parse(sys.stdin.read(), "stdin", os.environ, read_files, faults)
    else:
        corefile = load(path, errors=faults)
    found = configure(corefile, _never_filled, default_port, faults, offline=True)
    faults.sort(key=lambda fault: fault.place or Place("", 0, 0))
    return Report(found.warnings, list(dict.fromkeys(str(fault) for fault in faults)))


def _never_filled(selection: Selection, api: ApiOptions) -> Index:
    return Index(selection)
