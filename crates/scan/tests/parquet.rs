//! Promise: Parquet gives back every row exactly; bytes that are no text are kept beside the text.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod common;

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use common::{Row, Run, any_runs, metadata, path_of, pool, write};
use parquet::basic::Type;
use parquet::column::reader::{ColumnReader, get_typed_column_reader};
use parquet::data_type::{ByteArrayType, DataType, Int32Type, Int64Type};
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::file::statistics::Statistics;
use proptest::prelude::*;
use pwalk_fs::{Meta, Time};
use pwalk_scan::{Parent, extension, read_metadata, split_root};

/// A value with the bits of its physical type.
#[derive(Clone, Debug, PartialEq)]
enum Cell {
    Null,
    Number(i64),
    Bytes(Vec<u8>),
}

/// All columns, each through the typed reader of the `parquet` crate.
fn read(path: &Path) -> BTreeMap<String, Vec<Cell>> {
    let reader = SerializedFileReader::new(File::open(path).unwrap()).unwrap();
    let mut columns = BTreeMap::new();
    for group in 0..reader.num_row_groups() {
        let group = reader.get_row_group(group).unwrap();
        let rows = usize::try_from(group.metadata().num_rows()).unwrap();
        for (i, column) in group.metadata().columns().iter().enumerate() {
            let descr = column.column_descr();
            let optional = descr.max_def_level() > 0;
            let chunk = group.get_column_reader(i).unwrap();
            let cells = match descr.physical_type() {
                Type::INT32 => cells::<Int32Type>(chunk, rows, optional, |v| Cell::Number(i64::from(*v))),
                Type::INT64 => cells::<Int64Type>(chunk, rows, optional, |v| Cell::Number(*v)),
                _ => cells::<ByteArrayType>(chunk, rows, optional, |v| Cell::Bytes(v.data().to_vec())),
            };
            assert_eq!(cells.len(), rows);
            columns.entry(descr.name().to_owned()).or_insert_with(Vec::new).extend(cells);
        }
    }
    columns
}

fn cells<T: DataType>(chunk: ColumnReader, rows: usize, optional: bool, cell: impl Fn(&T::T) -> Cell) -> Vec<Cell> {
    let (mut values, mut levels) = (Vec::new(), Vec::new());
    let mut reader = get_typed_column_reader::<T>(chunk);
    while values.len() < rows {
        let levels = optional.then_some(&mut levels);
        let (records, ..) = reader.read_records(rows, levels, None, &mut values).unwrap();
        if records == 0 {
            break;
        }
    }
    let mut values = values.iter().map(cell);
    if !optional {
        return values.collect();
    }
    levels.iter().map(|&level| if level == 1 { values.next().unwrap() } else { Cell::Null }).collect()
}

#[expect(clippy::disallowed_methods, reason = "the oracle for the text columns")]
fn lossy(bytes: &[u8]) -> Cell {
    Cell::Bytes(String::from_utf8_lossy(bytes).into_owned().into_bytes())
}

fn nanoseconds(time: Time) -> (Cell, bool) {
    let exact = i128::from(time.sec) * 1_000_000_000 + i128::from(time.nsec);
    let kept = exact.clamp(i128::from(i64::MIN + 2), i128::from(i64::MAX - 1));
    (Cell::Number(i64::try_from(kept).unwrap()), kept != exact)
}

