"""``pwalk.create_benchmark_runner``: what is measured, checked and written, with Python's ways of walking among it."""

from __future__ import annotations

import json
import os
import signal
import threading
import xml.etree.ElementTree
from pathlib import Path

import pytest

import pwalk

PYTHON = ["os.walk", "os.scandir", "Path.rglob"]
STRATEGIES = ["baseline", "auto", "buffered", "sendfile", "parallel", "pipeline"]


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Two components and a file beside them: 9 entries with the top."""
    top = tmp_path / "source"
    for name in ["a/one", "a/deep/two", "b/three", "four"]:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        (top / name).write_bytes(b"x" * 1000)
    (top / "link").symlink_to("a")
    return top


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A directory for copies."""
    place = tmp_path / "target"
    place.mkdir()
    return place


def test_all_of_it(source: Path, target: Path, tmp_path: Path) -> None:
    output = tmp_path / "output"
    runner = pwalk.create_benchmark_runner(output, iterations=2, target=target)
    results = runner.run_comprehensive(source, components=["a", "b"])
    assert list(results) == ["traversal", "copy_strategies", "parallel_workers", "pipeline"]
    methods = {operation: [result.method for result in found] for operation, found in results.items()}
    assert methods["traversal"][-3:] == PYTHON and "engine-stat-adaptive" in methods["traversal"]
    assert methods["copy_strategies"] == STRATEGIES
    assert methods["parallel_workers"] == ["baseline", *(f"parallel-{n}" for n in (1, 2, 4, 8, 16))]
    assert methods["pipeline"] == ["baseline", "auto", "pipeline"]
    for operation, found in results.items():
        for result in found:
            assert (result.operation, result.errors, result.failed) == (operation, [], False)
            assert len(result.durations) == 2 and result.duration is not None
            assert result.min is not None and result.max is not None and result.min <= result.duration <= result.max
            assert result.throughput_mbps is not None and result.throughput_mbps > 0
            assert result.peak_memory is not None and result.peak_memory > 1_000_000
            assert str(result) == result.speed_summary and result.method in repr(result)
    assert {result.file_count for result in results["traversal"]} == {9}
    assert {(result.file_count, result.total_size) for result in results["copy_strategies"]} == {(5, 4000)}
    assert {(result.file_count, result.total_size) for result in results["pipeline"]} == {(3, 3000)}
    assert not any(target.iterdir())
    written, page = map(Path, runner.output_files)
    assert sorted(output.iterdir()) == sorted([written, page])
    sections = json.loads(written.read_text())["sections"]
    assert [row["method"] for row in sections[0]["methods"]] == methods["traversal"]
    assert len(xml.etree.ElementTree.parse(page).findall(".//svg")) == 4


def test_one_at_a_time(source: Path, target: Path) -> None:
    runner = pwalk.create_benchmark_runner(iterations=1, target=os.fsencode(target))
    assert len(runner.benchmark_traversal(os.fsencode(source))) > len(PYTHON)
    assert [result.method for result in runner.benchmark_copy_strategies(str(source))] == STRATEGIES
    assert len(runner.benchmark_parallel_workers(source / "a")) == 6
    assert [result.file_count for result in runner.benchmark_pipeline(source, ["b"])] == [1, 1, 1]
    assert [result.file_count for result in runner.benchmark_pipeline(source)] == [5, 5, 5]
    assert runner.output_files == [] and not any(target.iterdir())


def test_what_cannot_be(source: Path, target: Path, tmp_path: Path) -> None:
    runner = pwalk.create_benchmark_runner(iterations=1, target=target)
    with pytest.raises(FileNotFoundError):
        runner.benchmark_traversal(tmp_path / "none")
    with pytest.raises(NotADirectoryError):
        runner.benchmark_traversal(source / "four")
    with pytest.raises(ValueError, match="no sub-directory"):
        runner.benchmark_pipeline(source, ["four"])
    with pytest.raises(TypeError, match="several"):
        runner.benchmark_pipeline(source, "a")
    with pytest.raises(OSError, match="in the source"):
        pwalk.create_benchmark_runner(target=source).benchmark_copy_strategies(source)
    with pytest.raises(ValueError, match="iterations"):
        pwalk.create_benchmark_runner(iterations=0)
    with pytest.raises(ValueError, match="output_dir"):
        pwalk.create_benchmark_runner("")
    assert not any(target.iterdir())


def test_an_interrupt_is_one(source: Path, target: Path) -> None:
    runner = pwalk.create_benchmark_runner(iterations=1000, target=target)

    def interrupt() -> None:
        while not any(target.iterdir()):
            pass
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with pytest.raises(KeyboardInterrupt):
        runner.benchmark_copy_strategies(source)
    thread.join()
    assert not any(target.iterdir())
