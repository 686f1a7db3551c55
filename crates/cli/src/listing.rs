//! Commands that print a line for some of what they meet, by names and types alone: one run for all of them.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;

use pwalk_engine::{Ended, Frontier, Needs, Outcome, Silent, Sink, Visitor, fold};

use crate::Exit;
use crate::args::TreeArgs;
use crate::human::{say, shown};
use crate::out::{Lines, Out};
use crate::report::roots;
use crate::signals::cancel_on_signals;

/// A visitor that prints lines.
pub(crate) trait Lister: Visitor {
    /// The program, for messages.
    const PROGRAM: &'static str;

    fn new(lines: Lines) -> Self;

    fn into_lines(self) -> Lines;
}

/// Walks `paths`, and says how that ended.
pub(crate) fn run<V: Lister>(paths: &[PathBuf], tree: &TreeArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (options, _) = tree.options(&cancel)?;
    let (there, missing) = tell_missing(V::PROGRAM, paths);
    if there.is_empty() {
        return Ok(Exit::Failed);
    }
    let out = Out::new();
    let sink = Listing { out: Arc::clone(&out), lister: PhantomData::<fn() -> V> };
    let Ok((ended, errors)) = fold(sink, Frontier::start(roots(&there)), &options, &Silent);
    out.exit(ended, missing || errors > 0)
}

struct Listing<V> {
    out: Arc<Out>,
    lister: PhantomData<fn() -> V>,
}

impl<V: Lister> Sink for Listing<V> {
    type Worker = V;
    type Summary = (Ended, u64);
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Names
    }

    fn worker(&self) -> V {
        V::new(Lines::new(&self.out))
    }

    fn finish(self, workers: Vec<V>, outcome: &Outcome) -> Result<(Ended, u64), Infallible> {
        for worker in workers {
            worker.into_lines().flush();
        }
        Ok((outcome.ended, outcome.errors))
    }
}

/// The paths that exist, and whether some do not: told at once, because nothing was "removed while walking" there.
fn tell_missing(program: &str, paths: &[PathBuf]) -> (Vec<PathBuf>, bool) {
    let is_there = |path: &&PathBuf| match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            say(format_args!(
                "{program}: {}: No such file or directory; check the path",
                shown(path.as_os_str().as_bytes())
            ));
            false
        }
        _ => true,
    };
    let there: Vec<PathBuf> = paths.iter().filter(is_there).cloned().collect();
    let missing = there.len() < paths.len();
    (there, missing)
}
