//! Thousands of random changes, scanned as they come.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pwalk_testkit::TempTree;

use super::{Kept, New, on_both};
use crate::diff::model::{World, changes, look};
use crate::diff::random::assert_same;
use crate::diff::told;
use crate::forest::Forest;

/// What `ls` should list.
fn sizes(world: &World, root: &Path) -> BTreeMap<Vec<u8>, u64> {
    let is_below = |path: &&Vec<u8>| path.as_slice() != root.as_os_str().as_bytes();
    world.keys().filter(is_below).map(|path| (path.clone(), world[path].size)).collect()
}

fn rounds(kept: &Kept, place: &TempTree, seed: u64, rounds: usize, most: usize) {
    let root = place.subdir(&format!("tree-{seed}"));
    std::fs::write(root.join("first"), "first").unwrap();
    let mut forest = Forest::new(&root, seed);
    let mut worlds = Vec::new();
    let mut before = look(&root);
    let first = kept.scan(&root);
    assert_eq!(first["changes"]["added"]["count"], before.len());
    worlds.push((first["run"].as_u64().unwrap(), before.clone()));
    for round in 0..rounds {
        forest.changes(most);
        // Not to be taken for a disaster.
        let after = look(&root);
        let expected = changes(&before, &after);
        let removed = expected.keys().filter(|(_, what)| what == "removed").count();
        let accepted: &[&str] = if removed > before.len() / 2 { &["--accept-mass-delete"] } else { &[] };
        let ran = kept
            .run("scan", accepted.iter().map(|a| a.as_ref()).chain(["--json".as_ref(), root.as_os_str()]))
            .expect(0);
        let run: serde_json::Value = serde_json::from_str(ran.text()).unwrap();
        let run = run["run"].as_u64().unwrap();
        let changed = kept.run("changes", ["--since", &(run - 1).to_string(), "--json"]).expect(0);
        assert_same(&told(&changed), &expected, seed, round);
        assert!(kept.sizes(&root, None) == sizes(&after, &root), "seed {seed}, round {round}");
        worlds.push((run, after.clone()));
        before = after;
    }
    // As it was after each of them.
    for (run, world) in &worlds {
        assert!(kept.sizes(&root, Some(*run)) == sizes(world, &root), "seed {seed}, run {run}");
    }
    // And after the older ones are forgotten, after the others.
    let keep = worlds.len() / 2;
    kept.run("prune", ["--keep", &keep.to_string()]).expect(0);
    let (forgotten, known) = worlds.split_at(worlds.len() - keep);
    for (run, world) in known {
        assert!(kept.sizes(&root, Some(*run)) == sizes(world, &root), "seed {seed}, run {run}");
    }
    for (run, _) in [forgotten.first().unwrap(), forgotten.last().unwrap()] {
        let ran = kept.run("ls", ["--at".as_ref(), run.to_string().as_ref(), root.as_os_str()]).expect(3);
        assert!(ran.stderr.contains("pruned"), "{}", ran.stderr);
    }
}

#[test]
fn thousands_of_changes_are_kept_as_the_model_tells_them() {
    on_both(thousands_of_changes_are_kept_as_the_model_tells_them_in);
}

fn thousands_of_changes_are_kept_as_the_model_tells_them_in(new: New<'_>) {
    let place = TempTree::new();
    for seed in 0..3 {
        let kept = new(&place);
        rounds(&kept, &place, seed, 30, 40);
    }
}

#[test]
fn two_roots_in_one_catalog_do_not_meet() {
    on_both(two_roots_in_one_catalog_do_not_meet_in);
}

fn two_roots_in_one_catalog_do_not_meet_in(new: New<'_>) {
    let place = TempTree::new();
    let kept = new(&place);
    for seed in [10, 11] {
        rounds(&kept, &place, seed, 8, 60);
    }
}

#[test]
fn hostile_names_and_depths_are_kept_whole() {
    on_both(hostile_names_and_depths_are_kept_whole_in);
}

fn hostile_names_and_depths_are_kept_whole_in(new: New<'_>) {
    let place = TempTree::new();
    let root = place.subdir("tree");
    pwalk_testkit::trees::everything(&root);
    let kept = new(&place);
    kept.scan(&root);
    let all = crate::common::find(&root, &["-mindepth", "1"]);
    assert!(kept.sizes(&root, None).into_keys().collect::<std::collections::BTreeSet<_>>() == all);
    // What is below any directory is what find finds there.
    let dirs = crate::common::find(&root, &["-mindepth", "1", "-maxdepth", "1", "-type", "d"]);
    for dir in dirs {
        let dir = crate::common::path(&dir);
        let below = crate::common::find(&dir, &["-mindepth", "1"]);
        if !below.is_empty() {
            assert_eq!(kept.sizes(&dir, None).into_keys().collect::<std::collections::BTreeSet<_>>(), below, "{dir:?}");
        }
    }
    // Nothing changed; then all of a deep directory moves as one.
    let again = kept.scan(&root);
    assert!(again["changes"].as_object().unwrap().values().all(|of| of["count"] == 0), "{again}");
    std::fs::rename(root.join("deep"), root.join("deeper")).unwrap();
    let moved = kept.scan(&root);
    assert_eq!((&moved["changes"]["moved"]["count"], &moved["changes"]["removed"]["count"]), (&1.into(), &0.into()));
    let all = crate::common::find(&root, &["-mindepth", "1"]);
    assert!(kept.sizes(&root, None).into_keys().collect::<std::collections::BTreeSet<_>>() == all);
}
