//! A side that is walked now.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;

use pwalk_engine::{
    Batch, Class, Context, Descend, Dir, Ended, Frontier, Needs, Op, Operand, Options, Outcome, Progress, Sink,
    Visitor, WalkError, fold,
};
use pwalk_fs::Meta;
use pwalk_scan::report::extent;
use pwalk_scan::{Stat, Verdict};

use super::{Facts, Pool, Reading, Side};
use crate::TrackError;
use crate::key::{Roots, dir_key};
use crate::marks::Seed;

/// Walks roots.
pub(crate) fn walk(
    roots: Vec<Vec<u8>>,
    walk: &Options,
    exclude_patterns: &[String],
    reading: &Reading,
    progress: &dyn Progress,
) -> Result<Side, TrackError> {
    let roots = Roots::new(roots);
    let pool = Arc::new(Pool::new(reading));
    let sink = Gathering { pool: Arc::clone(&pool), roots: roots.clone(), seed: reading.seed };
    // As they are: what rows and errors begin with must be what keys are made from.
    let paths = roots.paths().to_vec();
    let frontier = Frontier { unread_roots: (0..paths.len()).collect(), roots: paths, ..Frontier::default() };
    let Ok((outcome, first)) = fold(sink, frontier, walk, progress);
    if outcome.ended == Ended::Cancelled {
        return Err(TrackError::Interrupted);
    }
    if let (0, Some(error)) = (outcome.entries, first) {
        return Err(TrackError::Directory {
            path: error.path.escape_ascii().to_string(),
            why: error.errno.map_or_else(|| error.class.name().to_owned(), |errno| errno.to_string()),
        });
    }
    for dir in 0..outcome.unfinished.dirs.len() {
        let mut path = Vec::new();
        outcome.unfinished.path_into(dir, &mut path);
        pool.lost(&roots, &path).map_err(|why| reading.spilled(why))?;
    }
    // Visitors are gone with the fold.
    let pool = Arc::into_inner(pool).ok_or(TrackError::Interrupted)?;
    let facts = Facts {
        roots: roots.paths().to_vec(),
        entries: outcome.entries,
        verdict: if outcome.is_complete() { Verdict::Complete } else { Verdict::Partial },
        extent: Some(extent(walk, exclude_patterns)),
    };
    pool.finish(roots, false, facts, None).map_err(|why| reading.spilled(why))
}

struct Gathering {
    pool: Arc<Pool>,
    roots: Roots,
    seed: Seed,
}

struct Gatherer {
    pool: Arc<Pool>,
    roots: Roots,
    seed: Seed,
    /// Path of the directory, and then of an entry below the root.
    path: Vec<u8>,
    key: Vec<u8>,
    first_error: Option<WalkError>,
}

impl Gatherer {
    fn top(&mut self, cx: &mut Context<'_, Self>, root: usize, meta: &Meta) {
        let stat = Stat::of(meta);
        self.pool.top(root, &stat);
        dir_key(&mut self.key, root, b"");
        let added = self.pool.take().log(self.seed, root, &self.key, b"", b"", &stat);
        self.check(cx, added);
    }

    fn check(&self, cx: &mut Context<'_, Self>, added: io::Result<()>) {
        if let Err(error) = added {
            self.pool.fail(error);
            cx.stop();
        }
    }
}

impl Visitor for Gatherer {
    type State = ();

    fn enter(&mut self, cx: &mut Context<'_, Self>, dir: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        if let (0, Some(meta)) = (dir.depth(), dir.meta()) {
            self.top(cx, dir.root(), meta);
        }
        ((), Descend::Into)
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        let (dir, root) = (batch.dir(), batch.dir().root());
        dir.path_into(&mut self.path);
        let top = &self.roots.paths()[root];
        let below = self.path.get(top.len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        dir_key(&mut self.key, root, below);
        let from = self.path.len() - below.len();
        if from < self.path.len() {
            self.path.push(b'/');
        }
        let length = self.path.len();
        let mut lane = self.pool.take();
        let added = batch.iter().try_for_each(|entry| {
            let Some(meta) = entry.meta else { return Ok(()) };
            self.path.truncate(length);
            self.path.extend_from_slice(entry.name);
            lane.log(self.seed, root, &self.key, &self.path[from..], entry.name, &Stat::of(meta))
        });
        drop(lane);
        self.check(cx, added);
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        self.top(cx, operand.root, operand.meta);
    }

    fn error(&mut self, cx: &mut Context<'_, Self>, error: &WalkError) {
        self.first_error.get_or_insert_with(|| error.clone());
        if error.class == Class::Vanished && error.op == Op::Stat {
            // What is gone is gone. What is in a directory that is gone may be elsewhere with it.
            return;
        }
        let lost = self.pool.lost(&self.roots, &error.path);
        self.check(cx, lost);
    }
}

impl Sink for Gathering {
    type Worker = Gatherer;
    type Summary = (Outcome, Option<WalkError>);
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Meta
    }

    fn worker(&self) -> Gatherer {
        Gatherer {
            pool: Arc::clone(&self.pool),
            roots: self.roots.clone(),
            seed: self.seed,
            path: Vec::new(),
            key: Vec::new(),
            first_error: None,
        }
    }

    fn finish(self, mut workers: Vec<Gatherer>, outcome: &Outcome) -> Result<(Outcome, Option<WalkError>), Infallible> {
        let first = workers.iter_mut().find_map(|worker| worker.first_error.take());
        Ok((outcome.clone(), first))
    }
}
