//! Arrow: rows as record batches for a consumer in the same process, who takes them from a bounded channel.
//!
//! A block of rows is one batch. When the consumer is slower than the walk the channel is full, flushing waits, then the
//! encoders are all taken, then the workers wait: memory is bounded by the encoders and [`WAITING`] batches. When the consumer is
//! gone, flushing fails and that stops the walk.

mod batch;

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pwalk_fs::Meta;

use crate::rows::Rows;
use crate::{DirColumns, Encoder, Error, Format, Metadata, Oddities, Parent, Written};
use pwalk_fs::Accounts;

/// Rows in a batch at most: as fast as more, and the consumer waits less for the first.
const ROWS: usize = 1 << 14;
/// Batches that wait for the consumer.
const WAITING: usize = 4;

/// What errors call the consumer.
const CONSUMER: &str = "the reader of record batches";

/// Record batches on their way to a consumer.
pub(crate) struct Arrow {
    accounts: Arc<Accounts>,
    batches: SyncSender<RecordBatch>,
}

impl Arrow {
    /// The format, and where its batches come out. That ends when the format and all encoders are gone.
    pub(crate) fn new() -> (Self, Receiver<RecordBatch>) {
        let (batches, receiver) = sync_channel(WAITING);
        (Self { accounts: Arc::default(), batches }, receiver)
    }

    /// The columns of each batch.
    pub(crate) fn schema() -> SchemaRef {
        Arc::clone(&batch::SCHEMA)
    }
}

impl Format for Arrow {
    fn encoder(&self) -> Result<Box<dyn Encoder>, Error> {
        let (accounts, batches) = (Arc::clone(&self.accounts), self.batches.clone());
        Ok(Box::new(ArrowEncoder { rows: Rows::new(ROWS), accounts, batches }))
    }

    fn finish(&self, _: &Metadata, before: &mut dyn FnMut() -> Result<(), Error>) -> Result<Written, Error> {
        before()?;
        Ok(Written { path: None, bytes: 0 })
    }
}

struct ArrowEncoder {
    rows: Rows,
    accounts: Arc<Accounts>,
    batches: SyncSender<RecordBatch>,
}

impl Encoder for ArrowEncoder {
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
        if self.rows.len() == 0 {
            return Ok(());
        }
        let consumer = Path::new(CONSUMER);
        let batch = batch::batch(self.rows.take(), &self.accounts);
        let batch = batch.map_err(|e| Error::io("make a batch for", consumer, std::io::Error::other(e)))?;
        self.batches.send(batch).map_err(|_| Error::because("send rows to", consumer, "it wants no more"))
    }
}
