//! `pwalk.Catalog`: the catalog of `pwalk track`, with Python's types around it.
//!
//! What is held is where the catalog is, and each call opens it. So calls from several threads do not wait for each other, unless two scan
//! one root, which the catalog itself refuses; nothing is shared with a child process; and a stream that is being read does not keep the catalog
//! from being written. Opening costs about a millisecond. Defaults and classes are made in Python (`python/pwalk/_catalog.py`).

mod rows;
mod told;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use pwalk_engine::{Cancel, Progress};
use pwalk_track::{
    Accepted, Catalog, ChangeFilter, ChangeType, Connection, Group, Hashing, Keep, Period, Place, ReportOptions, Run,
    ScanOptions, Since, TrackConfig, TrackError, VerifyOptions, known_path,
};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyDict, PyString};

use crate::options::Walking;
use crate::paths::{Names, bytes_of};
use crate::work::{Stopped, Work};
pub(crate) use rows::CatalogRows;
use rows::Source;
use told::{failure, run_of};

/// A place in the history as Python passes it on: whether it is a time, and the run's number or the time in nanoseconds.
type Moment = (bool, i64);

/// What is to be scanned beside how to walk, as `_catalog.py` passes it on.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct ScanWishes {
    fingerprint: String,
    hash: String,
    hash_threads: Option<usize>,
    max_bytes_per_sec: Option<u64>,
    metadata: BTreeMap<String, String>,
    accept_new_root: bool,
    accept_mass_delete: bool,
    progress: Option<Py<PyAny>>,
}

/// What is to be read again.
#[derive(FromPyObject)]
#[pyo3(from_item_all)]
pub(crate) struct VerifyWishes {
    max_bytes: Option<u64>,
    max_files: Option<u64>,
    older_than: Option<i64>,
    hash_threads: Option<usize>,
    max_bytes_per_sec: Option<u64>,
}

/// Where a catalog is, and what can be asked of it.
#[pyclass(frozen, module = "pwalk._pwalk")]
pub(crate) struct CatalogPlace {
    place: Place,
    #[pyo3(get)]
    warnings: Vec<String>,
}

#[pymethods]
impl CatalogPlace {
    #[new]
    fn new(named: Option<Bound<'_, PyAny>>) -> PyResult<Self> {
        let bad = |why: String| PyValueError::new_err(why);
        let mut warnings = Vec::new();
        let place = match named {
            None => {
                let config = TrackConfig::read(None).map_err(|why| bad(why.to_string()))?;
                warnings.clone_from(&config.warnings);
                Place::of(None, None, &config).map_err(|why| bad(why.to_string()))?
            }
            Some(named) => match named.cast::<PyString>().ok().and_then(|text| text.to_str().ok()) {
                Some(text) if Connection::is_database(text) => {
                    let connection = Connection::resolve(Some(text), None).map_err(|why| bad(why.to_string()))?;
                    Place::Database(Box::new(connection))
                }
                _ => Place::Dir(path_of(bytes_of(&named)?)),
            },
        };
        let place = match place {
            // Who goes to another directory later still means this one.
            Place::Dir(dir) => Place::Dir(std::path::absolute(&dir).unwrap_or(dir)),
            Place::Database(connection) => {
                warnings.extend(connection.warnings.iter().cloned());
                Place::Database(connection)
            }
        };
        Ok(Self { place, warnings })
    }

