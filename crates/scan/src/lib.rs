//! What one scan is: its rows, the files they go to, what could not be read, and whether it is all there.
//!
//! ```text
//! rows ──► Pool ──► Encoder (CSV text or Parquet columns) ──► compressed block ──► Output
//! errors ─────────────────────────────────────────────────────────────────────► Ledger
//! ```
//!
//! Rows come from many threads, a run of one directory at a time. A thread borrows an [`Encoder`] from
//! the bounded [`Pool`], pushes its run, and gives it back; a full one is encoded, compressed and appended to the
//! file by one of a few threads, as many as cores, under one lock. So no single writer becomes the bottleneck, and
//! memory depends on the number of cores and not on the number of threads.
//! The price is that the rows of a file are in no order beyond "runs of one directory stay together".
//!
//! This crate never opens a file of the tree that is scanned.

mod arrow;
mod compress;
mod csv;
mod encoder;
mod error;
mod ledger;
mod losses;
mod metadata;
mod names;
mod output;
mod parquet;
mod pool;
mod reader;
mod record;
pub mod report;
mod rows;
mod verdict;

pub use compress::{Compression, DEFAULT_GZIP_LEVEL, DEFAULT_ZSTD_LEVEL};
pub use csv::{Csv, CsvOptions, HEADER, Header};
pub use encoder::{Encoder, Format, Oddities};
pub use error::Error;
pub use ledger::{Ledger, LedgerEntry, LedgerTarget, class};
pub use losses::{Loss, ledger_of, read_losses, read_losses_of};
pub use metadata::{Metadata, Root, read_metadata};
pub use names::path_text;
pub use output::{Output, Target, Written};
pub use parquet::{Parquet, ParquetOptions};
pub use pool::{Pool, Rows, Stopped};
pub use reader::{Row, RowBatch, ScanFile, Stat};
pub use record::{DirColumns, Parent, extension, join, split_root, trim_root};
pub use verdict::Verdict;
