"""Files that are whole whenever somebody looks, after a loss of power too."""

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

LEFT_BEHIND_S = 3600.0  # a file half written so long ago is nobody's any more


def replace(path: Path, pieces: Iterable[bytes]) -> None:
    """Puts a file in place of what is there at once, in a folder that is made if need be."""
    path.parent.mkdir(parents=True, exist_ok=True)  # may be a volume that came late
    _sweep(path)
    number, aside = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with open(number, "wb") as file:
            file.writelines(pieces)
            file.flush()
            os.fsync(file.fileno())
        os.replace(aside, path)
    except BaseException:
        os.unlink(aside)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else the new name may be lost with the power
    finally:
        os.close(folder)


def _sweep(path: Path) -> None:
    """Removes what processes left behind that were killed while they wrote."""
    for aside in path.parent.glob(f".{path.name}.*"):
        try:
            if time.time() - aside.stat().st_mtime > LEFT_BEHIND_S:
                aside.unlink()
        except FileNotFoundError:
            pass  # another process of this folder did so
