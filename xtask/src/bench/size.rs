//! Bytes an entry of each format, on the tree and on `/usr`, whose names are real ones.

use super::lab::{Lab, Tree};
use super::table::Table;
use anyhow::{Context, Result, bail};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let usr = Tree { path: "/usr".into(), description: "/usr".to_owned() };
    let rows = [lab.tree()?, usr].iter().map(|tree| row(lab, tree)).collect::<Result<_>>()?;
    let header =
        ["tree", "entries", "csv B/entry", "csv.zst B/entry", "csv ÷ csv.zst", "parquet B/entry", "csv ÷ parquet"];
    Ok(vec![Table {
        title: "size: bytes an entry".to_owned(),
        notes: vec!["Promise, on the 1,000,000-entry tree: csv.zst at most 24, parquet at most 18.".to_owned()],
        header: header.map(str::to_owned).to_vec(),
        rows,
    }])
}

fn row(lab: &Lab, tree: &Tree) -> Result<Vec<String>> {
    let [csv, zst, parquet] = ["x.csv", "x.csv.zst", "x.parquet"].map(|file| written(lab, tree, file));
    let (csv, zst, parquet) = (csv?, zst?, parquet?);
    // A line is an entry: the format leaves out the bytes that could break one. The first line is the header.
    let entries = count_lines(&lab.output("x.csv"))? - 1.0;
    Ok(vec![
        tree.description.clone(),
        format!("{entries}"),
        format!("{:.1}", csv / entries),
        format!("{:.2}", zst / entries),
        format!("{:.1}", csv / zst),
        format!("{:.2}", parquet / entries),
        format!("{:.1}", csv / parquet),
    ])
}

/// The size of the file that `pwalk report` writes, in bytes.
fn written(lab: &Lab, tree: &Tree, file: &str) -> Result<f64> {
    let contender = lab.report(&tree.path, file, &[]);
    contender.remove_output()?;
    let status = contender.under(&["env".into()]).status()?;
    if !status.success() {
        bail!("{} on {}: {status}", contender.label, tree.description);
    }
    let bytes = fs::metadata(lab.output(file)).with_context(|| format!("{} wrote nothing", contender.label))?.len();
    Ok(bytes as f64)
}

fn count_lines(path: &Path) -> Result<f64> {
    let mut reader = BufReader::new(File::open(path)?);
    let mut lines = 0_u64;
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(lines as f64);
        }
        lines += buffer.iter().filter(|&&byte| byte == b'\n').count() as u64;
        let length = buffer.len();
        reader.consume(length);
    }
}
