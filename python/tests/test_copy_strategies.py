"""Settings of copies, and strategies of one's own."""

import ctypes
import errno
import os
import subprocess
import sys
import threading

import pytest

import pwalk
from copied import BIG, NAMES, described


# Settings.


def test_settings_in_rising_order(tmp_path, monkeypatch):
    toml = tmp_path / "x.toml"
    toml.write_text('copy_strategy = "sendfile"\ncopy_buffer_size_kb = 16\ncopy_max_workers = 2\nother = 1\n')
    yaml = tmp_path / "x.yaml"
    yaml.write_text("copy_strategy: parallel\ncopy_max_workers: 3\n")

    def made(*arguments, **options):
        service = pwalk.create_copy_service(*arguments, **options)
        return service.strategy, service.buffer_size_kb, service.max_workers

    assert made() == ("auto", None, None)
    assert made(toml) == made(str(toml)) == made(os.fsencode(toml)) == ("sendfile", 16, 2)
    assert made(yaml) == ("parallel", None, 3)
    monkeypatch.setenv("PWALK_COPY_STRATEGY", "buffered")
    monkeypatch.setenv("PWALK_COPY_MAX_WORKERS", "5")
    assert made(toml) == ("buffered", 16, 5)
    assert made({"copy_max_workers": 7, "copy_strategy": None, "theme": "dark"}) == ("buffered", None, 7)
    assert made({"copy_strategy": "baseline"}, buffer_size_kb=64) == ("baseline", 64, 5)
    assert made({"copy_strategy": "baseline"}, strategy="pipeline", max_workers=1) == ("pipeline", None, 1)
    monkeypatch.setenv("PWALK_CONFIG", str(toml))
    assert made() == ("buffered", 16, 5)
    (tmp_path / "no settings/pwalk").mkdir(parents=True)
    monkeypatch.delenv("PWALK_CONFIG")
    (tmp_path / "no settings/pwalk/config.yaml").write_text("copy_buffer_size_kb: 8\n")
    assert made() == ("buffered", 8, 5)


def test_settings_that_cannot_be(tmp_path, monkeypatch):
    def settings(name, text):
        (tmp_path / name).write_text(text)
        return tmp_path / name

    bad = [
        tmp_path / "missing.toml",
        settings("a.toml", "copy_strategy ="),
        settings("b.toml", "copy_max_workers = 0"),
        settings("c.toml", 'copy_buffer_size_kb = "many"'),
        settings("d.yaml", "copy_strategy: nothing"),
        {"copy_strategy": "nothing"},
        {"copy_max_workers": 0},
        {"copy_buffer_size_kb": 3},
        {"copy_workers": 3},
    ]
    for config in bad:
        with pytest.raises(ValueError, match="copy_|no strategy|settings|buffer_size_kb|max_workers"):
            pwalk.create_copy_service(config)
    for config in ({"copy_strategy": 3}, {"copy_max_workers": "3"}, 3):
        with pytest.raises(TypeError):
            pwalk.create_copy_service(config)
    for options in ({"strategy": "nothing"}, {"max_workers": 4097}, {"buffer_size_kb": 0}):
        with pytest.raises(ValueError):
            pwalk.create_copy_service(**options)
    monkeypatch.setenv("PWALK_COPY_MAX_WORKERS", "none")
    with pytest.raises(ValueError):
        pwalk.create_copy_service()


# Strategies.


class Plain:
    """Reads and writes."""

    description = "reads and writes in Python"
    prerequisites = ""

    def __init__(self, name):
        self.name = name
        self.calls = []

    def copy_file(self, source_fd, target_fd, offset, length):
        self.calls.append((offset, length))
        return os.pwrite(target_fd, os.pread(source_fd, min(length, 100_000), offset), offset)


def registered(service, strategy):
    """Strategies stay: each test has names of its own."""
    service.register_strategy(strategy)
    return strategy.name


def test_the_strategies(service):
    assert service.list_available_strategies()[:6] == pwalk.list_available_strategies()[:6] == NAMES
    for name in NAMES:
        info = service.get_strategy_info(name)
        assert info.name == name and info.description and isinstance(info.prerequisites, str)
    assert pwalk.get_strategy_info("baseline").prerequisites == ""
    with pytest.raises(ValueError, match="no strategy 'nothing'; there are auto"):
        service.get_strategy_info("nothing")


def test_a_strategy_of_ones_own(tree, tmp_path, service):
    mine = Plain("mine")
    registered(service, mine)
    assert "mine" in service.list_available_strategies()
    assert service.get_strategy_info("mine") == pwalk.StrategyInfo("mine", "reads and writes in Python", "")
    done = service.copy_directory(tree, tmp_path / "copy", strategy="mine")
    assert (done.success, done.strategy_used, done.warnings) == (True, "mine", [])
    assert described(tmp_path / "copy") == described(tree)
    assert (200_000, BIG - 200_000) in mine.calls and len(mine.calls) >= 6
    assert pwalk.create_copy_service({"copy_strategy": "mine"}).copy_directory(tree, tmp_path / "again").strategy_used == "mine"
    command = "import sys, test_copy_strategies, pwalk, pwalk._command as c; pwalk.register_strategy(test_copy_strategies.Plain('mine')); sys.exit(c.main())"
    arguments = ["copy", "--strategy", "mine", "-T", tree, tmp_path / "command"]
    subprocess.run([sys.executable, "-c", command, *arguments], check=True, cwd=os.path.dirname(__file__))
    assert described(tmp_path / "command") == described(tree)


