//! What was not seen is not gone, and what cannot be meant is asked for.

use std::fs::{create_dir, create_dir_all, remove_dir_all, remove_file, rename, write};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use pwalk_testkit::{TempTree, is_root, without_dac_override};
use serde_json::Value;

use super::{Kept, New, on_both};
use crate::common::{PWALK, Running, in_mounts_of_thread, json_lines, oracle, run, wait_until};

fn place(new: New<'_>) -> (TempTree, PathBuf, Kept) {
    let place = TempTree::new();
    let root = place.path().join("tree");
    for dir in ["open", "closed/sub"] {
        create_dir_all(root.join(dir)).unwrap();
        for file in 0..4 {
            write(root.join(dir).join(format!("file {file}")), "content").unwrap();
        }
    }
    let kept = new(&place);
    (place, root, kept)
}

/// How many changes of each kind the last run found, those that there are.
fn counts(kept: &Kept) -> Vec<(String, u64)> {
    let runs = json_lines(kept.run("runs", ["--json"]).expect(0).text());
    let last = runs.last().unwrap()["changes"].as_object().unwrap().clone();
    let of = |(name, counts): (String, Value)| (name, counts["count"].as_u64().unwrap());
    last.into_iter().map(of).filter(|(_, count)| *count > 0).collect()
}

#[test]
fn what_is_below_a_closed_directory_stays_known() {
    on_both(what_is_below_a_closed_directory_stays_known_in);
}

fn what_is_below_a_closed_directory_stays_known_in(new: New<'_>) {
    let (_place, root, kept) = place(new);
    kept.scan(&root);
    let all = kept.sizes(&root, None);
    oracle("chmod", ["000".as_ref(), root.join("closed").as_os_str()]);
    remove_file(root.join("open/file 0")).unwrap();
    let mut command = without_dac_override(PWALK);
    let ran = run(command.args(["track", "scan"]).args(&kept.arguments).arg(&root)).expect(1);
    assert!(ran.stderr.contains("PARTIAL"), "{}", ran.stderr);
    assert_eq!(counts(&kept), [("metadata".to_owned(), 1), ("removed".to_owned(), 1), ("unseen".to_owned(), 5)]);
    assert_eq!(kept.sizes(&root, None).len(), all.len() - 1);
    // What happened meanwhile is known when it can be looked at.
    oracle("chmod", ["755".as_ref(), root.join("closed").as_os_str()]);
    remove_file(root.join("closed/sub/file 1")).unwrap();
    write(root.join("closed/sub/new"), "new").unwrap();
    kept.scan(&root);
    assert_eq!(counts(&kept), [("added".to_owned(), 1), ("metadata".to_owned(), 1), ("removed".to_owned(), 1)]);
}

#[test]
fn a_closed_directory_that_moved_takes_along_what_is_known_of_it() {
    on_both(a_closed_directory_that_moved_takes_along_what_is_known_of_it_in);
}

fn a_closed_directory_that_moved_takes_along_what_is_known_of_it_in(new: New<'_>) {
    let (_place, root, kept) = place(new);
    let scan_closed = || {
        let mut command = without_dac_override(PWALK);
        run(command.args(["track", "scan"]).args(&kept.arguments).arg(&root)).expect(1);
    };
    run(kept.command("scan").args(["-q", "--fingerprint", "new"]).arg(&root)).expect(0);
    let all = kept.sizes(&root, None);
    rename(root.join("closed"), root.join("open/moved")).unwrap();
    oracle("chmod", ["000".as_ref(), root.join("open/moved").as_os_str()]);
    scan_closed();
    assert_eq!(counts(&kept), [("moved".to_owned(), 1), ("unseen".to_owned(), 5)]);
    let (from, to) = (root.join("closed"), root.join("open/moved"));
    let moved = |path: &Vec<u8>| {
        let rest = path.strip_prefix(from.as_os_str().as_bytes());
        rest.map_or_else(|| path.clone(), |rest| [to.as_os_str().as_bytes(), rest].concat())
    };
    let expected: Vec<_> = all.keys().map(moved).collect::<std::collections::BTreeSet<_>>().into_iter().collect();
    assert_eq!(kept.sizes(&root, None).into_keys().collect::<Vec<_>>(), expected);
    // Nor is it gone the next time.
    scan_closed();
    assert_eq!(counts(&kept), [("unseen".to_owned(), 5)]);
    oracle("chmod", ["755".as_ref(), to.as_os_str()]);
    kept.scan(&root);
    assert_eq!(counts(&kept), [("metadata".to_owned(), 1)]);
    assert_eq!(kept.sizes(&root, None).into_keys().collect::<Vec<_>>(), expected);
    assert_eq!(kept.sizes(&root, Some(1)), all);
    // With the fingerprints that they had.
    kept.run("verify", [&root]).expect(0);
}

