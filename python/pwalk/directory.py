"""One directory, just as ``readdir`` gives it.

>>> from pwalk.directory import DT_DIR, Directory
>>> [entry.d_name() for entry in Directory("/") if entry.d_type() == DT_DIR]
"""

from ._pwalk import Directory, Entry

#: The file system does not say.
DT_UNKNOWN = 0
#: A named pipe.
DT_FIFO = 1
#: A character device.
DT_CHR = 2
#: A directory.
DT_DIR = 4
#: A block device.
DT_BLK = 6
#: A regular file.
DT_REG = 8
#: A symbolic link.
DT_LNK = 10
#: A UNIX-domain socket.
DT_SOCK = 12

__all__ = [
    "DT_BLK",
    "DT_CHR",
    "DT_DIR",
    "DT_FIFO",
    "DT_LNK",
    "DT_REG",
    "DT_SOCK",
    "DT_UNKNOWN",
    "Directory",
    "Entry",
]
