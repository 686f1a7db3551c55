"""What a copy must be: everything that should be kept of a tree."""

import os
import stat
import subprocess

NAMES = ["auto", "baseline", "buffered", "sendfile", "parallel", "pipeline"]
BIG = 300_000
UNPRIVILEGED = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if os.getuid() == 0 else []


def described(top):
    """All that should be kept of a tree, by path below it."""
    top, found, files = os.fsencode(top), {}, {}
    for path, directories, names in os.walk(top):
        for name in [b".", *names, *(name for name in directories if os.path.islink(os.path.join(path, name)))]:
            full = os.path.normpath(os.path.join(path, name))
            seen = os.lstat(full)
            facts = [seen.st_mode, seen.st_uid, seen.st_gid, seen.st_mtime_ns]
            if stat.S_ISLNK(seen.st_mode):
                facts.append(os.readlink(full))
            else:
                facts.append({name: os.getxattr(full, name) for name in os.listxattr(full)} if not stat.S_ISFIFO(seen.st_mode) else {})
            if stat.S_ISREG(seen.st_mode):
                with open(full, "rb") as file:
                    facts += [file.read(), seen.st_nlink]
            relative = os.path.relpath(full, top)
            if not stat.S_ISDIR(seen.st_mode):
                # Which names are one file.
                facts.append(files.setdefault((seen.st_dev, seen.st_ino), relative) if seen.st_nlink == 1 else seen.st_nlink)
            found[relative] = facts
    return found


def cp(source, target):
    subprocess.run(["cp", "-aT", source, target], check=True)
    return described(target)
