//! Removing a tree of any depth: by directory fds, with a loop, holding two fds.
//!
//! The loop goes down by opening one name and up by opening `..`, so it needs neither a path nor an fd per level.
//! Going up by `..` is safe only because nobody else moves directories here: a test stops its [`Churn`](super::Churn)
//! first. What is left at a level waits in a stack of names; that is memory in the width of the open levels, which
//! a test can afford, where reading each level again after every child would be quadratic.

use std::ffi::CString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use rustix::fs::{self, AtFlags, Dir, FileType, Mode};
use rustix::io::Errno;

use super::at::DIRECTORY;

/// Removes the directory at `path` and everything below, however deep. Directories that permission bits close are
/// opened to their owner first. It does not enter other file systems.
///
/// # Errors
/// The first call that fails, with the name it failed on; what is left stays. A mount point below gives `EBUSY`.
pub fn remove_tree(path: &Path) -> io::Result<()> {
    let root = fs::open(path, DIRECTORY, Mode::empty()).or_else(|e| match e {
        Errno::ACCESS => {
            fs::chmod(path, Mode::RWXU)?;
            fs::open(path, DIRECTORY, Mode::empty())
        }
        e => Err(e),
    });
    let root = root.map_err(|e| naming("open", path.as_os_str().as_encoded_bytes(), e))?;
    empty_directory(root)?;
    fs::rmdir(path).map_err(|e| naming("rmdir", path.as_os_str().as_encoded_bytes(), e))
}

/// One level that is being emptied: its name in the level above, and the sub-directories still to remove.
struct Level {
    name: CString,
    directories: Vec<CString>,
}

fn empty_directory(root: OwnedFd) -> io::Result<()> {
    let device = fs::fstat(&root)?.st_dev;
    let mut here = root;
    let mut stack = vec![Level { name: CString::default(), directories: unlink_files(&here)? }];
    while let Some(level) = stack.last_mut() {
        if let Some(name) = level.directories.pop() {
            match fs::unlinkat(&here, &name, AtFlags::REMOVEDIR) {
                Ok(()) | Err(Errno::NOENT) => continue,
                Err(Errno::NOTEMPTY | Errno::EXIST) => {}
                Err(e) => return Err(naming("rmdir", name.as_bytes(), e)),
            }
            let child = open_child(&here, &name)?;
            if fs::fstat(&child)?.st_dev != device {
                return Err(naming("a mount point is below the tree", name.as_bytes(), Errno::BUSY));
            }
            here = child;
            let directories = unlink_files(&here)?;
            stack.push(Level { name, directories });
        } else {
            let done = stack.pop().map(|level| level.name).unwrap_or_default();
            if stack.is_empty() {
                return Ok(());
            }
            here = fs::openat(&here, c"..", DIRECTORY, Mode::empty()).map_err(|e| naming("open ..", b"", e))?;
            fs::unlinkat(&here, &done, AtFlags::REMOVEDIR).map_err(|e| naming("rmdir", done.as_bytes(), e))?;
        }
    }
    Ok(())
}

/// Opens a sub-directory, giving its owner the right first where that is missing.
fn open_child(here: &OwnedFd, name: &CString) -> io::Result<OwnedFd> {
    let open = || fs::openat(here, name, DIRECTORY, Mode::empty());
    let child = match open() {
        Ok(child) if Mode::from_raw_mode(fs::fstat(&child)?.st_mode).contains(Mode::RWXU) => Ok(child),
        Ok(_) | Err(Errno::ACCESS) => fs::chmodat(here, name, Mode::RWXU, AtFlags::empty()).and_then(|()| open()),
        Err(e) => Err(e),
    };
    child.map_err(|e| naming("open", name.as_bytes(), e))
}

/// Unlinks everything in `here` that is not a directory; returns the names of the directories.
fn unlink_files(here: &OwnedFd) -> io::Result<Vec<CString>> {
    let mut directories = Vec::new();
    for entry in Dir::read_from(here)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        if entry.file_type() == FileType::Directory {
            directories.push(name.to_owned());
            continue;
        }
        match fs::unlinkat(here, name, AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(Errno::ISDIR) => directories.push(name.to_owned()), // d_type was DT_UNKNOWN
            Err(e) => return Err(naming("unlink", name.to_bytes(), e)),
        }
    }
    Ok(directories)
}

fn naming(call: &str, name: &[u8], errno: Errno) -> io::Error {
    io::Error::new(errno.kind(), format!("{call} {}: {errno}", name.escape_ascii()))
}
