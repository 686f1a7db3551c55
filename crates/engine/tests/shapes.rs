//! One engine for every feature: a small visitor of each shape that the features will have.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeSet;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use common::{find, path_of};
use pwalk_engine::{
    Batch, Context, Descend, Descent, Dir, Ended, Entry, Frontier, Needs, Operand, Options, Outcome, RootLinks, Silent,
    Sink, Threads, Totals, Visitor, Want, fold,
};
use pwalk_fs::Kind;
use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{random, remove_tree, wide};

/// What visitors write down together.
type Seen<T> = Arc<Mutex<Vec<T>>>;

/// A sink of visitors that share one thing and come to nothing else.
struct With<T, F>(Arc<T>, Needs, F);

impl<T: Send + Sync, V: Visitor, F: Fn(Arc<T>) -> V> Sink for With<T, F> {
    type Worker = V;
    type Summary = Outcome;
    type Error = std::convert::Infallible;
    fn needs(&self) -> Needs {
        self.1
    }
    fn worker(&self) -> V {
        (self.2)(Arc::clone(&self.0))
    }
    fn finish(self, _: Vec<V>, outcome: &Outcome) -> Result<Outcome, Self::Error> {
        Ok(outcome.clone())
    }
}

fn run<T: Send + Sync, V: Visitor>(
    root: &Path,
    needs: Needs,
    options: &Options,
    shared: &Arc<T>,
    visitor: impl Fn(Arc<T>) -> V,
) -> Outcome {
    let start = Frontier::start([root.as_os_str().as_bytes()]);
    let Ok(outcome) = fold(With(Arc::clone(shared), needs, visitor), start, options, &Silent);
    outcome
}

fn tree() -> TempTree {
    TempTree::with(|root| random(root, 11, 800)).0
}

/// State down, as repair inherits a group: each directory knows how many are above it, by its parent's word alone.
#[test]
fn state_flows_down() {
    struct Depth(Seen<(Vec<u8>, u32, u32)>);
    impl Visitor for Depth {
        type State = u32;
        fn enter(&mut self, _: &mut Context<'_, Self>, dir: &Dir<u32>, parent: Option<&u32>) -> (u32, Descend) {
            let mine = parent.map_or(0, |above| above + 1);
            self.0.lock().unwrap().push((path_of(dir), mine, dir.depth()));
            (mine, Descend::Into)
        }
        fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, u32>) {
            assert_eq!(batch.dir().state(), Some(&batch.dir().depth()));
        }
    }
    let tree = tree();
    let seen = Arc::default();
    run(tree.path(), Needs::Names, &Options::default(), &seen, Depth);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), find(tree.path(), &["-type", "d"]).len());
    assert!(seen.iter().all(|(_, mine, depth)| mine == depth));
}

/// Totals up, as report shows them: what each directory says is what find says of it.
#[test]
fn totals_flow_up() {
    struct Sums(Seen<(Vec<u8>, Totals)>);
    impl Visitor for Sums {
        type State = ();
        fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            ((), Descend::Into)
        }
        fn batch(&mut self, _: &mut Context<'_, Self>, _: &mut Batch<'_, ()>) {}
        fn leave(&mut self, _: &mut Context<'_, Self>, dir: &Arc<Dir<()>>, totals: &Totals) {
            self.0.lock().unwrap().push((path_of(dir), *totals));
        }
    }
    let tree = tree();
    let sums = Arc::default();
    run(tree.path(), Needs::Meta, &Options::default(), &sums, Sums);
    for (path, totals) in sums.lock().unwrap().iter() {
        let path = Path::new(std::ffi::OsStr::from_bytes(path));
        assert_eq!(totals.tree_count, find(path, &[]).len() as u64, "{path:?}");
        assert_eq!(totals.count, find(path, &["-mindepth", "1", "-maxdepth", "1"]).len() as u64, "{path:?}");
    }
}

/// Prune, as find does: what is pruned in a batch, or refused in `enter`, is not read.
#[test]
fn a_visitor_prunes() {
    struct Pruner(Arc<Mutex<BTreeSet<Vec<u8>>>>);
    impl Visitor for Pruner {
        type State = ();
        fn enter(&mut self, _: &mut Context<'_, Self>, dir: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            let skip = dir.parent().is_some() && dir.meta().unwrap().ino.is_multiple_of(3);
            ((), if skip { Descend::Skip } else { Descend::Into })
        }
        fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
            let mut seen = self.0.lock().unwrap();
            for i in 0..batch.len() {
                let entry = batch.get(i);
                let (ino, is_dir) = (entry.d_ino, entry.kind.is_dir());
                seen.insert([path_of(batch.dir()), entry.name.to_vec()].join(&b'/'));
                if is_dir && ino % 3 == 1 {
                    batch.prune(i);
                    assert_eq!(batch.get(i).descent, Descent::Pruned);
                }
            }
        }
    }
    let tree = tree();
    let seen = Arc::default();
    run(tree.path(), Needs::Names, &Options::default(), &seen, Pruner);
    let parent_is_read = |path: &Vec<u8>| {
        let mut above = Path::new(std::ffi::OsStr::from_bytes(path)).parent().unwrap();
        while above != tree.path() {
            if std::os::unix::fs::MetadataExt::ino(&above.symlink_metadata().unwrap()) % 3 < 2 {
                return false;
            }
            above = above.parent().unwrap();
        }
        true
    };
    let expected: BTreeSet<_> = find(tree.path(), &["-mindepth", "1"]).into_iter().filter(parent_is_read).collect();
    assert_eq!(*seen.lock().unwrap(), expected);
    assert!(expected.len() > 10);
}

