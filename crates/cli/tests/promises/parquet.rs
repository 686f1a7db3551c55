//! Promise: `DuckDB` reads the Parquet file as it stands, the numbers agree with `du` and `stat`, and the file
//! says of itself what it is.

use std::collections::BTreeMap;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use pwalk_scan::{Root, Verdict, read_metadata};
use pwalk_testkit::{TempTree, trees};
use serde_json::{Value, json};

use crate::common::{duckdb, find, number, oracle, path, to_file};

const COLUMNS: &str = "path VARCHAR, name VARCHAR, extension VARCHAR, type VARCHAR, inode UBIGINT, parent_inode UBIGINT, \
    depth INTEGER, mode UINTEGER, uid UINTEGER, gid UINTEGER, user VARCHAR, group VARCHAR, size BIGINT, blocks BIGINT, \
    nlink UINTEGER, dev UBIGINT, rdev UBIGINT, atime TIMESTAMP WITH TIME ZONE, mtime TIMESTAMP WITH TIME ZONE, \
    ctime TIMESTAMP WITH TIME ZONE, btime TIMESTAMP WITH TIME ZONE, fcount BIGINT, dirsum UBIGINT, tree_count BIGINT, \
    tree_size UBIGINT, tree_blocks BIGINT, path_bytes BLOB";

/// A report of everything, snapshot directories among it.
fn scanned() -> (TempTree, TempTree, std::path::PathBuf) {
    let (tree, _) = TempTree::with(trees::everything);
    let place = TempTree::new();
    let file = place.path().join("x.parquet");
    to_file(tree.path(), &file, &["--include-snapshots", "-q"]).expect(0);
    (tree, place, file)
}

/// What `du` says, in units of its arguments.
fn du(root: &Path, arguments: &[&str]) -> u64 {
    let text = oracle("du", [&[root.to_str().unwrap(), "-s"], arguments].concat());
    String::from_utf8(text).unwrap().split('\t').next().unwrap().parse().unwrap()
}

#[test]
fn columns_and_totals() {
    let (tree, _place, file) = scanned();
    let columns: Vec<String> = duckdb("describe select * from ?", &file)
        .iter()
        .map(|c| format!("{} {}", c[0].as_str().unwrap(), c[1].as_str().unwrap()))
        .collect();
    // The type with nanoseconds is new in DuckDB.
    let columns = columns.join(", ").replace("TIMESTAMPTZ_NS", "TIMESTAMP WITH TIME ZONE");
    assert_eq!(columns, COLUMNS);

    let rows = number("select count(*) from ?", &file);
    assert_eq!(rows, find(tree.path(), &[]).len() as u64);
    let root = "from ? where depth = -1";
    assert_eq!(number(&format!("select tree_count {root}"), &file), rows);
    assert_eq!(number(&format!("select tree_blocks {root}"), &file), du(tree.path(), &["--block-size=512"]));
    assert_eq!(
        number(&format!("select tree_size {root}"), &file),
        du(tree.path(), &["--block-size=1", "--apparent-size"])
    );
    assert_eq!(number(&format!("select parent_inode {root}"), &file), 0);
    let odd = "type <> 'dir' and (fcount is not null or dirsum is not null or tree_count is not null
               or tree_size is not null or tree_blocks is not null)";
    assert_eq!(number(&format!("select count(*) from ? where {odd}"), &file), 0);
    let null = "type = 'dir' and (fcount is null or dirsum is null or tree_count is null
                or tree_size is null or tree_blocks is null)";
    assert_eq!(number(&format!("select count(*) from ? where {null}"), &file), 0);
}

