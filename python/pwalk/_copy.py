"""Copying: the service, its strategies and its results."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from . import _pwalk
from ._options import Path, how_to_walk, paths, whole

_WORKERS = (1, 4096)
_BUFFER_KB = (4, 1_048_576)


@dataclass(frozen=True)
class CopyProgress:
    """How far a copy is, as a progress callback is told.

    files_processed: how many files were copied so far, or left because they are there already.
    bytes_copied: how many bytes were copied.
    total_files, total_bytes: how many there are; they are counted before the first is copied.
    current_file: what is being worked on: a directory, because many files are copied at once; None if that is not known.
    component_name: with strategy ``pipeline`` the component that is copied, of several the largest; else None.
    file_progress_percent, bytes_progress_percent: 0 to 100, of what is copied or left.
    speed_mbps: megabytes (1,000,000 bytes) a second, since the beginning.
    """

    files_processed: int
    total_files: int
    bytes_copied: int
    total_bytes: int
    current_file: str | bytes | None
    component_name: str | bytes | None
    file_progress_percent: float
    bytes_progress_percent: float
    speed_mbps: float


@dataclass(frozen=True)
class CopyResult:
    """What a copy came to.

    success: whether everything was copied, with all that should be kept of it.
    bytes_copied, files_copied: how much; a file with several names has its bytes once and all its names.
    elapsed_time: seconds.
    error: what kept the copy from being made, else the first thing that went wrong; None if nothing did.
    errors: pairs of a path (str or bytes, as the source was given) and what went wrong there, at most 1,000.
    error_count: how many there were.
    warnings: what was done otherwise than asked for: why a strategy did not work here.
    strategy_used: the strategy.
    verdict: ``"COMPLETE"`` or ``"PARTIAL"``.
    directories_copied, hard_links: directories, and names that were linked to a copy made before.
    shared_bytes: bytes of ``bytes_copied`` that share their blocks with the source.
    replaced, skipped, already, removed: files that replaced another, were left (``existing``), had been copied before (``resume``),
    and entries removed from the destination (``mirror``).
    failed, unread, not_kept: entries not copied, directories not read, attributes not kept. Each makes the copy partial.
    owners_not_kept: entries that belong to the caller now, because only root can give files away.
    snapshots_skipped: snapshot directories left out.
    mirror_refused: whether nothing was removed because not everything in the source could be read.
    dry_run: whether nothing was done.
    workers: the most that worked at once.
    """

    success: bool
    bytes_copied: int
    files_copied: int
    elapsed_time: float
    error: str | None
    errors: list[tuple[Any, str]]
    strategy_used: str
    error_count: int = 0
    warnings: list[str] = field(default_factory=list)
    verdict: str = "PARTIAL"
    directories_copied: int = 0
    hard_links: int = 0
    shared_bytes: int = 0
    replaced: int = 0
    skipped: int = 0
    already: int = 0
    removed: int = 0
    failed: int = 0
    unread: int = 0
    not_kept: int = 0
    owners_not_kept: int = 0
    snapshots_skipped: int = 0
    mirror_refused: bool = False
    dry_run: bool = False
    workers: int = 0

    @property
    def speed_mbps(self) -> float:
        """Megabytes (1,000,000 bytes) a second."""
        return _speed(self.bytes_copied, self.elapsed_time)

    @property
    def speed_gbps(self) -> float:
        """Gigabytes (1,000,000,000 bytes, not bits) a second."""
        return self.speed_mbps / 1000

    def __str__(self) -> str:
        """The summary for people."""
        lines = [
            f"{self.verdict}: {self.files_copied:,} files  {self.directories_copied:,} directories  {self.bytes_copied:,} bytes"
            + ("; nothing was done" if self.dry_run else ""),
            f"  {self.elapsed_time:.2f} s  {self.speed_mbps:,.1f} MB/s  {self.strategy_used}",
        ]
        counts = {
            "replaced": self.replaced,
            "left as they were": self.skipped,
            "copied before": self.already,
            "removed": self.removed,
            "failed": self.failed,
            "not read": self.unread,
            "attributes not kept": self.not_kept,
        }
        lines += [f"  {count:,} {what}" for what, count in counts.items() if count]
        lines += [f"  {warning}" for warning in self.warnings]
        lines += [f"  {os.fsdecode(path)!r}: {why}" for path, why in self.errors[:10]]
        if self.error_count > 10:
            lines.append(f"  … and {self.error_count - 10:,} more, see .errors")
        return "\n".join(lines)


@dataclass(frozen=True)
class StrategyInfo:
    """A strategy: its name, what it does, and what it needs to work (empty if nothing)."""

    name: str
    description: str
    prerequisites: str


class Strategy(Protocol):
    """A strategy of your own, for ``register_strategy``. It moves bytes; all that makes a copy faithful is done around it."""

    @property
    def name(self) -> str:
        """Its name, unlike that of any other."""

    @property
    def description(self) -> str:
        """What it does, in a line."""

    @property
    def prerequisites(self) -> str:
        """What it needs to work; empty if nothing."""

    def copy_file(self, source_fd: int, target_fd: int, offset: int, length: int) -> int:
        """Copy *length* bytes at *offset* to the same place, or fewer, and return how many; called until all are copied.

        Both descriptors stand at *offset*. Called from several threads at once, for different files. ``OSError`` fails the
        file, with its errno. ``NotImplementedError``: it does not work between these two files; they are copied through a
        buffer, with a warning. Anything else that is raised ends the copy, and ``copy_directory`` raises it.
        """


def list_available_strategies() -> list[str]:
    """The names of all strategies."""
    return [name for name, _, _ in _pwalk.copy_strategies()]


def get_strategy_info(name: str) -> StrategyInfo:
    """What a strategy does. Raises ``ValueError`` if there is none of this name."""
    known = {info[0]: info for info in _pwalk.copy_strategies()}
    if name not in known:
        raise ValueError(f"there is no strategy {name!r}; there are {', '.join(known)}")
    return StrategyInfo(*known[name])


def register_strategy(strategy: Strategy) -> None:
    """Make a strategy known by its name, in this process and for good.

    Raises ``TypeError`` for what is no strategy and ``ValueError`` if there is one of that name.
    """
    name = _word("name", strategy)
    if not name.isprintable() or not name.strip():
        raise ValueError(f"a strategy cannot have the name {name!r}")
    copy_file = getattr(strategy, "copy_file", None)
    if not callable(copy_file):
        raise TypeError("a strategy must have a method copy_file(source_fd, target_fd, offset, length)")
    _pwalk.register_copy_strategy(name, _word("description", strategy), _word("prerequisites", strategy), copy_file)


def _word(what: str, strategy: object) -> str:
    word = getattr(strategy, what, None)
    if not isinstance(word, str):
        raise TypeError(f"a strategy's {what} must be a str, not {word!r}")
    return word


class FileCopyService:
    """Copies directories, fast and with all that is worth keeping. ``create_copy_service`` makes one."""

    def __init__(
        self, strategy: str | None = None, buffer_size_kb: int | None = None, max_workers: int | None = None
    ) -> None:
        self.strategy = "auto" if strategy is None else strategy
        get_strategy_info(self.strategy)
        self.buffer_size_kb = whole("buffer_size_kb", buffer_size_kb, *_BUFFER_KB)
        self.max_workers = whole("max_workers", max_workers, *_WORKERS)

    def __repr__(self) -> str:
        return f"FileCopyService({self.strategy!r}, {self.buffer_size_kb}, {self.max_workers})"

    def copy_directory(
        self,
        src: Path,
        dst: Path,
        exclude_git: bool = False,
        strategy: str | None = None,
        progress_callback: Callable[[CopyProgress], object] | None = None,
        components: Sequence[Path] | None = None,
        *,
        exclude: str | Sequence[str] = (),
        existing: str = "overwrite",
        mirror: bool = False,
        verify: bool = False,
        fsync: str = "none",
        resume: bool = False,
        dry_run: bool = False,
        reflink: str = "auto",
        sparse: str = "auto",
        no_preserve: str | Sequence[str] = (),
        one_file_system: bool = False,
        ignore_snapshots: bool = True,
        max_iops: int | None = None,
        max_bytes_per_sec: int | None = None,
    ) -> CopyResult:
        """Copy the contents of the directory *src* to *dst*, as ``cp -aT`` does: *dst* need not be there, what it lies in must.

        Owner, mode, times, links, hard links, holes, extended attributes, capabilities and access control lists are kept, and a
        file gets its name when it is whole. A link to a directory, as *src* or as *dst*, is that directory.

        *src*, *dst*: str, bytes or ``os.PathLike``.
        *exclude_git*: leave out ``.git`` directories. *exclude*: leave out what matches these patterns, as ``.gitignore`` has them.
        *strategy*: how content is copied; by default what the service was made with.
        *progress_callback*: called a few times a second with a ``CopyProgress``, in this thread, and once more at the end. What it raises
        ends the copy. With it all is counted first, so that totals are known.
        *components*: copy only these sub-directories of *src*, the largest first (strategy ``pipeline``).
        *existing*: what becomes of a file that is there: it is replaced (``"overwrite"``), it stays (``"skip"``), it is replaced if it is
        older (``"update"``), or it stays and that is an error (``"fail"``).
        *mirror*: remove from *dst* what *src* does not have; not done if some of *src* could not be read.
        *verify*: read both sides again and compare. *fsync*: when it must be on the disk: ``"none"``, ``"end"``, ``"each"``.
        *resume*: go on with a copy that was interrupted. *dry_run*: only look.
        *reflink*: share blocks: ``"auto"``, ``"always"``, ``"never"``. *sparse*: the same words; ``"always"`` makes zeros holes.
        *no_preserve*: what need not be kept: ``"mode"``, ``"ownership"``, ``"timestamps"``, ``"links"``, ``"xattr"``, ``"acl"``, ``"all"``.
        *one_file_system*: stay on the file system of *src*. *ignore_snapshots*: leave out ``.snapshot`` directories and their like.
        *max_iops*, *max_bytes_per_sec*: at most so many system calls and bytes a second.

        Returns a ``CopyResult``, whatever goes wrong with files, disks and paths. Raises ``ValueError`` and ``TypeError`` for arguments that
        cannot be, and what a callback, a strategy or the handler of a signal raises. After a Ctrl-C what was copied is whole, and
        *resume* goes on.
        """
        (source,), (target,) = _one("src", src), _one("dst", dst)
        walking = how_to_walk(
            self.max_workers, max_iops, None, exclude, one_file_system, False, ignore_snapshots=ignore_snapshots
        )
        if strategy is not None:
            get_strategy_info(strategy)
        if progress_callback is not None and not callable(progress_callback):
            raise TypeError(f"progress_callback must be callable, not {progress_callback!r}")
        wishes = {
            "strategy": self.strategy if strategy is None else strategy,
            "is_named": strategy is not None,
            "buffer_size_kb": self.buffer_size_kb,
            "max_workers": walking["max_threads"],
            "components": _components(components),
            "exclude": [*walking["exclude"], *([".git/"] if exclude_git else [])],
            "existing": existing,
            "mirror": bool(mirror),
            "verify": bool(verify),
            "fsync": fsync,
            "resume": bool(resume),
            "dry_run": bool(dry_run),
            "reflink": reflink,
            "sparse": sparse,
            "no_preserve": [no_preserve] if isinstance(no_preserve, str) else list(no_preserve),
            "one_file_system": walking["one_file_system"],
            "ignore_snapshots": walking["ignore_snapshots"],
            "max_iops": walking["max_iops"],
            "max_bytes_per_sec": whole("max_bytes_per_sec", max_bytes_per_sec, 4096, 2**63 - 1),
            "progress": None if progress_callback is None else _telling(progress_callback),
        }
        return CopyResult(**_pwalk.copy(source, target, wishes))

    def list_available_strategies(self) -> list[str]:
        """The names of all strategies."""
        return list_available_strategies()

    def get_strategy_info(self, name: str) -> StrategyInfo:
        """What a strategy does. Raises ``ValueError`` if there is none of this name."""
        return get_strategy_info(name)

    def register_strategy(self, strategy: Strategy) -> None:
        """Make a strategy known by its name, in this process and for good; see ``pwalk.register_strategy``."""
        register_strategy(strategy)


def create_copy_service(
    user_config: Path | Mapping[str, object] | None = None,
    *,
    strategy: str | None = None,
    buffer_size_kb: int | None = None,
    max_workers: int | None = None,
) -> FileCopyService:
    """Make a service that copies.

    *user_config*: the path of a TOML or YAML file, or a mapping, with any of ``copy_strategy``, ``copy_buffer_size_kb`` (4 to 1,048,576)
    and ``copy_max_workers`` (1 to 4096). *strategy*, *buffer_size_kb*, *max_workers*: the same, for this service.

    In rising order: the file (``PWALK_CONFIG``, else the user's ``pwalk/config.toml``, if none is given), the environment
    (``PWALK_COPY_STRATEGY`` and so on), the mapping, the arguments. Raises ``ValueError`` for settings that cannot be; a strategy must be
    registered before.
    """
    given: Mapping[str, object] = {}
    file = None
    if isinstance(user_config, Mapping):
        given = user_config
    elif user_config is not None:
        (named,) = _one("user_config", user_config)
        file = os.fsdecode(named)
    names = ("copy_strategy", "copy_buffer_size_kb", "copy_max_workers")
    settings: dict[str, Any] = dict(zip(names, _pwalk.copy_settings(file)))
    for name in given:
        if name not in names and str(name).startswith("copy_"):
            raise ValueError(f"there is no setting {name}; there are {', '.join(names)}")
    for wishes in (given, dict(zip(names, (strategy, buffer_size_kb, max_workers)))):
        settings.update({name: wishes[name] for name in names if wishes.get(name) is not None})
    if not isinstance(settings["copy_strategy"], str | None):
        raise TypeError(f"copy_strategy must be the name of a strategy, not {settings['copy_strategy']!r}")
    return FileCopyService(*(settings[name] for name in names))


def _one(what: str, path: Path) -> list[str | bytes]:
    if isinstance(path, (list, tuple)):
        raise TypeError(f"{what} must be one path, not {path!r}")
    return paths(path)


def _components(components: Sequence[Path] | None) -> list[str | bytes] | None:
    if components is None:
        return None
    names = paths(components if isinstance(components, (str, bytes, os.PathLike)) else list(components))
    if not names:
        raise ValueError("components is empty; leave it out to copy everything")
    return names


def _speed(size: int, seconds: float) -> float:
    return size / seconds / 1e6 if seconds > 0 else 0.0


def _percent(part: int, whole: int | None) -> float:
    if not whole:
        return 0.0 if whole is None else 100.0
    return min(100.0, 100.0 * part / whole)


def _telling(callback: Callable[[CopyProgress], object]) -> Callable[..., None]:
    def tell(
        files: int,
        total_files: int | None,
        size: int,
        total_size: int | None,
        left: tuple[int, int],
        current: str | bytes | None,
        component: str | bytes | None,
        seconds: float,
    ) -> None:
        callback(
            CopyProgress(
                files_processed=files + left[0],
                total_files=total_files or 0,
                bytes_copied=size,
                total_bytes=total_size or 0,
                current_file=current,
                component_name=component,
                file_progress_percent=_percent(files + left[0], total_files),
                bytes_progress_percent=_percent(size + left[1], total_size),
                speed_mbps=_speed(size, seconds),
            )
        )

    return tell