    /// The directory, or the database in words, without a password.
    fn location<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        match &self.place {
            Place::Dir(dir) => Names::Text.object(py, dir.as_os_str().as_bytes()),
            Place::Database(connection) => Ok(PyString::new(py, &connection.to_string()).into_any()),
        }
    }

    /// Makes the catalog if it is a directory; a database must have one, or with `init` is given one.
    fn create(&self, py: Python<'_>, init: bool) -> PyResult<()> {
        let place = self.place.clone();
        self.ask(py, None, Stopped::Left, &Cancel::new(), move || {
            if let (true, Place::Database(connection)) = (init, &place) {
                Catalog::init(connection)?;
            }
            place.create().map(drop)
        })
    }

    fn scan<'py>(
        &self,
        py: Python<'py>,
        root: Bound<'py, PyAny>,
        wishes: ScanWishes,
        walking: Walking,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (names, root) = (Names::of(&root), bytes_of(&root)?);
        let (walk, exclude_patterns) = walking.walk()?;
        let cancel = walk.cancel.clone();
        let options = ScanOptions {
            walk,
            exclude_patterns,
            fingerprint: word("fingerprint", &wishes.fingerprint)?,
            hashing: Hashing {
                hash: word("hash", &wishes.hash)?,
                threads: wishes.hash_threads,
                max_bytes_per_sec: wishes.max_bytes_per_sec,
            },
            metadata: wishes.metadata,
            accepted: Accepted { new_root: wishes.accept_new_root, mass_delete: wishes.accept_mass_delete },
            ..ScanOptions::default()
        };
        let (place, path) = (self.place.clone(), path_of(root.clone()));
        let work = Work { cancel, stopped: Stopped::Awaited, callback: wishes.progress.as_ref(), names };
        let scan = move |progress: &dyn Progress| place.create()?.scan(&path, &options, progress);
        let summary = work.run(py, scan)?.map_err(|error| failure(py, &error, Some((&root, names))))?;
        run_of(py, names, &summary.run, &summary.warnings)
    }

    fn verify<'py>(
        &self,
        py: Python<'py>,
        path: Bound<'py, PyAny>,
        wishes: VerifyWishes,
    ) -> PyResult<Bound<'py, PyDict>> {
        let (names, path) = (Names::of(&path), bytes_of(&path)?);
        let cancel = Cancel::new();
        let options = VerifyOptions {
            max_bytes: wishes.max_bytes,
            max_files: wishes.max_files,
            before: wishes.older_than,
            hashing: Hashing {
                threads: wishes.hash_threads,
                max_bytes_per_sec: wishes.max_bytes_per_sec,
                ..Hashing::default()
            },
            cancel: cancel.clone(),
        };
        let (place, file) = (self.place.clone(), path_of(path.clone()));
        let verify = move || place.open()?.verify(&file, &options);
        let summary = self.ask(py, Some((&path, names)), Stopped::Awaited, &cancel, verify)?;
        run_of(py, names, &summary.run, &summary.warnings)
    }

    /// All runs, or those of one root.
    fn runs<'py>(&self, py: Python<'py>, root: Option<Bound<'py, PyAny>>) -> PyResult<Vec<Bound<'py, PyDict>>> {
        let names = root.as_ref().map_or(Names::Text, Names::of);
        let root = root.as_ref().map(known).transpose()?;
        let place = self.place.clone();
        let runs = self.ask(py, None, Stopped::Left, &Cancel::new(), move || place.open()?.runs())?;
        let is_asked = |run: &&Run| root.as_ref().is_none_or(|root| *root == run.root);
        runs.iter().filter(is_asked).map(|run| run_of(py, names, run, &[])).collect()
    }

    /// What a run could not read: paths, what was being done, and the kind of trouble.
    fn errors<'py>(
        &self,
        py: Python<'py>,
        run: u64,
        is_bytes: bool,
    ) -> PyResult<Vec<(Bound<'py, PyAny>, String, String)>> {
        let (place, cancel) = (self.place.clone(), Cancel::new());
        let stop = cancel.clone();
        let losses = self.ask(py, None, Stopped::Left, &cancel, move || {
            let mut losses = Vec::new();
            place.open()?.errors(run, &mut |loss| {
                losses.push((loss.path.to_vec(), loss.operation.to_owned(), loss.class.to_owned()));
                if stop.is_cancelled() { Err(TrackError::Interrupted) } else { Ok(()) }
            })?;
            Ok(losses)
        })?;
        let names = if is_bytes { Names::Bytes } else { Names::Text };
        let named = |(path, operation, class): (Vec<u8>, _, _)| Ok((names.object(py, &path)?, operation, class));
        losses.into_iter().map(named).collect()
    }

    fn changes(
        &self,
        py: Python<'_>,
        since: Option<Moment>,
        run: Option<u64>,
        path: Option<Bound<'_, PyAny>>,
        types: Vec<String>,
        text: String,
    ) -> PyResult<CatalogRows> {
        let filter = ChangeFilter { run, ..filter(since, path, &types)? };
        let (place, asked) = (self.place.clone(), filter.clone());
        self.ask(py, None, Stopped::Left, &Cancel::new(), move || place.open()?.has_changes(&asked))?;
        Ok(CatalogRows::new(Source::Changes { place: self.place.clone(), filter }, text))
    }

    #[expect(clippy::too_many_arguments, reason = "they are those of the Python method")]
    fn report(
        &self,
        py: Python<'_>,
        since: Option<Moment>,
        by: Option<String>,
        period: Option<String>,
        depth: u32,
        path: Option<Bound<'_, PyAny>>,
        text: String,
    ) -> PyResult<CatalogRows> {
        let by = by.as_deref().map(|by| match by {
            "dir" => Ok(Group::Dir),
            "user" => Ok(Group::User),
            "group" => Ok(Group::Group),
            "extension" => Ok(Group::Extension),
            _ => Err(PyValueError::new_err(format!("Invalid by: {by:?}; use dir, user, group or extension"))),
        });
        let period = period.as_deref().map(|period| match period {
            "day" => Ok(Period::Day),
            "week" => Ok(Period::Week),
            _ => Err(PyValueError::new_err(format!("Invalid period: {period:?}; use day or week"))),
        });
        let filter = filter(since, path, &[])?;
        let cancel = filter.cancel.clone();
        let options = ReportOptions { filter, period: period.transpose()?, by: by.transpose()?, depth: Some(depth) };
        let place = self.place.clone();
        let report = self.ask(py, None, Stopped::Left, &cancel, move || place.open()?.report(&options))?;
        let batch = report.batch().map_err(|error| PyValueError::new_err(error.to_string()))?;
        Ok(CatalogRows::new(Source::Report(batch), text))
    }

    fn entries(
        &self,
        py: Python<'_>,
        path: Bound<'_, PyAny>,
        at: Option<Moment>,
        text: String,
    ) -> PyResult<CatalogRows> {
        let (path, at) = (known(&path)?, at.map(since_of).transpose()?);
        let (place, asked) = (self.place.clone(), path.clone());
        self.ask(py, None, Stopped::Left, &Cancel::new(), move || place.open()?.has_entries(&asked, at))?;
        Ok(CatalogRows::new(Source::Entries { place: self.place.clone(), path, at }, text))
    }

    fn prune(&self, py: Python<'_>, keep: Moment) -> PyResult<u64> {
        let keep = match since_of(keep)? {
            Since::Run(0) => {
                return Err(PyValueError::new_err("keep=0 would keep nothing; the last run is always kept"));
            }
            Since::Run(count) => Keep::Runs(count),
            Since::Time(time) => Keep::Since(time),
        };
        let (place, cancel) = (self.place.clone(), Cancel::new());
        let stop = cancel.clone();
        self.ask(py, None, Stopped::Awaited, &cancel, move || place.open()?.prune(keep, &stop))
    }

    fn duckdb_sql(&self, py: Python<'_>) -> PyResult<String> {
        let place = self.place.clone();
        self.ask(py, None, Stopped::Left, &Cancel::new(), move || place.open()?.duckdb_sql())
    }
}

