//! Two system calls that are newer than the libraries, `fchmodat2` (Linux 6.6) and `getxattrat` (Linux 6.13), and an operation of `fcntl` that
//! they leave out.
//!
//! The only `unsafe` of the project. All take a descriptor and borrowed memory and keep neither. Of the new calls, an old kernel answers `ENOSYS`,
//! an old container runtime that does not know the number `EPERM`; so whether they can be used is found out once, with a
//! descriptor that is none, where only a kernel that knows the call says `EBADF`.
#![allow(unsafe_code, reason = "system calls that no library wraps yet")]

use std::ffi::CStr;
use std::io::Error;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::sync::LazyLock;

use crate::Errno;

/// The same on all architectures, as all numbers from 424 on (`scripts/syscall.tbl` of the kernel).
const FCHMODAT2: libc::c_long = 452;
const GETXATTRAT: libc::c_long = 464;

/// `F_SETSIG` of `asm-generic/fcntl.h`.
const F_SETSIG: libc::c_int = 10;

/// `struct xattr_args` of `linux/xattr.h`.
#[repr(C)]
struct XattrArgs {
    value: u64,
    size: u32,
    flags: u32,
}

static HAS_CHMOD: LazyLock<bool> = LazyLock::new(|| chmod_raw(-1, 0) == Err(Errno::BADF));
static HAS_GETXATTR: LazyLock<bool> =
    LazyLock::new(|| getxattr_raw(-1, c".", c"user.none", &mut [0]) == Err(Errno::BADF));

/// Sets the mode of what a descriptor, even one opened with `O_PATH`, refers to. None where the kernel has no such call.
pub(crate) fn chmod(fd: BorrowedFd<'_>, mode: u32) -> Option<Result<(), Errno>> {
    HAS_CHMOD.then(|| chmod_raw(fd.as_raw_fd(), mode))
}

/// Reads an attribute of a name in a directory, of a link itself. None where the kernel has no such call.
pub(crate) fn getxattr_at(
    dir: BorrowedFd<'_>,
    name: &CStr,
    attribute: &CStr,
    room: &mut [u8],
) -> Option<Result<usize, Errno>> {
    HAS_GETXATTR.then(|| getxattr_raw(dir.as_raw_fd(), name, attribute, room))
}

/// Takes a read lease on an open file: it is granted only while nobody has the file open for writing, and until the descriptor is closed
/// nobody gets it so without our being asked.
pub(crate) fn read_lease(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    // The signal that tells of somebody who wants to write would end the process, were it not one that is ignored.
    // SAFETY: no memory is passed.
    let signal = unsafe { libc::fcntl(fd.as_raw_fd(), F_SETSIG, libc::SIGURG) };
    result(signal.into())?;
    // SAFETY: no memory is passed.
    let done = unsafe { libc::fcntl(fd.as_raw_fd(), libc::F_SETLEASE, libc::F_RDLCK) };
    result(done.into()).map(drop)
}

fn chmod_raw(fd: RawFd, mode: u32) -> Result<(), Errno> {
    // SAFETY: the path is a constant C string, and the kernel reads nothing else of ours.
    let done = unsafe { libc::syscall(FCHMODAT2, fd, c"".as_ptr(), mode, libc::AT_EMPTY_PATH) };
    result(done).map(drop)
}

fn getxattr_raw(dir: RawFd, name: &CStr, attribute: &CStr, room: &mut [u8]) -> Result<usize, Errno> {
    let size = u32::try_from(room.len()).unwrap_or(u32::MAX);
    let args = XattrArgs { value: room.as_mut_ptr().expose_provenance() as u64, size, flags: 0 };
    // SAFETY: both strings end with NUL; the kernel writes at most `size` bytes to `room`, which is borrowed for writing until
    // the call is over, and reads `args`, whose size it is told.
    let done = unsafe {
        libc::syscall(
            GETXATTRAT,
            dir,
            name.as_ptr(),
            libc::AT_SYMLINK_NOFOLLOW,
            attribute.as_ptr(),
            &raw const args,
            size_of::<XattrArgs>(),
        )
    };
    result(done)
}

fn result(returned: libc::c_long) -> Result<usize, Errno> {
    usize::try_from(returned).map_err(|_| Errno::from_io_error(&Error::last_os_error()).unwrap_or(Errno::IO))
}
