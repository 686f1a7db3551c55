//! `pwalk track`: an unchanged tree scanned again, beside the bare report; PostgreSQL; and how fast content is read for its digest.

use super::lab::Lab;
use super::postgres;
use super::race::{Contender, race};
use super::table::{Ratio, Table};
use anyhow::{Context, Result, ensure};
use std::process::Stdio;
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(300);

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let tree = lab.tree()?;
    let catalog = lab.output("catalog");
    let report = lab.report(&tree.path, "track.parquet", &[]);
    let scan = Contender {
        label: "pwalk track scan T".to_owned(),
        program: lab.pwalk().to_owned(),
        arguments: [
            "track".into(),
            "scan".into(),
            "--quiet".into(),
            "--catalog".into(),
            catalog.into(),
            tree.path.into(),
        ]
        .into(),
        output: None,
        rounds: lab.runs,
    };
    // What it is compared with later.
    let status = scan.under(&["env".into()]).status()?;
    ensure!(status.success(), "{}: {status}", scan.label);
    let reference = report.label.clone();
    let timings = race(&[report, scan], PATIENCE)?;
    let title = format!("track: an unchanged tree, scanned again into the local catalog ({})", tree.description);
    let local = Table::of_timings(title, &timings, &reference, Ratio::Slower);
    let mut tables = vec![local.note("Promise: at most 1.5 × the bare report.")];
    tables.extend(postgres::measure(lab)?);
    tables.push(hashing(lab)?);
    Ok(tables)
}

/// What the example says, which measures itself.
fn hashing(lab: &Lab) -> Result<Table> {
    let mut example =
        lab.workspace.cargo(["run", "--release", "--quiet", "--package", "pwalk-track", "--example", "hash"]);
    let output = example.stderr(Stdio::inherit()).output().context("cannot run the example")?;
    ensure!(output.status.success(), "the example failed: {}", output.status);
    let text = String::from_utf8(output.stdout)?;
    let rows = text.lines().map(|line| {
        let (what, figures) = line.split_once(": ").with_context(|| format!("the example says {line:?}"))?;
        let numbers =
            figures.split(", ").map(|figure| figure.split_whitespace().find(|word| word.parse::<f64>().is_ok()));
        let numbers = numbers.map(|number| number.unwrap_or_default().to_owned());
        Ok([what.split_whitespace().collect::<Vec<_>>().join(" ")].into_iter().chain(numbers).collect())
    });
    Ok(Table {
        title: "track: digests of cached files, one thread".to_owned(),
        notes: vec![
            "Against the same hash over memory; `cargo run --release -p pwalk-track --example hash`. Promise: BLAKE3 80 % from 1 MB on.".to_owned(),
        ],
        header: ["files", "memory MB/s", "file MB/s", "%"].map(str::to_owned).to_vec(),
        rows: rows.collect::<Result<_>>()?,
    })
}
