//! Trees that change, lead astray or are not to be entered.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use common::{Notes, assert_same, find, record};
use pwalk_engine::{Class, Exclude, FollowLinks, Listing, Mounts, Needs, Op, Options, Snapshots, Threads};
use pwalk_testkit::fuse::{Synthetic, Tree};
use pwalk_testkit::trees::{Churn, everything, snapshots, symlinks};
use pwalk_testkit::{TempTree, is_root};

fn has(notes: &Notes, path: &Path) -> bool {
    notes.entries.contains_key(path.as_os_str().as_bytes())
}

#[test]
fn what_is_swapped_while_walking_is_never_entered() {
    let outside = TempTree::new();
    std::fs::write(outside.path().join("secret"), b"").unwrap();
    let tree = TempTree::new();
    let churn = Churn::start(tree.path(), outside.path());
    let mut replaced = 0;
    let mut round = 0;
    // Until it was hit, and often; a machine that never lets both run at once fails the test.
    while round < 60 || (round < 20_000 && (replaced == 0 || churn.operations() < 1000)) {
        round += 1;
        for needs in [Needs::Names, Needs::Meta] {
            let options = Options { threads: Threads::Fixed(1 + round % 4), ..Options::default() };
            let (outcome, notes) = record(tree.path(), needs, &options);
            assert!(!notes.paths().iter().any(|p| p.ends_with(b"/secret")), "walked out of the tree");
            assert_eq!(outcome.errors, notes.errors.len() as u64);
            notes.check_order();
            replaced += notes.errors.iter().filter(|e| e.class == Class::Replaced).count();
        }
    }
    assert!(churn.stop() > 1000);
    assert!(replaced > 0, "the test never hit the race it is for");
    let (outcome, _) = record(tree.path(), Needs::Meta, &Options::default());
    assert!(outcome.is_complete());
}

#[test]
fn a_directory_replaced_by_another_is_an_error_and_not_read() {
    let tree = Tree::new().dir("a").file("a/mine", 1).dir("b").file("b/other", 1);
    // The first lookup of `a` is the stat, the second the opening.
    let fs = Synthetic::custom(tree).swap("a", "b", 1).mount().unwrap();
    let options = Options { threads: Threads::Fixed(1), ..Options::default() };
    let (outcome, notes) = record(fs.path(), Needs::Meta, &options);
    assert_eq!(outcome.errors, 1, "{:?}", notes.errors);
    assert_eq!((notes.errors[0].class, notes.errors[0].op), (Class::Replaced, Op::Open));
    assert!(!has(&notes, &fs.path().join("a/other")));
    let a = fs.path().join("a").into_os_string().into_encoded_bytes();
    let (_, _, listing) = notes.left.iter().find(|(p, ..)| *p == a).unwrap();
    assert_eq!(*listing, Listing::Unread);
}

#[test]
fn names_only_trusts_d_ino_only_where_it_is_honest() {
    for lies in [false, true] {
        for needs in [Needs::Names, Needs::Meta] {
            let fs = Synthetic::tree(40, 3, 2).d_ino_lies(lies).mount().unwrap();
            let (outcome, notes) = record(fs.path(), needs, &Options::default());
            assert!(outcome.is_complete(), "lies {lies} {needs:?}: {:?}", notes.errors.first());
            assert_same(&notes.paths(), &find(fs.path(), &[]), "");
        }
    }
    // An honest file system, and a directory that is another one when it is opened.
    let tree = Tree::new().dir("a").dir("b").file("b/other", 1);
    let fs = Synthetic::custom(tree).swap("a", "b", 0).mount().unwrap();
    let (_, notes) = record(fs.path(), Needs::Names, &Options::default());
    assert_eq!(notes.errors.iter().map(|e| e.class).collect::<Vec<_>>(), [Class::Replaced]);
}

#[test]
fn a_file_system_that_tells_no_types_is_walked_all_the_same() {
    let fs = Synthetic::tree(40, 3, 2).dt_unknown(true).mount().unwrap();
    for needs in [Needs::Names, Needs::Chosen, Needs::Meta] {
        let (outcome, notes) = record(fs.path(), needs, &Options::default());
        assert!(outcome.is_complete());
        assert_same(&notes.paths(), &find(fs.path(), &[]), &format!("{needs:?}"));
    }
}

