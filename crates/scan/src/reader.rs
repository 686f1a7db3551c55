//! Reading a scan back: the rows of a Parquet file, as those need them who compare scans.
//!
//! What is read are the columns that say what an entry is and when it changed; the path comes as exact bytes, whether or not they are UTF-8.
//! A row group is read by itself, so that several threads can share a file.
//!
//! Files of other programs will do if they have the columns.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use arrow_array::cast::AsArray;
use arrow_array::types::{Int64Type, TimestampNanosecondType, UInt32Type, UInt64Type};
use arrow_array::{Array, ArrowPrimitiveType, BinaryArray, PrimitiveArray, RecordBatch, StringArray};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};

use parquet::file::reader::{ChunkReader, Length};

use pwalk_fs::Meta;

use crate::metadata::metadata_of;
use crate::rows::nanoseconds;
use crate::{Error, Metadata};

/// The columns, in the order in which [`RowBatch`] has them.
const COLUMNS: [&str; 11] =
    ["path", "inode", "mode", "uid", "gid", "size", "dev", "mtime", "ctime", "btime", "path_bytes"];
/// Why a file is not read.
const NO_SCAN: &str = "it has not the columns of a scan: make one with `pwalk report`";
/// Why another is not.
const NO_PARQUET: &str =
    "it is no Parquet file; only scans in Parquet can be read back: make one with `pwalk report -o NAME.parquet`";
/// What its pages may be.
const DAMAGED: &str = "it is damaged";
/// Rows that are decoded at once.
const BATCH: usize = 4096;

/// One row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row<'a> {
    /// The path, beginning with the root as it was given.
    pub path: &'a [u8],
    /// Its metadata.
    pub stat: Stat,
}

/// What is compared of an entry. Times are nanoseconds since 1970.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stat {
    /// Inode.
    pub ino: u64,
    /// Device of the file system.
    pub dev: u64,
    /// Size in bytes.
    pub size: i64,
    /// Time of the last change of the content.
    pub mtime: i64,
    /// Time of the last change of the metadata.
    pub ctime: i64,
    /// Time of birth, where the file system keeps it.
    pub btime: Option<i64>,
    /// Type and permission bits.
    pub mode: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
}

impl Stat {
    /// What a scan would keep of what the kernel says: what does not fit becomes the nearest that does.
    pub fn of(meta: &Meta) -> Self {
        let time = |time| nanoseconds(time, &mut false).cast_signed();
        Self {
            ino: meta.ino,
            dev: meta.dev,
            size: i64::try_from(meta.size).unwrap_or(i64::MAX),
            mtime: time(meta.mtime),
            ctime: time(meta.ctime),
            btime: meta.btime.map(time),
            mode: meta.mode,
            uid: meta.uid,
            gid: meta.gid,
        }
    }
}

/// A Parquet file of a scan, open.
#[derive(Clone, Debug)]
pub struct ScanFile {
    path: Arc<Path>,
    file: Shared,
    reader: ArrowReaderMetadata,
}

/// A file that several threads read, each where it wants: what the library does with a [`File`] moves a position that all copies of it share.
#[derive(Clone, Debug)]
struct Shared(Arc<File>);

impl Length for Shared {
    fn len(&self) -> u64 {
        self.0.metadata().map_or(0, |meta| meta.len())
    }
}

impl ChunkReader for Shared {
    type T = BufReader<Onwards>;

    fn get_read(&self, start: u64) -> parquet::errors::Result<Self::T> {
        Ok(BufReader::new(Onwards { file: Arc::clone(&self.0), at: start }))
    }

    fn get_bytes(&self, start: u64, length: usize) -> parquet::errors::Result<Bytes> {
        let mut bytes = vec![0; length];
        self.0.read_exact_at(&mut bytes, start)?;
        Ok(bytes.into())
    }
}

/// A file from some place on.
struct Onwards {
    file: Arc<File>,
    at: u64,
}

impl Read for Onwards {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let got = self.file.read_at(bytes, self.at)?;
        self.at += got as u64;
        Ok(got)
    }
}

