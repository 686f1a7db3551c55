"""What several files of tests begin with."""

import os
import signal

import pytest

import pwalk
from copied import BIG


# A job in a shell's background ignores Ctrl-C, and Python with it.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def no_settings(monkeypatch, tmp_path):
    """The user's own settings are not the tests'."""
    for name in [name for name in os.environ if name.startswith("PWALK_CO")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "no settings"))


@pytest.fixture
def service():
    return pwalk.create_copy_service()


@pytest.fixture
def tree(tmp_path):
    """Files, directories, links, a hole, a hard link, attributes, names that are no text."""
    top = tmp_path / "source"
    (top / "big/deep").mkdir(parents=True)
    (top / "small/.git").mkdir(parents=True)
    (top / "empty").mkdir()
    (top / "big/data").write_bytes(os.urandom(BIG))
    (top / "big/deep/script").write_text("#!/bin/sh\n")
    (top / "big/deep/script").chmod(0o4755)
    (top / "small/.git/HEAD").write_text("x")
    (top / "small/link").symlink_to("../big/data")
    os.mkfifo(top / "small/fifo")
    os.link(top / "big/data", top / "small/again")
    with open(top / "holes", "wb") as file:
        file.truncate(1 << 20)
        file.seek(1 << 19)
        file.write(b"in the middle")
    os.setxattr(top / "holes", "user.note", b"kept")
    with open(os.fsencode(top) + b"/\xff\xfe.bin", "wb") as file:
        file.write(b"no text")
    (top / "empty").chmod(0o500)
    for path, _, names in os.walk(os.fsencode(top), topdown=False):
        for name in [*names, b"."]:
            os.utime(os.path.join(path, name), ns=(10**18 + 1, 10**18 + 123_456_789), follow_symlinks=False)
    return top
