//! The directory that copies are made in, and how they are removed again: also after a failure and after Ctrl-C.
//!
//! ext4 does not give the number of a file away for some minutes after it was removed, and passes over all of those one by one for each file that
//! is made (`recently_deleted` in its `ialloc.c`). Where a copy of thousands of files was just removed, the next one takes several
//! times as long, whoever makes it. So there copies of many files are put aside, as long as there is room, and removed in the end.

use std::fs::{Permissions, read_dir, set_permissions};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use pwalk_fs::{FsType, fs_type};
use tempfile::TempDir;

use crate::Error;
use crate::tally::Tally;

/// A directory of our own in the target; removed when it is dropped.
pub(crate) struct Scratch {
    dir: TempDir,
    fd: std::fs::File,
    /// How many copies were put aside.
    aside: AtomicUsize,
    /// Whether copies are put aside at all.
    puts_aside: bool,
}

/// The number of the file systems ext2 to ext4 (`linux/magic.h`).
const EXT: i64 = 0xef53;
/// With fewer files than this it does not matter.
const MANY: u64 = 200;

impl Scratch {
    /// In `target`, which must not be in the source.
    pub(crate) fn new(target: &Path, source: &Path) -> Result<Self, Error> {
        let failed = |why: std::io::Error| Error::Target { path: target.to_owned(), why: why.to_string() };
        let place = target.canonicalize().map_err(failed)?;
        let id = |path: &Path| path.metadata().map(|meta| (meta.dev(), meta.ino()));
        let of_source = id(source).map_err(failed)?;
        if place.ancestors().any(|above| id(above).is_ok_and(|id| id == of_source)) {
            let why = "it is in the source, which would grow with each copy".to_owned();
            return Err(Error::Target { path: target.to_owned(), why });
        }
        let dir = tempfile::Builder::new().prefix("pwalk-bench-").tempdir_in(&place).map_err(failed)?;
        let fd = std::fs::File::open(dir.path()).map_err(failed)?;
        let puts_aside = fs_type(&fd) == Ok(FsType::Other(EXT));
        Ok(Self { dir, fd, aside: AtomicUsize::new(0), puts_aside })
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The copy that is being made.
    pub(crate) fn copy(&self) -> PathBuf {
        self.dir.path().join("copy")
    }

    /// The same as bytes.
    pub(crate) fn copy_bytes(&self) -> Vec<u8> {
        self.copy().as_os_str().as_bytes().to_vec()
    }

    /// Whether there is room for a copy of that.
    pub(crate) fn check_room(&self, needs: &Tally) -> Result<(), Error> {
        let path = || self.dir.path().parent().unwrap_or(self.dir.path()).to_owned();
        let space =
            pwalk_fs::space(&self.fd).map_err(|errno| Error::Target { path: path(), why: errno.to_string() })?;
        if needs.allocated > space.free {
            return Err(Error::NoRoom { path: path(), needed: needs.allocated, free: space.free, what: "bytes" });
        }
        let names = needs.files + needs.dirs;
        match space.free_inodes {
            Some(free) if names > free => Err(Error::NoRoom { path: path(), needed: names, free, what: "files" }),
            _ => Ok(()),
        }
    }

    /// Has what was written before written to the disk, so that no method waits for the writing of another.
    pub(crate) fn settle(&self) {
        // A file system that cannot be synced does not wait either.
        pwalk_fs::sync_file_system(&self.fd).unwrap_or_default();
    }

    /// Makes sure that there is no copy, and room for one.
    pub(crate) fn make_room(&self, needs: &Tally) -> Result<(), Error> {
        remove(&self.copy())?;
        // Some room is left to others.
        let twice = Tally {
            allocated: needs.allocated.saturating_mul(2),
            files: needs.files * 2,
            dirs: needs.dirs * 2,
            ..Tally::default()
        };
        if self.aside.load(Relaxed) > 0 && self.check_room(&twice).is_err() {
            let aside = self.aside.swap(0, Relaxed);
            (0..aside).try_for_each(|number| remove(&self.place_aside(number)))?;
        }
        Ok(())
    }

    /// Removes the copy, or puts it aside.
    pub(crate) fn put_away(&self, there: &Tally) -> Result<(), Error> {
        if !self.puts_aside || there.files + there.dirs < MANY || !self.copy().is_dir() {
            return remove(&self.copy());
        }
        let aside = self.place_aside(self.aside.fetch_add(1, Relaxed));
        std::fs::rename(self.copy(), &aside).map_err(|why| Error::Remove { path: self.copy(), why })
    }

    fn place_aside(&self, number: usize) -> PathBuf {
        self.dir.path().join(format!("aside-{number}"))
    }

    /// Removes the directory and all that is in it. What goes wrong is told, as it is not when it is only dropped.
    pub(crate) fn close(&self) -> Result<(), Error> {
        remove(self.path())
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        // Nobody is left to tell; the directory itself tries again.
        self.close().unwrap_or_default();
    }
}

/// Removes a tree. A copy has the source's rights, and in a directory that its owner may not write nothing can be removed.
fn remove(path: &Path) -> Result<(), Error> {
    let failed = |why| Error::Remove { path: path.to_owned(), why };
    let is_dir = match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(failed(error)),
        Ok(meta) => meta.is_dir(),
    };
    if !is_dir {
        return std::fs::remove_file(path).map_err(failed);
    }
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            open_up(path).and_then(|()| std::fs::remove_dir_all(path)).map_err(failed)
        }
        done => done.map_err(failed),
    }
}

/// Gives the owner all rights to the directories of a tree of our own.
fn open_up(top: &Path) -> std::io::Result<()> {
    let mut dirs = vec![top.to_owned()];
    while let Some(dir) = dirs.pop() {
        set_permissions(&dir, Permissions::from_mode(0o700))?;
        for entry in read_dir(&dir)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                dirs.push(entry.path());
            }
        }
    }
    Ok(())
}
