//! `pwalk walk`: each directory with the number of directories and files in it.

use std::convert::Infallible;
use std::io::{IsTerminal, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use pwalk_engine::{
    Batch, Context, Descend, Dir, Ended, Frontier, Listing, Needs, Outcome, Silent, Sink, Totals, Visitor, WalkError,
    fold,
};

use crate::Exit;
use crate::args::WalkArgs;
use crate::human::shown;
use crate::report::roots;
use crate::signals::cancel_on_signals;

/// Whole lines are written at once, so many bytes at a time.
const BLOCK: usize = 64 << 10;

/// Where the lines go, and whether that failed.
struct Out {
    failed: Mutex<Option<std::io::Error>>,
    /// Names on a terminal are escaped; a pipe gets the bytes.
    terminal: bool,
}

struct Lister {
    out: Arc<Out>,
    lines: Vec<u8>,
    path: Vec<u8>,
}

/// What is in one directory.
#[derive(Default)]
struct Inside {
    dirs: AtomicU64,
    files: AtomicU64,
}

impl Lister {
    fn flush(&mut self) -> bool {
        let mut failed = self.out.failed.lock().unwrap_or_else(PoisonError::into_inner);
        if failed.is_none() {
            // Under the lock, so that blocks do not mix.
            *failed = std::io::stdout().lock().write_all(&self.lines).err();
        }
        self.lines.clear();
        failed.is_none()
    }
}

impl Visitor for Lister {
    type State = Inside;

    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<Inside>, _: Option<&Inside>) -> (Inside, Descend) {
        (Inside::default(), Descend::Into)
    }

    fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, Inside>) {
        let Some(inside) = batch.dir().state() else { return };
        let dirs = batch.iter().filter(|e| e.kind.is_dir()).count() as u64;
        // Relaxed: read when the directory is left, which comes after all its batches.
        inside.dirs.fetch_add(dirs, Relaxed);
        inside.files.fetch_add(batch.len() as u64 - dirs, Relaxed);
    }

    fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Inside>>, _: &Totals) {
        // A directory that was not read has no numbers; the error tells of it.
        let Some(inside) = dir.state().filter(|_| dir.listing() != Listing::Unread) else { return };
        dir.path_into(&mut self.path);
        if self.out.terminal {
            self.lines.extend_from_slice(shown(&self.path).as_bytes());
        } else {
            self.lines.extend_from_slice(&self.path);
        }
        let (dirs, files) = (inside.dirs.load(Relaxed), inside.files.load(Relaxed));
        self.lines.extend_from_slice(format!(": {dirs} dirs, {files} files\n").as_bytes());
        if (self.lines.len() >= BLOCK || self.out.terminal) && !self.flush() {
            cx.stop();
        }
    }

    #[expect(clippy::print_stderr, reason = "this is the command line")]
    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        eprintln!("pwalk: {error}");
    }
}

struct Walk(Arc<Out>);

impl Sink for Walk {
    type Worker = Lister;
    type Summary = (Ended, u64);
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Names
    }

    fn worker(&self) -> Lister {
        Lister { out: Arc::clone(&self.0), lines: Vec::new(), path: Vec::new() }
    }

    fn finish(self, workers: Vec<Lister>, outcome: &Outcome) -> Result<(Ended, u64), Infallible> {
        for mut worker in workers {
            worker.flush();
        }
        Ok((outcome.ended, outcome.errors))
    }
}

pub(crate) fn run(args: &WalkArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (options, _) = args.tree.options(&cancel)?;
    let out = Arc::new(Out { failed: Mutex::new(None), terminal: std::io::stdout().is_terminal() });
    let (there, missing) = tell_missing(&args.paths);
    if there.is_empty() {
        return Ok(Exit::Failed);
    }
    let start = Frontier::start(roots(&there));
    let Ok((ended, errors)) = fold(Walk(Arc::clone(&out)), start, &options, &Silent);
    let failed = out.failed.lock().unwrap_or_else(PoisonError::into_inner).take();
    match failed {
        Some(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(Exit::Failed),
        Some(error) => Err(anyhow::Error::new(error).context("cannot write to standard output")),
        None if ended == Ended::Cancelled => Ok(Exit::Interrupted),
        None if missing || errors > 0 || ended != Ended::Whole => Ok(Exit::Partial),
        None => Ok(Exit::Complete),
    }
}

/// The paths that exist, and whether some do not: told at once, because nothing was "removed while walking" there.
#[expect(clippy::print_stderr, reason = "this is the command line")]
fn tell_missing(paths: &[PathBuf]) -> (Vec<PathBuf>, bool) {
    let is_there = |path: &&PathBuf| match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("pwalk: {}: No such file or directory; check the path", shown(path.as_os_str().as_bytes()));
            false
        }
        _ => true,
    };
    let there: Vec<PathBuf> = paths.iter().filter(is_there).cloned().collect();
    let missing = there.len() < paths.len();
    (there, missing)
}