#[test]
fn hard_links_are_counted_by_name_and_weighed_once() {
    let (tree, made) = TempTree::with(|root| {
        std::fs::create_dir(root.join("links")).unwrap();
        trees::hard_links(&root.join("links"))
    });
    let place = TempTree::new();
    let file = place.path().join("x.parquet");
    to_file(tree.path(), &file, &["-q"]).expect(0);
    let regular = "from ? where type = 'file'";
    assert_eq!(number(&format!("select sum(size)::bigint {regular}"), &file), made.bytes_by_name);
    let others: u64 =
        number("select sum(size)::bigint from (select distinct inode, size, type from ?) where type <> 'file'", &file);
    let root = duckdb("select tree_size, tree_count, tree_blocks from ? where depth = -1", &file);
    let blocks = du(tree.path(), &["--block-size=512"]);
    assert_eq!(root, [json!([made.bytes_once + others, made.entries + 2, blocks])]);
    // The whole above is the sum of its parts: what is weighed once is weighed in one of them.
    let parts = number("select sum(tree_size)::bigint from ? where depth = 1 and type = 'dir'", &file);
    let links = "select tree_size - size from ? where depth = 0";
    let flat = number(
        "select sum(size)::bigint from (select distinct inode, size, type from ? where depth = 1) where type <> 'dir'",
        &file,
    );
    let whole = number(links, &file);
    assert!(parts <= whole && whole <= parts + flat, "{parts} {whole} {flat}");
}

#[test]
fn every_row_is_what_stat_says() {
    let (tree, _place, file) = scanned();
    let query = "select coalesce(path_bytes, encode(path)), inode, mode, uid, gid, size, blocks, nlink, dev, rdev,
                 epoch_ns(mtime), epoch_ns(ctime), type from ?";
    let mut rows: BTreeMap<Vec<u8>, Value> = BTreeMap::new();
    for mut row in duckdb(query, &file) {
        let bytes: Vec<u8> = serde_json::from_value(row[0].take()).unwrap();
        assert_eq!(rows.insert(bytes, row), None, "a path is there once");
    }
    let found = find(tree.path(), &[]);
    assert_eq!(rows.keys().cloned().collect::<Vec<_>>(), found.into_iter().collect::<Vec<_>>());
    let mut clamped = 0_u64;
    for (bytes, row) in &rows {
        let m = path(bytes).symlink_metadata().unwrap();
        let nanoseconds = |sec: i64, nsec: i64| i128::from(sec) * 1_000_000_000 + i128::from(nsec);
        let (mtime, ctime) = (nanoseconds(m.mtime(), m.mtime_nsec()), nanoseconds(m.ctime(), m.ctime_nsec()));
        let kept = mtime.clamp(i128::from(i64::MIN) + 2, i128::from(i64::MAX) - 1);
        clamped += u64::from(kept != mtime);
        let want = json!([
            null,
            m.ino(),
            m.mode(),
            m.uid(),
            m.gid(),
            m.len(),
            m.blocks(),
            m.nlink(),
            m.dev(),
            m.rdev(),
            i64::try_from(kept).unwrap(),
            i64::try_from(ctime).unwrap(),
            row[12]
        ]);
        assert_eq!(*row, want, "{}", bytes.escape_ascii());
        let kind = oracle_kind(&m);
        assert_eq!(row[12], kind, "{}", bytes.escape_ascii());
    }
    let metadata = read_metadata(&file).unwrap().unwrap();
    let noted = metadata.counts.get("errors_unrepresentable").copied().unwrap_or_default();
    assert_eq!(noted, clamped, "times that do not fit are in the ledger");
    assert_eq!(metadata.verdict, Verdict::Complete);
}

/// The word for a kind of file.
fn oracle_kind(m: &std::fs::Metadata) -> &'static str {
    match m.mode() & 0o170_000 {
        0o040_000 => "dir",
        0o100_000 => "file",
        0o120_000 => "symlink",
        0o010_000 => "fifo",
        0o140_000 => "socket",
        0o060_000 => "block",
        0o020_000 => "char",
        other => panic!("{other:o}"),
    }
}

