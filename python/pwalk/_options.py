"""What ``report`` and ``scan`` have in common: tops, how to walk, what could not be read."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Iterable, Sequence
from typing import Any, TypedDict

Path = str | bytes | os.PathLike[str] | os.PathLike[bytes]


class Walking(TypedDict):
    """How to walk."""

    max_threads: int | None
    max_iops: int | None
    depth: int | None
    exclude: list[str]
    one_file_system: bool
    follow_links: bool
    ignore_snapshots: bool


def paths(top: Path | Sequence[Path]) -> list[str | bytes]:
    """One top or several, as a list."""
    tops: Sequence[Path] = top if isinstance(top, (list, tuple)) else [top]  # type: ignore[list-item]
    return [os.fspath(one) for one in tops]


def patterns(exclude: str | Sequence[str]) -> list[str]:
    """One pattern or several, as a list."""
    return [exclude] if isinstance(exclude, str) else list(exclude)


def unreadable(ledger: Iterable[str | bytes], top: str | bytes) -> list[Any]:
    """The paths in the lines of a ledger that make the scan partial, of the kind of ``top``."""
    found: list[Any] = []
    for line in ledger:
        entry = json.loads(line)
        if entry["class"] in ("unprintable", "unrepresentable"):
            continue
        exact = base64.b64decode(entry["path_bytes"]) if "path_bytes" in entry else os.fsencode(entry["path"])
        found.append(exact if isinstance(top, bytes) else os.fsdecode(exact))
    return found