#[test]
fn links_are_entries_and_when_followed_loops_are_errors() {
    let (tree, _) = TempTree::with(|root| {
        symlinks(root);
        // These two lead out of the tree, and following them would too.
        std::fs::remove_file(root.join("to-root")).unwrap();
        std::fs::remove_file(root.join("parent")).unwrap();
        std::fs::create_dir_all(root.join("x/y")).unwrap();
        std::fs::write(root.join("x/y/file"), b"").unwrap();
        symlink("../..", root.join("x/y/up")).unwrap();
        symlink("x", root.join("again")).unwrap();
    });
    let (outcome, notes) = record(tree.path(), Needs::Meta, &Options::default());
    assert!(outcome.is_complete());
    assert_same(&notes.paths(), &find(tree.path(), &[]), "");

    for needs in [Needs::Names, Needs::Meta] {
        let options = Options { follow_links: FollowLinks::Always, ..Options::default() };
        let (_, notes) = record(tree.path(), needs, &options);
        assert!(has(&notes, &tree.path().join("again/y/file")), "{needs:?}");
        let looped = |p: &str| {
            let path = tree.path().join(p).into_os_string().into_encoded_bytes();
            notes.errors.iter().any(|e| e.class == Class::Loop && e.path == path)
        };
        assert!(looped("x/y/up") && looped("again/y/up"), "{needs:?} {:?}", notes.errors);
        assert!(notes.errors.iter().all(|e| e.class == Class::Loop), "{:?}", notes.errors);
    }
}

#[test]
fn unreadable_directories_are_errors_with_their_place_in_the_tree() {
    let (tree, _) = TempTree::with(|root| {
        std::fs::create_dir_all(root.join("open/shut")).unwrap();
        std::fs::write(root.join("open/shut/hidden"), b"").unwrap();
        std::fs::create_dir(root.join("list-only")).unwrap();
        std::fs::write(root.join("list-only/name"), b"12").unwrap();
    });
    let set = |path: &str, mode| {
        std::fs::set_permissions(tree.path().join(path), PermissionsExt::from_mode(mode)).unwrap();
    };
    set("open/shut", 0o000);
    set("list-only", 0o444);
    set("open", 0o755);
    set("", 0o755);
    // The walk itself must be the unprivileged one: as root, run this same test binary without its privileges.
    if is_root() {
        let me = std::env::current_exe().unwrap();
        let status = pwalk_testkit::without_dac_override(me)
            .args(["--exact", "as_nobody", "--nocapture"])
            .env("PWALK_TREE", tree.path())
            .status()
            .unwrap();
        assert!(status.success());
    } else {
        check_unreadable(tree.path());
    }
    set("open/shut", 0o755);
}

/// The unprivileged half of the test above; by itself it has no tree and nothing to do.
#[test]
fn as_nobody() {
    if let Some(tree) = std::env::var_os("PWALK_TREE") {
        check_unreadable(Path::new(&tree));
    }
}

fn check_unreadable(root: &Path) {
    let (outcome, notes) = record(root, Needs::Meta, &Options::default());
    assert!(!outcome.is_complete());
    let mut errors: Vec<_> = notes.errors.iter().map(|e| (e.op.name(), e.class, e.path.clone())).collect();
    errors.sort_by_key(|e| e.0);
    let bytes = |p: &str| root.join(p).into_os_string().into_encoded_bytes();
    assert_eq!(errors, [("open", Class::Denied, bytes("open/shut")), ("stat", Class::Denied, bytes("list-only/name"))]);
    let listing = |p: &str| notes.left.iter().find(|(path, ..)| *path == bytes(p)).unwrap();
    assert_eq!((listing("open/shut").2, listing("open/shut").1.count), (Listing::Unread, 0));
    assert_eq!((listing("list-only").2, listing("list-only").1.count), (Listing::Partial, 1));
    assert_eq!(listing("open").2, Listing::Complete);
    // With names alone, even that one is known.
    let (_, notes) = record(root, Needs::Names, &Options::default());
    assert_eq!(notes.errors.len(), 1);
    assert!(has(&notes, &root.join("list-only/name")));
}

#[test]
fn snapshot_directories_are_left_out_before_any_call_on_them() {
    let tree = Tree::new().dir("a").dir("a/.snapshot").file("a/.snapshot/old", 1).dir(".zfs").dir(".snapshots");
    for needs in [Needs::Names, Needs::Meta] {
        let fs = Synthetic::custom(tree.clone()).mount().unwrap();
        let (outcome, notes) = record(fs.path(), needs, &Options::default());
        assert!(outcome.is_complete());
        assert_eq!(outcome.snapshots, 1);
        assert!(!has(&notes, &fs.path().join("a/.snapshot")));
        assert_eq!(notes.totals(&fs.path().join("a")).count, 0, "not even counted");
        assert!(
            has(&notes, &fs.path().join(".zfs")) && has(&notes, &fs.path().join(".snapshots")),
            "only where they are"
        );
    }
    let (tree, _) = TempTree::with(snapshots);
    let kept = find(tree.path(), &["-name", ".snapshot", "-type", "f"]);
    let (_, notes) = record(tree.path(), Needs::Meta, &Options::default());
    assert!(kept.iter().all(|p| notes.entries.contains_key(p)), "a file of that name is a file");
    let all = Options { snapshots: Snapshots::Include, ..Options::default() };
    assert_same(&record(tree.path(), Needs::Meta, &all).1.paths(), &find(tree.path(), &[]), "");
}

