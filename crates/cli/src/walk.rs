//! `pwalk walk`: each directory with the number of directories and files in it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pwalk_engine::{Batch, Context, Descend, Dir, Listing, Totals, Visitor, WalkError};

use crate::args::WalkArgs;
use crate::human::say;
use crate::out::Lines;
use crate::{Exit, listing};

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
    fn error(&mut self, _: &mut Context<'_, Self>, error: &WalkError) {
        say(format_args!("pwalk: {error}"));
    }
}

impl listing::Lister for Lister {
    const PROGRAM: &'static str = "pwalk";

    fn new(lines: Lines) -> Self {
        Self { lines, path: Vec::new() }
    }

    fn into_lines(self) -> Lines {
        self.lines
    }
}

pub(crate) fn run(args: &WalkArgs) -> anyhow::Result<Exit> {
    listing::run::<Lister>(&args.paths, &args.tree)
}
