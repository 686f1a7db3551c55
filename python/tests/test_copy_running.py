"""A copy while it runs: progress, Ctrl-C, threads, forks."""

import dataclasses
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

import pwalk
from copied import BIG, described


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
