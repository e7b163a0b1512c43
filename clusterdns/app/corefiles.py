"""Where Corefiles come from: the one that is configured, and the last one that could be used."""

import hashlib
import logging
import os
import sys
import time
from pathlib import Path

from clusterdns.cluster.whole_files import replace
from clusterdns.corefile.defaults import KUBEADM
from clusterdns.corefile.files import read_files
from clusterdns.corefile.parser import Corefile, load, parse
from clusterdns.errors import ConfigError

STDIN = "stdin"

log = logging.getLogger(__name__)


class Corefiles:
    """Reads the Corefile, again and again, and keeps the last good one.

    path: None for ./Corefile or, where there is none, kubeadm's. folder: None keeps nothing.
    """

    def __init__(self, path: str | None, folder: str | None = None) -> None:
        self._path = path
        self._folder = None if folder is None else Path(folder)
        self._from_stdin: str | None = None

    def read(self) -> Corefile:
        """What is configured now. Raises ConfigError."""
        if self._path == STDIN:
            if self._from_stdin is None:
                self._from_stdin = sys.stdin.read()
            return parse(self._from_stdin, STDIN, os.environ, read_files)
        if not self._path and not os.path.isfile("Corefile"):
            return parse(KUBEADM, "default", os.environ)
        return load(self._path or "Corefile")

    def last_good(self, fault: ConfigError) -> Corefile:
        """The one kept by `keep`, perhaps in an earlier run, in the place of one with this fault.

        Raises the fault where there is none that can be used.
        """
        if self._kept is None or not self._kept.is_file():
            raise fault
        try:
            corefile = load(str(self._kept))
            kept = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(self._kept.stat().st_mtime))
        except (OSError, ConfigError) as error:
            log.error("the last good Corefile cannot be used either: %s", error)
            raise fault from error
        log.error("the Corefile cannot be used: %s", fault)
        log.error("RUNNING THE LAST GOOD COREFILE, kept on %s: %s", kept, self._kept)
        return corefile

    def keep(self, corefile: Corefile) -> None:
        """Keeps a Corefile that is used now, imports put in. One that cannot be kept is told."""
        if self._kept is None:
            return
        try:
            replace(self._kept, [str(corefile).encode("utf-8")])
        except OSError as error:
            log.error("cannot keep the Corefile in %s: %s", self._kept, error.strerror)

    @property
    def _kept(self) -> Path | None:
        return None if self._folder is None else self._folder / "Corefile"


def digest(corefile: Corefile) -> str:
    """SHA512 of what the Corefile means, in hexadecimal digits (D37)."""
    return hashlib.sha512(str(corefile).encode()).hexdigest()