#[test]
fn a_root_that_is_missing_empty_or_another_is_refused() {
    on_both(a_root_that_is_missing_empty_or_another_is_refused_in);
}

fn a_root_that_is_missing_empty_or_another_is_refused_in(new: New<'_>) {
    let (place, root, kept) = place(new);
    kept.scan(&root);
    let all = kept.sizes(&root, None);
    let refused = |why: &str| {
        let ran = kept.run("scan", [&root]).expect(3);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("--accept-new-root"), "{}", ran.stderr);
        assert_eq!(kept.sizes(&root, None), all);
        assert_eq!(json_lines(kept.run("runs", ["--json"]).expect(0).text()).len(), 1);
    };
    let aside = place.path().join("aside");
    rename(&root, &aside).unwrap();
    refused("is missing");
    create_dir(&root).unwrap();
    refused("is another directory");
    remove_dir_all(&root).unwrap();
    rename(&aside, &root).unwrap();
    for dir in ["open", "closed"] {
        rename(root.join(dir), place.path().join(dir)).unwrap();
    }
    refused("is empty");
    if is_root() {
        in_mounts_of_thread(|| {
            oracle("mount", ["-t", "tmpfs", "none", root.to_str().unwrap()]);
            refused("is on another device");
        });
    }
    let ran = kept.run("scan", ["--accept-new-root".as_ref(), root.as_os_str()]).expect(3);
    assert!(ran.stderr.contains("--accept-mass-delete"), "{}", ran.stderr);
    let accepted = ["--accept-new-root", "--accept-mass-delete"];
    kept.run("scan", accepted.iter().map(|a| a.as_ref()).chain([root.as_os_str()])).expect(0);
    assert_eq!(counts(&kept)[..1], [("removed".to_owned(), 11)]);
    // And what is missing altogether.
    write(root.join("file"), "again").unwrap();
    kept.scan(&root);
    remove_dir_all(&root).unwrap();
    kept.run("scan", accepted.iter().map(|a| a.as_ref()).chain([root.as_os_str()])).expect(0);
    assert_eq!(counts(&kept), [("removed".to_owned(), 2)]);
}

#[test]
fn more_than_half_gone_is_asked_for() {
    on_both(more_than_half_gone_is_asked_for_in);
}

fn more_than_half_gone_is_asked_for_in(new: New<'_>) {
    let (_place, root, kept) = place(new);
    kept.scan(&root);
    remove_dir_all(root.join("closed")).unwrap();
    // 6 of 12 is not more than half.
    kept.scan(&root);
    for file in 0..3 {
        remove_file(root.join(format!("open/file {file}"))).unwrap();
    }
    remove_file(root.join("open/file 3")).unwrap();
    let ran = kept.run("scan", [&root]).expect(3);
    assert!(ran.stderr.contains("4 of 6 entries") && ran.stderr.contains("--accept-mass-delete"), "{}", ran.stderr);
    assert_eq!(kept.sizes(&root, None).len(), 5);
    kept.run("scan", ["--accept-mass-delete".as_ref(), root.as_os_str()]).expect(0);
    assert_eq!(kept.sizes(&root, None).len(), 1);
    // What is only left out this time may look like it.
    for file in 0..4 {
        write(root.join(format!("open/file {file}")), "").unwrap();
    }
    kept.scan(&root);
    let excluding = ["--exclude", "file*", "--include-snapshots"].map(|a| a.as_ref());
    let ran = kept.run("scan", excluding.into_iter().chain([root.as_os_str()])).expect(3);
    assert!(ran.stderr.contains("4 of 6 entries") && ran.stderr.contains("--exclude was"), "{}", ran.stderr);
}

