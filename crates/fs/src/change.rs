//! Changing what a descriptor refers to: owner, group, mode, access control list.
//!
//! The descriptor may be one that was opened with `O_PATH`: it pins an inode without a right to read it, and whatever happens to
//! its name afterwards, the change hits what was looked at. Where the kernel has no call for such a descriptor the way leads
//! through `/proc/self/fd`, which must be the kernel's own: somebody may have mounted something else there.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::OnceLock;
use std::time::Duration;

use rustix::fs::{
    AtFlags, CWD, Gid, Mode, OFlags, PROC_SUPER_MAGIC, StatxFlags, Timespec, Timestamps, Uid, XattrFlags, chmodat,
    chownat, fgetxattr, flistxattr, fremovexattr, fsetxattr, fstatfs, futimens, getxattr, lgetxattr, listxattr, openat,
    removexattr, setxattr, statx, utimensat,
};
use rustix::io::retry_on_intr;
use rustix::time::{ClockId, clock_gettime};

use crate::{Errno, Time, raw};

/// Pins a name of a directory, without following a link and without reading anything.
///
/// # Errors
/// What the kernel says.
pub fn pin(dir: BorrowedFd<'_>, name: &CStr) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(dir, name, OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC, Mode::empty()))
}

/// Pins what a path of the user's leads to, links in it followed.
///
/// # Errors
/// What the kernel says.
pub fn pin_path(path: &CStr) -> Result<OwnedFd, Errno> {
    retry_on_intr(|| openat(CWD, path, OFlags::PATH | OFlags::CLOEXEC, Mode::empty()))
}

/// Sets owner and group; `None` leaves one as it is. The kernel takes setuid and setgid from a file with it.
///
/// # Errors
/// What the kernel says.
pub fn set_owner(fd: BorrowedFd<'_>, uid: Option<u32>, gid: Option<u32>) -> Result<(), Errno> {
    let (uid, gid) = (uid.map(Uid::from_raw), gid.map(Gid::from_raw));
    retry_on_intr(|| chownat(fd, c"", uid, gid, AtFlags::EMPTY_PATH))
}

/// Sets the mode, all twelve bits.
///
/// # Errors
/// What the kernel says.
pub fn set_mode(fd: BorrowedFd<'_>, mode: u32) -> Result<(), Errno> {
    if let Some(done) = raw::chmod(fd, mode) {
        return done;
    }
    let (proc, name) = (proc_fds()?, number(fd)?);
    retry_on_intr(|| chmodat(proc, name.as_c_str(), Mode::from_raw_mode(mode), AtFlags::empty()))
}

/// An extended attribute of a name in a directory; of a link itself. None where there is none.
///
/// # Errors
/// What the kernel says.
pub fn attribute_at(dir: BorrowedFd<'_>, name: &CStr, attribute: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    // Most files have none. Asked for its length alone, the kernel need not make room for it.
    match raw::getxattr_at(dir, name, attribute, &mut []) {
        Some(Err(Errno::NODATA | Errno::OPNOTSUPP)) => Ok(None),
        Some(_) => with_room(|room| raw::getxattr_at(dir, name, attribute, room).unwrap_or(Err(Errno::NOSYS))),
        None => {
            let mut path = proc_path(dir)?.into_bytes();
            path.push(b'/');
            path.extend_from_slice(name.to_bytes());
            let path = CString::new(path).map_err(|_| Errno::INVAL)?;
            with_room(|room| lgetxattr(path.as_c_str(), attribute, room))
        }
    }
}

/// An extended attribute of what a descriptor refers to. None where there is none.
///
/// # Errors
/// What the kernel says.
pub fn attribute_of(fd: BorrowedFd<'_>, attribute: &CStr) -> Result<Option<Vec<u8>>, Errno> {
    match with_room(|room| fgetxattr(fd, attribute, room)) {
        // Opened with `O_PATH`.
        Err(Errno::BADF) => {
            let path = proc_path(fd)?;
            with_room(|room| getxattr(path.as_c_str(), attribute, room))
        }
        other => other,
    }
}

/// Sets an extended attribute of what a descriptor refers to.
///
/// # Errors
/// What the kernel says.
pub fn set_attribute(fd: BorrowedFd<'_>, attribute: &CStr, value: &[u8]) -> Result<(), Errno> {
    match retry_on_intr(|| fsetxattr(fd, attribute, value, XattrFlags::empty())) {
        // Opened with `O_PATH`.
        Err(Errno::BADF) => {
            let path = proc_path(fd)?;
            retry_on_intr(|| setxattr(path.as_c_str(), attribute, value, XattrFlags::empty()))
        }
        other => other,
    }
}

