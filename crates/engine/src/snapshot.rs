//! Which directories are snapshots.
//!
//! A snapshot directory holds the whole tree again, once per snapshot, and to touch it can mount
//! file systems or call a tape robot. So it is left out by name, before any call on it.
//!
//! * `.snapshot` (NetApp, Isilon, Qumulo, VAST, Weka over NFS) at any depth;
//! * `.zfs` (OpenZFS `snapdir=visible`) only on ZFS;
//! * `.snapshots` on GPFS (`mmsnapdir`) only on GPFS, and on Btrfs (snapper) only where it is the
//!   root of a subvolume, whose inode is always 256 (`BTRFS_FIRST_FREE_OBJECTID`).

use std::os::fd::BorrowedFd;

use pwalk_fs::{Freshness, FsType, Kind, Links, fs_type, stat_at};

/// Whether the entry `name` in `dir` is a snapshot directory.
pub(crate) fn is_snapshot(dir: BorrowedFd<'_>, name: &[u8], kind: Kind) -> bool {
    if !matches!(kind, Kind::Dir | Kind::Unknown) {
        return false;
    }
    match name {
        b".snapshot" => true,
        b".zfs" => matches!(fs_type(dir), Ok(FsType::Zfs)),
        b".snapshots" => match fs_type(dir) {
            Ok(FsType::Gpfs) => true,
            Ok(FsType::Btrfs) => stat_at(dir, c".snapshots", Links::NoFollow, Freshness::Fresh)
                .is_ok_and(|m| m.ino == 256 && m.kind().is_dir()),
            _ => false,
        },
        _ => false,
    }
}
