//! The streams of `pwalk.scan`: record batches through Arrow's C stream interface.
//!
//! A consumer may ask for the stream more than once, as DuckDB does to see the columns first: each stream is a walk of its own,
//! which begins with the first batch that is wanted. A stream that comes to its end tells the Python object that it came from
//! (`python/pwalk/_scan.py`), and through it the user, what was not read.

use std::ffi::CStr;
use std::time::Duration;

use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, SchemaRef};
use pwalk_scan::report::{Ending, Next, Stream};
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};

use crate::options::{Walking, failure, totals};

const STREAM: &CStr = c"arrow_array_stream";
const SCHEMA: &CStr = c"arrow_schema";
/// How often a Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(200);

/// A walk of `tops` as a capsule with an Arrow stream. `ended` is called at the end with what came of it.
#[pyfunction]
pub(crate) fn scan_stream<'py>(
    py: Python<'py>,
    tops: Vec<Bound<'py, PyAny>>,
    walking: Walking,
    ended: Py<PyAny>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let stream = Stream::new(walking.options(&tops)?).map_err(|error| failure(&error))?;
    let stream = FFI_ArrowArrayStream::new(Box::new(Batches { stream, ended }));
    PyCapsule::new_with_value(py, stream, STREAM)
}

/// The columns of a scan, as a capsule with an Arrow schema.
#[pyfunction]
pub(crate) fn scan_schema(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(Stream::schema().as_ref());
    PyCapsule::new_with_value(py, schema.map_err(|e| PyValueError::new_err(e.to_string()))?, SCHEMA)
}

/// What the consumer pulls at, on whatever thread it likes.
struct Batches {
    stream: Stream,
    ended: Py<PyAny>,
}

impl Iterator for Batches {
    type Item = Result<RecordBatch, ArrowError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            match self.stream.next_within(PATIENCE) {
                Ok(Some(Next::Batch(batch))) => return Some(Ok(batch)),
                Ok(Some(Next::Waiting)) => {
                    if let Some(error) = attached(interrupted).unwrap_or_else(Some) {
                        return Some(Err(error));
                    }
                }
                Ok(Some(Next::End(ending))) => {
                    let told = attached(|py| self.ended.call1(py, (outcome(py, &ending)?,)).map(drop));
                    return told.and_then(|told| told.map_err(external)).err().map(Err);
                }
                Ok(None) => return None,
                Err(error) => return Some(Err(ArrowError::ExternalError(Box::new(error)))),
            }
        }
    }
}

impl RecordBatchReader for Batches {
    fn schema(&self) -> SchemaRef {
        Stream::schema()
    }
}

/// Does something with the interpreter, unless it is shutting down, as it may while a daemon thread still reads.
fn attached<R>(f: impl FnOnce(Python<'_>) -> R) -> Result<R, ArrowError> {
    Python::try_attach(f).ok_or_else(|| ArrowError::ExternalError("Python is shutting down".into()))
}

/// What the handler of a signal has raised. An exception cannot go through a stream, so Ctrl-C is raised again for when Python's
/// code goes on; any other stands in the message of the reader's error.
fn interrupted(py: Python<'_>) -> Option<ArrowError> {
    let raised = py.check_signals().err()?;
    if !raised.is_instance_of::<PyKeyboardInterrupt>(py) {
        return Some(external(raised));
    }
    let again = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
    if let Err(error) = again {
        error.write_unraisable(py, None);
    }
    // No Python here: the first that runs gets the exception.
    Some(ArrowError::ExternalError("interrupted".into()))
}

/// An exception as text: the reader may ask for its words where Python cannot be asked any more.
#[expect(clippy::needless_pass_by_value, reason = "it maps errors")]
fn external(error: PyErr) -> ArrowError {
    ArrowError::ExternalError(error.to_string().into())
}

fn outcome<'py>(py: Python<'py>, ending: &Ending) -> PyResult<Bound<'py, PyDict>> {
    let out = totals(py, &ending.summary)?;
    out.set_item("ledger", PyBytes::new(py, &ending.ledger))?;
    Ok(out)
}
