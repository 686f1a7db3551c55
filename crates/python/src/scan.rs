//! The streams of `pwalk.scan`: record batches through Arrow's C stream interface.
//!
//! A consumer may ask for the stream more than once, as DuckDB does to see the columns first: each stream is a walk of its own,
//! which begins with the first batch that is wanted. A stream that comes to its end tells the Python object that it came from
//! (`python/pwalk/_scan.py`), and through it the user, what was not read.

use arrow_array::{RecordBatch, RecordBatchReader};
use arrow_schema::{ArrowError, SchemaRef};
use pwalk_scan::report::{Ending, Next, Stream};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyCapsule, PyDict};

use crate::arrow::{PATIENCE, attached, external, interrupted, schema_capsule, stream_capsule};
use crate::options::{Walking, failure, totals};

/// A walk of `tops` as a capsule with an Arrow stream. `ended` is called at the end with what came of it.
#[pyfunction]
pub(crate) fn scan_stream<'py>(
    py: Python<'py>,
    tops: Vec<Bound<'py, PyAny>>,
    walking: Walking,
    ended: Py<PyAny>,
) -> PyResult<Bound<'py, PyCapsule>> {
    let stream = Stream::new(walking.options(&tops)?).map_err(|error| failure(&error))?;
    stream_capsule(py, Box::new(Batches { stream, ended }))
}

/// The columns of a scan, as a capsule with an Arrow schema.
#[pyfunction]
pub(crate) fn scan_schema(py: Python<'_>) -> PyResult<Bound<'_, PyCapsule>> {
    schema_capsule(py, &Stream::schema())
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

fn outcome<'py>(py: Python<'py>, ending: &Ending) -> PyResult<Bound<'py, PyDict>> {
    let out = totals(py, &ending.summary)?;
    out.set_item("ledger", PyBytes::new(py, &ending.ledger))?;
    Ok(out)
}
