//! The fd-relative calls that all builders share, each with a panic that names the call and the name.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use rustix::fs::{self, FileType, Mode, OFlags};

/// How this crate opens a directory: never through a symbolic link, never inherited by a child process.
pub(super) const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

const DIR_MODE: Mode = Mode::from_raw_mode(0o755);
const FILE_MODE: Mode = Mode::from_raw_mode(0o644);

/// A directory that is open, in which names can be made.
#[derive(Debug)]
pub(super) struct At(pub(super) OwnedFd);

impl At {
    /// Opens the directory at `path`.
    pub(super) fn open(path: &Path) -> Self {
        // The root of a test may be reached through a symbolic link (TMPDIR); only what is below may not.
        let flags = DIRECTORY.difference(OFlags::NOFOLLOW);
        Self(fs::open(path, flags, Mode::empty()).unwrap_or_else(|e| panic!("open directory {path:?}: {e}")))
    }

    /// Makes a directory.
    pub(super) fn mkdir(&self, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        fs::mkdirat(&self.0, name, DIR_MODE).unwrap_or_else(|e| panic!("mkdirat {}: {e}", name.escape_ascii()));
    }

    /// Opens a sub-directory.
    pub(super) fn child(&self, name: impl AsRef<[u8]>) -> Self {
        let name = name.as_ref();
        Self(
            fs::openat(&self.0, name, DIRECTORY, Mode::empty())
                .unwrap_or_else(|e| panic!("openat {}: {e}", name.escape_ascii())),
        )
    }

    /// Makes a directory and opens it.
    pub(super) fn subdir(&self, name: impl AsRef<[u8]>) -> Self {
        self.mkdir(&name);
        self.child(name)
    }

    /// Makes an empty regular file with `mknodat`, which is one call where open and close are two.
    pub(super) fn file(&self, name: impl AsRef<[u8]>) {
        self.node(name, FileType::RegularFile, 0);
    }

    /// Makes a node that is not a directory; `device` is 0 except for devices.
    pub(super) fn node(&self, name: impl AsRef<[u8]>, kind: FileType, device: u64) {
        let name = name.as_ref();
        self.try_node(name, kind, device).unwrap_or_else(|e| panic!("mknodat {}: {e}", name.escape_ascii()));
    }

    /// As [`At::node`], for kinds that may be refused.
    pub(super) fn try_node(&self, name: &[u8], kind: FileType, device: u64) -> rustix::io::Result<()> {
        fs::mknodat(&self.0, name, kind, FILE_MODE, device)
    }

    /// Makes a regular file of `bytes` bytes that occupies no block (a hole).
    pub(super) fn hole(&self, name: impl AsRef<[u8]>, bytes: u64) {
        let name = name.as_ref();
        let file = self.create(name);
        fs::ftruncate(&file, bytes).unwrap_or_else(|e| panic!("ftruncate {} to {bytes}: {e}", name.escape_ascii()));
    }

    /// Makes a regular file with content.
    pub(super) fn content(&self, name: impl AsRef<[u8]>, mut bytes: &[u8]) {
        let name = name.as_ref();
        let file = self.create(name);
        while !bytes.is_empty() {
            let n = rustix::io::write(&file, bytes).unwrap_or_else(|e| panic!("write {}: {e}", name.escape_ascii()));
            bytes = &bytes[n..];
        }
    }

    /// Makes a regular file and returns it open for writing.
    pub(super) fn create(&self, name: &[u8]) -> OwnedFd {
        fs::openat(&self.0, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC, FILE_MODE)
            .unwrap_or_else(|e| panic!("create {}: {e}", name.escape_ascii()))
    }

    /// Makes a symbolic link.
    pub(super) fn symlink(&self, target: impl AsRef<[u8]>, name: impl AsRef<[u8]>) {
        let name = name.as_ref();
        fs::symlinkat(target.as_ref(), &self.0, name)
            .unwrap_or_else(|e| panic!("symlinkat {}: {e}", name.escape_ascii()));
    }

    /// Makes a further name `new` in `other` for the file `old` of this directory.
    pub(super) fn link(&self, old: impl AsRef<[u8]>, other: &Self, new: impl AsRef<[u8]>) {
        let (old, new) = (old.as_ref(), new.as_ref());
        fs::linkat(&self.0, old, &other.0, new, fs::AtFlags::empty())
            .unwrap_or_else(|e| panic!("linkat {} -> {}: {e}", old.escape_ascii(), new.escape_ascii()));
    }

    /// Sets the permission bits of an entry that is not a symbolic link.
    pub(super) fn chmod(&self, name: impl AsRef<[u8]>, mode: u32) {
        let name = name.as_ref();
        fs::chmodat(&self.0, name, Mode::from_raw_mode(mode), fs::AtFlags::empty())
            .unwrap_or_else(|e| panic!("chmodat {}: {e}", name.escape_ascii()));
    }
}

/// Makes the directory `name` in `root` and returns its path.
pub(super) fn section(root: &Path, name: &str) -> PathBuf {
    At::open(root).mkdir(name);
    root.join(name)
}
