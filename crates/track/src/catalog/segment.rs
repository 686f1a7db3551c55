//! Files of rows: what is there, what was there, and which rows are there no more.
//!
//! A segment has the columns of a scan that say what an entry is and when it changed, under the same names, and what a catalog adds: the digest of the content
//! and when it was read, and the run that found it so (`run`). In a segment of the past `to_run` is the first run that found it otherwise.
//! Rows are in the order of directories and names; so neighbours have most of their path in common, and a directory is one stretch.

use std::path::{Path, PathBuf};
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

/// A segment that is being written. There is no file until there is a row.
pub(crate) struct SegmentWriter {
    path: PathBuf,
    writer: Option<ArrowWriter<Output>>,
    schema: Arc<Schema>,
    columns: Columns,
    rows: u64,
}

impl SegmentWriter {
    pub(crate) fn new(path: PathBuf) -> Self {
        Self { path, writer: None, schema: Arc::new(schema()), columns: Columns::new(), rows: 0 }
    }

    pub(crate) fn write(&mut self, row: &SegmentRow<'_>) -> Result<(), TrackError> {
        self.columns.push(row);
        self.rows += 1;
        if self.columns.rows >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TrackError> {
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.columns.take());
        let batch = batch.map_err(|e| Error::parquet("write", &self.path, e.into()))?;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => start(&self.path, &self.schema, properties())?,
        };
        writer.write(&batch).map_err(|e| Error::parquet("write", &self.path, e))?;
        self.writer = Some(writer);
        Ok(())
    }

    /// Completes it: how many rows there are. Without any there is no file.
    pub(crate) fn finish(mut self) -> Result<u64, TrackError> {
        if self.rows > 0 {
            self.flush()?;
        }
        finish(self.writer, &self.path)?;
        Ok(self.rows)
    }
}

fn start(path: &Path, schema: &Arc<Schema>, properties: WriterProperties) -> Result<ArrowWriter<Output>, Error> {
    let output = Output::create(&Target::File(path.to_owned()))?;
    ArrowWriter::try_new(output, Arc::clone(schema), Some(properties)).map_err(|e| Error::parquet("start", path, e))
}

fn finish(writer: Option<ArrowWriter<Output>>, path: &Path) -> Result<(), Error> {
    let Some(writer) = writer else { return Ok(()) };
    writer.into_inner().map_err(|e| Error::parquet("write", path, e))?.commit().map(|_| ())
}

/// Which rows are there no more: in which segment (the last part of its path), which row, and from which run on.
pub(crate) struct GoneWriter {
    path: PathBuf,
    writer: Option<ArrowWriter<Output>>,
    schema: Arc<Schema>,
    columns: (StringBuilder, UInt64Builder, UInt64Builder),
    pending: usize,
    rows: u64,
}

impl GoneWriter {
    pub(crate) fn new(path: PathBuf) -> Self {
        let fields = [("segment", DataType::Utf8), ("row", DataType::UInt64), ("to_run", DataType::UInt64)];
        let fields = fields.map(|(name, kind)| Field::new(name, kind, false));
        let schema = Arc::new(Schema::new(fields.to_vec()));
        Self { path, writer: None, schema, columns: Default::default(), pending: 0, rows: 0 }
    }

    pub(crate) fn write(&mut self, segment: &str, row: u64, to_run: u64) -> Result<(), TrackError> {
        self.columns.0.append_value(segment);
        self.columns.1.append_value(row);
        self.columns.2.append_value(to_run);
        self.rows += 1;
        self.pending += 1;
        if self.pending >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TrackError> {
        self.pending = 0;
        let (segment, row, run) = &mut self.columns;
        let columns: Vec<ArrayRef> = vec![Arc::new(segment.finish()), Arc::new(row.finish()), Arc::new(run.finish())];
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), columns);
        let batch = batch.map_err(|e| Error::parquet("write", &self.path, e.into()))?;
        let mut writer = match self.writer.take() {
            Some(writer) => writer,
            None => {
                let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
                start(&self.path, &self.schema, properties.build())?
            }
        };
        writer.write(&batch).map_err(|e| Error::parquet("write", &self.path, e))?;
        self.writer = Some(writer);
        Ok(())
    }

    pub(crate) fn finish(mut self) -> Result<u64, TrackError> {
        if self.rows > 0 {
            self.flush()?;
        }
        finish(self.writer, &self.path)?;
        Ok(self.rows)
    }
}

/// Tells `each` what a file of gone rows says: segment, row, and the run that found it gone.
pub(crate) fn read_gone(path: &Path, mut each: impl FnMut(&str, u64, u64)) -> Result<(), TrackError> {
    use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
    let failed = |e| Error::parquet("read", path, e);
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    for batch in reader.map_err(failed)? {
        let batch = batch.map_err(|e| failed(e.into()))?;
        let numbers = |name| batch.column_by_name(name).and_then(|column| column.as_primitive_opt::<UInt64Type>());
        let segments = batch.column_by_name("segment").and_then(|column| column.as_string_opt::<i32>());
        if let (Some(segments), Some(rows), Some(runs)) = (segments, numbers("row"), numbers("to_run")) {
            for index in 0..batch.num_rows() {
                each(segments.value(index), rows.value(index), runs.value(index));
            }
        }
    }
    Ok(())
}
