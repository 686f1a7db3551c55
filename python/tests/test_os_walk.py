"""``pwalk.walk`` is ``os.walk``: CPython's own tests of it, on every CPython there is, privileged and not, with few descriptors."""

import glob
import os
import pathlib
import re
import subprocess
import sys

import pytest

import pwalk

PACKAGE = pathlib.Path(pwalk.__file__).parent.parent
PROGRAM = (
    "import os, sys, pwalk, unittest; os.walk = pwalk.walk;"
    "unittest.main('test.test_os', argv=['t', 'WalkTests', 'BytesWalkTests'])"
)


def pythons():
    """Every CPython from 3.10 on that has its test suite."""
    folders = ["/usr/bin", "/usr/local/bin", *glob.glob(os.path.expanduser("~/.pyenv/versions/3.*/bin"))]
    programs = [os.path.join(folder, name) for folder in folders if os.path.isdir(folder) for name in os.listdir(folder)]
    found = {}
    for path in [sys.executable, *(path for path in sorted(programs) if re.search(r"/python3\.\d+t?$", path))]:
        asked = subprocess.run(
            [path, "-c", "import sys, test.test_os; print(*sys.version_info[:2])"], capture_output=True, text=True
        )
        version = tuple(map(int, asked.stdout.split())) if asked.returncode == 0 else ()
        if version >= (3, 10):
            found.setdefault(version, path)
    return list(found.values())


def walk_tests(tmp_path, python, before=()):
    """Runs them and returns how many there were."""
    program = f"import sys; sys.path.insert(0, {str(PACKAGE)!r}); {PROGRAM}"
    done = subprocess.run(
        [*before, python, "-W", "ignore", "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    assert "skipped" not in done.stderr or os.getuid() == 0, done.stderr
    return int(done.stderr.split("Ran ")[1].split()[0])


def test_there_is_one_to_test_with():
    assert pythons()


@pytest.mark.parametrize("python", pythons())
def test_cpython_walk_tests(tmp_path, python):
    assert walk_tests(tmp_path, python) >= 14


@pytest.mark.parametrize("python", pythons())
def test_cpython_walk_tests_with_few_descriptors(tmp_path, python):
    assert walk_tests(tmp_path, python, ["sh", "-c", 'ulimit -n 256; exec "$@"', "sh"]) >= 14


@pytest.mark.parametrize("python", pythons())
def test_cpython_walk_tests_without_the_right_to_read_everything(tmp_path, python):
    before = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []
    assert walk_tests(tmp_path, python, before) >= 14
