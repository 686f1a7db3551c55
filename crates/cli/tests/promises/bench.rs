//! Promise: `pwalk bench` measures what it says, tells of it in three forms, and leaves nothing behind but what was asked for.

use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use pwalk_testkit::fuse::{Op, Synthetic, Tree};
use pwalk_testkit::{TempTree, is_root, unprivileged, without_dac_override};
use rustix::process::Signal;
use serde_json::Value;

use crate::common::{PWALK, Ran, Running, names, pwalk, python, run, wait_until};

/// A workspace with components, and an empty directory for copies of it.
struct Place {
    tree: TempTree,
    source: PathBuf,
    target: PathBuf,
}

impl Place {
    fn new() -> Self {
        let tree = TempTree::new();
        let (source, target) = (tree.path().join("source"), tree.path().join("target"));
        std::fs::create_dir(&target).unwrap();
        for number in 0..300 {
            let dir = source.join(["a", "b", "c/deep"][number % 3]);
            std::fs::create_dir_all(&dir).unwrap();
            std::fs::write(dir.join(number.to_string()), vec![1; 100 * (number % 50)]).unwrap();
        }
        std::os::unix::fs::symlink("a/0", source.join("link")).unwrap();
        Self { tree, source, target }
    }

    fn bench(&self, what: &str, arguments: &[&str]) -> Ran {
        run(&mut self.command(what, arguments))
    }

    fn command(&self, what: &str, arguments: &[&str]) -> Command {
        let mut command = pwalk(["bench", what, "--iterations", "1"]);
        if what != "traversal" {
            command.arg("--target").arg(&self.target);
        }
        command.arg(&self.source).args(arguments);
        command
    }

    #[track_caller]
    fn is_clean(&self) {
        assert!(names(&self.target).is_empty(), "{:?}", names(&self.target));
    }
}

const STRATEGIES: [&str; 6] = ["baseline", "auto", "buffered", "sendfile", "parallel", "pipeline"];
const WALKS: [&str; 5] = ["readdir", "readdir-stat", "engine-1", "engine-4", "engine-stat-adaptive"];

#[test]
fn each_command_has_a_table_of_its_methods() {
    let place = Place::new();
    let workers = ["baseline", "parallel-1", "parallel-2", "parallel-4", "parallel-8", "parallel-16"];
    let cases: [(&str, &[&str], &[&str]); 4] = [
        ("traversal", &[], &WALKS),
        ("copy", &[], &STRATEGIES),
        ("workers", &[], &workers),
        ("pipeline", &["--components", "a,c"], &["baseline", "auto", "pipeline"]),
    ];
    for (what, arguments, methods) in cases {
        let ran = place.bench(what, arguments).expect(0);
        for method in methods {
            let mut rows = ran.text().lines().filter(|line| line.split_whitespace().next() == Some(method));
            assert!(rows.next().is_some_and(|row| row.contains('x') && row.contains(" MiB")), "{}", ran.text());
        }
        assert!(!ran.text().contains("FAILED") && ran.text().contains("Median"), "{}", ran.text());
        assert_eq!(ran.stderr, "", "no progress where there is no terminal");
        place.is_clean();
    }
    let quiet = place.bench("copy", &["--quiet"]).expect(0);
    assert_eq!((quiet.text(), quiet.stderr.as_str()), ("", ""));
}

#[test]
fn json_and_page_have_everything() {
    let place = Place::new();
    let results = place.tree.path().join("results/of today");
    let mut command = place.command("all", &["--json", "--components", "b", "--output-dir"]);
    let ran = run(command.arg(&results)).expect(0);
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    check(&told, &place);
    let files = names(&results);
    let [page, json] = files.as_slice() else { panic!("{files:?}") };
    let (page, json) = (results.join(page), results.join(json));
    assert_eq!(serde_json::from_slice::<Value>(&std::fs::read(&json).unwrap()).unwrap(), told);
    assert_eq!(page.with_extension("json"), json);
    let text = std::fs::read_to_string(&page).unwrap();
    for outside in ["http", "src=", "href=", "url(", "@import", "<script"] {
        assert!(!text.contains(outside), "{outside}");
    }
    for inside in ["prefers-color-scheme: dark", "Kernel", "Cores", "sendfile", "parallel-16", "engine-stat-adaptive"] {
        assert!(text.contains(inside), "{inside}");
    }
    // A real parser, and what it finds.
    const SCRIPT: &str = "
import sys, xml.etree.ElementTree as tree
page = tree.parse(sys.argv[1])
print(*(len(page.findall(f'.//{path}')) for path in ('svg', 'table', 'svg//rect', 'svg//path[@class=\"whisker\"]', 'tr')))
";
    let output = python().args(["-c", SCRIPT]).arg(&page).output().unwrap();
    assert!(output.status.success(), "{}", output.stderr.escape_ascii());
    let methods: usize = told["sections"].as_array().unwrap().iter().map(|one| rows(one).len()).sum();
    let expected = format!("4 4 {methods} {methods} {}\n", methods + 4);
    assert_eq!(String::from_utf8(output.stdout).unwrap(), expected);
    place.is_clean();
}

fn rows(section: &Value) -> &Vec<Value> {
    section["methods"].as_array().unwrap()
}

