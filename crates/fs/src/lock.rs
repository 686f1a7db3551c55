//! Locking a file against other processes.

use std::os::fd::AsFd;

use rustix::fs::{FlockOperation, flock};
use rustix::io::retry_on_intr;

use crate::Errno;

/// Locks an open file until it is closed, by whoever has it: also when the process is killed. False if another has it locked.
///
/// On NFS and Lustre the lock holds between machines if the mount has locks at all.
///
/// # Errors
/// What the kernel says: `ENOLCK` or `ENOSYS` where the file system has no locks.
pub fn try_lock(file: impl AsFd) -> Result<bool, Errno> {
    match retry_on_intr(|| flock(file.as_fd(), FlockOperation::NonBlockingLockExclusive)) {
        Ok(()) => Ok(true),
        Err(Errno::WOULDBLOCK) => Ok(false),
        Err(errno) => Err(errno),
    }
}
