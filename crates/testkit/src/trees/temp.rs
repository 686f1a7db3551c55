//! A temporary directory that can be removed whatever was built in it.

use std::path::{Path, PathBuf};

use rustix::fs::{self, Mode};

use super::remove_tree;

/// A temporary directory (below `TMPDIR`, else `/tmp`), removed with [`remove_tree`] when dropped.
///
/// Its mode is 0755, so that a command of another user reaches what is in it. Dropping panics when something cannot
/// be removed, except while the test panics already: a tree left behind is a failure, not a detail.
#[derive(Debug)]
pub struct TempTree {
    path: PathBuf,
}

impl TempTree {
    /// An empty directory.
    #[expect(clippy::new_without_default, reason = "making a directory is an act, not a default value")]
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// An empty directory in `parent`, for tests that need a certain file system.
    pub fn below(parent: &Path) -> Self {
        let made = tempfile::Builder::new().prefix("pwalk-test-").tempdir_in(parent);
        let path = made.unwrap_or_else(|e| panic!("make a temporary directory in {parent:?}: {e}")).keep();
        fs::chmod(&path, Mode::from_raw_mode(0o755)).unwrap_or_else(|e| panic!("chmod {path:?}: {e}"));
        Self { path }
    }

    /// A directory, filled by one of the builders of [`trees`](super): `TempTree::with(trees::names)`.
    pub fn with<T>(build: impl FnOnce(&Path) -> T) -> (Self, T) {
        let tree = Self::new();
        let made = build(tree.path());
        (tree, made)
    }

    /// Where it is, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes an empty sub-directory and returns its path.
    pub fn subdir(&self, name: &str) -> PathBuf {
        super::at::section(&self.path, name)
    }
}

impl AsRef<Path> for TempTree {
    fn as_ref(&self) -> &Path {
        &self.path
    }
}

impl Drop for TempTree {
    fn drop(&mut self) {
        if let Err(error) = remove_tree(&self.path) {
            assert!(std::thread::panicking(), "remove {:?}: {error}", self.path);
        }
    }
}
