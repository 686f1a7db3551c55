//! Scan + scan = changes: exact, at any size, without a server.
//!
//! Both sides are read once, and of each entry a mark of fixed size is kept. What differs is read again, sorted, and told: what changed, and nothing
//! that was not seen is taken for gone.
//!
//! * `side.rs`: a file of a scan, or a directory that is walked now; `marks.rs`: what is kept of an entry;
//! * `join.rs`, `moves.rs`, `tell.rs`: the difference, in three steps;
//! * `sort.rs`: sorting more than memory holds; `key.rs`: paths in the order of trees.
//!
//! Never does a failed listing remove anything: what was below is [`ChangeType::Unseen`].

mod catalog;
mod change;
mod config;
mod connection;
mod diff;
mod entry;
mod error;
mod fingerprint;
mod join;
mod key;
mod marks;
mod moves;
mod password;
mod places;
mod side;
mod sort;
mod tell;
mod write;

pub use catalog::{
    Accepted, BadPlace, BadSince, Catalog, ChangeFilter, Entry, EntryBatches, Group, Hashing, Keep, Period, Place,
    Report, ReportOptions, ReportRow, Run, RunKind, ScanOptions, ScanSummary, Since, VerifyOptions, known_path,
};
pub use change::{Change, ChangeType, Confidence, Counts};
pub use config::{BadConfig, LogLevel, TrackConfig, parse_bytes};
pub use connection::{BadConnection, Connection, Endpoint, Host, PostgresSection, SslMode};
pub use diff::{DiffOptions, DiffSummary, MEMORY, run};
pub use error::TrackError;
pub use fingerprint::{
    BadFingerprint, Bucket, Fingerprint, FingerprintMode, Hash, HashOptions, HashSink, Hasher, Hashers, Item, Outcome,
    PIECE, PIECES, Rate, Stopped,
};
pub use password::Password;
pub use side::{Facts, Source};
pub use write::{ChangeBatches, ChangeWriter, ChangesOf, json, time};
