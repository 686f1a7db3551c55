"""What ``os.walk`` promises beyond what CPython tests."""

import inspect
import os
import pathlib
import signal
import subprocess
import sys
import threading

import pytest

import pwalk


@pytest.fixture
def tree(tmp_path):
    """Some directories, names that are no text, links."""
    for name in ("a/b/c", "a/d", "e", "f/g/h/i"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "file").touch()
    os.makedirs(os.path.join(os.fsencode(tmp_path), b"no\xfftext", b"\xfe"))
    (tmp_path / "link").symlink_to("a")
    (tmp_path / "broken").symlink_to("nowhere")
    for path, _, _ in os.walk(os.fsencode(tmp_path), topdown=False):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return tmp_path


@pytest.mark.parametrize("topdown", [True, False])
@pytest.mark.parametrize("followlinks", [True, False])
@pytest.mark.parametrize("kind", [str, os.fsencode, pathlib.Path])
@pytest.mark.parametrize("max_threads", [None, 1, 3])
def test_same_as_os_walk(tree, topdown, followlinks, kind, max_threads):
    top = kind(tree)
    expected = list(os.walk(top, topdown, None, followlinks))
    assert list(pwalk.walk(top, topdown, None, followlinks, max_threads=max_threads)) == expected


@pytest.mark.parametrize("top", [".", "./", "a/", "./a/", "a//", "", "a/../a"])
def test_the_top_stays_as_it_was_written(tree, monkeypatch, top):
    monkeypatch.chdir(tree)
    assert list(pwalk.walk(top)) == list(os.walk(top))


def test_it_is_a_generator(tree):
    walk = pwalk.walk(tree)
    assert inspect.isgenerator(walk)
    next(walk)
    walk.close()
    with pytest.raises(StopIteration):
        next(walk)
    walk = pwalk.walk(tree)
    next(walk)
    with pytest.raises(KeyError):
        walk.throw(KeyError("x"))


def test_it_is_lazy(tmp_path):
    walk = pwalk.walk(tmp_path / "later")
    (tmp_path / "later").mkdir()
    assert [path for path, _, _ in walk] == [str(tmp_path / "later")]
    with pytest.raises(TypeError):
        next(pwalk.walk(3))


def test_the_caller_decides_what_follows(tree):
    def visit(walk):
        rows = []
        for path, dirs, files in walk(str(tree)):
            rows.append((path, list(dirs), files))
            dirs.sort(reverse=True)
            if "d" in dirs:
                dirs.remove("d")
                dirs += ["b", "../e"]
        return rows

    assert visit(pwalk.walk) == visit(os.walk)


def test_changes_between_two_steps_are_seen(tree):
    def visit(walk, place):
        rows = []
        for path, dirs, files in walk(place):
            rows.append((os.path.relpath(path, place), sorted(dirs), sorted(files)))
            dirs.sort()
            for name in list(dirs):
                if name in ("b", "g"):
                    os.rmdir(_emptied(os.path.join(path, name)))
                    os.mkdir(os.path.join(path, name))
                if name == "d":
                    open(os.path.join(path, name, "new"), "w").close()
        return rows

    def _emptied(path):
        for below, dirs, files in os.walk(path, topdown=False):
            for name in files:
                os.remove(os.path.join(below, name))
            for name in dirs:
                os.rmdir(os.path.join(below, name))
        return path

    other = tree.parent / "other"
    other.mkdir()
    os.system(f"cp -a {tree}/. {other}")
    assert visit(pwalk.walk, str(tree)) == visit(os.walk, str(other))


def test_what_onerror_raises_ends_the_walk(tree):
    def fail(error):
        raise error

    with pytest.raises(FileNotFoundError) as caught:
        list(pwalk.walk(tree / "not there", onerror=fail))
    assert caught.value.filename == str(tree / "not there")
    errors = []
    assert list(pwalk.walk(os.fsencode(tree / "a/b/c/file"), onerror=errors.append)) == []
    assert [type(error) for error in errors] == [NotADirectoryError]
    assert errors[0].filename == os.fsencode(tree / "a/b/c/file")


