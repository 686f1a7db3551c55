"""The generator ``walk``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Generator
from typing import TypeVar

from ._options import whole
from ._pwalk import Walker

_Path = TypeVar("_Path", str, bytes)


def walk(
    top: _Path | os.PathLike[_Path],
    topdown: bool = True,
    onerror: Callable[[OSError], object] | None = None,
    followlinks: bool = False,
    *,
    max_threads: int | None = None,
    ignore_snapshots: bool = True,
) -> Generator[tuple[_Path, list[_Path], list[_Path]], None, None]:
    """Directory tree generator: ``os.walk``, read ahead in parallel.

    For each directory in the tree rooted at *top* (itself included, but not ``.`` and ``..``) yields a 3-tuple
    ``(dirpath, dirnames, filenames)``, in the order of ``os.walk`` and with its rules:

    * *topdown* true: a directory comes before what is in it, and the caller may change ``dirnames`` in place (remove,
      reorder, add) to say what follows. False: it comes after.
    * *onerror*: called with an ``OSError`` (its ``filename`` is the path) for each directory that cannot be read; what it
      raises ends the walk. Without it such directories are passed over.
    * *followlinks*: walk into symbolic links to directories. As in ``os.walk``, links in a circle end only at ``ELOOP``.

    *top* is a str, bytes or ``os.PathLike``; names are of the same kind, str with surrogate escapes.

    *max_threads* is how many threads may read at once, 1 to 4096, this one included: 1 reads nothing ahead; None, the default, lets the
    program find out how many pay. Python's lock is not held while directories are read. *ignore_snapshots* leaves out
    directories that hold the whole tree again: ``.snapshot`` anywhere, ``.zfs`` and ``.snapshots`` where they are snapshots.

    A directory that was read ahead is compared with what is there when its turn comes, and read again if it changed
    meanwhile: what the caller does between two steps is seen.
    """
    sys.audit("os.walk", top, topdown, onerror, followlinks)
    threads = whole("max_threads", max_threads, 1, 4096)
    yield from Walker(os.fspath(top), bool(topdown), onerror, bool(followlinks), threads, bool(ignore_snapshots))
