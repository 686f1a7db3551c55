//! Work that takes its time, while the thread that asked for it looks for Ctrl-C and tells of progress.
//!
//! The work is in a thread of its own, so that it makes no difference what it is doing: also a server that does not answer is left at once. Work that
//! only reads is left alone then, and ends when it sees that it is cancelled; what writes is waited for, so that nothing is written after
//! the exception.

use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread::Builder;
use std::time::{Duration, Instant};

use pwalk_engine::{Cancel, Progress, Snapshot};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;

use crate::paths::Names;

/// How often a Ctrl-C is looked for.
const PATIENCE: Duration = Duration::from_millis(100);
/// How long what only reads is waited for after a Ctrl-C.
const GRACE: Duration = Duration::from_secs(1);

/// What becomes of work after a Ctrl-C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stopped {
    /// It is waited for.
    Awaited,
    /// It is left alone after a while.
    Left,
}

/// Work, and how it can be stopped.
pub(crate) struct Work<'a> {
    pub(crate) cancel: Cancel,
    pub(crate) stopped: Stopped,
    /// Who is told how far it is, and of which kind the paths are that it is told.
    pub(crate) callback: Option<&'a Py<PyAny>>,
    pub(crate) names: Names,
}

impl Work<'_> {
    /// Does it. What a callback or the handler of a signal raises ends it, and is what comes of it.
    pub(crate) fn run<T: Send + 'static>(
        &self,
        py: Python<'_>,
        work: impl FnOnce(&dyn Progress) -> T + Send + 'static,
    ) -> PyResult<T> {
        let (tell, told) = channel();
        let thread = Builder::new().name("pwalk-catalog".into()).spawn(move || work(&Ticks(tell)));
        let thread = thread.map_err(|error| PyRuntimeError::new_err(format!("cannot start a thread: {error}")))?;
        py.detach(move || {
            let raised = self.watch(&told);
            match raised {
                Some(Raised { error, is_over: false }) => Err(error),
                raised => {
                    let done = thread.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                    raised.map_or(Ok(done), |raised| Err(raised.error))
                }
            }
        })
    }

    /// Waits until it is over, or has to be left.
    fn watch(&self, told: &Receiver<Snapshot>) -> Option<Raised> {
        let mut raised: Option<(PyErr, Instant)> = None;
        loop {
            let snapshot = match told.recv_timeout(PATIENCE) {
                // A callback may have taken its time.
                Ok(snapshot) => Some(told.try_iter().last().unwrap_or(snapshot)),
                Err(RecvTimeoutError::Timeout) => None,
                Err(RecvTimeoutError::Disconnected) => {
                    return raised.map(|(error, _)| Raised { error, is_over: true });
                }
            };
            match raised {
                None => {
                    if let Err(error) = self.look(snapshot.as_ref()) {
                        self.cancel.cancel();
                        raised = Some((error, Instant::now()));
                    }
                }
                Some((error, since)) if self.stopped == Stopped::Left && since.elapsed() > GRACE => {
                    return Some(Raised { error, is_over: false });
                }
                Some(_) => {}
            }
        }
    }

    fn look(&self, snapshot: Option<&Snapshot>) -> PyResult<()> {
        let look = |py: Python<'_>| {
            py.check_signals()?;
            let (Some(callback), Some(snapshot)) = (self.callback, snapshot) else { return Ok(()) };
            let current = snapshot.current.as_deref().map(|path| self.names.object(py, path)).transpose()?;
            callback.call1(py, (snapshot.entries, snapshot.dirs, snapshot.bytes, snapshot.errors, current)).map(drop)
        };
        // A daemon thread may work while the interpreter ends: then nobody is there to be told.
        Python::try_attach(look).unwrap_or_else(|| {
            self.cancel.cancel();
            Ok(())
        })
    }
}

/// What ended the work before its time.
struct Raised {
    error: PyErr,
    is_over: bool,
}

/// Tells the thread that asked how far it is.
struct Ticks(Sender<Snapshot>);

impl Progress for Ticks {
    fn tick(&self, snapshot: &Snapshot) {
        // Nobody listens any more only when it was left.
        self.0.send(snapshot.clone()).unwrap_or_default();
    }
}
