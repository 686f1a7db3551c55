//! What is in a tree: the size of the task, and whether a copy has all of it.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use pwalk_engine::{
    Batch, Context, Descend, Dir, Frontier, Needs, Operand, Options, Outcome, Progress, RootLinks, Sink, Totals,
    Visitor, fold,
};
use pwalk_fs::{Kind, Meta};

/// What is in some trees. The roots themselves count if they are no directories.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Names that are no directories.
    pub(crate) files: u64,
    /// Directories.
    pub(crate) dirs: u64,
    /// Sizes of regular files, each name counted.
    pub(crate) bytes: u64,
    /// What all of it takes on the disk, each inode counted once.
    pub(crate) allocated: u64,
    /// What could not be read.
    pub(crate) errors: u64,
}

impl Tally {
    /// Why `copy` is not all of it; none if it is.
    pub(crate) fn lacks(&self, copy: &Self) -> Option<String> {
        let differs = |what: &str, there: u64, copied: u64| {
            (there != copied).then(|| format!("the source has {there} {what}, its copy {copied}"))
        };
        differs("files", self.files, copy.files)
            .or_else(|| differs("directories", self.dirs, copy.dirs))
            .or_else(|| differs("bytes", self.bytes, copy.bytes))
            .or_else(|| (copy.errors > 0).then(|| "its copy cannot be read".to_owned()))
    }
}

/// Counts what is in the trees at `roots`, as many workers as pay.
pub(crate) fn tally(roots: &[Vec<u8>], options: &Options, progress: &dyn Progress) -> Tally {
    let options = Options { root_links: RootLinks::Keep, ..options.clone() };
    let Ok(tally) = fold(Counting(Arc::default()), Frontier::start(roots), &options, progress);
    tally
}

#[derive(Default)]
struct Sums {
    files: AtomicU64,
    dirs: AtomicU64,
    bytes: AtomicU64,
    blocks: AtomicU64,
}

impl Sums {
    fn add_file(&self, meta: &Meta) {
        self.files.fetch_add(1, Relaxed);
        if meta.kind() == Kind::File {
            self.bytes.fetch_add(meta.size, Relaxed);
        }
    }
}

struct Counting(Arc<Sums>);

struct Counter(Arc<Sums>);

impl Visitor for Counter {
    type State = ();

    fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        ((), Descend::Into)
    }

    fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        for entry in batch.iter() {
            match entry.meta {
                _ if entry.kind.is_dir() => {
                    self.0.dirs.fetch_add(1, Relaxed);
                }
                Some(meta) => self.0.add_file(meta),
                None => {}
            }
        }
    }

    fn operand(&mut self, _: &mut Context<'_, Self>, operand: &Operand<'_>) {
        self.0.add_file(operand.meta);
        self.0.blocks.fetch_add(operand.meta.blocks, Relaxed);
    }

    fn leave(&mut self, _: &mut Context<'_, Self>, dir: &Arc<Dir<()>>, totals: &Totals) {
        if dir.depth() == 0 {
            self.0.blocks.fetch_add(totals.tree_blocks, Relaxed);
        }
    }
}

impl Sink for Counting {
    type Worker = Counter;
    type Summary = Tally;
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Meta
    }

    fn worker(&self) -> Counter {
        Counter(Arc::clone(&self.0))
    }

    fn finish(self, workers: Vec<Counter>, outcome: &Outcome) -> Result<Tally, Infallible> {
        drop(workers);
        Ok(Tally {
            files: self.0.files.load(Relaxed),
            dirs: self.0.dirs.load(Relaxed),
            bytes: self.0.bytes.load(Relaxed),
            allocated: self.0.blocks.load(Relaxed).saturating_mul(512),
            errors: outcome.errors,
        })
    }
}
