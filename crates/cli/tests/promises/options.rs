//! Promise: each option of walking does what its help says, no more and no less.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::time::{Duration, Instant};

use pwalk_scan::{Verdict, read_metadata};
use pwalk_testkit::fuse::{Op, Synthetic, Tree};
use pwalk_testkit::{TempTree, trees};
use serde_json::json;

use crate::common::{csv_paths, find, ledger, ledger_path, pwalk, row_of, run, to_file, to_stdout};

/// The paths in a complete report with these options.
fn reported(root: &Path, arguments: &[&str]) -> BTreeSet<Vec<u8>> {
    let ran = to_stdout(root, &[&["--no-header"], arguments].concat()).expect(0);
    csv_paths(&ran.stdout)
}

/// A tree of files at the given paths.
fn tree_of(files: &[&str]) -> TempTree {
    let tree = TempTree::new();
    for file in files {
        let path = tree.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    tree
}

#[test]
fn threads_by_both_names_give_the_same_entries() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let want = find(tree.path(), &[]);
    for threads in ["1", "2", "64", "auto"] {
        assert_eq!(reported(tree.path(), &["--threads", threads]), want);
        assert_eq!(reported(tree.path(), &["--max-threads", threads]), want);
    }
    for wrong in ["0", "-", "many", "1000000"] {
        let ran = to_stdout(tree.path(), &["--threads", wrong]).expect(2);
        assert!(ran.stderr.contains("--threads") && ran.stdout.is_empty(), "{}", ran.stderr);
    }
}

#[test]
fn the_number_of_threads_is_the_number_of_calls_at_once() {
    let slow = || Synthetic::tree(60, 60, 2).delay(Duration::from_millis(2)).mount().unwrap();
    let one = slow();
    assert_eq!(reported(one.path(), &["--threads", "1"]).len(), 180);
    assert_eq!(one.max_in_flight(), 1);
    let many = slow();
    assert_eq!(reported(many.path(), &["--threads", "8"]).len(), 180);
    assert!((2..=8).contains(&many.max_in_flight()), "{}", many.max_in_flight());
}