impl ScanFile {
    /// Opens it.
    ///
    /// # Errors
    /// What opening says, and what is no Parquet file or lacks a column.
    pub fn open(path: &Path) -> Result<Self, Error> {
        let failed = |e| Error::parquet("read", path, e);
        let failed_io = |e| Error::io("open", path, e);
        if !path.metadata().map_err(failed_io)?.is_file() {
            return Err(Error::because("read", path, "it is no file"));
        }
        let file = File::open(path).map_err(failed_io)?;
        let mut magic = [0; 4];
        if file.read_exact_at(&mut magic, 0).is_err() || &magic != b"PAR1" {
            return Err(Error::because("read", path, NO_PARQUET));
        }
        let file = Shared(Arc::new(file));
        let reader = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new().with_skip_arrow_metadata(true))
            .map_err(failed)?;
        let lacking = COLUMNS.iter().find(|name| reader.schema().field_with_name(name).is_err());
        if lacking.is_some_and(|name| !matches!(*name, "path_bytes" | "btime")) {
            return Err(Error::because("read", path, NO_SCAN));
        }
        Ok(Self { path: path.into(), file, reader })
    }

    /// Where it is.
    pub fn path(&self) -> PathBuf {
        self.path.to_path_buf()
    }

    /// What it says about itself; none if another program wrote it.
    ///
    /// # Errors
    /// What it says cannot be understood.
    pub fn metadata(&self) -> Result<Option<Metadata>, Error> {
        metadata_of(self.reader.metadata().file_metadata(), &self.path)
    }

    /// How many row groups there are.
    pub fn groups(&self) -> usize {
        self.reader.metadata().num_row_groups()
    }

    /// How many rows a row group has.
    pub fn rows_of(&self, group: usize) -> u64 {
        let groups = self.reader.metadata().row_groups();
        groups.get(group).and_then(|group| u64::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    /// Reads the rows of one row group, in the order of the file.
    ///
    /// # Errors
    /// What cannot be read or decoded; whatever `each` returns.
    pub fn read<E: From<Error>>(&self, group: usize, mut each: impl FnMut(&Row<'_>) -> Result<(), E>) -> Result<(), E> {
        self.batches(group, &[], |rows| (0..rows.count()).try_for_each(|row| each(&rows.row(row))))
    }

    /// The same, some thousand rows at a time, and with columns that only some files have.
    ///
    /// # Errors
    /// What cannot be read or decoded; whatever `each` returns.
    pub fn batches<E: From<Error>>(
        &self,
        group: usize,
        more: &[&str],
        mut each: impl FnMut(&RowBatch<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let failed = |e| Error::parquet("read", &self.path, e);
        let mask = ProjectionMask::columns(self.reader.parquet_schema(), COLUMNS.iter().chain(more).copied());
        let reader = ParquetRecordBatchReaderBuilder::new_with_metadata(self.file.clone(), self.reader.clone())
            .with_projection(mask)
            .with_row_groups(vec![group])
            .with_batch_size(BATCH)
            .build()
            .map_err(failed)?;
        let mut reader = reader;
        // The library panics on some pages that are damaged.
        let mut next = || {
            catch_unwind(AssertUnwindSafe(|| reader.next())).map_err(|_| Error::because("read", &self.path, DAMAGED))
        };
        while let Some(batch) = next()? {
            let batch = batch.map_err(|e| failed(e.into()))?;
            each(&RowBatch::of(&batch).ok_or_else(|| Error::because("read", &self.path, NO_SCAN))?)?;
        }
        Ok(())
    }
}

/// Some rows, column by column.
pub struct RowBatch<'a> {
    batch: &'a RecordBatch,
    path: &'a StringArray,
    path_bytes: Option<&'a BinaryArray>,
    ino: &'a [u64],
    dev: &'a [u64],
    size: &'a [i64],
    mtime: &'a [i64],
    ctime: &'a [i64],
    btime: Option<&'a PrimitiveArray<TimestampNanosecondType>>,
    mode: &'a [u32],
    uid: &'a [u32],
    gid: &'a [u32],
}

impl<'a> RowBatch<'a> {
    fn of(batch: &'a RecordBatch) -> Option<Self> {
        let numbers = |name| batch.column_by_name(name);
        fn values<T: ArrowPrimitiveType>(column: Option<&Arc<dyn Array>>) -> Option<&[T::Native]> {
            Some(column?.as_primitive_opt::<T>()?.values())
        }
        let bytes = |name| batch.column_by_name(name)?.as_binary_opt::<i32>();
        Some(Self {
            batch,
            path: batch.column_by_name("path")?.as_string_opt::<i32>()?,
            // Mostly there is none in a whole batch.
            path_bytes: bytes("path_bytes").filter(|column| column.null_count() < column.len()),
            ino: values::<UInt64Type>(numbers("inode"))?,
            dev: values::<UInt64Type>(numbers("dev"))?,
            size: values::<Int64Type>(numbers("size"))?,
            mtime: values::<TimestampNanosecondType>(numbers("mtime"))?,
            ctime: values::<TimestampNanosecondType>(numbers("ctime"))?,
            btime: numbers("btime").and_then(|column| column.as_primitive_opt()),
            mode: values::<UInt32Type>(numbers("mode"))?,
            uid: values::<UInt32Type>(numbers("uid"))?,
            gid: values::<UInt32Type>(numbers("gid"))?,
        })
    }

    /// How many rows there are.
    pub fn count(&self) -> usize {
        self.batch.num_rows()
    }

    /// A column that was asked for, if the file has it.
    pub fn column(&self, name: &str) -> Option<&'a Arc<dyn Array>> {
        self.batch.column_by_name(name)
    }

    /// One of the rows, counted from 0.
    ///
    /// # Panics
    /// There are not so many.
    pub fn row(&self, row: usize) -> Row<'a> {
        let exact = self.path_bytes.filter(|column| column.is_valid(row)).map(|column| column.value(row));
        Row {
            path: exact.unwrap_or_else(|| self.path.value(row).as_bytes()),
            stat: Stat {
                ino: self.ino[row],
                dev: self.dev[row],
                size: self.size[row],
                mtime: self.mtime[row],
                ctime: self.ctime[row],
                btime: self.btime.filter(|column| column.is_valid(row)).map(|column| column.value(row)),
                mode: self.mode[row],
                uid: self.uid[row],
                gid: self.gid[row],
            },
        }
    }
}
