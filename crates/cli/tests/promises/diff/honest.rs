//! What was not seen is not removed, and what cannot be compared is not compared in silence.

use std::fs::{create_dir, create_dir_all, remove_dir_all, remove_file, write};
use std::path::Path;

use pwalk_testkit::{TempTree, is_root, without_dac_override};

use super::{diff, scan, told};
use crate::common::{PWALK, in_mounts_of_thread, json_lines, ledger_path, oracle, pwalk, run};

/// A tree with a directory that can be closed.
fn tree() -> TempTree {
    let tree = TempTree::new();
    for dir in ["tree/open/sub", "tree/closed/sub"] {
        create_dir_all(tree.path().join(dir)).unwrap();
        write(tree.path().join(dir).join("file"), dir).unwrap();
    }
    tree
}

fn chmod(mode: &str, path: &Path) {
    oracle("chmod", [mode.as_ref(), path.as_os_str()]);
}

/// Types of changes by what the path ends with.
fn types(ran: &crate::common::Ran, root: &Path) -> Vec<String> {
    let root = root.to_str().unwrap();
    let of = |(path, what): (Vec<u8>, String)| {
        format!("{what} {}", String::from_utf8(path).unwrap().strip_prefix(root).unwrap())
    };
    told(ran).into_keys().map(of).collect()
}

#[test]
fn what_is_below_a_closed_directory_is_unseen() {
    let place = tree();
    let root = place.path().join("tree");
    let [before, during, after] = ["a", "b", "c"].map(|name| place.path().join(format!("{name}.parquet")));
    scan(&root, &before);
    chmod("000", &root.join("closed"));
    remove_file(root.join("open/sub/file")).unwrap();
    run(without_dac_override(PWALK).args(["report", "-q", "-o"]).arg(&during).arg(&root)).expect(1);
    let expected = ["metadata /closed", "unseen /closed/sub", "unseen /closed/sub/file", "removed /open/sub/file"];
    let ran = diff([&before, &during]).expect(3);
    assert_eq!(types(&ran, &root), expected);
    assert_eq!(json_lines(ran.text())[1]["confidence"], "uncertain");
    assert!(ran.stderr.contains("PARTIAL"), "{}", ran.stderr);
    // The same, walked.
    let walked = run(without_dac_override(PWALK).args(["diff", "--json"]).arg(&before).arg(&root)).expect(3);
    assert_eq!(types(&walked, &root), expected);
    // What is seen again may have been there all the time.
    chmod("755", &root.join("closed"));
    scan(&root, &after);
    let ran = diff([&during, &after]).expect(3);
    let added: Vec<_> = json_lines(ran.text()).into_iter().filter(|o| o["change_type"] == "added").collect();
    assert_eq!(added.len(), 2);
    assert!(added.iter().all(|o| o["confidence"] == "uncertain"), "{}", ran.text());
    // Without the ledger nobody knows what was not seen.
    remove_file(ledger_path(&during)).unwrap();
    let ran = diff([&before, &during]).expect(3);
    assert!(ran.stderr.contains("error ledger is not beside it"), "{}", ran.stderr);
    assert!(!told(&ran).keys().any(|(_, what)| what == "removed"), "{}", ran.text());
}

#[test]
fn what_is_in_a_directory_that_moved_and_is_closed_is_unseen() {
    for inner in ["", "sub"] {
        let place = tree();
        let root = place.path().join("tree");
        let [before, during] = ["a", "b"].map(|name| place.path().join(format!("{name}.parquet")));
        scan(&root, &before);
        std::fs::rename(root.join("closed"), root.join("elsewhere")).unwrap();
        chmod("000", &root.join("elsewhere").join(inner));
        let ran = run(without_dac_override(PWALK).args(["diff", "--json"]).arg(&before).arg(&root)).expect(3);
        let changes = types(&ran, &root);
        assert!(changes.contains(&"moved /elsewhere".to_owned()), "{changes:?}");
        assert!(changes.contains(&"unseen /closed/sub/file".to_owned()), "{changes:?}");
        assert!(!changes.iter().any(|change| change.starts_with("removed")), "{changes:?}");
        // And the other way round.
        run(without_dac_override(PWALK).args(["report", "-q", "-o"]).arg(&during).arg(&root)).expect(1);
        chmod("755", &root.join("elsewhere").join(inner));
        std::fs::rename(root.join("elsewhere"), root.join("again")).unwrap();
        let ran = diff([&during, &root]).expect(3);
        let added: Vec<_> = json_lines(ran.text()).into_iter().filter(|o| o["change_type"] == "added").collect();
        assert!(!added.is_empty() && added.iter().all(|o| o["confidence"] == "uncertain"), "{}", ran.text());
        // A ledger of something else is none.
        write(ledger_path(&during), "").unwrap();
        assert!(diff([&before, &during]).expect(3).stderr.contains("error ledger"), "{}", ran.stderr);
    }
}