#[test]
fn a_mount_is_crossed_or_not() {
    let tree = TempTree::new();
    let inner = tree.path().join("mounted");
    std::fs::create_dir(&inner).unwrap();
    std::fs::write(tree.path().join("file"), b"").unwrap();
    let fs = Synthetic::tree(5, 2, 1).mount_at(&inner).unwrap();
    for needs in [Needs::Names, Needs::Meta] {
        let (outcome, notes) = record(tree.path(), needs, &Options::default());
        assert!(outcome.is_complete(), "{:?}", notes.errors);
        assert_same(&notes.paths(), &find(tree.path(), &[]), &format!("{needs:?}"));
        let stay = Options { mounts: Mounts::Stay, ..Options::default() };
        let (outcome, notes) = record(tree.path(), needs, &stay);
        assert!(outcome.is_complete());
        assert_same(&notes.paths(), &find(tree.path(), &["-xdev"]), &format!("{needs:?}"));
    }
    drop(fs);
}

#[test]
fn a_bind_mount_of_the_same_file_system_is_no_replacement() {
    if !is_root() {
        // Mounting is root's; the FUSE mount above covers the rest for everybody.
        return;
    }
    let (tree, _) = TempTree::with(|root| {
        std::fs::create_dir_all(root.join("source/below")).unwrap();
        std::fs::create_dir(root.join("target")).unwrap();
    });
    let run = |arguments: &[&std::ffi::OsStr]| {
        assert!(Command::new(arguments[0]).args(&arguments[1..]).status().unwrap().success())
    };
    let (source, target) = (tree.path().join("source"), tree.path().join("target"));
    run(&["mount".as_ref(), "--bind".as_ref(), source.as_os_str(), target.as_os_str()]);
    for needs in [Needs::Names, Needs::Meta] {
        let (outcome, notes) = record(tree.path(), needs, &Options::default());
        assert!(has(&notes, &target.join("below")), "{needs:?}");
        assert!(outcome.is_complete(), "{needs:?} {:?}", notes.errors);
    }
    run(&["umount".as_ref(), target.as_os_str()]);
}

#[test]
fn excluded_entries_are_as_if_they_were_not_there() {
    let (tree, _) = TempTree::with(everything);
    let exclude = Exclude::new(["/wide", "symlinks/", "*.txt", "f"]).unwrap();
    let base = Options { snapshots: Snapshots::Include, ..Options::default() };
    let options = Options { exclude: Some(Arc::new(exclude)), ..base };
    let root = tree.path().to_str().unwrap();
    let wide = format!("{root}/wide");
    let mut tests = vec!["(", "-path", &wide, "-o", "-name", "*.txt", "-o", "-name", "f"];
    tests.extend(["-o", "-type", "d", "-name", "symlinks", ")", "-prune", "-o"]);
    let expected = find(tree.path(), &[&tests[..], &["-print0"]].concat()[..tests.len()]);
    for needs in [Needs::Names, Needs::Meta] {
        let (outcome, notes) = record(tree.path(), needs, &options);
        assert!(outcome.is_complete());
        assert_same(&notes.paths(), &expected, &format!("{needs:?}"));
    }
    let fs = Synthetic::custom(Tree::new().dir("out").file("out/x", 1).file("in", 1)).dt_unknown(true).mount().unwrap();
    let options = Options { exclude: Some(Arc::new(Exclude::new(["out/"]).unwrap())), ..Options::default() };
    let (_, notes) = record(fs.path(), Needs::Names, &options);
    assert_eq!(notes.paths().len(), 2, "also where the type must be asked for: {:?}", notes.paths());
    assert_eq!(notes.totals(fs.path()).count, 1);
}

#[test]
fn depth_is_where_reading_ends() {
    let (tree, _) = TempTree::with(everything);
    for depth in 0..4 {
        let options = Options { max_depth: Some(depth), snapshots: Snapshots::Include, ..Options::default() };
        let (outcome, notes) = record(tree.path(), Needs::Names, &options);
        assert!(outcome.is_complete());
        let deepest = (depth + 1).to_string();
        assert_same(&notes.paths(), &find(tree.path(), &["-maxdepth", &deepest]), "");
    }
}