/// Spawned work, as copy's chunks: a directory is left only after all of its own, wherever it ran.
#[test]
fn spawned_work_is_counted_against_its_directory() {
    struct Spawner(Seen<(Vec<u8>, bool)>);
    impl Visitor for Spawner {
        type State = Arc<AtomicU64>;
        fn enter(
            &mut self,
            _: &mut Context<'_, Self>,
            _: &Dir<Self::State>,
            _: Option<&Self::State>,
        ) -> (Self::State, Descend) {
            (Arc::default(), Descend::Into)
        }
        fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, Self::State>) {
            let open = Arc::clone(batch.dir().state().unwrap());
            for _ in 0..batch.len() {
                open.fetch_add(2, Ordering::SeqCst);
                let open = Arc::clone(&open);
                cx.spawn(move |_, cx| {
                    open.fetch_sub(1, Ordering::SeqCst);
                    // Work can make more work.
                    let again = Arc::clone(&open);
                    cx.spawn(move |_, _| {
                        again.fetch_sub(1, Ordering::SeqCst);
                    });
                });
            }
        }
        fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<Self::State>>, _: &Totals) {
            let done = dir.state().unwrap().load(Ordering::SeqCst) == 0;
            let path = path_of(dir);
            // Spawned in `leave`: counted against the directory above, or run at once for a root.
            cx.spawn(move |v, _| v.0.lock().unwrap().push((path, done)));
        }
    }
    let tree = tree();
    for threads in [1, 2, 8] {
        let left = Arc::default();
        let options = Options { threads: Threads::Fixed(threads), ..Options::default() };
        run(tree.path(), Needs::Names, &options, &left, Spawner);
        let left = left.lock().unwrap();
        assert_eq!(left.len(), find(tree.path(), &["-type", "d"]).len());
        assert!(left.iter().all(|(_, done)| *done));
    }
}

/// Early stop, as `find -quit`.
#[test]
fn a_visitor_stops_everything() {
    struct Quitter(Arc<AtomicU64>);
    impl Visitor for Quitter {
        type State = ();
        fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            ((), Descend::Into)
        }
        fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
            self.0.fetch_add(batch.len() as u64, Ordering::SeqCst);
            cx.stop();
        }
    }
    let fs = pwalk_testkit::fuse::Synthetic::tree(1_000_000, 10, 99).mount().unwrap();
    let seen = Arc::default();
    let outcome = run(fs.path(), Needs::Names, &Options::default(), &seen, Quitter);
    assert_eq!(outcome.ended, Ended::Stopped);
    assert!(!outcome.is_complete());
    assert!(seen.load(Ordering::SeqCst) < 10_000, "of a hundred million");
}

/// Delete on leave, as `find -delete`: in the pinned directory, children first.
#[test]
fn a_tree_is_deleted_through_pinned_directories() {
    struct Remover(Arc<AtomicU64>);
    impl Visitor for Remover {
        type State = ();
        fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            ((), Descend::Into)
        }
        fn batch(&mut self, cx: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
            let fd = cx.fd(batch.dir()).unwrap();
            for entry in batch.iter().filter(|e| !e.kind.is_dir()) {
                rustix::fs::unlinkat(fd.as_fd(), entry.c_name(), rustix::fs::AtFlags::empty()).unwrap();
                self.0.fetch_add(1, Ordering::SeqCst);
            }
        }
        fn leave(&mut self, cx: &mut Context<'_, Self>, dir: &Arc<Dir<()>>, _: &Totals) {
            let Some(parent) = dir.parent() else { return };
            let fd = cx.fd(parent).unwrap();
            rustix::fs::unlinkat(fd.as_fd(), dir.c_name(), rustix::fs::AtFlags::REMOVEDIR).unwrap();
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    for (max_open, keep_open_until_leave) in [(None, false), (None, true), (Some(8), false), (Some(8), true)] {
        let (tree, made) = TempTree::with(|root| random(root, 5, 900));
        let removed = Arc::default();
        let options = Options { max_open, keep_open_until_leave, ..Options::default() };
        let outcome = run(tree.path(), Needs::Names, &options, &removed, Remover);
        assert!(outcome.is_complete());
        assert_eq!(removed.load(Ordering::SeqCst), made.entries());
        assert_eq!(std::fs::read_dir(tree.path()).unwrap().count(), 0);
        remove_tree(tree.path()).unwrap();
        std::fs::create_dir(tree.path()).unwrap();
    }
}

/// A panic in a visitor is the caller's, and ends everything.
#[test]
#[should_panic(expected = "a visitor's own mistake")]
fn a_panic_reaches_the_caller() {
    struct Panics;
    impl Visitor for Panics {
        type State = ();
        fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            ((), Descend::Into)
        }
        fn batch(&mut self, _: &mut Context<'_, Self>, _: &mut Batch<'_, ()>) {
            panic!("a visitor's own mistake");
        }
    }
    let tree = tree();
    run(tree.path(), Needs::Names, &Options::default(), &Arc::new(()), |_| Panics);
}

