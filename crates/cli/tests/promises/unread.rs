//! Promise: what could not be read is told, and still has its line.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use pwalk_scan::{Verdict, read_metadata};
use pwalk_testkit::fuse::{Errno, Fault, Op, Synthetic, Tree};
use pwalk_testkit::{TempTree, trees, without_dac_override};
use serde_json::{Value, json};

use crate::common::{
    PWALK, Ran, Running, csv_paths, json_lines, ledger, ledger_path, oracle, pwalk, row_of, run, wait_until,
};

/// Operation, errno and its name, class and path of ledger entries, in the order of their paths.
fn told(entries: &[Value]) -> Vec<Value> {
    let fields = ["operation", "errno", "errno_name", "class", "path"];
    let mut told: Vec<Value> = entries.iter().map(|e| fields.iter().map(|f| e[f].clone()).collect()).collect();
    told.sort_by_key(|e| e[4].to_string());
    told
}

/// A report of `root` into `output`, and its rows.
fn report(mut command: Command, root: &Path, output: &Path) -> (Ran, Vec<u8>) {
    command.args(["report", "--no-header", "--quiet", "--errors"]);
    let ran = run(command.arg(output.with_extension("errors")).arg("-o").arg(output).arg(root));
    (ran, oracle("zstdcat", [output]))
}

/// The sizes of what is in a directory, summed.
fn sum_of(directory: &Path) -> u64 {
    std::fs::read_dir(directory).unwrap().map(|e| e.unwrap().metadata().unwrap().len()).sum()
}

#[test]
fn a_directory_that_may_not_be_read_has_its_line_and_a_ledger_entry() {
    let (tree, _) = TempTree::with(trees::unreadable);
    let place = TempTree::new();
    let output = place.path().join("x.csv.zst");
    let (ran, csv) = report(without_dac_override(PWALK), tree.path(), &output);
    let ran = ran.expect(1);
    assert!(ran.stderr.contains("PARTIAL") && ran.stderr.contains("denied"), "{}", ran.stderr);
    let at = |name: &str| tree.path().join(name);
    for closed in ["locked", "searchable"] {
        assert_eq!(row_of(&csv, at(closed))[15..], ["0", "0"], "{closed}");
    }
    assert_eq!(row_of(&csv, at("secret"))[7], "7", "a file that may not be opened has its metadata");
    let root = row_of(&csv, tree.path());
    assert_eq!(root[15..], ["5".to_owned(), sum_of(tree.path()).to_string()]);
    let denied = |operation: &str, name: &str| json!([operation, 13, "EACCES", "denied", at(name)]);
    let want = [denied("stat", "listable/inside"), denied("open", "locked"), denied("open", "searchable")];
    assert_eq!(told(&ledger(&output.with_extension("errors"))), want);
    let metadata = read_metadata(&output).unwrap().unwrap();
    assert_eq!(
        (metadata.verdict, metadata.counts["errors"], metadata.counts["errors_denied"]),
        (Verdict::Partial, 3, 3)
    );
    assert_eq!(metadata.counts["entries"], csv_paths(&csv).len() as u64);
}

/// A tree whose directory `bad` cannot be used.
fn with_fault(fault: Fault) -> Synthetic {
    Synthetic::custom(Tree::new().file("good/a", 10).file("good/b", 20).file("bad/c", 30)).fault(fault)
}

