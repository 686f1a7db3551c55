//! `report`: the fold whose result is a file of rows.
//!
//! [`run`] opens the outputs first, so that a mistake in a path costs nothing; walks; and then completes
//! the files, whatever happened meanwhile: a scan that was stopped leaves what it has, readable and marked
//! PARTIAL. Only when the output itself cannot be written is nothing left under its name.

mod options;
mod stream;
mod visitor;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant, SystemTime};

use pwalk_engine::{Ended, Frontier, Needs, Outcome, Progress, Sink, WalkError, fold};
use pwalk_fs::{Time, cores};

pub use options::{Compress, FileFormat, LedgerPlace, OptionsError, ReportOptions, UnreadDirs, extent};
pub use stream::{Ending, Next, Stream};

use crate::{Csv, CsvOptions, Error, Format, Ledger, LedgerTarget, Metadata, Output, Parquet, ParquetOptions};
use crate::{Pool, Root, Target, Verdict, Written};
use options::Resolved;
use visitor::{Desk, Reporter};

/// What a report came to.
#[derive(Clone, Debug)]
pub struct ReportSummary {
    /// Rows of the output, roots among them.
    pub entries: u64,
    /// Directories among them.
    pub dirs: u64,
    /// Sum of all sizes in bytes, every name counted.
    pub bytes: u64,
    /// What could not be read.
    pub errors: u64,
    /// Entries of the ledger by class, those among them that only say what the format cannot show.
    pub by_class: std::collections::BTreeMap<String, u64>,
    /// Snapshot directories left out.
    pub snapshots: u64,
    /// From the first call to the last byte synced.
    pub elapsed: Duration,
    /// Whether everything was seen.
    pub verdict: Verdict,
    /// How the walk ended.
    pub ended: Ended,
    /// The output; its path is none on standard output.
    pub output: Written,
    /// The error ledger, if there is one.
    pub ledger: Option<PathBuf>,
    /// The most workers that ran at once.
    pub workers: usize,
}

/// Walks the roots and writes the report.
///
/// # Errors
/// [`ReportError::Options`] before anything is touched; [`ReportError::Output`] when an output cannot be
/// written, and then nothing new is under its name. What cannot be read in the tree is no error but an
/// entry of the ledger.
pub fn run(options: &ReportOptions, progress: &dyn Progress) -> Result<ReportSummary, ReportError> {
    let begun = Instant::now();
    let resolved = options.resolve()?;
    let ledger = Ledger::new(match &options.errors {
        LedgerPlace::Beside => match &resolved.output {
            Target::File(path) => LedgerTarget::beside(path),
            Target::Stdout => LedgerTarget::Stream(Box::new(std::io::stderr())),
        },
        LedgerPlace::File(target) => LedgerTarget::Always(target.clone()),
        LedgerPlace::Losses => LedgerTarget::Losses(Box::new(std::io::stderr())),
    })?;
    let output = Output::create(&resolved.output)?;
    // Beside something that is no regular file (a device, a FIFO) nothing is laid: it goes where messages go.
    let ledger = match (&options.errors, output.is_named_file(), &resolved.output) {
        (LedgerPlace::Beside, false, Target::File(_)) => {
            Ledger::new(LedgerTarget::Stream(Box::new(std::io::stderr())))?
        }
        _ => ledger,
    };
    let format: Box<dyn Format> = match resolved.format {
        FileFormat::Csv => {
            Box::new(Csv::new(output, CsvOptions { compression: resolved.compression, header: options.header })?)
        }
        FileFormat::Parquet => Box::new(Parquet::new(output, ParquetOptions { level: resolved.parquet_level })?),
    };
    let mut summary = walk(format, ledger, options, &resolved, progress)?;
    summary.elapsed = begun.elapsed();
    Ok(summary)
}