fn check(told: &Value, place: &Place) {
    assert_eq!((&told["version"], &told["operation"], &told["interrupted"]), (&1.into(), &"all".into(), &false.into()));
    assert!(told["machine"]["cores"].as_u64().unwrap() > 0 && told["date"].as_str().unwrap().ends_with('Z'));
    let sections = told["sections"].as_array().unwrap();
    let operations: Vec<_> = sections.iter().map(|section| section["operation"].as_str().unwrap()).collect();
    assert_eq!(operations, ["traversal", "copy_strategies", "parallel_workers", "pipeline"]);
    for section in sections {
        assert_eq!(section["source"]["path"], place.source.to_str().unwrap());
        assert!(section["source"]["file_system"].is_string());
        assert_eq!(section["files"], if section["operation"] == "pipeline" { 100 } else { 301 });
        for row in rows(section) {
            for key in ["duration", "min", "max", "throughput_mbps", "files_per_second", "ratio", "peak_memory"] {
                assert!(row[key].as_f64().is_some_and(|number| number > 0.0), "{key}: {row}");
            }
            assert_eq!((&row["errors"], &row["failed"]), (&Value::Array(Vec::new()), &false.into()));
            assert_eq!(row["durations"].as_array().unwrap().len(), 1);
            let named = row["speed_summary"].as_str().unwrap().starts_with(row["method"].as_str().unwrap());
            assert!(named && row["file_count"].as_u64().unwrap() >= 100, "{row}");
        }
    }
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let place = Place::new();
    let missing = run(&mut pwalk(["bench", "traversal", "/no/such/place"])).expect(3);
    assert!(missing.stderr.contains("/no/such/place") && missing.stderr.contains("No such file"), "{}", missing.stderr);
    let component = place.bench("pipeline", &["--components", "a,none"]).expect(2);
    assert!(component.stderr.contains("\"none\" is no sub-directory"), "{}", component.stderr);
    for arguments in [&["bench"][..], &["bench", "copy"], &["bench", "copy", "--iterations", "0", "/"]] {
        run(&mut pwalk(arguments)).expect(2);
    }
    let mut within = pwalk(["bench", "copy", "--target"]);
    let within = run(within.arg(place.source.join("a")).arg(&place.source)).expect(3);
    assert!(within.stderr.contains("in the source"), "{}", within.stderr);
    let mut output = pwalk(["bench", "traversal", "--output-dir"]);
    let output = run(output.arg(place.source.join("a/0")).arg(&place.source)).expect(3);
    assert!(output.stderr.contains("cannot write the results"), "{}", output.stderr);
    place.is_clean();
}

#[test]
fn dropping_caches_is_for_root() {
    if !is_root() {
        return;
    }
    let (tree, program) = reachable();
    let mut command = unprivileged(&program);
    let ran = run(command.args(["bench", "traversal", "--drop-caches"]).arg(tree.path())).expect(3);
    assert!(ran.stderr.contains("needs root") && ran.stderr.contains("--drop-caches"), "{}", ran.stderr);
    assert_eq!(ran.text(), "");
}

/// The program where others can reach it.
fn reachable() -> (TempTree, PathBuf) {
    let tree = TempTree::new();
    let program = tree.path().join("pwalk");
    std::fs::copy(PWALK, &program).unwrap();
    std::fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    std::fs::set_permissions(tree.path(), Permissions::from_mode(0o755)).unwrap();
    (tree, program)
}

#[test]
fn a_method_that_does_not_copy_everything_has_failed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    std::fs::set_permissions(place.source.join("b/1"), Permissions::from_mode(0o0)).unwrap();
    let mut command = without_dac_override(PWALK);
    command.args(["bench", "copy", "--iterations", "1", "--target"]).arg(&place.target).arg(&place.source);
    let ran = run(&mut command).expect(1);
    for strategy in STRATEGIES {
        let line = ran.text().lines().find(|line| line.starts_with(strategy)).unwrap();
        assert!(line.contains("FAILED"), "{line}");
    }
    assert!(ran.stderr.contains("b/1") && ran.stderr.contains("Permission denied"), "{}", ran.stderr);
    place.is_clean();
}

#[test]
fn copies_of_directories_that_nobody_may_write_are_removed() {
    if !is_root() {
        return;
    }
    let place = Place::new();
    for dir in ["c/deep", "c", "a"] {
        std::fs::set_permissions(place.source.join(dir), Permissions::from_mode(0o500)).unwrap();
    }
    let mut command = without_dac_override(PWALK);
    command.args(["bench", "pipeline", "--iterations", "1", "--target"]).arg(&place.target).arg(&place.source);
    run(&mut command).expect(0);
    place.is_clean();
}

#[test]
fn an_interrupt_leaves_no_copy() {
    let files = (0..600).fold(Tree::new(), |tree, number| tree.file(format!("dir/{number}"), 4096));
    let mounted = Synthetic::custom(files).delay(Duration::from_millis(4)).mount().unwrap();
    let place = Place::new();
    let mut command = pwalk(["bench", "copy", "--json", "--target"]);
    let mut running = Running::start(command.arg(&place.target).arg(mounted.path()));
    wait_until("files are copied", || mounted.ops().of(Op::Read) > 30);
    assert!(!names(&place.target).is_empty());
    running.signal(Signal::INT);
    let ran = Ran::of(running.output()).expect(130);
    place.is_clean();
    let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(told["interrupted"], true);
}
