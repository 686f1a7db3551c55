//! Thousands of random changes to a tree, between looks at it.

use std::fs;
use std::path::Path;

use pwalk_testkit::TempTree;

use super::model::{changes, look};
use super::{diff, scan, told};
use crate::forest::Forest;

fn rounds(seed: u64, rounds: usize, most: usize) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let mut forest = Forest::new(&root, seed);
    let scans = ["one.parquet", "two.parquet"].map(|name| place.path().join(name));
    scan(&root, &scans[0]);
    let mut before = look(&root);
    let mut made = 0;
    for round in 0..rounds {
        made += forest.changes(most);
        let (old, new) = (&scans[round % 2], &scans[(round + 1) % 2]);
        let after = look(&root);
        let expected = changes(&before, &after);
        let code = i32::from(!expected.is_empty());
        // The one walks, the other does not.
        let walked = diff([old.as_path(), &root]).expect(code);
        scan(&root, new);
        let read = diff([old, new]).expect(code);
        for ran in [walked, read] {
            assert_same(&told(&ran), &expected, seed, round);
        }
        before = after;
    }
    assert!(made > rounds * most / 8, "{made}");
    assert!(fs::metadata(&root).unwrap().is_dir());
}

#[track_caller]
pub(crate) fn assert_same(told: &super::Told, expected: &super::Told, seed: u64, round: usize) {
    let without = |all: &super::Told, others: &super::Told| -> super::Told {
        all.clone().into_iter().filter(|(change, from)| others.get(change) != Some(from)).collect()
    };
    let (wrong, missing) = (without(told, expected), without(expected, told));
    let shown = |told: &super::Told| {
        let line = |((path, what), from): (&(Vec<u8>, String), &Option<Vec<u8>>)| {
            let from = from.as_ref().map(|from| from.escape_ascii().to_string());
            format!("\n  {what} {} {from:?}", path.escape_ascii())
        };
        told.iter().map(line).collect::<String>()
    };
    assert!(
        wrong.is_empty() && missing.is_empty(),
        "seed {seed}, round {round}\nwrong {}\nmissing {}",
        shown(&wrong),
        shown(&missing)
    );
}

#[test]
fn thousands_of_changes_are_told_as_the_model_tells_them() {
    for seed in 0..4 {
        rounds(seed, 40, 30);
    }
}

#[test]
fn many_changes_at_once_are_told_as_the_model_tells_them() {
    rounds(99, 3, 1500);
}

#[test]
fn nothing_changed_is_no_change() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    pwalk_testkit::trees::everything(&root);
    let scans = ["one.parquet", "two.parquet"].map(|name| place.path().join(name));
    scans.iter().for_each(|place| scan(&root, place));
    assert!(told(&diff(&scans).expect(0)).is_empty());
    assert!(told(&diff([Path::new("--include-snapshots"), &scans[0], &root]).expect(0)).is_empty());
    // Deep, and with names of 255 bytes: all of it moves as one.
    let deep = root.join("deep");
    fs::rename(&deep, root.join("deeper")).unwrap();
    let ran = diff([Path::new("--include-snapshots"), &scans[0], &root]).expect(1);
    let moved = told(&ran);
    assert_eq!(moved.len(), 1, "{}", ran.text());
    assert_eq!(moved.values().next().unwrap().as_deref(), Some(deep.as_os_str().as_encoded_bytes()));
}
