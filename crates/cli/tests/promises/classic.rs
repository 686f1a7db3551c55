//! Promise: the classic call, without a subcommand, works as it has for years.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use pwalk_testkit::fuse::{Op, Synthetic, Tree};
use pwalk_testkit::{TempTree, trees};

use crate::common::{Ran, csv_paths, fields, find, lines, names, path, pwalk, row_of, run, settle, to_stdout};

fn classic(root: &Path, arguments: &[&str]) -> Ran {
    run(pwalk(arguments).arg(root))
}

fn sorted(csv: &[u8]) -> Vec<&[u8]> {
    let mut lines = lines(csv);
    lines.sort_unstable();
    lines
}

#[test]
fn its_rows_are_those_of_report() {
    let (tree, _) = TempTree::with(trees::everything);
    settle(tree.path());
    let report = to_stdout(tree.path(), &["--no-header", "--include-snapshots"]).expect(0);
    let ran = classic(tree.path(), &[]).expect(0);
    assert_eq!(sorted(&ran.stdout), sorted(&report.stdout));
    let with = classic(tree.path(), &["--header"]).expect(0);
    let report = to_stdout(tree.path(), &["--include-snapshots"]).expect(0);
    assert_eq!(lines(&with.stdout)[0], lines(&report.stdout)[0]);
    assert_eq!(sorted(&with.stdout), sorted(&report.stdout));
    let nosnap = classic(tree.path(), &["--NoSnap"]).expect(0);
    assert_eq!(sorted(&nosnap.stdout), sorted(&to_stdout(tree.path(), &["--no-header"]).expect(0).stdout));
    assert!(lines(&nosnap.stdout).len() < lines(&ran.stdout).len());
}

#[test]
fn it_is_quiet_and_leaves_no_file() {
    let (tree, place) = (TempTree::with(trees::hard_links).0, TempTree::new());
    let ran = run(pwalk::<&str>([]).arg(tree.path()).current_dir(place.path())).expect(0);
    assert_eq!(ran.stderr, "");
    assert!(names(place.path()).is_empty());
    assert_eq!(csv_paths(&ran.stdout), find(tree.path(), &[]));
}

#[test]
fn directories_deeper_than_the_limit_have_no_line() {
    let shape = trees::Deep { levels: 6, name_bytes: 3, file_per_level: true };
    let (tree, _) = TempTree::with(|root| trees::deep(root, shape));
    assert_eq!(csv_paths(&classic(tree.path(), &["--depth", "0"]).expect(0).stdout), find(tree.path(), &[]));
    for depth in 1..8_usize {
        let text = depth.to_string();
        for arguments in [&["--depth", &text][..], &[&format!("--depth={depth}")]] {
            let got = csv_paths(&classic(tree.path(), arguments).expect(0).stdout);
            let dirs = find(tree.path(), &["-maxdepth", &text, "-type", "d"]);
            let files = find(tree.path(), &["-maxdepth", &(depth + 1).to_string(), "-type", "f"]);
            assert_eq!(got, dirs.union(&files).cloned().collect::<BTreeSet<_>>(), "--depth {depth}");
        }
    }
}

#[test]
fn other_file_systems_have_no_line() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let at = tree.subdir("mount");
    let mounted = Synthetic::custom(Tree::new().file("inside/file", 7)).mount_at(&at).unwrap();
    assert_eq!(csv_paths(&classic(tree.path(), &[]).expect(0).stdout), find(tree.path(), &[]));
    let mut want = find(tree.path(), &["-xdev"]);
    assert!(want.remove(at.as_os_str().as_bytes()));
    let before = mounted.ops().of(Op::Readdir);
    for flag in ["-x", "--one-file-system"] {
        assert_eq!(csv_paths(&classic(tree.path(), &[flag]).expect(0).stdout), want);
    }
    assert_eq!(mounted.ops().of(Op::Readdir), before);
}

#[test]
fn excluded_directories_are_named_by_full_paths() {
    let tree = TempTree::new();
    for file in
        ["keep/f", "out/f", "sub/out/f", "a b*/f", "a bc/f", "!odd/f", "[x]/f", "x/f", "{p,q}/f", "p/f", "sub/\\w/f"]
    {
        let path = tree.path().join(file);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, "x").unwrap();
    }
    let place = TempTree::new();
    let list = place.path().join("list");
    let excluded = ["out", "a b*", "!odd", "[x]", "{p,q}", "sub/\\w", "keep/f"];
    for slash in ["", "/"] {
        let text: String = excluded.iter().map(|e| format!("{}{slash}\n", tree.path().join(e).display())).collect();
        std::fs::write(&list, format!("{text}/elsewhere\n\n")).unwrap();
        let mut want = find(tree.path(), &[]);
        for gone in &excluded[..6] {
            let gone = tree.path().join(gone);
            want.retain(|p| !path(p).starts_with(&gone));
        }
        let arguments = ["--exclude", list.to_str().unwrap()];
        assert_eq!(csv_paths(&classic(tree.path(), &arguments).expect(0).stdout), want);
    }
    let ran = classic(tree.path(), &["--exclude", "/no/such/list"]).expect(2);
    assert!(ran.stderr.contains("/no/such/list"), "{}", ran.stderr);
}

#[test]
fn a_path_may_be_a_word_in_the_current_directory() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let here = |arguments: &[&str]| run(pwalk(arguments).current_dir(tree.path()));
    let ran = here(&["c"]).expect(0);
    let shown: Vec<Vec<u8>> = lines(&ran.stdout).iter().map(|l| fields(l).swap_remove(3)).collect();
    assert!(shown.iter().all(|p| p.starts_with(b"c")) && shown.len() > 5, "{shown:?}");
    assert_eq!(here(&["."]).expect(0).stdout.first(), here(&["./"]).expect(0).stdout.first());
    assert_eq!(row_of(&here(&["--depth", "1", "c/"]).expect(0).stdout, "c")[2], "-1");
}

#[test]
fn a_mistyped_command_is_told_as_one() {
    let place = TempTree::new();
    let here = |arguments: &[&str]| run(pwalk(arguments).current_dir(place.path()));
    let ran = here(&["reprot", "/usr"]).expect(2);
    assert!(ran.stderr.contains("reprot") && ran.stderr.contains("report"), "{}", ran.stderr);
    assert!(ran.stdout.is_empty());
    assert!(here(&["--no-such"]).expect(2).stderr.contains("--no-such"));
    assert!(here(&["--NoSnap"]).expect(2).stderr.contains("PATH"), "a path is needed");
    let ran = here(&["/no/such"]).expect(3);
    assert!(ran.stderr.contains("/no/such") && ran.stdout.is_empty(), "{}", ran.stderr);
}

#[test]
fn no_arguments_print_help() {
    let ran = run(&mut pwalk::<&str>([])).expect(2);
    for word in ["Usage: pwalk", "report", "walk", "Examples:", "Exit codes:"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
    let ran = run(&mut pwalk(["--help"])).expect(0);
    assert!(ran.text().contains("Usage: pwalk"), "{}", ran.text());
    let ran = run(&mut pwalk(["--version"])).expect(0);
    assert_eq!(ran.text(), concat!("pwalk ", env!("CARGO_PKG_VERSION"), "\n"));
}
