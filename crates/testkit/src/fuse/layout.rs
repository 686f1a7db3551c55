//! What a synthetic file system shows: names, inodes and attributes, without a word about time or failure.

use std::time::{Duration, SystemTime};

use rustix::fs::FileType;

/// The inode number of the mounted root.
pub const ROOT: u64 = 1;

/// The attributes of an inode, as `stat` shows them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attr {
    /// Inode number; never 0, and the same as long as the file system is mounted.
    pub ino: u64,
    /// Kind of file.
    pub kind: FileType,
    /// Permission bits, 0 to 0o7777.
    pub mode: u16,
    /// Number of names.
    pub nlink: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Size in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Last access.
    pub atime: SystemTime,
    /// Last modification.
    pub mtime: SystemTime,
    /// Last change of the inode.
    pub ctime: SystemTime,
}

impl Attr {
    /// The attributes that computed layouts give: owners, sizes and times vary with the inode number alone.
    ///
    /// Directories have mode 0755 and 4,096 bytes, everything else mode 0644 and up to 1,000,002 bytes.
    pub fn synthetic(ino: u64, kind: FileType) -> Self {
        let spread = |modulus: u64| u32::try_from(ino % modulus).expect("a small modulus");
        let seconds = 1_600_000_000 + ino.wrapping_mul(2_654_435_761) % 150_000_000;
        let time = SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        let directory = kind == FileType::Directory;
        let size = if directory { 4_096 } else { ino.wrapping_mul(40_503) % 1_000_003 };
        Self {
            ino,
            kind,
            mode: if directory { 0o755 } else { 0o644 },
            nlink: if directory { 2 } else { 1 },
            uid: 1_000 + spread(7),
            gid: 1_000 + spread(5),
            size,
            blocks: size.div_ceil(4_096) * 8,
            atime: time,
            mtime: time,
            ctime: time,
        }
    }
}

/// A tree as pure functions of inode and index: nothing need be stored.
///
/// The entries of a directory are numbered from 0 and keep their numbers, so that a listing can go on at any of them.
/// `.` and `..` are not part of it; the server adds them.
pub trait Layout: Send + Sync + 'static {
    /// The attributes of an inode, `None` where there is none.
    fn attr(&self, ino: u64) -> Option<Attr>;

    /// The inode of `name` in a directory.
    fn lookup(&self, directory: u64, name: &[u8]) -> Option<u64>;

    /// Entry `index` of a directory: writes its name into `name` (which comes empty) and returns inode and kind;
    /// `None` after the last.
    fn entry(&self, directory: u64, index: u64, name: &mut Vec<u8>) -> Option<(u64, FileType)>;

    /// The directory that holds the directory `ino`; the root is its own.
    fn parent(&self, ino: u64) -> u64;

    /// The target of a symbolic link.
    fn target(&self, _ino: u64) -> Option<&[u8]> {
        None
    }

    /// Number of entries below the root, `None` when it is endless.
    fn entries(&self) -> Option<u64>;
}
