//! What can go wrong with a scan's own files.
//!
//! Trouble in the scanned tree is data and goes to the [ledger](crate::Ledger); an [`Error`] here means
//! that the result itself cannot be written or read. It says what was being done, to which file, and why it
//! failed; the kind is private so that it can grow.

use std::io;
use std::path::{Path, PathBuf};

/// An operation on one of the scan's own files that failed.
#[derive(Debug, thiserror::Error)]
#[error("cannot {operation} {}: {cause}", path.display())]
pub struct Error {
    operation: &'static str,
    path: PathBuf,
    /// Part of the message, and so not a `source` as well: who prints the chain would print it twice.
    cause: Cause,
}

#[derive(Debug, thiserror::Error)]
enum Cause {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("{0}")]
    Parquet(#[from] parquet::errors::ParquetError),
    #[error("{0}")]
    Json(#[from] serde_json::Error),
    #[error("{0}")]
    Because(&'static str),
}

impl Error {
    /// The kernel or the runtime refused.
    pub fn io(operation: &'static str, path: &Path, cause: io::Error) -> Self {
        Self { operation, path: path.to_owned(), cause: cause.into() }
    }

    /// The Parquet library refused. What the file system said is kept as such.
    pub fn parquet(operation: &'static str, path: &Path, cause: parquet::errors::ParquetError) -> Self {
        let cause = match cause {
            parquet::errors::ParquetError::External(inner) => match inner.downcast::<io::Error>() {
                Ok(io) => Cause::Io(*io),
                Err(other) => Cause::Parquet(parquet::errors::ParquetError::External(other)),
            },
            other => other.into(),
        };
        Self { operation, path: path.to_owned(), cause }
    }

    /// Text that should be JSON is not.
    pub(crate) fn json(operation: &'static str, path: &Path, cause: serde_json::Error) -> Self {
        Self { operation, path: path.to_owned(), cause: cause.into() }
    }

    /// Refused by this crate.
    pub(crate) fn because(operation: &'static str, path: &Path, why: &'static str) -> Self {
        Self { operation, path: path.to_owned(), cause: Cause::Because(why) }
    }

    /// What was being done, as a verb: `write`, `rename` ….
    pub fn operation(&self) -> &'static str {
        self.operation
    }

    /// The file that it was done to.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What the system said, if it was the system: a full disk is [`io::ErrorKind::StorageFull`], a reader
    /// that went away [`io::ErrorKind::BrokenPipe`].
    pub fn io_kind(&self) -> Option<io::ErrorKind> {
        match &self.cause {
            Cause::Io(e) => Some(e.kind()),
            _ => None,
        }
    }
}
