//! The ordered walk gives what a plain recursion gives, whatever the caller does between two directories.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, missing_docs)]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use proptest::prelude::*;
use pwalk_engine::{Contract, Order, OrderedOptions, OrderedWalk, Visit};
use pwalk_fs::Errno;
use pwalk_testkit::TempTree;
use pwalk_testkit::fuse::{Fault, Op, Synthetic};
use pwalk_testkit::trees::{Deep, deep, everything, random, wide_dirs};

/// A directory: its path, the names of directories, the other names.
type Row = (PathBuf, Vec<Vec<u8>>, Vec<Vec<u8>>);
/// What the caller makes of the names of sub-directories.
type Choose = dyn Fn(&mut Vec<Vec<u8>>);

fn row(visit: &Visit) -> Row {
    let names = |places: &[u32]| places.iter().map(|&place| visit.listed.name(place).to_vec()).collect();
    (OsStr::from_bytes(&visit.path).into(), names(visit.listed.dirs()), names(visit.listed.others()))
}

/// The oracle: one directory after another, by the standard library. `choose` picks what follows.
fn plain(dir: &Path, order: Order, choose: &Choose, rows: &mut Vec<Row>) {
    let Ok(entries) = fs::read_dir(dir) else { return };
    let (mut dirs, mut others) = (Vec::new(), Vec::new());
    for entry in entries {
        let entry = entry.unwrap();
        let is_dir = fs::metadata(entry.path()).is_ok_and(|meta| meta.is_dir());
        if is_dir { &mut dirs } else { &mut others }.push(entry.file_name().into_vec());
    }
    let mut chosen = dirs.clone();
    choose(&mut chosen);
    if order == Order::TopDown {
        rows.push((dir.into(), dirs.clone(), others.clone()));
    }
    for name in chosen {
        let path = dir.join(OsStr::from_bytes(&name));
        if !path.is_symlink() {
            plain(&path, order, choose, rows);
        }
    }
    if order == Order::BottomUp {
        rows.push((dir.into(), dirs, others));
    }
}

fn walk(root: &Path, options: OrderedOptions, choose: Option<&Choose>) -> Vec<Row> {
    let mut walk = OrderedWalk::new(root.as_os_str().as_bytes(), options);
    let mut rows = Vec::new();
    while let Some(next) = walk.next() {
        let Ok(visit) = next else { continue };
        rows.push(row(&visit));
        if let Some(choose) = choose {
            let mut names = rows.last().unwrap().1.clone();
            choose(&mut names);
            walk.descend_into(names.iter().map(Vec::as_slice));
        }
    }
    rows
}

fn check(root: &Path, options: OrderedOptions, choose: Option<&Choose>) {
    let mut expected = Vec::new();
    plain(root, options.order, choose.unwrap_or(&|_| ()), &mut expected);
    let found = walk(root, options, choose);
    for (i, (a, b)) in found.iter().zip(&expected).enumerate() {
        assert_eq!(a, b, "the {i}th of {}", expected.len());
    }
    assert_eq!(found.len(), expected.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn random_trees(
        seed in 0_u64..1000,
        size in 1_u64..600,
        read_ahead in prop::sample::select(vec![0_usize, 1, 20, 100_000]),
        threads in prop::sample::select(vec![None, Some(1), Some(2), Some(7)]),
        change in 0_u8..5,
    ) {
        let (tree, _) = TempTree::with(|root| random(root, seed, size));
        let order = if change == 0 { Order::BottomUp } else { Order::TopDown };
        let options = OrderedOptions { order, threads, read_ahead, ..OrderedOptions::default() };
        let choose: Option<&Choose> = match change {
            0 | 1 => None,
            2 => Some(&|names: &mut Vec<Vec<u8>>| names.sort()),
            3 => Some(&|names: &mut Vec<Vec<u8>>| names.reverse()),
            _ => Some(&|names: &mut Vec<Vec<u8>>| {
                let mut n = 0;
                names.retain(|_| { n += 1; n % 2 == 1 });
                let half = names.len() / 2;
                names.rotate_left(half);
            }),
        };
        // Old enough that what was read ahead is used.
        settle(tree.path());
        check(tree.path(), options, choose);
    }
}

/// Lets every directory look as if nothing had changed for long.
fn settle(root: &Path) {
    let long_ago = std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000);
    for (dir, ..) in walk(root, OrderedOptions { threads: Some(1), ..OrderedOptions::default() }, None) {
        fs::File::open(dir).unwrap().set_modified(long_ago).unwrap();
    }
}

#[test]
fn hostile_trees() {
    let (tree, _) = TempTree::with(|root| {
        everything(root);
        let wide = root.join("many");
        fs::create_dir(&wide).unwrap();
        wide_dirs(&wide, 2_000);
    });
    for order in [Order::TopDown, Order::BottomUp] {
        check(tree.path(), OrderedOptions { order, ..OrderedOptions::default() }, None);
    }
}

/// Half of the names, the last first.
fn some(names: &mut Vec<Vec<u8>>) {
    let mut n = 0;
    names.retain(|_| {
        n += 1;
        n % 2 == 1
    });
    names.reverse();
}

