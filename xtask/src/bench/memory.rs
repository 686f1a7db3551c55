//! Peak memory, which must not grow with the number of files and little with the number of directories.
//!
//! The trees are synthetic (a FUSE file system that makes them up), so that ten million entries need no disk; a tenth
//! of the entries are sub-directories of the root, which is the worst frontier that a tree of that size can have.

use super::lab::Lab;
use super::mount::Mount;
use super::race::Contender;
use super::table::Table;
use crate::system::find_program;
use anyhow::{Context, Result, bail};
use std::fs;
use std::time::Instant;

/// Sub-directories of the root, each with nine files: ten entries for each of them.
const DIRECTORIES: &[(u64, u32)] = &[(100_000, 120), (1_000_000, 160)];
const FILES: &str = "9";

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let mut rows = Vec::new();
    let tree = lab.tree()?;
    for file in ["x.csv.zst", "x.parquet"] {
        rows.push(peak(&lab.report(&tree.path, file, &[]), lab, &tree.description, 120)?);
    }
    for (directories, promise) in DIRECTORIES {
        let with_root = (directories + 1).to_string();
        let arguments = ["--dirs", &with_root, "--fanout", &directories.to_string(), "--files", FILES];
        let mount = Mount::new(lab, &[arguments.as_slice(), &["--delay-us", "0"]].concat())?;
        let description = format!("{} entries, {directories} directories in one", directories * 10);
        for file in ["x.csv.zst", "x.parquet"] {
            rows.push(peak(&lab.report(mount.path(), file, &[]), lab, &description, *promise)?);
        }
        mount.unmount()?;
    }
    let header = ["command", "peak MB", "promised MB", "seconds"].map(str::to_owned).to_vec();
    let title = "memory: peak resident set of one run".to_owned();
    Ok(vec![Table { title, notes: vec!["A MB is 10^6 bytes.".to_owned()], header, rows }])
}

/// One run under GNU time, which reads the peak from the kernel's accounting of the ended process.
pub(super) fn peak(contender: &Contender, lab: &Lab, tree: &str, promise: u32) -> Result<Vec<String>> {
    contender.remove_output()?;
    let report = lab.output("time");
    let time = find_program("time").context("no program `time`")?;
    let prefix = [time.into(), "-f".into(), "%M".into(), "-o".into(), report.clone().into()];
    let started = Instant::now();
    let status = contender.under(&prefix).status()?;
    let seconds = started.elapsed().as_secs_f64();
    if !status.success() {
        bail!("{} on {tree}: {status}", contender.label);
    }
    let text = fs::read_to_string(&report).context("cannot read what `time` wrote")?;
    let kibibytes: f64 = text.trim().parse().with_context(|| format!("`time` wrote {text:?}"))?;
    let megabytes = kibibytes * 1024.0 / 1e6;
    eprintln!("{megabytes:8.1} MB {seconds:8.3} s  {} ({tree})", contender.label);
    Ok(vec![
        format!("{}, T: {tree}", contender.label),
        format!("{megabytes:.1}"),
        promise.to_string(),
        format!("{seconds:.1}"),
    ])
}
