//! The report as record batches for a consumer in the same process, instead of a file.
//!
//! The walk runs on a thread of its own and begins when the first batch is wanted. The consumer takes batches from a bounded
//! channel; the end of the channel is the end of the walk, and only then is the verdict known. Dropping the [`Stream`]
//! stops the walk.

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use arrow_array::RecordBatch;
use arrow_schema::SchemaRef;
use pwalk_engine::{Cancel, Silent};

use super::{ReportError, ReportOptions, ReportSummary, walk};
use crate::arrow::Arrow;
use crate::{Error, Ledger, LedgerTarget, Target};

/// Record batches of a walk.
pub struct Stream {
    options: ReportOptions,
    cancel: Cancel,
    state: State,
}

enum State {
    /// Nothing is read yet.
    New,
    Running {
        batches: Receiver<RecordBatch>,
        walk: JoinHandle<Result<ReportSummary, ReportError>>,
        ledger: Memory,
    },
    Ended,
}

/// What came of waiting for a batch.
#[derive(Debug)]
pub enum Next {
    /// The next batch.
    Batch(RecordBatch),
    /// None yet.
    Waiting,
    /// That was all.
    End(Box<Ending>),
}

/// What a [`Stream`] came to.
#[derive(Clone, Debug)]
pub struct Ending {
    /// As for a file; without paths.
    pub summary: ReportSummary,
    /// The lines of the error ledger.
    pub ledger: Vec<u8>,
}

impl Stream {
    /// A walk of the roots of `options`. What they say of an output, its format, compression and errors, means nothing here.
    ///
    /// # Errors
    /// [`ReportError::Options`].
    pub fn new(mut options: ReportOptions) -> Result<Self, ReportError> {
        options.output = Target::Stdout;
        options.resolve()?;
        let cancel = options.walk.cancel.clone();
        Ok(Self { options, cancel, state: State::New })
    }

    /// The columns of each batch: names and types as in the Parquet form.
    pub fn schema() -> SchemaRef {
        Arrow::schema()
    }

    /// Waits for the next batch, at most so long. After the end there is none.
    ///
    /// # Errors
    /// [`ReportError::NoRootRead`] at the end, if that is so; [`ReportError::Output`] when there is no thread to walk with, or
    /// the walk panicked. The stream has ended then.
    pub fn next_within(&mut self, patience: Duration) -> Result<Option<Next>, ReportError> {
        if matches!(self.state, State::New) {
            self.state = self.start()?;
        }
        let State::Running { batches, .. } = &self.state else { return Ok(None) };
        match batches.recv_timeout(patience) {
            Ok(batch) => return Ok(Some(Next::Batch(batch))),
            Err(RecvTimeoutError::Timeout) => return Ok(Some(Next::Waiting)),
            Err(RecvTimeoutError::Disconnected) => {}
        }
        let State::Running { walk, ledger, .. } = std::mem::replace(&mut self.state, State::Ended) else {
            return Ok(None);
        };
        let summary = walk.join().map_err(|_| trouble("walk for", "it panicked; please report this"))??;
        Ok(Some(Next::End(Box::new(Ending { summary, ledger: ledger.take() }))))
    }

    fn start(&self) -> Result<State, ReportError> {
        let (format, batches) = Arrow::new();
        let memory = Memory::default();
        let ledger = Ledger::new(LedgerTarget::Stream(Box::new(memory.clone())))?;
        let options = self.options.clone();
        let thread = std::thread::Builder::new().name("pwalk-stream".into());
        let walk = thread.spawn(move || {
            let resolved = options.resolve()?;
            walk(Box::new(format), ledger, &options, &resolved, &Silent)
        });
        let walk = walk.map_err(|_| trouble("start a thread for", "the system gives none; see `ulimit -u`"))?;
        Ok(State::Running { batches, walk, ledger: memory })
    }
}

impl Drop for Stream {
    /// Does not wait for the walk, which sees that nobody wants more.
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

fn trouble(operation: &'static str, why: &'static str) -> ReportError {
    Error::because(operation, "the reader of record batches".as_ref(), why).into()
}

/// The ledger of a walk without a file to put one beside.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<Vec<u8>>>);

impl Memory {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Write for Memory {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
