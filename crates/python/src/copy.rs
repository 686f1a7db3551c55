//! `FileCopyService.copy_directory`: the copy of the command line, with Python's types around it.
//!
//! The copy runs in a thread of its own, and the one that called looks a few times a second for progress and for Ctrl-C. So a callback
//! that takes its time holds nothing up, and it runs in the thread that its owner expects; and a Ctrl-C is seen in every phase, also
//! while sizes are counted, when nothing is told. Classes, defaults and percentages are made in Python (`python/pwalk/_copy.py`).

mod result;
pub(crate) mod strategy;

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use pwalk_engine::{Cancel, Exclude, Mounts, Options, Snapshots};
use pwalk_ops::copy::{
    self as library, Config, CopyError, CopyOptions, CopyProgress, CopyWatcher, Existing, Fsync, Keep, Listener,
    Pipeline, Reflink, Sparse,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths::{Names, bytes_of};
use result::{Over, Trouble};
use strategy::named;

/// How often a Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(100);

/// What `_copy.py` passes on, already checked for what is Python's.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct Wishes<'py> {
    strategy: Option<String>,
    /// Whether the strategy was named for this copy, and not in the settings.
    is_named: bool,
    buffer_size_kb: Option<u32>,
    max_workers: Option<usize>,
    components: Option<Vec<Bound<'py, PyAny>>>,
    exclude: Vec<String>,
    existing: String,
    mirror: bool,
    verify: bool,
    fsync: String,
    resume: bool,
    dry_run: bool,
    reflink: String,
    sparse: String,
    no_preserve: Vec<String>,
    one_file_system: bool,
    ignore_snapshots: bool,
    max_iops: Option<u64>,
    max_bytes_per_sec: Option<u64>,
    progress: Option<Py<PyAny>>,
}

/// The settings of a file and of the environment: strategy, KiB of a buffer, workers.
#[pyfunction]
pub(crate) fn copy_settings(
    py: Python<'_>,
    file: Option<PathBuf>,
) -> PyResult<(Option<String>, Option<u32>, Option<usize>)> {
    let config = py.detach(|| Config::read(file.as_deref())).map_err(|error| refused(&error))?;
    Ok((config.copy_strategy, config.copy_buffer_size_kb, config.copy_max_workers))
}

/// Copies the contents of `source` to `destination` as `wishes` say, and returns what came of it as a dictionary.
#[pyfunction]
pub(crate) fn copy<'py>(
    py: Python<'py>,
    source: Bound<'py, PyAny>,
    destination: Bound<'py, PyAny>,
    mut wishes: Wishes<'py>,
) -> PyResult<Bound<'py, PyDict>> {
    let names = Names::of(&source);
    let stop = Arc::new(Stop::default());
    let callback = wishes.progress.take();
    let options = options(bytes_of(&source)?, bytes_of(&destination)?, wishes, callback.is_some(), &stop)?;
    let begun = Instant::now();
    let trouble = Arc::new(Trouble::default());
    let listener = Arc::clone(&trouble) as Arc<dyn Listener>;
    let (done, last) = py.detach(|| {
        let (tell, told) = channel();
        std::thread::scope(|scope| {
            let options = &options;
            let run = move || library::run(options, &listener, &Ticks(tell));
            let running = scope.spawn(run);
            let last = Watching { callback: callback.as_ref(), names, stop: &stop }.until_over(&told);
            (running.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)), last)
        })
    });
    if let Some(error) = stop.raised() {
        return Err(error);
    }
    if let Err(error) = &done
        && error.is_usage()
    {
        return Err(refused(error));
    }
    let over = Over { done, last, elapsed: begun.elapsed(), options: &options };
    if let (Some(callback), Some(last)) = (&callback, over.progress()) {
        tell(py, callback, names, &last)?;
    }
    over.result(py, names, &trouble)
}

/// The first exception of a callback, of a signal's handler or of a strategy, and the switch that it pulls.
#[derive(Default)]
pub(crate) struct Stop {
    cancel: Cancel,
    first: Mutex<Option<PyErr>>,
}

impl Stop {
    /// Ends the copy; its caller gets this exception.
    pub(crate) fn raise(&self, error: PyErr) {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        self.cancel.cancel();
    }

