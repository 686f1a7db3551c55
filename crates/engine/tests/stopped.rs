//! A fold that is stopped anywhere: every directory that was met was either left or is handed back, once.
#![allow(clippy::unwrap_used, missing_docs)]

use std::convert::Infallible;
use std::os::unix::ffi::OsStrExt;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use pwalk_engine::{Batch, Context, Descend, Descent, Dir, Ended, Frontier, Needs, Options, Outcome, Silent};
use pwalk_engine::{Sink, Threads, Totals, Visitor, fold, join};
use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{random, wide_dirs};

/// Stops the fold when so many entries were seen.
#[derive(Clone, Default)]
struct Stopper {
    left_to_see: Arc<AtomicU64>,
    met: Arc<Mutex<Vec<Vec<u8>>>>,
    left: Arc<Mutex<Vec<Vec<u8>>>>,
}

fn path_of(dir: &Dir<()>) -> Vec<u8> {
    let mut path = Vec::new();
    dir.path_into(&mut path);
    path
}

impl Visitor for Stopper {
    type State = ();

    fn enter(&mut self, _: &mut Context<'_, Self>, dir: &Dir<()>, _: Option<&()>) -> ((), Descend) {
        if dir.parent().is_none() {
            self.met.lock().unwrap().push(path_of(dir));
        }
        ((), Descend::Into)
    }

    fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
        let base = path_of(batch.dir());
        let mut seen = 0;
        for entry in batch.iter() {
            seen += 1;
            if entry.descent == Descent::Yes {
                let mut path = base.clone();
                join(&mut path, entry.name);
                self.met.lock().unwrap().push(path);
            }
        }
        let before = self.left_to_see.fetch_update(Relaxed, Relaxed, |n| Some(n.saturating_sub(seen))).unwrap();
        if before <= seen {
            cx.stop();
        }
    }

    fn leave(&mut self, _: &mut Context<'_, Self>, dir: &Arc<Dir<()>>, _: &Totals) {
        self.left.lock().unwrap().push(path_of(dir));
    }
}

impl Sink for Stopper {
    type Worker = Self;
    type Summary = Outcome;
    type Error = Infallible;

    fn needs(&self) -> Needs {
        Needs::Meta
    }

    fn worker(&self) -> Self {
        self.clone()
    }

    fn finish(self, _: Vec<Self>, outcome: &Outcome) -> Result<Outcome, Infallible> {
        Ok(outcome.clone())
    }
}

fn check(tree: &TempTree, stop_at: u64, threads: usize) {
    let stopper = Stopper::default();
    stopper.left_to_see.store(stop_at, Relaxed);
    let options = Options { threads: Threads::Fixed(threads), ..Options::default() };
    let start = Frontier::start([tree.path().as_os_str().as_bytes()]);
    let outcome = fold(stopper.clone(), start, &options, &Silent).unwrap();
    let unfinished = &outcome.unfinished;
    let handed_back = (0..unfinished.dirs.len()).map(|index| {
        let mut path = Vec::new();
        unfinished.path_into(index, &mut path);
        path
    });
    let mut seen: Vec<_> = stopper.left.lock().unwrap().iter().cloned().chain(handed_back).collect();
    let mut met = stopper.met.lock().unwrap().clone();
    seen.sort();
    met.sort();
    assert!(seen == met, "{} met, {} left or handed back", met.len(), seen.len());
    match outcome.ended {
        Ended::Whole => assert!(unfinished.dirs.is_empty()),
        ended => {
            assert_eq!(ended, Ended::Stopped);
            if let Some(root) = unfinished.dirs.first() {
                assert_eq!((root.parent, unfinished.depth(0)), (None, 0));
                assert_eq!(root.totals.tree_count, outcome.entries, "what is below a directory adds up to its sums");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_trees_stopped_anywhere(
        seed in 0_u64..1000,
        size in 1_u64..600,
        share in 0_u64..120,
        threads in 1_usize..6,
    ) {
        let (tree, _) = TempTree::with(|root| random(root, seed, size));
        check(&tree, size * share / 100, threads);
    }
}

#[test]
fn a_directory_of_many_directories() {
    let (tree, _) = TempTree::with(|root| wide_dirs(root, 3_000));
    for stop_at in [1, 700, 2_999] {
        check(&tree, stop_at, 2);
    }
}
