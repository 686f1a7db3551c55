"""``pwalk.scan``: the rows of a report as an Arrow stream."""

import os
import signal
import subprocess
import sys
import threading
import time

import duckdb
import pandas
import polars
import pyarrow
import pyarrow.parquet
import pytest

import pwalk
from process import thread_names

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []


@pytest.fixture
def tree(tmp_path):
    """Directories, links, a name that is no text, times that are unusual, an owner without a name."""
    top = tmp_path / "tree"
    for name in ("a/b", "c"):
        (top / name).mkdir(parents=True)
        for number in range(10):
            (top / name / f"{number}.txt").write_text("x" * number)
    with open(os.fsencode(top) + b"/a/\xff\xfe.d\xe9", "w"):
        pass
    (top / "grün.tar.gz").touch()
    os.utime(top / "grün.tar.gz", ns=(-1_500_000_001, 4_000_000_000_123_456_789))
    os.symlink("nowhere", top / "link")
    os.mkfifo(top / "pipe")
    if os.getuid() == 0:
        os.chown(top / "c/1.txt", 4_000_000_001, 4_000_000_002)
    return top


def test_it_is_the_parquet_report(tree):
    path, _ = pwalk.report(tree, tree.parent / "x.parquet")
    files = pwalk.scan(tree)
    table = pyarrow.table(files)
    expected = pyarrow.parquet.read_table(path)
    assert table.schema.equals(expected.schema), "names, types, and which may be null"
    # Two files have the same path as text, perhaps; their inodes differ.
    order = [("path", "ascending"), ("inode", "ascending")]
    # The first walk may have set times of access of directories.
    table, expected = (one.drop_columns("atime").sort_by(order) for one in (table, expected))
    assert table.equals(expected)
    assert (files.entries, files.directories, files.verdict, files.errors) == (28, 4, "COMPLETE", [])
    assert files.bytes == sum(table["size"].to_pylist()) and files.seconds > 0
    assert b"/a/\xff\xfe.d\xe9" in table.filter(pyarrow.compute.is_valid(table["path_bytes"]))["path_bytes"][0].as_py()


def test_many_rows_and_columns_across_batches(tmp_path):
    for number in range(40):
        directory = tmp_path / f"directory {number}"
        directory.mkdir()
        for name in range(1000):
            os.mknod(directory / f"{name}.{number % 7}")
    paths = sorted(os.path.join(path, name) for path, dirs, names in os.walk(tmp_path) for name in [*dirs, *names])
    files = pwalk.scan(tmp_path)
    reader = pyarrow.RecordBatchReader.from_stream(files)
    batches = list(reader)
    assert len(batches) > 1
    table = pyarrow.Table.from_batches(batches)
    assert sorted(table["path"].to_pylist()) == sorted([str(tmp_path), *paths])
    assert table["inode"].to_pylist() == [os.lstat(path).st_ino for path in table["path"].to_pylist()]


def test_everybody_reads_it(tree):
    files = pwalk.scan(tree)
    assert duckdb.sql("SELECT count(*), count(path_bytes) FROM files WHERE type = 'file'").fetchall() == [(22, 1)]
    assert polars.DataFrame(files).shape == (28, 27)
    assert polars.from_arrow(files).struct.unnest().shape == (28, 27), "from_arrow makes any stream a series"
    assert pandas.DataFrame.from_arrow(files).shape == (28, 27)
    largest = duckdb.sql("SELECT a.name FROM files a JOIN files b USING (path) ORDER BY a.size DESC, a.name LIMIT 1").fetchall()
    assert len(largest) == 1, "two scans in one query"


def test_nobody_needs_pyarrow(tree):
    program = """
import sys
sys.modules["pyarrow"] = None
import duckdb, polars, pwalk
files = pwalk.scan(sys.argv[1])
print(duckdb.sql("SELECT sum(size) FROM files WHERE type = 'file'").fetchall()[0][0], polars.DataFrame(files).height)
"""
    done = subprocess.run([sys.executable, "-c", program, tree], capture_output=True, text=True, check=True)
    assert done.stdout == "90 28\n"


