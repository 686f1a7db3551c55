//! Promise: when the output cannot be written, the program says why, ends with 3, and leaves nothing behind.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use pwalk_testkit::{TempTree, trees, without_dac_override};

use crate::common::{PWALK, Ran, names, pwalk, run, to_file};

/// It failed, and the message names this.
#[track_caller]
fn failed(ran: Ran, name: &Path, why: &str) {
    let ran = ran.expect(3);
    let message = ran.stderr.lines().filter(|l| l.starts_with("pwalk: ")).collect::<Vec<_>>();
    assert_eq!(message.len(), 1, "one message: {}", ran.stderr);
    assert!(message[0].contains(name.to_str().unwrap()) && message[0].contains(why), "{}", ran.stderr);
    assert_eq!(ran.stdout, b"");
}

#[test]
fn a_place_that_is_none_is_named_at_once() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let place = TempTree::new();
    for name in ["x.csv", "x.csv.zst", "x.parquet"] {
        let missing = place.path().join("no-such").join(name);
        failed(to_file(tree.path(), &missing, &[]), &missing, "No such file or directory");
        let directory = place.subdir(name);
        failed(to_file(tree.path(), &directory, &[]), &directory, "is a directory");
        assert!(names(&directory).is_empty());
        std::fs::remove_dir(&directory).unwrap();
    }
    let file = place.path().join("file");
    std::fs::write(&file, "precious").unwrap();
    failed(to_file(tree.path(), &file.join("x.csv"), &[]), &file, "Not a directory");
    assert_eq!(std::fs::read(&file).unwrap(), b"precious");
    assert_eq!(names(place.path()), ["file"]);
}

#[test]
fn a_directory_without_the_right_to_write_is_named() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let place = TempTree::new();
    let closed = place.subdir("closed");
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    let output = closed.join("x.csv.zst");
    let mut command = without_dac_override(PWALK);
    failed(run(command.args(["report", "-o"]).arg(&output).arg(tree.path())), &output, "Permission denied");
    assert!(names(&closed).is_empty());
}

#[test]
fn a_full_disk_is_told_once() {
    // Enough for several blocks, so that many workers meet the failure.
    let (tree, _) = TempTree::with(|root| trees::wide(root, 20_000));
    for format in ["csv", "parquet"] {
        for threads in ["1", "8"] {
            let ran = to_file(tree.path(), Path::new("/dev/full"), &["--format", format, "--threads", threads]);
            failed(ran, Path::new("/dev/full"), "No space left on device");
        }
    }
    let mut command = pwalk(["report", "-q", "-o", "-"]);
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let ran = run(command.arg(tree.path()).stdout(full)).expect(3);
    assert!(ran.stderr.contains("standard output") && ran.stderr.contains("No space left"), "{}", ran.stderr);
}

/// `pwalk` whose files cannot grow beyond 50 KiB: what a full disk or a quota does to a file with a name.
fn small_files() -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "trap '' XFSZ; ulimit -f 100; exec \"$@\"", "sh", PWALK]);
    command
}

#[test]
fn an_output_that_fails_half_way_leaves_the_old_file_and_nothing_of_the_new() {
    let (tree, _) = TempTree::with(|root| trees::wide(root, 20_000));
    let place = TempTree::new();
    for name in ["x.csv", "x.csv.zst", "x.parquet"] {
        let output = place.path().join(name);
        for old in [None, Some("old")] {
            old.iter().for_each(|old| std::fs::write(&output, old).unwrap());
            let ran = run(small_files().args(["report", "-o"]).arg(&output).arg(tree.path()));
            failed(ran, &output, "File too large");
            assert_eq!(std::fs::read_to_string(&output).ok().as_deref(), old);
            assert_eq!(names(place.path()).len(), old.iter().count());
        }
        std::fs::remove_file(&output).unwrap();
    }
}

#[test]
fn nothing_to_report_is_no_report() {
    let place = TempTree::new();
    for name in ["x.csv", "x.csv.zst", "x.parquet"] {
        let output = place.path().join(name);
        std::fs::write(&output, "old").unwrap();
        let ran = run(pwalk(["report", "-o"]).arg(&output).args(["/no/such", "/no/such/either"])).expect(3);
        assert!(ran.stderr.contains("/no/such:") && ran.stderr.contains("/no/such/either:"), "{}", ran.stderr);
        assert!(ran.stderr.contains("No such file"), "{}", ran.stderr);
        assert_eq!(std::fs::read(&output).unwrap(), b"old");
        assert_eq!(names(place.path()), [name]);
        std::fs::remove_file(&output).unwrap();
    }
}

#[test]
fn a_ledger_that_cannot_be_written_is_a_failure() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let place = TempTree::new();
    let (output, ledger) = (place.path().join("x.csv"), place.path().join("no-such/e.jsonl"));
    let ran = to_file(tree.path(), &output, &["--errors", ledger.to_str().unwrap()]);
    failed(ran, &ledger, "No such file or directory");
    assert!(names(place.path()).is_empty());
    let mut command = pwalk(["report", "--errors", "/dev/full", "-o"]);
    run(command.arg(&output).arg(tree.path()).arg("/no/such")).expect(3);
}

#[test]
fn the_ledger_and_the_output_are_two_files() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let place = TempTree::new();
    std::fs::create_dir(place.path().join("sub")).unwrap();
    let output = place.path().join("x.csv");
    for (errors, more) in
        [("x.csv", &[][..]), ("sub/../x.csv", &[]), ("x.csv.gz", &["--compress", "gzip"]), ("./x.csv", &[])]
    {
        let mut arguments = vec!["--errors"];
        let errors = place.path().join(errors);
        arguments.push(errors.to_str().unwrap());
        arguments.extend(more);
        let ran = to_file(tree.path(), &output, &arguments).expect(2);
        assert!(ran.stderr.contains("same file"), "{}", ran.stderr);
        assert_eq!(names(place.path()), ["sub"]);
    }
    run(pwalk(["report", "-o", "-", "--errors", "-"]).arg(tree.path())).expect(2);
}

#[test]
fn when_the_ledger_fails_the_old_output_stays_and_when_the_output_fails_the_old_ledger_stays() {
    let (tree, _) = TempTree::with(|root| trees::wide(root, 20_000));
    let place = TempTree::new();
    let output = place.path().join("x.csv");
    let ledger = crate::common::ledger_path(&output);
    std::fs::write(&output, "old").unwrap();
    // The ledger cannot be written.
    let ran = run(pwalk(["report", "--errors", "/dev/full", "-o"]).arg(&output).arg(tree.path()).arg("/no/such"));
    ran.expect(3);
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
    std::fs::create_dir(&ledger).unwrap();
    run(pwalk(["report", "-o"]).arg(&output).arg(tree.path())).expect(3);
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
    std::fs::remove_dir(&ledger).unwrap();
    // The output cannot be written.
    std::fs::write(&ledger, "old ledger").unwrap();
    let ran = run(small_files().args(["report", "-o"]).arg(&output).arg(tree.path()).arg("/no/such"));
    failed(ran, &output, "File too large");
    assert_eq!(std::fs::read(&output).unwrap(), b"old");
    assert_eq!(std::fs::read(&ledger).unwrap(), b"old ledger");
    assert_eq!(names(place.path()), ["x.csv", "x.csv.errors.jsonl"]);
}
