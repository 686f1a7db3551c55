"""The command lines, run in this process."""

import signal
import sys

from ._pwalk import run_command


def main() -> int:
    """Run ``pwalk`` with the arguments of this process."""
    return _run("pwalk")


def pfind() -> int:
    """Run ``pfind`` with the arguments of this process."""
    return _run("pfind")


def _run(name: str) -> int:
    # Python's own handler only notes a Ctrl-C and waits for Python code to go on; the commands have their own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_command([name, *sys.argv[1:]])
