//! Promise: every query of `docs/duckdb.md` runs on real scans and gives the answer that stands under it.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, SystemTime};

use pwalk_testkit::TempTree;
use pwalk_testkit::fuse::{Synthetic, Tree};

use crate::common::{PWALK, python};

const TB: u64 = 1_000_000_000_000;

/// Seconds since 1970 of days that the page names.
const MAY_2019: u64 = 1_556_700_000;
const JUNE_2019: u64 = 1_559_390_400;
const SEPTEMBER_2026: u64 = 1_788_264_000;
const NOVEMBER_10: u64 = 1_794_312_000;
const NOVEMBER_19: u64 = 1_795_089_600;
const NOVEMBER_20: u64 = 1_795_176_000;

fn file(tree: Tree, path: &str, bytes: u64, owner: u32, written: u64, read: u64) -> Tree {
    let at = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
    tree.file(path, bytes).attributes(path, |attr| {
        (attr.uid, attr.mtime, attr.atime) = (owner, at(written), at(read));
        attr.blocks = bytes.div_ceil(512);
    })
}

fn directories(tree: Tree, paths: &[&str]) -> Tree {
    paths.iter().fold(tree, |tree, path| {
        tree.dir(path).attributes(path, |attr| (attr.uid, attr.size, attr.blocks) = (0, 4096, 8))
    })
}

/// What is there in both weeks.
fn always() -> Tree {
    let tree = directories(Tree::new(), &["", "home", "home/ann", "home/bob", "projects", "projects/old"]);
    let tree = file(tree, "home/ann/corpus.bin", 4 * TB, 0, SEPTEMBER_2026, SEPTEMBER_2026);
    let tree = file(tree, "home/bob/run1.h5", 2 * TB, 1, NOVEMBER_10, NOVEMBER_10);
    file(tree, "projects/old/sim-2019.tar", 6 * TB, 70_003, MAY_2019, JUNE_2019)
}

fn last_week() -> Tree {
    let tree = file(always(), "projects/old/notes.txt", 1000, 70_003, MAY_2019, JUNE_2019);
    tree.attributes("projects/old/notes.txt", |attr| attr.blocks = 8)
}

fn today() -> Tree {
    let tree = file(always(), "home/ann/corpus2.bin", 3 * TB, 0, NOVEMBER_20, NOVEMBER_20);
    let tree = file(tree, "home/bob/run2.h5", 5 * TB, 1, NOVEMBER_19, NOVEMBER_19);
    let mut tree = directories(tree, &["projects/cache"]);
    tree = file(tree, "projects/cache/index", 4096, 0, MAY_2019, MAY_2019);
    for number in 0..1_000_000 {
        tree = file(tree, &format!("projects/cache/{number:06x}"), 0, 0, MAY_2019, MAY_2019);
    }
    tree
}

/// The blocks of a Markdown page: each with its language, and the indented lines that come next after it.
fn blocks(page: &str) -> Vec<(String, String, Vec<String>)> {
    let mut found: Vec<(String, String, Vec<String>)> = Vec::new();
    let mut lines = page.lines();
    while let Some(line) = lines.next() {
        if let Some(language) = line.strip_prefix("```") {
            let text: Vec<_> = lines.by_ref().take_while(|line| *line != "```").collect();
            found.push((language.to_owned(), text.join("\n"), Vec::new()));
        } else if let (Some(answer), Some((.., answers))) = (line.strip_prefix("    "), found.last_mut()) {
            answers.push(answer.to_owned());
        }
    }
    found
}

/// Rows as the page shows them, columns as wide as their widest.
const SHOW: &str = r#"
import duckdb, sys
duckdb.sql("set enable_progress_bar = false")
rows = [[str(value) for value in row] for row in duckdb.sql(sys.argv[1]).fetchall()]
for row in rows:
    print("│ " + " │ ".join(" ".join(value.split()) for value in row) + " │")
"#;

fn said(directory: &Path, script: &[&str]) -> Vec<String> {
    let output = python().current_dir(directory).arg("-c").args(script).output().expect("run Python");
    assert!(output.status.success(), "{script:?}: {}", output.stderr.escape_ascii());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn queries_give_the_answers_under_them() {
    let place = TempTree::new();
    let data = place.subdir("data");
    let report = |output: &str| {
        let mut report = Command::new(PWALK);
        let done = report.current_dir(place.path()).args(["report", "data", "-q", "-o", output]).output().unwrap();
        assert!(done.status.success(), "{}", done.stderr.escape_ascii());
    };
    let mounted = Synthetic::custom(last_week()).mount_at(&data).unwrap();
    report("last-week.parquet");
    mounted.unmount().unwrap();
    let mounted = Synthetic::custom(today()).mount_at(&data).unwrap();
    report("today.parquet");
    report("today.csv.zst");

    let page = include_str!("../../../../docs/duckdb.md");
    let blocks = blocks(page);
    assert_eq!(blocks.iter().filter(|(language, ..)| language == "sql").count(), 8);
    for (language, text, answers) in blocks {
        // The answer of a Python block may be followed by a command, which is indented too.
        let answers: Vec<_> = answers.iter().filter(|line| !line.starts_with("pwalk ")).cloned().collect();
        let told = match language.as_str() {
            "sql" => said(place.path(), &[SHOW, &text]),
            // The package is installed by a later step of the test run, which runs such blocks (`test_docs.py`).
            "python" => continue,
            other => panic!("a block in {other}"),
        };
        let squeezed = |lines: &[String]| -> Vec<String> {
            lines.iter().map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
        };
        assert_eq!(squeezed(&told), squeezed(&answers), "{text}");
    }
    mounted.unmount().unwrap();
}
