//! The trees of one copy, for a strategy to copy in the order that it likes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Instant;

use pwalk_engine::{
    Ended, Frontier, Needs, OpenDir, Options, Outcome, Progress, Sink, Snapshot, Stall, Totals, UnreadDir, fold,
};

use super::count::{Sizes, count};
use super::error::CopyError;
use super::shared::Shared;
use super::strategy::Workers;
use super::target::Part;
use super::visitor::Worker;
use super::{CopyProgress, CopyWatcher};

/// What is to be copied.
pub struct Tree<'a> {
    pub(crate) shared: Arc<Shared>,
    pub(crate) parts: Vec<Part>,
    pub(crate) walk: Options,
    pub(crate) watcher: &'a dyn CopyWatcher,
    pub(crate) totals: Option<Sizes>,
    pub(crate) begun: Instant,
    pub(crate) ended: Ended,
    pub(crate) snapshots: u64,
    pub(crate) workers: usize,
    component: Option<Vec<u8>>,
}

impl<'a> Tree<'a> {
    pub(crate) fn new(shared: Arc<Shared>, parts: Vec<Part>, walk: Options, watcher: &'a dyn CopyWatcher) -> Self {
        Self {
            shared,
            parts,
            walk,
            watcher,
            totals: None,
            begun: Instant::now(),
            ended: Ended::Whole,
            snapshots: 0,
            workers: 0,
            component: None,
        }
    }

    /// Copies all sources in one walk.
    ///
    /// # Errors
    /// The target is full or read-only.
    pub fn copy_all(&mut self) -> Result<(), CopyError> {
        let frontier = self.start();
        self.run(frontier, None)
    }

    /// Sizes the sub-directories of the source in parallel, copies them in parallel, the largest first, and then the files beside them. With
    /// several sources, or a file, there are none: these are copied in one walk.
    ///
    /// # Errors
    /// The target is full or read-only; a component that is none.
    pub fn copy_components(&mut self) -> Result<(), CopyError> {
        let [part] = self.parts.as_slice() else {
            self.shared.warn("strategy pipeline needs one source: all are copied in one walk".to_owned());
            return self.copy_all();
        };
        if !part.is_dir() {
            self.shared.warn("strategy pipeline needs a directory: what is none is copied as it is".to_owned());
            return self.copy_all();
        }
        let part = part.clone();
        let sizes = count(&[&part], None, &self.walk)?;
        if self.walk.cancel.is_cancelled() {
            // What was not counted is not what is not there.
            self.ended = Ended::Cancelled;
            return Ok(());
        }
        let asked = self.shared.options.components.clone();
        let mut components = sizes.components.clone();
        if let Some(asked) = &asked {
            if let Some(none) = asked.iter().find(|name| components.iter().all(|(there, ..)| there != *name)) {
                return Err(CopyError::NoSuchComponent(none.clone()));
            }
            components.retain(|(name, ..)| asked.contains(name));
        }
        components.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        if asked.is_some() || self.totals.is_some() {
            let chosen = components.iter().fold(Sizes::default(), |sum, (_, bytes, files)| Sizes {
                bytes: sum.bytes + bytes,
                files: sum.files + files,
                ..sum
            });
            self.totals = Some(if asked.is_some() { chosen } else { sizes.without_components() });
        }
        self.component = components.first().map(|(name, ..)| name.clone());
        let start = self.start();
        let frontier = Frontier {
            unread_roots: Vec::new(),
            open: vec![OpenDir {
                parent: None,
                root: 0,
                name: start.roots[0].clone(),
                meta: Some(part.meta),
                via_link: false,
                complete: true,
                totals: Totals::default(),
            }],
            unread: components.into_iter().map(|(name, ..)| unread(name)).collect(),
            ..start.clone()
        };
        // Of the source itself nothing is set before the files in it are copied.
        self.shared.keeps_roots.store(false, Relaxed);
        let done = self.run(frontier, None);
        self.shared.keeps_roots.store(true, Relaxed);
        done?;
        self.component = None;
        self.shared.copies_files.store(asked.is_none(), Relaxed);
        let done = self.run(start, Some(0));
        self.shared.copies_files.store(true, Relaxed);
        done
    }

