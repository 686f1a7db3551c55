//! Programs against the clock, interleaved.
//!
//! Running each program five times in a row would measure which of them met the quiet minute. Hyperfine does that,
//! which is why this is here.

use anyhow::{Context, Result};
use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

/// One program and its arguments.
pub(super) struct Contender {
    /// The command as a reader knows it: `T` for the tree, no path of this machine.
    pub(super) label: String,
    pub(super) program: PathBuf,
    pub(super) arguments: Vec<OsString>,
    /// The file or directory that it writes, removed before each run.
    pub(super) output: Option<PathBuf>,
    /// It runs in this many of the first rounds.
    pub(super) rounds: u32,
}

/// What one contender took.
pub(super) struct Timing {
    pub(super) label: String,
    /// One for each run, in seconds.
    pub(super) seconds: Vec<f64>,
    /// What is to be said about it, such as that it failed.
    pub(super) remark: String,
}

/// Runs the contenders round by round. One that runs longer than `patience` is stopped and not run again.
pub(super) fn race(contenders: &[Contender], patience: Duration) -> Result<Vec<Timing>> {
    race_with(contenders, patience, Contender::remove_output)
}

/// The same, but outputs are moved to `aside` and everything is synced: some file systems on disks make files slowly for a minute after many
/// were removed.
pub(super) fn race_aside(contenders: &[Contender], patience: Duration, aside: &Path) -> Result<Vec<Timing>> {
    fs::create_dir_all(aside)?;
    let timings = race_with(contenders, patience, |contender| contender.move_output(aside))?;
    fs::remove_dir_all(aside).context("cannot remove the outputs")?;
    Ok(timings)
}

fn race_with(
    contenders: &[Contender],
    patience: Duration,
    clear: impl Fn(&Contender) -> Result<()>,
) -> Result<Vec<Timing>> {
    let mut timings: Vec<Timing> = contenders.iter().map(Timing::new).collect();
    let rounds = contenders.iter().map(|contender| contender.rounds).max().unwrap_or(0);
    for round in 0..rounds {
        for (contender, timing) in contenders.iter().zip(&mut timings) {
            if round < contender.rounds && timing.remark.is_empty() {
                clear(contender)?;
                let (seconds, status) = contender.run(patience)?;
                timing.add(seconds, status, patience);
                eprintln!("round {} of {rounds}: {seconds:8.3} s  {} {}", round + 1, contender.label, timing.remark);
            }
        }
    }
    Ok(timings)
}

impl Contender {
    fn run(&self, patience: Duration) -> Result<(f64, ExitStatus)> {
        let mut command = self.within(patience);
        let started = Instant::now();
        let status = command.status().with_context(|| format!("cannot run {}", self.label))?;
        Ok((started.elapsed().as_secs_f64(), status))
    }

    /// The command under coreutils' `timeout`, which costs a millisecond, and every contender the same.
    fn within(&self, patience: Duration) -> Command {
        self.under(&["timeout".into(), "--foreground".into(), patience.as_secs().to_string().into()])
    }

    /// The command as arguments of another one, with nothing on its inputs and outputs.
    pub(super) fn under(&self, prefix: &[OsString]) -> Command {
        let mut command = Command::new(&prefix[0]);
        command.args(&prefix[1..]).arg(&self.program).args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }

    fn move_output(&self, aside: &Path) -> Result<()> {
        let number = fs::read_dir(aside)?.count();
        if let Some(output) = self.output.as_ref().filter(|output| output.symlink_metadata().is_ok()) {
            fs::rename(output, aside.join(number.to_string())).context("cannot move an output aside")?;
        }
        rustix::fs::sync();
        Ok(())
    }

    pub(super) fn remove_output(&self) -> Result<()> {
        let removed = self.output.as_ref().map(|path| {
            let is_dir = path.symlink_metadata().is_ok_and(|meta| meta.is_dir());
            if is_dir { fs::remove_dir_all(path) } else { fs::remove_file(path) }
        });
        match removed {
            Some(Err(error)) if error.kind() != ErrorKind::NotFound => Err(error).context("cannot remove an output"),
            _ => Ok(()),
        }
    }
}

impl Timing {
    fn new(contender: &Contender) -> Self {
        Self { label: contender.label.clone(), seconds: Vec::new(), remark: String::new() }
    }

    fn add(&mut self, seconds: f64, status: ExitStatus, patience: Duration) {
        self.seconds.push(seconds);
        // 124 is what `timeout` says when it had to stop the program.
        if status.code() == Some(124) {
            self.remark = format!("stopped after {} s", patience.as_secs());
        } else if !status.success() {
            self.remark = format!("FAILED: {status}");
        }
    }

    pub(super) fn median(&self) -> f64 {
        let mut sorted = self.seconds.clone();
        sorted.sort_by(f64::total_cmp);
        match sorted.len() {
            0 => f64::NAN,
            odd if odd % 2 == 1 => sorted[odd / 2],
            even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
        }
    }

    pub(super) fn fastest(&self) -> f64 {
        self.seconds.iter().copied().fold(f64::NAN, f64::min)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn contender(label: &str, script: &str, rounds: u32) -> Contender {
        Contender {
            label: label.to_owned(),
            program: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            output: None,
            rounds,
        }
    }

    #[test]
    fn rounds_are_interleaved_and_a_failure_is_not_run_again() {
        let scratch = tempfile::tempdir().unwrap();
        let log = scratch.path().join("log");
        let write = |what: &str| format!("printf {what} >> '{}'", log.display());
        let fail = format!("{}; exit 3", write("f"));
        let contenders =
            [contender("a", &write("a"), 3), contender("once", &write("o"), 1), contender("fails", &fail, 3)];
        let timings = race(&contenders, Duration::from_secs(60)).unwrap();
        assert_eq!(fs::read_to_string(&log).unwrap(), "aofaa");
        assert_eq!(timings.iter().map(|timing| timing.seconds.len()).collect::<Vec<_>>(), [3, 1, 1]);
        assert!(timings[2].remark.contains('3'), "{}", timings[2].remark);
    }

    #[test]
    fn the_median_is_the_middle_one_or_between_the_two() {
        let timing =
            |seconds: &[f64]| Timing { label: String::new(), seconds: seconds.to_vec(), remark: String::new() };
        assert!((timing(&[5.0, 1.0, 2.0]).median() - 2.0).abs() < 1e-9);
        assert!((timing(&[4.0, 1.0, 2.0, 9.0]).median() - 3.0).abs() < 1e-9);
        assert!(timing(&[]).median().is_nan());
    }
}
