//! Parquet: the whole record, typed, in row groups that the workers encode in parallel.
//!
//! An encoder holds plain vectors ([`Rows`]) until its row group is full, then chooses an encoding for each
//! column (`columns`, `bits`), compresses the pages into memory (`group`) and, under the
//! file's lock, only copies bytes. The `parquet` crate writes the page headers and the footer; the encodings are
//! ours, because its column writers cost more per row than the two system calls that found the row.
//!
//! The file is written front to back without seeking, so it can go to a pipe.

mod bits;
mod columns;
mod group;
mod schema;

use std::sync::{Arc, Mutex, PoisonError};

use parquet::errors::ParquetError;
use parquet::file::metadata::KeyValue;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::SchemaDescPtr;
use pwalk_fs::Meta;

use self::group::RowGroup;
use crate::compress::Compressor;
use crate::rows::Rows;
use crate::{Compression, DEFAULT_ZSTD_LEVEL, DirColumns, Encoder, Error, Format, Metadata, Oddities};
use crate::{Output, Parent, Written};
use pwalk_fs::Accounts;

/// Rows in a row group at most.
const ROWS: usize = 1 << 16;

/// How Parquet is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ParquetOptions {
    /// zstd level of the pages.
    pub level: i32,
}

impl Default for ParquetOptions {
    fn default() -> Self {
        Self { level: DEFAULT_ZSTD_LEVEL }
    }
}

/// A Parquet file being written.
pub struct Parquet {
    level: i32,
    schema: SchemaDescPtr,
    accounts: Arc<Accounts>,
    writer: SharedWriter,
    path: Arc<std::path::Path>,
}

/// `None` once the file is finished.
type SharedWriter = Arc<Mutex<Option<SerializedFileWriter<Output>>>>;

impl Parquet {
    /// Starts the file.
    pub fn new(output: Output, options: ParquetOptions) -> Result<Self, Error> {
        let path: Arc<std::path::Path> = output.path().into();
        let failed = |e| Error::parquet("start", &path, e);
        let schema = Arc::new(schema::schema().map_err(failed)?);
        let properties = WriterProperties::builder().set_created_by(CREATED_BY.to_owned()).build();
        let writer = SerializedFileWriter::new(output, schema, Arc::new(properties)).map_err(failed)?;
        Ok(Self {
            level: options.level,
            schema: Arc::new(writer.schema_descr().clone()),
            accounts: Arc::default(),
            writer: Arc::new(Mutex::new(Some(writer))),
            path,
        })
    }
}

/// What readers see as the writer, in the form that they parse: name, version, build.
const CREATED_BY: &str = concat!("pwalk version ", env!("CARGO_PKG_VERSION"), " (build pwalk)");

impl Format for Parquet {
    fn encoder(&self) -> Result<Box<dyn Encoder>, Error> {
        let compressor = Compression::Zstd(self.level).compressor();
        Ok(Box::new(ParquetEncoder {
            rows: Rows::new(ROWS),
            compressor: compressor.map_err(|e| Error::io("compress for", &self.path, e))?,
            schema: Arc::clone(&self.schema),
            accounts: Arc::clone(&self.accounts),
            writer: Arc::clone(&self.writer),
            path: Arc::clone(&self.path),
        }))
    }

    fn finish(&self, metadata: &Metadata, before: &mut dyn FnMut() -> Result<(), Error>) -> Result<Written, Error> {
        let failed = |e| Error::parquet("write", &self.path, e);
        let pairs = metadata.to_pairs().map_err(|e| Error::json("write the metadata of", &self.path, e))?;
        let Some(mut writer) = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take() else {
            return Err(Error::because("finish", &self.path, "it is finished already, or a write to it failed"));
        };
        for (key, value) in pairs {
            writer.append_key_value_metadata(KeyValue::new(key, value));
        }
        writer.into_inner().map_err(failed)?.commit_after(before)
    }
}

struct ParquetEncoder {
    rows: Rows,
    compressor: Compressor,
    schema: SchemaDescPtr,
    accounts: Arc<Accounts>,
    writer: SharedWriter,
    path: Arc<std::path::Path>,
}

impl Encoder for ParquetEncoder {
    fn begin(&mut self, parent: &Parent<'_>) {
        self.rows.begin(parent);
    }

    fn row(&mut self, name: &[u8], meta: &Meta, dir: Option<&DirColumns>) -> Oddities {
        self.rows.push(name, meta, dir)
    }

    fn is_full(&self) -> bool {
        self.rows.is_full()
    }

    fn flush(&mut self) -> Result<(), Error> {
        if self.rows.len() > 0 {
            self.write_group().map_err(|e| Error::parquet("write", &self.path, e))?;
            self.rows.clear();
        }
        Ok(())
    }
}

impl ParquetEncoder {
    fn write_group(&mut self) -> Result<(), ParquetError> {
        let mut group = RowGroup::new(&self.schema, &mut self.compressor, self.rows.len());
        columns::write(&self.rows, &self.accounts, &mut group)?;
        let (bytes, chunks) = group.finish()?;
        let mut place = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
        // A writer that failed is taken away (below) by the thread that tells of it. What it would say from then on, that
        // its last row group is not closed, must not be told before the cause; without a writer nothing can be finished.
        let Some(mut writer) = place.take() else { return Ok(()) };
        let mut group = writer.next_row_group()?;
        for chunk in chunks {
            group.append_column(&bytes, chunk)?;
        }
        group.close()?;
        *place = Some(writer);
        Ok(())
    }
}
