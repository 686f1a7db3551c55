//! Comparing a copy with its source, by reading both again.
//!
//! The copy is written to the disk first and dropped from memory, and so is the source, so that what is compared comes from the disks where the file systems
//! allow that. It is done before the copy has its name: one that differs never gets it.

use std::os::fd::BorrowedFd;

use blake3::{Hash, Hasher};
use pwalk_fs::{Errno, forget_pages, read_at};

use super::error::{Failure, source, target};

/// Compares two files by their BLAKE3 digests.
pub(crate) fn same(file: BorrowedFd<'_>, copy: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<(), Failure> {
    forget_pages(copy).map_err(target("write to the disk"))?;
    // A source that cannot be synced is read from wherever it is.
    forget_pages(file).unwrap_or_default();
    let there = digest(file, buffer).map_err(source("read again"))?;
    let here = digest(copy, buffer).map_err(target("read again"))?;
    if there == here { Ok(()) } else { Err(Failure::Differs) }
}

fn digest(file: BorrowedFd<'_>, buffer: &mut [u8]) -> Result<Hash, Errno> {
    let mut hasher = Hasher::new();
    let mut at = 0;
    loop {
        match read_at(file, at, buffer)? {
            0 => return Ok(hasher.finalize()),
            got => {
                hasher.update(&buffer[..got]);
                at += got as u64;
            }
        }
    }
}