#[test]
fn a_copy_is_compared_by_content_and_not_by_inodes() {
    let place = tree();
    let (root, copy) = (place.path().join("tree"), place.path().join("copy"));
    oracle("cp", ["-a".as_ref(), root.as_os_str(), copy.as_os_str()]);
    let before = place.path().join("a.parquet");
    scan(&root, &before);
    for old in [&before, &root] {
        let ran = diff([old, &copy]).expect(0);
        assert!(ran.stderr.contains("different directories"), "{}", ran.stderr);
    }
    write(copy.join("open/sub/file"), "other").unwrap();
    remove_dir_all(copy.join("closed")).unwrap();
    let ran = diff([&before, &copy]).expect(1);
    let paths: Vec<_> = told(&ran).into_keys().map(|(path, what)| (what, String::from_utf8(path).unwrap())).collect();
    // What is gone has the path that it had.
    let at = |place: &Path, name: &str| place.join(name).to_str().unwrap().to_owned();
    for expected in [
        ("modified".to_owned(), at(&copy, "open/sub/file")),
        ("removed".to_owned(), at(&root, "closed/sub/file")),
        ("removed".to_owned(), at(&root, "closed")),
    ] {
        assert!(paths.contains(&expected), "{expected:?} {paths:?}");
    }
}

#[test]
fn scans_of_other_options_or_other_roots_are_not_compared_in_silence() {
    let place = tree();
    let root = place.path().join("tree");
    let [all, some, both] = ["a", "b", "c"].map(|name| place.path().join(format!("{name}.parquet")));
    scan(&root, &all);
    run(pwalk(["report", "-q", "--exclude", "closed/", "-o"]).arg(&some).arg(&root)).expect(0);
    let ran = diff([&all, &some]).expect(1);
    assert!(ran.stderr.contains("--exclude was []"), "{}", ran.stderr);
    assert!(run(pwalk(["diff", "--exclude", "closed/"]).arg(&some).arg(&root)).expect(0).stderr.contains("no changes"));
    create_dir(place.path().join("other")).unwrap();
    run(pwalk(["report", "-q", "-o"]).arg(&both).arg(&root).arg(place.path().join("other"))).expect(0);
    let ran = diff([&all, &both]).expect(3);
    assert!(ran.stderr.contains("different roots"), "{}", ran.stderr);
    // Given in another order they are the same.
    let again = place.path().join("d.parquet");
    run(pwalk(["report", "-q", "-o"]).arg(&again).arg(place.path().join("other")).arg(&root)).expect(0);
    diff([&both, &again]).expect(0);
}

#[test]
fn what_is_no_scan_is_refused() {
    let place = tree();
    let at = |name: &str| place.path().join(name);
    write(at("text"), "no scan").unwrap();
    run(pwalk(["report", "-q", "-o"]).arg(at("scan.csv")).arg(at("tree"))).expect(0);
    for (old, why) in [("text", "cannot read"), ("scan.csv", "cannot read"), ("missing", "No such file")] {
        let ran = diff([at(old), at("tree")]).expect(3);
        assert!(ran.stderr.contains(why) && ran.stderr.contains(old), "{}", ran.stderr);
        assert!(ran.stdout.is_empty());
    }
    run(&mut pwalk(["diff", "one"])).expect(2);
}

