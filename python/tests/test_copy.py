"""``FileCopyService``: what ``cp -a`` makes, told in Python's words."""

import dataclasses
import errno
import os
import subprocess
import sys

import pytest

import pwalk
from copied import BIG, NAMES, UNPRIVILEGED, cp, described


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


def test_a_link_to_a_directory_is_filled(tree, tmp_path, service):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there")
    assert service.copy_directory(tree, tmp_path / "link").success
    assert (tmp_path / "link").is_symlink()
    assert described(tmp_path / "there") == described(tree)


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
