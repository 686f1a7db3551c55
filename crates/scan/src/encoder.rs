//! What a file format must do for a scan.
//!
//! Pushing a row never fails and never waits: it goes to the encoder's own buffer. Encoding,
//! compressing and writing happen together in [`Encoder::flush`], once per block of rows, so that the
//! cost of the lock and of the system call is shared by tens of thousands of rows.

use pwalk_fs::Meta;

use crate::{DirColumns, Error, Metadata, Parent, Written};

/// What a format could not show exactly in a row. Nothing is lost in silence: the caller puts the
/// entry into the [ledger](crate::Ledger), without calling the scan partial.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[must_use]
pub struct Oddities {
    /// The path holds bytes that the format leaves out (CSV: below 0x20).
    pub unprintable: bool,
    /// A time outside the range of the format was moved to its nearest end (Parquet: 1677 to 2262).
    pub unrepresentable: bool,
}

impl Oddities {
    /// Whether there is anything to tell.
    pub fn any(self) -> bool {
        self.unprintable || self.unrepresentable
    }
}

/// Collects rows and writes them in blocks to the output that all encoders of a [`Format`] share.
pub trait Encoder: Send {
    /// Starts a run of rows that have `parent` in common.
    fn begin(&mut self, parent: &Parent<'_>);

    /// Appends a row to the run: `dir` is given for a directory and only then.
    fn row(&mut self, name: &[u8], meta: &Meta, dir: Option<&DirColumns>) -> Oddities;

    /// Whether the block is as large as it should get. The caller flushes then.
    fn is_full(&self) -> bool;

    /// Writes the block, if there is any, and starts the next. A run may go on across it.
    fn flush(&mut self) -> Result<(), Error>;
}

/// A kind of output file, open for writing.
pub trait Format: Send + Sync {
    /// A further encoder onto the same file.
    fn encoder(&self) -> Result<Box<dyn Encoder>, Error>;

    /// Completes the file with `metadata` and gives it its name. All encoders must have been flushed.
    /// Without this call nothing appears under the final name. `before` is called when all is written and nothing can
    /// be seen yet; if it fails nothing will be.
    fn finish(&self, metadata: &Metadata, before: &mut dyn FnMut() -> Result<(), Error>) -> Result<Written, Error>;
}
