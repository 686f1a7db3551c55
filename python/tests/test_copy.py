"""``FileCopyService``: what ``cp -a`` makes, told in Python's words."""

import ctypes
import dataclasses
import errno
import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

import pwalk

NAMES = ["auto", "baseline", "buffered", "sendfile", "parallel", "pipeline"]
BIG = 300_000
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """The user's own settings are not the tests'."""
    for name in [name for name in os.environ if name.startswith("PWALK_CO")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))


@pytest.fixture
def service():
    return pwalk.create_copy_service()


@pytest.fixture
def tree(tmp_path):
    """Files, directories, links, a hole, a hard link, attributes, names that are no text."""
    top = tmp_path / "source"
    (top / "big/deep").mkdir(parents=True)
    (top / "small/.git").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "big/data").write_bytes(os.urandom(BIG))
    (top / "big/deep/script").write_text("#!/bin/sh\n")
    (top / "big/deep/script").chmod(0o4755)
    (top / "small/.git/HEAD").write_text("x")
    (top / "small/link").symlink_to("../big/data")
    os.mkfifo(top / "small/fifo")
    os.link(top / "big/data", top / "small/again")
    with open(top / "holes", "wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"in the middle")
    os.setxattr(top / "holes", "user.note", b"kept")
    with open(os.fsencode(top) + b"/\xff\xfe.bin", "wb") as file:
        file.write(b"no text")
    (top / "empty").chmod(0o500)
    for path, _, names in os.walk(os.fsencode(top), topdown=False):
        for name in [*names, b"."]:
            os.utime(os.path.join(path, name), ns=(10**18 + 1, 10**18 + 123_456_789), follow_symlinks=False)
    return top


def described(top):
    """All that should be kept of a tree, by path below it."""
    top, found, files = os.fsencode(top), {}, {}
    for path, directories, names in os.walk(top):
        for name in [b".", *names, *(name for name in directories if os.path.islink(os.path.join(path, name)))]:
            full = os.path.normpath(os.path.join(path, name))
            seen = os.lstat(full)
            facts = [seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns]
            if stat.S_ISLNK(seen.st_mode):
                facts.append(os.readlink(full))
            else:
                facts.append({name: os.getxattr(full, name) for name in os.listxattr(full)} if not stat.S_ISFIFO(seen.st_mode) else {})
            if stat.S_ISREG(seen.st_mode):
                with open(full, "rb") as file:
                    facts += [file.read(), seen.st_nlink]
            relative = os.path.relpath(full, top)
            if not stat.S_ISDIR(seen.st_mode):
                # Which names are one file.
                facts.append(files.setdefault((seen.st_dev, seen.st_ino), relative) if seen.st_nlink == 1 else seen.st_nlink)
            found[relative] = facts
    return found


def cp(source, target):
    subprocess.run(["cp", "-aT", source, target], check=True)
    return described(target)


@pytest.mark.parametrize("strategy", NAMES)
@pytest.mark.parametrize("kind", [str, os.fsencode, lambda path: path])
def test_same_as_cp(tree, tmp_path, service, strategy, kind):
    done = service.copy_directory(kind(tree), kind(tmp_path / "copy"), strategy=strategy)
    assert (done.success, done.error, done.errors, done.error_count, done.verdict) == (True, None, [], 0, "COMPLETE")
    expected = cp(tree, tmp_path / "expected")
    assert described(tmp_path / "copy") == expected == described(tree)
    assert os.stat(tmp_path / "copy/big/data").st_ino == os.stat(tmp_path / "copy/small/again").st_ino
    assert os.stat(tmp_path / "copy/holes").st_blocks <= os.stat(tree / "holes").st_blocks
    assert (done.files_copied, done.directories_copied, done.hard_links) == (8, 6, 1)
    assert done.bytes_copied == BIG + 10 + 1 + (1 << 20) + 7
    assert (done.strategy_used, done.warnings, done.dry_run) == (strategy, [], False)


def test_a_result(tree, tmp_path, service):
    done = service.copy_directory(tree, tmp_path / "copy")
    assert 0 < done.elapsed_time < 60 and done.workers >= 1
    assert done.speed_mbps == pytest.approx(done.bytes_copied / done.elapsed_time / 1e6)
    assert done.speed_gbps == pytest.approx(done.bytes_copied / done.elapsed_time / 1e9)
    assert str(done).startswith("COMPLETE: 8 files  6 directories") and "success=True" in repr(done)
    with pytest.raises(dataclasses.FrozenInstanceError):
        done.success = False


def test_into_what_is_there(tree, tmp_path, service):
    target = tmp_path / "copy"
    (target / "small").mkdir(parents=True)
    (target / "small/more").write_text("stays")
    (target / "holes").write_text("replaced")
    done = service.copy_directory(tree, target)
    assert (done.success, done.replaced, done.removed) == (True, 1, 0)
    assert (target / "small/more").read_text() == "stays"
    done = service.copy_directory(tree, target, mirror=True, resume=True)
    assert (done.success, done.removed, done.already) == (True, 1, 8)
    assert described(target) == described(tree)


def test_a_link_to_a_directory_is_that_directory(tree, tmp_path, service):
    (tmp_path / "link").symlink_to("source")
    for place, source in enumerate([tmp_path / "link", f"{tree}//", os.path.relpath(tree)]):
        assert service.copy_directory(source, tmp_path / f"copy{place}").success
        assert described(tmp_path / f"copy{place}") == described(tree)


def test_what_is_left_out(tree, tmp_path, service):
    assert service.copy_directory(tree, tmp_path / "a", True).success
    assert not (tmp_path / "a/small/.git").exists() and (tmp_path / "a/small/again").exists()
    assert service.copy_directory(tree, tmp_path / "b", exclude=["big/", "*.bin"]).files_copied == 5
    assert sorted(os.listdir(tmp_path / "b")) == ["empty", "holes", "small"]
    assert service.copy_directory(tree, tmp_path / "c", exclude="small").success
    assert not (tmp_path / "c/small").exists()
    done = service.copy_directory(tree, tmp_path / "d", no_preserve=["timestamps", "xattr"])
    assert done.success and os.listxattr(tmp_path / "d/holes") == []
    assert os.stat(tmp_path / "d/holes").st_mtime_ns != os.stat(tree / "holes").st_mtime_ns


def test_existing_files(tree, tmp_path, service):
    target = tmp_path / "copy"
    target.mkdir()
    (target / "holes").write_text("mine")
    done = service.copy_directory(tree, target, existing="skip")
    assert (done.success, done.skipped, (target / "holes").read_text()) == (True, 1, "mine")
    done = service.copy_directory(tree, target, existing="fail")
    assert (done.success, done.failed) == (False, 8) and done.error_count == len(done.errors) == 8
    done = service.copy_directory(tree, target, existing="update")
    assert (done.success, (target / "holes").read_text()) == (True, "mine")
    assert (target / "empty").stat().st_mtime_ns == (tree / "empty").stat().st_mtime_ns


def test_a_dry_run_does_nothing(tree, tmp_path, service):
    done = service.copy_directory(tree, tmp_path / "copy", dry_run=True)
    assert (done.success, done.dry_run, done.files_copied) == (True, True, 8)
    assert not (tmp_path / "copy").exists() and "nothing was done" in str(done)


def test_other_wishes(tree, tmp_path):
    service = pwalk.create_copy_service(strategy="buffered", buffer_size_kb=4, max_workers=1)
    done = service.copy_directory(
        tree, tmp_path / "copy", verify=True, fsync="each", reflink="never", sparse="never", one_file_system=True,
        ignore_snapshots=False, max_iops=10**6, max_bytes_per_sec=10**9,
    )  # fmt: skip
    assert (done.success, done.workers, done.strategy_used) == (True, 1, "buffered")
    assert os.stat(tmp_path / "copy/holes").st_blocks * 512 >= 1 << 20
    done = service.copy_directory(tree, tmp_path / "sparse", sparse="always", fsync="end")
    assert done.success and described(tmp_path / "sparse") == described(tree)


# Components.


def test_components(tree, tmp_path, service):
    seen = []
    done = service.copy_directory(tree, tmp_path / "copy", False, None, seen.append, ["small", "empty"])
    assert (done.success, done.strategy_used) == (True, "pipeline")
    assert sorted(os.listdir(tmp_path / "copy")) == ["empty", "small"]
    assert (seen[-1].total_files, seen[-1].files_processed) == (4, 4)
    assert {progress.component_name for progress in seen} <= {None, "small"}
    assert service.copy_directory(tree, tmp_path / "one", components="big").success
    assert sorted(os.listdir(tmp_path / "one")) == ["big"]


def test_components_that_cannot_be(tree, tmp_path, service):
    for bad in (["nothing"], ["big", "nothing"], ["holes"], ["big/deep"], ["big", "big"], [], [""], ["\0"]):
        with pytest.raises(ValueError):
            service.copy_directory(tree, tmp_path / "copy", components=bad)
    with pytest.raises(ValueError, match="baseline"):
        service.copy_directory(tree, tmp_path / "copy", strategy="baseline", components=["big"])
    assert not (tmp_path / "copy").exists()


# What goes wrong.


def test_paths_that_cannot_be_copied(tree, tmp_path, service):
    (tmp_path / "file").write_text("")
    places = [
        (tmp_path / "missing", tmp_path / "copy", "No such file"),
        (tmp_path / "file", tmp_path / "copy", "Not a directory"),
        (tree, tmp_path / "missing/copy", "make it first"),
        (tree, tmp_path / "file", ""),
        (tree, tree, ""),
        (tree, tree / "big/copy", "into itself"),
        (tree / "big", tree / "big", ""),
    ]
    before = described(tree)
    for source in (tmp_path / "missing", os.fsencode(tmp_path / "file")):
        ((path, _),) = service.copy_directory(source, tmp_path / "copy").errors
        assert path == os.fspath(source)
    for source, target, message in places:
        done = service.copy_directory(source, target)
        assert (done.success, done.files_copied, done.verdict) == (False, 0, "PARTIAL"), (source, target)
        assert done.error and message in done.error and done.error_count >= 1, (source, target, done)
    assert described(tree) == before and not (tmp_path / "copy").exists()
    assert (tmp_path / "file").read_text() == ""


def test_an_unreadable_file_is_told_of(tree, tmp_path):
    odd = os.fsencode(tree) + b"/\xff\xfe.bin"
    os.chmod(odd, 0)
    (tree / "big/deep").chmod(0)
    program = """
import os, sys, pwalk
source, target = os.fsencode(sys.argv[1]), os.fsencode(sys.argv[2])
done = pwalk.create_copy_service().copy_directory(source, target, mirror=True)
assert (done.success, done.verdict, done.failed, done.unread) == (False, "PARTIAL", 1, 1), done
assert sorted(path for path, _ in done.errors) == [source + b"/big/deep", source + b"/\\xff\\xfe.bin"], done.errors
assert all("Permission denied" in why or "permission" in why for _, why in done.errors), done.errors
assert done.error and done.mirror_refused and len(done.warnings) == 1, done
assert os.path.getsize(target + b"/big/data") == 300_000
print(str(done))
"""
    arguments = [*UNPRIVILEGED, sys.executable, "-c", program, tree, tmp_path / "copy"]
    done = subprocess.run(arguments, capture_output=True, text=True)
    (tree / "big/deep").chmod(0o755)
    assert done.stdout.startswith("PARTIAL: 6 files") and "1 not read" in done.stdout, done.stdout + done.stderr


def test_more_errors_than_are_kept(tmp_path, service):
    (tmp_path / "source").mkdir()
    for number in range(1200):
        (tmp_path / "source" / str(number)).touch()
    assert service.copy_directory(tmp_path / "source", tmp_path / "copy").success
    done = service.copy_directory(tmp_path / "source", tmp_path / "copy", existing="fail")
    assert (done.error_count, len(done.errors), done.failed) == (1200, 1000, 1200)
    assert "1,190 more" in str(done)


@pytest.fixture
def small_disk(tmp_path):
    """A file system of one megabyte."""
    assert os.geteuid() == 0, "run the tests as root"
    place = tmp_path / "disk"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", place], check=True)
    yield place
    subprocess.run(["umount", "-l", place], check=True)


def test_a_full_target(tmp_path, small_disk, service):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(64):
        (source / str(number)).write_bytes(os.urandom(64 << 10))
    done = service.copy_directory(source, small_disk / "new")
    assert not done.success and "not enough room" in done.error
    assert done.errors == [(str(small_disk / "new"), done.error)] and os.listdir(small_disk) == []
    seen = []
    done = service.copy_directory(source, small_disk, progress_callback=seen.append)
    assert not done.success and os.strerror(errno.ENOSPC) in done.error and done.error_count >= 1
    copied = os.listdir(small_disk)
    assert 1 <= len(copied) < 64 and done.files_copied == len(copied) == seen[-1].files_processed
    assert done.bytes_copied == len(copied) << 16
    for name in copied:
        assert (small_disk / name).read_bytes() == (source / name).read_bytes()


def test_room_for_components(tmp_path, small_disk, service):
    for name, size in (("large", 4 << 20), ("small", 64 << 10)):
        (tmp_path / "source" / name).mkdir(parents=True)
        (tmp_path / "source" / name / "file").write_bytes(os.urandom(size))
    for target in (small_disk / "new", tmp_path / "source/../disk/other"):
        done = service.copy_directory(tmp_path / "source", target, components=["small"])
        assert done.success and os.path.getsize(target / "small/file") == 64 << 10, done
    done = service.copy_directory(tmp_path / "source", small_disk / "third", components=["small", "large"])
    assert not done.success and "not enough room" in done.error and not (small_disk / "third").exists()


def test_bad_calls(tree, tmp_path, service):
    target = tmp_path / "copy"
    for bad in ("", b"", "a\0b"):
        with pytest.raises(ValueError):
            service.copy_directory(bad, target)
        with pytest.raises(ValueError):
            service.copy_directory(tree, bad)
    for bad in (3, None, [tree]):
        with pytest.raises(TypeError):
            service.copy_directory(bad, target)
    wrong = [
        {"existing": "x"}, {"fsync": "x"}, {"reflink": "x"}, {"sparse": "x"}, {"no_preserve": "x"}, {"strategy": "x"},
        {"exclude": "[z-a]"}, {"max_iops": 0}, {"max_bytes_per_sec": 4095},
    ]  # fmt: skip
    for options in wrong:
        with pytest.raises(ValueError, match="x|z-a|max_"):
            service.copy_directory(tree, target, **options)
    for options in ({"progress_callback": 3}, {"exclude": [3]}, {"max_iops": "many"}, {"no_preserve": [3]}, {"existing": 3}):
        with pytest.raises(TypeError):
            service.copy_directory(tree, target, **options)
    assert not target.exists()


# Progress.


def test_progress(tree, tmp_path, service):
    seen, threads = [], set()

    def told(progress):
        seen.append(progress)
        threads.add(threading.get_ident())

    done = service.copy_directory(tree, tmp_path / "copy", progress_callback=told, max_bytes_per_sec=1 << 20)
    assert done.success and len(seen) >= 3 and threads == {threading.get_ident()}
    assert {(progress.total_files, progress.total_bytes) for progress in seen} == {(8, done.bytes_copied)}
    assert [p.bytes_copied for p in seen] == sorted(p.bytes_copied for p in seen)
    assert any(0 < p.bytes_progress_percent < 100 for p in seen)
    assert {type(p.current_file) for p in seen} <= {str, type(None)}
    last = seen[-1]
    assert (last.files_processed, last.bytes_copied) == (done.files_copied, done.bytes_copied)
    assert (last.file_progress_percent, last.bytes_progress_percent) == (100.0, 100.0)
    assert last.speed_mbps > 0 and last.component_name is None
    with pytest.raises(dataclasses.FrozenInstanceError):
        last.total_files = 3


def test_progress_of_what_is_there(tree, tmp_path, service):
    assert service.copy_directory(tree, tmp_path / "copy").success
    (tmp_path / "copy/holes").unlink()
    for options, copied in (({"resume": True}, 1 << 20), ({"existing": "skip"}, 0), ({}, BIG + 18 + (1 << 20))):
        seen = []
        done = service.copy_directory(tree, tmp_path / "copy", progress_callback=seen.append, **options)
        last = seen[-1]
        assert done.success and (last.files_processed, last.total_files, last.bytes_copied) == (8, 8, copied)
        assert (last.file_progress_percent, last.bytes_progress_percent) == (100.0, 100.0)


def test_progress_of_nothing(tmp_path, service):
    (tmp_path / "empty").mkdir()
    seen = []
    assert service.copy_directory(tmp_path / "empty", tmp_path / "copy", progress_callback=seen.append).success
    last = seen[-1]
    assert (last.total_files, last.total_bytes, last.file_progress_percent, last.bytes_progress_percent) == (0, 0, 100, 100)


def test_what_a_callback_raises_ends_the_copy(tree, tmp_path, service):
    def fail(progress):
        raise KeyError(progress.total_files)

    with pytest.raises(KeyError, match="8"):
        service.copy_directory(tree, tmp_path / "copy", progress_callback=fail, max_bytes_per_sec=1 << 16)
    assert not (tmp_path / "copy/big/data").exists(), "no name without a whole file"
    done = service.copy_directory(tree, tmp_path / "copy", resume=True)
    assert done.success and described(tmp_path / "copy") == described(tree)


@pytest.mark.parametrize("pace", [1 << 20, 4096])
def test_ctrl_c_ends_the_copy(tree, tmp_path, service, pace):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    try:
        with pytest.raises(KeyboardInterrupt):
            service.copy_directory(tree, tmp_path / "copy", max_bytes_per_sec=pace, strategy="baseline")
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)
    assert time.monotonic() - begun < 10
    for path, _, names in os.walk(tmp_path / "copy"):
        for name in set(names) - {"fifo"}:
            original = os.path.join(tree, os.path.relpath(path, tmp_path / "copy"), name)
            with open(os.path.join(path, name), "rb") as ours, open(original, "rb") as theirs:
                assert ours.read() == theirs.read()


