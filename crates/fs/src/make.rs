//! Making names in an open directory: files, directories, links, fifos, sockets and devices; giving a file its name.
//!
//! What is made is never made through a link, and never in place of something else: only [`rename`] replaces.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::{
    AtFlags, CWD, FileType, Mode, OFlags, RenameFlags, linkat, mkdirat, mknodat, openat, renameat, renameat_with,
    symlinkat,
};
use rustix::io::retry_on_intr;

use crate::change::proc_path;
use crate::{Errno, Kind};

const FILE: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NOCTTY);

/// Opens a file for reading, not through a link and without waiting for anybody; without a trace in its time of access where the
/// kernel allows that.
///
/// # Errors
/// What the kernel says; `ELOOP` for a link.
pub fn open_file(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    let flags = FILE | OFlags::RDONLY | OFlags::NONBLOCK;
    match retry_on_intr(|| openat(dir, name, flags | OFlags::NOATIME, Mode::empty())) {
        // Only the owner may ask for that.
        Err(Errno::PERM) => retry_on_intr(|| openat(dir, name, flags, Mode::empty())),
        other => other,
    }
}

/// A new file for reading and writing that has no name yet, in the file system of `dir`.
///
/// # Errors
/// What the kernel says; `EOPNOTSUPP`, `EISDIR` or `ENOENT` where that cannot be.
pub fn create_unnamed(dir: BorrowedFd<'_>, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    retry_on_intr(|| openat(dir, c".", flags, Mode::from_raw_mode(mode)))
}

/// A new file for reading and writing.
///
/// # Errors
/// What the kernel says; `EEXIST` if the name is taken.
pub fn create_file(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<OwnedFd, Errno> {
    let flags = FILE | OFlags::RDWR | OFlags::CREATE | OFlags::EXCL;
    retry_on_intr(|| openat(dir, name, flags, Mode::from_raw_mode(mode)))
}

/// A new directory.
///
/// # Errors
/// What the kernel says; `EEXIST` if the name is taken.
pub fn create_dir(dir: BorrowedFd<'_>, name: &CStr, mode: u32) -> Result<(), Errno> {
    retry_on_intr(|| mkdirat(dir, name, Mode::from_raw_mode(mode)))
}

/// A new symbolic link.
///
/// # Errors
/// What the kernel says; `EEXIST` if the name is taken.
pub fn create_link(target: &CStr, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    retry_on_intr(|| symlinkat(target, dir, name))
}

/// A new fifo, socket or device; `rdev` is the device's number.
///
/// # Errors
/// What the kernel says; `EEXIST` if the name is taken, `EINVAL` for another kind.
pub fn create_node(dir: BorrowedFd<'_>, name: &CStr, kind: Kind, mode: u32, rdev: u64) -> Result<(), Errno> {
    let kind = match kind {
        Kind::Fifo => FileType::Fifo,
        Kind::Socket => FileType::Socket,
        Kind::Char => FileType::CharacterDevice,
        Kind::Block => FileType::BlockDevice,
        Kind::File | Kind::Dir | Kind::Symlink | Kind::Unknown => return Err(Errno::INVAL),
    };
    retry_on_intr(|| mknodat(dir, name, kind, Mode::from_raw_mode(mode), rdev))
}

/// Gives what is open (a pinned file, one without a name) one more name.
///
/// # Errors
/// What the kernel says; `EEXIST` if the name is taken.
pub fn link_open(fd: BorrowedFd<'_>, dir: BorrowedFd<'_>, name: &CStr) -> Result<(), Errno> {
    match retry_on_intr(|| linkat(fd, c"", dir, name, AtFlags::EMPTY_PATH)) {
        // Without leave to pass by directories (before Linux 6.10, whoever is not root).
        Err(Errno::NOENT | Errno::PERM) => {
            let path = proc_path(fd)?;
            retry_on_intr(|| linkat(CWD, path.as_c_str(), dir, name, AtFlags::SYMLINK_FOLLOW))
        }
        other => other,
    }
}

/// Whether a name that is taken may be replaced.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replace {
    /// It may.
    Yes,
    /// It may not: `EEXIST`.
    No,
}

/// Gives a name in a directory another there.
///
/// # Errors
/// What the kernel says.
pub fn rename(dir: BorrowedFd<'_>, from: &CStr, to: &CStr, replace: Replace) -> Result<(), Errno> {
    if replace == Replace::No {
        match retry_on_intr(|| renameat_with(dir, from, dir, to, RenameFlags::NOREPLACE)) {
            // Some network file systems cannot; then it must be looked.
            Err(Errno::INVAL | Errno::NOSYS) => {
                if crate::stat_at(dir, to, crate::Links::NoFollow, crate::Freshness::Fresh).is_ok() {
                    return Err(Errno::EXIST);
                }
            }
            other => return other,
        }
    }
    retry_on_intr(|| renameat(dir, from, dir, to))
}

/// The bits that a new file does not get (`umask`), without changing them for a moment, as `umask(2)` itself would.
pub fn umask() -> Option<u32> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let bits = status.lines().find_map(|line| line.strip_prefix("Umask:"))?;
    u32::from_str_radix(bits.trim(), 8).ok()
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    #[test]
    fn what_is_made_replaces_nothing_but_by_rename() {
        let place = tempfile::tempdir().unwrap();
        let dir = std::fs::File::open(place.path()).unwrap();
        let dir = dir.as_fd();
        create_dir(dir, c"dir", 0o700).unwrap();
        create_link(c"nowhere", dir, c"link").unwrap();
        create_node(dir, c"fifo", Kind::Fifo, 0o600, 0).unwrap();
        let file = create_file(dir, c"file", 0o600).unwrap();
        for name in [c"dir", c"link", c"fifo", c"file"] {
            assert_eq!(create_file(dir, name, 0o600).unwrap_err(), Errno::EXIST);
            assert_eq!(link_open(file.as_fd(), dir, name), Err(Errno::EXIST));
        }
        assert_eq!(open_file(dir, c"link").unwrap_err(), Errno::LOOP);
        link_open(file.as_fd(), dir, c"second").unwrap();
        assert_eq!(rename(dir, c"fifo", c"file", Replace::No), Err(Errno::EXIST));
        rename(dir, c"fifo", c"file", Replace::Yes).unwrap();
        let unnamed = create_unnamed(dir, 0o600).unwrap();
        link_open(unnamed.as_fd(), dir, c"named").unwrap();
        assert!(umask().is_some());
    }
}
