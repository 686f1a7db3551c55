//! The log of a run, where the configuration asks for one.

use std::fs::{File, OpenOptions, create_dir_all};
use std::io::Write;
use std::path::PathBuf;

use anyhow::Context;
use jiff::Timestamp;
use pwalk_scan::Verdict;
use pwalk_track::{Catalog, ChangeFilter, LogLevel, Run, ScanSummary, TrackConfig, TrackError, json};

use crate::diff::counted;
use crate::human::shown;

/// A file that is written while a run goes on.
pub(super) struct Log {
    file: File,
    path: PathBuf,
    level: LogLevel,
}

impl Log {
    /// Starts one: `LOG_ROOT/pwalk-track-20260131T120000Z-PID.log`.
    pub(super) fn start(config: &TrackConfig) -> anyhow::Result<Option<Self>> {
        let Some(root) = &config.log_root else { return Ok(None) };
        let name = format!("pwalk-track-{}-{}.log", Timestamp::now().strftime("%Y%m%dT%H%M%SZ"), std::process::id());
        let path = root.join(name);
        create_dir_all(root).with_context(|| format!("cannot make the directory for logs {}", root.display()))?;
        let file = OpenOptions::new().append(true).create(true).open(&path);
        let file = file.with_context(|| format!("cannot write the log {}", path.display()))?;
        Ok(Some(Self { file, path, level: config.log_level.unwrap_or_default() }))
    }

    /// Adds a line, if this level is asked for.
    pub(super) fn line(&mut self, level: LogLevel, text: &str) -> anyhow::Result<()> {
        if level > self.level {
            return Ok(());
        }
        let name = match level {
            LogLevel::Error => "error",
            LogLevel::Warning => "warning",
            LogLevel::Info => "info",
            LogLevel::Debug => "debug",
        };
        self.write(name, text)
    }

    fn write(&mut self, name: &str, text: &str) -> anyhow::Result<()> {
        writeln!(self.file, "{:.3} {name} {text}", Timestamp::now())
            .with_context(|| format!("cannot write the log {}", self.path.display()))
    }

    /// What a run came to: its verdict and errors, warnings, summary, changes.
    pub(super) fn run(&mut self, summary: &ScanSummary, catalog: &mut Catalog) -> anyhow::Result<()> {
        for warning in &summary.warnings {
            self.line(LogLevel::Warning, warning)?;
        }
        let run = &summary.run;
        let mut failed = None;
        catalog.errors(run.id, &mut |loss| {
            let line = format!("{} {}: {}", loss.operation, loss.class, shown(loss.path));
            failed = failed.take().or_else(|| self.line(LogLevel::Error, &line).err());
            Ok(())
        })?;
        if self.level >= LogLevel::Debug {
            self.changes(run, catalog, &mut failed)?;
        }
        self.line(LogLevel::Info, &format!("{} entries, {} bytes; {}", run.entries, run.bytes, counted(&run.counts)))?;
        // At every level.
        let name = if run.verdict == Verdict::Complete { "info" } else { "error" };
        self.write(name, &format!("{}: run {} of {}", run.verdict, run.id, shown(&run.root)))?;
        failed.map_or(Ok(()), Err)
    }

    fn changes(
        &mut self,
        run: &Run,
        catalog: &mut Catalog,
        failed: &mut Option<anyhow::Error>,
    ) -> Result<(), TrackError> {
        let filter = ChangeFilter { run: Some(run.id), ..ChangeFilter::default() };
        catalog.changes(&filter, &mut |_, change| {
            *failed = failed.take().or_else(|| self.line(LogLevel::Debug, &json(change).to_string()).err());
            Ok(())
        })
    }
}