#[test]
fn max_iops_is_a_limit() {
    let mounted = Synthetic::flat(300).mount().unwrap();
    let begun = Instant::now();
    assert_eq!(reported(mounted.path(), &["--max-iops", "300"]).len(), 301);
    // A system call each for 300 entries: a second, less what a burst may take at once.
    assert!(begun.elapsed() > Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(to_stdout(mounted.path(), &["--max-iops", "0"]).code, 2);
}

#[test]
fn snapshot_directories_are_left_out_unless_asked_for() {
    let (tree, _) = TempTree::with(trees::snapshots);
    assert_eq!(reported(tree.path(), &["--include-snapshots"]), find(tree.path(), &[]));
    let without = find(tree.path(), &["-type", "d", "-name", ".snapshot", "-prune", "-o"]);
    assert_eq!(reported(tree.path(), &[]), without);
    let file = tree.path().join("file-named/.snapshot");
    assert!(without.contains(file.as_os_str().as_bytes()), "a file of that name is no snapshot");
    let csv = to_stdout(tree.path(), &["--no-header"]).expect(0).stdout;
    assert_eq!(row_of(&csv, tree.path().join("project"))[15..], ["1", "4"], "nor counted");
}

#[test]
fn one_file_system_lists_the_mount_and_stays_out() {
    let tree = tree_of(&["a/file", "b/file"]);
    let at = tree.subdir("mount");
    let mounted = Synthetic::custom(Tree::new().file("inside/file", 7)).mount_at(&at).unwrap();
    let all = find(tree.path(), &[]);
    assert_eq!(all.len(), 8);
    assert_eq!(reported(tree.path(), &[]), all);
    for flag in ["-x", "--one-file-system"] {
        assert_eq!(reported(tree.path(), &[flag]), find(tree.path(), &["-xdev"]));
    }
    // find -xdev opens the mount point as pwalk must not.
    let before = mounted.ops().of(Op::Readdir);
    let csv = to_stdout(tree.path(), &["-x", "--no-header"]).expect(0).stdout;
    assert_eq!(mounted.ops().of(Op::Readdir), before, "it was not listed");
    assert_eq!(row_of(&csv, &at)[15..], ["0", "0"]);
    // The mount point as a root is a file system of its own.
    assert_eq!(reported(&at, &["-x"]), find(&at, &[]));
}

#[test]
fn depth_limits_what_is_read() {
    let (tree, _) =
        TempTree::with(|root| trees::deep(root, trees::Deep { levels: 6, name_bytes: 3, file_per_level: true }));
    for depth in 0..8 {
        let limit = (depth + 1).to_string();
        let got = reported(tree.path(), &["--depth", &depth.to_string()]);
        assert_eq!(got, find(tree.path(), &["-maxdepth", &limit]), "--depth {depth}");
    }
    let csv = to_stdout(tree.path(), &["--no-header", "--depth", "0"]).expect(0).stdout;
    assert_eq!(row_of(&csv, tree.path().join("dd0"))[15..], ["0", "0"], "listed, not read");
    assert_eq!(row_of(&csv, tree.path())[15], "1");
}

const SOURCES: [&str; 12] = [
    "a.o",
    "a.c",
    "keep.o",
    "build/out",
    "src/build/out",
    "src/b.o",
    "src/keep.o",
    "cache",
    "src/cache/x",
    "doc/x.txt",
    "doc/deep/y.txt",
    "#odd",
];

/// What is left, by its path below the root, directories aside.
fn left(tree: &TempTree, arguments: &[&str]) -> Vec<String> {
    let all = reported(tree.path(), arguments).into_iter();
    let files = all.map(|p| crate::common::path(&p)).filter(|p| p.is_file());
    files.map(|p| p.strip_prefix(tree.path()).unwrap().to_str().unwrap().to_owned()).collect()
}

/// What git leaves of the same files with the same patterns.
fn as_git(patterns: &[&str]) -> Vec<String> {
    let tree = tree_of(&SOURCES);
    let place = TempTree::new();
    let file = place.path().join("patterns");
    std::fs::write(&file, patterns.join("\n") + "\n").unwrap();
    let at = tree.path().to_str().unwrap();
    crate::common::oracle("git", ["init", "-q", at]);
    let from = format!("--exclude-from={}", file.display());
    let text = crate::common::oracle("git", ["-C", at, "ls-files", "-z", "--others", &from]);
    let mut files: Vec<String> = String::from_utf8(text).unwrap().split_terminator('\0').map(str::to_owned).collect();
    files.sort();
    files
}

#[test]
fn exclude_has_the_patterns_of_git() {
    let tree = tree_of(&SOURCES);
    let place = TempTree::new();
    let file = place.path().join("patterns");
    let cases: [&[&str]; 9] = [
        &["*.o"],
        &["*.o", "!keep.o"],
        &["/build"],
        &["build/"],
        &["cache/"],
        &["doc/*.txt"],
        &["doc/**/*.txt"],
        &["# comment", "", "\\#odd"],
        &["src/"],
    ];
    for patterns in cases {
        let want = as_git(patterns);
        assert!(want.len() < SOURCES.len(), "{patterns:?} leaves something out");
        let options: Vec<&str> = patterns.iter().flat_map(|p| ["--exclude", p]).collect();
        assert_eq!(left(&tree, &options), want, "{patterns:?}");
        std::fs::write(&file, patterns.join("\n")).unwrap();
        assert_eq!(left(&tree, &["--exclude-from", file.to_str().unwrap()]), want, "{patterns:?} from a file");
    }
    std::fs::write(&file, "src/\n").unwrap();
    let both = left(&tree, &["--exclude-from", file.to_str().unwrap(), "--exclude", "*.o", "--exclude", "doc"]);
    assert_eq!(both, ["#odd", "a.c", "build/out", "cache"]);
    let taken_back = left(&tree, &["--exclude", "!src/", "--exclude-from", file.to_str().unwrap()]);
    assert_eq!(taken_back.len(), SOURCES.len(), "the command line overrides a file");
    let csv = to_stdout(tree.path(), &["--no-header", "--exclude", "src"]).expect(0).stdout;
    assert_eq!(row_of(&csv, tree.path())[15], "7", "what is excluded is not counted");
}

#[test]
fn patterns_that_cannot_be_used_are_a_mistake_in_usage() {
    let tree = tree_of(&["a"]);
    let ran = to_stdout(tree.path(), &["--exclude", "a[z-b]"]).expect(2);
    assert!(ran.stderr.contains("a[z-b]"), "{}", ran.stderr);
    let ran = to_stdout(tree.path(), &["--exclude-from", "/no/such/file"]).expect(2);
    assert!(ran.stderr.contains("/no/such/file"), "{}", ran.stderr);
}

#[test]
fn followed_links_are_what_they_lead_to_and_loops_are_errors() {
    let tree = tree_of(&["real/file", "other/x"]);
    let link = |target: &str, name: &str| std::os::unix::fs::symlink(target, tree.path().join(name)).unwrap();
    link("../other", "real/to-other");
    link("no-such", "real/dangling");
    link("file", "real/to-file");
    let got = reported(tree.path(), &["--follow-links"]);
    assert_eq!(got, find(Path::new("-L"), &[tree.path().to_str().unwrap()]));
    let csv = to_stdout(tree.path(), &["--follow-links", "--no-header"]).expect(0).stdout;
    let kind = |name: &str| row_of(&csv, tree.path().join(name))[11][..4].to_owned();
    assert_eq!([kind("real/to-other"), kind("real/to-file"), kind("real/dangling")], ["0040", "0100", "0120"]);

    link("..", "real/up");
    let place = TempTree::new();
    let output = place.path().join("x.csv");
    to_file(tree.path(), &output, &["--follow-links", "-q"]).expect(1);
    let entries = ledger(&ledger_path(&output));
    assert_eq!(entries.len(), 1, "{entries:?}");
    assert_eq!((&entries[0]["class"], &entries[0]["path"]), (&json!("loop"), &json!(tree.path().join("real/up"))));
    assert_eq!(reported(tree.path(), &[]), find(tree.path(), &[]), "not followed unless asked");
}

#[test]
fn attributes_are_recorded() {
    let tree = tree_of(&["a"]);
    let place = TempTree::new();
    for attributes in ["fresh", "cached"] {
        let output = place.path().join(format!("{attributes}.parquet"));
        to_file(tree.path(), &output, &["--attributes", attributes, "-q"]).expect(0);
        let metadata = read_metadata(&output).unwrap().unwrap();
        assert_eq!((&metadata.options["attributes"], metadata.verdict), (&json!(attributes), Verdict::Complete));
    }
    assert_eq!(to_stdout(tree.path(), &["--attributes", "old"]).code, 2);
}

#[test]
fn cached_attributes_are_not_asked_for_again() {
    let asked = |attributes: &str| {
        // The kernel may keep names, and attributes only for whom they may be stale.
        let mounted = Synthetic::flat(200).cache(Duration::from_secs(600), Duration::ZERO).mount().unwrap();
        assert_eq!(reported(mounted.path(), &["--attributes", "cached"]).len(), 201);
        let before = mounted.ops();
        assert_eq!(reported(mounted.path(), &["--attributes", attributes]).len(), 201);
        mounted.ops().since(&before).of(Op::Getattr)
    };
    let (cached, fresh) = (asked("cached"), asked("fresh"));
    assert!(cached < 10 && fresh >= 200, "{cached} {fresh}");
}

#[test]
fn what_is_no_option_is_a_mistake_in_usage() {
    let tree = tree_of(&["a"]);
    for wrong in [&["--no-such"][..], &["--depth", "deep"], &["--give-up-after", "0"], &["--format", "xml"]] {
        let ran = to_stdout(tree.path(), wrong).expect(2);
        assert!(ran.stderr.contains(wrong[0]) && ran.stdout.is_empty(), "{}", ran.stderr);
    }
    assert_eq!(run(&mut pwalk(["report"])).code, 2, "a path is needed");
    assert_eq!(run(&mut pwalk(["report", ""])).code, 2, "and not an empty one");
}