/// Walks, with the rows going to `format` and the errors to `ledger`.
fn walk(
    format: Box<dyn Format>,
    ledger: Ledger,
    options: &ReportOptions,
    resolved: &Resolved,
    progress: &dyn Progress,
) -> Result<ReportSummary, ReportError> {
    // One more than cores: while one waits for the disk, the others go on.
    let desk = Arc::new(Desk {
        pool: Pool::new(format, cores().count + 1)?,
        ledger,
        unread_dirs: options.unread_dirs,
        reporters: AtomicUsize::new(0),
    });
    let sink = Report { desk, options, resolved, start: now() };
    fold(sink, Frontier::start(&options.roots), &options.walk, progress)
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum ReportError {
    /// The options contradict each other or name something that does not exist.
    #[error(transparent)]
    Options(#[from] OptionsError),
    /// An output cannot be written.
    #[error(transparent)]
    Output(#[from] Error),
    /// None of the roots could be read; a file of an earlier scan stays as it is.
    #[error("nothing to report: {}; check the path", reasons(.0))]
    NoRootRead(Vec<WalkError>),
}

fn reasons(errors: &[WalkError]) -> String {
    let reason = |error: &WalkError| {
        let path = error.path.escape_ascii();
        error.errno.map_or_else(|| format!("{path}: {}", error.class.name()), |errno| format!("{path}: {errno}"))
    };
    errors.iter().map(reason).collect::<Vec<_>>().join("; ")
}

struct Report<'a> {
    desk: Arc<Desk>,
    options: &'a ReportOptions,
    resolved: &'a Resolved,
    start: Time,
}

impl Sink for Report<'_> {
    type Worker = Reporter;
    type Summary = ReportSummary;
    type Error = ReportError;

    fn needs(&self) -> Needs {
        Needs::Meta
    }

    fn worker(&self) -> Reporter {
        Reporter::new(Arc::clone(&self.desk))
    }

    fn finish(self, mut workers: Vec<Reporter>, outcome: &Outcome) -> Result<ReportSummary, ReportError> {
        if let (Ended::Cancelled | Ended::Hung, Some(worker)) = (outcome.ended, workers.first_mut()) {
            worker.unfinished(&outcome.unfinished);
        }
        let rows = Rows::of(&workers);
        let mut first_errors: Vec<_> = workers.iter().flat_map(|w| w.first_errors.clone()).collect();
        drop(workers);
        let Self { desk, options, resolved, start } = self;
        // A worker lost in a call that hangs keeps its thread, never the desk: that belongs to the visitors.
        let Some(Desk { pool, ledger, .. }) = Arc::into_inner(desk) else {
            return Err(Error::because("complete", resolved.output.path(), "a worker still holds it").into());
        };
        if outcome.entries == 0 && !first_errors.is_empty() {
            first_errors.sort_by(|a, b| a.path.cmp(&b.path));
            return Err(ReportError::NoRootRead(first_errors));
        }
        let errors = ledger.partial_count();
        let whole = outcome.ended == Ended::Whole && errors == 0;
        let verdict = if whole { Verdict::Complete } else { Verdict::Partial };
        let by_class = ledger.counts();
        let mut counts = std::collections::BTreeMap::from([
            ("entries".to_owned(), rows.entries),
            ("directories".to_owned(), rows.dirs),
            ("bytes".to_owned(), outcome.bytes),
            ("errors".to_owned(), errors),
            ("snapshots_skipped".to_owned(), outcome.snapshots),
        ]);
        counts.extend(by_class.iter().map(|(class, n)| (format!("errors_{class}"), *n)));
        let metadata = Metadata {
            program: concat!("pwalk ", env!("CARGO_PKG_VERSION")).to_owned(),
            roots: options.roots.iter().map(|r| Root(r.clone())).collect(),
            options: options.recorded(resolved),
            start,
            end: now(),
            counts,
            verdict,
        };
        // The ledger just before the output: that must not be there without its errors, and if it cannot be written, an
        // earlier scan's ledger stays with the earlier scan.
        let (mut ledger, mut written) = (Some(ledger), None);
        let output = pool.finish_after(&metadata, &mut || {
            written = ledger.take().map_or(Ok(None), Ledger::finish)?;
            Ok(())
        })?;
        let ledger = written.and_then(|written| written.path);
        Ok(ReportSummary {
            entries: rows.entries,
            dirs: rows.dirs,
            bytes: outcome.bytes,
            errors,
            by_class,
            snapshots: outcome.snapshots,
            elapsed: outcome.elapsed,
            verdict,
            ended: outcome.ended,
            output,
            ledger,
            workers: outcome.workers,
        })
    }
}

/// What the visitors wrote.
struct Rows {
    entries: u64,
    dirs: u64,
}

impl Rows {
    fn of(workers: &[Reporter]) -> Self {
        Self { entries: workers.iter().map(|w| w.rows).sum(), dirs: workers.iter().map(|w| w.dirs).sum() }
    }
}

fn now() -> Time {
    // A clock before 1970 is not a time anybody can have meant.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Time { sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX), nsec: since.subsec_nanos() }
}
