//! What a catalog says, with Python's types: runs as dictionaries, and exceptions for what went wrong.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pwalk_track::{ChangeType, Run, TrackError};
use pyo3::exceptions::{
    PyBlockingIOError, PyInterruptedError, PyLookupError, PyNotADirectoryError, PyOSError, PyValueError,
};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths::{Names, os_error};

/// The fields of a run; times are numbers and options JSON, which Python makes more of.
pub(super) fn run_of<'py>(
    py: Python<'py>,
    names: Names,
    run: &Run,
    warnings: &[String],
) -> PyResult<Bound<'py, PyDict>> {
    let changes = PyDict::new(py);
    for of in ChangeType::ALL {
        changes.set_item(of.name(), (run.counts.of(of), run.counts.bytes_of(of)))?;
    }
    let options = serde_json::to_string(&run.extent).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let out = PyDict::new(py);
    out.set_item("id", run.id)?;
    out.set_item("root", names.object(py, &run.root)?)?;
    out.set_item("kind", run.kind.name())?;
    out.set_item("started_ns", run.started)?;
    out.set_item("finished_ns", run.finished)?;
    out.set_item("verdict", run.verdict.to_string())?;
    out.set_item("entries", run.entries)?;
    out.set_item("bytes", run.bytes)?;
    out.set_item("errors", run.errors)?;
    out.set_item("changes", changes)?;
    out.set_item("hashed_files", run.hashed.0)?;
    out.set_item("hashed_bytes", run.hashed.1)?;
    out.set_item("options", options)?;
    out.set_item("metadata", &run.metadata)?;
    out.set_item("pruned", run.is_pruned)?;
    out.set_item("warnings", warnings)?;
    Ok(out)
}

/// The exception for what keeps a catalog from doing what it was asked.
pub(super) fn failure(py: Python<'_>, error: &TrackError, asked: Option<(&[u8], Names)>) -> PyErr {
    let text = error.to_string();
    match error {
        TrackError::OtherRoot { root, why } => refused(py, &format!("{root} {why}"), "accept_new_root"),
        TrackError::MassDelete { root, removed, entries, hint } => {
            let hint = hint.as_ref().map(|hint| format!(" ({hint})")).unwrap_or_default();
            refused(py, &format!("{removed} of {entries} entries of {root} are gone{hint}"), "accept_mass_delete")
        }
        TrackError::Locked { .. } => PyBlockingIOError::new_err(text),
        TrackError::Unknown(why) => {
            PyLookupError::new_err(why.replace("--since ", "since=").replace("`pwalk track init`", "init=True"))
        }
        TrackError::OtherCatalog { .. } => PyValueError::new_err(text),
        TrackError::Interrupted => PyInterruptedError::new_err(text),
        TrackError::Directory { .. } => directory(py, asked).unwrap_or_else(|| PyOSError::new_err(text)),
        TrackError::Catalog { why, .. } | TrackError::Spill { why, .. } | TrackError::Output(why) => {
            let Some(errno) = why.raw_os_error() else { return PyOSError::new_err(text) };
            // The class that belongs to the number, and all of the words.
            match py.get_type::<PyOSError>().call1((errno, text)) {
                Ok(error) => PyErr::from_value(error),
                Err(error) => error,
            }
        }
        _ => PyOSError::new_err(text),
    }
}

/// What Python itself would say of a directory that cannot be opened.
fn directory(py: Python<'_>, asked: Option<(&[u8], Names)>) -> Option<PyErr> {
    let (path, names) = asked?;
    let object = names.object(py, path).ok()?;
    match std::fs::metadata(Path::new(OsStr::from_bytes(path))) {
        Ok(meta) if !meta.is_dir() => Some(PyNotADirectoryError::new_err((20, "Not a directory", object.unbind()))),
        Ok(_) => None,
        Err(why) => Some(os_error(py, why.raw_os_error()?, object)),
    }
}

/// `RefusedError`, which is a class of the Python half.
fn refused(py: Python<'_>, why: &str, option: &str) -> PyErr {
    let text = format!("{why}; nothing was recorded. If that is so, pass {option}=True");
    let made = py.import("pwalk._catalog").and_then(|module| module.getattr("RefusedError")?.call1((text, option)));
    made.map_or_else(|error| error, PyErr::from_value)
}
