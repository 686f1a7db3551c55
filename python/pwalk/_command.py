"""The command line, run in this process."""

import signal
import sys

from ._pwalk import run_command


def main() -> int:
    """Run ``pwalk`` with the arguments of this process."""
    # Python's own handler only notes a Ctrl-C and waits for Python code to go on; the command has its own.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return run_command(["pwalk", *sys.argv[1:]])
