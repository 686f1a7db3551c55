//! Strategies, those written in Python among them.
//!
//! One of Python's is called from many threads, each of which takes Python's lock for as long as the call runs. What it raises belongs to
//! one copy, so each copy has a strategy of its own around what is registered. One that is met elsewhere, in a command that was
//! started in this process, has nobody to raise to: there its exceptions are shown and the file fails.

use std::os::fd::AsRawFd;
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_fs::{Errno, go_to};
use pwalk_ops::copy::{Broken, CopyError, Piece, Strategy, strategies as known, strategy as found};
use pyo3::exceptions::{PyNotImplementedError, PyOSError, PyValueError};
use pyo3::prelude::*;

use super::{Stop, refused};

/// What was registered.
struct Registered {
    name: String,
    description: String,
    prerequisites: String,
    copy_file: Py<PyAny>,
}

static REGISTERED: Mutex<Vec<Arc<Registered>>> = Mutex::new(Vec::new());

/// A strategy of Python's, for one copy or for whoever asks by its name.
struct Called {
    registered: Arc<Registered>,
    stop: Option<Arc<Stop>>,
}

/// Name, description and prerequisites of each strategy.
#[pyfunction]
pub(crate) fn copy_strategies() -> Vec<(String, String, String)> {
    let told = |strategy: &Arc<dyn Strategy>| {
        (strategy.name().to_owned(), strategy.description().to_owned(), strategy.prerequisites().to_owned())
    };
    known().iter().map(told).collect()
}

/// Makes a strategy known. `copy_file(source_fd, target_fd, offset, length)` returns how many bytes it copied.
#[pyfunction]
pub(crate) fn register_copy_strategy(
    py: Python<'_>,
    name: String,
    description: String,
    prerequisites: String,
    copy_file: Py<PyAny>,
) -> PyResult<()> {
    let registered = Arc::new(Registered { name, description, prerequisites, copy_file });
    let called = Arc::new(Called { registered: Arc::clone(&registered), stop: None });
    py.detach(|| {
        let mut all = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
        pwalk_ops::copy::register_strategy(called).map(|()| all.push(registered))
    })
    .map_err(|error| refused(&error))
}

/// The strategy of this name, for one copy.
pub(super) fn named(name: &str, stop: &Arc<Stop>) -> Result<Arc<dyn Strategy>, CopyError> {
    let all = REGISTERED.lock().unwrap_or_else(PoisonError::into_inner);
    match all.iter().find(|registered| registered.name == name) {
        Some(registered) => Ok(Arc::new(Called { registered: Arc::clone(registered), stop: Some(Arc::clone(stop)) })),
        None => found(name),
    }
}

impl Strategy for Called {
    fn name(&self) -> &str {
        &self.registered.name
    }

    fn description(&self) -> &str {
        &self.registered.description
    }

    fn prerequisites(&self) -> &str {
        &self.registered.prerequisites
    }

    fn copy_file(&self, piece: &mut Piece<'_>) -> Result<(), Broken> {
        if piece.makes_holes() {
            return Err(Broken::Way(Errno::INVAL));
        }
        while piece.left() > 0 {
            piece.wait_for_calls(2);
            // For those who read, write or send at the descriptors' positions.
            go_to(piece.source(), piece.at()).map_err(Broken::Read)?;
            go_to(piece.target(), piece.at()).map_err(Broken::Write)?;
            let called = Python::try_attach(|py| self.call(py, piece).map_err(|error| self.broken(py, error)));
            // Without an interpreter nobody copies.
            match called.unwrap_or(Err(Broken::Write(Errno::CANCELED)))? {
                // The end, or what it takes for it: reading tells.
                0 => return Err(Broken::Way(Errno::NODATA)),
                bytes => piece.done(bytes).map_err(Broken::Write)?,
            }
        }
        Ok(())
    }
}

impl Called {
    fn call(&self, py: Python<'_>, piece: &Piece<'_>) -> PyResult<u64> {
        let length = piece.step() as u64;
        let arguments = (piece.source().as_raw_fd(), piece.target().as_raw_fd(), piece.at(), length);
        let returned = self.registered.copy_file.bind(py).call1(arguments)?;
        match returned.extract::<u64>() {
            Ok(bytes) if bytes <= length => Ok(bytes),
            _ => Err(PyValueError::new_err(format!(
                "strategy {}: copy_file must return how many bytes it copied, 0 to {length}, not {}",
                self.registered.name,
                returned.repr()?
            ))),
        }
    }

    /// What an exception means for the file.
    fn broken(&self, py: Python<'_>, error: PyErr) -> Broken {
        if error.is_instance_of::<PyNotImplementedError>(py) {
            return Broken::Way(Errno::NOSYS);
        }
        if error.is_instance_of::<PyOSError>(py) {
            let errno = error.value(py).getattr("errno").and_then(|errno| errno.extract::<i32>());
            let errno = errno.ok().filter(|errno| (1..4096).contains(errno));
            return Broken::Write(errno.map_or(Errno::IO, Errno::from_raw_os_error));
        }
        match &self.stop {
            Some(stop) => {
                stop.raise(error);
                Broken::Write(Errno::CANCELED)
            }
            None => {
                error.write_unraisable(py, Some(self.registered.copy_file.bind(py)));
                Broken::Write(Errno::IO)
            }
        }
    }
}
