//! How fast one thread hashes cached files, against the same hash over memory.
//!
//! `cargo run --release -p pwalk-track --example hash [DIRECTORY]` writes files of 256 KiB to 256 MiB into a temporary directory (in DIRECTORY, else where
//! temporary files go), and for each size prints both speeds, the best of several rounds, and their ratio. Rounds alternate, so that
//! both see the same machine.

use std::fs::File;
use std::hint::black_box;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Instant;

use pwalk_fs::{Freshness, stat_fd};
use pwalk_scan::Stat;
use pwalk_track::{Hash, HashOptions, Hasher, Outcome};

const ROUNDS: usize = 9;
/// Bytes that each round hashes at the least.
const WORK: usize = 256 << 20;

fn main() -> io::Result<()> {
    let place = match std::env::args_os().nth(1) {
        Some(dir) => tempfile::tempdir_in(dir)?,
        None => tempfile::tempdir()?,
    };
    let root = Arc::new(OwnedFd::from(File::open(place.path())?));
    #[expect(clippy::print_stdout, reason = "what it is for")]
    for size in [256 << 10, 1 << 20, 4 << 20, 64 << 20, 256_usize << 20] {
        let content: Vec<u8> = (0..size).map(|at| (at.wrapping_mul(2_654_435_761) >> 13).to_le_bytes()[0]).collect();
        let path = place.path().join("file");
        std::fs::write(&path, &content)?;
        let expected = Stat::of(&stat_fd(File::open(&path)?, Freshness::Fresh)?);
        for hash in [Hash::Blake3, Hash::Xxh3] {
            let mut hasher = Hasher::new(Arc::clone(&root), &HashOptions { hash, ..HashOptions::default() });
            let times = (WORK / size).max(1);
            let (mut memory, mut file) = (f64::MAX, f64::MAX);
            for _ in 0..ROUNDS {
                memory = memory.min(seconds(times, || match hash {
                    Hash::Blake3 => {
                        black_box(blake3::hash(black_box(&content)));
                    }
                    Hash::Xxh3 => {
                        black_box(twox_hash::XxHash3_128::oneshot(black_box(&content)));
                    }
                }));
                file = file.min(seconds(times, || {
                    assert!(matches!(hasher.hash(b"file", &expected), Outcome::Hashed(_)));
                }));
            }
            let megabytes = (times * size / 1_000_000) as f64;
            println!(
                "{hash:<6} {:>6} KiB: memory {:>6.0} MB/s, file {:>6.0} MB/s, {:>3.0} %",
                size / 1024,
                megabytes / memory,
                megabytes / file,
                100.0 * memory / file
            );
        }
    }
    Ok(())
}

fn seconds(times: usize, mut work: impl FnMut()) -> f64 {
    let start = Instant::now();
    (0..times).for_each(|_| work());
    start.elapsed().as_secs_f64()
}