#[test]
fn a_file_that_nobody_looked_for_may_still_be_where_it_was() {
    let place = tree();
    let root = place.path().join("tree");
    let before = place.path().join("a.parquet");
    scan(&root, &before);
    // Another name of a file in a directory that is closed now; one of a file that is not, and a directory that moved out.
    std::fs::hard_link(root.join("closed/sub/file"), root.join("open/link")).unwrap();
    std::fs::rename(root.join("open/sub/file"), root.join("open/moved")).unwrap();
    create_dir(root.join("closed/dir")).unwrap();
    chmod("000", &root.join("closed"));
    let ran = run(without_dac_override(PWALK).args(["diff", "--json"]).arg(&before).arg(&root)).expect(3);
    let changes = types(&ran, &root);
    for expected in ["added /open/link", "moved /open/moved", "unseen /closed/sub/file"] {
        assert!(changes.contains(&expected.to_owned()), "{expected}: {changes:?}");
    }
    chmod("755", &root.join("closed"));
}

#[test]
fn what_is_deeper_or_mounted_over_was_not_looked_at() {
    let place = tree();
    let root = place.path().join("tree");
    let before = place.path().join("a.parquet");
    scan(&root, &before);
    let ran = diff(["--depth".as_ref(), "1".as_ref(), before.as_os_str(), root.as_os_str()]).expect(1);
    assert_eq!(types(&ran, &root), ["unseen /closed/sub/file", "unseen /open/sub/file"]);
    if !is_root() {
        return;
    }
    in_mounts_of_thread(|| {
        let closed = root.join("closed");
        oracle("mount", ["-t", "tmpfs", "none", closed.to_str().unwrap()]);
        let ran = diff(["-x".as_ref(), before.as_os_str(), root.as_os_str()]).expect(1);
        let changes = types(&ran, &root);
        assert!(changes.contains(&"unseen /closed/sub/file".to_owned()), "{changes:?}");
        assert!(!changes.iter().any(|change| change.starts_with("removed")), "{changes:?}");
        // Who looks into it is told that it is another file system.
        let ran = diff([&before, &root]).expect(1);
        assert!(ran.stderr.contains("/closed is on another device"), "{}", ran.stderr);
    });
}

#[test]
fn what_is_no_scan_or_was_damaged_is_said() {
    let place = tree();
    let root = place.path().join("tree");
    let [before, fewer, snappy, csv] =
        ["a.parquet", "fewer.parquet", "snappy.parquet", "a.csv"].map(|name| place.path().join(name));
    scan(&root, &before);
    let python = |script: &str, target: &Path| {
        let ran = crate::common::python().args(["-c", script]).arg(&before).arg(target).output().unwrap();
        assert!(ran.status.success(), "{}", ran.stderr.escape_ascii());
    };
    // With its metadata, and without a row.
    python(
        "import sys, pyarrow.parquet as pq; t = pq.read_table(sys.argv[1]); pq.write_table(t.slice(1), sys.argv[2])",
        &fewer,
    );
    let ran = diff([&fewer, &root]).expect(3);
    assert!(ran.stderr.contains("not as many rows"), "{}", ran.stderr);
    python(
        "import sys, pyarrow.parquet as pq; pq.write_table(pq.read_table(sys.argv[1]), sys.argv[2], compression='snappy')",
        &snappy,
    );
    assert!(told(&diff([&snappy, &root]).expect(0)).is_empty());
    run(pwalk(["report", "-q", "-o"]).arg(&csv).arg(&root)).expect(0);
    let ran = diff([&csv, &root]).expect(3);
    assert!(ran.stderr.contains("only scans in Parquet"), "{}", ran.stderr);
    let fifo = place.path().join("fifo");
    oracle("mkfifo", [&fifo]);
    assert!(diff([&fifo, &root]).expect(3).stderr.contains("it is no file"));
    let ran = run(pwalk(["diff", "-o", "x.csv.zst"]).arg(&before).arg(&root)).expect(2);
    assert!(ran.stderr.contains("x.csv.zst"), "{}", ran.stderr);
    // A link to a scan has the ledger of the scan.
    chmod("000", &root.join("closed"));
    let partial = place.path().join("partial.parquet");
    run(without_dac_override(PWALK).args(["report", "-q", "-o"]).arg(&partial).arg(&root)).expect(1);
    let link = place.subdir("elsewhere").join("link.parquet");
    std::os::unix::fs::symlink(&partial, &link).unwrap();
    let ran = diff([&before, &link]).expect(3);
    assert!(!ran.stderr.contains("ledger is not beside"), "{}", ran.stderr);
    chmod("755", &root.join("closed"));
}
