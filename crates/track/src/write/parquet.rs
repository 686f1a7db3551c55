//! Changes in Parquet.

use std::path::Path;

use arrow_array::RecordBatch;
use arrow_schema::ArrowError;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pwalk_scan::{Error, Output, Written};

use super::batch::ChangeBatches;
use crate::change::Change;

/// Rows of a row group.
const ROWS: usize = 1 << 16;

/// A Parquet file of changes.
pub(super) struct ParquetChanges {
    writer: ArrowWriter<Output>,
    batches: ChangeBatches,
    path: Box<Path>,
}

impl ParquetChanges {
    pub(super) fn new(output: Output, has_runs: bool) -> Result<Self, Error> {
        let path: Box<Path> = output.path().into();
        let batches = ChangeBatches::of(has_runs);
        let properties = WriterProperties::builder()
            .set_compression(Compression::ZSTD(ZstdLevel::default()))
            .set_max_row_group_row_count(Some(ROWS))
            .build();
        let writer = ArrowWriter::try_new(output, batches.own_schema(), Some(properties));
        let writer = writer.map_err(|e| Error::parquet("start", &path, e))?;
        Ok(Self { writer, batches, path })
    }

    pub(super) fn write(&mut self, run: u64, change: &Change<'_>) -> Result<(), Error> {
        let batch = self.batches.push(run, change);
        self.add(batch)
    }

    fn add(&mut self, batch: Result<Option<RecordBatch>, ArrowError>) -> Result<(), Error> {
        let failed = |e| Error::parquet("write", &self.path, e);
        let Some(batch) = batch.map_err(|e| failed(e.into()))? else { return Ok(()) };
        self.writer.write(&batch).map_err(failed)
    }

    pub(super) fn finish(mut self) -> Result<Written, Error> {
        let rest = self.batches.take();
        self.add(rest)?;
        let path = self.path;
        self.writer.into_inner().map_err(|e| Error::parquet("write", &path, e))?.commit()
    }
}
