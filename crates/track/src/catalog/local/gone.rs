//! Which rows of the state are there no more, by their places.
//!
//! Rows have numbers: those of the first state file from 0, then those of the next. A file of gone rows names the state file, because numbers
//! change when files are put together and files do not.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::ArrayRef;
use arrow_array::builder::{StringBuilder, UInt64Builder};
use arrow_array::cast::AsArray;
use arrow_array::types::UInt64Type;
use arrow_schema::{DataType, Field, Schema};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use pwalk_scan::Error;

use super::{Segment, SegmentKind};
use crate::TrackError;
use crate::catalog::segment::{BATCH, BatchFile};

/// Where the rows of each state file begin: its path below the catalog, and the number of its first row.
#[derive(Default)]
pub(super) struct Starts(Vec<(String, u64)>);

impl Starts {
    /// Those of the state files among these.
    pub(super) fn of(segments: &[Segment]) -> Self {
        let mut next = 0;
        let start = |segment: &Segment| {
            let start = next;
            next += segment.rows;
            (segment.file.clone(), start)
        };
        Self(segments.iter().filter(|segment| segment.kind == SegmentKind::State).map(start).collect())
    }

    /// The number of a file's first row; none if there is no such file.
    pub(super) fn start(&self, file: usize) -> Option<u64> {
        self.0.get(file).map(|(_, start)| *start)
    }

    /// The paths of the files from this one on.
    pub(super) fn files_from(&self, file: usize) -> impl Iterator<Item = &String> {
        self.0[file..].iter().map(|(file, _)| file)
    }

    /// In which file a row is, by the last part of its path, and which one of its rows it is.
    pub(super) fn place(&self, number: u64) -> (&str, u64) {
        let at = self.0.partition_point(|(_, start)| *start <= number).saturating_sub(1);
        self.0.get(at).map_or(("", 0), |(file, start)| (last_part(file), number - start))
    }

    /// Tells `each` the numbers of all rows that the files of gone rows among these name, and the run that found them gone.
    pub(super) fn gone(
        &self,
        dir: &Path,
        segments: &[Segment],
        mut each: impl FnMut(u64, u64),
    ) -> Result<(), TrackError> {
        let starts: HashMap<&str, u64> = self.0.iter().map(|(file, start)| (last_part(file), *start)).collect();
        for segment in segments.iter().filter(|segment| segment.kind == SegmentKind::Gone) {
            read_gone(&dir.join(&segment.file), |file, row, run| {
                // What is named in a file that is no more is gone with it.
                if let Some(start) = starts.get(file) {
                    each(start + row, run);
                }
            })?;
        }
        Ok(())
    }
}

fn last_part(file: &str) -> &str {
    file.rsplit('/').next().unwrap_or(file)
}

/// A file of gone rows that is being written: in which state file (the last part of its path), which row, and from which run on.
pub(super) struct GoneWriter {
    file: BatchFile,
    columns: (StringBuilder, UInt64Builder, UInt64Builder),
    pending: usize,
}

impl GoneWriter {
    pub(super) fn new(path: PathBuf) -> Self {
        let fields = [("segment", DataType::Utf8), ("row", DataType::UInt64), ("to_run", DataType::UInt64)];
        let fields = fields.map(|(name, kind)| Field::new(name, kind, false));
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::default()));
        let file = BatchFile::new(path, Schema::new(fields.to_vec()), properties.build());
        Self { file, columns: Default::default(), pending: 0 }
    }

    pub(super) fn write(&mut self, (segment, row): (&str, u64), to_run: u64) -> Result<(), TrackError> {
        self.columns.0.append_value(segment);
        self.columns.1.append_value(row);
        self.columns.2.append_value(to_run);
        self.pending += 1;
        if self.pending >= BATCH { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), TrackError> {
        self.pending = 0;
        let (segment, row, run) = &mut self.columns;
        let columns: Vec<ArrayRef> = vec![Arc::new(segment.finish()), Arc::new(row.finish()), Arc::new(run.finish())];
        self.file.write(columns)
    }

    /// Completes it: how many rows it names. Without any there is no file.
    pub(super) fn finish(mut self) -> Result<u64, TrackError> {
        if self.pending > 0 {
            self.flush()?;
        }
        self.file.finish()
    }
}

/// Tells `each` what a file of gone rows says: segment, row, and the run that found it gone.
fn read_gone(path: &Path, mut each: impl FnMut(&str, u64, u64)) -> Result<(), TrackError> {
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
