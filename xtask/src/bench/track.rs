//! `pwalk track`: an unchanged tree scanned again, beside the bare report.

use super::lab::Lab;
use super::race::{Contender, race};
use super::table::{Ratio, Table};
use anyhow::{Result, ensure};
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
    Ok(vec![
        Table::of_timings(title, &timings, &reference, Ratio::Slower).note("Promise: at most 1.5 × the bare report."),
    ])
}
