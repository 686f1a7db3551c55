//! Promise: the output goes where and in the form that was asked for, and nothing else goes there.

use std::io::Read;
use std::path::Path;
use std::process::Stdio;

use pwalk_testkit::{TempTree, trees};
use serde_json::json;

use crate::common::{
    Running, csv_paths, duckdb, find, json_lines, lines, names, number, oracle, pwalk, run, to_file, to_stdout,
};

fn tree() -> TempTree {
    TempTree::with(trees::hard_links).0
}

/// What the first bytes of a file say it is.
fn form(file: &Path) -> &'static str {
    match std::fs::read(file).unwrap_or_else(|e| panic!("{file:?}: {e}")).get(..4) {
        Some(b"PAR1") => "parquet",
        Some([0x28, 0xb5, 0x2f, 0xfd]) => "zstd",
        Some([0x1f, 0x8b, _, _]) => "gzip",
        Some(b"inod") => "csv",
        other => panic!("{file:?} begins with {other:?}"),
    }
}

#[test]
fn format_and_compression_follow_the_name_or_the_options() {
    let tree = tree();
    let rows = find(tree.path(), &[]).len() as u64;
    let cases: [(&str, &[&str], &str, &str); 16] = [
        ("x.csv", &[], "x.csv", "csv"),
        ("x", &[], "x", "csv"),
        ("x.csv.zst", &[], "x.csv.zst", "zstd"),
        ("x.csv.gz", &[], "x.csv.gz", "gzip"),
        ("x.parquet", &[], "x.parquet", "parquet"),
        ("x.parquet", &["--compress", "zstd"], "x.parquet", "parquet"),
        ("x.csv", &["--compress", "zstd"], "x.csv.zst", "zstd"),
        ("x.csv", &["--compress", "gzip"], "x.csv.gz", "gzip"),
        ("x.csv.gz", &["--compress", "zstd"], "x.csv.gz.zst", "zstd"),
        ("x.csv.zst", &["--compress", "zstd"], "x.csv.zst", "zstd"),
        ("x.csv.zst", &["--compress", "none"], "x.csv.zst", "csv"),
        ("x.csv", &["--compress", "auto"], "x.csv", "csv"),
        ("x", &["--format", "parquet"], "x", "parquet"),
        ("x.parquet", &["--format", "csv"], "x.parquet", "csv"),
        ("x.csv.zst", &["--level", "19"], "x.csv.zst", "zstd"),
        ("x.csv.gz", &["--level", "9"], "x.csv.gz", "gzip"),
    ];
    for (name, options, made, kind) in cases {
        let place = TempTree::new();
        to_file(tree.path(), &place.path().join(name), &[options, &["-q"]].concat()).expect(0);
        assert_eq!(names(place.path()), [made], "{name} {options:?}");
        let made = place.path().join(made);
        assert_eq!(form(&made), kind, "{name} {options:?}");
        let text = match kind {
            "parquet" => {
                assert_eq!(number("select count(*) from read_parquet(?)", &made), rows);
                continue;
            }
            "zstd" => oracle("zstd", [Path::new("-dcq"), &made]),
            "gzip" => oracle("gzip", [Path::new("-dc"), &made]),
            _ => std::fs::read(&made).unwrap(),
        };
        assert_eq!(lines(&text).len() as u64, rows + 1, "{name} {options:?}");
    }
}

#[test]
fn without_a_name_it_is_scan_csv_zst_here() {
    let (tree, place) = (tree(), TempTree::new());
    let ran = run(pwalk(["report"]).arg(tree.path()).current_dir(place.path())).expect(0);
    assert_eq!(names(place.path()), ["scan.csv.zst"]);
    assert_eq!(form(&place.path().join("scan.csv.zst")), "zstd");
    assert_eq!(ran.stdout, b"");
    let rows = duckdb("select count(*) from ?", &place.path().join("scan.csv.zst"));
    assert_eq!(rows, [json!([find(tree.path(), &[]).len()])]);
    for word in ["scan.csv.zst: COMPLETE", "entries", "5 directories", "0 errors", " s ", "entries/s"] {
        assert!(ran.stderr.contains(word), "{word}: {}", ran.stderr);
    }
}

