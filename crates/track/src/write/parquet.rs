//! Changes in Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow_array::builder::{
    BinaryBuilder, Int64Builder, StringBuilder, TimestampNanosecondBuilder, UInt32Builder, UInt64Builder,
};
use arrow_array::{ArrayRef, RecordBatch};
use arrow_schema::{DataType, Field, Schema, TimeUnit};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pwalk_scan::{Error, Output, Stat, Written, path_text};

use crate::change::Change;

/// Rows that are collected before they are written.
const ROWS: usize = 1 << 14;

/// The columns, filled row by row.
struct Columns {
    change_type: StringBuilder,
    path: [StringBuilder; 2],
    path_bytes: [BinaryBuilder; 2],
    kind: StringBuilder,
    size: [Int64Builder; 2],
    mtime: [TimestampNanosecondBuilder; 2],
    fingerprint: [BinaryBuilder; 2],
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
            self.fingerprint[side].append_null();
            self.mode[side].append_option(stat.map(|stat: &Stat| stat.mode & 0o7777));
            self.uid[side].append_option(stat.map(|stat| stat.uid));
            self.gid[side].append_option(stat.map(|stat| stat.gid));
            self.inode[side].append_option(stat.map(|stat| stat.ino));
            self.ctime[side].append_option(stat.map(|stat| stat.ctime));
        }
        self.old_kind.append_option(change.old_kind().map(pwalk_fs::Kind::name));
        self.rows += 1;
    }

    /// The columns in the order of the schema; they are empty then.
    fn take(&mut self) -> Vec<ArrayRef> {
        self.rows = 0;
        let ([path, old_path], [path_bytes, old_path_bytes]) = (&mut self.path, &mut self.path_bytes);
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(self.change_type.finish()),
            Arc::new(path.finish()),
            Arc::new(old_path.finish()),
            Arc::new(path_bytes.finish()),
            Arc::new(old_path_bytes.finish()),
            Arc::new(self.kind.finish()),
        ];
        columns.extend(self.size.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.mtime.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.fingerprint.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.confidence.finish()));
        for numbers in [&mut self.mode, &mut self.uid, &mut self.gid] {
            columns.extend(numbers.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        }
        columns.extend(self.inode.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.extend(self.ctime.iter_mut().map(|column| Arc::new(column.finish()) as ArrayRef));
        columns.push(Arc::new(self.old_kind.finish()));
        columns
    }
}

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
        ("old_fingerprint", DataType::Binary, true),
        ("new_fingerprint", DataType::Binary, true),
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

/// A Parquet file of changes.
pub(super) struct ParquetChanges {
    writer: ArrowWriter<Output>,
    schema: Arc<Schema>,
    columns: Columns,
    path: Box<Path>,
}

impl ParquetChanges {
    pub(super) fn new(output: Output) -> Result<Self, Error> {
        let path: Box<Path> = output.path().into();
        let schema = Arc::new(schema());
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROWS * 4))
            .build();
        let writer = ArrowWriter::try_new(output, Arc::clone(&schema), Some(properties));
        let writer = writer.map_err(|e| Error::parquet("start", &path, e))?;
        Ok(Self { writer, schema, columns: Columns::new(), path })
    }

    pub(super) fn write(&mut self, change: &Change<'_>) -> Result<(), Error> {
        self.columns.push(change);
        if self.columns.rows >= ROWS { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Error> {
        let failed = |e| Error::parquet("write", &self.path, e);
        let batch = RecordBatch::try_new(Arc::clone(&self.schema), self.columns.take());
        self.writer.write(&batch.map_err(|e| failed(e.into()))?).map_err(failed)
    }

    pub(super) fn finish(mut self) -> Result<Written, Error> {
        self.flush()?;
        let path = self.path;
        self.writer.into_inner().map_err(|e| Error::parquet("write", &path, e))?.commit()
    }
}