#[test]
fn a_directory_that_cannot_be_opened_or_listed_has_its_line() {
    let cases = [
        (Op::Opendir, Errno::IO, "open", "EIO", "io"),
        (Op::Readdir, Errno::IO, "list", "EIO", "io"),
        (Op::Opendir, Errno::STALE, "open", "ESTALE", "stale"),
        (Op::Opendir, Errno::ACCESS, "open", "EACCES", "denied"),
    ];
    for (op, errno, operation, errno_name, class) in cases {
        let mounted = with_fault(Fault::error(op, "bad", errno)).mount().unwrap();
        let place = TempTree::new();
        let output = place.path().join("x.csv.zst");
        let (ran, csv) = report(pwalk::<&str>([]), mounted.path(), &output);
        let ran = ran.expect(1);
        assert!(ran.stderr.contains(&format!("PARTIAL: 1 {class}")), "{}", ran.stderr);
        let bad = mounted.path().join("bad");
        assert_eq!(row_of(&csv, &bad)[15..], ["0", "0"]);
        assert_eq!(row_of(&csv, mounted.path().join("good"))[15..], ["2", "30"]);
        assert_eq!(csv_paths(&csv).len(), 5, "c is not to be seen, all others are");
        let want = json!([operation, errno.raw_os_error(), errno_name, class, bad]);
        assert_eq!(told(&ledger(&output.with_extension("errors"))), [want]);
        assert_eq!(read_metadata(&output).unwrap().unwrap().verdict, Verdict::Partial);
    }
}

#[test]
fn an_entry_that_cannot_be_looked_at_is_in_the_ledger() {
    let mounted = with_fault(Fault::error(Op::Lookup, "good/b", Errno::IO)).mount().unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.csv.zst");
    let (ran, csv) = report(pwalk::<&str>([]), mounted.path(), &output);
    ran.expect(1);
    assert_eq!(csv_paths(&csv).len(), 5);
    let want = json!(["stat", 5, "EIO", "io", mounted.path().join("good/b")]);
    assert_eq!(told(&ledger(&output.with_extension("errors"))), [want]);
}

#[test]
fn a_call_that_hangs_is_given_up_and_named() {
    let mounted = with_fault(Fault::hang(Op::Opendir, "bad")).mount().unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.csv.zst");
    let mut command = pwalk(["report", "--no-header", "--give-up-after", "0.5", "-o"]);
    let running = Running::start(command.arg(&output).arg(mounted.path()));
    wait_until("the file is complete", || output.exists());
    // The kernel keeps a process until its calls are answered, even one that has ended. So they are, afterwards.
    assert_eq!(mounted.hanging(), 1);
    mounted.release();
    let ran = Ran::of(running.output()).expect(1);
    let bad = mounted.path().join("bad");
    assert!(ran.stderr.contains(bad.to_str().unwrap()), "{}", ran.stderr);
    assert!(ran.stderr.contains("given up") && ran.stderr.contains("PARTIAL"), "{}", ran.stderr);
    let csv = oracle("zstdcat", [&output]);
    assert_eq!(row_of(&csv, &bad)[15..], ["0", "0"]);
    assert_eq!(csv_paths(&csv).len(), 5);
    let want = json!(["open", null, null, "timeout", bad]);
    assert_eq!(told(&ledger(&ledger_path(&output))), [want]);
    let metadata = read_metadata(&output).unwrap().unwrap();
    assert_eq!((metadata.verdict, &metadata.options["give-up-after"]), (Verdict::Partial, &json!(0.5)));
}

#[test]
fn a_call_that_comes_back_in_time_is_not_given_up() {
    let slow = Fault::slow(Op::Opendir, "bad", Duration::from_millis(300));
    let mounted = with_fault(slow).mount().unwrap();
    let ran = run(pwalk(["report", "-q", "-o", "-", "--no-header", "--give-up-after", "60"]).arg(mounted.path()));
    assert_eq!(csv_paths(&ran.expect(0).stdout).len(), 6);
}

#[test]
fn without_a_place_for_a_ledger_errors_go_to_standard_error() {
    let mounted = with_fault(Fault::error(Op::Opendir, "bad", Errno::IO)).mount().unwrap();
    for output in ["-", "/dev/null"] {
        let ran = run(pwalk(["report", "-q", "-o", output]).arg(mounted.path())).expect(1);
        let json: String = ran.stderr.lines().filter(|l| l.starts_with('{')).collect();
        assert_eq!(told(&json_lines(&json)), [json!(["open", 5, "EIO", "io", mounted.path().join("bad")])]);
    }
    assert!(!Path::new("/dev/null.errors.jsonl").exists());
}
