//! Changes as Arrow record batches.
//!
//! The columns are those of a Parquet file of changes, because they are what that is written from. Who streams changes of several runs
//! has the run's number before them.

use std::sync::Arc;

use arrow_array::builder::{
    ArrayBuilder, BinaryBuilder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};
use pwalk_scan::{Stat, path_text};

use crate::change::Change;

/// Collects changes of runs until there are enough for a batch.
pub struct ChangeBatches {
    runs: Option<UInt64Builder>,
    columns: Columns,
    schema: SchemaRef,
}

impl ChangeBatches {
    /// Changes that are a batch.
    pub const ROWS: usize = 1 << 13;

    /// The columns of each batch: `run`, and those of a Parquet file of changes.
    pub fn schema() -> SchemaRef {
        let run = Arc::new(Field::new("run", DataType::UInt64, false));
        Arc::new(Schema::new([run].into_iter().chain(schema().fields().iter().cloned()).collect::<Vec<_>>()))
    }

    /// Nothing is collected yet.
    pub fn new() -> Self {
        Self::of(true)
    }

    /// The same, or without runs.
    pub(super) fn of(has_runs: bool) -> Self {
        let schema = if has_runs { Self::schema() } else { Arc::new(schema()) };
        Self { runs: has_runs.then(UInt64Builder::new), columns: Columns::new(), schema }
    }

    /// The columns of its batches.
    pub(super) fn own_schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    /// Adds a change of a run: a batch, if there are enough.
    ///
    /// # Errors
    /// None that anybody could do anything about: the columns do not fit together.
    pub fn push(&mut self, run: u64, change: &Change<'_>) -> Result<Option<RecordBatch>, ArrowError> {
        self.runs.iter_mut().for_each(|runs| runs.append_value(run));
        self.columns.push(change);
        if self.columns.rows >= Self::ROWS { self.take() } else { Ok(None) }
    }

    /// What is collected; none if that is nothing.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.columns.rows == 0 {
            return Ok(None);
        }
        let mut columns: Vec<ArrayRef> = Vec::new();
        finish(&mut columns, self.runs.as_mut_slice());
        columns.append(&mut self.columns.take());
        RecordBatch::try_new(Arc::clone(&self.schema), columns).map(Some)
    }
}

impl Default for ChangeBatches {
    fn default() -> Self {
        Self::new()
    }
}

/// The columns, filled row by row.
struct Columns {
    change_type: StringBuilder,
    path: [StringBuilder; 2],
    path_bytes: [BinaryBuilder; 2],
    kind: StringBuilder,
    size: [Int64Builder; 2],
    mtime: [TimestampNanosecondBuilder; 2],
    fingerprint: [StringBuilder; 2],
    confidence: StringBuilder,
    mode: [UInt32Builder; 2],
    uid: [UInt32Builder; 2],
    gid: [UInt32Builder; 2],
    inode: [UInt64Builder; 2],
    ctime: [TimestampNanosecondBuilder; 2],
    old_kind: StringBuilder,
    rows: usize,
}

impl Columns {
    fn new() -> Self {
        let time = || TimestampNanosecondBuilder::new().with_timezone("UTC");
        Self {
            change_type: StringBuilder::new(),
            path: Default::default(),
            path_bytes: Default::default(),
            kind: StringBuilder::new(),
            size: Default::default(),
            mtime: [time(), time()],
            fingerprint: Default::default(),
            confidence: StringBuilder::new(),
            mode: Default::default(),
            uid: Default::default(),
            gid: Default::default(),
            inode: Default::default(),
            ctime: [time(), time()],
            old_kind: StringBuilder::new(),
            rows: 0,
        }
    }

    fn push(&mut self, change: &Change<'_>) {
        self.change_type.append_value(change.change_type.name());
        self.kind.append_value(change.kind().name());
        self.confidence.append_value(change.confidence.name());
        for (side, path) in [Some(change.path), change.old_path].into_iter().enumerate() {
            let text = path.map(path_text);
            // The bytes only where the text is not all of them.
            self.path_bytes[side].append_option(text.as_ref().filter(|(_, bytes)| bytes.is_some()).and(path));
            self.path[side].append_option(text.map(|(text, _)| text));
        }
        for (side, stat) in [change.old, change.new].into_iter().enumerate() {
            self.size[side].append_option(stat.map(|stat| stat.size));
            self.mtime[side].append_option(stat.map(|stat| stat.mtime));
            self.mode[side].append_option(stat.map(|stat: &Stat| stat.mode & 0o7777));
            self.uid[side].append_option(stat.map(|stat| stat.uid));
            self.gid[side].append_option(stat.map(|stat| stat.gid));
            self.inode[side].append_option(stat.map(|stat| stat.ino));
            self.ctime[side].append_option(stat.map(|stat| stat.ctime));
        }
        for (side, fingerprint) in [change.old_fingerprint, change.new_fingerprint].into_iter().enumerate() {
            self.fingerprint[side].append_option(fingerprint.map(|of| of.to_string()));
        }
        self.old_kind.append_option(change.old_kind().map(pwalk_fs::Kind::name));
        self.rows += 1;
    }

    /// The columns in the order of the schema; they are empty then.
    fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let mut columns = Vec::new();
        finish(&mut columns, std::slice::from_mut(&mut self.change_type));
        finish(&mut columns, &mut self.path);
        finish(&mut columns, &mut self.path_bytes);
        finish(&mut columns, std::slice::from_mut(&mut self.kind));
        finish(&mut columns, &mut self.size);
        finish(&mut columns, &mut self.mtime);
        finish(&mut columns, &mut self.fingerprint);
        finish(&mut columns, std::slice::from_mut(&mut self.confidence));
        finish(&mut columns, &mut self.mode);
        finish(&mut columns, &mut self.uid);
        finish(&mut columns, &mut self.gid);
        finish(&mut columns, &mut self.inode);
        finish(&mut columns, &mut self.ctime);
        finish(&mut columns, std::slice::from_mut(&mut self.old_kind));
        columns
    }
}

/// Adds the columns of builders, which are empty then.
fn finish<B: ArrayBuilder>(columns: &mut Vec<ArrayRef>, builders: &mut [B]) {
    columns.extend(builders.iter_mut().map(ArrayBuilder::finish));
}

/// The columns' names and types.
fn schema() -> Schema {
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let fields = [
        ("change_type", DataType::Utf8, false),
        ("path", DataType::Utf8, false),
        ("old_path", DataType::Utf8, true),
        ("path_bytes", DataType::Binary, true),
        ("old_path_bytes", DataType::Binary, true),
        ("kind", DataType::Utf8, false),
        ("old_size", DataType::Int64, true),
        ("new_size", DataType::Int64, true),
        ("old_mtime", time(), true),
        ("new_mtime", time(), true),
        ("old_fingerprint", DataType::Utf8, true),
        ("new_fingerprint", DataType::Utf8, true),
        ("confidence", DataType::Utf8, false),
        ("old_mode", DataType::UInt32, true),
        ("new_mode", DataType::UInt32, true),
        ("old_uid", DataType::UInt32, true),
        ("new_uid", DataType::UInt32, true),
        ("old_gid", DataType::UInt32, true),
        ("new_gid", DataType::UInt32, true),
        ("old_inode", DataType::UInt64, true),
        ("new_inode", DataType::UInt64, true),
        ("old_ctime", time(), true),
        ("new_ctime", time(), true),
        ("old_kind", DataType::Utf8, true),
    ];
    Schema::new(fields.into_iter().map(|(name, kind, is_null)| Field::new(name, kind, is_null)).collect::<Vec<_>>())
}
