//! Files of rows: what is there, and what was there.
//!
//! A segment has the columns of a scan that say what an entry is and when it changed, under the same names, and what a catalog adds: the digest of the content
//! and when it was read, and the run that found it so (`run`). In a segment of the past `to_run` is the first run that found it otherwise.
//! Rows are in the order of directories and names; so neighbours have most of their path in common, and a directory is one stretch.

use std::path::PathBuf;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, BooleanBuilder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt32Builder,
    UInt64Builder,
};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_array::{Array, ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use pwalk_scan::{Error, Output, RowBatch, ScanFile, Stat, Target, extension, path_text};

use super::store::Entry;
use crate::TrackError;
use crate::entry::{Hashed, kind};
use crate::side::{hashed, is_racy};

/// Rows of a row group.
const GROUP: usize = 1 << 17;
/// Rows that are collected before they are encoded.
pub(super) const BATCH: usize = 1 << 13;

/// A row of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SegmentRow<'a> {
    pub(crate) path: &'a [u8],
    pub(crate) stat: Stat,
    pub(crate) is_racy: bool,
    pub(crate) hashed: Option<Hashed>,
    /// The first run that found it so.
    pub(crate) run: u64,
    /// The first one that did not any more.
    pub(crate) to_run: Option<u64>,
}

impl<'a> SegmentRow<'a> {
    /// Of an entry as it is told of.
    pub(crate) fn of(entry: &Entry<'a>) -> Self {
        let (path, stat, hashed, run) = (entry.path, *entry.stat, entry.hashed(), entry.run);
        Self { path, stat, is_racy: false, hashed, run, to_run: None }
    }
}

/// Columns that are read beside those of a scan.
const MORE: [&str; 5] = ["is_racy", "fingerprint", "hashed_at", "run", "to_run"];

/// Tells `each` the rows of a row group, and their numbers in it.
pub(crate) fn read_group(
    file: &ScanFile,
    group: usize,
    mut each: impl FnMut(u64, &SegmentRow<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let mut number = 0;
    file.batches(group, &MORE, |rows| {
        for index in 0..rows.count() {
            let row = rows.row(index);
            let (is_racy, hashed) = (is_racy(rows, index), hashed(rows, index));
            let (run, to_run) = (run_in(rows, "run", index).unwrap_or(0), run_in(rows, "to_run", index));
            each(number, &SegmentRow { path: row.path, stat: row.stat, is_racy, hashed, run, to_run })?;
            number += 1;
        }
        Ok(())
    })
}

fn run_in(rows: &RowBatch<'_>, name: &str, row: usize) -> Option<u64> {
    let column = rows.column(name)?.as_primitive_opt::<UInt64Type>()?;
    column.is_valid(row).then(|| column.value(row))
}

/// The columns, filled row by row.
pub(super) struct Columns {
    path: StringBuilder,
    path_bytes: BinaryBuilder,
    name: StringBuilder,
    extension: StringBuilder,
    kind: StringBuilder,
    inode: UInt64Builder,
    dev: UInt64Builder,
    size: Int64Builder,
    times: [TimestampNanosecondBuilder; 4],
    mode: UInt32Builder,
    uid: UInt32Builder,
    gid: UInt32Builder,
    fingerprint: StringBuilder,
    is_racy: BooleanBuilder,
    runs: [UInt64Builder; 2],
    pub(super) rows: usize,
}

impl Columns {
    pub(super) fn new() -> Self {
        let time = || TimestampNanosecondBuilder::new().with_timezone("UTC");
        Self {
            path: StringBuilder::new(),
            path_bytes: BinaryBuilder::new(),
            name: StringBuilder::new(),
            extension: StringBuilder::new(),
            kind: StringBuilder::new(),
            inode: UInt64Builder::new(),
            dev: UInt64Builder::new(),
            size: Int64Builder::new(),
            times: [time(), time(), time(), time()],
            mode: UInt32Builder::new(),
            uid: UInt32Builder::new(),
            gid: UInt32Builder::new(),
            fingerprint: StringBuilder::new(),
            is_racy: BooleanBuilder::new(),
            runs: Default::default(),
            rows: 0,
        }
    }

    pub(super) fn push(&mut self, row: &SegmentRow<'_>) {
        let stat = &row.stat;
        let (path, bytes) = path_text(row.path);
        self.path_bytes.append_option(bytes.is_some().then_some(row.path));
        let name_at = path.rfind('/').filter(|at| at + 1 < path.len()).map_or(0, |at| at + 1);
        self.name.append_value(&path[name_at..]);
        let is_dir = kind(stat).is_dir();
        let extension = if is_dir { b"" } else { extension(path[name_at..].as_bytes()) };
        self.extension.append_value(std::str::from_utf8(extension).unwrap_or_default());
        self.path.append_value(path);
        self.kind.append_value(kind(stat).name());
        self.inode.append_value(stat.ino);
        self.dev.append_value(stat.dev);
        self.size.append_value(stat.size);
        let times = [Some(stat.mtime), Some(stat.ctime), stat.btime, row.hashed.map(|hashed| hashed.at)];
        self.times.iter_mut().zip(times).for_each(|(column, time)| column.append_option(time));
        self.mode.append_value(stat.mode);
        self.uid.append_value(stat.uid);
        self.gid.append_value(stat.gid);
        self.fingerprint.append_option(row.hashed.map(|hashed| hashed.fingerprint.to_string()));
        self.is_racy.append_value(row.is_racy);
        self.runs[0].append_value(row.run);
        self.runs[1].append_option(row.to_run);
        self.rows += 1;
    }

    /// The columns in the order of the schema; they are empty then.
    pub(super) fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let [mtime, ctime, btime, hashed_at] = &mut self.times;
        let [run, to_run] = &mut self.runs;
        vec![
            Arc::new(self.path.finish()),
            Arc::new(self.path_bytes.finish()),
            Arc::new(self.name.finish()),
            Arc::new(self.extension.finish()),
            Arc::new(self.kind.finish()),
            Arc::new(self.inode.finish()),
            Arc::new(self.dev.finish()),
            Arc::new(self.size.finish()),
            Arc::new(mtime.finish()),
            Arc::new(ctime.finish()),
            Arc::new(btime.finish()),
            Arc::new(self.mode.finish()),
            Arc::new(self.uid.finish()),
            Arc::new(self.gid.finish()),
            Arc::new(self.fingerprint.finish()),
            Arc::new(hashed_at.finish()),
            Arc::new(self.is_racy.finish()),
            Arc::new(run.finish()),
            Arc::new(to_run.finish()),
        ]
    }
}