def test_at_the_descriptors_positions(tree, tmp_path, service):
    class Sends(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            return os.write(target_fd, os.read(source_fd, min(length, 70_000)))

    name = registered(service, Sends("positions"))
    assert service.copy_directory(tree, tmp_path / "copy", strategy=name, verify=True).success
    assert described(tmp_path / "copy") == described(tree)


def test_what_cannot_be_registered(service):
    registered(service, Plain("twice"))
    with pytest.raises(ValueError, match="'?\"?twice"):
        service.register_strategy(Plain("twice"))
    for name in ("auto", "", " ", "a\nb", "\udcff"):
        with pytest.raises(ValueError):
            service.register_strategy(Plain(name))
    for broken in (Plain(3), object(), None, type("No", (), {"name": "no", "description": "", "prerequisites": ""})()):
        with pytest.raises(TypeError):
            service.register_strategy(broken)


def test_a_strategy_that_fails_for_one_file(tree, tmp_path, service):
    (tree / "marked").write_text("fails")

    class Fails(Plain):
        def __init__(self, name, error):
            super().__init__(name)
            self.error = error

        def copy_file(self, source_fd, target_fd, offset, length):
            if os.pread(source_fd, 5, 0) == b"fails":
                raise self.error
            return super().copy_file(source_fd, target_fd, offset, length)

    for number, (error, expected) in enumerate(
        [
            (PermissionError(errno.EACCES, "no"), errno.EACCES),
            (OSError("nobody knows"), errno.EIO),
            (OSError(errno.ECANCELED, "lost in silence"), errno.ECANCELED),
            (OSError(10**6, "no such number"), errno.EIO),
        ]
    ):
        name = registered(service, Fails(f"fails {number}", error))
        done = service.copy_directory(tree, tmp_path / f"copy{number}", strategy=name)
        assert (done.success, done.failed, done.files_copied) == (False, 1, 8)
        ((path, why),) = done.errors
        assert path == str(tree / "marked") and os.strerror(expected) in why and os.strerror(expected) in done.error
        assert not (tmp_path / f"copy{number}/marked").exists() and (tmp_path / f"copy{number}/holes").exists()


@pytest.mark.parametrize("answer", [None, "4", -1, 10**9, 2**70, 1.5])
def test_a_strategy_that_answers_wrong(tree, tmp_path, service, answer):
    class Wrong(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            return answer

    name = registered(service, Wrong(f"wrong {answer}"))
    with pytest.raises(ValueError, match="how many bytes"):
        service.copy_directory(tree, tmp_path / "copy", strategy=name)
    assert not (tmp_path / "copy/big/data").exists()


def test_what_a_strategy_raises(tree, tmp_path, service):
    class Breaks(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            raise ZeroDivisionError("a mistake")

    name = registered(service, Breaks("breaks"))
    with pytest.raises(ZeroDivisionError, match="a mistake"):
        service.copy_directory(tree, tmp_path / "copy", strategy=name)
    assert not (tmp_path / "copy/big/data").exists()


def test_a_strategy_that_does_not_work_here(tree, tmp_path, service):
    class Nowhere(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            raise NotImplementedError

    class Early(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            return super().copy_file(source_fd, target_fd, offset, 1) if offset == 0 else 0

    for strategy, warnings in ((Nowhere("nowhere"), 1), (Early("early"), 0)):
        name = registered(service, strategy)
        done = service.copy_directory(tree, tmp_path / name, strategy=name)
        assert done.success and len(done.warnings) == warnings and all(name in told for told in done.warnings)
        assert described(tmp_path / name) == described(tree)


def test_a_strategy_and_zeros_that_become_holes(tree, tmp_path, service):
    (tree / "zeros").write_bytes(bytes(1 << 20))
    name = registered(service, Plain("zeros"))
    assert service.copy_directory(tree, tmp_path / "copy", strategy=name, sparse="always").success
    assert os.stat(tmp_path / "copy/zeros").st_blocks == 0


def test_a_strategy_in_many_threads(tmp_path, service):
    source = tmp_path / "source"
    source.mkdir()
    for number in range(200):
        (source / str(number)).write_bytes(os.urandom(1000 + number))
    threads = set()

    class Counts(Plain):
        def copy_file(self, source_fd, target_fd, offset, length):
            threads.add(threading.get_ident())
            ctypes.CDLL(None).usleep(2000)
            return super().copy_file(source_fd, target_fd, offset, length)

    name = registered(service, Counts("threads"))
    service = pwalk.create_copy_service(strategy=name, max_workers=4)
    assert service.copy_directory(source, tmp_path / "copy").success
    assert described(tmp_path / "copy") == described(source)
    assert threading.get_ident() not in threads and len(threads) > 1
