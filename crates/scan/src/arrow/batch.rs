//! From rows to a record batch: the columns of the Parquet form, under the same names and types.
//!
//! Vectors of numbers become Arrow's buffers as they are. Text is written out for each row: a dictionary would be smaller, but
//! readers show it as a type of its own (categories), and a query must not depend on where the rows come from.

use std::sync::{Arc, LazyLock};

use arrow_array::types::{ArrowPrimitiveType, Int32Type, Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{ArrayRef, BinaryArray, PrimitiveArray, RecordBatch, StringArray};
use arrow_buffer::{Buffer, NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow_schema::{ArrowError, DataType, Field, Schema, SchemaRef, TimeUnit};

use crate::rows::dictionary::{Dictionary, Effort, dictionary};
use crate::rows::steady::Steady;
use crate::rows::{Rows, Strings};
use pwalk_fs::Accounts;

const UTC: &str = "UTC";

/// The schema of all batches; what it means is in `parquet/schema.rs`.
pub(super) static SCHEMA: LazyLock<SchemaRef> = LazyLock::new(|| {
    let time = || DataType::Timestamp(TimeUnit::Nanosecond, Some(UTC.into()));
    let required = |name, data_type| Field::new(name, data_type, false);
    let optional = |name, data_type| Field::new(name, data_type, true);
    Arc::new(Schema::new(vec![
        required("path", DataType::Utf8),
        required("name", DataType::Utf8),
        required("extension", DataType::Utf8),
        required("type", DataType::Utf8),
        required("inode", DataType::UInt64),
        required("parent_inode", DataType::UInt64),
        required("depth", DataType::Int32),
        required("mode", DataType::UInt32),
        required("uid", DataType::UInt32),
        required("gid", DataType::UInt32),
        optional("user", DataType::Utf8),
        optional("group", DataType::Utf8),
        required("size", DataType::Int64),
        required("blocks", DataType::Int64),
        required("nlink", DataType::UInt32),
        required("dev", DataType::UInt64),
        required("rdev", DataType::UInt64),
        required("atime", time()),
        required("mtime", time()),
        required("ctime", time()),
        optional("btime", time()),
        optional("fcount", DataType::Int64),
        optional("dirsum", DataType::UInt64),
        optional("tree_count", DataType::Int64),
        optional("tree_size", DataType::UInt64),
        optional("tree_blocks", DataType::Int64),
        optional("path_bytes", DataType::Binary),
    ]))
});

/// All columns, in the order of the schema.
pub(super) fn batch(mut rows: Rows, accounts: &Accounts) -> Result<RecordBatch, ArrowError> {
    let count = rows.len();
    let [fcount, dirsum, tree_count, tree_size, tree_blocks] = std::mem::take(&mut rows.dir_columns);
    let dirs = &rows.dir_rows;
    let (uids, gids) = (owners(&rows.uid, count), owners(&rows.gid, count));
    let time = |values| Arc::new(times(values, None)) as ArrayRef;
    let columns = vec![
        paths(&rows)?,
        text(rows.names.iter().map(Some), rows.names.bytes().len())?,
        text(rows.extension.iter().map(|&index| Some(rows.extensions.get(index as usize))), count * 4)?,
        text(rows.kind.iter().map(|kind| Some(kind.name().as_bytes())), count * 4)?,
        // Not taken as others are: it says how many rows there are.
        numbers::<UInt64Type>(rows.ino.clone()),
        numbers::<UInt64Type>(rows.by_run(|run| run.parent_ino)),
        numbers::<Int32Type>(rows.by_run(|run| run.depth)),
        numbers::<UInt32Type>(std::mem::take(&mut rows.mode)),
        numbers::<UInt32Type>(rows.uid.expand(count)),
        numbers::<UInt32Type>(rows.gid.expand(count)),
        account(&uids, |uid| accounts.user(uid))?,
        account(&gids, |gid| accounts.group(gid))?,
        signed(std::mem::take(&mut rows.size)),
        signed(std::mem::take(&mut rows.blocks)),
        numbers::<UInt32Type>(rows.nlink.expand(count)),
        numbers::<UInt64Type>(rows.dev.expand(count)),
        numbers::<UInt64Type>(rows.rdev.expand(count)),
        time(std::mem::take(&mut rows.atime)),
        time(std::mem::take(&mut rows.mtime)),
        time(std::mem::take(&mut rows.ctime)),
        births(&rows),
        optional::<Int64Type>(dirs, &fcount, count, u64::cast_signed),
        optional::<UInt64Type>(dirs, &dirsum, count, |n| n),
        optional::<Int64Type>(dirs, &tree_count, count, u64::cast_signed),
        optional::<UInt64Type>(dirs, &tree_size, count, |n| n),
        optional::<Int64Type>(dirs, &tree_blocks, count, u64::cast_signed),
        raw_paths(&rows)?,
    ];
    RecordBatch::try_new(Arc::clone(&SCHEMA), columns)
}

/// Numbers that all rows have.
fn numbers<T: ArrowPrimitiveType>(values: Vec<T::Native>) -> ArrayRef {
    Arc::new(PrimitiveArray::<T>::new(values.into(), None))
}

/// The bits of signed numbers.
fn signed(values: Vec<u64>) -> ArrayRef {
    Arc::new(PrimitiveArray::<Int64Type>::new(ScalarBuffer::from(Buffer::from_vec(values)), None))
}

fn times(values: Vec<u64>, nulls: Option<NullBuffer>) -> PrimitiveArray<TimestampNanosecondType> {
    PrimitiveArray::new(ScalarBuffer::from(Buffer::from_vec(values)), nulls).with_timezone(UTC)
}

/// Numbers that only some rows have.
fn optional<T: ArrowPrimitiveType>(some: &[u32], values: &[u64], rows: usize, of: fn(u64) -> T::Native) -> ArrayRef {
    let mut all = vec![T::Native::default(); rows];
    let mut known = vec![false; rows];
    for (&row, &value) in some.iter().zip(values) {
        all[row as usize] = of(value);
        known[row as usize] = true;
    }
    Arc::new(PrimitiveArray::<T>::new(all.into(), Some(known.into())))
}

/// The times of birth, which some rows lack.
fn births(rows: &Rows) -> ArrayRef {
    if rows.no_btime.is_empty() {
        return Arc::new(times(rows.btime.clone(), None));
    }
    let mut known = vec![true; rows.len()];
    rows.no_btime.iter().for_each(|&row| known[row as usize] = false);
    let mut births = rows.btime.iter();
    let all = known.iter().map(|&is| if is { births.next().copied().unwrap_or(0) } else { 0 }).collect();
    Arc::new(times(all, Some(known.into())))
}

/// Byte strings with room for `bytes` of them: where each ends, the bytes, and which there are.
struct Text {
    ends: Vec<i32>,
    bytes: Vec<u8>,
    known: Vec<bool>,
}

impl Text {
    fn with_capacity(rows: usize, bytes: usize) -> Self {
        let mut ends = Vec::with_capacity(rows + 1);
        ends.push(0);
        Self { ends, bytes: Vec::with_capacity(bytes), known: Vec::new() }
    }

    /// Ends a string.
    fn end(&mut self) -> Result<(), ArrowError> {
        let end = i32::try_from(self.bytes.len());
        // A block is full long before.
        self.ends.push(end.map_err(|_| ArrowError::OffsetOverflowError(self.bytes.len()))?);
        Ok(())
    }

    fn nulls(known: Vec<bool>) -> Option<NullBuffer> {
        Some(NullBuffer::from(known)).filter(|nulls| nulls.null_count() > 0)
    }

    /// As UTF-8, which is checked.
    fn strings(self) -> Result<ArrayRef, ArrowError> {
        let ends = OffsetBuffer::new(self.ends.into());
        Ok(Arc::new(StringArray::try_new(ends, Buffer::from_vec(self.bytes), Self::nulls(self.known))?))
    }
}

/// Text, some of which may be missing.
fn text<'a>(values: impl ExactSizeIterator<Item = Option<&'a [u8]>>, bytes: usize) -> Result<ArrayRef, ArrowError> {
    let mut text = Text::with_capacity(values.len(), bytes);
    text.known.reserve(values.len());
    for value in values {
        text.bytes.extend_from_slice(value.unwrap_or_default());
        text.known.push(value.is_some());
        text.end()?;
    }
    text.strings()
}

fn paths(rows: &Rows) -> Result<ArrayRef, ArrowError> {
    let mut text = Text::with_capacity(rows.len(), rows.path_bytes());
    for (i, run) in rows.runs.iter().enumerate() {
        let end = rows.runs.get(i + 1).map_or(rows.len(), |next| next.first);
        let prefix = rows.prefixes.get(i);
        for row in run.first..end {
            text.bytes.extend_from_slice(prefix);
            text.bytes.extend_from_slice(rows.names.get(row));
            text.end()?;
        }
    }
    text.strings()
}

fn raw_paths(rows: &Rows) -> Result<ArrayRef, ArrowError> {
    let mut text = Text::with_capacity(rows.len(), rows.raw_paths.bytes().len());
    let mut raw = rows.raw_rows.iter().map(|&row| row as usize).zip(rows.raw_paths.iter()).peekable();
    for row in 0..rows.len() {
        let path = raw.next_if(|(at, _)| *at == row);
        text.bytes.extend_from_slice(path.map_or(&[][..], |(_, path)| path));
        text.known.push(path.is_some());
        text.end()?;
    }
    let (ends, bytes) = (OffsetBuffer::new(text.ends.into()), Buffer::from_vec(text.bytes));
    Ok(Arc::new(BinaryArray::try_new(ends, bytes, Text::nulls(text.known))?))
}

fn owners(ids: &Steady<u32>, rows: usize) -> Dictionary<u32> {
    dictionary(&ids.expand(rows), u64::from, Effort::Always).unwrap_or_default()
}

/// The names of owners; some have none.
fn account(ids: &Dictionary<u32>, name: impl Fn(u32) -> Option<String>) -> Result<ArrayRef, ArrowError> {
    let mut names = Strings::default();
    let known: Vec<bool> = ids
        .values
        .iter()
        .map(|&id| {
            let name = name(id);
            names.push(name.as_deref().unwrap_or_default().as_bytes());
            name.is_some()
        })
        .collect();
    let of_row = |&index: &u32| known[index as usize].then(|| names.get(index as usize));
    text(ids.indexes.iter().map(of_row), ids.indexes.len() * 8)
}
