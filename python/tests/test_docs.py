"""The examples of the README and of ``docs/`` do what they say."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TB = 10**12


@pytest.fixture
def data(tmp_path, monkeypatch):
    """The directory ``data`` of the examples: sparse files, links, snapshots."""
    files = {
        "home/ann/corpus.bin": 4 * TB,
        "home/ann/corpus2.bin": 3 * TB,
        "home/bob/run1.h5": 2 * TB,
        "home/bob/run2.h5": 5 * TB,
        "projects/old/sim-2019.tar": 6 * TB,
        "projects/cache/index": 4096,
        "projects/cache/.git/HEAD": 20,
    }
    for name, size in files.items():
        path = tmp_path / "data" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with open(path, "wb") as file:
            os.truncate(file.fileno(), size)
    monkeypatch.chdir(tmp_path)
    return tmp_path / "data"


def test_the_readme_in_a_fresh_interpreter(data):
    """The blocks, pasted one after another, print what the comments under them say."""
    blocks = re.findall(r"^```python\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    assert len(blocks) >= 5
    interpreter = [sys.executable, "-i", "-q"]
    environment = {**os.environ, "PYTHONSTARTUP": ""}
    done = subprocess.run(interpreter, input="".join(blocks), capture_output=True, text=True, env=environment)
    expected = [line[2:] for block in blocks for line in block.splitlines() if line.startswith("# ")]
    assert done.stdout.splitlines() == expected, done.stderr
    assert "Error" not in done.stderr, done.stderr


@pytest.mark.parametrize("page", sorted(ROOT.glob("docs/*.md")), ids=lambda page: page.name)
def test_python_blocks_of_the_pages(data, page):
    """A ``python`` block prints the indented lines that follow it."""
    for block, answer in re.findall(r"^```python\n(.*?)^```\n\n((?:    [^\n]*\n)*)", page.read_text(), re.M | re.S):
        done = subprocess.run([sys.executable, "-c", block], capture_output=True, text=True)
        assert done.stdout == re.sub("^    ", "", answer, flags=re.M), done.stderr