/// Where calls are slow, sub-directories are read before their directory is known whole.
#[test]
fn slow_calls_and_listings_in_many_parts() {
    // The second and the third have directories of 300 and 1,000 sub-directories: several calls to list.
    for (directories, fanout, files) in [(150, 3, 5), (700, 300, 2), (1_500, 1_000, 0)] {
        let mounted = Synthetic::tree(directories, fanout, files).mount().unwrap();
        let cases: [(Order, usize, Option<&Choose>); 4] = [
            (Order::TopDown, 100_000, None),
            (Order::BottomUp, 100_000, None),
            (Order::TopDown, 100_000, Some(&some)),
            (Order::TopDown, 10, Some(&some)),
        ];
        for (order, read_ahead, choose) in cases {
            let mut expected = Vec::new();
            mounted.set_delay(Duration::ZERO);
            plain(mounted.path(), order, choose.unwrap_or(&|_| ()), &mut expected);
            mounted.set_delay(Duration::from_micros(400));
            let options = OrderedOptions { order, read_ahead, ..OrderedOptions::default() };
            assert!(walk(mounted.path(), options, choose) == expected, "{directories} {order:?} {read_ahead}");
        }
        mounted.unmount().unwrap();
    }
}

/// A listing that fails after a part of it was used is an error, and nothing of the directory is given.
#[test]
fn a_listing_that_fails_after_its_first_part() {
    let fault = Fault::error(Op::Readdir, "d0", Errno::IO).after(1);
    let mounted = Synthetic::tree(700, 300, 2).delay(Duration::from_micros(400)).fault(fault).mount().unwrap();
    let mut errors = Vec::new();
    let walk = OrderedWalk::new(mounted.path().as_os_str().as_bytes(), OrderedOptions::default());
    let paths: Vec<_> = walk.filter_map(|next| next.map_err(|error| errors.push(error)).ok()).map(|v| v.path).collect();
    assert_eq!(errors.iter().map(|error| error.errno).collect::<Vec<_>>(), [Errno::IO]);
    assert!(errors[0].path.ends_with(b"/d0"));
    // The root, 299 of its sub-directories, and what is in those: all but d0 and its 300.
    assert_eq!(paths.len(), 700 - 301);
    mounted.unmount().unwrap();
}

/// Directories are passed over, as a caller does who decides on each of them when its turn comes.
#[test]
fn passing_over() {
    let (tree, _) = TempTree::with(|root| random(root, 21, 900));
    settle(tree.path());
    let is_wanted = |name: &[u8]| !name.len().is_multiple_of(3);
    let mut expected = Vec::new();
    let wanted = move |names: &mut Vec<Vec<u8>>| {
        names.sort();
        names.retain(|name| is_wanted(name));
    };
    plain(tree.path(), Order::TopDown, &wanted, &mut expected);
    for (read_ahead, threads) in [(0, Some(1)), (100_000, None), (50, Some(4))] {
        let options = OrderedOptions { read_ahead, threads, contract: Contract::Each, ..OrderedOptions::default() };
        let mut walk = OrderedWalk::new(tree.path().as_os_str().as_bytes(), options);
        let mut rows = Vec::new();
        // Directories that the walk is in: what is left to be decided on.
        let mut open: Vec<Vec<Vec<u8>>> = Vec::new();
        let mut next = walk.next();
        loop {
            if let Some(Ok(visit)) = next.take() {
                rows.push(row(&visit));
                let listed = &visit.listed;
                let mut names: Vec<Vec<u8>> = (0..)
                    .zip(listed.dirs())
                    .filter(|(nth, _)| !listed.is_link(*nth))
                    .map(|(_, &place)| listed.name(place).to_vec())
                    .collect();
                names.sort();
                walk.descend_into(names.iter().map(Vec::as_slice));
                names.reverse();
                open.push(names);
            }
            let Some(names) = open.last_mut() else { break };
            match names.pop() {
                None => drop(open.pop()),
                Some(name) if is_wanted(&name) => next = walk.next(),
                Some(_) => walk.pass_over(),
            }
        }
        assert_eq!(rows, expected, "{read_ahead} {threads:?}");
        assert!(walk.next().is_none());
    }
}

/// One answer for each: below `PATH_MAX`, and where a link has taken a directory's place.
#[test]
fn each_directory_has_its_answer() {
    let levels = 700;
    let (tree, _) = TempTree::with(|root| deep(root, Deep { levels, name_bytes: 15, file_per_level: false }));
    let options = OrderedOptions { contract: Contract::Each, ..OrderedOptions::default() };
    let root = tree.path().as_os_str().as_bytes();
    let depth = OrderedWalk::new(root, options).filter(|visit| visit.is_ok()).count();
    assert_eq!(depth, levels + 1);
    let tree = TempTree::new();
    for name in ["a", "b"] {
        fs::create_dir(tree.path().join(name)).unwrap();
    }
    let mut walk = OrderedWalk::new(tree.path().as_os_str().as_bytes(), OrderedOptions { read_ahead: 0, ..options });
    assert!(walk.next().unwrap().is_ok());
    walk.descend_into([&b"a"[..], b"b"].into_iter());
    fs::remove_dir(tree.path().join("a")).unwrap();
    std::os::unix::fs::symlink("b", tree.path().join("a")).unwrap();
    assert_eq!(walk.next().unwrap().unwrap_err().errno, Errno::LOOP);
    assert!(walk.next().unwrap().unwrap().path.ends_with(b"/b"));
}