#[test]
fn path_bytes_are_there_only_where_text_loses_something() {
    let (tree, _) = TempTree::with(trees::names);
    let place = TempTree::new();
    let file = place.path().join("x.parquet");
    to_file(tree.path(), &file, &["-q"]).expect(0);
    let found = find(tree.path(), &[]);
    let mut invalid: Vec<&Vec<u8>> = found.iter().filter(|p| std::str::from_utf8(p).is_err()).collect();
    assert!(invalid.len() > 100, "the tree has some");
    let rows = duckdb("select path_bytes from ? where path_bytes is not null", &file);
    let mut got: Vec<Vec<u8>> = rows.into_iter().map(|mut r| serde_json::from_value(r[0].take()).unwrap()).collect();
    got.sort();
    invalid.sort();
    assert_eq!(got.iter().collect::<Vec<_>>(), invalid);
    // The replacement character itself is text like any other.
    let replacement = found.iter().filter(|p| std::str::from_utf8(p).is_ok_and(|p| p.contains('\u{fffd}'))).count();
    assert!(replacement > 0);
    let query = "select count(*) from ? where path_bytes is null and contains(path, chr(65533))";
    assert_eq!(number(query, &file), replacement as u64);
}

#[test]
fn the_file_says_what_it_is() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let place = TempTree::new();
    let rows = find(tree.path(), &[]).len() as u64;
    for name in ["x.parquet", "x.csv.zst", "x.csv.gz"] {
        let file = place.path().join(name);
        let arguments = ["-q", "--threads", "3", "--depth", "9", "--exclude", "*.nothing", "--max-iops", "1000000"];
        to_file(tree.path(), &file, &arguments).expect(0);
        let m = read_metadata(&file).unwrap().unwrap_or_else(|| panic!("{name} says nothing"));
        assert_eq!(m.program, concat!("pwalk ", env!("CARGO_PKG_VERSION")));
        assert_eq!(m.roots, [Root(tree.path().as_os_str().as_bytes().to_vec())]);
        assert_eq!(m.verdict, Verdict::Complete);
        assert!(m.start <= m.end && m.start.sec > 1_700_000_000);
        let want = json!({
            "format": if name.ends_with("parquet") { "parquet" } else { "csv" }, "threads": 3, "max-iops": 1_000_000,
            "depth": 9, "one-file-system": false, "follow-links": false, "include-snapshots": false,
            "attributes": "fresh", "exclude": ["*.nothing"], "give-up-after": null,
        });
        assert_eq!(json!(m.options), want);
        assert_eq!((m.counts["entries"], m.counts["directories"], m.counts["errors"]), (rows, 5, 0));
    }
    let plain = place.path().join("x.csv");
    to_file(tree.path(), &plain, &["-q"]).expect(0);
    assert_eq!(read_metadata(&plain).unwrap(), None, "plain CSV holds not one byte more");
}

#[test]
fn parquet_and_csv_agree() {
    let (tree, _) = TempTree::with(trees::hard_links);
    let place = TempTree::new();
    let (csv, parquet) = (place.path().join("x.csv.zst"), place.path().join("x.parquet"));
    to_file(tree.path(), &csv, &["-q"]).expect(0);
    to_file(tree.path(), &parquet, &["-q"]).expect(0);
    let sums = |query: &str, file: &Path| duckdb(query, file);
    let csv_query = "select count(*), sum(st_size)::bigint, sum(st_blocks)::bigint, sum(inode)::bigint,
        sum(\"directory-depth\")::bigint, sum(\"parent-inode\")::bigint, sum(greatest(pw_fcount, 0))::bigint,
        sum(pw_dirsum)::bigint, sum(st_mtime)::bigint from ?";
    let parquet_query = "select count(*), sum(size)::bigint, sum(blocks)::bigint, sum(inode)::bigint, sum(depth)::bigint,
        sum(parent_inode)::bigint, sum(fcount)::bigint, sum(dirsum)::bigint, sum(floor(epoch_ns(mtime) / 1e9))::bigint from ?";
    assert_eq!(sums(csv_query, &csv), sums(parquet_query, &parquet));
}
