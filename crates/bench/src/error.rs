//! What keeps a benchmark from being begun or finished. A method that fails is no error: its row says so.

use std::path::PathBuf;

/// What keeps a benchmark from being begun or finished.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// What is to be walked or copied cannot be looked at.
    #[error("cannot benchmark {path}: {why}")]
    Path {
        /// The path, as it is shown.
        path: String,
        /// Why.
        why: std::io::Error,
    },
    /// What is to be walked is no directory.
    #[error("cannot benchmark {0}: it is no directory")]
    NotDirectory(String),
    /// A component that is none.
    #[error("{0:?} is no sub-directory of the workspace: components are names of directories in it")]
    Component(String),
    /// Where the copies should be made there is no place for them.
    #[error("cannot make copies in {}: {why}; name another directory with --target", path.display())]
    Target {
        /// The directory.
        path: PathBuf,
        /// Why not.
        why: String,
    },
    /// There is not enough room for a copy.
    #[error("not enough room in {}: a copy needs {needed} {what} and {free} are free; name another directory with --target", path.display())]
    NoRoom {
        /// The directory.
        path: PathBuf,
        /// How much a copy needs.
        needed: u64,
        /// How much there is.
        free: u64,
        /// `bytes` or `files`.
        what: &'static str,
    },
    /// Caches that cannot be dropped.
    #[error(
        "cannot drop the caches ({0}); that needs root and a writable /proc/sys/vm/drop_caches: leave out --drop-caches"
    )]
    DropCaches(std::io::Error),
    /// A copy that could not be removed.
    #[error("cannot remove the copy in {}: {why}; remove it yourself", path.display())]
    Remove {
        /// Where it is.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
    /// Results that could not be written.
    #[error("cannot write the results to {}: {why}", path.display())]
    Output {
        /// The file or directory.
        path: PathBuf,
        /// Why.
        why: std::io::Error,
    },
}
