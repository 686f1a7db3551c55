//! `pwalk.create_benchmark_runner`: the benchmarks of the command line, with ways of walking that are Python's among them.
//!
//! Results go over as the JSON that is written to files, too; their classes are made in Python (`python/pwalk/_bench.py`).

use std::cell::RefCell;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_bench::{Error, Method, Operation, Options, Running, Sample, Step, Watcher, prepare_output, run, write};
use pwalk_engine::Cancel;
use pyo3::exceptions::{PyKeyboardInterrupt, PyNotADirectoryError, PyOSError, PyPermissionError, PyValueError};
use pyo3::prelude::*;

use crate::paths::{bytes_of, os_error};

/// What `_bench.py` passes on, already checked for what is Python's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wishes<'py> {
    operation: String,
    iterations: u32,
    drop_caches: bool,
    output_dir: Option<PathBuf>,
    target: Option<PathBuf>,
    components: Option<Vec<Bound<'py, PyAny>>>,
    /// Names, descriptions, and functions of no argument that return how many entries they saw.
    walks: Vec<(String, String, Py<PyAny>)>,
}

/// Measures what `wishes` say of `path`, and returns the results as JSON and the files that were written.
#[pyfunction]
pub(crate) fn bench(
    py: Python<'_>,
    path: Bound<'_, PyAny>,
    wishes: Wishes<'_>,
) -> PyResult<(String, Option<(PathBuf, PathBuf)>)> {
    let Some(operation) = Operation::of(&wishes.operation) else {
        return Err(PyValueError::new_err(format!("there is no benchmark {:?}", wishes.operation)));
    };
    let cancel = Cancel::new();
    let stopped = Arc::new(Mutex::new(None));
    let of = |(name, description, function)| {
        let (cancel, stopped) = (cancel.clone(), Arc::clone(&stopped));
        Arc::new(Walk { name, description, function, cancel, stopped }) as Arc<dyn Method>
    };
    let options = Options {
        components: wishes.components.map(|all| all.iter().map(bytes_of).collect()).transpose()?,
        target: wishes.target,
        iterations: wishes.iterations,
        drop_caches: wishes.drop_caches,
        walks: wishes.walks.into_iter().map(of).collect(),
        cancel: cancel.clone(),
        ..Options::new(operation, bytes_of(&path)?)
    };
    let output = wishes.output_dir;
    let (done, interrupted) = py.detach(|| {
        let told = Told { cancel, interrupted: RefCell::new(None) };
        let prepared = output.as_deref().map_or(Ok(()), prepare_output);
        let done = prepared.and_then(|()| run(&options, &told));
        (done, told.interrupted.into_inner())
    });
    let stopped = stopped.lock().unwrap_or_else(PoisonError::into_inner).take();
    if let Some(error) = interrupted.or(stopped) {
        return Err(error);
    }
    let results = done.map_err(|error| failure(&path, &error))?;
    let written = output.map(|directory| write(&results, &directory)).transpose();
    let written = written.map_err(|error| failure(&path, &error))?;
    let json = serde_json::to_string(&results).map_err(|error| PyValueError::new_err(error.to_string()))?;
    Ok((json, written.map(|written| (written.json, written.html))))
}

/// A way of walking that is Python's.
struct Walk {
    name: String,
    description: String,
    function: Py<PyAny>,
    cancel: Cancel,
    /// Ctrl-C, if it was Python that noticed.
    stopped: Arc<Mutex<Option<PyErr>>>,
}

impl Method for Walk {
    fn name(&self) -> &str {
        &self.name
    }

    fn description(&self) -> &str {
        &self.description
    }

    fn baseline(&self) -> Option<&str> {
        Some("readdir")
    }

    fn run(&self, _: &Running<'_>) -> Sample {
        Python::attach(|py| match self.function.call0(py).and_then(|count| count.extract::<u64>(py)) {
            Ok(count) => Sample { count, ..Sample::default() },
            Err(error) if error.is_instance_of::<PyKeyboardInterrupt>(py) => {
                self.cancel.cancel();
                self.stopped.lock().unwrap_or_else(PoisonError::into_inner).replace(error);
                Sample::default()
            }
            Err(error) => Sample { errors: vec![error.to_string()], ..Sample::default() },
        })
    }
}

/// Passes Ctrl-C on.
struct Told {
    cancel: Cancel,
    interrupted: RefCell<Option<PyErr>>,
}

impl Watcher for Told {
    fn tick(&self, _: &Step) {
        if let Err(error) = Python::attach(|py| py.check_signals()) {
            self.cancel.cancel();
            self.interrupted.replace(Some(error));
        }
    }
}

/// The exception for what keeps a benchmark from being made.
fn failure(path: &Bound<'_, PyAny>, error: &Error) -> PyErr {
    match error {
        Error::Path { why, .. } => match why.raw_os_error() {
            Some(errno) => os_error(path.py(), errno, path.clone()),
            None => PyOSError::new_err(error.to_string()),
        },
        Error::NotDirectory(_) => PyNotADirectoryError::new_err(error.to_string()),
        Error::DropCaches(_) => PyPermissionError::new_err(error.to_string()),
        Error::Component(_) => PyValueError::new_err(error.to_string()),
        other => PyOSError::new_err(other.to_string()),
    }
}
