"""The function ``repair`` and its result."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

from . import _pwalk
from ._options import Path, paths, whole


class Repair:
    """What a repair came to.

    dry_run: whether nothing was changed.
    changes: how many changes were made, or would be.
    failed: how many should have been made and could not be.
    hard_linked: how many files were left alone because they have other names.
    left_alone: how many mounts were left alone because they lead out of the tree.
    without_group: how many entries have a private group and no directory above with another; nothing was changed there.
    entries, directories: what was seen.
    verdict: ``"COMPLETE"`` or ``"PARTIAL"``.
    seconds: how long it took.
    plan, journal: the files that were written, or None.
    errors: pairs of a path (str or bytes, as the top was given) and what went wrong there.
    """

    dry_run: bool
    changes: int
    failed: int
    hard_linked: int
    left_alone: int
    without_group: int
    entries: int
    directories: int
    verdict: str
    seconds: float
    plan: str | None
    journal: str | None
    errors: list[tuple[Any, str]]

    def __init__(self, details: dict[str, Any]) -> None:
        self.__dict__.update(details)

    def __repr__(self) -> str:
        return f"Repair({', '.join(f'{name}={value!r}' for name, value in vars(self).items())})"

    def __str__(self) -> str:
        """The summary for people."""
        changes = f"{self.changes:,} change{'' if self.changes == 1 else 's'}"
        done = f"{changes} would be made, nothing was changed" if self.dry_run else f"{changes} made"
        lines = [f"{self.verdict}: {done}", f"  {self.entries:,} entries seen"]
        counts = {
            "failed": self.failed,
            "hard-linked, left alone": self.hard_linked,
            "mounts left alone": self.left_alone,
            "without a group to inherit": self.without_group,
        }
        lines += [f"  {count:,} {what}" for what, count in counts.items() if count]
        lines += [f"  {os.fsdecode(path)!r}: {why}" for path, why in self.errors[:10]]
        if len(self.errors) > 10:
            lines.append(f"  … and {len(self.errors) - 10:,} more, see .errors")
        if self.plan is not None:
            lines.append(f"  plan: {self.plan!r}; apply it with: pwalk repair --apply-plan")
        if self.journal is not None:
            lines.append(f"  journal: {self.journal!r}; take it back with: pwalk repair --undo")
        return "\n".join(lines)


def repair(
    top: Path,
    dry_run: bool = True,
    change_gids: Sequence[int | str] | None = None,
    force_group_writable: bool = False,
    exclude: Path | Sequence[Path] | None = None,
    max_threads: int | None = None,
    *,
    allow_hardlinked: bool = False,
    one_file_system: bool = False,
    ignore_snapshots: bool = True,
    max_iops: int | None = None,
    plan: Path | None = None,
    journal: Path | None = None,
) -> Repair:
    """Repair the permissions of a shared folder: what ``pwalk repair`` does, with a summary printed and returned.

    Directories hand their group down (setgid) and their group can read and search them; the group can read files, and execute
    what the owner executes. A group that is only its owner's (its number is the owner's, or 0, or in *change_gids*) becomes that of
    the nearest directory above whose group is not.

    *top*: the directory; str, bytes or ``os.PathLike``.
    *dry_run*: change nothing, only look. *plan*: a file for the plan, which ``pwalk repair --apply-plan`` can apply.
    *change_gids*: groups, by number or name, that are replaced like private ones.
    *force_group_writable*: groups can write, too.
    *exclude*: paths that are left out with what is below them.
    *max_threads*: 1 to 4096; by default as many as pay. *max_iops*: at most so many system calls a second.
    *allow_hardlinked*: change files with several names, too; the others may be anywhere.
    *one_file_system*: stay on the top's file system. *ignore_snapshots*: leave out ``.snapshot`` directories and their like.
    *journal*: where every change is written down before it is made; by default a new file below ``/var/lib/pwalk`` for root, else
    in the XDG state directory. ``pwalk repair --undo`` takes back what it says.

    Returns a ``Repair``. Raises ``PermissionError`` before the first change if some of the changes need root, ``ValueError`` for a system
    directory, a group that does not exist or options that cannot be, and ``OSError`` if the top cannot be looked at or the plan or
    the journal not be written. On Ctrl-C it stops within a second; what was changed is in the journal.
    """
    (only,) = paths(top) if not isinstance(top, (list, tuple)) else _no_list(top)
    excluded = [] if exclude is None else paths(exclude)
    wishes = {
        "dry_run": bool(dry_run),
        "change_gids": [_group(group) for group in change_gids or ()],
        "force_group_writable": bool(force_group_writable),
        "exclude": excluded,
        "max_threads": whole("max_threads", max_threads, 1, 4096),
        "max_iops": whole("max_iops", max_iops, 1, 2**63 - 1),
        "allow_hardlinked": bool(allow_hardlinked),
        "one_file_system": bool(one_file_system),
        "ignore_snapshots": bool(ignore_snapshots),
        "plan": _file("plan", plan),
        "journal": _file("journal", journal),
    }
    if plan is not None and not dry_run:
        raise ValueError("a plan is for a dry run; what is applied is in the journal")
    done = Repair(_pwalk.repair(only, wishes))
    print(done)
    return done


def _no_list(top: object) -> list[str | bytes]:
    raise TypeError(f"top must be one path, not {top!r}")


def _group(group: int | str) -> str:
    if isinstance(group, bool) or not isinstance(group, (int, str)):
        raise TypeError(f"change_gids must hold numbers or names of groups, not {group!r}")
    return str(group)


def _file(name: str, path: Path | None) -> str | None:
    if path is None:
        return None
    file = os.fsdecode(path)
    if not file or "\0" in file:
        raise ValueError(f"the {name}'s name is empty or holds a NUL: {file!r}")
    return file