def test_each_reader_has_a_new_scan(tree):
    files = pwalk.scan(tree)
    assert (files.entries, files.verdict, files.errors) == (None, None, None), "nothing is read yet"
    (tree / "later").touch()
    assert pyarrow.table(files).num_rows == 29
    (tree / "later").unlink()
    assert pyarrow.table(files).num_rows == files.entries == 28


def test_options(tree):
    assert polars.DataFrame(pwalk.scan([tree / "a", tree / "c"], exclude="*.txt")).height == 4
    assert polars.DataFrame(pwalk.scan(bytes(tree), depth=1, max_threads=1)).height == 18
    with pytest.raises(FileNotFoundError):
        pwalk.scan(tree / "nothing")
    with pytest.raises(ValueError, match="glob|pattern|range"):
        pwalk.scan(tree, exclude="[z-a]")
    with pytest.raises(TypeError):
        pwalk.scan(3)


def test_what_is_missing_is_told(tree):
    (tree / "a").chmod(0)
    program = """
import sys, warnings, polars, pwalk
files = pwalk.scan(sys.argv[1])
with warnings.catch_warnings(record=True) as told:
    warnings.simplefilter("always")
    height = polars.DataFrame(files).height
print(height, files.verdict, files.errors == [sys.argv[1] + "/a"], [w.category.__name__ for w in told], told[0].message)
"""
    arguments = [*UNPRIVILEGED, sys.executable, "-c", program, tree]
    done = subprocess.run(arguments, capture_output=True, text=True)
    assert done.stdout.startswith("16 PARTIAL True ['PartialWarning'] pwalk.scan("), done.stdout + done.stderr
    (tree / "a").chmod(0o755)


def test_a_top_that_goes_is_an_error(tree):
    files = pwalk.scan(tree / "c")
    os.rename(tree / "c", tree / "d")
    with pytest.raises(Exception, match="No such file"):
        pyarrow.table(files)


def test_who_stops_reading_stops_the_walk(tree):
    for number in range(60_000):
        os.mknod(tree / "c" / f"node {number}")
    reader = pyarrow.RecordBatchReader.from_stream(pwalk.scan([tree] * 10))
    assert next(reader).num_rows > 0
    assert "pwalk-stream" in thread_names(), "the walk waits for its reader"
    del reader
    begun = time.monotonic()
    while "pwalk-stream" in thread_names():
        assert time.monotonic() - begun < 5


def test_ctrl_c_stops_it(tree, request):
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, before))
    for read in (pyarrow.table, polars.DataFrame):
        timer = threading.Timer(0.5, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            # The reader says in its own words that the stream broke; what was pressed comes next.
            try:
                read(pwalk.scan(tree, max_iops=2))
            finally:
                while time.monotonic() - begun < 5:
                    pass
        assert time.monotonic() - begun < 3
        timer.join()


def test_a_warning_made_an_error_is_one(tree):
    (tree / "a").chmod(0)
    program = """
import sys, warnings, pyarrow, pwalk
warnings.simplefilter("error")
try:
    pyarrow.table(pwalk.scan(sys.argv[1]))
except Exception as error:
    print("PARTIAL" in str(error))
"""
    done = subprocess.run([*UNPRIVILEGED, sys.executable, "-c", program, tree], capture_output=True, text=True)
    assert done.stdout == "True\n", done.stderr
    (tree / "a").chmod(0o755)


def test_the_interpreter_ends_while_a_thread_reads():
    program = (
        "import pwalk, pyarrow, threading, time\n"
        "threading.Thread(target=lambda: pyarrow.table(pwalk.scan('/usr', max_iops=100)), daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    for _ in range(5):
        done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
        assert "panicked" not in done.stderr, done.stderr


def test_what_a_signal_handler_raises(tree):
    class Alarm(Exception):
        pass

    def ring(*_):
        raise Alarm("it rang")

    before = signal.signal(signal.SIGALRM, ring)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.5)
        with pytest.raises(Exception, match="it rang"):
            pyarrow.table(pwalk.scan("/usr", max_iops=50))
    finally:
        signal.signal(signal.SIGALRM, before)
