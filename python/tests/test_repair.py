"""``pwalk.repair``: the command's own rules, with Python's types and exceptions."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

import pwalk

USERS = 100
ALICE = 54_321

needs_root = pytest.mark.usefixtures("as_root")


@pytest.fixture
def as_root() -> None:
    """Owners and groups are root's to change; the suite runs as root."""
    assert os.geteuid() == 0, "run the tests as root"


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    """A shared folder with one file of a private group."""
    top = tmp_path / "shared"
    top.mkdir()
    (top / "file").write_text("")
    os.chown(top, 0, USERS)
    os.chown(top / "file", ALICE, ALICE)
    top.chmod(0o2755)
    (top / "file").chmod(0o4700)
    return top


def access(path: Path) -> tuple[int, int, int]:
    seen = path.lstat()
    return seen.st_uid, seen.st_gid, stat.S_IMODE(seen.st_mode)


@needs_root
def test_a_dry_run_changes_nothing_and_says_what_it_would(shared: Path, capsys: pytest.CaptureFixture[str]) -> None:
    done = pwalk.repair(shared)
    assert (done.dry_run, done.changes, done.verdict, done.errors) == (True, 1, "COMPLETE", [])
    assert (done.entries, done.directories, done.journal) == (2, 1, None)
    assert access(shared / "file") == (ALICE, ALICE, 0o4700)
    out, err = capsys.readouterr()
    assert out.startswith("COMPLETE: 1 change would be made, nothing was changed\n") and err == ""
    assert "changes=1" in repr(done)


@needs_root
def test_applying_and_taking_back(shared: Path, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    done = pwalk.repair(os.fsencode(shared), dry_run=False, force_group_writable=True, journal=journal)
    assert (done.changes, done.failed, done.journal) == (2, 0, str(journal))
    assert access(shared / "file") == (ALICE, USERS, 0o770)
    assert access(shared) == (0, USERS, 0o2775)
    again = pwalk.repair(str(shared), False, None, True, journal=tmp_path / "again")
    assert (again.changes, again.journal) == (0, None)
    command = [sys.executable, "-c", "import pwalk._command as c; raise SystemExit(c.main())", "repair"]
    undone = [*command, "--undo", str(journal), "--journal", str(tmp_path / "undone")]
    assert subprocess.run(undone, check=False).returncode == 0
    assert access(shared / "file") == (ALICE, ALICE, 0o4700)


@needs_root
def test_plans_groups_and_excludes(shared: Path, tmp_path: Path) -> None:
    odd = os.fsencode(shared) + b"/\xff"
    os.mkdir(odd)
    os.chown(odd, ALICE, 60)
    os.chmod(odd, 0o2755)
    plan = tmp_path / "plan"
    assert pwalk.repair(shared, change_gids=[60], plan=plan).changes == 2
    assert len(plan.read_text().splitlines()) == 1 + 2 + 1
    assert pwalk.repair(shared, change_gids=["games"], exclude=odd).changes == 1
    assert pwalk.repair(shared, change_gids=["games"], exclude=[odd, shared / "file"]).changes == 0


@needs_root
def test_what_has_no_group_to_inherit_is_left(shared: Path, tmp_path: Path) -> None:
    os.chown(shared, 0, 0)
    done = pwalk.repair(shared, dry_run=False, journal=tmp_path / "journal")
    assert (done.changes, done.without_group, done.verdict) == (0, 2, "PARTIAL")
    assert access(shared / "file") == (ALICE, ALICE, 0o4700)


@needs_root
def test_who_may_not_gets_a_permission_error_before_the_first_change(shared: Path) -> None:
    call = f"import pwalk; pwalk.repair({str(shared)!r}, dry_run=False)"
    for directory in [shared, *shared.parents]:
        if directory.owner() == "root":
            directory.chmod(directory.stat().st_mode | 0o055)
    script = f"import os; os.setgroups([]); os.setgid(65534); os.setuid(65534)\n{call}"
    # What the interpreter needs is read before the rights are given up.
    script = f"import pwalk\n{script}"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert "PermissionError" in ran.stderr and "nothing was changed" in ran.stderr, ran.stderr
    assert access(shared / "file") == (ALICE, ALICE, 0o4700)


def test_bad_calls_say_what_is_wrong(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="system directory /etc"):
        pwalk.repair("/etc")
    with pytest.raises(ValueError, match="no-such-group"):
        pwalk.repair(tmp_path, change_gids=["no-such-group"])
    with pytest.raises(ValueError, match="54321"):
        pwalk.repair(tmp_path, change_gids=[54_321])
    with pytest.raises(FileNotFoundError) as caught:
        pwalk.repair(tmp_path / "missing")
    assert caught.value.filename == str(tmp_path / "missing")
    with pytest.raises(ValueError, match="max_threads"):
        pwalk.repair(tmp_path, max_threads=0)
    with pytest.raises(ValueError, match="dry run"):
        pwalk.repair(tmp_path, dry_run=False, plan="plan")
    with pytest.raises(TypeError):
        pwalk.repair([tmp_path])  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        pwalk.repair(tmp_path, change_gids=[1.5])  # type: ignore[list-item]
    with pytest.raises(OSError, match="plan"):
        pwalk.repair(tmp_path, plan=tmp_path / "missing" / "plan")
