//! Which file system a directory is on, as far as walking must know.

use std::os::fd::AsFd;

use rustix::fs::fstatfs;

use crate::Errno;

/// A file system whose snapshot directories are recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FsType {
    /// Btrfs: `BTRFS_SUPER_MAGIC` in `linux/magic.h`.
    Btrfs,
    /// ZFS: `ZFS_SUPER_MAGIC` in OpenZFS.
    Zfs,
    /// GPFS (IBM Storage Scale).
    Gpfs,
    /// Any other, by its magic number.
    Other(i64),
}

/// The type of the file system that holds `fd`.
pub fn fs_type(fd: impl AsFd) -> Result<FsType, Errno> {
    #[allow(clippy::useless_conversion, reason = "the width of f_type differs between architectures")]
    let magic: i64 = i64::from(fstatfs(fd)?.f_type);
    Ok(match magic {
        0x9123_683e => FsType::Btrfs,
        0x2fc1_2fc1 => FsType::Zfs,
        0x4750_4653 => FsType::Gpfs,
        other => FsType::Other(other),
    })
}
