//! Rows as values, and a way to write them through the whole of the crate.

#![allow(dead_code, reason = "each test program uses a part")]

use std::collections::BTreeMap;
use std::path::Path;

use proptest::prelude::*;
use pwalk_fs::{Meta, Time};
use pwalk_scan::{
    Compression, Csv, CsvOptions, DirColumns, Header, Metadata, Oddities, Output, Parent, Parquet, ParquetOptions,
    Pool, Root, Target, Verdict,
};

/// A run of rows in one directory.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) path: Option<Vec<u8>>,
    pub(crate) ino: u64,
    pub(crate) depth: i32,
    pub(crate) rows: Vec<Row>,
}

/// A row.
#[derive(Clone, Debug)]
pub(crate) struct Row {
    pub(crate) name: Vec<u8>,
    pub(crate) meta: Meta,
    pub(crate) dir: Option<DirColumns>,
}

pub(crate) fn metadata() -> Metadata {
    Metadata {
        program: "pwalk 0.1.0".into(),
        roots: vec![Root(b"/data".to_vec())],
        options: BTreeMap::from([("exclude".to_owned(), vec!["*.o"; 20_000].into())]),
        start: Time { sec: 1_790_000_000, nsec: 1 },
        end: Time { sec: 1_790_000_100, nsec: 2 },
        counts: BTreeMap::from([("entries".to_owned(), 3)]),
        verdict: Verdict::Partial,
    }
}

/// A pool onto `path`, in the format that its name says.
pub(crate) fn pool(path: &Path, encoders: usize) -> Pool {
    let output = Output::create(&Target::File(path.to_owned())).unwrap();
    if path.extension().is_some_and(|e| e == "parquet") {
        return Pool::new(Box::new(Parquet::new(output, ParquetOptions::default()).unwrap()), encoders).unwrap();
    }
    let options = CsvOptions { compression: Compression::from_name(path), header: Header::Written };
    Pool::new(Box::new(Csv::new(output, options).unwrap()), encoders).unwrap()
}

/// Writes the runs and returns what was odd about each row.
pub(crate) fn write(path: &Path, runs: &[Run]) -> Vec<Oddities> {
    let (pool, mut odd) = (pool(path, 1), Vec::new());
    for run in runs {
        let mut rows = pool.take(0).unwrap();
        let parent = Parent { path: run.path.as_deref(), ino: run.ino, depth: run.depth };
        rows.begin(&parent);
        for row in &run.rows {
            odd.push(rows.row(&parent, &row.name, &row.meta, row.dir.as_ref()).unwrap());
        }
    }
    pool.finish(&metadata()).unwrap();
    odd
}

/// The path of a row, by the rule in words and not by the code under test.
pub(crate) fn path_of(run: &Run, row: &Row) -> Vec<u8> {
    match run.path.as_deref() {
        None => row.name.clone(),
        Some(b"/") => [b"/", &*row.name].concat(),
        Some(dir) => [dir, b"/", &row.name].concat(),
    }
}

/// Names of any bytes but `/` and NUL, often with what formats stumble over.
pub(crate) fn any_name() -> impl Strategy<Value = Vec<u8>> {
    let byte = prop_oneof![
        6 => prop::sample::select(b"abcxyz019_-".to_vec()),
        2 => prop::sample::select(b"..,,\"\"\n\r\t \\'\x7f\xff\xc3\xbc".to_vec()),
        1 => (1_u8..=255).prop_filter("no slash", |&b| b != b'/'),
    ];
    prop::collection::vec(byte, 1..40)
}

fn any_time() -> impl Strategy<Value = Time> {
    let sec = prop_oneof![5 => 0..2_000_000_000_i64, 1 => -10_000_000_000..10_000_000_000_i64, 1 => any::<i64>()];
    (sec, prop_oneof![Just(0), 0..1_000_000_000_u32]).prop_map(|(sec, nsec)| Time { sec, nsec })
}

fn any_number() -> impl Strategy<Value = u64> {
    prop_oneof![3 => 0..100_u64, 2 => 0..1_u64 << 40, 1 => any::<u64>()]
}

pub(crate) fn any_row() -> impl Strategy<Value = Row> {
    let kinds = prop::sample::select(vec![0o100_000_u32, 0o100_000, 0o040_000, 0o120_000, 0o020_000, 0o140_000]);
    let numbers = (any_number(), 0..i64::MAX.cast_unsigned(), any_number(), any_number());
    let ids = (prop_oneof![Just(0_u32), any::<u32>()], prop_oneof![Just(0_u32), any::<u32>()], 0..9_u32);
    let times = (any_time(), any_time(), any_time(), prop::option::of(any_time()));
    let dir = prop::array::uniform5(any_number());
    (any_name(), kinds, 0..0o7777_u32, numbers, ids, times, dir).prop_map(|(name, kind, bits, n, ids, t, dir)| {
        let meta = Meta {
            ino: n.0,
            size: n.1,
            blocks: n.1 / 512,
            dev: n.2,
            rdev: n.3,
            mode: kind | bits,
            uid: ids.0,
            gid: ids.1,
            nlink: ids.2,
            atime: t.0,
            mtime: t.1,
            ctime: t.2,
            btime: t.3,
            mount_root: None,
        };
        let signed = |n: u64| n >> 1;
        let dir = DirColumns {
            fcount: signed(dir[0]),
            dirsum: dir[1],
            tree_count: signed(dir[2]),
            tree_size: dir[3],
            tree_blocks: signed(dir[4]),
        };
        Row { name, meta, dir: (kind == 0o040_000).then_some(dir) }
    })
}

pub(crate) fn any_runs() -> impl Strategy<Value = Vec<Run>> {
    let path = prop_oneof![
        1 => Just(Some(b"/".to_vec())),
        4 => prop::collection::vec(any_name(), 1..4).prop_map(|parts| Some([b"/", &*parts.join(&b'/')].concat())),
        1 => Just(None),
    ];
    let rows =
        prop_oneof![4 => prop::collection::vec(any_row(), 1..20), 1 => prop::collection::vec(any_row(), 200..400)];
    let run = (path, any::<u64>(), -1..20_i32, rows);
    prop::collection::vec(run.prop_map(|(path, ino, depth, rows)| Run { path, ino, depth, rows }), 0..6)
}
