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
    /// Files cannot be hashed.
    #[error("cannot hash the files of {path}: {why}")]
    Hash {
        /// The directory, for people.
        path: String,
        /// What the kernel said.
        why: String,
    },
    /// The bookkeeping of a catalog cannot be read or written.
    #[error("cannot use the catalog {}: {why}", path.display())]
    Book {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        why: rusqlite::Error,
    },
    /// A catalog of another program, or of a later version.
    #[error("{} is no catalog that this version can use (version {version}); name another directory, or use a newer pwalk", path.display())]
    OtherCatalog {
        /// The file.
        path: PathBuf,
        /// What it says it is; 0 if that is unknown.
        version: i32,
    },
    /// A file or directory of a catalog cannot be used.
    #[error("cannot {doing} {}: {why}; check that the catalog's directory is yours and has room", path.display())]
    Catalog {
        /// What was being done, as a verb.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// What the kernel said.
        why: io::Error,
    },
    /// The database of a catalog cannot be used.
    #[error("cannot {doing} ({server}): {why}; {advice}")]
    Database {
        /// What was being done, as a verb and what.
        doing: &'static str,
        /// Which database, as whom, and where; no password.
        server: String,
        /// What the server said, or what kept us from it.
        why: String,
        /// What the user can do.
        advice: &'static str,
    },
    /// A root is being scanned.
    #[error(
        "{root} is being scanned into this catalog by another process, or verified or pruned; wait until that is done"
    )]
    Locked {
        /// The root, for people.
        root: String,
    },
    /// A root is not what it was.
    #[error("{root} {why}; nothing was recorded. If that is so, say --accept-new-root")]
    OtherRoot {
        /// The root, for people.
        root: String,
        /// What is the matter.
        why: String,
    },
    /// More than half is gone.
    #[error(
        "{removed} of {entries} entries of {root} are gone{}; nothing was recorded. If that is so, say --accept-mass-delete",
        hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default()
    )]
    MassDelete {
        /// The root, for people.
        root: String,
        /// How many are gone.
        removed: u64,
        /// How many there were.
        entries: u64,
        /// What may be why.
        hint: Option<String>,
    },
    /// A catalog does not know what is asked for.
    #[error("{0}")]
    Unknown(String),
    /// The user had it stopped.
    #[error("interrupted")]
    Interrupted,
}
