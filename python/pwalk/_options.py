"""What ``report`` and ``scan`` have in common: tops, how to walk, what could not be read."""

from __future__ import annotations

import base64
import json
import operator
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
    found = [os.fspath(one) for one in tops]
    for path in found:
        if not path or (b"\0" if isinstance(path, bytes) else "\0") in path:  # type: ignore[operator]
            raise ValueError(f"a path is empty or holds a NUL: {path!r}")
    return found


def whole(name: str, value: int | None, low: int, high: int) -> int | None:
    """A whole number within its bounds, or None."""
    if value is None:
        return None
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be a whole number or None, not {value!r}") from None
    if not low <= number <= high:
        raise ValueError(f"Invalid {name}: {number}; use {low} to {high}")
    return number


def how_to_walk(
    max_threads: int | None,
    max_iops: int | None,
    depth: int | None,
    exclude: str | Sequence[str],
    one_file_system: bool,
    follow_links: bool,
    *,
    ignore_snapshots: bool,
) -> Walking:
    """The options, each of its type and within its bounds."""
    patterns = [exclude] if isinstance(exclude, (str, bytes)) else list(exclude)
    for pattern in patterns:
        if not isinstance(pattern, str):
            raise TypeError(f"exclude must be a str or several, not {pattern!r}")
        try:
            pattern.encode()
        except UnicodeEncodeError:
            raise ValueError(f"Invalid exclude: {pattern!r} is not UTF-8") from None
    return {
        "max_threads": whole("max_threads", max_threads, 1, 4096),
        "max_iops": whole("max_iops", max_iops, 1, 2**63 - 1),
        "depth": whole("depth", depth, 0, 2**32 - 2),
        "exclude": patterns,
        "one_file_system": bool(one_file_system),
        "follow_links": bool(follow_links),
        "ignore_snapshots": bool(ignore_snapshots),
    }


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