def test_the_audit_event_is_that_of_os_walk(tree):
    seen = []
    sys.addaudithook(lambda name, arguments: seen.append(arguments) if name == "os.walk" else None)
    next(pwalk.walk(tree, followlinks=True))
    assert seen[-1] == (tree, True, None, True)


def test_snapshots_are_left_out_unless_asked_for(tmp_path):
    (tmp_path / "x/.snapshot/daily").mkdir(parents=True)
    assert len(list(pwalk.walk(tmp_path))) == 2
    assert len(list(pwalk.walk(tmp_path, ignore_snapshots=False))) == 4


def test_many_at_once_and_in_many_threads(tree):
    expected = list(os.walk(tree))
    results = []
    threads = [threading.Thread(target=lambda: results.append(list(pwalk.walk(tree)))) for _ in range(20)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == [expected] * 20
    walks = [pwalk.walk(tree) for _ in range(200)]
    assert [list(rows) for rows in zip(*walks)] == [[row] * 200 for row in expected]


def test_after_a_fork(tmp_path):
    # The threads that read ahead are in the parent only, and may hold any lock at that moment: so many moments.
    for place in range(600):
        (tmp_path / str(place % 20) / str(place % 100) / str(place)).mkdir(parents=True)
    expected = list(os.walk(tmp_path))
    for moment in range(100):
        begun = pwalk.walk(tmp_path)
        first = [next(begun) for _ in range(moment % 50 + 1)]
        child = os.fork()
        if child == 0:
            signal.alarm(30)
            same = [*first, *begun] == expected and list(pwalk.walk(tmp_path)) == expected
            os._exit(0 if same else 1)
        assert os.waitpid(child, 0)[1] == 0
        assert [*first, *begun] == expected


def test_a_nul(tmp_path):
    (tmp_path / "d").mkdir()
    for top in ("a\0b", b"a\0b"):
        for walk in (os.walk, pwalk.walk):
            with pytest.raises(ValueError, match="null"):
                next(walk(top))
    for walk in (os.walk, pwalk.walk):
        with pytest.raises(ValueError):
            for _, directories, _ in walk(tmp_path):
                directories[:] = ["d\0"]


def test_a_circle_of_links(tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "self").symlink_to(".")

    def raised(error):
        raise error

    for topdown in (True, False):
        for threads in (1, None):
            assert list(pwalk.walk(tmp_path, topdown, raised, True, max_threads=threads)) == list(
                os.walk(tmp_path, topdown, raised, True)
            )


def test_deeper_than_a_path_can_be(tmp_path):
    at = os.open(tmp_path, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("dddd", dir_fd=at)
        below = os.open("dddd", os.O_RDONLY, dir_fd=at)
        os.close(at)
        at = below
    os.close(at)
    for threads in (1, 4, None):
        for _ in range(10):
            ours, theirs = [], []
            found = list(pwalk.walk(tmp_path, onerror=ours.append, max_threads=threads))
            assert found == list(os.walk(tmp_path, onerror=theirs.append))
            assert [(e.errno, e.filename) for e in ours] == [(e.errno, e.filename) for e in theirs]
    # rmtree of this Python may not reach the ground.
    subprocess.run(["rm", "-rf", tmp_path / "dddd"], check=True)


def test_names_where_they_are_not_utf8(tmp_path):
    (tmp_path / "é").mkdir()
    (tmp_path / "é/sub").mkdir()
    program = (
        "import os, pwalk, sys\n"
        "assert sys.getfilesystemencoding() != 'utf-8'\n"
        "top = sys.argv[1]\n"
        "assert list(pwalk.walk(top)) == list(os.walk(top))\n"
        "for _, directories, _ in pwalk.walk(top):\n"
        "    directories.append(directories[0] + '/sub') if directories else None\n"
        "assert sorted(e.d_name() for e in pwalk.Directory(top)) == sorted(['.', '..', *os.listdir(top)])\n"
    )
    plain = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    subprocess.run([sys.executable, "-c", program, tmp_path], check=True, env={**os.environ, **plain})
