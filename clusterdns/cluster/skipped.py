"""What of the files could not be used: counted and named in the log, once each."""

import logging

from clusterdns import metrics
from clusterdns.errors import Place

log = logging.getLogger(__name__)


class Skipped:
    """The complaints about each file, so that reading it again repeats none."""

    def __init__(self) -> None:
        self._said: dict[str, set[str]] = {}
        self._former: set[str] = set()  # of the file that is being read

    def begin(self, file: str) -> None:
        """This file is about to be read (again)."""
        self._former = self._said.pop(file, set())

    def say(self, file: str, place: Place | None, kind: str, message: str) -> None:
        """place: where in the file, if anywhere; it may move without being said again."""
        said = self._said.setdefault(file, set())
        if message not in said and message not in self._former:
            metrics.skipped_objects.add(kind)
            log.warning("skipped: %s: %s", place or file, message)
        said.add(message)

    def forget(self, file: str) -> None:
        """This file is gone."""
        self._said.pop(file, None)