#[test]
fn a_level_that_is_none_is_a_mistake_in_usage() {
    let (tree, place) = (tree(), TempTree::new());
    let cases: [(&str, &[&str]); 7] = [
        ("x.csv.zst", &["--level", "23"]),
        ("x.csv.gz", &["--level", "10"]),
        ("x.csv.gz", &["--level", "-1"]),
        ("x.csv", &["--level", "3"]),
        ("x.parquet", &["--level", "0"]),
        ("x.parquet", &["--compress", "gzip"]),
        ("x.csv.zst", &["--level", "high"]),
    ];
    for (name, options) in cases {
        let ran = to_file(tree.path(), &place.path().join(name), options).expect(2);
        assert!(ran.stderr.contains("level") || ran.stderr.contains("--compress"), "{}", ran.stderr);
    }
    assert!(names(place.path()).is_empty());
    for (name, level) in [("x.csv.zst", "-7"), ("x.parquet", "22"), ("x.csv.gz", "0")] {
        to_file(tree.path(), &place.path().join(name), &["--level", level, "-q"]).expect(0);
    }
}

#[test]
fn a_higher_level_makes_a_smaller_file() {
    let (tree, _) = TempTree::with(|root| trees::wide(root, 3_000));
    let place = TempTree::new();
    for (name, low, high) in [("x.csv.zst", "-7", "19"), ("x.csv.gz", "1", "9"), ("x.parquet", "1", "19")] {
        let size = |level: &str| {
            let file = place.path().join(format!("{level}{name}"));
            to_file(tree.path(), &file, &["--level", level, "--threads", "1", "-q"]).expect(0);
            file.metadata().unwrap().len()
        };
        assert!(size(high) < size(low), "{name}");
    }
}

#[test]
fn standard_output_gets_rows_and_nothing_else() {
    let tree = tree();
    for arguments in
        [&["report", "-o", "-"][..], &["report", "-o", "/dev/stdout"], &["report", "-o", "-", "--progress", "always"]]
    {
        let ran = run(pwalk(arguments).arg(tree.path())).expect(0);
        let rows = lines(&ran.stdout);
        assert!(rows[0].starts_with(b"inode,parent-inode,"));
        assert_eq!(csv_paths(&rows[1..].concat()), find(tree.path(), &[]));
        assert!(ran.stderr.contains("standard output: COMPLETE"), "{}", ran.stderr);
    }
    let ran = to_stdout(tree.path(), &["--no-header"]).expect(0);
    assert_eq!(csv_paths(&ran.stdout), find(tree.path(), &[]));
    assert_eq!(ran.stderr, "", "quiet");
}

#[test]
fn compressed_csv_and_parquet_can_go_to_standard_output() {
    let (tree, place) = (tree(), TempTree::new());
    let cases = [
        (&["--format", "parquet"], "x.parquet"),
        (&["--compress", "zstd"], "x.csv.zst"),
        (&["--compress", "gzip"], "x.csv.gz"),
    ];
    for (options, name) in cases {
        let file = place.path().join(name);
        std::fs::write(&file, to_stdout(tree.path(), options).expect(0).stdout).unwrap();
        assert_eq!(number("select count(*) from ?", &file), find(tree.path(), &[]).len() as u64, "{name}");
    }
}

#[test]
fn a_fifo_and_a_device_are_written_into() {
    let (tree, place) = (tree(), TempTree::new());
    for name in ["fifo", "fifo.parquet"] {
        let fifo = place.path().join(name);
        oracle("mkfifo", [&fifo]);
        let mut running = Running::start(pwalk(["report", "-q", "-o"]).arg(&fifo).arg(tree.path()));
        let mut bytes = Vec::new();
        std::fs::File::open(&fifo).unwrap().read_to_end(&mut bytes).unwrap();
        assert!(running.child().wait().unwrap().success());
        let copy = place.path().join("copy");
        std::fs::write(&copy, bytes).unwrap();
        let reader = if name == "fifo" { "read_csv" } else { "read_parquet" };
        assert_eq!(number(&format!("select count(*) from {reader}(?)"), &copy), find(tree.path(), &[]).len() as u64);
        assert_eq!(names(place.path()).len(), 2, "the FIFO is still one, and nothing is beside it");
        std::fs::remove_file(&copy).unwrap();
        std::fs::remove_file(&fifo).unwrap();
    }
    let ran = to_file(tree.path(), Path::new("/dev/null"), &[]).expect(0);
    assert!(ran.stderr.contains("/dev/null: COMPLETE"), "{}", ran.stderr);
}