impl CatalogPlace {
    /// Asks the catalog something, without Python's lock.
    #[expect(clippy::unused_self, reason = "it is the catalog that is asked")]
    fn ask<T: Send + 'static>(
        &self,
        py: Python<'_>,
        asked: Option<(&[u8], Names)>,
        stopped: Stopped,
        cancel: &Cancel,
        ask: impl FnOnce() -> Result<T, TrackError> + Send + 'static,
    ) -> PyResult<T> {
        let work = Work { cancel: cancel.clone(), stopped, callback: None, names: Names::Text };
        work.run(py, |_| ask())?.map_err(|error| failure(py, &error, asked))
    }
}

/// A place in the history: what the command line makes of the same words.
#[pyfunction]
pub(crate) fn catalog_since(text: &str) -> PyResult<Moment> {
    match text.parse().map_err(|bad: pwalk_track::BadSince| PyValueError::new_err(bad.to_string()))? {
        Since::Run(run) => Ok((false, i64::try_from(run).unwrap_or(i64::MAX))),
        Since::Time(time) => Ok((true, time)),
    }
}

fn since_of((is_time, number): Moment) -> PyResult<Since> {
    if is_time {
        return Ok(Since::Time(number));
    }
    let bad = |_| PyValueError::new_err(format!("there is no run {number}; they have numbers from 1"));
    u64::try_from(number).map(Since::Run).map_err(bad)
}

fn filter(since: Option<Moment>, path: Option<Bound<'_, PyAny>>, types: &[String]) -> PyResult<ChangeFilter> {
    let type_of = |name: &String| {
        ChangeType::of(name).ok_or_else(|| {
            let known: Vec<_> = ChangeType::ALL.iter().map(|of| of.name()).collect();
            PyValueError::new_err(format!("Invalid type: {name:?}; use some of {}", known.join(", ")))
        })
    };
    Ok(ChangeFilter {
        after: since.map(since_of).transpose()?,
        subtree: path.as_ref().map(known).transpose()?,
        types: types.iter().map(type_of).collect::<PyResult<_>>()?,
        ..ChangeFilter::default()
    })
}

/// A word that stands for something.
fn word<T: std::str::FromStr<Err: std::fmt::Display>>(what: &str, word: &str) -> PyResult<T> {
    word.parse().map_err(|why: T::Err| PyValueError::new_err(format!("Invalid {what}: {word:?}; {why}")))
}

fn path_of(path: Vec<u8>) -> PathBuf {
    std::ffi::OsString::from_vec(path).into()
}

/// A path as the catalog has it.
fn known(path: &Bound<'_, PyAny>) -> PyResult<Vec<u8>> {
    Ok(known_path(OsStr::from_bytes(&bytes_of(path)?).as_ref()))
}
