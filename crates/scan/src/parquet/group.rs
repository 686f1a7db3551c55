//! A row group in memory: encoded and compressed by the worker that filled it, then copied into the file.
//!
//! One data page per column, because every page costs a header and begins its compression anew. The first
//! generation of data pages is used: all readers know it, and these pages have no levels worth reading apart.

use bytes::Bytes;
use parquet::basic::{Compression, Encoding, Type, ZstdLevel};
use parquet::column::page::{CompressedPage, Page, PageWriter};
use parquet::column::writer::ColumnCloseResult;
use parquet::errors::{ParquetError, Result};
use parquet::file::metadata::ColumnChunkMetaData;
use parquet::file::statistics::Statistics;
use parquet::file::writer::{SerializedPageWriter, TrackedWrite};
use parquet::schema::types::SchemaDescriptor;
use zstd::stream::raw::{Encoder, InBuffer, Operation, OutBuffer};
use zstd::zstd_safe::compress_bound;

use super::bits;
use crate::compress::Compressor;

/// Which rows of an optional column have a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Levels<'a> {
    /// The column is required.
    Required,
    /// All have.
    All,
    /// None has.
    None,
    /// Definition levels, already in the hybrid encoding.
    Some(&'a [u8]),
}

/// A column, encoded but not compressed.
#[derive(Debug)]
pub(super) struct Column<'a> {
    pub(super) levels: Levels<'a>,
    pub(super) encoding: Encoding,
    pub(super) values: Vec<u8>,
    /// Plain values and their number.
    pub(super) dictionary: Option<(Vec<u8>, usize)>,
    pub(super) statistics: Option<Statistics>,
}

/// A row group being put together, column by column in the order of the schema.
pub(super) struct RowGroup<'a> {
    schema: &'a SchemaDescriptor,
    compressor: &'a mut Compressor,
    rows: usize,
    bytes: TrackedWrite<Vec<u8>>,
    chunks: Vec<ColumnCloseResult>,
}

/// Below this a compressed frame is mostly frame.
const WORTH_COMPRESSING: usize = 64;

impl<'a> RowGroup<'a> {
    pub(super) fn new(schema: &'a SchemaDescriptor, compressor: &'a mut Compressor, rows: usize) -> Self {
        Self { schema, compressor, rows, bytes: TrackedWrite::new(Vec::new()), chunks: Vec::new() }
    }

    /// Appends the next column.
    pub(super) fn push(&mut self, column: Column<'_>) -> Result<()> {
        let streams = self.stream_length(&column);
        let page = self.with_levels(column.levels, column.values);
        let raw = page.len() + column.dictionary.as_ref().map_or(0, |(values, _)| values.len());
        let (mut codec, mut stored_page, mut stored_dictionary) = (Compression::UNCOMPRESSED, None, None);
        if raw >= WORTH_COMPRESSING {
            let page = match streams {
                Some(length) => self.compress_streams(&page, length)?,
                None => self.compress(&page)?,
            };
            let dictionary = column.dictionary.as_ref().map(|(values, _)| self.compress(values)).transpose()?;
            let stored = page.len() + dictionary.as_ref().map_or(0, Vec::len);
            // Decompressing costs the reader time, so it must be worth it.
            if stored < raw - raw / 16 {
                codec = Compression::ZSTD(ZstdLevel::default());
                (stored_page, stored_dictionary) = (Some(page), dictionary);
            }
        }
        let start = self.bytes.bytes_written();
        let mut uncompressed = 0;
        let mut writer = SerializedPageWriter::new(&mut self.bytes);
        let mut dictionary_at = None;
        if let Some((values, count)) = column.dictionary {
            let size = values.len();
            let page = Page::DictionaryPage {
                buf: Bytes::from(stored_dictionary.unwrap_or(values)),
                num_values: count_u32(count)?,
                encoding: Encoding::PLAIN,
                is_sorted: false,
            };
            let spec = writer.write_page(CompressedPage::new(page, size))?;
            dictionary_at = Some(spec.offset);
            uncompressed += spec.uncompressed_size;
        }
        let size = page.len();
        let data = Page::DataPage {
            buf: Bytes::from(stored_page.unwrap_or(page)),
            num_values: count_u32(self.rows)?,
            encoding: column.encoding,
            def_level_encoding: Encoding::RLE,
            rep_level_encoding: Encoding::RLE,
            statistics: None,
        };
        let spec = writer.write_page(CompressedPage::new(data, size))?;
        uncompressed += spec.uncompressed_size;
        let bytes = self.bytes.bytes_written() - start;
        let mut encodings = vec![Encoding::RLE, column.encoding];
        if dictionary_at.is_some() {
            encodings.push(Encoding::PLAIN);
        }
        let mut metadata = ColumnChunkMetaData::builder(self.schema.column(self.chunks.len()))
            .set_encodings(encodings)
            .set_num_values(signed(self.rows as u64)?)
            .set_compression(codec)
            .set_total_compressed_size(signed(bytes as u64)?)
            .set_total_uncompressed_size(signed(uncompressed as u64)?)
            .set_data_page_offset(signed(spec.offset)?)
            .set_dictionary_page_offset(dictionary_at.map(signed).transpose()?);
        if let Some(statistics) = column.statistics {
            metadata = metadata.set_statistics(statistics);
        }
        self.chunks.push(ColumnCloseResult {
            bytes_written: bytes as u64,
            rows_written: self.rows as u64,
            metadata: metadata.build()?,
            bloom_filter: None,
            column_index: None,
            offset_index: None,
        });
        Ok(())
    }

