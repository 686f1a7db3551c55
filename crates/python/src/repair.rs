//! `pwalk.repair`: the repair of the command line, with Python's types around it.
//!
//! The defaults, the summary's words and its class are made in Python (`python/pwalk/_repair.py`).

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{Cancel, Ended, Mounts, Options, Progress, Snapshot, Snapshots, Threads};
use pwalk_ops::repair::{
    self as library, Applying, Doing, Event, Listener, RepairError, RepairOptions, RepairSummary, group_number,
};
use pyo3::exceptions::{PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths::{Names, bytes_of, os_error};

/// What `_repair.py` passes on, already checked for what is Python's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wishes<'py> {
    dry_run: bool,
    change_gids: Vec<String>,
    force_group_writable: bool,
    exclude: Vec<Bound<'py, PyAny>>,
    max_threads: Option<usize>,
    max_iops: Option<u64>,
    allow_hardlinked: bool,
    one_file_system: bool,
    ignore_snapshots: bool,
    plan: Option<PathBuf>,
    journal: Option<PathBuf>,
}

/// Repairs `top` as `wishes` say, and returns what came of it as a dictionary.
#[pyfunction]
pub(crate) fn repair<'py>(
    py: Python<'py>,
    top: Bound<'py, PyAny>,
    wishes: Wishes<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let names = Names::of(&top);
    let options = options(&top, wishes).map_err(|error| match error {
        Refused::Python(error) => error,
        Refused::Library(error) => failure(py, names, &error),
    })?;
    let cancel = options.walk.cancel.clone();
    let trouble = Arc::new(Trouble::default());
    let listener = Arc::clone(&trouble) as Arc<dyn Listener>;
    let (done, interrupted) = py.detach(|| {
        let told = Told { cancel, interrupted: RefCell::new(None) };
        (library::run(&options, &listener, &told), told.interrupted.into_inner())
    });
    if let Some(error) = interrupted {
        return Err(error);
    }
    let summary = done.map_err(|error| failure(py, names, &error))?;
    let errors = std::mem::take(&mut *trouble.0.lock().unwrap_or_else(PoisonError::into_inner));
    result(py, names, &summary, &errors)
}

enum Refused {
    Python(PyErr),
    Library(RepairError),
}

impl From<PyErr> for Refused {
    fn from(error: PyErr) -> Self {
        Self::Python(error)
    }
}

impl From<RepairError> for Refused {
    fn from(error: RepairError) -> Self {
        Self::Library(error)
    }
}

fn options(top: &Bound<'_, PyAny>, wishes: Wishes<'_>) -> Result<RepairOptions, Refused> {
    let doing = if wishes.dry_run {
        Doing::Plan { file: wishes.plan }
    } else {
        // Whoever writes `dry_run=False` into a program was asked already.
        Doing::Apply(Applying { journal: wishes.journal, many: true, dry_run: false, max_iops: None })
    };
    Ok(RepairOptions {
        private_groups: wishes.change_gids.iter().map(|name| group_number(name)).collect::<Result<_, _>>()?,
        group_writable: wishes.force_group_writable,
        exclude: wishes.exclude.iter().map(bytes_of).collect::<PyResult<_>>()?,
        hard_linked: wishes.allow_hardlinked,
        walk: Options {
            threads: wishes.max_threads.map_or(Threads::Adaptive, |n| Threads::Fixed(n.max(1))),
            max_iops: wishes.max_iops,
            mounts: if wishes.one_file_system { Mounts::Stay } else { Mounts::Cross },
            snapshots: if wishes.ignore_snapshots { Snapshots::Skip } else { Snapshots::Include },
            ..Options::default()
        },
        doing,
        ..RepairOptions::new(vec![bytes_of(top)?])
    })
}

/// Keeps what went wrong, path by path.
#[derive(Default)]
struct Trouble(Mutex<Vec<(Vec<u8>, String)>>);

impl Listener for Trouble {
    fn hear(&self, event: &Event<'_>) {
        let (path, why) = match event {
            Event::Failed { path, why } => (path.to_vec(), why.to_string()),
            Event::Unread(error) => (error.path.clone(), error.to_string()),
            Event::Planned(_) | Event::Made(_) | Event::Left { .. } => return,
        };
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((path, why));
    }
}

/// Passes Ctrl-C on.
struct Told {
    cancel: Cancel,
    interrupted: RefCell<Option<PyErr>>,
}

impl Progress for Told {
    fn tick(&self, _: &Snapshot) {
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            self.cancel.cancel();
            self.interrupted.replace(Some(error));
        }
    }
}

/// The exception for what keeps a repair from being done.
fn failure(py: Python<'_>, names: Names, error: &RepairError) -> PyErr {
    match error {
        RepairError::Privilege { .. } => PyPermissionError::new_err(error.to_string()),
        RepairError::Root { path, errno } => {
            names.object(py, path).map_or_else(|error| error, |path| os_error(py, errno.raw_os_error(), path))
        }
        RepairError::Protected { .. } | RepairError::NoSuchGroup(_) => PyValueError::new_err(error.to_string()),
        other => PyOSError::new_err(other.to_string()),
    }
}

fn result<'py>(
    py: Python<'py>,
    names: Names,
    summary: &RepairSummary,
    errors: &[(Vec<u8>, String)],
) -> PyResult<Bound<'py, PyDict>> {
    let named = |path: &[u8]| names.object(py, path);
    // The order is that of the representation.
    let out = PyDict::new(py);
    out.set_item("dry_run", !summary.is_applied)?;
    out.set_item("changes", if summary.is_applied { summary.made } else { summary.changes })?;
    out.set_item("failed", summary.failed)?;
    out.set_item("hard_linked", summary.hard_linked)?;
    out.set_item("left_alone", summary.left)?;
    out.set_item("without_group", summary.ungrouped.iter().map(|root| root.count).sum::<u64>())?;
    out.set_item("entries", summary.entries)?;
    out.set_item("directories", summary.dirs)?;
    out.set_item("verdict", if summary.ended == Ended::Whole { summary.verdict() } else { "PARTIAL" })?;
    out.set_item("seconds", summary.elapsed.as_secs_f64())?;
    out.set_item("plan", summary.plan.as_ref().map(|path| path.as_os_str()))?;
    out.set_item("journal", summary.journal.as_ref().map(|path| path.as_os_str()))?;
    let errors: PyResult<Vec<_>> = errors.iter().map(|(path, why)| Ok((named(path)?, why.as_str()))).collect();
    out.set_item("errors", errors?)?;
    Ok(out)
}
