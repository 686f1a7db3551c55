//! Opening directories: one component at a time, never through a link that nobody asked for.
//!
//! A network file system may answer a signal with `EINTR`; the call is then made again.

use std::ffi::CStr;
use std::os::fd::{BorrowedFd, OwnedFd};

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
