"""``pwalk.Directory`` and ``pwalk.Entry``."""

import os

import pytest

import pwalk
from pwalk import directory


def test_entries_are_those_of_readdir(tmp_path):
    (tmp_path / "sub").mkdir()
    (tmp_path / "file").touch()
    (tmp_path / "link").symlink_to("file")
    os.mkfifo(tmp_path / "fifo")
    found = pwalk.Directory(tmp_path)
    assert found.path() == str(tmp_path)
    entries = {entry.d_name(): entry for entry in found}
    kinds = {name: entry.d_type() for name, entry in entries.items()}
    assert kinds == {
        ".": pwalk.DT_DIR,
        "..": pwalk.DT_DIR,
        "sub": pwalk.DT_DIR,
        "file": pwalk.DT_REG,
        "link": pwalk.DT_LNK,
        "fifo": pwalk.DT_FIFO,
    }
    assert entries["file"].d_ino() == os.lstat(tmp_path / "file").st_ino
    assert entries["file"].path() == str(tmp_path)
    assert entries["file"].directory() is None and entries["link"].directory() is None
    assert entries["sub"].directory().path() == str(tmp_path / "sub")
    assert len(list(found)) == len(list(found)) == 6, "each iteration starts anew"


def test_how_it_looks(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    os.mkdir("dist")
    dist = next(entry for entry in pwalk.Directory(".") if entry.d_name() == "dist")
    assert repr(dist) == f"<Entry(path='.', d_ino={os.stat('dist').st_ino}, d_type=DT_DIR, d_name='dist')>"
    assert repr(pwalk.Directory(".")) == "<Directory(path='.')>"


def test_opening(tmp_path):
    (tmp_path / "a/b").mkdir(parents=True)
    found = pwalk.Directory(os.fsencode(tmp_path)).open(b"a").open(b"b")
    assert found.path() == os.fsencode(tmp_path / "a/b")
    (tmp_path / "a").rename(tmp_path / "c")
    assert sorted(entry.d_name() for entry in found) == [b".", b".."], "it is still that directory"
    with pytest.raises(FileNotFoundError) as caught:
        pwalk.Directory(tmp_path).open("missing")
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(NotADirectoryError):
        (tmp_path / "file").touch()
        pwalk.Directory(tmp_path / "file")
    with pytest.raises(ValueError):
        pwalk.Directory(tmp_path).open("c/b")
    with pytest.raises(TypeError):
        pwalk.Directory(3)


def test_many_entries(tmp_path):
    names = {f"{number:0100}" for number in range(3000)}
    for name in names:
        (tmp_path / name).touch()
    assert {entry.d_name() for entry in directory.Directory(tmp_path)} == names | {".", ".."}
