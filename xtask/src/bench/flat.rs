//! One directory of very many entries: a second thread helps only if it can stat names of the same directory.

use super::lab::Lab;
use super::mount::Mount;
use super::race::{Contender, race};
use super::table::{Ratio, Table};
use anyhow::Result;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    Ok(vec![warm(lab)?, behind_latency(lab)?])
}

fn warm(lab: &Lab) -> Result<Table> {
    let tree = lab.flat_tree()?;
    let root = &tree.path;
    race(&[Contender { rounds: 1, ..lab.floor(root, 1, "stat") }], PATIENCE)?;
    let one = lab.report(root, "x.csv.zst", &["--threads", "1"]);
    let reference = one.label.clone();
    let two = lab.report(root, "x.csv.zst", &["--threads", "2"]);
    let contenders = [one, two, lab.report(root, "x.csv.zst", &[]), lab.floor(root, 1, "stat")];
    let timings = race(&contenders, PATIENCE)?;
    Ok(Table::of_timings(format!("flat: {}, warm", tree.description), &timings, &reference, Ratio::Faster)
        .note("Promise: two threads at least 1.7 × as fast as one."))
}

fn behind_latency(lab: &Lab) -> Result<Table> {
    let mount = Mount::new(lab, &["--flat", "20000", "--delay-us", "1000"])?;
    let root = mount.path();
    // Nearly a minute: one round says enough.
    let one = Contender { rounds: 1, ..lab.report(root, "x.csv.zst", &["--threads", "1"]) };
    let reference = one.label.clone();
    let timings = race(&[one, lab.report(root, "x.csv.zst", &[])], PATIENCE)?;
    mount.unmount()?;
    let title = "flat: 20,000 entries in one directory behind 1 ms an operation";
    Ok(Table::of_timings(title, &timings, &reference, Ratio::Faster)
        .note("Promise: the default at least 50 × as fast as one thread."))
}