    /// The bytes of the row group, and what the file must know of its columns.
    pub(super) fn finish(self) -> Result<(Bytes, Vec<ColumnCloseResult>)> {
        if self.chunks.len() != self.schema.num_columns() {
            return Err(ParquetError::General("a row group must have all columns".into()));
        }
        Ok((Bytes::from(self.bytes.into_inner()?), self.chunks))
    }

    /// The page: its definition levels with their length before them, and the values.
    fn with_levels(&self, levels: Levels<'_>, values: Vec<u8>) -> Vec<u8> {
        let mut run = Vec::new();
        let levels = match levels {
            Levels::Required => return values,
            Levels::Some(levels) => levels,
            Levels::All | Levels::None => {
                bits::hybrid_run(&mut run, u32::from(matches!(levels, Levels::All)), self.rows, 1);
                &run
            }
        };
        let length = u32::try_from(levels.len()).unwrap_or(u32::MAX).to_le_bytes();
        [&length, levels, &values].concat()
    }

    fn compress(&mut self, bytes: &[u8]) -> Result<Vec<u8>> {
        let mut out = Vec::new();
        self.compressor.block(bytes, &mut out)?;
        Ok(out)
    }

    /// How long the streams of a column are that has its bytes split into streams.
    fn stream_length(&self, column: &Column<'_>) -> Option<usize> {
        let width = if self.schema.column(self.chunks.len()).physical_type() == Type::INT32 { 4 } else { 8 };
        (column.encoding == Encoding::BYTE_STREAM_SPLIT).then_some(column.values.len() / width)
    }

    /// The page as one frame in which each stream of a [`BYTE_STREAM_SPLIT`](bits::byte_stream_split) has blocks of its own: a
    /// block has one table of codes, and bytes of one stream say nothing about those of the next.
    fn compress_streams(&mut self, page: &[u8], stream: usize) -> Result<Vec<u8>> {
        let Compressor::Zstd(zstd) = &mut *self.compressor else { return self.compress(page) };
        let mut frame = Vec::with_capacity(compress_bound(page.len()) + 64);
        zstd.set_pledged_src_size(Some(page.len() as u64))?;
        let mut encoder = Encoder::with_context(zstd.context_mut());
        let (levels, streams) = page.split_at(page.len() % stream);
        let mut at = OutBuffer::around(&mut frame);
        for stream in std::iter::once(levels).chain(streams.chunks(stream)) {
            let mut stream = InBuffer::around(stream);
            while stream.pos() < stream.src.len() {
                encoder.run(&mut stream, &mut at)?;
            }
            while encoder.flush(&mut at)? > 0 {}
        }
        while encoder.finish(&mut at, true)? > 0 {}
        Ok(frame)
    }
}

fn signed(n: u64) -> Result<i64> {
    i64::try_from(n).map_err(|e| ParquetError::External(Box::new(e)))
}

fn count_u32(n: usize) -> Result<u32> {
    u32::try_from(n).map_err(|e| ParquetError::External(Box::new(e)))
}
