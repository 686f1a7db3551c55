//! `pwalk.report`: the report of the command line, with Python's types around it.
//!
//! The defaults and the shape of the result are made in Python (`python/pwalk/_report.py`).

use std::cell::RefCell;
use std::path::PathBuf;

use pwalk_engine::{Cancel, Progress, Snapshot};
use pwalk_scan::report::{self as library, Compress, FileFormat, ReportOptions, ReportSummary};
use pwalk_scan::{Header, Target};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::options::{Walking, failure, totals};
use crate::paths::Names;

/// What `_report.py` passes on, already checked for what is Python's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wishes<'py> {
    output: PathBuf,
    format: Option<String>,
    compress: String,
    level: Option<i32>,
    header: bool,
    progress: Option<Bound<'py, PyAny>>,
}

/// Writes a report of `tops` as `wishes` and `walking` say, and returns what came of it as a dictionary.
#[pyfunction]
pub(crate) fn report<'py>(
    py: Python<'py>,
    tops: Vec<Bound<'py, PyAny>>,
    wishes: Wishes<'py>,
    walking: Walking,
) -> PyResult<Bound<'py, PyDict>> {
    let names = tops.first().map_or(Names::Text, Names::of);
    let progress = wishes.progress.map(Bound::unbind);
    let options = ReportOptions {
        output: Target::File(wishes.output),
        format: format(wishes.format.as_deref())?,
        compress: compress(&wishes.compress)?,
        level: wishes.level,
        header: if wishes.header { Header::Written } else { Header::Omitted },
        ..walking.options(&tops)?
    };
    let cancel = options.walk.cancel.clone();
    let (done, failed) = py.detach(|| {
        let told = Told { callback: progress, names, cancel, failed: RefCell::new(None) };
        (library::run(&options, &told), told.failed.into_inner())
    });
    if let Some(error) = failed {
        return Err(error);
    }
    let summary = done.map_err(|error| failure(&error))?;
    result(py, &summary)
}

fn format(name: Option<&str>) -> PyResult<Option<FileFormat>> {
    match name {
        None => Ok(None),
        Some("csv") => Ok(Some(FileFormat::Csv)),
        Some("parquet") => Ok(Some(FileFormat::Parquet)),
        Some(other) => Err(PyValueError::new_err(format!("Invalid format: {other}; use csv or parquet"))),
    }
}

fn compress(name: &str) -> PyResult<Compress> {
    match name {
        "auto" => Ok(Compress::Auto),
        "zstd" => Ok(Compress::Zstd),
        "gzip" => Ok(Compress::Gzip),
        "none" => Ok(Compress::None),
        other => Err(PyValueError::new_err(format!("Invalid compress: {other}; use auto, zstd, gzip or none"))),
    }
}

/// Passes progress on, and Ctrl-C back.
struct Told {
    callback: Option<Py<PyAny>>,
    names: Names,
    cancel: Cancel,
    failed: RefCell<Option<PyErr>>,
}

impl Progress for Told {
    fn tick(&self, snapshot: &Snapshot) {
        if self.failed.borrow().is_some() {
            return;
        }
        let told = Python::attach(|py| {
            py.check_signals()?;
            let Some(callback) = &self.callback else { return Ok(()) };
            let current = snapshot.current.as_deref().map(|path| self.names.object(py, path)).transpose()?;
            callback.call1(py, (snapshot.entries, snapshot.dirs, snapshot.bytes, snapshot.errors, current)).map(drop)
        });
        if let Err(error) = told {
            self.cancel.cancel();
            self.failed.replace(Some(error));
        }
    }
}

fn result<'py>(py: Python<'py>, summary: &ReportSummary) -> PyResult<Bound<'py, PyDict>> {
    // The order is that of the representation.
    let out = PyDict::new(py);
    out.set_item("output", summary.output.path.as_ref().map(|p| p.as_os_str()))?;
    out.set_item("ledger", summary.ledger.as_ref().map(|p| p.as_os_str()))?;
    out.update(totals(py, summary)?.as_mapping())?;
    Ok(out)
}
