//! What can be asked of, and done to, one name in an open directory.

use std::ffi::CStr;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{Access, AtFlags, accessat, readlinkat, unlinkat};
use rustix::io::retry_on_intr;

use crate::{DirBuf, Errno, Kind, Links, More, Names, open_child};

/// What a symbolic link says.
///
/// # Errors
/// What the kernel says; `EINVAL` for what is no link.
pub fn read_link(dir: BorrowedFd<'_>, name: &CStr) -> Result<Vec<u8>, Errno> {
    retry_on_intr(|| readlinkat(dir, name, Vec::new())).map(std::ffi::CString::into_bytes)
}

/// What a user may do with a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum May {
    /// Read it.
    Read,
    /// Write to it.
    Write,
    /// Execute or search it.
    Execute,
}

/// Whether the user may do that, as `access(2)` has it: by the real user, and of what a link leads to.
pub fn may(dir: BorrowedFd<'_>, name: &CStr, what: May) -> bool {
    let access = match what {
        May::Read => Access::READ_OK,
        May::Write => Access::WRITE_OK,
        May::Execute => Access::EXEC_OK,
    };
    retry_on_intr(|| accessat(dir, name, access, AtFlags::empty())).is_ok()
}

/// Whether a directory has no entries.
///
/// # Errors
/// What the kernel says.
pub fn is_empty_dir(dir: BorrowedFd<'_>, name: &CStr, links: Links) -> Result<bool, Errno> {
    let fd = open_child(dir, name, links)?;
    let (mut names, mut room) = (Names::default(), DirBuf::new());
    loop {
        match names.read(fd.as_fd(), &mut room) {
            Ok(More::Maybe) if names.is_empty() => {}
            Err(Errno::INTR) => {}
            Ok(_) => return Ok(names.is_empty()),
            Err(errno) => return Err(errno),
        }
    }
}

/// Removes a name: of a directory if `kind` says so, which must be empty, else of anything that is none.
///
/// # Errors
/// What the kernel says.
pub fn remove(dir: BorrowedFd<'_>, name: &CStr, kind: Kind) -> Result<(), Errno> {
    let flags = if kind.is_dir() { AtFlags::REMOVEDIR } else { AtFlags::empty() };
    retry_on_intr(|| unlinkat(dir, name, flags))
}
