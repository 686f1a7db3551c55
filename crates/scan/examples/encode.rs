//! Times the encoders alone: `cargo run --release -p pwalk-scan --example encode -- TREE [REPEAT [FORMAT...]]`.
//!
//! Lists TREE with one thread, keeps the rows in memory, and then writes them in each format, so that what is
//! measured is the building, encoding, compressing and writing of rows and nothing of walking. Prints
//! processor nanoseconds and bytes per row, the best of REPEAT. With the environment variable `KEEP` set to a
//! directory the files stay there.

#![allow(clippy::print_stdout, reason = "a program for the terminal")]

use std::collections::BTreeMap;
use std::error::Error;
use std::ffi::CString;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::Duration;

use pwalk_fs::{DirBuf, Freshness, Links, Meta, More, Names, Time, cpu_time, open_root, stat_at};
use pwalk_scan::{
    Compression, Csv, CsvOptions, DirColumns, Format, Header, Metadata, Output, Parent, Parquet, ParquetOptions, Pool,
    Root, Target, Verdict, join,
};

type Fallible<T> = Result<T, Box<dyn Error>>;

/// One directory: its path, inode and depth, and the names and metadata of what is in it.
struct Dir {
    path: Vec<u8>,
    ino: u64,
    depth: i32,
    names: Names,
    metas: Vec<Meta>,
}

/// Rows that one thread pushes before it gives the encoder back, as the engine does.
const BATCH: usize = 512;

fn main() -> Fallible<()> {
    let mut args = std::env::args().skip(1);
    let tree = args.next().ok_or("usage: encode TREE [REPEAT [FORMAT...]]")?;
    let repeat: u32 = args.next().map_or(Ok(3), |n| n.parse())?;
    let only: Vec<String> = args.collect();
    let keep = std::env::var_os("KEEP");
    let scratch = tempfile::tempdir()?;
    let place = keep.as_ref().map_or(scratch.path(), Path::new);
    let (dirs, rows) = collect(&tree)?;
    println!("{rows} rows in {} directories", dirs.len());
    for name in ["x.csv", "x.csv.zst", "x.csv.gz", "x.parquet"] {
        if !only.is_empty() && !only.iter().any(|f| f == name) {
            continue;
        }
        let levels: &[i32] = match name {
            "x.csv" => &[0],
            "x.csv.gz" => &[1, 6],
            _ => &[-1, 1, 2, 3],
        };
        for &level in levels {
            let path = place.join(name.replacen('x', &format!("x{level}"), 1));
            let (mut best, mut bytes) = (Duration::MAX, 0);
            for _ in 0..repeat {
                let before = cpu_time();
                bytes = write(&dirs, &path, level)?;
                best = best.min(cpu_time() - before);
            }
            let per_row = |n: f64| n / f64::from(u32::try_from(rows).unwrap_or(u32::MAX));
            let size = f64::from(u32::try_from(bytes).unwrap_or(u32::MAX));
            let time = best.as_secs_f64() * 1e9;
            println!("{name:<10} level {level:>2} {:7.1} ns/row {:7.2} bytes/row", per_row(time), per_row(size));
        }
    }
    Ok(())
}

fn write(dirs: &[Dir], path: &Path, level: i32) -> Fallible<u64> {
    let output = Output::create(&Target::File(path.to_owned()))?;
    let format: Box<dyn Format> = if path.extension().is_some_and(|e| e == "parquet") {
        Box::new(Parquet::new(output, ParquetOptions { level })?)
    } else {
        let compression = Compression::from_name(path);
        let compression = compression.with_level(level).unwrap_or(compression);
        Box::new(Csv::new(output, CsvOptions { compression, header: Header::Written })?)
    };
    let pool = Pool::new(format, 1)?;
    for dir in dirs {
        let parent = Parent { path: Some(&dir.path), ino: dir.ino, depth: dir.depth };
        for start in (0..dir.metas.len()).step_by(BATCH) {
            let mut rows = pool.take(0)?;
            rows.begin(&parent);
            for (i, meta) in dir.metas.iter().enumerate().skip(start).take(BATCH) {
                let totals =
                    DirColumns { fcount: 10, dirsum: meta.size, tree_count: 20, tree_size: meta.size, tree_blocks: 8 };
                let odd = rows.row(&parent, dir.names.name(i), meta, meta.kind().is_dir().then_some(&totals))?;
                if odd.any() {
                    continue;
                }
            }
        }
    }
    let now = Time::default();
    let metadata = Metadata {
        program: "encode".into(),
        roots: vec![Root(dirs[0].path.clone())],
        options: BTreeMap::new(),
        start: now,
        end: now,
        counts: BTreeMap::new(),
        verdict: Verdict::Complete,
    };
    Ok(pool.finish(&metadata)?.bytes)
}

/// Lists breadth first, each directory in inode order.
fn collect(tree: &str) -> Fallible<(Vec<Dir>, usize)> {
    let mut buf = DirBuf::new();
    let mut queue = std::collections::VecDeque::from([(tree.as_bytes().to_vec(), 0_u64, 0_i32)]);
    let (mut dirs, mut rows) = (Vec::new(), 0);
    while let Some((path, ino, depth)) = queue.pop_front() {
        let Ok(fd) = open_root(&CString::new(path.clone())?) else { continue };
        let mut names = Names::default();
        while names.read(fd.as_fd(), &mut buf)? == More::Maybe {}
        names.sort_by_inode();
        let mut metas = Vec::with_capacity(names.len());
        for i in 0..names.len() {
            let meta = stat_at(fd.as_fd(), names.c_name(i), Links::NoFollow, Freshness::Fresh)?;
            if meta.kind().is_dir() && meta.mount_root != Some(true) {
                queue.push_back((join(Some(&path), names.name(i)), meta.ino, depth + 1));
            }
            metas.push(meta);
        }
        rows += metas.len();
        dirs.push(Dir { path, ino, depth, names, metas });
    }
    Ok((dirs, rows))
}
