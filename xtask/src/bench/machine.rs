//! `--record`: the results, with what somebody needs to judge them, appended to `bench/RESULTS.md`.
//!
//! The machine is described by its kind (processor, cores, memory, kernel, file system) and never by its name or its
//! paths.

use super::lab::Lab;
use super::table::Table;
use anyhow::{Context, Result, bail};
use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

/// Appends one dated section; the file's path.
pub(super) fn record(lab: &Lab, command: &str, tables: &[Table]) -> Result<PathBuf> {
    let path = lab.workspace.root.join("bench/RESULTS.md");
    let mut text = format!("\n## {}: `{command}`\n\n{}\n", first_line("date", &["-u", "+%F"])?, describe(lab)?);
    for table in tables {
        write!(text, "\n{table}")?;
    }
    let mut file = OpenOptions::new().append(true).create(true).open(&path).context("cannot open bench/RESULTS.md")?;
    file.write_all(text.as_bytes()).context("cannot write bench/RESULTS.md")?;
    Ok(path)
}

fn describe(lab: &Lab) -> Result<String> {
    let processor = field("/proc/cpuinfo", "model name")?.unwrap_or_else(|| std::env::consts::ARCH.to_owned());
    let memory = field("/proc/meminfo", "MemTotal")?.unwrap_or_default();
    let kibibytes: f64 = memory.trim_end_matches("kB").trim().parse().context("MemTotal")?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    // Without the suffix, which names who built it and for what.
    let version = kernel.split('-').next().unwrap_or_default().trim();
    let commit = first_line("git", &["rev-parse", "--short", "HEAD"]).unwrap_or_else(|_| "no commit".to_owned());
    let target = lab.workspace.target.display().to_string();
    let file_system = first_line("findmnt", &["-no", "FSTYPE", "-T", &target])?;
    Ok(format!(
        "{} cores ({processor}), {:.0} GB, Linux {version}, outputs and synthetic trees on {file_system}, at {commit}.",
        lab.cores,
        kibibytes * 1024.0 / 1e9
    ))
}

/// The value of the first `key : value` line.
fn field(path: &str, key: &str) -> Result<Option<String>> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    let value = text.lines().find_map(|line| line.strip_prefix(key)?.trim_start().strip_prefix(':'));
    Ok(value.map(|value| value.trim().to_owned()))
}

fn first_line(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("cannot run {program}"))?;
    if !output.status.success() {
        bail!("{program}: {}", output.status);
    }
    let text = String::from_utf8(output.stdout).with_context(|| format!("{program} printed no text"))?;
    Ok(text.lines().next().unwrap_or_default().to_owned())
}
