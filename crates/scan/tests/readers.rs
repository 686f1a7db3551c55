//! Promise: `DuckDB`, pyarrow, polars and pandas read what we write, all of it and exactly.
//!
//! They run in the Python named by `PWALK_TEST_PYTHON`, which `cargo xtask test` sets up.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod common;

use std::path::Path;
use std::process::Command;

use common::{Row, Run, path_of, write};
use pwalk_fs::{Meta, Time};
use pwalk_scan::DirColumns;
use serde_json::{Value, json};

/// Enough rows for several row groups and compressed blocks, with what readers stumble over among them.
fn runs() -> Vec<Run> {
    let names = ["plain.txt", "com,ma.c", "quo\"te.d", "grün.jpg", "emoji😀.x", "two  spaces", "back\\slash", "'s.log"];
    let run = |d: u64| {
        let rows = (0..70).map(|i| {
            let n = d * 70 + i;
            let scattered = n.wrapping_mul(0x9E37_79B9_7F4A_7C15);
            let is_dir = i % 35 == 0;
            let name = match i {
                0..8 => names[usize::try_from(i).unwrap()].to_owned(),
                _ if d.is_multiple_of(2) => format!("run_{i:03}.dat"),
                _ => format!("frame{scattered:x}.{}", n % 400),
            };
            let meta = Meta {
                ino: if n == 5 { u64::MAX } else { 100 + n },
                size: scattered >> 24,
                blocks: (scattered >> 33) + 1,
                dev: 65_024,
                mode: if is_dir { 0o040_755 } else { 0o100_644 },
                uid: u32::try_from(n % 3).unwrap() * 4_000_000,
                nlink: 1,
                atime: Time { sec: (scattered >> 36).cast_signed(), nsec: 0 },
                mtime: Time { sec: 1_700_000_000 - (scattered >> 35).cast_signed(), nsec: 123_456_789 },
                ctime: Time { sec: 1_790_000_000 + (n / 100).cast_signed(), nsec: 1 },
                btime: (!n.is_multiple_of(4)).then_some(Time { sec: -5, nsec: 7 }),
                ..Meta::default()
            };
            let dir = is_dir.then_some(DirColumns {
                fcount: n,
                dirsum: u64::MAX - n,
                tree_count: n + 1,
                tree_size: n,
                tree_blocks: 0,
            });
            Row { name: name.into_bytes(), meta, dir }
        });
        Run { path: Some(format!("/data/p{d}").into_bytes()), ino: d, depth: 1, rows: rows.collect() }
    };
    (0..2000).map(run).collect()
}

fn ns(time: Time) -> i64 {
    time.sec * 1_000_000_000 + i64::from(time.nsec)
}

/// A row as JSON, numbers and text by column. `user` and `group` are the machine's and left out.
fn expected(run: &Run, row: &Row) -> Value {
    let (m, d) = (&row.meta, &row.dir);
    let path = path_of(run, row);
    let text = std::str::from_utf8(&path).ok();
    json!({
        "path": text.map_or_else(|| "/data/raw/caf\u{fffd}".to_owned(), str::to_owned),
        "name": std::str::from_utf8(&row.name).unwrap_or("caf\u{fffd}"),
        "type": m.kind().name(),
        "inode": m.ino, "parent_inode": run.ino, "depth": run.depth, "mode": m.mode, "uid": m.uid, "gid": m.gid,
        "size": m.size, "blocks": m.blocks, "nlink": m.nlink, "dev": m.dev, "rdev": m.rdev,
        "atime": ns(m.atime), "mtime": ns(m.mtime), "ctime": ns(m.ctime), "btime": m.btime.map(ns),
        "fcount": d.map(|d| d.fcount), "dirsum": d.map(|d| d.dirsum), "tree_count": d.map(|d| d.tree_count),
        "tree_size": d.map(|d| d.tree_size), "tree_blocks": d.map(|d| d.tree_blocks),
        "path_bytes": if text.is_some() { None } else { Some(path) },
    })
}

fn python(script: &str, args: &[&Path]) {
    let python = std::env::var_os("PWALK_TEST_PYTHON").expect(
        "PWALK_TEST_PYTHON must name a Python with duckdb, pyarrow, polars and pandas: run `cargo xtask test`, which makes it",
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    let output = Command::new(python).arg(script).args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    assert!(output.status.success(), "{}\n{}", text(output.stdout), text(output.stderr));
}

#[test]
fn parquet() {
    let place = tempfile::tempdir().unwrap();
    let (file, expect) = (place.path().join("x.parquet"), place.path().join("expect.jsonl"));
    let mut runs = runs();
    let meta = Meta { mode: 0o100_644, ..Meta::default() };
    let raw = Row { name: b"caf\xe9".to_vec(), meta, dir: None };
    runs.push(Run { path: Some(b"/data/raw".to_vec()), ino: 9, depth: 1, rows: vec![raw] });
    write(&file, &runs);
    let lines = runs.iter().flat_map(|run| run.rows.iter().map(|row| format!("{}\n", expected(run, row))));
    std::fs::write(&expect, lines.collect::<String>()).unwrap();
    python("read_parquet.py", &[&file, &expect]);
}

#[test]
fn csv() {
    let place = tempfile::tempdir().unwrap();
    let runs = runs();
    let files = ["x.csv", "x.csv.zst", "x.csv.gz"].map(|name| place.path().join(name));
    for file in &files {
        write(file, &runs);
    }
    let expect = place.path().join("expect.jsonl");
    let lines = runs.iter().flat_map(|run| run.rows.iter().map(|row| format!("{}\n", expected(run, row))));
    std::fs::write(&expect, lines.collect::<String>()).unwrap();
    for file in &files {
        python("read_csv.py", &[file, &expect]);
    }
}
