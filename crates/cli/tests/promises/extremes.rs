//! Promise: depth, width, few open files and a tree that changes cost no entry and no false one.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;

use pwalk_scan::{Verdict, read_metadata};
use pwalk_testkit::TempTree;
use pwalk_testkit::trees::{self, Churn, Deep};

use crate::common::{
    PWALK, csv_paths, duckdb, fields, find, ledger, ledger_path, lines, number, oracle, pwalk, run, to_file, to_stdout,
};

/// All paths of the default deep tree, by its rule: find needs a path that no kernel takes.
fn deep_paths(root: &Path, shape: Deep) -> BTreeSet<Vec<u8>> {
    let mut here = root.to_str().unwrap().to_owned();
    let mut paths = BTreeSet::from([here.clone().into_bytes()]);
    for level in 0..shape.levels {
        here = format!("{here}/{level:d>width$}", width = shape.name_bytes);
        paths.insert(here.clone().into_bytes());
        paths.insert(format!("{here}/f").into_bytes());
    }
    paths
}

/// `pwalk` that may have 64 files open and cannot have more.
fn few_files() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -n 64; exec \"$@\"", "sh", PWALK]);
    command
}

#[test]
fn depth_5000_is_whole() {
    let (tree, entries) = TempTree::with(|root| trees::deep(root, Deep::default()));
    let want = deep_paths(tree.path(), Deep::default());
    assert_eq!(want.len() as u64, entries + 1);
    assert!(want.iter().any(|p| p.len() > 100_000));
    let csv = to_stdout(tree.path(), &["--no-header"]).expect(0).stdout;
    assert!(csv_paths(&csv) == want, "a path is missing or wrong");
    drop(csv);

    let place = TempTree::new();
    let file = place.path().join("x.parquet");
    let ran = run(few_files().args(["report", "-q", "--threads", "8", "-o"]).arg(&file).arg(tree.path()));
    assert_eq!(ran.expect(0).stderr, "");
    let query =
        "select count(*), count(distinct path), max(length(path)), max(depth), sum(length(path))::bigint from ?";
    let longest = want.iter().map(Vec::len).max().unwrap();
    let all: usize = want.iter().map(Vec::len).sum();
    assert_eq!(duckdb(query, &file), [serde_json::json!([want.len(), want.len(), longest, 5_000, all])]);
    assert_eq!(read_metadata(&file).unwrap().unwrap().verdict, Verdict::Complete);
    assert_eq!(number("select tree_count from ? where depth = -1", &file), entries + 1);
}

#[test]
fn with_64_open_files_a_wide_and_bushy_tree_is_whole() {
    let (tree, _) = TempTree::with(|root| {
        trees::wide(&made(root, "wide"), 20_000);
        trees::wide_dirs(&made(root, "dirs"), 2_000);
        trees::random(&made(root, "random"), 5, 1_500);
        trees::deep(&made(root, "deep"), Deep { levels: 140, name_bytes: 20, file_per_level: true });
    });
    let want = find(tree.path(), &[]);
    let place = TempTree::new();
    for threads in ["auto", "1", "40"] {
        let file = place.path().join(format!("{threads}.parquet"));
        let mut command = few_files();
        command.args(["report", "-q", "--include-snapshots", "--threads", threads, "-o"]);
        assert_eq!(run(command.arg(&file).arg(tree.path())).expect(0).stderr, "");
        assert_eq!(number("select count(*) from ?", &file), want.len() as u64);
        assert_eq!(
            number("select count(distinct coalesce(path_bytes, encode(path))) from ?", &file),
            want.len() as u64
        );
    }
    let ran = run(few_files().args(["walk", "--include-snapshots"]).arg(tree.path())).expect(0);
    assert_eq!(oracle_lines(&ran.stdout), find(tree.path(), &["-type", "d"]).len());
}

/// Lines of `walk`, also where names hold line feeds.
fn oracle_lines(text: &[u8]) -> usize {
    text.windows(7).filter(|w| *w == b" files\n").count()
}

fn made(root: &Path, name: &str) -> std::path::PathBuf {
    let path = root.join(name);
    std::fs::create_dir(&path).unwrap();
    path
}

#[test]
fn two_hundred_thousand_entries_in_one_directory() {
    let (tree, entries) = TempTree::with(|root| trees::wide(root, 200_000));
    let place = TempTree::new();
    let file = place.path().join("x.csv.zst");
    let mut command = few_files();
    command.args(["report", "-q", "--no-header", "-o"]);
    run(command.arg(&file).arg(tree.path())).expect(0);
    let paths = csv_paths(&oracle("zstdcat", [&file]));
    assert_eq!(paths.len() as u64, entries + 1);
    assert!(paths == find(tree.path(), &[]), "a path is missing or wrong");
}

#[test]
fn a_tree_that_changes_gives_no_false_entry() {
    let (tree, bait, place) = (TempTree::new(), TempTree::new(), TempTree::new());
    std::fs::write(bait.path().join("BAIT"), "x").unwrap();
    std::fs::create_dir(bait.path().join("BAITS")).unwrap();
    let output = place.path().join("x.csv.zst");
    let churn = Churn::start(tree.path(), bait.path());
    let (mut partial, mut round) = (0, 0);
    // At least so often, and until a scan has met a change.
    while round < 30 || (partial == 0 && round < 2_000) {
        let threads = ["1", "4", "auto"][round % 3];
        round += 1;
        let ran = to_file(tree.path(), &output, &["-q", "--no-header", "--threads", threads]);
        let csv = oracle("zstdcat", [&output]);
        let rows: Vec<Vec<Vec<u8>>> = lines(&csv).iter().map(|l| fields(l)).collect();
        assert!(!rows.iter().any(|r| r[3].windows(4).any(|w| w == b"BAIT")), "outside the tree");
        let metadata = read_metadata(&output).unwrap().unwrap();
        assert_eq!(metadata.counts["entries"], rows.len() as u64);
        let errors = if ran.code == 0 { Vec::new() } else { ledger(&ledger_path(&output)) };
        assert_eq!(ledger_path(&output).exists(), !errors.is_empty());
        assert_eq!(metadata.counts["errors"], errors.len() as u64);
        let verdict = if errors.is_empty() { Verdict::Complete } else { Verdict::Partial };
        assert_eq!((ran.code, metadata.verdict), (i32::from(!errors.is_empty()), verdict), "{}", ran.stderr);
        let classes = ["vanished", "replaced", "io"];
        assert!(errors.iter().all(|e| classes.contains(&e["class"].as_str().unwrap())), "{errors:?}");
        partial += i32::from(ran.code == 1);
    }
    churn.stop();
    assert!(partial > 0, "no scan met a change");
    let ran = to_stdout(tree.path(), &["--no-header"]).expect(0);
    assert_eq!(csv_paths(&ran.stdout), find(tree.path(), &[]), "at rest everything is there");
    assert_eq!(crate::common::names(bait.path()), ["BAIT", "BAITS"]);
    run(pwalk(["walk"]).arg(tree.path())).expect(0);
}
