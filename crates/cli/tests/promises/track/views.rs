//! What other programs see of a catalog, and what is counted.

use std::path::Path;
use std::process::Command;

use pwalk_testkit::TempTree;
use serde_json::Value;

use super::Kept;
use crate::common::{find, json_lines, python};
use crate::forest::Forest;

/// What `DuckDB` answers through the views.
fn ask(views: &Path, query: &str) -> Vec<Value> {
    const SCRIPT: &str = "
import duckdb, json, sys
db = duckdb.connect()
db.execute('set enable_progress_bar = false')
db.execute(open(sys.argv[1], encoding='utf-8').read())
rows = db.execute(sys.argv[2]).fetchall()
print(json.dumps(rows, default=lambda v: list(v) if isinstance(v, bytes) else str(v)))
";
    let mut python: Command = python();
    let output = python.args(["-c", SCRIPT]).arg(views).arg(query).output().unwrap();
    assert!(output.status.success(), "{query}: {}", output.stderr.escape_ascii());
    serde_json::from_slice(&output.stdout).unwrap()
}

#[test]
fn duckdb_sees_what_the_catalog_says() {
    let place = TempTree::new();
    let roots = ["it's one", "two"].map(|name| place.subdir(name));
    let catalog = place.path().join("cata'log");
    let kept = Kept::local(catalog.clone());
    let views = catalog.join("views.sql");
    kept.run("init", [] as [&str; 0]).expect(0);
    for view in ["files", "past_files", "file_changes", "scan_runs"] {
        assert_eq!(ask(&views, &format!("select count(*) from {view}")), [Value::from(vec![0])]);
    }
    let mut forests = [0, 1].map(|at| Forest::new(&roots[at], 20 + at as u64));
    for round in 0..12 {
        for (forest, root) in forests.iter_mut().zip(&roots) {
            forest.changes(50);
            kept.run("scan", ["-q".as_ref(), "--accept-mass-delete".as_ref(), root.as_os_str()]).expect(0);
        }
        if round % 4 != 3 {
            continue;
        }
        let there: usize = roots.iter().map(|root| find(root, &[]).len()).sum();
        assert_eq!(
            ask(&views, "select count(*), count(distinct coalesce(path_bytes, encode(path))) from files"),
            [Value::from(vec![there, there])]
        );
        let files: usize = roots.iter().map(|root| find(root, &["-type", "f", "-size", "+1"]).len()).sum();
        assert_eq!(ask(&views, "select count(*) from files where type = 'file' and size > 512")[0][0], files);
    }
    let told = json_lines(kept.run("changes", ["--since", "0", "--json"]).expect(0).text());
    assert_eq!(ask(&views, "select count(*) from file_changes")[0][0], told.len());
    let of_run = |run: u64| told.iter().filter(|o| o["run"] == run && o["change_type"] == "added").count();
    for row in ask(&views, "select run, added from scan_runs order by run") {
        assert_eq!(row[1], of_run(row[0].as_u64().unwrap()), "{row}");
    }
    // How it was after a run, as the command says it.
    let runs = json_lines(kept.run("runs", ["--json"]).expect(0).text());
    for run in &runs[runs.len() - 6..] {
        let (run, root) = (run["run"].as_u64().unwrap(), run["root"].as_str().unwrap());
        let was = kept.sizes(Path::new(root), Some(run)).len() + 1;
        let of = format!("(path = '{0}' or path like '{0}/%')", root.replace('\'', "''"));
        let query = format!(
            "select (select count(*) from files where run <= {run} and {of}) + (select count(*) from past_files where run <= {run} and to_run > {run} and {of})"
        );
        assert_eq!(ask(&views, &query)[0][0], was, "run {run}");
    }
    assert_eq!(ask(&views, "select count(*) from scan_runs where finished < now()")[0][0], runs.len());
    // The same from the command.
    let printed = place.path().join("printed.sql");
    std::fs::write(&printed, kept.run("export", ["--duckdb-sql"]).expect(0).stdout).unwrap();
    assert_eq!(ask(&printed, "select count(*) from files"), ask(&views, "select count(*) from files"));
    // And as a file of its own.
    let file = place.path().join("out.parquet");
    let arguments = ["--parquet".as_ref(), file.as_os_str(), "--path".as_ref(), roots[0].as_os_str()];
    kept.run("export", arguments).expect(0);
    assert_eq!(crate::common::number("select count(*) from ?", &file), find(&roots[0], &[]).len() as u64);
}

#[test]
fn reports_count_what_changed() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let kept = Kept::local(place.path().join("catalog"));
    let mut forest = Forest::new(&root, 30);
    for _ in 0..6 {
        forest.changes(60);
        kept.run("scan", ["-q".as_ref(), "--accept-mass-delete".as_ref(), root.as_os_str()]).expect(0);
    }
    let told = json_lines(kept.run("changes", ["--since", "0", "--json"]).expect(0).text());
    let count = |what: &str| told.iter().filter(|o| o["change_type"] == what).count();
    let is_file = |o: &&Value| o["kind"] != "dir";
    let bytes = |what: &str, side: &str| -> i64 {
        told.iter().filter(is_file).filter(|o| o["change_type"] == what).map(|o| o[side].as_i64().unwrap()).sum()
    };
    let growth = bytes("added", "new_size") - bytes("removed", "old_size")
        + ["modified", "moved"].map(|what| bytes(what, "new_size") - bytes(what, "old_size")).iter().sum::<i64>();
    for by in [
        &[][..],
        &["--by", "dir"],
        &["--by", "user", "--daily"],
        &["--by", "group", "--weekly"],
        &["--by", "extension"],
    ] {
        let ran = kept.run("report", [&["--format", "json"], by].concat()).expect(0);
        let report: Value = serde_json::from_str(ran.text()).unwrap();
        let rows = report["rows"].as_array().unwrap();
        let sum = |field: &str| rows.iter().map(|row| row[field].as_i64().unwrap()).sum::<i64>();
        for what in ["added", "removed", "modified", "moved", "metadata"] {
            assert_eq!(usize::try_from(sum(what)).unwrap(), count(what), "{by:?} {what}");
            assert_eq!(report["total"][what], count(what));
        }
        assert_eq!((sum("growth_bytes"), sum("removed_bytes")), (growth, bytes("removed", "old_size")), "{by:?}");
        let lines = kept.run("report", [&["--format", "csv"], by].concat()).expect(0);
        assert_eq!(lines.text().lines().count(), rows.len() + 1);
        let table = kept.run("report", by).expect(0);
        assert!(table.text().contains("growth") && table.text().contains("total"), "{}", table.text());
    }
    let page = place.path().join("report.html");
    kept.run("report", ["--daily".as_ref(), "--format".as_ref(), "html".as_ref(), "-o".as_ref(), page.as_os_str()])
        .expect(0);
    let text = std::fs::read_to_string(page).unwrap();
    assert!(text.starts_with("<!DOCTYPE html>") && text.trim_end().ends_with("</html>"));
    assert!(!text.contains("http") && !text.contains("<script"), "it needs something else");
}