/// What a row must be, column by column, and whether a time does not fit.
fn want(run: &Run, row: &Row) -> (Vec<(&'static str, Cell)>, bool) {
    let path = path_of(run, row);
    let name = if run.path.is_none() { split_root(&row.name).1 } else { &row.name };
    let m = &row.meta;
    let unsigned = |n: u64| Cell::Number(n.cast_signed());
    let half = |n: u32| Cell::Number(i64::from(n.cast_signed()));
    let dir = |of: fn(&pwalk_scan::DirColumns) -> u64| row.dir.as_ref().map_or(Cell::Null, |d| unsigned(of(d)));
    let times = [m.atime, m.mtime, m.ctime].map(nanoseconds);
    let btime = m.btime.map(nanoseconds);
    let odd = times.iter().chain(&btime).any(|t| t.1);
    let [atime, mtime, ctime] = times.map(|t| t.0);
    let cells = vec![
        ("path", lossy(&path)),
        ("name", lossy(name)),
        ("extension", lossy(if row.dir.is_some() { b"" } else { extension(name) })),
        ("type", Cell::Bytes(m.kind().name().into())),
        ("inode", unsigned(m.ino)),
        ("parent_inode", unsigned(run.ino)),
        ("depth", Cell::Number(run.depth.into())),
        ("mode", half(m.mode)),
        ("uid", half(m.uid)),
        ("gid", half(m.gid)),
        ("size", unsigned(m.size)),
        ("blocks", unsigned(m.blocks)),
        ("nlink", half(m.nlink)),
        ("dev", unsigned(m.dev)),
        ("rdev", unsigned(m.rdev)),
        ("atime", atime),
        ("mtime", mtime),
        ("ctime", ctime),
        ("btime", btime.map_or(Cell::Null, |t| t.0)),
        ("fcount", dir(|d| d.fcount)),
        ("dirsum", dir(|d| d.dirsum)),
        ("tree_count", dir(|d| d.tree_count)),
        ("tree_size", dir(|d| d.tree_size)),
        ("tree_blocks", dir(|d| d.tree_blocks)),
        ("path_bytes", if std::str::from_utf8(&path).is_ok() { Cell::Null } else { Cell::Bytes(path.clone()) }),
    ];
    (cells, odd)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 60, ..ProptestConfig::default() })]
    #[test]
    fn any_rows_come_back(runs in any_runs()) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("x.parquet");
        let odd = write(&path, &runs);
        let columns = read(&path);
        let rows: Vec<(&Run, &Row)> = runs.iter().flat_map(|run| run.rows.iter().map(move |row| (run, row))).collect();
        for (i, ((run, row), odd)) in rows.into_iter().zip(odd).enumerate() {
            let (cells, clamped) = want(run, row);
            for (column, cell) in cells {
                prop_assert_eq!(&columns[column][i], &cell, "{} of row {}", column, i);
            }
            prop_assert_eq!(odd.unrepresentable, clamped);
            prop_assert!(!odd.unprintable);
        }
        prop_assert_eq!(read_metadata(&path).unwrap(), Some(metadata()));
    }
}

/// Rows by their number, of every habit that the encodings look for.
fn habit(i: u64) -> Row {
    let scattered = i.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    let sec = |n: u64| Time { sec: (n % 200_000_000).cast_signed(), nsec: 0 };
    let meta = Meta {
        ino: 1000 + i * 3,
        size: scattered >> 30,
        blocks: i / 5000,
        dev: 65_024,
        rdev: if i % 70_000 == 9 { i } else { 0 },
        mode: 0o100_600 | (u32::try_from(i % 3).unwrap() << 3),
        uid: u32::try_from(i % 1000).unwrap(),
        gid: u32::try_from(scattered >> 40).unwrap(),
        nlink: 1,
        atime: sec(scattered),
        mtime: sec(scattered >> 7),
        ctime: sec(i / 20),
        btime: (!i.is_multiple_of(11)).then(|| sec(i / 30)),
        mount_root: None,
    };
    // A third of the names are of few sorts, the others differ.
    let name =
        if i.is_multiple_of(3) { format!("run_{:03}.log", i % 500) } else { format!("file{scattered}.{}", i % 9) };
    Row { name: name.into_bytes(), meta, dir: None }
}

#[test]
fn many_rows_come_back_from_several_row_groups() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    let runs: Vec<Run> = (0..2000_u64)
        .map(|d| Run {
            path: Some(format!("/data/d{}/e{}", d / 100, d).into_bytes()),
            ino: d * 7,
            depth: 3,
            rows: (d * 80..d * 80 + 80).map(habit).collect(),
        })
        .collect();
    write(&path, &runs);
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    assert!(reader.num_row_groups() >= 3);
    let columns = read(&path);
    let rows = runs.iter().flat_map(|run| run.rows.iter().map(move |row| (run, row)));
    for (i, (run, row)) in rows.enumerate() {
        for (column, cell) in want(run, row).0 {
            assert_eq!(columns[column][i], cell, "{column} of row {i}");
        }
    }
}

