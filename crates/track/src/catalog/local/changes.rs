//! Reading the changes of a run back.

use std::path::Path;

use arrow_array::cast::AsArray;
use arrow_array::types::{ArrowPrimitiveType, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, RecordBatch};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pwalk_fs::Kind;
use pwalk_scan::{Error, Stat};

use crate::TrackError;
use crate::change::{Change, ChangeType, Confidence};

/// Tells `each` the changes in a file, in its order. Of metadata there is what the file has: no device and no time of birth.
pub(super) fn read_changes(
    path: &Path,
    each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>,
) -> Result<(), TrackError> {
    let failed = |e| Error::parquet("read", path, e);
    let file = std::fs::File::open(path).map_err(|e| Error::io("open", path, e))?;
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).and_then(ParquetRecordBatchReaderBuilder::build);
    for batch in reader.map_err(failed)? {
        let batch = Batch(&batch.map_err(|e| failed(e.into()))?);
        for row in 0..batch.0.num_rows() {
            batch.tell(row, each)?;
        }
    }
    Ok(())
}

struct Batch<'a>(&'a RecordBatch);

impl<'a> Batch<'a> {
    fn number<T: ArrowPrimitiveType>(&self, name: &str, row: usize) -> Option<T::Native> {
        let column = self.0.column_by_name(name)?.as_primitive_opt::<T>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    fn text(&self, name: &str, row: usize) -> Option<&'a str> {
        let column = self.0.column_by_name(name)?.as_string_opt::<i32>()?;
        column.is_valid(row).then(|| column.value(row))
    }

    /// The exact bytes of a path.
    fn path(&self, name: &str, exact: &str, row: usize) -> Option<&'a [u8]> {
        let column = self.0.column_by_name(exact).and_then(|column| column.as_binary_opt::<i32>());
        let exact = column.filter(|column| column.is_valid(row)).map(|column| column.value(row));
        exact.or_else(|| self.text(name, row).map(str::as_bytes))
    }

    fn stat(&self, side: &str, kind: Option<&str>, row: usize) -> Option<Stat> {
        let name = |field: &str| format!("{side}_{field}");
        let rights = self.number::<UInt32Type>(&name("mode"), row)?;
        let time = |field| self.number::<TimestampNanosecondType>(&name(field), row).unwrap_or(0);
        Some(Stat {
            ino: self.number::<UInt64Type>(&name("inode"), row).unwrap_or(0),
            dev: 0,
            size: self.number::<Int64Type>(&name("size"), row).unwrap_or(0),
            mtime: time("mtime"),
            ctime: time("ctime"),
            btime: None,
            mode: rights | kind.map_or(0, type_bits),
            uid: self.number::<UInt32Type>(&name("uid"), row).unwrap_or(0),
            gid: self.number::<UInt32Type>(&name("gid"), row).unwrap_or(0),
        })
    }

    fn tell(&self, row: usize, each: &mut dyn FnMut(&Change<'_>) -> Result<(), TrackError>) -> Result<(), TrackError> {
        let change_type = self.text("change_type", row).and_then(ChangeType::of);
        let (Some(change_type), Some(path)) = (change_type, self.path("path", "path_bytes", row)) else {
            return Ok(());
        };
        let kind = self.text("kind", row);
        let (old, new) = (self.stat("old", self.text("old_kind", row).or(kind), row), self.stat("new", kind, row));
        let fingerprint = |name| self.text(name, row).and_then(|text| text.parse().ok());
        each(&Change {
            change_type,
            path,
            old_path: self.path("old_path", "old_path_bytes", row),
            old: old.as_ref(),
            new: new.as_ref(),
            old_fingerprint: fingerprint("old_fingerprint"),
            new_fingerprint: fingerprint("new_fingerprint"),
            confidence: self.text("confidence", row).and_then(Confidence::of).unwrap_or(Confidence::Certain),
        })
    }
}

/// The bits of a mode that say the type (`inode(7)`).
pub(crate) fn type_bits(name: &str) -> u32 {
    [0o100_000, 0o040_000, 0o120_000, 0o060_000, 0o020_000, 0o010_000, 0o140_000]
        .into_iter()
        .find(|bits| Kind::from_mode(*bits).name() == name)
        .unwrap_or(0)
}
