//! `pwalk.report`: the report of the command line, with Python's types around it.
//!
//! The defaults and the shape of the result are made in Python (`python/pwalk/_report.py`).

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::Arc;

use pwalk_engine::{Cancel, Exclude, FollowLinks, Mounts, Options, Progress, Snapshot, Snapshots, Threads};
use pwalk_scan::report::{self as library, Compress, FileFormat, ReportError, ReportOptions, ReportSummary};
use pwalk_scan::{Header, Target};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths::{Names, bytes_of};

/// What `_report.py` passes on, already checked for what is Python's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wishes<'py> {
    output: PathBuf,
    format: Option<String>,
    compress: String,
    level: Option<i32>,
    header: bool,
    max_threads: Option<usize>,
    max_iops: Option<u64>,
    depth: Option<u32>,
    exclude: Vec<String>,
    one_file_system: bool,
    follow_links: bool,
    ignore_snapshots: bool,
    progress: Option<Bound<'py, PyAny>>,
}

/// Writes a report of `tops` as `wishes` says, and returns what came of it as a dictionary.
#[pyfunction]
pub(crate) fn report<'py>(
    py: Python<'py>,
    tops: Vec<Bound<'py, PyAny>>,
    wishes: Wishes<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let cancel = Cancel::new();
    let names = tops.first().map_or(Names::Text, Names::of);
    let roots = tops.iter().map(bytes_of).collect::<PyResult<Vec<_>>>()?;
    let progress = wishes.progress.clone().map(Bound::unbind);
    let options = options(roots, wishes, &cancel)?;
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

fn options(roots: Vec<Vec<u8>>, wishes: Wishes<'_>, cancel: &Cancel) -> PyResult<ReportOptions> {
    let exclude = Exclude::new(&wishes.exclude).map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(ReportOptions {
        output: Target::File(wishes.output),
        format: match wishes.format.as_deref() {
            None => None,
            Some("csv") => Some(FileFormat::Csv),
            Some("parquet") => Some(FileFormat::Parquet),
            Some(other) => return Err(PyValueError::new_err(format!("Invalid format: {other}; use csv or parquet"))),
        },
        compress: match wishes.compress.as_str() {
            "auto" => Compress::Auto,
            "zstd" => Compress::Zstd,
            "gzip" => Compress::Gzip,
            "none" => Compress::None,
            other => {
                let message = format!("Invalid compress: {other}; use auto, zstd, gzip or none");
                return Err(PyValueError::new_err(message));
            }
        },
        level: wishes.level,
        header: if wishes.header { Header::Written } else { Header::Omitted },
        exclude_patterns: wishes.exclude,
        walk: Options {
            threads: wishes.max_threads.map_or(Threads::Adaptive, |n| Threads::Fixed(n.max(1))),
            max_iops: wishes.max_iops,
            max_depth: wishes.depth,
            follow_links: if wishes.follow_links { FollowLinks::Always } else { FollowLinks::Never },
            mounts: if wishes.one_file_system { Mounts::Stay } else { Mounts::Cross },
            snapshots: if wishes.ignore_snapshots { Snapshots::Skip } else { Snapshots::Include },
            exclude: (!exclude.is_empty()).then(|| Arc::new(exclude)),
            cancel: cancel.clone(),
            ..Options::default()
        },
        ..ReportOptions::new(roots)
    })
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

fn failure(error: &ReportError) -> PyErr {
    match error {
        ReportError::Options(error) => PyValueError::new_err(error.to_string()),
        other => PyOSError::new_err(other.to_string()),
    }
}

fn result<'py>(py: Python<'py>, summary: &ReportSummary) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("output", summary.output.path.as_ref().map(|p| p.as_os_str()))?;
    out.set_item("ledger", summary.ledger.as_ref().map(|p| p.as_os_str()))?;
    out.set_item("entries", summary.entries)?;
    out.set_item("directories", summary.dirs)?;
    out.set_item("bytes", summary.bytes)?;
    out.set_item("verdict", summary.verdict.to_string())?;
    out.set_item("seconds", summary.elapsed.as_secs_f64())?;
    Ok(out)
}
