"""``pwalk.Catalog`` in PostgreSQL: the same answers as from a directory."""

import glob
import os
import shutil
import subprocess
import tempfile

import pyarrow
import pytest

import pwalk

# The server refuses to run as root.
UNPRIVILEGED = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--"] if os.getuid() == 0 else []


@pytest.fixture(scope="module")
def server():
    """A server of its own, reached through a socket: a URL without a database."""
    version = max(glob.glob("/usr/lib/postgresql/*/bin/initdb"), key=lambda path: int(path.split("/")[4]), default=None)
    programs = os.path.dirname(version or shutil.which("initdb"))
    # Its path is that of a socket, which must be short.
    home = tempfile.mkdtemp(prefix="pwalk-pg-", dir="/tmp")
    if os.getuid() == 0:
        os.chown(home, 65534, 65534)
    data, log = f"{home}/data", f"{home}/log"

    def command(name, *arguments):
        subprocess.run([*UNPRIVILEGED, f"{programs}/{name}", *arguments], cwd=home, check=True, stdout=subprocess.DEVNULL)

    command("initdb", "--auth=trust", "--username=postgres", "--encoding=UTF8", "--no-sync", "-D", data)
    options = f"-k {home} -c listen_addresses='' -c fsync=off"
    command("pg_ctl", "start", "--wait", "-D", data, "-l", log, "-o", options)
    yield f"postgresql://postgres@/{{}}?host={home}"
    command("pg_ctl", "stop", "--mode=immediate", "-D", data)
    shutil.rmtree(home)


@pytest.fixture
def both(server, tmp_path):
    """A catalog in the database, which is new, and one in a directory."""
    database = "c" + os.urandom(6).hex()
    url = server.format("postgres")
    subprocess.run(["psql", "-Xq", "-d", url, "-c", f"create database {database}"], check=True)
    with pwalk.Catalog(server.format(database), init=True) as kept, pwalk.Catalog(tmp_path / "catalog") as local:
        yield kept, local


def same(stream, other, without=()):
    """Both have the same rows, whatever numbers their runs have."""
    one, two = (pyarrow.table(of).drop_columns(list(without)) for of in (stream, other))
    assert one.schema == two.schema
    key = str
    assert sorted(one.to_pylist(), key=key) == sorted(two.to_pylist(), key=key)
    return one.num_rows


def test_both_catalogs_give_the_same_answers(both, tmp_path):
    tree = tmp_path / "tree"
    (tree / "a/b").mkdir(parents=True)
    for number in range(20):
        (tree / "a/b" / f"{number}.txt").write_text("x" * number)
    with open(os.fsencode(tree) + b"/\xff '\"\\\n", "wb") as file:
        file.write(b"odd")
    for catalog in both:
        run = catalog.scan(tree, fingerprint="all", metadata={"by": "test"})
        assert run.verdict == "COMPLETE" and run.entries == 24
    (tree / "a/b/1.txt").write_text("other")
    (tree / "a/b/2.txt").unlink()
    (tree / "a/b").rename(tree / "c")
    for catalog in both:
        assert catalog.scan(tree, fingerprint="new").verdict == "COMPLETE"
    kept, local = both
    assert same(kept.changes(), local.changes()) == 3
    assert same(kept.changes(since=0), local.changes(since=0)) == 27
    assert same(kept.changes(run=2, types="removed"), local.changes(run=2, types="removed")) == 1
    assert same(kept.entries(tree), local.entries(tree), ["hashed_at"]) == 23
    assert same(kept.entries(tree, at=1), local.entries(tree, at=1), ["hashed_at"]) == 24
    assert same(kept.report(by="extension"), local.report(by="extension")) > 0
    for catalog in both:
        assert catalog.verify(tree).verdict == "COMPLETE"
        assert [run.id for run in catalog.runs()] == [1, 2, 3]
        assert catalog.runs()[0].metadata == {"by": "test"}


def test_what_is_wrong_is_said(server, both, tmp_path):
    with pytest.raises(OSError, match="nobody_made_it"):
        pwalk.Catalog(server.format("nobody_made_it"), init=True)
    with pytest.raises(LookupError, match="make one there with init=True"):
        pwalk.Catalog(server.format("postgres"))
    kept, _ = both
    with pytest.raises(LookupError):
        kept.entries(tmp_path)
    with pytest.raises(FileNotFoundError):
        kept.scan(tmp_path / "nowhere")
