//! The iterator behind `pwalk.walk`.
//!
//! `pwalk.walk` itself is a Python generator that delegates here, so that it has everything that a generator has. This
//! gives the directories in the order that `os.walk` promises, and looks between two of them at what the caller has made of the
//! list of sub-directories.

use std::sync::{Mutex, PoisonError};

use pwalk_engine::{FollowLinks, Listed, Order, OrderedError, OrderedOptions, OrderedWalk, Snapshots, Visit};
use pyo3::exceptions::{PyRuntimeError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyTuple};

use crate::paths::{Names, bytes_of, os_error};

/// The directories of a tree, one after another.
#[pyclass(frozen, module = "pwalk._pwalk")]
pub(crate) struct Walker {
    state: Mutex<State>,
}

struct State {
    walk: Option<OrderedWalk>,
    top: Py<PyAny>,
    names: Names,
    top_down: bool,
    onerror: Option<Py<PyAny>>,
    /// The list of sub-directories that the caller has, and what was in it.
    given: Option<(Py<PyList>, Vec<Py<PyAny>>)>,
    first: bool,
}

#[pymethods]
impl Walker {
    #[new]
    fn new(
        top: Bound<'_, PyAny>,
        topdown: bool,
        onerror: Option<Py<PyAny>>,
        followlinks: bool,
        max_threads: Option<usize>,
        ignore_snapshots: bool,
    ) -> PyResult<Self> {
        let options = OrderedOptions {
            follow_links: if followlinks { FollowLinks::Always } else { FollowLinks::Never },
            snapshots: if ignore_snapshots { Snapshots::Skip } else { Snapshots::Include },
            order: if topdown { Order::TopDown } else { Order::BottomUp },
            threads: max_threads.map(|n| n.max(1)),
            ..OrderedOptions::default()
        };
        let state = State {
            walk: Some(OrderedWalk::new(&without_nul(bytes_of(&top)?)?, options)),
            names: Names::of(&top),
            top: top.unbind(),
            top_down: topdown,
            onerror,
            given: None,
            first: true,
        };
        Ok(Self { state: Mutex::new(state) })
    }

    fn __iter__(slf: PyRef<'_, Self>) -> PyRef<'_, Self> {
        slf
    }

    fn __next__<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        let Ok(mut state) = self.state.try_lock() else {
            return Err(PyRuntimeError::new_err("the walk is already going on in another thread"));
        };
        state.next(py)
    }

    /// Ends the walk.
    fn close(&self) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.walk = None;
    }
}

impl State {
    fn next<'py>(&mut self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyTuple>>> {
        self.look_at_list(py)?;
        loop {
            let Some(walk) = &mut self.walk else { return Ok(None) };
            match py.detach(|| walk.next()) {
                None => {
                    self.walk = None;
                    return Ok(None);
                }
                Some(Ok(visit)) => return self.give(py, &visit).map(Some),
                Some(Err(error)) => self.report(py, &error)?,
            }
        }
    }

    fn give<'py>(&mut self, py: Python<'py>, visit: &Visit) -> PyResult<Bound<'py, PyTuple>> {
        let listed = &visit.listed;
        let path = match self.first || !self.top_down {
            true if bytes_of(self.top.bind(py))? == visit.path => self.top.bind(py).clone(),
            _ => self.names.object(py, &visit.path)?,
        };
        self.first = false;
        let dirs = self.list(py, listed, listed.dirs())?;
        let others = self.list(py, listed, listed.others())?;
        if self.top_down {
            // An empty one too: something may be put into it.
            self.given = Some((dirs.clone().unbind(), dirs.iter().map(Bound::unbind).collect()));
        }
        PyTuple::new(py, [path, dirs.into_any(), others.into_any()])
    }

    fn list<'py>(&self, py: Python<'py>, listed: &Listed, places: &[u32]) -> PyResult<Bound<'py, PyList>> {
        let names = places.iter().map(|&place| self.names.object(py, listed.name(place)));
        PyList::new(py, names.collect::<PyResult<Vec<_>>>()?)
    }

    /// Tells the walk what the caller wants of the sub-directories it was given, if it changed them.
    fn look_at_list(&mut self, py: Python<'_>) -> PyResult<()> {
        let (Some((list, before)), Some(walk)) = (self.given.take(), &mut self.walk) else { return Ok(()) };
        let list = list.bind(py);
        if list.len() == before.len() && list.iter().zip(&before).all(|(now, then)| now.is(then)) {
            return Ok(());
        }
        let names = list.iter().map(|name| without_nul(bytes_of(&name)?)).collect::<PyResult<Vec<_>>>()?;
        py.detach(|| walk.descend_into(names.iter().map(Vec::as_slice)));
        Ok(())
    }

    fn report(&self, py: Python<'_>, error: &OrderedError) -> PyResult<()> {
        if let Some(onerror) = &self.onerror {
            let path = self.names.object(py, &error.path)?;
            onerror.call1(py, (os_error(py, error.errno.raw_os_error(), path),))?;
        }
        Ok(())
    }
}

/// A path as the kernel can have it.
fn without_nul(path: Vec<u8>) -> PyResult<Vec<u8>> {
    if path.contains(&0) { Err(PyValueError::new_err("embedded null byte")) } else { Ok(path) }
}