    /// The beginning of a walk of all sources.
    fn start(&self) -> Frontier {
        let roots: Vec<_> = self.parts.iter().map(|part| part.source.clone()).collect();
        Frontier { unread_roots: (0..roots.len()).collect(), roots, with_slashes: true, ..Frontier::default() }
    }

    fn run(&mut self, frontier: Frontier, max_depth: Option<u32>) -> Result<(), CopyError> {
        if self.ended != Ended::Whole {
            return Ok(());
        }
        self.shared.set_targets(self.parts.iter().map(|part| part.target.clone()).collect());
        let threads = match self.shared.options.strategy.workers() {
            Workers::One => pwalk_engine::Threads::Fixed(1),
            Workers::Asked => self.walk.threads,
        };
        let walk = Options { max_depth, threads, ..self.walk.clone() };
        let Ok(outcome) = fold(Copying(Arc::clone(&self.shared)), frontier, &walk, &Watching { tree: self });
        self.ended = outcome.ended;
        self.shared.places.narrow_rest();
        self.snapshots += outcome.snapshots;
        self.workers = self.workers.max(outcome.workers);
        // What was moved of files that did not become whole does not count any more.
        self.shared.counts.moved.store(0, Relaxed);
        // Now that all workers have told what they did: whoever is told last knows it exactly, also of a run that ends here.
        self.watcher.tick(&self.progress(&Snapshot { workers: outcome.workers, ..Snapshot::default() }));
        self.shared.why_halted().map_or(Ok(()), Err)
    }

    /// How far it is.
    pub(crate) fn progress(&self, snapshot: &Snapshot) -> CopyProgress {
        let counts = &self.shared.counts;
        let moved = counts.moved.load(Relaxed).max(counts.bytes.load(Relaxed));
        let total_bytes = self.totals.as_ref().map(|sizes| sizes.bytes);
        CopyProgress {
            files: counts.files.load(Relaxed),
            total_files: self.totals.as_ref().map(|sizes| sizes.files),
            bytes: total_bytes.map_or(moved, |all| moved.min(all)),
            left: (counts.skipped.load(Relaxed) + counts.already.load(Relaxed), counts.left_bytes.load(Relaxed)),
            total_bytes,
            current: snapshot.current.clone(),
            component: self.component.clone(),
            errors: counts.failed.load(Relaxed) + counts.unread.load(Relaxed),
            elapsed: self.begun.elapsed(),
            workers: snapshot.workers,
        }
    }
}

fn unread(name: Vec<u8>) -> UnreadDir {
    UnreadDir { parent: 0, name, d_ino: 0, meta: None, via_link: false }
}

struct Watching<'t, 'a> {
    tree: &'t Tree<'a>,
}

impl Progress for Watching<'_, '_> {
    fn tick(&self, snapshot: &Snapshot) {
        self.tree.watcher.tick(&self.tree.progress(snapshot));
    }

    fn stalled(&self, stall: &Stall) {
        self.tree.watcher.stalled(stall);
    }
}

struct Copying(Arc<Shared>);

impl Sink for Copying {
    type Worker = Worker;
    type Summary = Outcome;
    type Error = std::convert::Infallible;

    fn needs(&self) -> Needs {
        Needs::Names
    }

    fn worker(&self) -> Worker {
        Worker::new(&self.0)
    }

    fn finish(self, workers: Vec<Worker>, outcome: &Outcome) -> Result<Outcome, Self::Error> {
        for mut worker in workers {
            worker.tally.tell(&self.0.counts);
        }
        Ok(outcome.clone())
    }
}