@pytest.mark.parametrize("callback", [None, lambda _: None])
@pytest.mark.parametrize("strategy", ["auto", "pipeline"])
def test_ctrl_c_while_it_is_counted(tmp_path, service, callback, strategy):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    try:
        with pytest.raises(KeyboardInterrupt):
            service.copy_directory("/usr", tmp_path / "copy", strategy=strategy, progress_callback=callback, max_iops=20)
    finally:
        timer.join()
        signal.signal(signal.SIGINT, before)


def test_many_at_once(tree, tmp_path, service):
    results = {}

    def copy(number):
        results[number] = service.copy_directory(tree, tmp_path / f"copy{number}", progress_callback=lambda _: None)

    threads = [threading.Thread(target=copy, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 8 and all(done.success for done in results.values())
    for number in range(8):
        assert described(tmp_path / f"copy{number}") == described(tree)


def test_others_run_meanwhile(tree, tmp_path, service):
    """Python's lock is not held while it copies."""
    turns = []
    copying = threading.Thread(target=service.copy_directory, args=(tree, tmp_path / "copy"), kwargs={"max_bytes_per_sec": 1 << 20})
    copying.start()
    while copying.is_alive():
        turns.append(sum(range(1000)))
    assert len(turns) > 100


def test_the_interpreter_ends_while_a_thread_copies(tmp_path):
    program = (
        "import pwalk, sys, threading, time\n"
        "copy = lambda: pwalk.create_copy_service().copy_directory('/usr', sys.argv[1], progress_callback=print, max_iops=100)\n"
        "threading.Thread(target=copy, daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    for turn in range(5):
        done = subprocess.run([sys.executable, "-c", program, tmp_path / str(turn)], capture_output=True, text=True, timeout=60)
        assert "panicked" not in done.stderr, done.stderr


def test_after_a_fork(tree, tmp_path, service):
    assert service.copy_directory(tree, tmp_path / "parent").success
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if service.copy_directory(tree, tmp_path / "child").success else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert described(tmp_path / "child") == described(tree)


# Settings.


def test_settings_in_rising_order(tmp_path, monkeypatch):
    toml = tmp_path / "x.toml"
    toml.write_text('copy_strategy = "sendfile"\ncopy_buffer_size_kb = 16\ncopy_max_workers = 2\nother = 1\n')
    yaml = tmp_path / "x.yaml"
    yaml.write_text("copy_strategy: parallel\ncopy_max_workers: 3\n")

    def made(*arguments, **options):
        service = pwalk.create_copy_service(*arguments, **options)
        return service.strategy, service.buffer_size_kb, service.max_workers

    assert made() == ("auto", None, None)
    assert made(toml) == made(str(toml)) == made(os.fsencode(toml)) == ("sendfile", 16, 2)
    assert made(yaml) == ("parallel", None, 3)
    monkeypatch.setenv("PWALK_COPY_STRATEGY", "buffered")
    monkeypatch.setenv("PWALK_COPY_MAX_WORKERS", "5")
    assert made(toml) == ("buffered", 16, 5)
    assert made({"copy_max_workers": 7, "copy_strategy": None, "theme": "dark"}) == ("buffered", None, 7)
    assert made({"copy_strategy": "baseline"}, buffer_size_kb=64) == ("baseline", 64, 5)
    assert made({"copy_strategy": "baseline"}, strategy="pipeline", max_workers=1) == ("pipeline", None, 1)
    monkeypatch.setenv("PWALK_CONFIG", str(toml))
    assert made() == ("buffered", 16, 5)
    (tmp_path / "no settings/pwalk").mkdir(parents=True)
    monkeypatch.delenv("PWALK_CONFIG")
    (tmp_path / "no settings/pwalk/config.yaml").write_text("copy_buffer_size_kb: 8\n")
    assert made() == ("buffered", 8, 5)


def test_settings_that_cannot_be(tmp_path, monkeypatch):
    def settings(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    bad = [
        tmp_path / "missing.toml",
        settings("a.toml", "copy_strategy ="),
        settings("b.toml", "copy_max_workers = 0"),
        settings("c.toml", 'copy_buffer_size_kb = "many"'),
        settings("d.yaml", "copy_strategy: nothing"),
        {"copy_strategy": "nothing"},
        {"copy_max_workers": 0},
        {"copy_buffer_size_kb": 3},
        {"copy_workers": 3},
    ]
    for config in bad:
        with pytest.raises(ValueError, match="copy_|no strategy|settings|buffer_size_kb|max_workers"):
            pwalk.create_copy_service(config)
    for config in ({"copy_strategy": 3}, {"copy_max_workers": "3"}, 3):
        with pytest.raises(TypeError):
            pwalk.create_copy_service(config)
    for options in ({"strategy": "nothing"}, {"max_workers": 4097}, {"buffer_size_kb": 0}):
        with pytest.raises(ValueError):
            pwalk.create_copy_service(**options)
    monkeypatch.setenv("PWALK_COPY_MAX_WORKERS", "none")
    with pytest.raises(ValueError):
        pwalk.create_copy_service()


# Strategies.


class Plain:
    """Reads and writes."""

    description = "reads and writes in Python"
    prerequisites = ""

    def __init__(self, name):
        self.name = name
        self.calls = []

    def copy_file(self, source_fd, target_fd, offset, length):
        self.calls.append((offset, length))
        return os.pwrite(target_fd, os.pread(source_fd, min(length, 100_000), offset), offset)


def registered(service, strategy):
    """Strategies stay: each test has names of its own."""
    service.register_strategy(strategy)
    return strategy.name


def test_the_strategies(service):
    assert service.list_available_strategies()[:6] == pwalk.list_available_strategies()[:6] == NAMES
    for name in NAMES:
        info = service.get_strategy_info(name)
        assert info.name == name and info.description and isinstance(info.prerequisites, str)
    assert pwalk.get_strategy_info("baseline").prerequisites == ""
    with pytest.raises(ValueError, match="no strategy 'nothing'; there are auto"):
        service.get_strategy_info("nothing")


def test_a_strategy_of_ones_own(tree, tmp_path, service):
    mine = Plain("mine")
    registered(service, mine)
    assert "mine" in service.list_available_strategies()
    assert service.get_strategy_info("mine") == pwalk.StrategyInfo("mine", "reads and writes in Python", "")
    done = service.copy_directory(tree, tmp_path / "copy", strategy="mine")
    assert (done.success, done.strategy_used, done.warnings) == (True, "mine", [])
    assert described(tmp_path / "copy") == described(tree)
    assert (200_000, BIG - 200_000) in mine.calls and len(mine.calls) >= 6
    assert pwalk.create_copy_service({"copy_strategy": "mine"}).copy_directory(tree, tmp_path / "again").strategy_used == "mine"
    command = "import sys, test_copy, pwalk, pwalk._command as c; pwalk.register_strategy(test_copy.Plain('mine')); sys.exit(c.main())"
    arguments = ["copy", "--strategy", "mine", "-T", tree, tmp_path / "command"]
    subprocess.run([sys.executable, "-c", command, *arguments], check=True, cwd=os.path.dirname(__file__))
    assert described(tmp_path / "command") == described(tree)


def test_at_the_descriptors_positions(tree, tmp_path, service):
    class Sends(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            return os.write(target_fd, os.read(source_fd, min(length, 70_000)))

    name = registered(service, Sends("positions"))
    assert service.copy_directory(tree, tmp_path / "copy", strategy=name, verify=True).success
    assert described(tmp_path / "copy") == described(tree)


def test_what_cannot_be_registered(service):
    registered(service, Plain("twice"))
    with pytest.raises(ValueError, match="'?\"?twice"):
        service.register_strategy(Plain("twice"))
    for name in ("auto", "", " ", "a\nb", "\udcff"):
        with pytest.raises(ValueError):
            service.register_strategy(Plain(name))
    for broken in (Plain(3), object(), None, type("No", (), {"name": "no", "description": "", "prerequisites": ""})()):
        with pytest.raises(TypeError):
            service.register_strategy(broken)


def test_a_strategy_that_fails_for_one_file(tree, tmp_path, service):
    (tree / "marked").write_text("fails")

    class Fails(Plain):
        def __init__(self, name, error):
            super().__init__(name)
            self.error = error

        def copy_file(self, source_fd, target_fd, offset, length):
            if os.pread(source_fd, 5, 0) == b"fails":
                raise self.error
            return super().copy_file(source_fd, target_fd, offset, length)

    for number, (error, expected) in enumerate(
        [
            (PermissionError(errno.EACCES, "no"), errno.EACCES),
            (OSError("nobody knows"), errno.EIO),
            (OSError(errno.ECANCELED, "lost in silence"), errno.ECANCELED),
            (OSError(10**6, "no such number"), errno.EIO),
        ]
    ):
        name = registered(service, Fails(f"fails {number}", error))
        done = service.copy_directory(tree, tmp_path / f"copy{number}", strategy=name)
        assert (done.success, done.failed, done.files_copied) == (False, 1, 8)
        ((path, why),) = done.errors
        assert path == str(tree / "marked") and os.strerror(expected) in why and os.strerror(expected) in done.error
        assert not (tmp_path / f"copy{number}/marked").exists() and (tmp_path / f"copy{number}/holes").exists()


@pytest.mark.parametrize("answer", [None, "4", -1, 10**9, 2**70, 1.5])
def test_a_strategy_that_answers_wrong(tree, tmp_path, service, answer):
    class Wrong(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            return answer

    name = registered(service, Wrong(f"wrong {answer}"))
    with pytest.raises(ValueError, match="how many bytes"):
        service.copy_directory(tree, tmp_path / "copy", strategy=name)
    assert not (tmp_path / "copy/big/data").exists()


def test_what_a_strategy_raises(tree, tmp_path, service):
    class Breaks(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            raise ZeroDivisionError("a mistake")

    name = registered(service, Breaks("breaks"))
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        service.copy_directory(tree, tmp_path / "copy", strategy=name)
    assert not (tmp_path / "copy/big/data").exists()


def test_a_strategy_that_does_not_work_here(tree, tmp_path, service):
    class Nowhere(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            raise NotImplementedError

    class Early(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            return super().copy_file(source_fd, target_fd, offset, 1) if offset == 0 else 0

    for strategy, warnings in ((Nowhere("nowhere"), 1), (Early("early"), 0)):
        name = registered(service, strategy)
        done = service.copy_directory(tree, tmp_path / name, strategy=name)
        assert done.success and len(done.warnings) == warnings and all(name in told for told in done.warnings)
        assert described(tmp_path / name) == described(tree)


def test_a_strategy_and_zeros_that_become_holes(tree, tmp_path, service):
    (tree / "zeros").write_bytes(bytes(1 << 20))
    name = registered(service, Plain("zeros"))
    assert service.copy_directory(tree, tmp_path / "copy", strategy=name, sparse="always").success
    assert os.stat(tmp_path / "copy/zeros").st_blocks == 0


def test_a_strategy_in_many_threads(tmp_path, service):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(200):
        (source / str(number)).write_bytes(os.urandom(1000 + number))
    threads = set()

    class Counts(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            threads.add(threading.get_ident())
            ctypes.CDLL(None).usleep(2000)
            return super().copy_file(source_fd, target_fd, offset, length)

    name = registered(service, Counts("threads"))
    service = pwalk.create_copy_service(strategy=name, max_workers=4)
    assert service.copy_directory(source, tmp_path / "copy").success
    assert described(tmp_path / "copy") == described(source)
    assert threading.get_ident() not in threads and len(threads) > 1
