//! Entries as Arrow record batches: the columns of a segment, which is what entries are kept in.

use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::{ArrowError, Schema, SchemaRef};

use super::segment::{BATCH, Columns, SegmentRow, schema};
use super::store::Entry;

/// Collects entries until there are enough for a batch.
pub struct EntryBatches {
    columns: Columns,
    schema: SchemaRef,
}

/// Columns of a segment that say nothing of entries that are told of as they are, or were at one time.
const OWN: [&str; 2] = ["is_racy", "to_run"];

impl EntryBatches {
    /// The columns of each batch: those of a scan that a catalog keeps, `fingerprint`, `hashed_at` and `run`.
    pub fn schema() -> SchemaRef {
        let mut fields = schema().fields().to_vec();
        fields.retain(|field| !OWN.contains(&field.name().as_str()));
        Arc::new(Schema::new(fields))
    }

    /// Nothing is collected yet.
    pub fn new() -> Self {
        Self { columns: Columns::new(), schema: Arc::new(schema()) }
    }

    /// Adds an entry: a batch, if there are enough.
    ///
    /// # Errors
    /// None that anybody could do anything about: the columns do not fit together.
    pub fn push(&mut self, entry: &Entry<'_>) -> Result<Option<RecordBatch>, ArrowError> {
        self.columns.push(&SegmentRow::of(entry));
        if self.columns.rows >= BATCH { self.take() } else { Ok(None) }
    }

    /// What is collected; none if that is nothing.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn take(&mut self) -> Result<Option<RecordBatch>, ArrowError> {
        if self.columns.rows == 0 {
            return Ok(None);
        }
        let mut batch = RecordBatch::try_new(Arc::clone(&self.schema), self.columns.take())?;
        for name in OWN {
            batch.remove_column(batch.schema().index_of(name)?);
        }
        Ok(Some(batch))
    }
}

impl Default for EntryBatches {
    fn default() -> Self {
        Self::new()
    }
}
