"""``pwalk.report``."""

import copy
import errno
import os
import pickle
import signal
import subprocess
import sys
import threading

import duckdb
import pytest

import pwalk


@pytest.fixture
def tree(tmp_path):
    """A tree of 3 directories and 20 files."""
    for name in ("tree/a", "tree/b"):
        (tmp_path / name).mkdir(parents=True)
        for number in range(10):
            (tmp_path / name / f"{number}.txt").write_text("x" * number)
    return tmp_path / "tree"


def rows(path):
    """How many rows the file has."""
    return duckdb.sql(f"select count(*) from '{path}'").fetchall()[0][0]


def test_it_unpacks(tree, monkeypatch):
    monkeypatch.chdir(tree.parent)
    output, errors = done = pwalk.report("tree")
    assert (output, errors, rows(output)) == ("scan.csv.zst", [], 23)
    assert (done.entries, done.directories, done.verdict) == (23, 3, "COMPLETE")
    assert done.bytes == sum(os.lstat(os.path.join(path, name)).st_size for path, _, names in os.walk("tree") for name in [".", *names])
    assert 0 < done.seconds < 60 and "COMPLETE" in repr(done)


@pytest.mark.parametrize(
    ("output", "options", "expected"),
    [
        ("x.csv", {}, "x.csv"),
        ("x.csv", {"compress": "zstd"}, "x.csv.zst"),
        ("x.csv", {"compress": "gzip"}, "x.csv.gz"),
        ("x.csv.gz", {}, "x.csv.gz"),
        ("x.parquet", {}, "x.parquet"),
        ("x", {"format": "parquet"}, "x"),
    ],
)
def test_outputs(tree, output, options, expected):
    path, _ = pwalk.report(tree, tree.parent / output, **options)
    assert path == str(tree.parent / expected)
    source = f"read_parquet('{path}')" if options.get("format") else f"'{path}'"
    assert duckdb.sql(f"select count(*) from {source}").fetchall() == [(23,)]


def test_what_cannot_be(tree):
    with pytest.raises(ValueError, match="Invalid compress: "):
        pwalk.report(tree, compress="lzma")
    with pytest.raises(ValueError, match="Invalid format: "):
        pwalk.report(tree, format="xml")
    with pytest.raises(OSError, match="No such file"):
        pwalk.report(tree / "nothing", tree.parent / "x.csv")
    with pytest.raises(TypeError):
        pwalk.report(3)


def test_errors_are_paths(tree):
    (tree / "a").chmod(0)
    program = "import pwalk, sys; o, e = pwalk.report(sys.argv[1], sys.argv[2]); print(e)"
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    arguments = [sys.executable, "-c", program, str(tree), str(tree.parent / "x.csv")]
    done = subprocess.run([*before, *arguments], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == repr([str(tree / "a")])


def test_several_tops_and_exclusion(tree):
    done = pwalk.report([tree / "a", tree / "b"], tree.parent / "x.parquet", exclude=["1.txt", "2.txt"])
    assert done.entries == 18


def test_progress_and_what_it_raises(tree):
    told = []
    pwalk.report(tree, tree.parent / "x.csv", progress=lambda *values: told.append(values))
    assert told[-1][:2] == (23, 3)

    def fail(*values):
        raise KeyError(values)

    with pytest.raises(KeyError):
        pwalk.report(tree, tree.parent / "x.csv", progress=fail)


def test_ctrl_c_stops_it(tree, request):
    # Where SIGINT is ignored when Python starts (a job in the background), it stays so.
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        pwalk.report(tree, tree.parent / "x.csv", max_iops=5)
    timer.join()
    assert rows(tree.parent / "x.csv") < 23, "what it had is kept"


def test_the_command(tree):
    done = subprocess.run(
        [os.path.join(os.path.dirname(sys.executable), "pwalk"), "walk", tree], capture_output=True, text=True
    )
    assert done.returncode == 0 and len(done.stdout.splitlines()) == 3, done.stderr


def test_the_other_command(tree):
    program = os.path.join(os.path.dirname(sys.executable), "pfind")
    done = subprocess.run([program, tree], capture_output=True)
    found = subprocess.run(["find", tree, "-type", "f", "-printf", "%i\t%p\n"], capture_output=True)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.splitlines()) == sorted(found.stdout.splitlines())


def test_a_report_is_a_value(tree):
    done = pwalk.report(tree, tree.parent / "x.csv")
    assert (done.output, done.errors) == tuple(done)
    for again in (copy.deepcopy(done), pickle.loads(pickle.dumps(done))):
        assert again == done and vars(again) == vars(done) and type(again) is pwalk.Report


def test_options_that_cannot_be(tree):
    target = tree.parent / "x.csv"
    for wrong in (
        {"max_iops": 0},
        {"max_iops": -1},
        {"max_threads": 0},
        {"max_threads": 5000},
        {"depth": -1},
        {"depth": 10**10},
        {"level": 10**12},
        {"exclude": "\ud800"},
    ):
        (name,) = wrong
        with pytest.raises(ValueError, match=name):
            pwalk.report(tree, target, **wrong)
        if name != "level":
            with pytest.raises(ValueError, match=name):
                pwalk.scan(tree, **wrong)
    for wrong in ({"max_threads": "2"}, {"max_threads": 2.5}, {"exclude": b"x"}, {"exclude": [1]}):
        with pytest.raises(TypeError, match=next(iter(wrong))):
            pwalk.report(tree, target, **wrong)
    for top, output in (("", target), ("a\0b", target), (b"a\0b", target), (tree, "a\0b")):
        with pytest.raises(ValueError, match="NUL"):
            pwalk.report(top, output)
    assert not target.exists()


def test_a_top_that_is_not_there(tree):
    with pytest.raises(FileNotFoundError) as raised:
        pwalk.report(tree / "no", tree.parent / "x.csv")
    assert raised.value.errno == errno.ENOENT and raised.value.filename == str(tree / "no")
