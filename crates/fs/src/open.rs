//! Opening directories: one component at a time, never through a link that nobody asked for.
//!
//! A network file system may answer a signal with `EINTR`; the call is then made again.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{CWD, Mode, OFlags, openat};
use rustix::io::retry_on_intr;

use crate::{Errno, Links};

const DIR: OFlags = OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::CLOEXEC).union(OFlags::NONBLOCK);

/// Opens the directory that the user named. Links in the path, the last one included, are the
/// user's own choice and are followed.
pub fn open_root(path: &CStr) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(CWD, path, DIR, Mode::empty()))
}

/// Opens a directory by a path, for who must name it anew each time because that is what was promised (`os.walk`).
///
/// # Errors
/// Those of [`open_child`].
pub fn open_path(path: &CStr, links: Links) -> Result<OwnedFd, Errno> {
    open_child(CWD, path, links)
}

/// Opens the directory `name` in `dir`.
///
/// # Errors
/// `ENOTDIR` or `ELOOP` when the name is no directory, with [`Links::NoFollow`] also when it is a link.
pub fn open_child(dir: BorrowedFd<'_>, name: &CStr, links: Links) -> Result<OwnedFd, Errno> {
    let flags = if links == Links::NoFollow { DIR | OFlags::NOFOLLOW } else { DIR };
    retry_on_intr(|| openat(dir, name, flags, Mode::empty()))
}

/// Pins the directory above an open directory: above the root of a mount, the one that it is mounted in.
///
/// # Errors
/// What the kernel says.
pub fn pin_above(dir: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    retry_on_intr(|| openat(dir, c"..", flags, Mode::empty()))
}

/// Bytes of a path that the kernel takes in one call, its NUL among them (`limits.h`).
const PATH_MAX: usize = 4096;

/// Does something with a path of any length: with the directory that its beginning leads to, and the rest, which is short enough.
/// For who has only the path of a directory that it met on the way, and compares the identity of what it finds.
///
/// # Errors
/// What the kernel says to the directories on the way, or what `act` says.
pub fn at_path<T>(path: &[u8], act: impl FnOnce(BorrowedFd<'_>, &CStr) -> Result<T, Errno>) -> Result<T, Errno> {
    let c_path = |path: &[u8]| CString::new(path).map_err(|_| Errno::NOENT);
    let mut above: Option<OwnedFd> = None;
    let mut rest = path;
    while rest.len() >= PATH_MAX {
        let end = rest[..PATH_MAX - 1].iter().rposition(|byte| *byte == b'/').filter(|end| *end > 0);
        let end = end.ok_or(Errno::NAMETOOLONG)?;
        let begin = c_path(&rest[..end])?;
        let dir = above.as_ref().map_or(CWD, AsFd::as_fd);
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        above = Some(retry_on_intr(|| openat(dir, begin.as_c_str(), flags, Mode::empty()))?);
        rest = &rest[end + 1..];
    }
    act(above.as_ref().map_or(CWD, AsFd::as_fd), &c_path(rest)?)
}
