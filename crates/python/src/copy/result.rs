//! What a copy came to, as the dictionary that `_copy.py` makes a `CopyResult` of.
//!
//! A copy that could not begin or had to end has a result, too: a program that copies many directories looks at one thing to know
//! whether each is whole. Only what no other run could do better, a wrong argument, is an exception.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use pwalk_engine::{WalkError, trim_root};
use pwalk_ops::copy::{CopyError, CopyOptions, CopyProgress, CopySummary, Event, Listener};
use pyo3::prelude::*;
use pyo3::types::PyDict;

use crate::paths::Names;

/// Troubles that are kept with their paths; of more only the number is.
const MOST: usize = 1000;

/// Keeps what went wrong, path by path.
#[derive(Default)]
pub(super) struct Trouble(Mutex<Heard>);

#[derive(Default)]
struct Heard {
    errors: Vec<(Vec<u8>, String)>,
    /// How many there were, kept or not.
    count: u64,
    warnings: Vec<String>,
}

impl Heard {
    fn add(&mut self, path: &[u8], why: String) {
        self.count += 1;
        if self.errors.len() < MOST {
            self.errors.push((path.to_vec(), why));
        }
    }
}

impl Listener for Trouble {
    fn hear(&self, event: &Event<'_>) {
        let mut heard = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match event {
            Event::Failed { path, why } => heard.add(path, why.to_string()),
            Event::Unread(error) => heard.add(&error.path, unread(error)),
            Event::Warning(warning) => heard.warnings.push((*warning).to_owned()),
            Event::Would { .. } | Event::Deleted { .. } => {}
        }
    }
}

/// Its path is said beside it.
fn unread(error: &WalkError) -> String {
    let errno = error.errno.map_or_else(String::new, |errno| format!(" ({errno})"));
    format!("cannot {} it: {}{errno}; {}", error.op.name(), error.class.name(), error.advice())
}

/// A copy that is over.
pub(super) struct Over<'a> {
    pub(super) done: Result<CopySummary, CopyError>,
    pub(super) last: Option<CopyProgress>,
    pub(super) elapsed: Duration,
    pub(super) options: &'a CopyOptions,
}

impl Over<'_> {
    /// The final numbers, if it began.
    pub(super) fn progress(&self) -> Option<CopyProgress> {
        let last = self.last.clone()?;
        Some(match &self.done {
            Ok(s) => CopyProgress { files: s.files, bytes: s.bytes, component: None, current: None, ..last },
            Err(_) => last,
        })
    }

    pub(super) fn result<'py>(self, py: Python<'py>, names: Names, trouble: &Trouble) -> PyResult<Bound<'py, PyDict>> {
        let mut heard = std::mem::take(&mut *trouble.0.lock().unwrap_or_else(PoisonError::into_inner));
        let fatal = match &self.done {
            // The entry that it was halted at was told of.
            Ok(summary) => summary.halted.as_ref().map(ToString::to_string),
            Err(error) => Some(error.to_string()),
        };
        if let Err(error) = &self.done {
            heard.add(place_of(error).unwrap_or(&self.options.destination), error.to_string());
        }
        let out = PyDict::new(py);
        let first = heard.errors.first().map(|(path, why)| format!("{}: {why}", shown(path)));
        let ended_early = || "the copy did not come to its end; go on with resume=True".to_owned();
        let is_complete = self.done.as_ref().is_ok_and(CopySummary::is_complete);
        out.set_item("error", if is_complete { None } else { Some(fatal.or(first).unwrap_or_else(ended_early)) })?;
        out.set_item("error_count", heard.count)?;
        out.set_item("warnings", heard.warnings)?;
        out.set_item("success", is_complete)?;
        out.set_item("strategy_used", self.options.strategy.name())?;
        out.set_item("dry_run", self.options.dry_run)?;
        match &self.done {
            Ok(summary) => numbers(&out, summary)?,
            Err(_) => {
                let last = self.last.unwrap_or_default();
                out.set_item("files_copied", last.files)?;
                out.set_item("bytes_copied", last.bytes)?;
                out.set_item("elapsed_time", self.elapsed.as_secs_f64())?;
            }
        }
        let errors = heard.errors.iter().map(|(path, why)| Ok((names.object(py, path)?, why.as_str())));
        out.set_item("errors", errors.collect::<PyResult<Vec<_>>>()?)?;
        Ok(out)
    }
}

fn numbers(out: &Bound<'_, PyDict>, s: &CopySummary) -> PyResult<()> {
    out.set_item("files_copied", s.files)?;
    out.set_item("bytes_copied", s.bytes)?;
    out.set_item("elapsed_time", s.elapsed.as_secs_f64())?;
    out.set_item("verdict", s.verdict())?;
    out.set_item("mirror_refused", s.is_mirror_refused)?;
    out.set_item("workers", s.workers)?;
    let counts = [
        ("directories_copied", s.dirs),
        ("hard_links", s.links),
        ("shared_bytes", s.cloned),
        ("replaced", s.replaced),
        ("skipped", s.skipped),
        ("already", s.already),
        ("removed", s.deleted),
        ("failed", s.failed),
        ("not_kept", s.not_kept),
        ("owners_not_kept", s.disowned),
        ("unread", s.unread),
        ("snapshots_skipped", s.snapshots),
    ];
    counts.into_iter().try_for_each(|(name, count)| out.set_item(name, count))
}

fn place_of(error: &CopyError) -> Option<&[u8]> {
    match error {
        // Less the slash by which a directory is asked for.
        CopyError::Source { path, .. } => Some(trim_root(path)),
        CopyError::Destination { path, .. } | CopyError::NoRoom { path, .. } | CopyError::ReadOnly { path } => {
            Some(path)
        }
        CopyError::InItself { target, .. } => Some(target),
        _ => None,
    }
}

#[expect(clippy::disallowed_methods, reason = "a message for people; the bytes are in `errors`")]
fn shown(path: &[u8]) -> String {
    format!("{:?}", String::from_utf8_lossy(path))
}