/// Some are chosen, as find chooses: what name and type decide is not stat'ed, and what is of no use is marked.
#[test]
fn metadata_of_the_chosen_only() {
    struct Chooser(Seen<(Vec<u8>, bool, bool)>);
    fn want(name: &[u8]) -> Want {
        match name.len() % 3 {
            0 => Want::Meta,
            1 => Want::Names,
            _ => Want::Nothing,
        }
    }
    impl Visitor for Chooser {
        type State = ();
        fn enter(&mut self, _: &mut Context<'_, Self>, _: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            ((), Descend::Into)
        }
        fn wants(&mut self, _: &Dir<()>, entry: &Entry<'_>) -> Want {
            want(entry.name)
        }
        fn batch(&mut self, _: &mut Context<'_, Self>, batch: &mut Batch<'_, ()>) {
            let mut path = Vec::new();
            for entry in batch.iter() {
                batch.dir().path_into(&mut path);
                pwalk_engine::join(&mut path, entry.name);
                self.0.lock().unwrap().push((path.clone(), entry.meta.is_some(), entry.unwanted));
            }
        }
    }
    let tree = TempTree::with(|root| {
        random(root, 11, 3_000);
        wide(root, 5_000);
    })
    .0;
    for threads in [1, 4] {
        let seen = Arc::default();
        let options = Options { threads: Threads::Fixed(threads), ..Options::default() };
        run(tree.path(), Needs::Chosen, &options, &seen, Chooser);
        let seen = seen.lock().unwrap();
        let paths: BTreeSet<&[u8]> = seen.iter().map(|(path, ..)| path.as_slice()).collect();
        assert_eq!((paths.len(), seen.len()), (seen.len(), find(tree.path(), &["-mindepth", "1"]).len()));
        for (path, has_meta, unwanted) in seen.iter() {
            let name = path.rsplit(|byte| *byte == b'/').next().unwrap();
            let wanted = want(name);
            assert_eq!(
                (*has_meta, *unwanted),
                (wanted == Want::Meta, wanted == Want::Nothing),
                "{}",
                path.escape_ascii()
            );
        }
    }
}

/// Roots are offered before they are opened; a link among them is what the options say.
#[test]
fn roots_come_first() {
    struct Roots(Seen<(Vec<u8>, Kind)>);
    impl Visitor for Roots {
        type State = ();
        fn root(&mut self, _: &mut Context<'_, Self>, root: &Operand<'_>) -> Descend {
            self.0.lock().unwrap().push((root.path.to_vec(), root.meta.kind()));
            if root.path.ends_with(b"closed") { Descend::Skip } else { Descend::Into }
        }
        fn operand(&mut self, _: &mut Context<'_, Self>, operand: &Operand<'_>) {
            self.0.lock().unwrap().push((operand.path.to_vec(), operand.meta.kind()));
        }
        fn enter(&mut self, _: &mut Context<'_, Self>, dir: &Dir<()>, _: Option<&()>) -> ((), Descend) {
            assert!(!dir.name().ends_with(b"closed"), "not even opened");
            ((), Descend::Into)
        }
        fn batch(&mut self, _: &mut Context<'_, Self>, _: &mut Batch<'_, ()>) {}
    }
    let tree = TempTree::new();
    std::fs::create_dir(tree.path().join("closed")).unwrap();
    std::fs::create_dir(tree.path().join("dir")).unwrap();
    std::os::unix::fs::symlink("dir", tree.path().join("link")).unwrap();
    let roots: Vec<Vec<u8>> = ["closed", "dir", "link", "link/"]
        .map(|name| [tree.path().as_os_str().as_bytes(), b"/", name.as_bytes()].concat())
        .to_vec();
    for (root_links, kind) in [(RootLinks::Keep, Kind::Symlink), (RootLinks::Follow, Kind::Dir)] {
        let seen: Seen<(Vec<u8>, Kind)> = Arc::default();
        let unread_roots = (0..roots.len()).collect();
        let start = Frontier { unread_roots, roots: roots.clone(), with_slashes: true, ..Frontier::default() };
        let options = Options { root_links, ..Options::default() };
        let Ok(outcome) = fold(With(Arc::clone(&seen), Needs::Names, Roots), start, &options, &Silent);
        assert_eq!((outcome.errors, outcome.ended), (0, Ended::Whole));
        let kinds: BTreeSet<(Vec<u8>, String)> =
            seen.lock().unwrap().iter().map(|(path, kind)| (path.clone(), format!("{kind:?}"))).collect();
        let expected = [Kind::Dir, Kind::Dir, kind, Kind::Dir].map(|kind| format!("{kind:?}"));
        assert_eq!(kinds, roots.iter().cloned().zip(expected).collect());
    }
}
