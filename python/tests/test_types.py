"""The types that the package declares are true, as mypy sees it."""

import subprocess
import sys

PROGRAM = """
import pathlib
from typing import assert_type
import pwalk

for path, directories, files in pwalk.walk("x"):
    assert_type((path, directories, files), tuple[str, list[str], list[str]])
for raw, raw_directories, raw_files in pwalk.walk(b"x"):
    assert_type(raw, bytes)
for text, more, others in pwalk.walk(pathlib.Path("x"), onerror=print, max_threads=2):
    assert_type(text, str)
output, errors = pwalk.report("x", progress=lambda entries, directories, size, wrong, current: print(entries))
assert_type(pwalk.report(["x", pathlib.Path("y")]).entries, int)


class Mine:
    name = "mine"
    description = prerequisites = ""

    def copy_file(self, source_fd: int, target_fd: int, offset: int, length: int) -> int:
        return 0


service = pwalk.create_copy_service({"copy_strategy": "auto"}, max_workers=2)
service.register_strategy(Mine())
done = service.copy_directory("x", b"y", progress_callback=lambda p: print(p.total_files + p.files_processed), components=["z"])
assert_type((done.success, done.error, done.speed_gbps), tuple[bool, str | None, float])
assert_type(service.get_strategy_info("auto").name, str)
with pwalk.Catalog("x") as catalog:
    run = catalog.scan(b"y", fingerprint="new", metadata={"a": "b"})
    assert_type((run.id, run.changes["added"]), tuple[int, tuple[int, int]])
    assert_type(catalog.changes(since=run, types="added"), pwalk.CatalogRows)
    assert_type([unread.reason for unread in catalog.errors(run)], list[str])
    assert_type(catalog.runs(pathlib.Path("y"))[0].finished.isoformat(), str)
assert_type([entry.d_name() for entry in pwalk.Directory("x")], list[str])
"""


def mypy(place, *arguments):
    return subprocess.run([sys.executable, "-m", "mypy", "--strict", *arguments], cwd=place, capture_output=True, text=True)


def test_the_package_and_what_uses_it(tmp_path):
    done = mypy(tmp_path, "-p", "pwalk")
    assert done.returncode == 0, done.stdout
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    done = mypy(tmp_path, program.name)
    assert done.returncode == 0, done.stdout
    program.write_text(PROGRAM + "pwalk.walk(3)\n")
    assert mypy(tmp_path, program.name).returncode == 1, "a mistake is one"
