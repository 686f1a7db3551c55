//! `pwalk report`.

use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use pwalk_engine::Ended;
use pwalk_scan::report::{self, FileFormat, LedgerPlace, ReportError, ReportOptions, ReportSummary};
use pwalk_scan::{Header, Target, Verdict};
use serde_json::json;

use crate::Exit;
use crate::args::{Compress, Format, ReportArgs, Usage};
use crate::human::{bytes, count, plural};
use crate::progress::{Show, rate};
use crate::signals::cancel_on_signals;

pub(crate) fn run(args: &ReportArgs) -> anyhow::Result<Exit> {
    let cancel = cancel_on_signals()?;
    let (walk, exclude_patterns) = args.tree.options(&cancel)?;
    let options = ReportOptions {
        output: Target::from_arg(&args.output),
        format: args.format.map(|f| match f {
            Format::Csv => FileFormat::Csv,
            Format::Parquet => FileFormat::Parquet,
        }),
        compress: match args.compress {
            Compress::Auto => report::Compress::Auto,
            Compress::Zstd => report::Compress::Zstd,
            Compress::Gzip => report::Compress::Gzip,
            Compress::None => report::Compress::None,
        },
        level: args.level,
        header: if args.no_header { Header::Omitted } else { Header::Written },
        errors: args.errors.as_deref().map_or(LedgerPlace::Beside, |f| LedgerPlace::File(Target::from_arg(f))),
        exclude_patterns,
        walk,
        ..ReportOptions::new(roots(&args.paths))
    };
    run_with(&options, &Show::new(args.progress, args.quiet), args.quiet)
}

/// The paths as bytes.
pub(crate) fn roots(paths: &[PathBuf]) -> Vec<Vec<u8>> {
    paths.iter().map(|p| p.as_os_str().as_bytes().to_vec()).collect()
}

/// Runs a report and tells what came of it.
pub(crate) fn run_with(options: &ReportOptions, show: &Show, quiet: bool) -> anyhow::Result<Exit> {
    show.raise_file_descriptor_limit();
    let done = report::run(options, show);
    show.finish();
    let summary = match done {
        Ok(summary) => summary,
        Err(ReportError::Options(error)) => return Err(Usage(error.to_string()).into()),
        // Who reads the output has seen enough, as `head` does.
        Err(ReportError::Output(error)) if error.io_kind() == Some(std::io::ErrorKind::BrokenPipe) => {
            return Ok(Exit::Failed);
        }
        Err(error) if show.is_json() => {
            show.say(&json!({"event": "failed", "error": error.to_string()}).to_string());
            return Ok(Exit::Failed);
        }
        Err(error) => return Err(error.into()),
    };
    if show.is_json() {
        show.say(&as_json(&summary));
    } else if !quiet {
        tell(&summary, show);
    } else if summary.verdict == Verdict::Partial {
        show.say(&format!("pwalk: PARTIAL: {}", troubles(&summary)));
    }
    Ok(match (summary.ended, summary.verdict) {
        (Ended::Cancelled, _) => Exit::Interrupted,
        (_, Verdict::Complete) => Exit::Complete,
        (_, Verdict::Partial) => Exit::Partial,
    })
}

fn tell(s: &ReportSummary, show: &Show) {
    let name = s.output.path.as_ref().map_or_else(|| "standard output".to_owned(), |p| p.display().to_string());
    show.say(&format!("{name}: {} ({})", s.verdict, bytes(s.output.bytes)));
    show.say(&format!(
        "  {}  {}  {}  {}",
        plural(s.entries, "entry", "entries"),
        plural(s.dirs, "directory", "directories"),
        bytes(s.bytes),
        plural(s.errors, "error", "errors"),
    ));
    show.say(&format!(
        "  {:.2} s  {} entries/s  {}",
        s.elapsed.as_secs_f64(),
        count(rate(s.entries, s.elapsed)),
        plural(s.workers as u64, "worker", "workers"),
    ));
    if s.snapshots > 0 {
        show.say(&format!("  {} left out", plural(s.snapshots, "snapshot directory", "snapshot directories")));
    }
    if !s.by_class.is_empty() || s.ended != Ended::Whole {
        show.say(&format!("  {}", troubles(s)));
    }
}

/// Why it is partial, and where to read more.
fn troubles(s: &ReportSummary) -> String {
    let mut parts: Vec<String> = s.by_class.iter().map(|(class, n)| format!("{} {class}", count(*n))).collect();
    match s.ended {
        Ended::Cancelled => parts.push("interrupted".to_owned()),
        Ended::Hung => parts.push("too many calls hung".to_owned()),
        Ended::Whole | Ended::Budget | Ended::Stopped => {}
    }
    let place = s.ledger.as_ref().map(|path| format!(", see {}", path.display()));
    parts.join(", ") + &place.unwrap_or_default()
}

fn as_json(s: &ReportSummary) -> String {
    json!({
        "event": "done", "verdict": s.verdict.to_string(), "entries": s.entries, "directories": s.dirs,
        "bytes": s.bytes, "errors": s.errors, "errors_by_class": s.by_class, "snapshots_skipped": s.snapshots,
        "seconds": s.elapsed.as_secs_f64(), "workers": s.workers, "interrupted": s.ended == Ended::Cancelled,
        "output": s.output.path.as_ref().map(|p| p.display().to_string()), "output_bytes": s.output.bytes,
        "ledger": s.ledger.as_ref().map(|p| p.display().to_string()),
    })
    .to_string()
}
