//! The same changes in every form.

use std::fs::{self, write};

use pwalk_testkit::TempTree;

use super::{diff, scan};
use crate::common::{duckdb, json_lines, names, path, pwalk, run};

#[test]
fn json_csv_parquet_and_lines_say_the_same() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let odd = root.join(path(b"odd \"\n,\xff"));
    for file in [root.join("a"), root.join("b"), root.join("c"), odd.clone()] {
        write(file, "1").unwrap();
    }
    let before = place.path().join("before.parquet");
    scan(&root, &before);
    write(root.join("a"), "12").unwrap();
    fs::remove_file(root.join("b")).unwrap();
    fs::rename(root.join("c"), root.join("d")).unwrap();
    fs::rename(&odd, root.join(path(b"odd \"\n,\xfe"))).unwrap();
    write(root.join("e"), "new").unwrap();
    let objects = json_lines(diff([&before, &root]).expect(1).text());
    assert_eq!(objects.len(), 5);
    let moved = objects.iter().find(|o| o["change_type"] == "moved").unwrap();
    assert_eq!((&moved["change_type"], &moved["confidence"]), (&"moved".into(), &"certain".into()), "{moved}");
    assert_eq!((&objects[0]["old_size"], &objects[0]["new_size"]), (&1.into(), &2.into()));
    assert!(objects[0]["new_mtime"].as_str().unwrap().ends_with('Z'));
    for name in ["changes.csv", "changes.parquet"] {
        let output = place.path().join(name);
        run(pwalk(["diff", "-o"]).arg(&output).arg(&before).arg(&root)).expect(1);
        let query = "select change_type, kind, old_size, new_size, confidence, old_inode, path, old_path from ? order by change_type, path";
        let rows = duckdb(query, &output);
        let mut expected: Vec<Vec<_>> = objects
            .iter()
            .map(|o| {
                ["change_type", "kind", "old_size", "new_size", "confidence", "old_inode", "path", "old_path"]
                    .iter()
                    .map(|field| o[*field].clone())
                    .collect()
            })
            .collect();
        expected.sort_by_key(|row| (row[0].to_string(), row[6].to_string()));
        let rows: Vec<Vec<_>> = rows.iter().map(|row| row.as_array().unwrap().clone()).collect();
        assert_eq!(rows, expected, "{name}");
    }
    let exact = duckdb("select path_bytes from ? where path_bytes is not null", &place.path().join("changes.parquet"));
    let bytes: Vec<u8> =
        exact[0][0].as_array().unwrap().iter().map(|b| u8::try_from(b.as_u64().unwrap()).unwrap()).collect();
    assert!(bytes.ends_with(b"odd \"\n,\xfe"));
    let lines = run(pwalk(["diff"]).arg(&before).arg(&root)).expect(1);
    assert!(lines.stdout.windows(4).any(|w| w == b" -> "));
    assert!(
        lines.stderr.contains("COMPLETE: 1 added (3 B)  1 removed (1 B)  1 modified (2 B)  2 moved"),
        "{}",
        lines.stderr
    );
    let quiet = run(pwalk(["diff", "-q"]).arg(&before).arg(&root)).expect(1);
    assert_eq!(quiet.stderr, "");
}

#[test]
fn what_cannot_be_written_is_told_and_nothing_is_left() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let before = place.path().join("before.parquet");
    scan(&root, &before);
    write(root.join("new"), "new").unwrap();
    for output in ["/dev/full", "/no/such/place/x.parquet"] {
        let ran = run(pwalk(["diff", "-o", output]).arg(&before).arg(&root)).expect(3);
        assert!(ran.stderr.contains(output), "{}", ran.stderr);
    }
    assert_eq!(names(place.path()).len(), 2);
    // Nor is a scan written over with its own changes.
    let scanned = fs::read(&before).unwrap();
    let ran = run(pwalk(["diff", "-o"]).arg(&before).arg(&before).arg(&root)).expect(2);
    assert!(ran.stderr.contains("one of the scans"), "{}", ran.stderr);
    assert_eq!(fs::read(&before).unwrap(), scanned);
}

#[test]
fn the_file_of_changes_is_none_of_the_changes() {
    let place = TempTree::new();
    let root = place.subdir("tree");
    let before = place.path().join("before.parquet");
    scan(&root, &before);
    let output = root.join("changes.csv");
    run(pwalk(["diff", "-q", "-o"]).arg(&output).arg(&before).arg(&root)).expect(0);
    assert_eq!(fs::read_to_string(&output).unwrap().lines().count(), 1);
    let ran = diff([&before, &root]).expect(1);
    assert_eq!(json_lines(ran.text()).len(), 1, "{}", ran.text());
}