#[test]
fn two_scans_of_one_root_do_not_run_at_once() {
    on_both(two_scans_of_one_root_do_not_run_at_once_in);
}

fn two_scans_of_one_root_do_not_run_at_once_in(new: New<'_>) {
    let (place, root, kept) = place(new);
    kept.scan(&root);
    let start = || Running::start(kept.command("scan").args(["--max-iops", "1"]).arg(&root));
    let (mut slow, mut refused) = (start(), None);
    wait_until("the second scan is refused", || {
        let ran = kept.run("scan", [&root]);
        refused = (ran.code == 3).then_some(ran);
        if refused.is_none() && slow.child().try_wait().unwrap().is_some() {
            // The second was the first.
            slow = start();
        }
        refused.is_some()
    });
    let ran = refused.unwrap();
    assert!(ran.stderr.contains("is being scanned into this catalog by another process"), "{}", ran.stderr);
    // Another root is none of its business.
    let other = place.subdir("other");
    kept.scan(&other);
    assert!(slow.output().status.success());
    kept.scan(&root);
}

#[test]
fn what_is_asked_for_and_not_known_is_said() {
    let (place, root, kept) = place(&|place| Kept::local(place.path().join("catalog")));
    for what in [vec!["runs"], vec!["changes"], vec!["ls", "/"], vec!["verify", "/"], vec!["prune", "--keep", "3"]] {
        let ran = kept.run(what[0], &what[1..]).expect(3);
        assert!(ran.stderr.contains("there is no catalog in"), "{}", ran.stderr);
    }
    assert!(!place.path().join("catalog").exists());
    kept.scan(&root);
    for (what, why) in [
        (vec!["ls", "/no/such/place"], "has no scan of /no/such/place"),
        (vec!["ls", root.to_str().unwrap(), "--at", "2020-01-01"], "no run of"),
        (vec!["changes", "--path", "/no/such/place"], "has no scan of /no/such/place"),
        (vec!["report", "--path", "/no/such/place"], "has no scan of /no/such/place"),
        (vec!["scan", "/no/such/place"], "cannot walk /no/such/place"),
        (vec!["scan", "/etc/passwd"], "cannot walk /etc/passwd"),
        (vec!["changes", "--path", root.to_str().unwrap(), "-o", "/no/such/place/x.csv"], "/no/such/place"),
    ] {
        let ran = kept.run(what[0], &what[1..]).expect(3);
        assert!(ran.stderr.contains(why), "{what:?}: {}", ran.stderr);
    }
    for what in [vec!["changes", "--since", "soon"], vec!["prune", "--keep", "0"], vec!["verify", "/", "--budget", "x"]]
    {
        kept.run(what[0], &what[1..]).expect(2);
    }
    // A catalog of something else is left alone.
    let other = place.subdir("no-catalog");
    write(other.join("catalog.sqlite"), "this is no database, but somebody's notes").unwrap();
    let ran = Kept::local(other.clone()).run("scan", [&root]).expect(3);
    assert!(ran.stderr.contains("catalog.sqlite"), "{}", ran.stderr);
    assert_eq!(std::fs::read(other.join("catalog.sqlite")).unwrap(), b"this is no database, but somebody's notes");
}

#[test]
fn a_catalog_in_the_tree_is_no_part_of_it() {
    let (_place, root, _) = place(&|place| Kept::local(place.path().join("unused")));
    let kept = Kept::local(root.join("open/catalog"));
    std::fs::create_dir(root.join("open/catalog")).unwrap();
    assert_eq!(kept.scan(&root)["entries"], 12);
    assert_eq!(kept.sizes(&root, None).len(), 11);
    for _ in 0..2 {
        assert_eq!(kept.scan(&root)["entries"], 12);
        assert_eq!(counts(&kept), []);
    }
}
