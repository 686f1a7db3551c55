//! The metadata of one entry: the `statx` fields that the field reports, in their own widths.
//!
//! `statx` and not `fstatat`, because it alone gives the birth time, says whether the entry is the
//! root of a mount, and can be told to answer from a network file system's attribute cache.
//! A smaller `statx` mask was measured and gains nothing on a local file system.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{AtFlags, CWD, Statx, StatxAttributes, StatxFlags, StatxTimestamp, fstat, makedev, statx};
use rustix::io::retry_on_intr;

use crate::{Errno, Kind};

/// A point in time: seconds since 1970 (may be negative) and nanoseconds (0 to 999,999,999).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time {
    /// Whole seconds since the epoch, rounded towards the past.
    pub sec: i64,
    /// Nanoseconds after `sec`.
    pub nsec: u32,
}

/// The metadata of one entry. Sizes are bytes, blocks are 512 bytes each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Meta {
    /// Inode number.
    pub ino: u64,
    /// Apparent size in bytes.
    pub size: u64,
    /// Allocated blocks of 512 bytes.
    pub blocks: u64,
    /// Device that holds the entry, as glibc's `st_dev`.
    pub dev: u64,
    /// Device that the entry is (character and block devices), as glibc's `st_rdev`.
    pub rdev: u64,
    /// Type and permission bits, as `st_mode`.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Number of hard links.
    pub nlink: u32,
    /// Last access.
    pub atime: Time,
    /// Last change of the content.
    pub mtime: Time,
    /// Last change of the inode.
    pub ctime: Time,
    /// Birth, where the file system keeps it.
    pub btime: Option<Time>,
    /// Whether a file system is mounted here: `None` where the kernel (before 5.8) does not say.
    pub mount_root: Option<bool>,
}

impl Meta {
    /// The type that the mode says.
    pub fn kind(&self) -> Kind {
        Kind::from_mode(self.mode)
    }

    /// Device and inode: what identifies a file while it exists.
    pub fn id(&self) -> (u64, u64) {
        (self.dev, self.ino)
    }
}

/// Whether a symbolic link is described itself or what it leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Links {
    /// The link itself.
    NoFollow,
    /// What the link leads to.
    Follow,
}

/// How current attributes must be on a network file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Freshness {
    /// As `stat` does: the file system decides when to ask its server.
    #[default]
    Fresh,
    /// `AT_STATX_DONT_SYNC`: whatever is cached, even if stale.
    Cached,
}

/// Describes `name` in the directory `dir`. Never triggers an automount.
#[inline]
pub fn stat_at(dir: BorrowedFd<'_>, name: &CStr, links: Links, fresh: Freshness) -> Result<Meta, Errno> {
    let mut flags = AtFlags::NO_AUTOMOUNT;
    if links == Links::NoFollow {
        flags |= AtFlags::SYMLINK_NOFOLLOW;
    }
    if fresh == Freshness::Cached {
        flags |= AtFlags::STATX_DONT_SYNC;
    }
    retry_on_intr(|| statx(dir, name, flags, WANTED)).map(|s| Meta::from(&s))
}

/// Describes what an open descriptor refers to.
pub fn stat_fd(fd: impl AsFd, fresh: Freshness) -> Result<Meta, Errno> {
    let mut flags = AtFlags::EMPTY_PATH;
    if fresh == Freshness::Cached {
        flags |= AtFlags::STATX_DONT_SYNC;
    }
    retry_on_intr(|| statx(&fd, c"", flags, WANTED)).map(|s| Meta::from(&s))
}

/// Describes what an open descriptor refers to by `fstat`: faster than [`stat_fd`], for who looks often, and without
/// birth time and mount.
///
/// # Errors
/// What the kernel says.
#[allow(clippy::useless_conversion, reason = "the kernel's types differ by architecture")]
pub fn stat_quick(fd: impl AsFd) -> Result<Meta, Errno> {
    let stat = retry_on_intr(|| fstat(&fd))?;
    // Nanoseconds are always below a thousand million; sizes are never negative.
    let time = |sec, nsec| Time { sec, nsec: u32::try_from(nsec).unwrap_or(0) };
    Ok(Meta {
        ino: stat.st_ino,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        blocks: u64::try_from(stat.st_blocks).unwrap_or(0),
        dev: stat.st_dev,
        rdev: stat.st_rdev,
        mode: stat.st_mode,
        uid: stat.st_uid,
        gid: stat.st_gid,
        nlink: u32::try_from(stat.st_nlink).unwrap_or(u32::MAX),
        atime: time(stat.st_atime, stat.st_atime_nsec),
        mtime: time(stat.st_mtime, stat.st_mtime_nsec),
        ctime: time(stat.st_ctime, stat.st_ctime_nsec),
        btime: None,
        mount_root: None,
    })
}

/// Describes a path as the user gave it. Only for the roots of a walk: below them everything is
/// relative to a descriptor.
pub fn stat_path(path: &CStr, links: Links) -> Result<Meta, Errno> {
    let flags = if links == Links::NoFollow { AtFlags::SYMLINK_NOFOLLOW } else { AtFlags::empty() };
    retry_on_intr(|| statx(CWD, path, flags, WANTED)).map(|s| Meta::from(&s))
}

const WANTED: StatxFlags = StatxFlags::BASIC_STATS.union(StatxFlags::BTIME);

impl From<&Statx> for Meta {
    #[inline]
    fn from(s: &Statx) -> Self {
        let birth = StatxFlags::from_bits_retain(s.stx_mask).contains(StatxFlags::BTIME);
        let mounts = s.stx_attributes_mask.contains(StatxAttributes::MOUNT_ROOT);
        Self {
            ino: s.stx_ino,
            size: s.stx_size,
            blocks: s.stx_blocks,
            dev: makedev(s.stx_dev_major, s.stx_dev_minor),
            rdev: makedev(s.stx_rdev_major, s.stx_rdev_minor),
            mode: u32::from(s.stx_mode),
            uid: s.stx_uid,
            gid: s.stx_gid,
            nlink: s.stx_nlink,
            atime: s.stx_atime.into(),
            mtime: s.stx_mtime.into(),
            ctime: s.stx_ctime.into(),
            btime: birth.then(|| s.stx_btime.into()),
            mount_root: mounts.then(|| s.stx_attributes.contains(StatxAttributes::MOUNT_ROOT)),
        }
    }
}

impl From<StatxTimestamp> for Time {
    fn from(t: StatxTimestamp) -> Self {
        Self { sec: t.tv_sec, nsec: t.tv_nsec }
    }
}
