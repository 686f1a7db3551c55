//! A side that is walked now.

use std::convert::Infallible;
use std::sync::Arc;

use pwalk_engine::{
    Batch, Class, Context, Descend, Dir, Ended, Frontier, Needs, Operand, Options, Outcome, Progress, Sink, Visitor,
    WalkError, fold,
};
use pwalk_fs::{Meta, cores};
use pwalk_scan::Verdict;
use pwalk_scan::report::extent;

use super::{Facts, Pool, Side, spilled};
use crate::TrackError;
use crate::entry::{encode, of};
use crate::key::{Roots, dir_key};
use crate::sort::Spill;

/// Walks roots.
pub(crate) fn walk(
    roots: Vec<Vec<u8>>,
    walk: &Options,
    exclude_patterns: &[String],
    memory: usize,
    spill: &Spill,
    progress: &dyn Progress,
) -> Result<Side, TrackError> {
    let roots = Roots::new(roots);
    let pool = Arc::new(Pool::new(cores().count + 1, memory, spill));
    let sink = Gathering { pool: Arc::clone(&pool), roots: roots.clone() };
    let Ok((outcome, first)) = fold(sink, Frontier::start(roots.paths()), walk, progress);
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
        if let Some(key) = roots.key(&path) {
            pool.unseen(&key).map_err(spilled(spill))?;
        }
    }
    // Visitors are gone with the fold.
    let pool = Arc::into_inner(pool).ok_or(TrackError::Interrupted)?;
    let (entries, unseen) = pool.finish().map_err(spilled(spill))?;
    let facts = Facts {
        roots: roots.paths().to_vec(),
        entries: outcome.entries,
        verdict: if outcome.is_complete() { Verdict::Complete } else { Verdict::Partial },
        extent: Some(extent(walk, exclude_patterns)),
    };
    Ok(Side { roots, entries, unseen, is_vague: false, facts })
}

struct Gathering {
    pool: Arc<Pool>,
    roots: Roots,
}

struct Gatherer {
    pool: Arc<Pool>,
    roots: Roots,
    path: Vec<u8>,
    key: Vec<u8>,
    first_error: Option<WalkError>,
}

impl Gatherer {
    /// Adds entries of the directory whose key is known.
    fn add<'e>(&self, cx: &mut Context<'_, Self>, entries: impl IntoIterator<Item = (&'e [u8], &'e Meta)>) {
        let mut sorter = self.pool.take();
        let mut entries = entries.into_iter();
        let added = entries.try_for_each(|(name, meta)| sorter.push(&self.key, name, &[&encode(&of(meta))]));
        drop(sorter);
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
            dir_key(&mut self.key, dir.root(), b"");
            self.add(cx, [(&b""[..], meta)]);
        }
        ((), Descend::Into)
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        let dir = batch.dir();
        dir.path_into(&mut self.path);
        let root = &self.roots.paths()[dir.root()];
        let below = self.path.get(root.len()..).unwrap_or_default();
        dir_key(&mut self.key, dir.root(), below.strip_prefix(b"/").unwrap_or(below));
        self.add(cx, batch.iter().filter_map(|entry| Some((entry.name, entry.meta?))));
    }

    fn operand(&mut self, cx: &mut Context<'_, Self>, operand: &Operand<'_>) {
        dir_key(&mut self.key, operand.root, b"");
        self.add(cx, [(&b""[..], operand.meta)]);
    }

    fn error(&mut self, cx: &mut Context<'_, Self>, error: &WalkError) {
        self.first_error.get_or_insert_with(|| error.clone());
        if error.class == Class::Vanished {
            // What is gone is gone.
            return;
        }
        if let Some(key) = self.roots.key(&error.path)
            && let Err(error) = self.pool.unseen(&key)
        {
            self.pool.fail(error);
            cx.stop();
        }
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
