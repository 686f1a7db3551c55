//! Moving the content of files: the calls that copy bytes from one descriptor to another, and what holes a file has.
//!
//! All of them name the place in both files, so that several threads can copy parts of one file; only [`send`] writes where its
//! target's position is, because the kernel has no other such call.

use std::os::fd::{AsFd, BorrowedFd};

use rustix::fs::{
    Advice, SeekFrom, copy_file_range, fadvise, fdatasync, fstatvfs, fsync, ftruncate, ioctl_ficlone, seek, sendfile,
    syncfs,
};
use rustix::io::{pread, pwrite, retry_on_intr};

use crate::Errno;

/// Makes `target` share the whole content of `source` (a reflink).
///
/// # Errors
/// `EOPNOTSUPP`, `EXDEV`, `EINVAL`, `ENOTTY` where these two files cannot share, else what the kernel says.
pub fn clone(source: BorrowedFd<'_>, target: BorrowedFd<'_>) -> Result<(), Errno> {
    retry_on_intr(|| ioctl_ficlone(target, source))
}

/// Copies up to `length` bytes at `at` within the kernel. Returns how many; 0 at the end of the source.
///
/// # Errors
/// `EXDEV`, `EOPNOTSUPP`, `EINVAL`, `ENOSYS` where these two files cannot be copied so, else what the kernel says.
pub fn copy_range(source: BorrowedFd<'_>, target: BorrowedFd<'_>, at: u64, length: usize) -> Result<usize, Errno> {
    retry_on_intr(|| {
        let (mut from, mut to) = (at, at);
        copy_file_range(source, Some(&mut from), target, Some(&mut to), length)
    })
}

/// Copies up to `length` bytes at `at` of the source to where the target's position is. Returns how many.
///
/// # Errors
/// `EINVAL`, `ENOSYS` where these two files cannot be copied so, else what the kernel says.
pub fn send(source: BorrowedFd<'_>, target: BorrowedFd<'_>, at: u64, length: usize) -> Result<usize, Errno> {
    retry_on_intr(|| {
        let mut from = at;
        sendfile(target, source, Some(&mut from), length)
    })
}

/// Sets the position of a descriptor.
///
/// # Errors
/// What the kernel says.
pub fn go_to(fd: BorrowedFd<'_>, at: u64) -> Result<(), Errno> {
    seek(fd, SeekFrom::Start(at)).map(drop)
}

/// Reads at `at`, as much as fits and is there. Returns how much; 0 at the end.
///
/// # Errors
/// What the kernel says.
pub fn read_at(fd: BorrowedFd<'_>, at: u64, room: &mut [u8]) -> Result<usize, Errno> {
    retry_on_intr(|| pread(fd, &mut *room, at))
}

/// Says that a file will be read from its beginning to its end, so that more of it is read ahead. Only a wish; whether anybody listens.
pub fn expect_all(fd: BorrowedFd<'_>) -> bool {
    fadvise(fd, 0, None, Advice::Sequential).is_ok()
}

/// Writes all of `bytes` at `at`.
///
/// # Errors
/// What the kernel says; some of it may be written then. `EIO` if the file system takes no more and does not say why.
pub fn write_all_at(fd: BorrowedFd<'_>, mut at: u64, mut bytes: &[u8]) -> Result<(), Errno> {
    while !bytes.is_empty() {
        let done = retry_on_intr(|| pwrite(fd, bytes, at))?;
        if done == 0 {
            return Err(Errno::IO);
        }
        bytes = &bytes[done..];
        at += done as u64;
    }
    Ok(())
}

/// Sets the length; what is new is a hole.
///
/// # Errors
/// What the kernel says.
pub fn set_length(fd: BorrowedFd<'_>, length: u64) -> Result<(), Errno> {
    retry_on_intr(|| ftruncate(fd, length))
}

/// The next stretch of data at or after `at`: where it begins and ends. None if there is only a hole up to the end.
///
/// # Errors
/// What the kernel says; `EINVAL` from a file system that does not know where its holes are.
pub fn next_data(fd: BorrowedFd<'_>, at: u64) -> Result<Option<(u64, u64)>, Errno> {
    match seek(fd, SeekFrom::Data(at)) {
        Ok(from) => seek(fd, SeekFrom::Hole(from)).map(|to| Some((from, to))),
        Err(Errno::NXIO) => Ok(None),
        Err(errno) => Err(errno),
    }
}

/// Waits until content and metadata of a file, or the names in a directory, are on the disk.
///
/// # Errors
/// What the kernel says.
pub fn sync(fd: impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| fsync(&fd))
}

/// Waits until everything written to the file system that `fd` is on is on the disk.
///
/// # Errors
/// What the kernel says.
pub fn sync_file_system(fd: impl AsFd) -> Result<(), Errno> {
    retry_on_intr(|| syncfs(&fd))
}

/// Writes a file's pages to the disk and drops them from memory, so that it is read from the disk next. Only a wish: pages that others
/// use stay.
///
/// # Errors
/// What writing says.
pub fn forget_pages(fd: BorrowedFd<'_>) -> Result<(), Errno> {
    retry_on_intr(|| fdatasync(fd))?;
    // A file system that does not know how keeps its pages.
    fadvise(fd, 0, None, Advice::DontNeed).or(Ok(()))
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Space {
    /// Bytes that this process may still write.
    pub free: u64,
    /// Bytes in use.
    pub used: u64,
    /// Files that can still be made; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
    /// Whether it is mounted read-only.
    pub read_only: bool,
}

/// How full the file system is that `fd` is on.
///
/// # Errors
/// What the kernel says.
pub fn space(fd: impl AsFd) -> Result<Space, Errno> {
    let seen = retry_on_intr(|| fstatvfs(&fd))?;
    let bytes = |blocks: u64| blocks.saturating_mul(seen.f_frsize);
    Ok(Space {
        free: bytes(seen.f_bavail),
        used: bytes(seen.f_blocks.saturating_sub(seen.f_bfree)),
        free_inodes: (seen.f_files > 0).then_some(seen.f_favail),
        read_only: seen.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsFd;

    #[test]
    fn bytes_arrive_where_they_belong_and_holes_are_seen() {
        let (source, target) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
        let (from, to) = (source.as_fd(), target.as_fd());
        write_all_at(from, 0, b"begin").unwrap();
        write_all_at(from, 1 << 20, b"end").unwrap();
        let (first, end) = next_data(from, 0).unwrap().unwrap();
        assert_eq!((first, next_data(from, (1 << 20) + 3).unwrap()), (0, None));
        assert!((5..=1 << 20).contains(&end));
        set_length(to, (1 << 20) + 3).unwrap();
        assert_eq!(copy_range(from, to, 0, 5), Ok(5));
        go_to(to, 1 << 20).unwrap();
        assert_eq!(send(from, to, 1 << 20, 100), Ok(3));
        let mut room = [0; 8];
        assert_eq!((read_at(to, 0, &mut room), &room[..5]), (Ok(8), &b"begin"[..]));
        assert_eq!((read_at(to, 1 << 20, &mut room), &room[..3]), (Ok(3), &b"end"[..]));
        forget_pages(to).unwrap();
        assert!(!space(&target).unwrap().read_only);
    }
}
