//! The Python package beside `os.walk`, beside other packages, and beside the program.
//!
//! Walks are timed inside one Python process each, by `bench/python.py`: starting Python takes longer than many a walk.

use super::lab::Lab;
use super::mount::Mount;
use super::race::Timing;
use super::table::{Ratio, Table};
use crate::python::{self, Environment};
use anyhow::{Context, Result, ensure};
use serde_json::Value;
use std::ffi::OsStr;
use std::path::PathBuf;
use std::process::{Command, Stdio};

const ENVIRONMENT: Environment =
    Environment { name: "bench-venv", requirements: include_str!("../../bench-requirements.txt") };

/// Rounds of what takes no time.
const MANY: u32 = 25;

/// The script, with the package installed.
pub(super) fn script(lab: &Lab) -> Result<Script<'_>> {
    let python = python::provide(&lab.workspace, &ENVIRONMENT)?;
    crate::pytest::install(&lab.workspace, &python)?;
    Ok(Script { lab, python })
}

pub(super) fn measure(lab: &Lab) -> Result<Vec<Table>> {
    let script = script(lab)?;
    let tree = lab.tree()?;
    // The cache is warmed by a walk that is not looked at.
    script.run(&["walk".as_ref(), tree.path.as_ref()], 1)?;

    let walks = script.run(&["walk".as_ref(), tree.path.as_ref()], lab.runs)?;
    let title = format!("python: every directory of a warm tree ({})", tree.description);
    let warm = Table::of_timings(title, &walks, "os.walk(T)", Ratio::Faster)
        .note("Promise: at least 1.8 × as fast as os.walk, and faster than scandir_rs.Walk, which leaves links out.");

    let small = script.run(&["small".as_ref()], MANY)?;
    let small = Table::of_timings("python: a directory of 10 files", &small, "1,000 × os.walk(T)", Ratio::Slower)
        .note("Promise: at most 1.05 × the time.");

    // Nothing is cached, and permissions are the kernel's to check: opening a directory costs four operations.
    let behaviour = ["--delay-us", "1000", "--cache-ms", "0", "--check-permissions"];
    let mount =
        Mount::new(lab, &[["--dirs", "200", "--fanout", "8", "--files", "50"].as_slice(), &behaviour].concat())?;
    let walks = script.run(&["walk".as_ref(), mount.path().as_ref()], lab.runs)?;
    mount.unmount()?;
    let title = "python: 200 directories × 50 files behind 1 ms an operation";
    let slow = Table::of_timings(title, &walks, "os.walk(T)", Ratio::Faster)
        .note("Promise: at least 15 × as fast as os.walk.");

    let reports = script.run(&["report".as_ref(), tree.path.as_ref(), lab.pwalk().as_ref()], lab.runs)?;
    let title = format!("python: reports of a warm tree ({})", tree.description);
    let reports = Table::of_timings(title, &reports, "pwalk report T -o x.parquet", Ratio::Slower).note(
        "Promise: the functions at most 1.03 × the time of the program; into DuckDB at least 0.8 × the speed of the \
         Parquet report (1.25 × its time).",
    );
    Ok(vec![warm, small, slow, reports])
}

/// `bench/python.py`, in a Python that has what it needs.
pub(super) struct Script<'a> {
    pub(super) lab: &'a Lab,
    pub(super) python: PathBuf,
}

impl Script<'_> {
    /// What it has measured.
    pub(super) fn run(&self, arguments: &[&OsStr], runs: u32) -> Result<Vec<Timing>> {
        let mut script = Command::new(&self.python);
        // Its outputs go where it is started: onto the disk where those of the program go.
        script.current_dir(self.lab.output("")).arg(self.lab.workspace.root.join("bench/python.py"));
        script.arg("--json").args(arguments).arg(runs.to_string()).stdin(Stdio::null()).stderr(Stdio::inherit());
        let output = script.output().context("cannot run bench/python.py")?;
        ensure!(output.status.success(), "bench/python.py: {}", output.status);
        let text = String::from_utf8(output.stdout).context("bench/python.py printed something else than text")?;
        text.lines().map(timing).collect()
    }
}

/// One line of its output.
fn timing(line: &str) -> Result<Timing> {
    let value: Value = serde_json::from_str(line).with_context(|| format!("no JSON: {line}"))?;
    let seconds = value["seconds"].as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
    let label = value["label"].as_str().with_context(|| format!("no label: {line}"))?.to_owned();
    Ok(Timing { label, seconds, remark: String::new() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_the_script_is_a_timing() {
        let timing = timing(r#"{"label": "os.walk(T)", "seconds": [1.5, 2, 4.0]}"#).unwrap();
        assert_eq!((timing.label.as_str(), timing.median()), ("os.walk(T)", 2.0));
        assert!(super::timing("no").is_err());
    }
}
