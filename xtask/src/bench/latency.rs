//! Behind 1 ms an operation: a network file system, where a walker is bound by round trips.

use super::lab::Lab;
use super::mount::Mount;
use super::peers::Threads;
use super::race::race;
use super::table::{Ratio, Table};
use anyhow::Result;
use std::time::Duration;

/// The slowest tool that was ever measured here took 93 s.
const PATIENCE: Duration = Duration::from_secs(150);
const FLOOR_THREADS: usize = 128;

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let mount = Mount::new(lab, &["--dirs", "200", "--fanout", "8", "--files", "50", "--delay-us", "1000"])?;
    let root = mount.path();
    let floor = lab.floor(root, FLOOR_THREADS, "stat");
    let reference = floor.label.clone();
    let mut contenders = vec![floor, lab.report(root, "x.csv.zst", &[]), lab.report(root, "x.parquet", &[])];
    // Tens of seconds each: one round says enough.
    let threads = Threads { limit: FLOOR_THREADS, python: Some(32) };
    contenders.extend(lab.peers.contenders(root, threads, lab.output("python.csv"), 1));
    let timings = race(&contenders, PATIENCE)?;
    mount.unmount()?;
    let title = "latency: 200 directories × 50 files behind 1 ms an operation";
    let promise =
        "Promise: without any flag at most 1.5 × the floor, and at least 6 × as fast as python-pwalk's 32 threads.";
    Ok(vec![Table::of_timings(title, &timings, &reference, Ratio::Slower).note(promise)])
}
