//! Promise: the error ledger tells exactly what is not, or not exactly, in the output.

use std::collections::BTreeSet;
use std::os::unix::ffi::OsStrExt;

use pwalk_scan::{Verdict, read_metadata};
use pwalk_testkit::fuse::{Errno, Fault, Op, Synthetic, Tree};
use pwalk_testkit::{TempTree, trees};
use serde_json::{Value, json};

use crate::common::{find, ledger, ledger_path, names, oracle, pwalk, run, to_file};

/// The exact path of an entry: its text, or what is in `path_bytes` as the `base64` program reads it.
fn exact(entries: &[Value]) -> BTreeSet<Vec<u8>> {
    let bytes = |entry: &Value| match entry["path_bytes"].as_str() {
        None => entry["path"].as_str().unwrap().as_bytes().to_vec(),
        Some(text) => decode(text),
    };
    entries.iter().map(bytes).collect()
}

fn decode(text: &str) -> Vec<u8> {
    let value =
        |c: u8| b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".iter().position(|d| *d == c);
    let digits: Vec<usize> = text.trim_end_matches('=').bytes().map(|c| value(c).expect("base64")).collect();
    assert!(text.len().is_multiple_of(4), "padded");
    let mut out = Vec::new();
    for group in digits.chunks(4) {
        let number = group.iter().enumerate().fold(0, |n, (i, d)| n | d << (18 - 6 * i));
        out.extend((0..group.len() - 1).map(|i| u8::try_from(number >> (16 - 8 * i) & 0xff).unwrap()));
    }
    out
}

#[test]
fn unprintable_names_are_in_the_ledger_and_the_scan_is_complete() {
    let (tree, _) = TempTree::with(trees::names);
    let place = TempTree::new();
    let output = place.path().join("x.csv.zst");
    let ran = to_file(tree.path(), &output, &[]).expect(0);
    let want: BTreeSet<Vec<u8>> = find(tree.path(), &[]).into_iter().filter(|p| p.iter().any(|b| *b < 0x20)).collect();
    assert!(want.len() > 90, "the tree has such names");
    let entries = ledger(&ledger_path(&output));
    assert_eq!(entries.len(), want.len(), "each once");
    assert_eq!(exact(&entries), want);
    assert!(entries.iter().all(|e| e["class"] == "unprintable" && e["errno"].is_null() && e["errno_name"].is_null()));
    for entry in &entries {
        let text = entry["path"].as_str().unwrap();
        assert_eq!(entry.get("path_bytes").is_some(), text.contains('\u{fffd}') && !want.contains(text.as_bytes()));
    }
    let metadata = read_metadata(&output).unwrap().unwrap();
    assert_eq!((metadata.verdict, metadata.counts["errors"]), (Verdict::Complete, 0));
    assert_eq!(metadata.counts["errors_unprintable"], want.len() as u64);
    assert!(ran.stderr.contains("COMPLETE") && ran.stderr.contains("unprintable"), "{}", ran.stderr);

    let parquet = place.path().join("x.parquet");
    to_file(tree.path(), &parquet, &["-q"]).expect(0);
    assert!(!ledger_path(&parquet).exists(), "Parquet holds every name");
}

#[test]
fn an_entry_has_all_its_fields_and_the_exact_path() {
    let (utf8, raw) = ("gr\u{fc}n \"q\"", b"caf\xe9\n".as_slice());
    let tree = Tree::new().dir(utf8).dir(raw);
    let mounted = Synthetic::custom(tree)
        .fault(Fault::error(Op::Opendir, utf8, Errno::ACCESS))
        .fault(Fault::error(Op::Opendir, raw, Errno::IO))
        .mount()
        .unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.parquet");
    to_file(mounted.path(), &output, &["-q"]).expect(1);
    let mut entries = ledger(&ledger_path(&output));
    entries.sort_by_key(|e| e["errno"].as_i64());
    let at = mounted.path().to_str().unwrap();
    let want = [
        json!({"operation": "open", "errno": 5, "errno_name": "EIO", "class": "io", "message": entries[0]["message"],
            "path": format!("{at}/caf\u{fffd}\n"), "path_bytes": entries[0]["path_bytes"]}),
        json!({"operation": "open", "errno": 13, "errno_name": "EACCES", "class": "denied",
            "message": "Permission denied", "path": format!("{at}/{utf8}")}),
    ];
    assert_eq!(entries, want);
    assert_eq!(decode(entries[0]["path_bytes"].as_str().unwrap()), [at.as_bytes(), b"/", raw].concat());
    assert!(entries[0]["message"].as_str().unwrap().to_lowercase().contains("i/o error"));
}

#[test]
fn a_clean_run_removes_the_ledger_of_an_earlier_one() {
    let mounted = Synthetic::custom(Tree::new().dir("bad")).mount().unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.csv");
    mounted.add_fault(&Fault::error(Op::Opendir, "bad", Errno::IO));
    to_file(mounted.path(), &output, &["-q"]).expect(1);
    assert_eq!(names(place.path()), ["x.csv", "x.csv.errors.jsonl"]);
    assert_eq!(ledger(&ledger_path(&output)).len(), 1);
    mounted.add_fault(&Fault::error(Op::Getattr, "bad", Errno::STALE));
    mounted.clear_faults();
    to_file(mounted.path(), &output, &["-q"]).expect(0);
    assert_eq!(names(place.path()), ["x.csv"]);
}

#[test]
fn many_errors_are_all_there() {
    let mounted = Synthetic::tree(400, 400, 0).fault(Fault::error_anywhere(Op::Opendir, Errno::ACCESS).after(1));
    let mounted = mounted.mount().unwrap();
    let place = TempTree::new();
    let output = place.path().join("x.csv.zst");
    let ran = to_file(mounted.path(), &output, &[]).expect(1);
    assert!(ran.stderr.contains("399 errors") && ran.stderr.contains("399 denied"), "{}", ran.stderr);
    assert!(ran.stderr.lines().count() < 10, "a summary, not a storm: {}", ran.stderr);
    let want: BTreeSet<Vec<u8>> =
        (0..399).map(|i| mounted.path().join(format!("d{i}")).as_os_str().as_bytes().to_vec()).collect();
    assert_eq!(exact(&ledger(&ledger_path(&output))), want);
    assert_eq!(oracle("zstdcat", [&output]).iter().filter(|b| **b == b'\n').count(), 401, "and each has its line");
}

#[test]
fn a_time_that_parquet_cannot_hold_is_noted() {
    let (tree, times) = TempTree::with(trees::times);
    let place = TempTree::new();
    let output = place.path().join("x.parquet");
    let ran = run(pwalk(["report", "-q", "-o"]).arg(&output).arg(tree.path())).expect(0);
    assert_eq!(ran.stderr, "", "it is complete");
    // The outermost numbers are no times to DuckDB and pandas, but infinities.
    let held = i128::from(i64::MIN) + 2..i128::from(i64::MAX);
    let too_far =
        |t: &&trees::StoredTime| !held.contains(&(i128::from(t.stored) * 1_000_000_000 + i128::from(t.nanoseconds)));
    let want: BTreeSet<Vec<u8>> =
        times.iter().filter(too_far).map(|t| tree.path().join(&t.name).as_os_str().as_bytes().to_vec()).collect();
    assert!(!want.is_empty(), "this file system keeps such times");
    let entries = ledger(&ledger_path(&output));
    assert!(entries.iter().all(|e| e["class"] == "unrepresentable"));
    assert_eq!(exact(&entries), want);
}
