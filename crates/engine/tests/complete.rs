//! Promise 1: every entry, once, and the totals of `du`.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::os::unix::ffi::OsStrExt;

use common::{assert_same, du_blocks, find, record, record_from};
use pwalk_engine::{Ended, Frontier, Listing, Needs, Options, Silent, Snapshots, Threads};
use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{Deep, deep, everything, random, wide, wide_dirs};

fn options(threads: Threads) -> Options {
    Options { threads, snapshots: Snapshots::Include, ..Options::default() }
}

#[test]
fn the_hostile_trees_are_seen_as_find_and_du_see_them() {
    let (tree, made) = TempTree::with(everything);
    let expected = find(tree.path(), &[]);
    assert_eq!(expected.len() as u64, made.entries + 1);
    for threads in [Threads::Fixed(1), Threads::Fixed(2), Threads::Fixed(16), Threads::Adaptive] {
        for needs in [Needs::Names, Needs::Chosen, Needs::Meta] {
            let (outcome, notes) = record(tree.path(), needs, &options(threads));
            assert_same(&notes.paths(), &expected, &format!("{threads:?} {needs:?}"));
            assert!(outcome.is_complete(), "{:?}", notes.errors);
            assert_eq!(outcome.entries, expected.len() as u64);
            notes.check_order();
            assert!(notes.left.iter().all(|(_, _, listing)| *listing == Listing::Complete));
            let totals = notes.totals(tree.path());
            assert_eq!(totals.tree_count, expected.len() as u64);
            if needs == Needs::Meta {
                assert_eq!(totals.tree_blocks, du_blocks(tree.path()));
            }
        }
    }
}

#[test]
fn random_trees_have_the_totals_of_du_in_every_directory() {
    for seed in 0..4 {
        let (tree, _) = TempTree::with(|root| random(root, seed, 600));
        let (_, notes) = record(tree.path(), Needs::Meta, &options(Threads::Fixed(4)));
        notes.check_order();
        let root = notes.totals(tree.path());
        assert_eq!(root.tree_blocks, du_blocks(tree.path()), "seed {seed}");
        let below: u64 = notes.left.iter().map(|(_, t, _)| t.count).sum();
        assert_eq!(root.tree_count, below + 1);
    }
}

#[test]
fn five_thousand_levels_under_a_tight_budget_of_descriptors() {
    let (tree, made) = TempTree::with(|root| deep(root, Deep::default()));
    for max_open in [None, Some(8), Some(40)] {
        let options = Options { max_open, ..options(Threads::Fixed(2)) };
        let (outcome, notes) = record(tree.path(), Needs::Meta, &options);
        assert!(outcome.is_complete(), "{:?}", notes.errors.first());
        assert_eq!(outcome.entries, made + 1, "budget {max_open:?}");
        assert_eq!(notes.paths().iter().map(Vec::len).max().unwrap(), tree.path().as_os_str().len() + 5000 * 21 + 2);
    }
}

#[test]
fn wide_directories_are_divided_and_nothing_is_lost() {
    let (tree, made) = TempTree::with(|root| {
        let flat = root.join("flat");
        let dirs = root.join("dirs");
        std::fs::create_dir(&flat).unwrap();
        std::fs::create_dir(&dirs).unwrap();
        2 + wide(&flat, 200_000) + wide_dirs(&dirs, 5_000)
    });
    for max_open in [None, Some(8)] {
        let options = Options { max_open, ..options(Threads::Fixed(4)) };
        let (outcome, notes) = record(tree.path(), Needs::Meta, &options);
        assert!(outcome.is_complete());
        assert_eq!(outcome.entries, made + 1);
        assert_eq!(notes.totals(&tree.path().join("flat")).count, 200_000);
        notes.check_order();
    }
}

#[test]
fn several_roots_of_any_kind_go_into_one_fold() {
    let (tree, _) = TempTree::with(|root| {
        std::fs::create_dir(root.join("dir")).unwrap();
        std::fs::write(root.join("dir/inside"), b"12345").unwrap();
        std::fs::write(root.join("file"), b"123").unwrap();
        std::os::unix::fs::symlink("dir", root.join("link")).unwrap();
        std::os::unix::fs::symlink("nowhere", root.join("dangling")).unwrap();
    });
    let roots = ["dir/", "file", "link", "dangling", "missing"].map(|name| tree.path().join(name));
    let start = Frontier::start(roots.iter().map(|r| r.as_os_str().as_bytes()));
    let (outcome, notes) = record_from(start, Needs::Meta, &Options::default(), &Silent);
    let mut below: Vec<String> = notes
        .paths()
        .into_iter()
        .map(|p| String::from_utf8(p[tree.path().as_os_str().len() + 1..].to_vec()).unwrap())
        .collect();
    below.sort();
    assert_eq!(below, ["dangling", "dir", "dir/inside", "file", "link", "link/inside"]);
    assert_eq!((outcome.errors, outcome.ended), (1, Ended::Whole));
    assert!(notes.errors[0].path.ends_with(b"/missing"));
}

#[test]
fn an_empty_list_of_roots_is_an_empty_fold() {
    let (outcome, notes) =
        record_from(Frontier::start(Vec::<Vec<u8>>::new()), Needs::Meta, &Options::default(), &Silent);
    assert!(outcome.is_complete());
    assert_eq!((outcome.entries, notes.paths().len()), (0, 0));
}
