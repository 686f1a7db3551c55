//! A side that is walked now.

use std::convert::Infallible;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pwalk_engine::{
    Batch, Class, Context, Descend, Descent, Dir, Ended, Frontier, Needs, Op, Operand, Options, Outcome, Progress,
    Sink, Visitor, WalkError, fold,
};
use pwalk_fs::Meta;
use pwalk_scan::report::extent;
use pwalk_scan::{Ledger, LedgerEntry, Stat, Verdict};

use super::{Facts, Pool, Reading, Side};
use crate::TrackError;
use crate::key::{Roots, key_into};
use crate::marks::Seed;

/// What a catalog wants of a walk.
#[derive(Clone, Default)]
pub(crate) struct Wishes {
    /// Where what goes wrong is noted.
    pub(crate) ledger: Option<Arc<Ledger>>,
    /// The directory of the catalog itself, which changes with each run: device and inode. It is left out.
    pub(crate) omitted: Option<(u64, u64)>,
}

/// Walks roots.
pub(crate) fn walk(
    roots: Vec<Vec<u8>>,
    walk: &Options,
    exclude_patterns: &[String],
    reading: &Reading,
    wishes: Wishes,
    progress: &dyn Progress,
) -> Result<Side, TrackError> {
    let roots = Roots::new(roots);
    let pool = Arc::new(Pool::new(reading));
    let omitted = Arc::new(Omitted::default());
    let sink = Gathering {
        pool: Arc::clone(&pool),
        roots: roots.clone(),
        seed: reading.seed,
        wishes,
        omitted: Arc::clone(&omitted),
    };
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
        // Relaxed: the walk is over.
        entries: outcome.entries.saturating_sub(omitted.entries.load(Relaxed)),
        bytes: Some(outcome.bytes.saturating_sub(omitted.bytes.load(Relaxed))),
        verdict: if outcome.is_complete() { Verdict::Complete } else { Verdict::Partial },
        extent: Some(extent(walk, exclude_patterns)),
    };
    pool.lose_unbegun(&roots).map_err(|why| reading.spilled(why))?;
    pool.finish(roots, false, facts, None).map_err(|why| reading.spilled(why))
}

/// A root that is not there: all that was known of it is gone.
pub(crate) fn nothing(root: &[u8], reading: &Reading) -> Result<Side, TrackError> {
    let pool = Pool::new(reading);
    let roots = Roots::new([root.to_vec()]);
    pool.top(0, &Stat::default());
    let facts =
        Facts { roots: roots.paths().to_vec(), entries: 0, bytes: Some(0), verdict: Verdict::Complete, extent: None };
    pool.finish(roots, false, facts, None).map_err(|why| reading.spilled(why))
}

/// What was left out.
#[derive(Default)]
struct Omitted {
    entries: AtomicU64,
    bytes: AtomicU64,
}

struct Gathering {
    pool: Arc<Pool>,
    roots: Roots,
    seed: Seed,
    wishes: Wishes,
    omitted: Arc<Omitted>,
}

struct Gatherer {
    pool: Arc<Pool>,
    roots: Roots,
    seed: Seed,
    /// Path of the directory, and then of an entry below the root.
    path: Vec<u8>,
    key: Vec<u8>,
    wishes: Wishes,
    omitted: Arc<Omitted>,
    first_error: Option<WalkError>,
}

impl Gatherer {
    fn top(&mut self, cx: &mut Context<'_, Self>, root: usize, meta: &Meta) {
        let stat = Stat::of(meta);
        self.pool.top(root, &stat);
        key_into(&mut self.key, root, b"");
        let added = self.pool.take().log(self.seed, root, &self.key, b"", b"", &stat);
        self.check(cx, added);
    }

    /// Keeps the walk out of what is left out, if that is here: which entry it is.
    fn omit(&self, batch: &mut Batch<'_, ()>) -> Option<usize> {
        let omitted = self.wishes.omitted?;
        let (index, size) = batch.iter().enumerate().find_map(|(index, entry)| {
            let meta = entry.meta.filter(|meta| meta.id() == omitted)?;
            Some((index, meta.size))
        })?;
        batch.prune(index);
        // Relaxed: read when the walk is over.
        self.omitted.entries.fetch_add(1, Relaxed);
        self.omitted.bytes.fetch_add(size, Relaxed);
        Some(index)
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
        let omitted = self.omit(batch);
        let (dir, root) = (batch.dir(), batch.dir().root());
        dir.path_into(&mut self.path);
        let top = &self.roots.paths()[root];
        let below = self.path.get(top.len()..).unwrap_or_default();
        let below = below.strip_prefix(b"/").unwrap_or(below);
        key_into(&mut self.key, root, below);
        let from = self.path.len() - below.len();
        if from < self.path.len() {
            self.path.push(b'/');
        }
        let length = self.path.len();
        let mut lane = self.pool.take();
        let added = batch.iter().enumerate().try_for_each(|(index, entry)| {
            let Some(meta) = entry.meta.filter(|_| omitted != Some(index)) else { return Ok(()) };
            self.path.truncate(length);
            self.path.extend_from_slice(entry.name);
            lane.log(self.seed, root, &self.key, &self.path[from..], entry.name, &Stat::of(meta))
        });
        drop(lane);
        let added = added.and_then(|()| {
            // What nobody enters nobody sees.
            let unentered = batch.iter().filter(|entry| matches!(entry.descent, Descent::Depth | Descent::Mount));
            unentered.into_iter().try_for_each(|entry| {
                self.path.truncate(length);
                self.path.extend_from_slice(entry.name);
                self.pool.lost(&self.roots, &self.path)
            })
        });
        self.check(cx, added);
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        self.top(cx, operand.root, operand.meta);
    }

    fn error(&mut self, cx: &mut Context<'_, Self>, error: &WalkError) {
        self.first_error.get_or_insert_with(|| error.clone());
        if let Some(ledger) = &self.wishes.ledger {
            ledger.record(&LedgerEntry {
                operation: error.op.name(),
                errno: error.errno.map(|errno| errno.raw_os_error()),
                class: error.class.name(),
                path: &error.path,
            });
        }
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
            wishes: self.wishes.clone(),
            omitted: Arc::clone(&self.omitted),
            first_error: None,
        }
    }

    fn finish(self, mut workers: Vec<Gatherer>, outcome: &Outcome) -> Result<(Outcome, Option<WalkError>), Infallible> {
        let first = workers.iter_mut().find_map(|worker| worker.first_error.take());
        Ok((outcome.clone(), first))
    }
}
