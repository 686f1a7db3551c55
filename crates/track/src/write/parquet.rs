//! Changes in Parquet.

use std::path::Path;
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pwalk_scan::{Error, Output, Written};

use super::batch::{Columns, schema};
use crate::change::Change;

/// Rows that are collected before they are written.
const ROWS: usize = 1 << 14;

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