#[test]
fn the_ledger_goes_where_it_is_told() {
    let (tree, place) = (tree(), TempTree::new());
    let (output, errors) = (place.path().join("x.csv"), place.path().join("errors.jsonl"));
    to_file(tree.path(), &output, &["-q", "--errors", errors.to_str().unwrap()]).expect(0);
    assert_eq!(std::fs::read(&errors).unwrap(), b"", "it is there in any case");
    let mut command = pwalk(["report", "-q", "--errors", errors.to_str().unwrap(), "-o"]);
    run(command.arg(&output).arg(tree.path()).arg("/no/such")).expect(1);
    let entries = json_lines(&std::fs::read_to_string(&errors).unwrap());
    assert_eq!((entries.len(), &entries[0]["path"]), (1, &json!("/no/such")));
    assert_eq!(names(place.path()), ["errors.jsonl", "x.csv"], "and not beside the output, too");
    let mut command = pwalk(["report", "-q", "--errors", "-", "-o"]);
    let ran = run(command.arg(&output).arg(tree.path()).arg("/no/such")).expect(1);
    assert_eq!(json_lines(ran.text())[0]["path"], "/no/such");
}

#[test]
fn progress_as_json_is_json_to_the_last_line() {
    let (tree, place) = (tree(), TempTree::new());
    let output = place.path().join("x.csv");
    let ran = to_file(tree.path(), &output, &["--progress", "json"]).expect(0);
    let events = json_lines(&ran.stderr);
    let (done, before) = events.split_last().unwrap();
    assert!(before.iter().all(|e| e["event"] == "progress"), "{before:?}");
    let rows = find(tree.path(), &[]);
    assert_eq!((&done["event"], &done["verdict"]), (&json!("done"), &json!("COMPLETE")));
    assert_eq!((&done["entries"], &done["directories"], &done["errors"]), (&json!(rows.len()), &json!(5), &json!(0)));
    assert_eq!(done["output"], json!(output));
    assert_eq!(done["output_bytes"], json!(output.metadata().unwrap().len()));

    let mut command = pwalk(["report", "--progress", "json", "-o"]);
    let ran = run(command.arg(&output).arg(tree.path()).arg("/no/such")).expect(1);
    let events = json_lines(&ran.stderr);
    let done = events.last().unwrap();
    assert_eq!((&done["verdict"], &done["errors_by_class"]), (&json!("PARTIAL"), &json!({"vanished": 1})));
    assert_eq!(done["ledger"], json!(crate::common::ledger_path(&output)));
}

#[test]
fn quiet_is_quiet_and_errors_are_still_told() {
    let (tree, place) = (tree(), TempTree::new());
    let output = place.path().join("x.csv");
    for options in [&["--quiet"][..], &["-q", "--progress", "always"], &["-q", "--progress", "json"]] {
        assert_eq!(to_file(tree.path(), &output, options).expect(0).stderr, "");
    }
    for options in [&["--progress", "never"][..], &["--progress", "auto"], &["--progress", "always"]] {
        assert!(to_file(tree.path(), &output, options).expect(0).stderr.contains("COMPLETE"));
    }
    let ran = run(pwalk(["report", "-q", "-o"]).arg(&output).arg(tree.path()).arg("/no/such")).expect(1);
    assert!(ran.stderr.contains("PARTIAL") && ran.stderr.contains(".errors.jsonl"), "{}", ran.stderr);
}

#[test]
fn progress_lines_come_while_it_runs() {
    use pwalk_testkit::fuse::{Fault, Op, Synthetic, Tree};
    let mounted = Synthetic::custom(Tree::new().file("a/f", 1)).fault(Fault::hang(Op::Opendir, "a")).mount().unwrap();
    let mut command = pwalk(["report", "-o", "/dev/null", "--progress", "always"]);
    let mut child = command.arg(mounted.path()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stderr = std::io::BufReader::new(child.stderr.take().unwrap());
    let mut line = String::new();
    std::io::BufRead::read_line(&mut stderr, &mut line).unwrap();
    mounted.release();
    assert!(line.contains("entries") && line.contains("workers"), "{line}");
    assert!(child.wait().unwrap().success());
}