    fn raised(&self) -> Option<PyErr> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

fn options(
    mut source: Vec<u8>,
    mut destination: Vec<u8>,
    wishes: Wishes<'_>,
    count_first: bool,
    stop: &Arc<Stop>,
) -> PyResult<CopyOptions> {
    as_directory(&mut source);
    if is_link_to_dir(&destination) {
        as_directory(&mut destination);
    }
    let exclude = Exclude::new(&wishes.exclude).map_err(|error| PyValueError::new_err(error.to_string()))?;
    let mut options = CopyOptions::new(vec![source], destination);
    let numbers = Config {
        copy_strategy: None,
        copy_buffer_size_kb: wishes.buffer_size_kb,
        copy_max_workers: wishes.max_workers,
    };
    numbers.apply(&mut options).map_err(|error| refused(&error))?;
    if let Some(name) = &wishes.strategy {
        options.strategy = named(name, stop).map_err(|error| refused(&error))?;
    }
    if wishes.components.is_some() && !wishes.is_named && !options.strategy.has_components() {
        // Settings say how content is copied; that it is copied by components was asked for now.
        options.strategy = Arc::new(Pipeline);
    }
    let components = wishes.components.map(|names| names.iter().map(bytes_of).collect::<PyResult<_>>());
    let walk = Options {
        max_iops: wishes.max_iops,
        mounts: if wishes.one_file_system { Mounts::Stay } else { Mounts::Cross },
        snapshots: if wishes.ignore_snapshots { Snapshots::Skip } else { Snapshots::Include },
        exclude: (!exclude.is_empty()).then(|| Arc::new(exclude)),
        cancel: stop.cancel.clone(),
        ..options.walk.clone()
    };
    Ok(CopyOptions {
        exact: true,
        components: components.transpose()?,
        reflink: word(
            "reflink",
            &wishes.reflink,
            &[("auto", Reflink::Auto), ("always", Reflink::Always), ("never", Reflink::Never)],
        )?,
        sparse: word(
            "sparse",
            &wishes.sparse,
            &[("auto", Sparse::Auto), ("always", Sparse::Always), ("never", Sparse::Never)],
        )?,
        existing: word(
            "existing",
            &wishes.existing,
            &[
                ("overwrite", Existing::Overwrite),
                ("skip", Existing::Skip),
                ("update", Existing::Update),
                ("fail", Existing::Fail),
            ],
        )?,
        mirror: wishes.mirror,
        verify: wishes.verify,
        fsync: word("fsync", &wishes.fsync, &[("none", Fsync::None), ("end", Fsync::End), ("each", Fsync::Each)])?,
        resume: wishes.resume,
        dry_run: wishes.dry_run,
        keep: Keep::without(wishes.no_preserve.iter().map(String::as_str)).map_err(|error| refused(&error))?,
        max_bytes_per_sec: wishes.max_bytes_per_sec,
        count_first,
        walk,
        ..options
    })
}

/// What is copied is a directory, also if a link leads to it: with a slash the kernel sees to that.
fn as_directory(path: &mut Vec<u8>) {
    while path.len() > 1 && path.ends_with(b"/") {
        path.pop();
    }
    let is_dir = std::fs::symlink_metadata(std::ffi::OsStr::from_bytes(path)).is_ok_and(|meta| meta.is_dir());
    if !is_dir {
        path.push(b'/');
    }
}

/// Whether a link leads to a directory: then that is meant, as everywhere in Python.
fn is_link_to_dir(path: &[u8]) -> bool {
    let path = std::path::Path::new(std::ffi::OsStr::from_bytes(path));
    path.is_symlink() && path.is_dir()
}

/// What a word stands for.
fn word<T: Copy>(what: &str, word: &str, known: &[(&str, T)]) -> PyResult<T> {
    known.iter().find(|(name, _)| *name == word).map(|(_, meaning)| *meaning).ok_or_else(|| {
        let known: Vec<_> = known.iter().map(|(name, _)| *name).collect();
        PyValueError::new_err(format!("Invalid {what}: {word:?}; use one of {}", known.join(", ")))
    })
}

fn refused(error: &CopyError) -> PyErr {
    PyValueError::new_err(error.to_string())
}

/// Tells the thread that called how far it is.
struct Ticks(Sender<CopyProgress>);

impl CopyWatcher for Ticks {
    fn tick(&self, progress: &CopyProgress) {
        // Nobody listens any more only when the copy is over.
        self.0.send(progress.clone()).unwrap_or_default();
    }
}

/// What the thread that called does meanwhile.
struct Watching<'a> {
    callback: Option<&'a Py<PyAny>>,
    names: Names,
    stop: &'a Stop,
}

impl Watching<'_> {
    /// Passes progress on, and Ctrl-C back, until the copy is over. Returns what was told last.
    fn until_over(&self, told: &Receiver<CopyProgress>) -> Option<CopyProgress> {
        let mut last = None;
        loop {
            let new = match told.recv_timeout(PATIENCE) {
                // A callback may have taken its time.
                Ok(progress) => Some(told.try_iter().last().unwrap_or(progress)),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => return last,
            };
            if !self.stop.cancel.is_cancelled()
                && let Err(error) = self.look(new.as_ref())
            {
                self.stop.raise(error);
            }
            last = new.or(last);
        }
    }

    fn look(&self, progress: Option<&CopyProgress>) -> PyResult<()> {
        let look = |py: Python<'_>| {
            py.check_signals()?;
            match (self.callback, progress) {
                (Some(callback), Some(progress)) => tell(py, callback, self.names, progress),
                _ => Ok(()),
            }
        };
        // A daemon thread may copy while the interpreter ends: then nobody is there to be told.
        Python::try_attach(look).unwrap_or_else(|| {
            self.stop.cancel.cancel();
            Ok(())
        })
    }
}

fn tell(py: Python<'_>, callback: &Py<PyAny>, names: Names, progress: &CopyProgress) -> PyResult<()> {
    let named = |path: &Option<Vec<u8>>| path.as_deref().map(|path| names.object(py, path)).transpose();
    let numbers = (
        progress.files,
        progress.total_files,
        progress.bytes,
        progress.total_bytes,
        progress.left,
        named(&progress.current)?,
        named(&progress.component)?,
        progress.elapsed.as_secs_f64(),
    );
    callback.call1(py, numbers).map(drop)
}