/// Removes an extended attribute of what a descriptor refers to; that there is none is fine.
///
/// # Errors
/// What the kernel says.
pub fn remove_attribute(fd: BorrowedFd<'_>, attribute: &CStr) -> Result<(), Errno> {
    let removed = match retry_on_intr(|| fremovexattr(fd, attribute)) {
        Err(Errno::BADF) => {
            let path = proc_path(fd)?;
            retry_on_intr(|| removexattr(path.as_c_str(), attribute))
        }
        other => other,
    };
    match removed {
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(()),
        other => other,
    }
}

/// The names of the extended attributes of what a descriptor refers to, each ended by NUL, into `names`. Nothing where the file system has none.
///
/// # Errors
/// What the kernel says.
pub fn list_attributes(fd: BorrowedFd<'_>, names: &mut Vec<u8>) -> Result<(), Errno> {
    names.resize(ROOM, 0);
    loop {
        let listed = match retry_on_intr(|| flistxattr(fd, &mut names[..])) {
            Err(Errno::BADF) => {
                let path = proc_path(fd)?;
                retry_on_intr(|| listxattr(path.as_c_str(), &mut names[..]))
            }
            other => other,
        };
        match listed {
            Ok(length) => {
                names.truncate(length);
                return Ok(());
            }
            Err(Errno::RANGE) if names.len() < MOST => names.resize(MOST, 0),
            Err(Errno::OPNOTSUPP) => {
                names.clear();
                return Ok(());
            }
            Err(errno) => return Err(errno),
        }
    }
}

/// Sets the times of access and of change.
///
/// # Errors
/// What the kernel says.
pub fn set_times(fd: BorrowedFd<'_>, atime: Time, mtime: Time) -> Result<(), Errno> {
    let spec = |time: Time| Timespec { tv_sec: time.sec, tv_nsec: time.nsec.into() };
    let times = Timestamps { last_access: spec(atime), last_modification: spec(mtime) };
    match retry_on_intr(|| futimens(fd, &times)) {
        // Opened with `O_PATH`; the other way before Linux 5.8.
        Err(Errno::BADF) => match retry_on_intr(|| utimensat(fd, c"", &times, AtFlags::EMPTY_PATH)) {
            Err(Errno::INVAL | Errno::NOENT) => {
                let (proc, name) = (proc_fds()?, number(fd)?);
                retry_on_intr(|| utimensat(proc, name.as_c_str(), &times, AtFlags::empty()))
            }
            other => other,
        },
        other => other,
    }
}

/// Lists of a few entries need no more.
const ROOM: usize = 256;
/// The kernel allows no longer value (`XATTR_SIZE_MAX`).
const MOST: usize = 65_536;

