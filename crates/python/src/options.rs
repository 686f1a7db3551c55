//! What `report` and `scan` have in common: where to walk, and how.

use std::sync::Arc;

use pwalk_engine::{Exclude, FollowLinks, Mounts, Options, Snapshots, Threads, WalkError};
use pwalk_scan::report::{ReportError, ReportOptions, ReportSummary};
use pyo3::exceptions::{PyOSError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths::{Names, bytes_of, os_error};

/// How to walk, as `_options.py` passes it on, already checked for what is Python's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Walking {
    max_threads: Option<usize>,
    max_iops: Option<u64>,
    depth: Option<u32>,
    exclude: Vec<String>,
    one_file_system: bool,
    follow_links: bool,
    ignore_snapshots: bool,
}

impl Walking {
    /// A report of `tops`, with a switch of its own to stop it.
    pub(crate) fn options(self, tops: &[Bound<'_, PyAny>]) -> PyResult<ReportOptions> {
        let roots = tops.iter().map(bytes_of).collect::<PyResult<Vec<_>>>()?;
        let (walk, exclude_patterns) = self.walk()?;
        Ok(ReportOptions { exclude_patterns, walk, ..ReportOptions::new(roots) })
    }

    /// How to walk, with a switch of its own to stop it, and the patterns of what is left out.
    pub(crate) fn walk(self) -> PyResult<(Options, Vec<String>)> {
        let exclude = Exclude::new(&self.exclude).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let walk = Options {
            threads: self.max_threads.map_or(Threads::Adaptive, |n| Threads::Fixed(n.max(1))),
            max_iops: self.max_iops,
            max_depth: self.depth,
            follow_links: if self.follow_links { FollowLinks::Always } else { FollowLinks::Never },
            mounts: if self.one_file_system { Mounts::Stay } else { Mounts::Cross },
            snapshots: if self.ignore_snapshots { Snapshots::Skip } else { Snapshots::Include },
            exclude: (!exclude.is_empty()).then(|| Arc::new(exclude)),
            ..Options::default()
        };
        Ok((walk, self.exclude))
    }
}

/// The exception for what went wrong.
pub(crate) fn failure(error: &ReportError) -> PyErr {
    match error {
        ReportError::Options(error) => PyValueError::new_err(error.to_string()),
        ReportError::NoRootRead(errors) => match errors.as_slice() {
            // One path, one reason: the exception that belongs to it.
            [WalkError { errno: Some(errno), path, .. }] => Python::attach(|py| {
                let path = Names::Text.object(py, path);
                path.map_or_else(|error| error, |path| os_error(py, errno.raw_os_error(), path))
            }),
            _ => PyOSError::new_err(error.to_string()),
        },
        other => PyOSError::new_err(other.to_string()),
    }
}

/// What every kind of result says of the whole.
pub(crate) fn totals<'py>(py: Python<'py>, summary: &ReportSummary) -> PyResult<Bound<'py, PyDict>> {
    let out = PyDict::new(py);
    out.set_item("entries", summary.entries)?;
    out.set_item("directories", summary.dirs)?;
    out.set_item("bytes", summary.bytes)?;
    out.set_item("verdict", summary.verdict.to_string())?;
    out.set_item("seconds", summary.elapsed.as_secs_f64())?;
    Ok(out)
}
