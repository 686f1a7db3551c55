//! Entries that are not ordinary files, or whose attributes are not ordinary.

use std::path::Path;

use rustix::fs::{self, AtFlags, FileType, Timespec, Timestamps};
use rustix::io::Errno;

use super::at::At;

/// The size in bytes that [`sparse`] asks for: 10 TB, below ext4's limit of 16 TiB.
pub const SPARSE_BYTES: u64 = 10_000_000_000_000;

/// A fifo `fifo` and a socket `socket` (no process behind either: opening the fifo for reading blocks for ever).
/// Returns the number of entries, 2.
pub fn fifo_and_socket(root: &Path) -> u64 {
    let at = At::open(root);
    at.node("fifo", FileType::Fifo, 0);
    at.node("socket", FileType::Socket, 0);
    2
}

/// What [`devices`] makes: name, kind, major and minor number. The numbers are of `null`, a loop device that no
/// system has, and the largest that Linux encodes (12 and 20 bits).
pub const DEVICES: [(&str, FileType, u32, u32); 3] = [
    ("null", FileType::CharacterDevice, 1, 3),
    ("block", FileType::BlockDevice, 7, 1_000_000),
    ("largest", FileType::CharacterDevice, 4_095, 1_048_575),
];

/// The [`DEVICES`]. Returns the number of entries, or `None` where the kernel refuses device nodes to this user
/// (then nothing was made).
pub fn devices(root: &Path) -> Option<u64> {
    let at = At::open(root);
    let mut made = 0;
    for (name, kind, major, minor) in DEVICES {
        match at.try_node(name.as_bytes(), kind, fs::makedev(major, minor)) {
            Ok(()) => made += 1,
            Err(Errno::PERM) if made == 0 => return None,
            Err(e) => panic!("mknodat {name}: {e}"),
        }
    }
    Some(made)
}

/// A file `sparse` of [`SPARSE_BYTES`] that occupies no blocks, or of the largest power-of-two fraction that the file
/// system takes. Returns its size in bytes.
pub fn sparse(root: &Path) -> u64 {
    let file = At::open(root).create(b"sparse");
    let mut bytes = SPARSE_BYTES;
    loop {
        match fs::ftruncate(&file, bytes) {
            Ok(()) => return bytes,
            Err(Errno::FBIG | Errno::INVAL) if bytes > 1 << 30 => bytes /= 2,
            Err(e) => panic!("ftruncate sparse to {bytes}: {e}"),
        }
    }
}

/// Entries that permission bits close to their owner. Returns the number of entries, 8.
///
/// `locked/` mode 000 with `inside`; `secret` a file of mode 000; `listable/` mode 0444 with `inside` (its names can
/// be read but not stat'ed); `searchable/` mode 0111 with `inside` (it cannot be listed, but a known name works);
/// `open` an ordinary file.
pub fn unreadable(root: &Path) -> u64 {
    let at = At::open(root);
    for (name, mode) in [("locked", 0o000), ("listable", 0o444), ("searchable", 0o111)] {
        at.subdir(name).content("inside", b"x");
        at.chmod(name, mode);
    }
    at.content("secret", b"secret\n");
    at.chmod("secret", 0);
    at.content("open", b"open\n");
    8
}

/// A modification time as asked for and as the file system kept it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredTime {
    /// The file's name in the root.
    pub name: String,
    /// Seconds since 1970 that were asked for.
    pub asked: i64,
    /// Seconds since 1970 that `stat` reports; file systems clamp (ext4 with 256-byte inodes: 1901 to 2446).
    pub stored: i64,
    /// Nanoseconds that `stat` reports, 0 to 999,999,999, counted upward also before 1970.
    pub nanoseconds: i64,
}

/// Files with access and modification times from before 1970 to far in the future. Returns what is stored.
pub fn times(root: &Path) -> Vec<StoredTime> {
    let at = At::open(root);
    let moments: [(&str, i64, i64); 10] = [
        ("epoch", 0, 0),
        ("before-epoch", -1, 999_999_999),
        ("1969", -86_400, 1),
        ("1901", i64::from(i32::MIN), 0),
        ("1900", -2_208_988_800, 0),
        ("2038", i64::from(i32::MAX) + 1, 123_456_789),
        ("2106", i64::from(u32::MAX) + 1, 0),
        ("2262", 9_223_372_036, 854_775_807), // the last that fits i64 nanoseconds, and one that does not:
        ("2263", 9_250_000_000, 1),
        ("year-10000", 253_402_300_800, 0),
    ];
    let set = |(name, asked, nanoseconds): (&str, i64, i64)| {
        at.content(name, b"x");
        let time = Timespec { tv_sec: asked, tv_nsec: nanoseconds };
        fs::utimensat(&at.0, name, &Timestamps { last_access: time, last_modification: time }, AtFlags::empty())
            .unwrap_or_else(|e| panic!("utimensat {name} to {asked}: {e}"));
        let stat = fs::statat(&at.0, name, AtFlags::SYMLINK_NOFOLLOW).unwrap_or_else(|e| panic!("statat {name}: {e}"));
        let nanoseconds = i64::try_from(stat.st_mtime_nsec).expect("below a second");
        StoredTime { name: name.to_owned(), asked, stored: stat.st_mtime, nanoseconds }
    };
    moments.into_iter().map(set).collect()
}

/// Empty directories and empty files, alone and nested. Returns the number of entries.
pub fn empties(root: &Path) -> u64 {
    let at = At::open(root);
    at.mkdir("empty");
    at.file("empty-file");
    let nested = at.subdir("only-directories");
    nested.mkdir("a");
    nested.subdir("b").subdir("c").mkdir("d");
    at.subdir("only-an-empty-file").file("empty-file");
    9
}

/// Snapshot directories as storage servers show them, and names that only look like one. Returns the number of
/// entries, those inside `.snapshot` directories included.
///
/// `.snapshot/` and `project/.snapshot/` hold `hourly.0/file`; `file-named/.snapshot` is a regular file;
/// `zfs/.zfs/snapshot/s1/file` and `snapper/.snapshots/1/file` are ordinary directories on an ordinary file system;
/// `near/.snapshotx`, `near/snapshot`, `near/.Snapshot` are directories with a file.
pub fn snapshots(root: &Path) -> u64 {
    let at = At::open(root);
    let mut entries = 0;
    let mut chain = |names: &[&str]| {
        let mut dir = At::open(root);
        for name in names {
            if let Ok(stat) = fs::statat(&dir.0, *name, AtFlags::SYMLINK_NOFOLLOW) {
                assert!(FileType::from_raw_mode(stat.st_mode) == FileType::Directory, "{name} is no directory");
                dir = dir.child(name);
                continue;
            }
            dir = dir.subdir(name);
            entries += 1;
        }
        dir.content("file", b"old\n");
        entries += 1;
    };
    chain(&[".snapshot", "hourly.0"]);
    chain(&["project", ".snapshot", "hourly.0"]);
    chain(&["project"]);
    chain(&["zfs", ".zfs", "snapshot", "s1"]);
    chain(&["snapper", ".snapshots", "1"]);
    chain(&["near", ".snapshotx"]);
    chain(&["near", "snapshot"]);
    chain(&["near", ".Snapshot"]);
    at.subdir("file-named").content(".snapshot", b"just a file\n");
    entries + 2
}
