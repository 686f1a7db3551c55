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
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};

use crate::options::{Walking, failure};

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
                    if Python::attach(interrupted) {
                        return Some(Err(ArrowError::ExternalError("interrupted".into())));
                    }
                }
                Ok(Some(Next::End(ending))) => {
                    let told = Python::attach(|py| self.ended.call1(py, (outcome(py, &ending)?,)).map(drop));
                    return told.err().map(|error| Err(external(error)));
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

/// Whether Ctrl-C was pressed. An exception cannot go through a stream, so it is raised again for when Python's code goes on.
fn interrupted(py: Python<'_>) -> bool {
    let pressed = py.check_signals().is_err();
    if pressed {
        let again = py.import("_thread").and_then(|module| module.call_method0("interrupt_main"));
        if let Err(error) = again {
            error.write_unraisable(py, None);
        }
    }
    pressed
}

fn external(error: PyErr) -> ArrowError {
    ArrowError::ExternalError(Box::new(error))
}

fn outcome<'py>(py: Python<'py>, ending: &Ending) -> PyResult<Bound<'py, PyDict>> {
    let summary = &ending.summary;
    let out = PyDict::new(py);
    out.set_item("ledger", PyBytes::new(py, &ending.ledger))?;
    out.set_item("entries", summary.entries)?;
    out.set_item("directories", summary.dirs)?;
    out.set_item("bytes", summary.bytes)?;
    out.set_item("verdict", summary.verdict.to_string())?;
    out.set_item("seconds", summary.elapsed.as_secs_f64())?;
    Ok(out)
}
