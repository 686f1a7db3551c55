//! Record batches for Python: Arrow's C interfaces in capsules, and Ctrl-C while somebody reads.

use std::ffi::CStr;
use std::time::Duration;

use arrow_array::RecordBatchReader;
use arrow_array::ffi_stream::FFI_ArrowArrayStream;
use arrow_schema::ffi::FFI_ArrowSchema;
use arrow_schema::{ArrowError, Schema};
use pyo3::exceptions::{PyKeyboardInterrupt, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyCapsule;

const STREAM: &CStr = c"arrow_array_stream";
const SCHEMA: &CStr = c"arrow_schema";
/// How often a Ctrl-C is looked for.
pub(crate) const PATIENCE: Duration = Duration::from_millis(200);

/// A capsule with an Arrow stream.
pub(crate) fn stream_capsule(
    py: Python<'_>,
    reader: Box<dyn RecordBatchReader + Send>,
) -> PyResult<Bound<'_, PyCapsule>> {
    PyCapsule::new_with_value(py, FFI_ArrowArrayStream::new(reader), STREAM)
}

/// A capsule with an Arrow schema.
pub(crate) fn schema_capsule<'py>(py: Python<'py>, schema: &Schema) -> PyResult<Bound<'py, PyCapsule>> {
    let schema = FFI_ArrowSchema::try_from(schema).map_err(|e| PyValueError::new_err(e.to_string()))?;
    PyCapsule::new_with_value(py, schema, SCHEMA)
}

/// Does something with the interpreter, unless it is shutting down, as it may while a daemon thread still reads.
pub(crate) fn attached<R>(f: impl FnOnce(Python<'_>) -> R) -> Result<R, ArrowError> {
    Python::try_attach(f).ok_or_else(|| ArrowError::ExternalError("Python is shutting down".into()))
}

/// What the handler of a signal has raised. An exception cannot go through a stream, so Ctrl-C is raised again for when Python's
/// code goes on; any other stands in the message of the reader's error.
pub(crate) fn interrupted(py: Python<'_>) -> Option<ArrowError> {
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
pub(crate) fn external(error: PyErr) -> ArrowError {
    ArrowError::ExternalError(error.to_string().into())
}
