//! `pwalk walk`: each directory with the number of directories and files in it.

use std::convert::Infallible;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pwalk_engine::{
    Batch, Context, Descend, Dir, Ended, Frontier, Listing, Needs, Outcome, Silent, Sink, Totals, Visitor, WalkError,
    fold,
};

use crate::Exit;
use crate::args::WalkArgs;
use crate::human::shown;
use crate::out::{Lines, Out};
use crate::report::roots;
use crate::signals::cancel_on_signals;

struct Lister {
    lines: Lines,
    path: Vec<u8>,
}

/// What is in one directory.
#[derive(Default)]
struct Inside {
    dirs: AtomicU64,
    files: AtomicU64,
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
        let (dirs, files) = (inside.dirs.load(Relaxed), inside.files.load(Relaxed));
        self.lines.path(&self.path);
        self.lines.text(&format!(": {dirs} dirs, {files} files"));
        if !self.lines.end() {
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
        Lister { lines: Lines::new(&self.0), path: Vec::new() }
    }

    fn finish(self, workers: Vec<Lister>, outcome: &Outcome) -> Result<(Ended, u64), Infallible> {
        for mut worker in workers {
            worker.lines.flush();
        }
        Ok((outcome.ended, outcome.errors))
    }
}

pub(crate) fn run(args: &WalkArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (options, _) = args.tree.options(&cancel)?;
    let out = Out::new();
    let (there, missing) = tell_missing("pwalk", &args.paths);
    if there.is_empty() {
        return Ok(Exit::Failed);
    }
    let start = Frontier::start(roots(&there));
    let Ok((ended, errors)) = fold(Walk(Arc::clone(&out)), start, &options, &Silent);
    out.exit(ended, missing || errors > 0)
}

/// The paths that exist, and whether some do not: told at once, because nothing was "removed while walking" there.
#[expect(clippy::print_stderr, reason = "this is the command line")]
pub(crate) fn tell_missing(program: &str, paths: &[PathBuf]) -> (Vec<PathBuf>, bool) {
    let is_there = |path: &&PathBuf| match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            eprintln!("{program}: {}: No such file or directory; check the path", shown(path.as_os_str().as_bytes()));
            false
        }
        _ => true,
    };
    let there: Vec<PathBuf> = paths.iter().filter(is_there).cloned().collect();
    let missing = there.len() < paths.len();
    (there, missing)
}
