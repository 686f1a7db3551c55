//! Frontier and budget: a fold cut into slices anywhere comes to exactly what one run comes to.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::Duration;

use common::{Notes, assert_same, record, record_from};
use proptest::prelude::*;
use pwalk_engine::{Budget, Ended, Frontier, Listing, Needs, Options, Silent, Snapshots, Threads, Totals};
use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{everything, random, wide_dirs};

type Left = BTreeMap<Vec<u8>, (Totals, Listing)>;

fn left(notes: &Notes) -> Left {
    let map: Left = notes.left.iter().map(|(p, t, l)| (p.clone(), (*t, *l))).collect();
    assert_eq!(map.len(), notes.left.len(), "a directory was left twice");
    map
}

/// Runs in slices, the n-th with the n-th budget (the last one over and over). Returns how many slices it took.
fn in_slices(root: &Path, budgets: &[Budget], threads: Threads) -> (Vec<Vec<u8>>, Left, usize) {
    let (mut paths, mut dirs) = (Vec::new(), Left::new());
    let mut frontier = Frontier::start([root.as_os_str().as_bytes()]);
    for slice in 0..1_000_000 {
        let budget = budgets[slice.min(budgets.len() - 1)];
        let options = Options { threads, budget, snapshots: Snapshots::Include, ..Options::default() };
        let (outcome, notes) = record_from(frontier, Needs::Meta, &options, &Silent);
        assert_eq!(outcome.errors, 0, "{:?}", notes.errors);
        paths.extend(notes.entries.iter().flat_map(|(p, (n, _))| vec![p.clone(); *n as usize]));
        for (path, value) in left(&notes) {
            assert!(dirs.insert(path, value).is_none(), "a directory was left in two slices");
        }
        match outcome.frontier.clone() {
            Some(rest) => {
                assert_eq!(outcome.ended, Ended::Budget);
                assert!(!outcome.is_complete());
                frontier = rest;
            }
            None => {
                assert_eq!(outcome.ended, Ended::Whole);
                paths.sort();
                return (paths, dirs, slice + 1);
            }
        }
    }
    panic!("the slices never end");
}

/// Which sums of sizes do not depend on the order of the walk: those of the root always, those of other
/// directories unless a file has names in several of them, which count where the first is met.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Exact {
    Everywhere,
    AtTheRoot,
}

fn compare(root: &Path, budgets: &[Budget], threads: Threads, exactness: Exact) -> usize {
    let options = Options { snapshots: Snapshots::Include, ..Options::default() };
    let (_, whole) = record(root, Needs::Meta, &options);
    let (paths, dirs, slices) = in_slices(root, budgets, threads);
    assert_same(&paths, &whole.paths(), "");
    let whole = left(&whole);
    assert_eq!(dirs.len(), whole.len());
    for (path, (totals, listing)) in &dirs {
        let (expected, complete) = whole[path];
        assert_eq!(*listing, complete);
        let is_root = path == root.as_os_str().as_bytes();
        if exactness == Exact::Everywhere || is_root {
            assert_eq!(*totals, expected, "{}", path.escape_ascii());
        }
        assert_eq!((totals.count, totals.size), (expected.count, expected.size), "{}", path.escape_ascii());
        assert_eq!(totals.tree_count, expected.tree_count, "{}", path.escape_ascii());
    }
    slices
}

fn entries(n: u64) -> Budget {
    Budget { entries: Some(n), time: None }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 40, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_trees_in_random_slices(
        seed in 0_u64..1000,
        size in 1_u64..400,
        cuts in prop::collection::vec(1_u64..200, 1..6),
        threads in 1_usize..6,
    ) {
        let (tree, _) = TempTree::with(|root| random(root, seed, size));
        let budgets: Vec<Budget> = cuts.into_iter().map(entries).collect();
        compare(tree.path(), &budgets, Threads::Fixed(threads), Exact::AtTheRoot);
    }
}

#[test]
fn the_hostile_trees_in_slices_of_one_directory() {
    let (tree, _) = TempTree::with(everything);
    let slices = compare(tree.path(), &[entries(1)], Threads::Fixed(1), Exact::AtTheRoot);
    assert!(slices > 200, "{slices} slices");
    compare(tree.path(), &[entries(500)], Threads::Adaptive, Exact::AtTheRoot);
}

#[test]
fn a_directory_of_many_directories_is_cut_too() {
    let (tree, _) = TempTree::with(|root| wide_dirs(root, 3_000));
    let slices = compare(tree.path(), &[entries(1)], Threads::Fixed(2), Exact::Everywhere);
    assert_eq!(slices, 2, "the root, and then what has no entries to stop at");
}

#[test]
fn a_budget_of_no_time_still_moves_on() {
    let fs = pwalk_testkit::fuse::Synthetic::tree(400, 4, 3).delay(Duration::from_millis(2)).mount().unwrap();
    let budget = Budget { entries: None, time: Some(Duration::from_millis(30)) };
    let slices = compare(fs.path(), &[budget], Threads::Fixed(4), Exact::Everywhere);
    compare(fs.path(), &[entries(40)], Threads::Fixed(3), Exact::Everywhere);
    assert!(slices > 1, "{slices} slices");
}

#[test]
fn a_frontier_of_nothing_is_empty() {
    let mut frontier = Frontier::start([b"/nonexistent/a/"]);
    assert_eq!(frontier.roots, [b"/nonexistent/a".to_vec()]);
    assert!(!frontier.is_empty());
    frontier.unread_roots.clear();
    assert!(frontier.is_empty());
}

#[test]
fn a_directory_replaced_between_slices_is_reported() {
    let (tree, _) = TempTree::with(|root| {
        for name in ["a", "b"] {
            std::fs::create_dir(root.join(name)).unwrap();
            std::fs::write(root.join(name).join("f"), b"").unwrap();
        }
    });
    let options = Options { threads: Threads::Fixed(1), budget: entries(1), ..Options::default() };
    let start = Frontier::start([tree.path().as_os_str().as_bytes()]);
    let (outcome, _) = record_from(start, Needs::Meta, &options, &Silent);
    let frontier = outcome.frontier.unwrap();
    assert_eq!(frontier.unread.len(), 2);
    std::fs::rename(tree.path().join("a"), tree.path().join("away")).unwrap();
    std::fs::create_dir(tree.path().join("a")).unwrap();
    let (outcome, notes) = record_from(frontier, Needs::Meta, &Options::default(), &Silent);
    assert_eq!(outcome.errors, 1);
    assert_eq!(notes.errors[0].class, pwalk_engine::Class::Replaced);
    assert!(notes.errors[0].path.ends_with(b"/a"));
}
