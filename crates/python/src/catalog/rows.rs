//! Rows of a catalog as Arrow streams.
//!
//! A reader may ask for the rows more than once; each time they are read anew, by a thread with a catalog of its own. So
//! a stream that is open is in nobody's way, and a slow reader makes the thread wait: between the two there are never more than a few batches.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::{Builder, JoinHandle};

use arrow_array::{RecordBatch, RecordBatchIterator, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pwalk_engine::Cancel;
use pwalk_track::{ChangeBatches, ChangeFilter, EntryBatches, Place, Report, Since, TrackError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

use crate::arrow::{PATIENCE, attached, interrupted, schema_capsule, stream_capsule};

/// Batches between the thread that reads a catalog and who wants them.
const WAITING: usize = 2;

/// Rows of a catalog, for everything that reads Arrow.
#[pyclass(frozen, module = "pwalk")]
pub(crate) struct CatalogRows {
    source: Source,
    text: String,
}

/// Where rows come from.
#[derive(Clone)]
pub(super) enum Source {
    /// Changes of runs; without a time those of the last run of each root.
    Changes { place: Place, filter: ChangeFilter },
    /// Entries at a path and below it.
    Entries { place: Place, path: Vec<u8>, at: Option<Since> },
    /// A report, which was made.
    Report(RecordBatch),
}

#[pymethods]
impl CatalogRows {
    /// The columns, through Arrow's PyCapsule interface.
    fn __arrow_c_schema__<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyCapsule>> {
        schema_capsule(py, &self.source.schema())
    }

    /// The rows, through Arrow's PyCapsule interface. The columns are always the same.
    #[pyo3(signature = (requested_schema=None))]
    fn __arrow_c_stream__<'py>(
        &self,
        py: Python<'py>,
        requested_schema: Option<Bound<'py, PyAny>>,
    ) -> PyResult<Bound<'py, PyCapsule>> {
        drop(requested_schema);
        let schema = self.source.schema();
        match self.source.clone() {
            Source::Report(batch) => stream_capsule(py, Box::new(RecordBatchIterator::new([Ok(batch)], schema))),
            source => {
                stream_capsule(py, Box::new(Batches { schema, cancel: Cancel::new(), state: State::New(source) }))
            }
        }
    }

    fn __repr__(&self) -> &str {
        &self.text
    }
}

impl CatalogRows {
    pub(super) fn new(source: Source, text: String) -> Self {
        Self { source, text }
    }
}

impl Source {
    fn schema(&self) -> SchemaRef {
        match self {
            Self::Changes { .. } => ChangeBatches::schema(),
            Self::Entries { .. } => EntryBatches::schema(),
            Self::Report(_) => Report::schema(),
        }
    }

    /// Reads all of it and hands it over.
    fn read(self, cancel: &Cancel, reader: &Reader) -> Result<(), TrackError> {
        match self {
            Self::Changes { place, filter } => {
                let filter = ChangeFilter { cancel: cancel.clone(), ..filter };
                let mut batches = ChangeBatches::new();
                let each = &mut |run: &pwalk_track::Run, change: &pwalk_track::Change<'_>| {
                    reader.give(batches.push(run.id, change))
                };
                let mut catalog = place.open()?;
                if filter.after.is_none() && filter.run.is_none() {
                    catalog.last_changes(&filter, each)?;
                } else {
                    catalog.changes(&filter, each)?;
                }
                reader.give(batches.take())
            }
            Self::Entries { place, path, at } => {
                let mut batches = EntryBatches::new();
                let mut is_there = false;
                place.open()?.entries(&path, at, cancel, &mut |entry| {
                    is_there = true;
                    reader.give(batches.push(entry))
                })?;
                if !is_there {
                    return Err(TrackError::Unknown(format!("the catalog has nothing at {}", path.escape_ascii())));
                }
                reader.give(batches.take())
            }
            Self::Report(batch) => reader.give(Ok(Some(batch))),
        }
    }
}

/// Who wants batches.
struct Reader(SyncSender<RecordBatch>);

impl Reader {
    /// Hands a batch over, if there is one; waits while there are enough.
    fn give(&self, batch: Result<Option<RecordBatch>, ArrowError>) -> Result<(), TrackError> {
        let batch = batch.map_err(|error| TrackError::Output(io::Error::other(error)))?;
        // Who reads no more has interrupted it.
        batch.map_or(Ok(()), |batch| self.0.send(batch).map_err(|_| TrackError::Interrupted))
    }
}

/// What the consumer pulls at, on whatever thread it likes.
struct Batches {
    schema: SchemaRef,
    cancel: Cancel,
    state: State,
}

enum State {
    /// Nothing is read yet.
    New(Source),
    Running {
        batches: Receiver<RecordBatch>,
        thread: JoinHandle<Result<(), TrackError>>,
    },
    Ended,
}

impl State {
    fn start(source: Source, cancel: &Cancel) -> Result<Self, ArrowError> {
        let (send, batches) = sync_channel(WAITING);
        let cancel = cancel.clone();
        let thread = Builder::new().name("pwalk-stream".into());
        let thread = thread.spawn(move || source.read(&cancel, &Reader(send)));
        let thread = thread.map_err(|error| ArrowError::ExternalError(Box::new(error)))?;
        Ok(Self::Running { batches, thread })
    }
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match std::mem::replace(&mut self.state, State::Ended) {
                State::New(source) => match State::start(source, &self.cancel) {
                    Ok(running) => self.state = running,
                    Err(error) => return Some(Err(error)),
                },
                State::Running { batches, thread } => match batches.recv_timeout(PATIENCE) {
                    Ok(batch) => {
                        self.state = State::Running { batches, thread };
                        return Some(Ok(batch));
                    }
                    Err(RecvTimeoutError::Timeout) => {
                        if let Some(error) = attached(interrupted).unwrap_or_else(Some) {
                            self.cancel.cancel();
                            return Some(Err(error));
                        }
                        self.state = State::Running { batches, thread };
                    }
                    Err(RecvTimeoutError::Disconnected) => {
                        let done = thread.join().unwrap_or_else(|_| {
                            Err(TrackError::Unknown("reading the catalog panicked; please report this".to_owned()))
                        });
                        return done.err().map(|error| Err(ArrowError::ExternalError(Box::new(error))));
                    }
                },
                State::Ended => return None,
            }
        }
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        SchemaRef::clone(&self.schema)
    }
}

impl Drop for Batches {
    /// Does not wait for the thread, which sees that nobody wants more.
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}
