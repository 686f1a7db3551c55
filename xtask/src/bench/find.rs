//! `pwalk find` beside the floor, bfs, fd and GNU find.

use super::lab::Lab;
use super::mount::Mount;
use super::race::{Contender, race};
use super::table::{Ratio, Table};
use anyhow::Result;
use std::path::Path;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);
/// Threads of the floor behind 1 ms.
const FLOOR_THREADS: usize = 128;

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let mut tables = warm(lab)?;
    tables.push(behind_latency(lab)?);
    tables.push(quit(lab)?);
    Ok(tables)
}

fn warm(lab: &Lab) -> Result<Vec<Table>> {
    let tree = lab.tree()?;
    let root = &tree.path;
    let floor = |mode| lab.floor(root, lab.cores, mode);
    race(&[Contender { rounds: 1, ..floor("stat") }], PATIENCE)?;

    let names = floor("nostat");
    let reference = names.label.clone();
    let mut contenders = vec![names, lab.pfind(root, &["-print"]), lab.pfind(root, &[]), lab.pfind(root, &["-s"])];
    contenders.extend(peers(lab, root, &[("bfs", &[]), ("fd", &["-u", "."]), ("find", &[])]));
    let names = Table::of_timings(
        format!("find: the names in a warm tree ({})", tree.description),
        &race(&contenders, PATIENCE)?,
        &reference,
        Ratio::Slower,
    )
    .note("Promise: at most 1.35 × the floor, faster than bfs and fd.");

    let size: &[&str] = &["-size", "+100M"];
    let floor = floor("stat");
    let reference = floor.label.clone();
    let mut contenders = vec![floor, lab.pfind(root, size)];
    contenders.extend(peers(lab, root, &[("bfs", size), ("fd", &["-u", "-S", "+100M", "."]), ("find", size)]));
    let sizes = Table::of_timings(
        format!("find: -size +100M in a warm tree ({})", tree.description),
        &race(&contenders, PATIENCE)?,
        &reference,
        Ratio::Slower,
    )
    .note("Promise: at most 1.2 × the floor, faster than bfs.");

    let chosen: &[&str] = &["-name", "*.bam", "-size", "+1G"];
    let only: &[&str] = &["-name", "*.bam"];
    let name = lab.pfind(root, only);
    let reference = name.label.clone();
    let mut contenders = vec![name, lab.pfind(root, chosen), lab.pfind(root, size)];
    contenders.extend(peers(lab, root, &[("bfs", chosen), ("find", chosen)]));
    let chosen = Table::of_timings(
        format!("find: a name and a size in a warm tree ({})", tree.description),
        &race(&contenders, PATIENCE)?,
        &reference,
        Ratio::Slower,
    )
    .note("Promise: names and the stats of those that match, and no more.");
    Ok(vec![names, sizes, chosen])
}

fn behind_latency(lab: &Lab) -> Result<Table> {
    let mount = Mount::new(lab, &["--dirs", "200", "--fanout", "8", "--files", "50", "--delay-us", "1000"])?;
    let root = mount.path();
    let size: &[&str] = &["-size", "+100M"];
    let ours = lab.pfind(root, size);
    let reference = ours.label.clone();
    let mut contenders = vec![ours, lab.floor(root, FLOOR_THREADS, "stat"), lab.pfind(root, &["-s", "-size", "+100M"])];
    // Half a minute each: one round says enough.
    let slow = peers(lab, root, &[("bfs", size), ("find", size)]);
    contenders.extend(slow.into_iter().map(|slow| Contender { rounds: 1, ..slow }));
    let timings = race(&contenders, PATIENCE)?;
    mount.unmount()?;
    let title = "find: -size +100M, 200 directories × 50 files behind 1 ms an operation";
    Ok(Table::of_timings(title, &timings, &reference, Ratio::Slower).note("Promise: at least 20 × as fast as bfs."))
}

fn quit(lab: &Lab) -> Result<Table> {
    let mount = Mount::new(lab, &["--dirs", "1000000", "--fanout", "8", "--files", "100"])?;
    let root = mount.path();
    let contenders =
        [lab.pfind(root, &["-type", "f", "-quit"]), lab.pfind(root, &["-name", "f50*", "-print", "-quit"])];
    let reference = contenders[0].label.clone();
    let timings = race(&contenders, PATIENCE)?;
    mount.unmount()?;
    let title = "find: -quit in a synthetic tree of 100 million entries";
    Ok(Table::of_timings(title, &timings, &reference, Ratio::Slower).note("Promise: milliseconds."))
}

/// Those that are installed, with the tree where each of them wants it.
fn peers(lab: &Lab, root: &Path, all: &[(&str, &[&str])]) -> Vec<Contender> {
    all.iter().filter_map(|(name, words)| lab.peer(name, root, words)).collect()
}
