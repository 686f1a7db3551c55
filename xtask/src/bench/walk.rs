//! A warm local tree: bound by the processor, so every microsecond that we spend on an entry shows.

use super::lab::Lab;
use super::peers::Threads;
use super::race::{Contender, Timing, race};
use super::table::{Ratio, Table};
use anyhow::Result;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let tree = lab.tree()?;
    let root = &tree.path;
    let floor = lab.floor(root, lab.cores, "stat");
    let reference = floor.label.clone();
    // The cache is warmed by a walk that no tool is charged for.
    race(&[Contender { rounds: 1, ..lab.floor(root, lab.cores, "stat") }], PATIENCE)?;

    let mut contenders = vec![floor];
    contenders.extend(["x.csv.zst", "x.parquet", "x.csv"].map(|file| lab.report(root, file, &[])));
    let threads = Threads { limit: lab.cores, python: None };
    contenders.extend(lab.peers.contenders(root, threads, lab.output("python.csv"), lab.runs));
    let all = Table::of_timings(
        format!("walk: every entry of a warm tree ({})", tree.description),
        &race(&contenders, PATIENCE)?,
        &reference,
        Ratio::Slower,
    )
    .note(
        "Promise: csv.zst and parquet at most 1.35 × the floor, never slower than diskus or du, \
         and at least 1.3 × as fast as python-pwalk.",
    );

    let fixed = ["1", "2", "4"].map(|threads| lab.report(root, "x.csv.zst", &["--threads", threads]));
    let mut contenders = vec![lab.report(root, "x.csv.zst", &[])];
    contenders.extend(fixed);
    let timings = race(&contenders, PATIENCE)?;
    let best = timings[1..].iter().min_by(|a, b| a.median().total_cmp(&b.median())).map_or("", label);
    let threads = Table::of_timings("walk: the adaptive default against fixed threads", &timings, best, Ratio::Slower)
        .note("Promise: the default loses at most 3 % against the best fixed number.");
    Ok(vec![all, threads])
}

fn label(timing: &Timing) -> &str {
    &timing.label
}