/// The columns' names and types.
pub(super) fn schema() -> Schema {
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into()));
    let fields = [
        ("path", DataType::Utf8, false),
        ("path_bytes", DataType::Binary, true),
        ("name", DataType::Utf8, false),
        ("extension", DataType::Utf8, false),
        ("type", DataType::Utf8, false),
        ("inode", DataType::UInt64, false),
        ("dev", DataType::UInt64, false),
        ("size", DataType::Int64, false),
        ("mtime", time(), false),
        ("ctime", time(), false),
        ("btime", time(), true),
        ("mode", DataType::UInt32, false),
        ("uid", DataType::UInt32, false),
        ("gid", DataType::UInt32, false),
        ("fingerprint", DataType::Utf8, true),
        ("hashed_at", time(), true),
        ("is_racy", DataType::Boolean, false),
        ("run", DataType::UInt64, false),
        ("to_run", DataType::UInt64, true),
    ];
    Schema::new(fields.into_iter().map(|(name, kind, is_null)| Field::new(name, kind, is_null)).collect::<Vec<_>>())
}

/// How columns are written: what differs little from its neighbour as the difference.
fn properties() -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_max_row_group_row_count(Some(GROUP));
    for (name, encoding) in [
        ("path", Encoding::DELTA_BYTE_ARRAY),
        ("name", Encoding::DELTA_BYTE_ARRAY),
        ("inode", Encoding::DELTA_BINARY_PACKED),
        ("size", Encoding::DELTA_BINARY_PACKED),
        ("mtime", Encoding::DELTA_BINARY_PACKED),
        ("ctime", Encoding::DELTA_BINARY_PACKED),
        ("btime", Encoding::DELTA_BINARY_PACKED),
        ("hashed_at", Encoding::DELTA_BINARY_PACKED),
        ("fingerprint", Encoding::PLAIN),
    ] {
        let column = ColumnPath::from(name);
        properties =
            properties.set_column_encoding(column.clone(), encoding).set_column_dictionary_enabled(column, false);
    }
    properties.build()
}

/// A Parquet file that is being written, a batch at a time. There is no file until there is a row.
pub(super) struct BatchFile {
    path: PathBuf,
    schema: Arc<Schema>,
    properties: WriterProperties,
    writer: Option<ArrowWriter<Output>>,
    rows: u64,
}

impl BatchFile {
    pub(super) fn new(path: PathBuf, schema: Schema, properties: WriterProperties) -> Self {
        Self { path, schema: Arc::new(schema), properties, writer: None, rows: 0 }
    }

    pub(super) fn write(&mut self, columns: Vec<ArrayRef>) -> Result<(), TrackError> {
        let failed = |e| Error::parquet("write", &self.path, e);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns).map_err(|e| failed(e.into()))?;
        let writer = match &mut self.writer {
            Some(writer) => writer,
            none => {
                let output = Output::create(&Target::File(self.path.clone()))?;
                let writer = ArrowWriter::try_new(output, Arc::clone(&self.schema), Some(self.properties.clone()));
                none.insert(writer.map_err(|e| Error::parquet("start", &self.path, e))?)
            }
        };
        writer.write(&batch).map_err(failed)?;
        self.rows += batch.num_rows() as u64;
        Ok(())
    }

    /// Completes it: how many rows there are.
    pub(super) fn finish(self) -> Result<u64, TrackError> {
        if let Some(writer) = self.writer {
            writer.into_inner().map_err(|e| Error::parquet("write", &self.path, e))?.commit()?;
        }
        Ok(self.rows)
    }
}

/// A segment that is being written.
pub(crate) struct SegmentWriter {
    file: BatchFile,
    columns: Columns,
}

impl SegmentWriter {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { file: BatchFile::new(path, schema(), properties()), columns: Columns::new() }
    }

    pub(crate) fn write(&mut self, row: &SegmentRow<'_>) -> Result<(), TrackError> {
        self.columns.push(row);
        if self.columns.rows >= BATCH { self.file.write(self.columns.take()) } else { Ok(()) }
    }

    /// Completes it: how many rows there are. Without any there is no file.
    pub(crate) fn finish(mut self) -> Result<u64, TrackError> {
        if self.columns.rows > 0 {
            self.file.write(self.columns.take())?;
        }
        self.file.finish()
    }
}