#[test]
fn a_row_group_is_bounded_by_what_its_paths_unfold_to() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    let deep = Run { path: Some(vec![b'd'; 100_000]), ino: 1, depth: 5000, rows: (0..2000).map(habit).collect() };
    write(&path, &[deep]);
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    for group in reader.metadata().row_groups() {
        assert!(group.num_rows() * 100_000 <= 33 << 20, "{} rows", group.num_rows());
    }
    assert_eq!(read(&path)["path"].len(), 2000);
}

#[test]
fn statistics_are_true() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    let rows: Vec<Row> = (0..5000).map(habit).collect();
    let (min, max) = (rows.iter().map(|r| r.meta.size).min(), rows.iter().map(|r| r.meta.size).max());
    write(&path, &[Run { path: Some(b"/d".to_vec()), ino: 1, depth: 0, rows }]);
    let reader = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let size = reader.metadata().row_group(0).columns().iter().find(|c| c.column_descr().name() == "size").unwrap();
    let statistics = size.statistics().unwrap();
    let number = |bytes: Option<&[u8]>| bytes.map(|b| u64::from_le_bytes(b.try_into().unwrap()));
    assert_eq!((number(statistics.min_bytes_opt()), number(statistics.max_bytes_opt())), (min, max));
}

#[test]
fn an_empty_scan_is_a_file_with_metadata() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    write(&path, &[]);
    assert!(read(&path).is_empty());
    assert_eq!(read_metadata(&path).unwrap(), Some(metadata()));
}

#[test]
fn threads_share_few_encoders_and_lose_no_row() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    let pool = pool(&path, 3);
    std::thread::scope(|scope| {
        for thread in 0..32_u64 {
            let pool = &pool;
            scope.spawn(move || {
                for batch in 0..50_u64 {
                    let mut rows = pool.take(usize::try_from(thread).unwrap()).unwrap();
                    let dir = format!("/t{thread}");
                    let parent = Parent { path: Some(dir.as_bytes()), ino: thread, depth: 0 };
                    rows.begin(&parent);
                    for i in 0..100 {
                        let row = habit(thread * 5000 + batch * 100 + i);
                        assert!(!rows.row(&parent, &row.name, &row.meta, None).unwrap().any());
                    }
                }
            });
        }
    });
    pool.finish(&metadata()).unwrap();
    let mut inodes: Vec<i64> = read(&path)["inode"]
        .iter()
        .map(|cell| if let Cell::Number(n) = cell { *n } else { panic!("no number") })
        .collect();
    inodes.sort_unstable();
    assert_eq!(inodes, (0..160_000).map(|i| 1000 + i * 3).collect::<Vec<i64>>());
}

/// Readers leave out row groups by these: wrong ones are wrong answers (`where depth = -1`).
#[test]
fn statistics_are_in_the_order_of_the_column_s_type() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("x.parquet");
    let early = Meta { mtime: Time { sec: -5, nsec: 0 }, ino: 7, mode: 0o40_755, ..Meta::default() };
    let late =
        Meta { mtime: Time { sec: 5, nsec: 0 }, ino: u64::MAX, uid: u32::MAX, mode: 0o100_644, ..Meta::default() };
    let pool = pool(&path, 1);
    let mut rows = pool.take(0).unwrap();
    for (parent, name, meta) in [
        (Parent { path: None, ino: 0, depth: -1 }, &b"/d"[..], early),
        (Parent { path: Some(b"/d"), ino: 7, depth: 0 }, b"x", late),
    ] {
        rows.begin(&parent);
        assert!(!rows.row(&parent, name, &meta, None).unwrap().any());
    }
    drop(rows);
    pool.finish(&metadata()).unwrap();
    let file = SerializedFileReader::new(File::open(&path).unwrap()).unwrap();
    let group = file.metadata().row_group(0).clone();
    let bounds = |name: &str| {
        let column = group.columns().iter().find(|c| c.column_path().string() == name).unwrap();
        match column.statistics().unwrap() {
            Statistics::Int32(s) => (i64::from(*s.min_opt().unwrap()), i64::from(*s.max_opt().unwrap())),
            Statistics::Int64(s) => (*s.min_opt().unwrap(), *s.max_opt().unwrap()),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(bounds("depth"), (-1, 0));
    assert_eq!(bounds("mtime"), (-5_000_000_000, 5_000_000_000));
    assert_eq!(bounds("inode"), (7, -1), "unsigned: -1 is the largest");
    assert_eq!(bounds("uid"), (0, -1));
}