fn with_room(mut read: impl FnMut(&mut [u8]) -> Result<usize, Errno>) -> Result<Option<Vec<u8>>, Errno> {
    let mut small = [0; ROOM];
    let (found, room) = match retry_on_intr(|| read(&mut small)) {
        Err(Errno::RANGE) => {
            let mut large = vec![0; MOST];
            (retry_on_intr(|| read(&mut large)), large)
        }
        Err(errno) => (Err(errno), Vec::new()),
        Ok(length) => return Ok(Some(small[..length].to_vec())),
    };
    match found {
        Ok(length) => Ok(Some(room[..length].to_vec())),
        Err(Errno::NODATA | Errno::OPNOTSUPP) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Opens a pinned file for reading, if nobody has it open for writing; until it is closed nobody gets it so unnoticed.
///
/// # Errors
/// `EAGAIN` if somebody has it open for writing, else what the kernel says; some file systems know no leases.
pub fn open_quiet(fd: BorrowedFd<'_>) -> Result<OwnedFd, Errno> {
    let (proc, name) = (proc_fds()?, number(fd)?);
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let open = retry_on_intr(|| openat(proc, name.as_c_str(), flags, Mode::empty()))?;
    raw::read_lease(open.as_fd()).map(|()| open)
}

/// Which mount a descriptor is in: a number that no other mount has while the descriptor is open.
///
/// # Errors
/// What the kernel says.
pub fn mount_of(fd: BorrowedFd<'_>) -> Result<u64, Errno> {
    let seen = retry_on_intr(|| statx(fd, c"", AtFlags::EMPTY_PATH, StatxFlags::MNT_ID))?;
    if StatxFlags::from_bits_retain(seen.stx_mask).contains(StatxFlags::MNT_ID) {
        return Ok(seen.stx_mnt_id);
    }
    // Before Linux 5.8.
    let info = std::fs::read_to_string(format!("/proc/self/fdinfo/{}", fd.as_raw_fd()));
    let info = info.map_err(|e| Errno::from_io_error(&e).unwrap_or(Errno::IO))?;
    let id = info.lines().find_map(|line| line.strip_prefix("mnt_id:")).and_then(|id| id.trim().parse().ok());
    id.ok_or(Errno::OPNOTSUPP)
}

/// The path by which the kernel knows what a descriptor refers to now. For messages, and to find a file's directory.
///
/// # Errors
/// What the kernel says.
pub fn path_of(fd: BorrowedFd<'_>) -> Result<Vec<u8>, Errno> {
    crate::read_link(proc_fds()?, &number(fd)?)
}

/// Whether the name that a descriptor was opened by surely still stands, or has only been moved: not removed, whatever other names the
/// inode has. The kernel holds a descriptor to the name that it was opened by, and marks one that is gone in the path it tells. False
/// where it tells none (a path of more than 4,096 bytes), or one that could be so marked because the name is like that.
///
/// With a count of names that was read before it, it says that this name was the only one then.
pub fn is_surely_named(fd: BorrowedFd<'_>) -> bool {
    path_of(fd).is_ok_and(|path| !path.ends_with(b" (deleted)"))
}

/// What time file systems give to what they change now; it moves in steps, of at most [`TICK`].
pub fn change_time() -> Time {
    let now = clock_gettime(ClockId::RealtimeCoarse);
    Time { sec: now.tv_sec, nsec: u32::try_from(now.tv_nsec).unwrap_or(0) }
}

/// The longest step of the kernel's clock for changes: a hundredth of a second, and as much again for its being late.
pub const TICK: Duration = Duration::from_millis(20);

/// `/proc/self/fd`, held open.
fn proc_fds() -> Result<BorrowedFd<'static>, Errno> {
    static HELD: OnceLock<OwnedFd> = OnceLock::new();
    if let Some(held) = HELD.get() {
        return Ok(held.as_fd());
    }
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let fd = retry_on_intr(|| openat(CWD, c"/proc/self/fd", flags, Mode::empty()))?;
    if fstatfs(&fd)?.f_type != PROC_SUPER_MAGIC {
        return Err(Errno::OPNOTSUPP);
    }
    Ok(HELD.get_or_init(|| fd).as_fd())
}

fn number(fd: BorrowedFd<'_>) -> Result<CString, Errno> {
    CString::new(fd.as_raw_fd().to_string()).map_err(|_| Errno::INVAL)
}

/// For the calls that take nothing but a path; `proc_fds` has looked whether it is the kernel's.
pub(crate) fn proc_path(fd: BorrowedFd<'_>) -> Result<CString, Errno> {
    proc_fds()?;
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).map_err(|_| Errno::INVAL)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::stat_fd;

    #[test]
    fn what_is_pinned_is_changed_whatever_its_name_becomes() {
        let place = tempfile::tempdir().unwrap();
        let (file, other) = (place.path().join("file"), place.path().join("other"));
        std::fs::write(&file, "").unwrap();
        let dir = std::fs::File::open(place.path()).unwrap();
        let pinned = pin(dir.as_fd(), c"file").unwrap();
        std::fs::rename(&file, &other).unwrap();
        std::os::unix::fs::symlink("/etc/passwd", &file).unwrap();
        for mode in [0o640, 0o1750] {
            set_mode(pinned.as_fd(), mode).unwrap();
            assert_eq!(stat_fd(&pinned, crate::Freshness::Fresh).unwrap().mode & 0o7777, mode);
        }
        set_owner(pinned.as_fd(), None, Some(rustix::process::getgid().as_raw())).unwrap();
        assert_eq!(path_of(pinned.as_fd()).unwrap(), other.as_os_str().as_encoded_bytes());
        assert_eq!(mount_of(pinned.as_fd()).unwrap(), mount_of(dir.as_fd()).unwrap());
        // A link is pinned itself, and its mode cannot be set: nothing of what it leads to is touched.
        assert_eq!(set_mode(pin(dir.as_fd(), c"file").unwrap().as_fd(), 0o777), Err(Errno::OPNOTSUPP));
        assert_eq!(attribute_at(dir.as_fd(), c"other", crate::ACCESS_ACL), Ok(None));
        assert_eq!(attribute_of(pinned.as_fd(), crate::ACCESS_ACL), Ok(None));
    }
}
