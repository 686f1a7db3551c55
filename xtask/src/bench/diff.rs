//! `pwalk diff` of two scans, beside what DuckDB takes to join the same two files; and its peak memory.

use super::lab::Lab;
use super::memory::peak;
use super::mount::Mount;
use super::python::script;
use super::race::Contender;
use super::table::{Ratio, Table};
use anyhow::{Result, ensure};
use std::path::Path;

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let tree = lab.tree()?;
    let [old, new] = ["old.parquet", "new.parquet"].map(|file| lab.output(file));
    for file in ["old.parquet", "new.parquet"] {
        scan(lab, &tree.path, file)?;
    }
    let arguments = ["diff".as_ref(), old.as_ref(), new.as_ref(), lab.pwalk().as_ref()];
    let timings = script(lab)?.run(&arguments, lab.runs)?;
    let title = format!("diff: two scans of {}", tree.description);
    let reference = "DuckDB: A full outer join B on path";
    let speed = Table::of_timings(title, &timings, reference, Ratio::Slower)
        .note("DuckDB with 2 threads, timed without starting it. Promise: no slower than the plain join.");
    let mut rows = vec![row(lab, &tree.description)?];
    let shape = ["--dirs", "1000001", "--fanout", "1000000", "--files", "9", "--delay-us", "0"];
    let mount = Mount::new(lab, &shape)?;
    scan(lab, mount.path(), "old.parquet")?;
    scan(lab, mount.path(), "new.parquet")?;
    mount.unmount()?;
    rows.push(row(lab, "10,000,000 entries")?);
    let header = ["command", "peak MB", "promised MB", "seconds"].map(str::to_owned).to_vec();
    let title = "diff: peak resident set of one run".to_owned();
    Ok(vec![speed, Table { title, notes: vec!["A MB is 10^6 bytes.".to_owned()], header, rows }])
}

fn scan(lab: &Lab, root: &Path, file: &str) -> Result<()> {
    let contender = lab.report(root, file, &[]);
    contender.remove_output()?;
    let status = contender.under(&["env".into()]).status()?;
    ensure!(status.success(), "{}: {status}", contender.label);
    Ok(())
}

fn row(lab: &Lab, tree: &str) -> Result<Vec<String>> {
    let contender = Contender {
        label: "pwalk diff A B".to_owned(),
        program: lab.pwalk().to_owned(),
        arguments: [
            "diff".into(),
            "--quiet".into(),
            lab.output("old.parquet").into(),
            lab.output("new.parquet").into(),
        ]
        .into(),
        output: None,
        rounds: 1,
    };
    peak(&contender, lab, tree, 150)
}
