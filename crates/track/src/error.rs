//! What keeps a comparison from being made.

use std::io;
use std::path::PathBuf;

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrackError {
    /// A scan cannot be read.
    #[error(transparent)]
    Scan(#[from] pwalk_scan::Error),
    /// Which of its rows belong to which root is not known.
    #[error("{}: {why}", path.display())]
    NoScan {
        /// The file.
        path: PathBuf,
        /// Why.
        why: &'static str,
    },
    /// A directory cannot be walked.
    #[error("cannot walk {path}: {why}; check the path")]
    Directory {
        /// The directory, for people.
        path: String,
        /// What the kernel said.
        why: String,
    },
    /// They are not of the same trees.
    #[error("the two have different roots: {old} against {new}; compare scans of the same roots")]
    OtherRoots {
        /// Those of the old one.
        old: String,
        /// Those of the new one.
        new: String,
    },
    /// What does not fit into memory cannot be put aside.
    #[error("cannot sort in {}: {why}; name a directory with more room in TMPDIR", dir.display())]
    Spill {
        /// Where.
        dir: PathBuf,
        /// What the kernel said.
        why: io::Error,
    },
    /// Whoever was told of changes wants no more.
    #[error("cannot write the changes: {0}")]
    Output(io::Error),
    /// The user had it stopped.
    #[error("interrupted")]
    Interrupted,
}
