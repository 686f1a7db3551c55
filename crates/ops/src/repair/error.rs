//! Why a repair does not begin, or does not go on.
//!
//! Trouble with single entries is not an error but an [`Event`](super::Event): the others are still repaired.

use std::path::{Path, PathBuf};

use pwalk_fs::Errno;

use crate::shown::shown;

/// A path in a message.
struct Shown<'a>(&'a [u8]);

impl std::fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&shown(self.0))
    }
}

/// Why a repair does not begin, or does not go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RepairError {
    /// Nothing was given to repair.
    #[error("no path was given to repair")]
    NoPath,
    /// A system directory.
    #[error("{}: refused, because it {how} the system directory {system}; nothing was changed", Shown(path))]
    Protected {
        /// The path as it was given.
        path: Vec<u8>,
        /// `is` or `is inside`.
        how: &'static str,
        /// The system directory.
        system: &'static str,
    },
    /// A given path cannot be looked at.
    #[error("cannot open {}: {errno}; nothing was changed", Shown(path))]
    Root {
        /// The path as it was given.
        path: Vec<u8>,
        /// What the kernel said.
        errno: Errno,
    },
    /// A group that does not exist.
    #[error("there is no group {0:?}; `getent group` lists those that there are")]
    NoSuchGroup(String),
    /// A user that does not exist.
    #[error("there is no user {0:?}; `getent passwd` lists those that there are")]
    NoSuchUser(String),
    /// The account database does not answer.
    #[error("cannot look up {name:?}: {errno}")]
    Lookup {
        /// Whose.
        name: String,
        /// What the system said.
        errno: String,
    },
    /// Changes that this process may not make.
    #[error(
        "{count} of the changes need root, the first of them to {}: {why}; nothing was changed. \
         Run it as root, or leave out --apply to see the plan",
        Shown(first)
    )]
    Privilege {
        /// How many.
        count: u64,
        /// One of them.
        first: Vec<u8>,
        /// What is missing.
        why: &'static str,
    },
    /// More changes than may be made unasked.
    #[error(
        "there are more than {limit} changes to make; look at the plan, then add --yes{}",
        if *.applied == 0 { "; nothing was changed".to_owned() } else { format!("; {applied} were made") }
    )]
    TooMany {
        /// The most.
        limit: u64,
        /// How many were made before that was found out.
        applied: u64,
    },
    /// The journal cannot be written.
    #[error(
        "cannot write the journal {}: {why}; what is not in the journal was not changed{}",
        path.display(),
        if *.made == 0 { String::new() } else { format!("; {made} changes were made, and can be undone with it") }
    )]
    Journal {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        why: String,
        /// How many changes were made before.
        made: u64,
    },
    /// There is no place for a journal.
    #[error("there is no place for a journal: neither XDG_STATE_HOME nor HOME is set; name one with --journal")]
    NoJournalPlace,
    /// A plan cannot be written.
    #[error("cannot write the plan {}: {why}", path.display())]
    Plan {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
    /// A plan or a journal cannot be read.
    #[error("cannot use {}: {why}; nothing was changed", path.display())]
    Unreadable {
        /// Its file.
        path: PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A list of excluded paths cannot be read.
    #[error("cannot read the paths in {}: {why}", path.display())]
    ExcludeFrom {
        /// Its file.
        path: PathBuf,
        /// What the system said.
        why: String,
    },
}

impl RepairError {
    pub(crate) fn plan(path: &Path, error: impl ToString) -> Self {
        Self::Plan { path: path.to_owned(), why: error.to_string() }
    }
}
