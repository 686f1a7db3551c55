"""``pwalk.Catalog``: what ``pwalk track`` knows, with Python's types and as Arrow."""

import base64
import datetime
import json
import os
import pickle
import shutil
import signal
import stat
import subprocess
import sys
import threading
import time

import duckdb
import polars
import pyarrow
import pyarrow.parquet
import pytest

import pwalk
from process import thread_names

UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
ODD = b"/a/\xff\xfe.d\xe9"
KINDS = {stat.S_IFREG: "file", stat.S_IFDIR: "dir", stat.S_IFLNK: "symlink", stat.S_IFIFO: "fifo"}


@pytest.fixture
def tree(tmp_path):
    """Directories, links, a name that is no text."""
    top = tmp_path / "tree"
    for name in ("a/b", "c"):
        (top / name).mkdir(parents=True)
        for number in range(10):
            (top / name / f"{number}.txt").write_text("x" * number)
    with open(os.fsencode(top) + ODD, "wb") as file:
        file.write(b"odd")
    os.symlink("nowhere", top / "link")
    os.mkfifo(top / "pipe")
    return top


@pytest.fixture
def catalog(tmp_path):
    with pwalk.Catalog(tmp_path / "catalog") as catalog:
        yield catalog


def track(tmp_path, *arguments):
    """Lines of JSON that the command line says."""
    command = [sys.executable, "-c", "import pwalk._command as c; raise SystemExit(c.main())", "track", *arguments]
    done = subprocess.run([*command, "--catalog", tmp_path / "catalog"], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def rows(stream):
    """Rows as dictionaries; a path is its bytes."""
    found = pyarrow.table(stream).to_pylist()
    for row in found:
        for name in ("path", "old_path"):
            if row.get(name) is not None:
                row[name] = row.pop(f"{name}_bytes") or row[name].encode()
    return found


def summary(stream):
    return sorted((row["change_type"], row["path"]) for row in rows(stream))


def change(tree):
    """One change of nearly every type."""
    (tree / "a/b/0.txt").write_text("now there is something")
    (tree / "a/b/1.txt").unlink()
    (tree / "a/b/2.txt").chmod(0o600)
    (tree / "a/b/3.txt").rename(tree / "c/moved")
    (tree / "new").write_text("new")
    os.rename(os.fsencode(tree) + ODD, os.fsencode(tree) + b"/a/\xff")


def test_a_run_says_what_was_there(tree, catalog):
    began = datetime.datetime.now(datetime.timezone.utc)
    run = catalog.scan(tree, metadata={"ticket": "4711"}, exclude="pipe")
    paths = [tree, *(os.path.join(path, name) for path, dirs, names in os.walk(tree) for name in [*dirs, *names])]
    paths.remove(str(tree / "pipe"))
    assert (run.id, run.root, run.kind, run.verdict, run.errors) == (1, str(tree), "scan", "COMPLETE", 0)
    assert (run.entries, run.bytes) == (len(paths), sum(os.lstat(path).st_size for path in paths))
    assert run.changes["added"][0] == len(paths) and sum(count for count, _ in run.changes.values()) == len(paths)
    files = [path for path in paths if not os.path.isdir(path)]
    assert run.changes["added"][1] == sum(os.lstat(path).st_size for path in files)
    assert began - datetime.timedelta(milliseconds=1) <= run.started <= run.finished and run.finished.utcoffset() == datetime.timedelta(0)
    assert run.finished_ns // 1000 == (run.finished - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)) // datetime.timedelta(microseconds=1)
    assert (run.metadata, run.warnings, run.pruned, run.hashed_files) == ({"ticket": "4711"}, (), False, 0)
    assert run.options["exclude"] == ["pipe"], run.options
    assert catalog.runs() == [run] == catalog.runs(tree) and catalog.runs(tree / "a") == [] == catalog.errors(run)
    assert pickle.loads(pickle.dumps(run)) == run and len({run, run}) == 1
    assert str(run).startswith(f"COMPLETE: run 1 of '{tree}': 26 added\n"), str(run)
    with pytest.raises(AttributeError):
        run.id = 2


def test_changes_are_those_of_the_command_line(tree, catalog, tmp_path):
    catalog.scan(tree)
    change(tree)
    run = catalog.scan(tree)
    listed = track(tmp_path, "changes", "--json")
    for row in listed:
        for name in ("path", "old_path"):
            exact = row.pop(f"{name}_bytes", None)
            row[name] = base64.b64decode(exact) if exact else row[name] and row[name].encode()
    table = pyarrow.table(catalog.changes())
    found = rows(table)
    for row in found:
        assert row["new_mtime"] is None or row["new_mtime"].tzinfo is not None
    plain = ("run", "change_type", "path", "old_path", "kind", "old_kind", "old_size", "new_size", "confidence", "old_inode", "new_inode", "old_uid", "new_gid")
    assert [[row[name] for name in plain] for row in found] == [[row[name] for name in plain] for row in listed]
    assert {row["run"] for row in found} == {run.id}
    counts = {name: table["change_type"].to_pylist().count(name) for name in run.changes}
    assert counts == {name: count for name, (count, _) in run.changes.items()}
    assert counts["moved"] == 2 and counts["modified"] == counts["removed"] == counts["added"] == counts["metadata"] == 1
    # The file has the same columns but for the run's number.
    command = [sys.executable, "-c", "import pwalk._command as c; raise SystemExit(c.main())", "track", "changes", "-o", "x.parquet"]
    subprocess.run([*command, "--catalog", tmp_path / "catalog"], cwd=tmp_path, check=True)
    assert table.schema.names[0] == "run"
    assert table.equals(pyarrow.parquet.read_table(tmp_path / "x.parquet"))


def test_which_changes(tree, catalog):
    first = catalog.scan(tree)
    middle = datetime.datetime.now()
    change(tree)
    second = catalog.scan(tree)
    other = catalog.scan(tree / "c")
    top, last = os.fsencode(tree), summary(catalog.changes(since=first, path=tree / "a"))
    assert {path for _, path in last} == {top + b"/a/b/0.txt", top + b"/a/b/1.txt", top + b"/a/b/2.txt", top + b"/c/moved", top + b"/a/\xff"}
    assert summary(catalog.changes(since=second)) == [("added", top + b"/c" + name) for name in sorted([b"", b"/moved", *(b"/%d.txt" % n for n in range(10))])]
    assert len(rows(catalog.changes(since=0))) == sum(count for run in (first, second, other) for count, _ in run.changes.values())
    assert summary(catalog.changes(types="removed", since=1)) == [("removed", top + b"/a/b/1.txt")]
    assert summary(catalog.changes(1, bytes(tree / "new"), ["added", "removed"])) == [("added", top + b"/new")]
    both = summary(catalog.changes(since=1))
    assert summary(catalog.changes(since=middle)) == summary(catalog.changes(since=middle.astimezone())) == both
    assert summary(catalog.changes(since=middle.isoformat())) == both
    assert len(summary(catalog.changes(since=datetime.date.today() - datetime.timedelta(1)))) == len(rows(catalog.changes("7d"))) > len(both)
    assert len(rows(catalog.changes())) == len(both), "the last run of each root"
    assert rows(catalog.changes("0s")) == []


def test_entries_are_what_the_system_says(tree, catalog):
    run = catalog.scan(tree, fingerprint="new", hash="xxh3")
    found = rows(catalog.entries(tree))
    walked = [os.fsencode(tree), *(os.path.join(path, name) for path, dirs, names in os.walk(os.fsencode(tree)) for name in [*dirs, *names])]
    assert sorted(row["path"] for row in found) == sorted(walked)
    for row in found:
        seen = os.lstat(row["path"])
        facts = (seen.st_ino, seen.st_dev, seen.st_size, seen.st_mode, seen.st_uid, seen.st_gid)
        assert (row["inode"], row["dev"], row["size"], row["mode"], row["uid"], row["gid"]) == facts
        assert row["type"] == KINDS[stat.S_IFMT(seen.st_mode)] and row["run"] == run.id
        assert (row["fingerprint"] is not None) == (row["type"] == "file") == (row["hashed_at"] is not None)
        assert "is_racy" not in row and "to_run" not in row
    times = pyarrow.table(catalog.entries(tree)).select(["mtime", "ctime"]).cast(pyarrow.schema([("mtime", "int64"), ("ctime", "int64")]))
    for row, exact in zip(found, times.to_pylist()):
        seen = os.lstat(row["path"])
        assert (exact["mtime"], exact["ctime"]) == (seen.st_mtime_ns, seen.st_ctime_ns)
    assert run.hashed_files == 21 and run.hashed_bytes == 93
    change(tree)
    assert rows(catalog.entries(tree)) == found, "a catalog knows what was scanned"
    second = catalog.scan(tree)
    assert rows(catalog.entries(tree, at=run)) == rows(catalog.ls(tree, run.finished + datetime.timedelta(microseconds=1))) == found
    paths = [row["path"] for row in rows(catalog.entries(tree / "c", at=second.id))]
    assert len(paths) == 12 and paths[0] == os.fsencode(tree / "c")
    assert [row["path"] for row in rows(catalog.entries(os.fsencode(tree) + b"/a/\xff"))] == [os.fsencode(tree) + b"/a/\xff"]


def test_a_report_is_that_of_the_command_line(tree, catalog, tmp_path):
    catalog.scan(tree)
    change(tree)
    with open(os.fsencode(tree) + b"/x.\xff", "w"):
        pass
    catalog.scan(tree)
    command = [sys.executable, "-c", "import pwalk._command as c; raise SystemExit(c.main())", "track", "report", "--format", "csv"]
    for options, arguments in [
        ({}, []),
        ({"by": "dir", "depth": 2, "since": 1}, ["--by", "dir", "--depth", "2", "--since", "1"]),
        ({"by": "user", "period": "day"}, ["--by", "user", "--daily"]),
        ({"by": "extension", "period": "week", "path": tree / "a"}, ["--by", "extension", "--weekly", "--path", tree / "a"]),
        ({"by": "group"}, ["--by", "group"]),
        ({"since": "0s"}, ["--since", "0s"]),
    ]:
        said = subprocess.run([*command, *arguments, "--catalog", tmp_path / "catalog"], capture_output=True, text=True, check=True)
        heading, *lines = said.stdout.splitlines()
        table = pyarrow.table(catalog.report(**options))
        assert table.drop_columns("group_bytes").schema.names == heading.split(",")
        ours = [",".join("" if v is None else str(v) for v in row.values()) for row in table.drop_columns("group_bytes").to_pylist()]
        assert ours == lines
    by_extension = pyarrow.table(catalog.report(by="extension")).to_pylist()
    assert [row["group_bytes"] for row in by_extension if row["group_bytes"]] == [b"d\xe9", b"\xff"]
    assert sum(row["growth_bytes"] for row in by_extension) == sum(
        os.lstat(os.path.join(path, name)).st_size for path, _, names in os.walk(tree) for name in names
    )


def test_everybody_reads_it(tree, catalog):
    catalog.scan(tree)
    changes, files, report = catalog.changes(), catalog.entries(tree), catalog.report(by="extension")
    assert duckdb.sql("SELECT count(*), count(path_bytes) FROM changes WHERE kind = 'file'").fetchall() == [(21, 1)]
    assert duckdb.sql("SELECT count(*) FROM changes JOIN files USING (path) JOIN report ON added = 6").fetchall() == [(27,)]
    assert polars.DataFrame(changes).shape == (27, 25) and polars.DataFrame(report).height == 3
    assert polars.DataFrame(files)["size"].sum() == catalog.runs()[0].bytes
    assert pyarrow.schema(changes) == pyarrow.table(changes).schema and repr(changes).endswith(".changes(None, None, None)")
    connection = duckdb.connect()
    connection.execute(catalog.duckdb_sql())
    assert connection.sql("SELECT count(*) FROM files").fetchall() == [(27,)]


def test_many_changes_in_bounded_batches(tmp_path, catalog):
    for number in range(30_000):
        os.mknod(tmp_path / f"{number}")
    run = catalog.scan(tmp_path, exclude="catalog/")
    for stream in (catalog.changes(), catalog.entries(tmp_path)):
        batches = list(pyarrow.RecordBatchReader.from_stream(stream))
        assert len(batches) > 3 and sum(batch.num_rows for batch in batches) == run.entries
    reader = pyarrow.RecordBatchReader.from_stream(catalog.changes())
    assert next(reader).num_rows > 0
    # Who reads slowly keeps nobody from scanning.
    assert catalog.scan(tmp_path, exclude="catalog/").changes["added"] == (0, 0)
    assert sum(batch.num_rows for batch in reader) + 8192 == run.entries
    half = pyarrow.RecordBatchReader.from_stream(catalog.entries(tmp_path))
    next(half)
    del half
    begun = time.monotonic()
    while "pwalk-stream" in thread_names():
        assert time.monotonic() - begun < 5


def test_verifying(tree, catalog):
    run = catalog.scan(tree, fingerprint="new")
    assert catalog.verify(tree, older_than="1d").entries == 0
    done = catalog.verify(tree / "c", max_files=3)
    assert (done.kind, done.entries, done.changes["bitrot"], done.root) == ("verify", 3, (0, 0), str(tree)) and done.id > run.id
    assert [run.kind for run in catalog.runs()] == ["scan", "verify", "verify"]
    raw = catalog.verify(bytes(tree), max_bytes=10**6, hash_threads=1, older_than=datetime.datetime.now())
    assert (raw.root, raw.hashed_files, raw.hashed_bytes) == (bytes(tree), 21, 93)
    assert catalog.verify(tree, max_bytes=1).entries < 21
    with pytest.raises(ValueError, match="older_than"):
        catalog.verify(tree, older_than=3)
    with pytest.raises(LookupError, match="no scan of"):
        catalog.verify(tree.parent)


def test_what_rots_is_found(tmp_path, catalog, request):
    assert os.geteuid() == 0, "run the tests as root: a file rots in an image that is mounted"
    image, top = tmp_path / "image", tmp_path / "mounted"
    top.mkdir()
    with open(image, "wb") as file:
        file.truncate(16 << 20)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    request.addfinalizer(lambda: subprocess.run(["umount", top], capture_output=True))
    subprocess.run(["mount", "-o", "loop", image, top], check=True)
    for name in (b"good", b"rots"):
        (top / os.fsdecode(name)).write_bytes(name * 10_000)
    catalog.scan(top, fingerprint="new")
    while catalog.scan(top, fingerprint="new").hashed_files:
        pass  # What was read too soon after it was written is read again.
    known = {row["path"]: row["fingerprint"] for row in rows(catalog.entries(top))}
    subprocess.run(["umount", top], check=True)
    content = image.read_bytes()
    assert content.count(b"rots" * 10_000) == 1
    image.write_bytes(content.replace(b"rots" * 10_000, b"rust" + b"rots" * 9_999))
    subprocess.run(["mount", "-o", "loop", image, top], check=True)
    run = catalog.verify(top)
    assert (run.verdict, run.changes["bitrot"]) == ("COMPLETE", (1, 40_000)) and "1 bitrot" in str(run)
    (rotten,) = rows(catalog.changes())
    assert (rotten["change_type"], rotten["path"], rotten["run"]) == ("bitrot", os.fsencode(top / "rots"), run.id)
    assert rotten["old_fingerprint"] == known[rotten["path"]] != rotten["new_fingerprint"]
    assert {row["path"]: row["fingerprint"] for row in rows(catalog.entries(top))} == known
    subprocess.run(["umount", top], check=True)


def test_what_is_refused(tree, catalog):
    catalog.scan(tree)
    known = rows(catalog.entries(tree))
    shutil.rmtree(tree / "a")
    shutil.rmtree(tree / "c")
    with pytest.raises(pwalk.RefusedError, match="accept_mass_delete=True") as caught:
        catalog.scan(tree)
    assert caught.value.option == "accept_mass_delete" and "are gone" in str(caught.value)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
    os.rename(tree, tree.parent / "elsewhere")
    with pytest.raises(pwalk.RefusedError, match="is missing") as caught:
        catalog.scan(str(tree))
    assert caught.value.option == "accept_new_root"
    tree.mkdir()
    with pytest.raises(pwalk.RefusedError):
        catalog.scan(tree)
    assert len(catalog.runs()) == 1 and rows(catalog.entries(tree)) == known
    run = catalog.scan(tree, accept_new_root=True, accept_mass_delete=True)
    assert run.entries == 1 and run.changes["removed"][0] == 26 and catalog.runs()[-1] == run


def test_what_could_not_be_read(tree, tmp_path):
    program = """
import sys, pwalk
catalog = pwalk.Catalog(sys.argv[1])
for root in (sys.argv[2], sys.argv[2].encode()):
    run = catalog.scan(root)
    print(run.verdict, run.errors, run.changes["unseen"][0], catalog.errors(run), catalog.errors(run.id)[0].path)
"""
    pwalk.Catalog(tmp_path / "catalog").scan(tree)
    (tree / "a").chmod(0)
    try:
        command = [*UNPRIVILEGED, sys.executable, "-c", program, tmp_path / "catalog", tree]
        done = subprocess.run(command, capture_output=True, text=True)
    finally:
        (tree / "a").chmod(0o755)
    text, raw = done.stdout.splitlines()
    assert text.startswith("PARTIAL 1 12 [Unread(path='") and text.endswith(f"reason='denied')] {tree}/a"), done.stdout + done.stderr
    assert "path=b'" in raw and raw.startswith("PARTIAL 1 12 ")


def test_bad_calls_say_what_is_wrong(tree, catalog, tmp_path):
    catalog.scan(tree)
    with pytest.raises(FileNotFoundError) as missing:
        catalog.scan(tmp_path / "nothing")
    assert missing.value.filename == str(tmp_path / "nothing")
    with pytest.raises(NotADirectoryError):
        catalog.scan(tree / "c/1.txt")
    for wrong in (
        lambda: catalog.scan(tree, fingerprint="some"),
        lambda: catalog.scan(tree, hash="md5"),
        lambda: catalog.scan(tree, max_threads=0),
        lambda: catalog.scan(tree, metadata={"": "x"}),
        lambda: catalog.changes("soon"),
        lambda: catalog.changes(types=["added", "burnt"]),
        lambda: catalog.report(by="colour"),
        lambda: catalog.report(period="year"),
        lambda: catalog.report(depth=0),
        lambda: catalog.prune(0),
        lambda: catalog.scan(""),
        lambda: pwalk.Catalog("postgresql://host:port/x"),
    ):
        with pytest.raises(ValueError):
            wrong()
    for wrong in (
        lambda: catalog.scan([tree]),
        lambda: catalog.scan(3),
        lambda: catalog.scan(tree, metadata={"x": 3}),
        lambda: catalog.scan(tree, progress=3),
        lambda: catalog.changes(True),
        lambda: catalog.changes(1.5),
        lambda: pwalk.Catalog(3),
    ):
        with pytest.raises(TypeError):
            wrong()
    for wrong in (
        lambda: catalog.entries(tmp_path),
        lambda: catalog.entries(tree, at="2001-01-01"),
        lambda: catalog.errors(17),
    ):
        with pytest.raises(LookupError):
            wrong()
    with pytest.raises(Exception, match="nothing at"):
        pyarrow.table(catalog.entries(tree / "never"))
    with pytest.raises(OSError):
        pwalk.Catalog(tree / "c/1.txt")
    with pytest.raises(OSError):
        pwalk.Catalog(tree / "c/1.txt/below")
    changes = catalog.changes()
    catalog.close()
    with pytest.raises(ValueError, match="closed"):
        catalog.runs()
    assert pyarrow.table(changes).num_rows == 27


def test_pruning(tree, catalog):
    first = catalog.scan(tree)
    for number in range(3):
        (tree / f"more {number}").touch()
        catalog.scan(tree)
    assert catalog.prune(2) == 2 and catalog.prune("1d") == 0
    assert [run.pruned for run in catalog.runs()] == [True, True, False, False]
    with pytest.raises(LookupError, match="pruned"):
        catalog.changes(since=first)
    assert len(rows(catalog.changes(since=2))) == 2 and pyarrow.table(catalog.entries(tree)).num_rows == 30
    with pytest.raises(LookupError, match="pruned"):
        catalog.entries(tree, at=first)


def test_the_default_catalog_is_that_of_the_command_line(tree, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    catalog = pwalk.Catalog()
    assert catalog.location == str(tmp_path / "data/pwalk/catalog") and repr(catalog) == f"pwalk.Catalog({catalog.location!r})"
    catalog.scan(tree)
    command = [sys.executable, "-c", "import pwalk._command as c; raise SystemExit(c.main())", "track", "runs", "--json"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert json.loads(said)["entries"] == 27
    settings = tmp_path / "track.toml"
    settings.write_text(f'[general]\ncatalog = "{tmp_path}/named"\ncolour = "red"\n')
    monkeypatch.setenv("PWALK_CONFIG", str(settings))
    with pytest.warns(UserWarning, match="colour"):
        assert pwalk.Catalog().location == str(tmp_path / "named")
    monkeypatch.chdir(tmp_path)
    relative = pwalk.Catalog("relative")
    monkeypatch.chdir(tree)
    assert relative.runs() == [] and (tmp_path / "relative/catalog.sqlite").exists()


def test_progress(tree, catalog):
    seen, threads = [], set()

    def told(*numbers):
        seen.append(numbers)
        threads.add(threading.get_ident())

    run = catalog.scan(bytes(tree), progress=told, max_iops=30)
    assert run.root == bytes(tree) and threads == {threading.get_ident()}
    assert [numbers[0] for numbers in seen] == sorted(numbers[0] for numbers in seen)
    assert {type(numbers[4]) for numbers in seen} <= {bytes, type(None)}

    def fail(*_):
        raise KeyError("enough")

    with pytest.raises(KeyError, match="enough"):
        catalog.scan(tree, progress=fail, max_iops=30)
    assert len(catalog.runs()) == 1


@pytest.mark.parametrize("options", [{"max_iops": 5}, {"fingerprint": "all", "max_bytes_per_sec": 20, "hash_threads": 1}])
def test_ctrl_c_leaves_the_catalog_as_it_was(tree, catalog, options):
    catalog.scan(tree)
    known = rows(catalog.entries(tree))
    (tree / "large").write_bytes(os.urandom(1 << 20))
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        catalog.scan(tree, **options)
    timer.join()
    assert time.monotonic() - begun < 10
    assert len(catalog.runs()) == 1 and rows(catalog.entries(tree)) == known
    assert catalog.scan(tree).changes["added"] == (1, 1 << 20)


def test_several_threads(tree, catalog):
    """Each has its own root; readers are not kept waiting, nor is anybody stuck."""
    roots = [tree / "a", tree / "c", tree]
    failed = []

    def work(root):
        try:
            for number in range(5):
                (root / f"new {number}").touch()
                catalog.scan(root)
                assert pyarrow.table(catalog.changes(since=0, path=root)).num_rows > 0
                assert pyarrow.table(catalog.report(by="dir")).num_rows > 0
                catalog.runs()
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=work, args=(root,)) for root in roots]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert sorted(run.id for run in catalog.runs()) == list(range(1, 16))
    assert catalog.scan(tree).verdict == "COMPLETE"


def test_one_root_is_scanned_by_one_at_a_time(tree, catalog):
    begun = threading.Event()
    options = {"max_iops": 20, "progress": lambda *_: begun.set()}
    scanning = threading.Thread(target=catalog.scan, args=(tree,), kwargs=options)
    scanning.start()
    assert begun.wait(10)
    with pytest.raises(BlockingIOError, match="being scanned"):
        catalog.scan(tree)
    assert catalog.runs() == [] and scanning.is_alive(), "neither Python's lock nor the catalog is held while it scans"
    scanning.join()
    assert catalog.scan(tree).changes["added"] == (0, 0)


def test_ctrl_c_while_it_is_verified(tree, catalog):
    catalog.scan(tree, fingerprint="new")
    timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
    timer.start()
    begun = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        catalog.verify(tree, max_bytes_per_sec=5)
    timer.join()
    assert time.monotonic() - begun < 10 and len(catalog.runs()) == 1


def test_after_a_fork(tree, catalog):
    catalog.scan(tree)
    child = os.fork()
    if child == 0:
        signal.alarm(30)
        os._exit(0 if catalog.scan(tree).verdict == "COMPLETE" and catalog.changes() is not None else 1)
    assert os.waitpid(child, 0)[1] == 0
    assert len(catalog.runs()) == 2


def test_the_interpreter_ends_while_a_thread_scans(tmp_path):
    program = (
        "import pwalk, pyarrow, sys, threading, time\n"
        "catalog = pwalk.Catalog(sys.argv[1])\n"
        "threading.Thread(target=lambda: catalog.scan('/usr', max_iops=100), daemon=True).start()\n"
        "time.sleep(0.3)\n"
    )
    for _ in range(3):
        done = subprocess.run([sys.executable, "-c", program, tmp_path / "catalog"], capture_output=True, text=True, timeout=60)
        assert "panicked" not in done.stderr, done.stderr
    assert pwalk.Catalog(tmp_path / "catalog").runs() == []
