//! Promise: an output that cannot be written stops the scan, says why, and leaves nothing under its name.

#![allow(clippy::unwrap_used, reason = "what goes wrong in a test should end it")]

mod common;

use std::io::ErrorKind;
use std::path::Path;

use common::{metadata, pool};
use pwalk_fs::Meta;
use pwalk_scan::{
    Compression, Csv, CsvOptions, Format, Header, Output, Parent, Parquet, ParquetOptions, Pool, Stopped, Target,
};

/// Pushes rows until the pool refuses; gives up after so many that a block must have been written.
fn push_until_stopped(pool: &Pool) -> Result<(), Stopped> {
    for i in 0..400_000_u64 {
        let mut rows = pool.take(0)?;
        let parent = Parent { path: Some(b"/d"), ino: 1, depth: 0 };
        rows.begin(&parent);
        let name = format!("{:x}", i.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let odd = rows.row(&parent, name.as_bytes(), &Meta { mode: 0o100_644, ino: i, ..Meta::default() }, None)?;
        assert!(!odd.any());
    }
    Ok(())
}

#[test]
fn a_full_disk_stops_rows_and_is_told_at_the_end() {
    let place = tempfile::tempdir().unwrap();
    for name in ["full.csv", "full.csv.zst", "full.csv.gz", "full.parquet"] {
        let link = place.path().join(name);
        std::os::unix::fs::symlink("/dev/full", &link).unwrap();
        let output = || Output::create(&Target::File(link.clone())).unwrap();
        let format: Box<dyn Format> = if name.ends_with("parquet") {
            Box::new(Parquet::new(output(), ParquetOptions::default()).unwrap())
        } else {
            let compression = Compression::from_name(&link);
            let with = |header| Csv::new(output(), CsvOptions { compression, header });
            let header = with(Header::Written).err().unwrap();
            assert_eq!(header.io_kind(), Some(ErrorKind::StorageFull), "the header is written at once");
            Box::new(with(Header::Omitted).unwrap())
        };
        let pool = Pool::new(format, 2).unwrap();
        assert_eq!(push_until_stopped(&pool), Err(Stopped), "{name}");
        assert!(pool.failed());
        assert_eq!(pool.take(0).err(), Some(Stopped));
        let error = pool.finish(&metadata()).unwrap_err();
        assert_eq!(error.io_kind(), Some(ErrorKind::StorageFull), "{error}");
        assert_eq!(error.path(), link);
        assert!(error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_scan_that_is_given_up_leaves_nothing() {
    let place = tempfile::tempdir().unwrap();
    for name in ["x.csv.gz", "x.parquet"] {
        let pool = pool(&place.path().join(name), 1);
        push_until_stopped(&pool).unwrap();
        drop(pool);
        assert_eq!(left_in(place.path()), 0, "{name}");
    }
}

fn left_in(dir: &Path) -> usize {
    std::fs::read_dir(dir).unwrap().count()
}
